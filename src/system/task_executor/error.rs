//! Why a task fails, and the fence around user code.

use crate::system::{
    dataflow::Failure, ids::ResultPartitionId, panic::panic_text, task_executor::ChannelError,
};
use futures::FutureExt;
use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Why a task fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A function, operator, source or sink says so.
    #[error("{0}")]
    User(String),
    /// A function, operator, source or sink panicked.
    #[error("panic in user code: {0}")]
    Panicked(String),
    /// The deployment can't be run by anyone.
    #[error("the deployment is unsound: {0}")]
    Deployment(String),
    /// The state to begin with can't be had.
    #[error("the state can't be restored: {0}")]
    Restore(String),
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

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        TaskError::User(failure.0)
    }
}

fn panicked(panic: &(dyn Any + Send)) -> TaskError {
    TaskError::Panicked(panic_text(panic))
}

/// Runs a call into user code that may wait.
pub async fn guarded<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, TaskError> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => result.map_err(TaskError::from),
        Err(panic) => Err(panicked(&*panic)),
    }
}

/// Runs a call into user code.
pub fn caught<T, E: Into<TaskError>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, TaskError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => Err(panicked(&*panic)),
    }
}
