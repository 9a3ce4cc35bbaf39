//! What must hold: invariants judged at every event, liveness judged after healing, and the
//! catalogue of protocol moments that runs should reach.

mod bounds;
mod checker;
mod expectation;
mod history;
pub mod invariant;
mod liveness;
mod milestone;
mod model;
mod stuck;

pub use bounds::TimeBounds;
pub use checker::{
    CheckReport, Checker, EventMatcher, OnProcessExit, Trigger, invariants_of, journal_invariants,
    word_count_invariants,
};
pub use expectation::{Expectation, Verdict};
pub use history::{EventKind, EventRef, KeptEvent, Moment};
pub use invariant::{Check, Invariant, Violation};
pub use liveness::{Convergence, Outlook};
pub use milestone::{Leadership, Milestone};
pub use model::{Model, Running};
pub use stuck::StuckRun;
