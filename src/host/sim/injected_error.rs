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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceFault {
    /// How many, in a million.
    pub per_million: u32,
    /// What becomes of them.
    pub applied: Applied,
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
    /// Calls that it has met.
    met: u64,
}

impl InjectedErrors {
    /// Adds a fault, with draws of its own.
    pub fn add(&mut self, seed: u64, node: NodeId, fault: ServiceFault) -> ServiceFaultId {
        self.added += 1;
        let id = ServiceFaultId(self.added);
        let draws = Draws::new(seed, "service error", [node.key(), id.0]);
        self.active.push(ActiveFault { id, fault, draws, met: 0 });
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

    /// What becomes of the next call, and how many draws that took.
    pub fn draw(&mut self) -> (Option<InjectedError>, u64) {
        let mut drawn = 0;
        for ActiveFault { fault, draws, met, .. } in &mut self.active {
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
