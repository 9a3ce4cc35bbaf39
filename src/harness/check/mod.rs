//! What must hold: invariants judged at every event, and what a healed system must come to.

mod checker;
mod clocks;
mod convergence;
mod history;
mod invariant;
mod linearizability;
mod model;
mod no_panic;
mod properties;
mod verdict;

pub(in crate::harness) use checker::Watch;
pub use checker::{CheckReport, Checker, EventMatcher, Exits, OnProcessExit, Trigger};
pub use clocks::{Clocks, Mark};
pub(in crate::harness) use convergence::{AnyGoal, Convergence};
pub use convergence::{Goal, GoalContext, Outlook};
pub use history::{History, process};
pub(in crate::harness) use invariant::{AnyInvariant, any_invariants};
pub use invariant::{Check, Invariant, Violation};
pub use linearizability::{Linearizability, Operation, SequentialObject, linearizability};
pub(in crate::harness) use model::model_as;
pub use model::{AnyModel, Model};
pub use no_panic::NoPanic;
pub use verdict::Verdict;
