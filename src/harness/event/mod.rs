//! Events as the harness sees them: their kinds, what histories keep, the moments on which faults hang.

mod hardware;
mod history;
mod kind;
mod milestone;
mod moment;
mod property;

pub use hardware::{OF_PROCESSES, end_name};
pub use history::{HISTORY_BYTES_MAX, RunHistory};
pub use kind::{EventKind, KeptEvent, Leadership, Reported, Span, event_as};
pub use milestone::{Answer, Ask, AskedValues, Milestone, MilestoneSpec, OfState};
pub use moment::Moment;
pub(in crate::harness) use moment::without_entries;
pub use property::milestones_of_properties;
