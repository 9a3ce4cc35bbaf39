//! The jobs under test: a file each, with its settings, its nodes and its oracle. A new one is such a file, and a
//! line in [`spec`].

mod job;
pub mod spec;
pub mod word_count;

pub use job::{BegunJob, JobRun};
pub use spec::JobSpec;
