//! Running: one run, many runs, the same run again, and what is kept of a run that failed.

mod aside;
mod determinism;
mod folder;
mod hunt;
mod regression;
mod run;
mod summary;
mod sweep;

pub use aside::{Aside, keep};
pub use determinism::{Difference, compare_traces};
pub use folder::{
    Failure, FailureRecord, FaultRecord, FolderError, INPUT_BYTES_MAX, lines, save_evidence,
    save_report,
};
pub use hunt::{Fate, Hunt, Hunted, Search};
pub use regression::{REGRESSIONS, Staleness, snapshot_file, snapshot_runs};
pub use run::{Output, RunConfig, RunOutcome, run, run_on_fresh_thread};
pub use summary::{FailedRun, FailureGroup, FaultCounts, KindCounts, SweepSummary, in_common};
pub use sweep::{ScenarioTally, Sweep, SweepRun, add_counts, never_reached, sweep, watched_sweep};
