//! One run, and many runs: boot, faults, healing, convergence, verdict; and what a sweep came to.

#[expect(clippy::module_inception, reason = "one run, of those that this folder is about")]
mod run;
mod summary;
mod sweep;

pub use run::{RunConfig, RunOutcome, run, run_on_fresh_thread};
pub use summary::{FailedRun, FailureGroup, FaultCounts, KindCounts, SweepSummary, in_common};
pub use sweep::{ScenarioTally, Sweep, SweepRun, add_counts, never_reached, sweep, watched_sweep};
