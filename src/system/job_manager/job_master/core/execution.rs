//! The present attempts of a job's subtasks.

use crate::{
    host::Instant,
    system::{
        ids::{AllocationId, ExecutionAttemptId, ResourceId, TaskExecutorSession},
        protocol::{SubtaskMetrics, TaskExecutionState},
    },
};

/// One attempt, as the job's master knows it.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// How far it is.
    pub state: TaskExecutionState,
    /// Since when.
    pub since: Instant,
    /// The slot in which it runs.
    pub allocation: AllocationId,
    /// Where.
    pub resource: ResourceId,
    /// Which life of the task executor.
    pub executor: TaskExecutorSession,
    /// The version of the task executor's tasks when it took this one; `None` before its answer.
    pub deployed: Option<u64>,
    /// What its task executor told of it.
    pub metrics: SubtaskMetrics,
}

impl Execution {
    /// Moves to a state unless it is past it already; calls come in any order. Says whether it moved.
    pub fn advance(&mut self, now: Instant, state: TaskExecutionState) -> bool {
        let moves = rank(&state) > rank(&self.state);
        if moves {
            (self.state, self.since) = (state, now);
        }
        moves
    }
}

/// Where a state stands in the life of an attempt. Terminal ones are final.
fn rank(state: &TaskExecutionState) -> u32 {
    match state {
        TaskExecutionState::Created => 0,
        TaskExecutionState::Deploying => 1,
        TaskExecutionState::Initializing => 2,
        TaskExecutionState::Running => 3,
        TaskExecutionState::Canceling => 4,
        TaskExecutionState::Finished
        | TaskExecutionState::Canceled
        | TaskExecutionState::Failed(_) => 5,
    }
}
