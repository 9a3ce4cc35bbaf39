//! What a person reads of runs.

mod snapshot;
mod sweep;
mod text;
mod timeline;
mod words;

pub use snapshot::snapshot;
pub use sweep::{COLUMNS, cut, describe_group, describe_sweep};
pub use text::{describe_run, failure_report};
pub use timeline::{leadership_timeline, state_changes};
