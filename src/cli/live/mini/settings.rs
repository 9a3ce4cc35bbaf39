//! What all processes of a word count have in common.

/// Subtasks of each of the job's vertices.
pub const PARALLELISM: u32 = 4;
