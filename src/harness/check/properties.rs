//! Judges properties: an `always!` that fails breaks a promise of its own name.

use super::invariant::Violation;
use crate::{
    harness::event::Moment,
    host::{Property, PropertyEvent, PropertyKind},
};
use std::collections::{BTreeMap, BTreeSet};

/// The properties of one run.
pub(super) struct Properties {
    /// How often each condition was evaluated. They are few and evaluated often, so the place of the static
    /// tells them apart.
    counts: Vec<(&'static Property, u64)>,
    broken: BTreeSet<&'static Property>,
}

impl Properties {
    /// Those that a system's code is known to have; others are met.
    pub fn new(known: Vec<&'static Property>) -> Self {
        let counts = known.into_iter().map(|property| (property, 0)).collect();
        Properties { counts, broken: BTreeSet::new() }
    }

    /// Counts an evaluation.
    pub fn count(&mut self, property: &'static Property) {
        match self.counts.iter_mut().find(|(known, _)| std::ptr::eq(*known, property)) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((property, 1)),
        }
    }

    /// Counts an evaluation that was announced, and says if it breaks a promise. Only the first of a
    /// property does: the same line may fail at every step until the run is ended.
    pub fn judge(&mut self, at: Moment, event: &PropertyEvent) -> Option<Violation> {
        let property = event.property;
        self.count(property);
        if !event.is_violation() || !self.broken.insert(property) {
            return None;
        }
        let now = match &event.details[..] {
            "" => "it does not hold".to_string(),
            details => details.to_string(),
        };
        let rule = [property.name(), property.title(), property.claim()];
        let before = format!("claimed in {}", property.place());
        Some(Violation::new(rule, at, &before, &now))
    }

    /// How often each condition was evaluated, by title. A line has none.
    pub fn evaluations(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (property, count) in &self.counts {
            if property.kind() != PropertyKind::Reachable {
                *counts.entry(property.title()).or_default() += count;
            }
        }
        counts
    }
}
