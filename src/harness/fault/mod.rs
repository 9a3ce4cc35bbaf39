//! Faults: what a scenario asks for, what a seed makes of it, and how it is done to the world.

mod actor;
mod inject;
mod plan;
mod spec;
mod words;
mod write;

pub use actor::Actor;
pub use inject::{ExecutedFault, Injector};
pub use plan::{FaultPlan, PlannedFault, PlannedKind, PlannedWhen};
pub use spec::{DISK_OPERATIONS, FaultKind, FaultSpec, LinkSpec, Repeat, Surroundings, When};
pub use words::{COMMON_KEYS, FAULT_KINDS, FaultKey, FaultWords};
