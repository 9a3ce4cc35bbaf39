//! What a task works with, and what it says of itself.

use crate::{
    host::Host,
    system::{
        dataflow::{Programs, WorkingFolders},
        graph::StateHandle,
        ids::{CheckpointId, ExecutionAttemptId},
        protocol::ExecutionState,
        service::Services,
        task_executor::{PartitionRequestBackoff, ShuffleEnvironment},
    },
};
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
    /// How long a record may wait in a buffer that is not full. Zero: not at all. What records or timers have led to that
    /// came together, few of them, is sent before more is read; while a reader has no room, whatever comes meanwhile goes
    /// together.
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
    /// The programs of this binary.
    pub programs: Programs,
    /// The services of the cluster: state lies in its object store.
    pub services: Services,
    /// Folders of the disk for what tasks keep there while they run.
    pub folders: WorkingFolders,
    /// Who is told.
    pub responder: Arc<dyn TaskResponder>,
    /// How it runs.
    pub config: TaskConfig,
}

/// The name of the object that holds a task's part of a checkpoint.
pub fn state_object(attempt: ExecutionAttemptId, checkpoint: CheckpointId) -> String {
    let ExecutionAttemptId { job, vertex, epoch } = attempt;
    format!("{job}/chk-{checkpoint}/{}-{}-{epoch}", vertex.vertex.0, vertex.subtask)
}
