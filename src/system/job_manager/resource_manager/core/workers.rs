//! What is known of the task executors that a provider gives.

use crate::{
    host::{Instant, Switches},
    system::{
        ids::{ResourceId, TaskExecutorSession},
        job_manager::WorkerSettings,
        sabotage,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// A worker that has not registered, or does so no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    pub since: Instant,
    pub asked: Asked,
}

/// What the provider knows of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The request of this number is on its way.
    Asking(u64),
    /// It got no answer, and is to be made again.
    Unanswered(u64),
    /// It has it; so many lists were asked for before that was known, and a later one without it says that it is
    /// gone.
    Known(u64),
}

/// What is known of workers during one term.
pub(super) struct Workers {
    pub settings: WorkerSettings,
    pub switches: Switches,
    /// What the names begin with.
    pub prefix: String,
    /// How many were asked for in this term.
    pub drawn: u64,
    pub attached: bool,
    pub awaited: BTreeMap<ResourceId, Awaited>,
    /// Those of them that are registered.
    pub registered: BTreeSet<ResourceId>,
    /// Since when registered ones hold no slot for a job.
    pub idle: BTreeMap<ResourceId, Instant>,
    /// To be given back, until the provider has answered.
    pub releasing: BTreeSet<ResourceId>,
    /// Lives of workers whose place another life has taken: two machines must not go by one name.
    pub displaced: BTreeSet<(ResourceId, TaskExecutorSession)>,
    /// After a refusal nothing is asked for before.
    pub not_before: Option<Instant>,
    pub looks: u64,
    pub lists: u64,
}

impl Workers {
    /// None; `prefix` was drawn for this term.
    pub fn new(settings: WorkerSettings, prefix: String, switches: Switches) -> Self {
        Workers {
            settings,
            switches,
            prefix,
            drawn: 0,
            attached: false,
            awaited: BTreeMap::new(),
            registered: BTreeSet::new(),
            idle: BTreeMap::new(),
            releasing: BTreeSet::new(),
            displaced: BTreeSet::new(),
            not_before: None,
            looks: 0,
            lists: 0,
        }
    }

    /// All of them, those included that are being given back.
    pub fn count(&self) -> usize {
        self.awaited.len() + self.registered.len() + self.releasing.len()
    }

    /// Whether a task executor must never be registered: it was given back, or another one has its name.
    pub fn rejects(
        &self,
        resource: &ResourceId,
        session: TaskExecutorSession,
    ) -> Option<&'static str> {
        let is_owned = self.awaited.contains_key(resource) || self.registered.contains(resource);
        let is_named =
            resource.0.strip_prefix("worker-").is_some_and(|of| of.starts_with(&self.prefix));
        if self.releasing.contains(resource) || is_named && !is_owned {
            return Some("it was given back, or came too late");
        }
        let displaced = self.displaced.contains(&(resource.clone(), session));
        let obeyed = self.switches.on(sabotage::TWINS_TAKE_TURNS);
        (displaced && !obeyed).then_some("another one registered under its name")
    }

    /// One life takes the place of another.
    pub fn displace(&mut self, resource: &ResourceId, former: TaskExecutorSession) {
        if self.registered.contains(resource) {
            self.displaced.insert((resource.clone(), former));
        }
    }

    /// A task executor is registered.
    pub fn on_registered(&mut self, resource: &ResourceId) {
        if self.awaited.remove(resource).is_some() {
            self.registered.insert(resource.clone());
        }
    }

    /// A registration is over; the worker may come again, or be gone.
    pub fn on_gone(&mut self, now: Instant, resource: &ResourceId) -> bool {
        self.idle.remove(resource);
        if !self.registered.remove(resource) || self.switches.on(sabotage::LOST_WORKERS_FORGOTTEN) {
            return false;
        }
        let awaited = Awaited { since: now, asked: Asked::Known(self.lists) };
        self.awaited.insert(resource.clone(), awaited);
        true
    }

    /// What holds after every call.
    pub fn check_invariants(&self, registered: &BTreeSet<&ResourceId>) {
        for worker in &self.registered {
            assert!(registered.contains(worker), "{worker} is taken for registered");
        }
        for worker in self.awaited.keys() {
            assert!(!registered.contains(worker), "{worker} is awaited and has come");
            assert!(!self.releasing.contains(worker), "{worker} is awaited and given back");
        }
        for worker in self.idle.keys() {
            assert!(self.registered.contains(worker), "{worker} is idle and not there");
        }
    }
}
