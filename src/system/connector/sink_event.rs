//! What exactly-once sinks say of themselves.

use crate::{
    host::Evidence,
    system::{
        ids::{CheckpointId, ExecutionAttemptId},
        service::log::TransactionId,
    },
};

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
}

crate::event!(SinkEvent, |_| Evidence::SelfReport);
