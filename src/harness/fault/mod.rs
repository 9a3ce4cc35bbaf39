//! Faults: what a scenario asks for, what a seed makes of it, and how it is done to the world.

mod actor;
mod inject;
mod plan;
mod spec;
mod write;

pub use actor::Actor;
pub use inject::{ExecutedFault, Injector};
pub use plan::{FaultPlan, PlannedFault, PlannedKind, PlannedWhen};
pub use spec::{FAULT_KINDS, FaultKind, FaultSpec, LinkSpec, Repeat, When};
