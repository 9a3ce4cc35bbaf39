//! What a person reads of runs.

mod snapshot;
mod text;
mod timeline;
mod words;
mod wrap;

pub use snapshot::snapshot;
pub use text::{describe_run, describe_sweep, failure_report};
pub use timeline::{leadership_timeline, state_changes};
pub use wrap::{COLUMNS, wrap};
