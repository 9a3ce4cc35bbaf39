//! What a person reads of runs.

mod bars;
mod causes;
mod difference;
mod lost;
mod moment;
mod page;
mod plain;
mod snapshot;
mod stuck;
mod subject;
mod sweep;
mod text;
mod timeline;

pub use causes::entry_in_words;
pub use difference::difference;
pub use lost::{Lost, Outlook};
pub use moment::{node_at, nodes_like};
pub use page::page;
pub use snapshot::snapshot;
pub use sweep::{describe_group, describe_sweep};
pub use text::{came_to, describe_run, failure_report};
pub use timeline::{changes_until, history, leadership_timeline, state_changes};
