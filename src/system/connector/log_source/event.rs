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
    /// Retention removed records before any attempt of the job could read them.
    RecordsMissed {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Where it was to begin.
        from: u64,
        /// Where it begins.
        to: u64,
    },
    /// A checkpoint goes on there once it is restored. If there is a group, it is told so once the checkpoint is complete.
    OffsetsTaken {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The topic.
        topic: String,
        /// For each partition that the attempt reads, the first record that was not handled.
        next: Vec<(u32, u64)>,
        /// The group.
        group: Option<String>,
    },
}

crate::event!(SourceEvent, |_| Evidence::SelfReport);
