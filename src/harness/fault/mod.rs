//! Faults: what a scenario asks for, what a seed makes of it, and how it is done to the world.

mod inject;
mod kinds;
mod links;
mod partition;
mod plan;
mod process;
mod spec;
mod strike;
mod swarm;
mod target;
mod term;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_nodes;
mod tolerance;
mod when;
mod words;

pub use inject::{ExecutedFault, Injector};
pub use kinds::{FAULT_KINDS, FaultKind};
pub use links::LinkSpec;
pub use partition::PartitionSpec;
pub use plan::FaultPlan;
pub use spec::{FaultSpec, Repeat, Surroundings};
pub use swarm::SWARM_NAME;
pub use target::Target;
pub use term::{DelayShape, Tolerates};
pub use when::{Edge, TriggerCondition, When};
pub use words::{COMMON_KEYS, FaultKey, FaultWords};
