//! Faults: what a scenario asks for, what a seed makes of it, and how it is done to the world.

mod actor;
mod atlas;
mod inject;
mod kinds;
mod links;
mod plan;
mod process;
mod spec;
mod strike;
mod swarm;
mod term;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_nodes;
mod when;
mod words;

pub use actor::Actor;
pub use inject::{ExecutedFault, Injector};
pub use kinds::{FAULT_KINDS, FaultKind};
pub use links::LinkSpec;
pub use plan::FaultPlan;
pub use spec::{FaultSpec, Repeat, Surroundings};
pub use swarm::SWARM_NAME;
pub use term::{DelayShape, Spares};
pub use when::{Anchor, Edge, When};
pub use words::{COMMON_KEYS, FaultKey, FaultWords};
