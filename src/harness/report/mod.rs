//! What a person reads of runs.

mod text;
mod timeline;

pub use text::{describe_run, describe_sweep, failure_report};
pub use timeline::{leadership_timeline, state_changes};
