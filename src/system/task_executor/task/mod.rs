//! One attempt, from its start to its one terminal report.

mod alignment;
mod mailbox;
mod report;
mod run;
mod stream_task;
mod upload;

use super::{OperatorRegistry, PartitionRequestBackoff, ShuffleEnvironment, StateStore};
use crate::{
    host::Host,
    system::{
        graph::{StateHandle, TaskDeployment},
        ids::{CheckpointId, ExecutionAttemptId},
        protocol::ExecutionState,
    },
};
use mailbox::Mailbox;
use report::Reporter;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// A state that a task has come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskStateUpdate {
    /// It restores its operators and looks for its inputs.
    Initializing,
    /// It takes part in checkpoints from here on.
    Running,
    /// All its work is done and confirmed. Terminal, as the next two.
    Finished,
    /// It failed; the text is for people.
    Failed(String),
    /// It was told to end.
    Canceled,
}

impl TaskStateUpdate {
    /// Whether nothing of the attempt has any effect after it.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, TaskStateUpdate::Initializing | TaskStateUpdate::Running)
    }

    /// The state in events.
    pub fn state(&self) -> ExecutionState {
        match self {
            TaskStateUpdate::Initializing => ExecutionState::Initializing,
            TaskStateUpdate::Running => ExecutionState::Running,
            TaskStateUpdate::Finished => ExecutionState::Finished,
            TaskStateUpdate::Failed(_) => ExecutionState::Failed,
            TaskStateUpdate::Canceled => ExecutionState::Canceled,
        }
    }
}

/// Is told what becomes of a task, from within the task. Must not block.
pub trait TaskResponder: Send + Sync {
    /// The task has come to a state; a terminal one comes once, and last of all reports.
    fn state_changed(&self, attempt: ExecutionAttemptId, update: TaskStateUpdate);

    /// The task's part of a checkpoint is durable; `ended`: it was taken at the end of its data.
    fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        state: StateHandle,
        ended: bool,
    );

    /// The task takes no part in a checkpoint.
    fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: String,
    );
}

/// How tasks run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// How long a record may wait in a buffer that is not full.
    pub buffer_timeout: Duration,
    /// What handling one record takes; slept after each buffer or batch.
    pub service_time: Duration,
    /// How partitions are asked for.
    pub partition_request: PartitionRequestBackoff,
    /// How long operators may take to close.
    pub close_timeout: Duration,
}

impl Default for TaskConfig {
    /// Buffers of 100 ms, no service time, a second to close.
    fn default() -> Self {
        TaskConfig {
            buffer_timeout: Duration::from_millis(100),
            service_time: Duration::ZERO,
            partition_request: PartitionRequestBackoff::default(),
            close_timeout: Duration::from_secs(1),
        }
    }
}

/// What a task works with. Cheap to clone.
#[derive(Clone)]
pub struct TaskEnvironment {
    /// What its node stands on.
    pub host: Host,
    /// The task executor's partitions.
    pub exchange: ShuffleEnvironment,
    /// What deployments may name.
    pub registry: Arc<OperatorRegistry>,
    /// Where state lies.
    pub state_store: Arc<dyn StateStore>,
    /// Who is told.
    pub responder: Arc<dyn TaskResponder>,
    /// How it runs.
    pub config: TaskConfig,
}

/// One attempt to run a subtask.
pub struct Task;

impl Task {
    /// Starts an attempt. Every failure, an unsound deployment included, is reported.
    pub fn start(environment: TaskEnvironment, deployment: TaskDeployment) -> TaskHandle {
        let mailbox = Arc::<Mailbox>::default();
        let deployment = Arc::new(deployment);
        let handle = TaskHandle { mailbox: mailbox.clone(), deployment: deployment.clone() };
        let host = environment.host.clone();
        host.spawn(run::run(environment, deployment, mailbox));
        handle
    }
}

/// A running attempt, or one that has ended. Dropping it cancels the attempt.
pub struct TaskHandle {
    mailbox: Arc<Mailbox>,
    deployment: Arc<TaskDeployment>,
}

impl TaskHandle {
    /// Lets a source begin a checkpoint. Others learn of it by their inputs and ignore this.
    pub fn trigger_checkpoint(&self, checkpoint: CheckpointId) {
        self.mailbox.trigger(checkpoint);
    }

    /// Says that a checkpoint is complete; `is_final`: every task took part at the end of its data, so
    /// the task finishes.
    pub fn confirm_checkpoint(&self, checkpoint: CheckpointId, is_final: bool) {
        self.mailbox.notify_checkpoint_complete(checkpoint, is_final);
    }

    /// Says that a checkpoint is given up. It is not acknowledged any more; a cancel marker of it that
    /// comes later is still answered with a decline.
    pub fn abort_checkpoint(&self, checkpoint: CheckpointId) {
        self.mailbox.abort(checkpoint);
    }

    /// Ends the attempt.
    pub fn cancel(&self) {
        self.mailbox.cancel();
    }

    /// The attempt.
    pub fn attempt(&self) -> ExecutionAttemptId {
        self.deployment.attempt
    }

    /// What it runs.
    pub fn deployment(&self) -> &TaskDeployment {
        &self.deployment
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The name of the blob that holds a task's part of a checkpoint.
pub fn state_blob(attempt: ExecutionAttemptId, checkpoint: CheckpointId) -> String {
    let ExecutionAttemptId { job, vertex, epoch } = attempt;
    format!("{job}/chk-{checkpoint}/{}-{}-{epoch}", vertex.vertex.0, vertex.subtask)
}
