//! The cluster on simulated machines.

mod cluster;
mod journal;
mod word_count;

pub use cluster::{Cluster, Main, RESTART_DELAY, Role};
pub use journal::{journal_lines, journal_nodes};
pub use word_count::{job_of_seed, least_to_write, word_count_lines, word_count_nodes};
