//! Services that answer errors of their own.

use super::stamp::NodeId;
use crate::host::{InjectedError, random::Draws};

/// What becomes of the calls that are answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Applied {
    /// They are handled.
    Yes,
    /// They are not.
    No,
    /// The one or the other, as drawn for each.
    Either,
}

/// A share of the calls on a machine's service is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceFault {
    /// How many, in a million.
    pub per_million: u32,
    /// What becomes of them.
    pub applied: Applied,
    /// Only calls whose kind begins with this; all when `None`.
    pub call: Option<String>,
    /// Only the call of this number among those that match, from 1; all when `None`.
    pub nth: Option<u64>,
}

impl ServiceFault {
    fn matches(&self, call: &str) -> bool {
        self.call.as_ref().is_none_or(|begin| call.starts_with(begin.as_str()))
    }
}

/// One fault of a machine's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceFaultId(u64);

/// The faults of a machine's service.
#[derive(Default)]
pub(in crate::host) struct InjectedErrors {
    added: u64,
    active: Vec<ActiveFault>,
}

struct ActiveFault {
    id: ServiceFaultId,
    fault: ServiceFault,
    draws: Draws,
    /// Calls that match it.
    seen: u64,
    /// Those of them that it was for.
    met: u64,
}

impl InjectedErrors {
    /// Adds a fault, with draws of its own.
    pub fn add(&mut self, seed: u64, node: NodeId, fault: ServiceFault) -> ServiceFaultId {
        self.added += 1;
        let id = ServiceFaultId(self.added);
        let draws = Draws::new(seed, "service error", [node.key(), id.0]);
        self.active.push(ActiveFault { id, fault, draws, seen: 0, met: 0 });
        id
    }

    /// How many calls a fault in force has met.
    pub fn met(&self, id: ServiceFaultId) -> u64 {
        self.active.iter().find(|active| active.id == id).map_or(0, |active| active.met)
    }

    /// Lifts a fault, or all of them; whether there was one.
    pub fn clear(&mut self, id: Option<ServiceFaultId>) -> bool {
        let before = self.active.len();
        self.active.retain(|active| id.is_some_and(|id| id != active.id));
        self.active.len() < before
    }

    /// From now on other calls fail.
    pub fn branch(&mut self, number: u32) {
        self.active.iter_mut().for_each(|fault| fault.draws.branch(number));
    }

    /// What becomes of the next call, which is of that kind, and how many draws that took.
    pub fn draw(&mut self, call: &str) -> (Option<InjectedError>, u64) {
        let mut drawn = 0;
        for ActiveFault { fault, draws, met, seen, .. } in &mut self.active {
            if !fault.matches(call) {
                continue;
            }
            *seen += 1;
            if fault.nth.is_some_and(|nth| nth != *seen) {
                continue;
            }
            drawn += 1;
            *met += 1;
            if !draws.chance(fault.per_million) {
                continue;
            }
            let applied = match fault.applied {
                Applied::Yes => true,
                Applied::No => false,
                Applied::Either => {
                    drawn += 1;
                    draws.chance(500_000)
                }
            };
            let injected_error =
                if applied { InjectedError::Applied } else { InjectedError::NotApplied };
            return (Some(injected_error), drawn);
        }
        (None, drawn)
    }
}
