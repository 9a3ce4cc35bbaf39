//! The same run again, known bugs searched for, and what is kept of a run that failed.

mod aside;
mod determinism;
mod folder;
mod guided;
mod hunt;
mod query;
mod regression;

pub use aside::{Aside, SHRUNK, keep, keep_shrunk};
pub use determinism::{Difference, PrintedEntry, compare_traces};
pub use folder::{
    Failure, FailureRecord, FaultRecord, FolderError, INPUT_BYTES_MAX, folder_of, lines,
    save_evidence, save_report, short_verdict,
};
pub use guided::{Corpus, Seed, guided};
pub use hunt::{Detection, Hunt, HuntRun, Hunted, Search, Survey};
pub use query::{Answer, Before, Question, ShortRun};
pub use regression::{REGRESSIONS, Staleness, snapshot_file, snapshot_runs};
