//! Running: one run, many runs, the same run again.

mod determinism;
mod hunt;
mod run;
mod summary;
mod sweep;

pub use determinism::{Difference, compare_traces};
pub use hunt::{Fate, Hunt, Hunted, Search};
pub use run::{Output, RunConfig, RunOutcome, run, run_on_fresh_thread};
pub use summary::{FailedRun, FailureGroup, SweepSummary};
pub use sweep::{ScenarioTally, Sweep, SweepRun, add_counts, never_reached, sweep};
