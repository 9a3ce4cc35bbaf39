//! What a log source tells.

use crate::{
    host::Evidence,
    system::ids::{CheckpointId, ExecutionAttemptId},
};

/// An event of a log source; a self-report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceEvent {
    /// A partition is read that was not there when the job was submitted, from its begin on.
    PartitionDiscovered {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// By a checkpoint so much was handled; the group is told once the checkpoint is complete.
    OffsetsTaken {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// For each partition that the attempt reads, the first record that was not handled.
        offsets: Vec<(u32, u64)>,
    },
}

crate::event!(SourceEvent, |_| Evidence::SelfReport);
