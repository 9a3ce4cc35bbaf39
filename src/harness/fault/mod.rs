//! Faults: their kinds, when they begin, whom they strike, and the faults that seeds generate. What they do to
//! the simulated machines is in [`nemesis`](super::nemesis).

mod among;
mod form;
mod generated;
mod generator;
mod kinds;
mod links;
mod partition;
mod planned;
mod spec;
mod swarm;
mod targets;
mod tolerance;
mod values;
mod when;
mod widened;
mod window;
mod words;

pub use among::Among;
pub use form::{Drawn, Form, Ranges};
pub use generator::SWARM_NAME;
pub(in crate::harness) use generator::generate;
pub use kinds::{FAULT_KINDS, FaultKind, fault_kinds};
pub use links::LinkSpec;
pub use partition::PartitionSpec;
pub use planned::PlannedFault;
pub use spec::{FaultSpec, Repeat};
pub use swarm::SwarmSpec;
pub use targets::Targets;
pub use values::{CallPrefix, DelayShape, Tolerates};
pub use when::{Edge, Surroundings, TriggerCondition, When, milestone};
pub use window::Window;
pub use words::{COMMON_KEYS, FaultKey, FaultWords};
