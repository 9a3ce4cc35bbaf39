//! What a person reads of runs.

mod bars;
mod causes;
mod names;
mod page;
mod snapshot;
mod sweep;
mod text;
mod timeline;

pub use names::with_names;
pub use page::page;
pub use snapshot::snapshot;
pub use sweep::{describe_group, describe_sweep};
pub use text::{came_to, describe_run, failure_report};
pub use timeline::{history, leadership_timeline, state_changes};
