//! What exactly-once sinks say of themselves.

use crate::{
    host::Evidence,
    system::{
        ids::{CheckpointId, ExecutionAttemptId},
        service::log::TransactionId,
    },
};
use bytes::Bytes;

/// An event of a sink; a self-report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SinkEvent {
    /// A transaction waits for its checkpoint.
    Prepared {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint that covers it.
        checkpoint: CheckpointId,
        /// The transaction.
        transaction: TransactionId,
    },
    /// Rows for a database wait for their checkpoint.
    RowsWait {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint that covers them.
        checkpoint: CheckpointId,
        /// As whom the sink writes.
        writer: String,
    },
    /// A part of a file is full, or a barrier has come; it will be put under its pending name.
    PartRolled {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// Its name until its checkpoint is complete.
        pending: String,
        /// Its final name.
        file: String,
        /// What it holds: lines, each with its line break.
        content: Bytes,
    },
    /// Parts that were rolled since the barrier before, in their order, wait for their checkpoint.
    PartsWait {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint that covers them.
        checkpoint: CheckpointId,
        /// Their final names.
        files: Vec<String>,
    },
}

crate::event!(SinkEvent, |_| Evidence::SelfReport);
