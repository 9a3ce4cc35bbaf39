//! Services that answer errors of their own.

use super::{
    node::NodeId,
    world::{Locked, World},
};
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
    id: u64,
    fault: ServiceFault,
    draws: Draws,
    /// Calls that it has met.
    met: u64,
}

impl InjectedErrors {
    /// What becomes of the next call, and how many draws that took.
    fn draw(&mut self) -> (Option<InjectedError>, u64) {
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

/// What becomes of a call that the machine's service is about to handle.
pub(super) fn draw(locked: &mut Locked<'_>, node: NodeId, now: u64) -> Option<InjectedError> {
    let (injected_error, drawn) = locked.node(node).injected_errors.draw();
    locked.draws += drawn;
    if let Some(injected_error) = injected_error {
        let words = [u64::from(node.0), 5, u64::from(injected_error == InjectedError::Applied)];
        locked
            .digest
            .entry(now, 9, &words, || format!("{node:?} answers an error: {injected_error:?}"));
    }
    injected_error
}

impl World {
    /// Adds a fault to the machine's service.
    pub fn set_service_fault(&self, node: NodeId, fault: ServiceFault) -> ServiceFaultId {
        let now = self.shared.now();
        let mut locked = self.shared.lock();
        let words = [u64::from(node.0), 6];
        locked.digest.entry(now, 9, &words, || format!("{node:?} service fault {fault:?}"));
        let seed = locked.seed;
        let injected_errors = &mut locked.node(node).injected_errors;
        injected_errors.added += 1;
        let id = injected_errors.added;
        let draws = Draws::new(seed, "service error", [u64::from(node.0), id]);
        injected_errors.active.push(ActiveFault { id, fault, draws, met: 0 });
        ServiceFaultId(id)
    }

    /// How many calls a fault of the machine's service has met.
    pub fn service_met(&self, node: NodeId, fault: ServiceFaultId) -> u64 {
        let mut locked = self.shared.lock();
        let active = &locked.node(node).injected_errors.active;
        active.iter().find(|active| active.id == fault.0).map_or(0, |active| active.met)
    }

    /// Lifts one fault of the machine's service.
    pub fn clear_service_fault(&self, node: NodeId, fault: ServiceFaultId) {
        self.clear_injected_errors(node, |id| id == fault.0);
    }

    /// Lifts every fault of the machine's service.
    pub fn clear_service_faults(&self, node: NodeId) {
        self.clear_injected_errors(node, |_| true);
    }

    fn clear_injected_errors(&self, node: NodeId, lifted: impl Fn(u64) -> bool) {
        let now = self.shared.now();
        let mut locked = self.shared.lock();
        let active = &mut locked.node(node).injected_errors.active;
        let before = active.len();
        active.retain(|active| !lifted(active.id));
        if active.len() < before {
            let words = [u64::from(node.0), 7];
            locked.digest.entry(now, 9, &words, || format!("{node:?} service fault lifted"));
        }
    }
}
