//! Why a task fails, and the fence around user code.

use crate::system::{ids::ResultPartitionId, panic::panic_text, task_executor::ChannelError};
use futures::FutureExt;
use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Why a task fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// An operator, source or key selector says so.
    #[error("{0}")]
    User(String),
    /// An operator, source, factory or key selector panicked.
    #[error("panic in user code: {0}")]
    Panicked(String),
    /// Nothing is registered under the name.
    #[error("no {what} is registered as {name:?}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The factory refuses the parameters.
    #[error("the parameters of {name:?} are refused: {reason}")]
    Parameters {
        /// The registered name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The deployment can't be run by anyone.
    #[error("the deployment is unsound: {0}")]
    Deployment(String),
    /// The state to begin with can't be had.
    #[error("the state can't be restored: {0}")]
    Restore(String),
    /// A record is longer than a buffer holds.
    #[error("a record of {0} bytes is too long")]
    RecordTooLong(usize),
    /// A key belongs to another subtask.
    #[error("key group {0} belongs to another subtask")]
    ForeignKey(u32),
    /// A channel that the task reads is lost.
    #[error("reading part {subpartition} of {partition:?}: {reason}")]
    Input {
        /// What was read.
        partition: ResultPartitionId,
        /// The part of it.
        subpartition: u32,
        /// Why.
        reason: ChannelError,
    },
    /// A consumer of the task is lost.
    #[error("the reader of part {subpartition} of {partition:?} is gone")]
    ReaderGone {
        /// What was read.
        partition: ResultPartitionId,
        /// The part of it.
        subpartition: u32,
    },
}

fn panicked(panic: &(dyn Any + Send)) -> TaskError {
    TaskError::Panicked(panic_text(panic))
}

/// Runs a call into user code.
pub async fn guarded<T>(call: impl Future<Output = Result<T, TaskError>>) -> Result<T, TaskError> {
    let result = AssertUnwindSafe(call).catch_unwind().await;
    result.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// Runs a synchronous call into user code.
pub fn caught<T>(call: impl FnOnce() -> Result<T, TaskError>) -> Result<T, TaskError> {
    let result = catch_unwind(AssertUnwindSafe(call));
    result.unwrap_or_else(|panic| Err(panicked(&*panic)))
}
