//! One run, and many runs: boot, faults, healing, convergence, verdict; and what a sweep came to.

mod recipe;
#[expect(clippy::module_inception, reason = "one run, of those that this folder is about")]
mod run;
mod signature;
mod summary;
mod sweep;

pub use recipe::{BranchPoint, Recipe, RunBranch};
pub use run::{RunConfig, RunOutcome, run, run_on_fresh_thread};
pub use signature::Signature;
pub(in crate::harness) use summary::without_numbers;
pub use summary::{FailedRun, FailureGroup, FaultCounts, KindCounts, SweepSummary, in_common};
pub use sweep::{ScenarioTally, Sweep, SweepRun, add_counts, never_reached, sweep, watched_sweep};
