//! Why a checkpoint comes to nothing, or a task executor is given up.

use crate::system::{
    heartbeat::HeartbeatSession,
    ids::{CheckpointId, ExecutionAttemptId, TaskExecutorSession},
    protocol::JobStatus,
};
use std::fmt;

/// Why a master gives a checkpoint up; shown as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AbortCause {
    /// It is not complete within its time-out.
    TooLong,
    /// An attempt of its plan can't take part.
    Declined {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// What the attempt says.
        why: String,
    },
    /// The part of an attempt names a file that has been removed.
    FileGone {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The file.
        file: String,
    },
    /// A newer one is complete.
    Subsumed {
        /// The newer one.
        by: CheckpointId,
    },
    /// Its job has failed, and restarts.
    Failure {
        /// Failures in this term so far, with this one.
        failures: u32,
        /// Why it has failed.
        why: String,
    },
    /// Its job ends.
    Ends {
        /// The status with which it does.
        status: JobStatus,
        /// Why it ends.
        why: String,
    },
    /// The object store refuses its metadata.
    Refused {
        /// Why.
        why: String,
    },
    /// Its pointer got no answer in time, and is excluded for ever.
    Fenced,
    /// What is kept of its job says that it is to be canceled.
    Canceled,
}

/// Why a master gives a task executor up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossCause {
    /// The task executor said that it ends that connection.
    Told(HeartbeatSession),
    /// Nothing is heard over that connection, or nobody is found.
    Silent(HeartbeatSession),
    /// It connects in another life.
    NewLife(TaskExecutorSession),
}

impl fmt::Display for AbortCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AbortCause::TooLong => f.write_str("it took too long"),
            AbortCause::Declined { attempt, why } => write!(f, "{attempt:?} declined: {why}"),
            AbortCause::FileGone { attempt, file } => {
                write!(f, "{attempt:?} names {file}, which is there no more")
            }
            AbortCause::Subsumed { .. } => f.write_str("a newer one is complete"),
            AbortCause::Failure { why, .. }
            | AbortCause::Ends { why, .. }
            | AbortCause::Refused { why } => f.write_str(why),
            AbortCause::Fenced => f.write_str("its pointer got no answer in time"),
            AbortCause::Canceled => f.write_str("the job is to be canceled"),
        }
    }
}
