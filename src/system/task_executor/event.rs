//! The typed events that tasks announce. All of them are self-reports.

use crate::{
    host::Evidence,
    system::{
        dataflow::{Timestamp, WatermarkStatus},
        ids::{CheckpointId, ExecutionAttemptId, ResultPartitionId},
        protocol::ExecutionState,
    },
};

/// How many records went over one channel since its attempt began: partition, subpartition, records.
pub type ChannelCount = (ResultPartitionId, u32, u64);

/// An event of a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TaskEvent {
    /// The task is in this state from here on.
    StateChanged {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// From `Initializing` on.
        state: ExecutionState,
        /// Why it failed; else empty.
        reason: String,
    },
    /// The operators are open and hold this checkpoint's state.
    Restored {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint; `None`: from nothing.
        checkpoint: Option<CheckpointId>,
    },
    /// The producer has put a buffer, or an event, into a subpartition.
    BufferSent {
        /// The partition.
        partition: ResultPartitionId,
        /// The part of it.
        subpartition: u32,
        /// Counts from 0 over the channel.
        sequence: u64,
        /// The records in it; 0 for an event.
        records: u32,
        /// Of its bytes.
        hash: u64,
    },
    /// The consumer has taken a buffer, or an event, to handle it.
    BufferReceived {
        /// The partition.
        partition: ResultPartitionId,
        /// The part of it.
        subpartition: u32,
        /// Counts from 0 over the channel.
        sequence: u64,
        /// The records in it; 0 for an event.
        records: u32,
        /// Of its bytes.
        hash: u64,
    },
    /// The consumer has taken a barrier.
    BarrierReceived {
        /// The consumer.
        attempt: ExecutionAttemptId,
        /// The partition.
        partition: ResultPartitionId,
        /// The part of it.
        subpartition: u32,
        /// The barrier's checkpoint.
        checkpoint: CheckpointId,
    },
    /// The consumer has taken a watermark, or the end of the data, which is [`Timestamp::MAX`].
    WatermarkReceived {
        /// The consumer.
        attempt: ExecutionAttemptId,
        /// The partition.
        partition: ResultPartitionId,
        /// The part of it.
        subpartition: u32,
        /// The watermark.
        watermark: Timestamp,
    },
    /// The consumer was told whether watermarks come over a channel.
    WatermarkStatusReceived {
        /// The consumer.
        attempt: ExecutionAttemptId,
        /// The partition.
        partition: ResultPartitionId,
        /// The part of it.
        subpartition: u32,
        /// Whether they do.
        status: WatermarkStatus,
    },
    /// The task's first operator is told that the watermark has grown.
    WatermarkAdvanced {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// Its channels; none of a source.
        channels: usize,
        /// The watermark.
        watermark: Timestamp,
    },
    /// The operators' state was taken; no record is handled between the counts and the state.
    SnapshotTaken {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Records consumed, for each channel.
        inputs: Vec<ChannelCount>,
        /// Records sent, for each subpartition.
        outputs: Vec<ChannelCount>,
        /// Buffers and watermarks that were emitted and had no room; they belong to the state.
        kept: usize,
        /// Whether the task had reached the end of its data.
        ended: bool,
    },
    /// The task was told that the checkpoint is complete, and every operator has taken note.
    CheckpointConfirmed {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The task takes no part in the checkpoint.
    CheckpointDeclined {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: String,
    },
}

crate::event!(TaskEvent, |_| Evidence::SelfReport);
