//! What must hold: invariants judged at every fact, liveness judged after healing, and the
//! catalogue of protocol moments that runs should reach.

mod bounds;
mod expectation;
mod history;
pub mod invariant;
mod judge;
mod lawful;
mod liveness;
mod milestone;
mod model;

pub use bounds::TimeBounds;
pub use expectation::{Expectation, Verdict};
pub use history::{Family, Known, Moment, Seen};
pub use invariant::{Check, Invariant, Violation};
pub use judge::{
    Judge, Ruling, Trigger, Undertaker, Wanted, invariants_of, journal_invariants,
    word_count_invariants,
};
pub use lawful::StuckRun;
pub use liveness::{Convergence, Outlook};
pub use milestone::{Leadership, Milestone};
pub use model::{Model, Running};
