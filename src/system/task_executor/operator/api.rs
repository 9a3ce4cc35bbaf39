//! What a user writes: operators and sources.

use super::{error::TaskError, keyed::KeyedState, output::Output, record::Record};
use crate::{
    host::Host,
    system::{
        graph::OperatorState,
        ids::{CheckpointId, ExecutionAttemptId},
    },
};
use futures::future::BoxFuture;

/// What an operator or source knows about where it runs. Cheap to clone.
#[derive(Clone)]
pub struct OperatorContext {
    /// What its node stands on.
    pub host: Host,
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// Its subtask, from 0.
    pub subtask: u32,
    /// The subtasks of its vertex.
    pub parallelism: u32,
    /// The key groups of its vertex.
    pub max_parallelism: u32,
    /// What its state is found by.
    pub uid: String,
    /// The checkpoint from which the task begins; `None`: from nothing.
    pub restored: Option<CheckpointId>,
    /// Its keyed state, restored. The task snapshots it.
    pub keyed: KeyedState,
}

/// Handles the records of one subtask, one call at a time.
///
/// A call's future is dropped half-way only when the task ends. A panic fails the task.
pub trait Operator: Send {
    /// Begins, with the state of the checkpoint that the task is restored from. Called once, before
    /// any other call; operators behind this one are open already.
    ///
    /// # Errors
    /// Fails the task.
    fn open(
        &mut self,
        context: OperatorContext,
        restored: Option<OperatorState>,
    ) -> BoxFuture<'_, Result<(), TaskError>>;

    /// Handles a record.
    ///
    /// # Errors
    /// Fails the task.
    fn process<'a>(
        &'a mut self,
        record: Record,
        output: &'a mut Output,
    ) -> BoxFuture<'a, Result<(), TaskError>>;

    /// No record comes any more; what is held back is emitted now. Does nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn finish<'a>(&'a mut self, output: &'a mut Output) -> BoxFuture<'a, Result<(), TaskError>> {
        let _ = output;
        Box::pin(std::future::ready(Ok(())))
    }

    /// The state at a checkpoint. [`OperatorState::keyed`] is filled in by the task.
    ///
    /// # Errors
    /// Fails the task.
    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'_, Result<OperatorState, TaskError>>;

    /// The checkpoint is complete, and with it every earlier one. Does nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn notify_checkpoint_complete(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        let _ = checkpoint;
        Box::pin(std::future::ready(Ok(())))
    }

    /// The task ends, however it ended. May be cut short. Does nothing by default.
    ///
    /// # Errors
    /// Fails a task that would have finished.
    fn close(&mut self) -> BoxFuture<'_, Result<(), TaskError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What a source hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceStep {
    /// Records, which its next snapshot counts as read.
    Records(Vec<Record>),
    /// There is no more, ever.
    End,
}

/// Reads records from outside. As for an [`Operator`], calls come one at a time.
pub trait Source: Send {
    /// As [`Operator::open`].
    ///
    /// # Errors
    /// Fails the task.
    fn open(
        &mut self,
        context: OperatorContext,
        restored: Option<OperatorState>,
    ) -> BoxFuture<'_, Result<(), TaskError>>;

    /// The next records. Dropped half-way it must lose nothing: it moves on only as it completes.
    ///
    /// # Errors
    /// Fails the task.
    fn next(&mut self) -> BoxFuture<'_, Result<SourceStep, TaskError>>;

    /// The state at a checkpoint; also asked for after the end.
    ///
    /// # Errors
    /// Fails the task.
    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'_, Result<OperatorState, TaskError>>;

    /// As [`Operator::notify_checkpoint_complete`].
    ///
    /// # Errors
    /// Fails the task.
    fn notify_checkpoint_complete(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        let _ = checkpoint;
        Box::pin(std::future::ready(Ok(())))
    }

    /// As [`Operator::close`].
    ///
    /// # Errors
    /// Fails a task that would have finished.
    fn close(&mut self) -> BoxFuture<'_, Result<(), TaskError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
