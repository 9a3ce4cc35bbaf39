//! The jobs under test: a file each, with its settings, its nodes and its oracle. A new one is such a file, and two
//! lines here.

pub mod click_sessions;
pub mod job;
pub mod pipelines;
pub mod spec;
pub mod word_count;
mod workload;

use job::AnyJob;

/// Every job that scenarios can name; the first is that of a `[[job]]` without a name.
const ALL: &[&dyn AnyJob] =
    &[&word_count::WordCount, &pipelines::Pipelines, &click_sessions::ClickSessions];
