//! The systems that a binary knows.

use super::erased::AnySystem;
use crate::{
    harness::{event::Milestone, language::did_you_mean},
    host::Sabotage,
};

/// The systems that scenario files can name. The first is that of a file that names none.
#[derive(Clone, Copy)]
pub struct Systems(&'static [&'static dyn AnySystem]);

impl Systems {
    /// These systems.
    ///
    /// # Panics
    /// When there is none.
    pub const fn new(systems: &'static [&'static dyn AnySystem]) -> Self {
        assert!(!systems.is_empty(), "a registry needs a system");
        Systems(systems)
    }

    /// All of them.
    pub fn all(self) -> &'static [&'static dyn AnySystem] {
        self.0
    }

    /// The system of a file that names none.
    pub fn default_system(self) -> &'static dyn AnySystem {
        self.0[0]
    }

    /// The system of a name.
    pub fn named(self, name: &str) -> Option<&'static dyn AnySystem> {
        self.0.iter().copied().find(|system| system.name() == name)
    }

    /// All known bugs, each once.
    pub fn sabotages(self) -> Vec<Sabotage> {
        each_once(self.0.iter().flat_map(|system| system.sabotages()).copied())
    }

    /// The known bug of a name.
    ///
    /// # Errors
    /// What to say of a name that none has, with the nearest.
    pub fn sabotage(self, name: &str) -> Result<Sabotage, String> {
        let known = self.sabotages();
        let found = known.iter().copied().find(|switch| switch.name() == name);
        found.ok_or_else(|| did_you_mean(name, known.iter().map(|switch| switch.name()), '"'))
    }

    /// All milestones, each once.
    pub fn milestones(self) -> Vec<Milestone> {
        each_once(self.0.iter().flat_map(|system| system.milestones()))
    }
}

/// In the order in which they first come.
fn each_once<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}
