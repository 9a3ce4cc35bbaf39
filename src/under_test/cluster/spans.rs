//! What of a cluster lasts, for the bars of a report's page: attempts where they run, checkpoints at their master.

use crate::{
    harness::event::Span,
    system::{
        ids::{CheckpointId, ExecutionAttemptId, JobId},
        job_manager::JobEvent,
        protocol::ExecutionState,
        task_executor::TaskEvent,
    },
};

const ATTEMPT: &str = "attempt";
const CHECKPOINT: &str = "checkpoint";

/// An attempt is there from its first word to its last.
pub fn task(event: &TaskEvent) -> Option<Span> {
    let TaskEvent::StateChanged { attempt, state, .. } = event else { return None };
    let key = of_attempt(*attempt);
    match state {
        ExecutionState::Initializing => Some(Span::Began { group: ATTEMPT, key }),
        state if *state >= ExecutionState::Finished => {
            Some(Span::Ended { group: ATTEMPT, key, how: state.to_string() })
        }
        _ => None,
    }
}

/// A checkpoint is there from its trigger to its outcome.
pub fn job(event: &JobEvent) -> Option<Span> {
    let ended = |job, checkpoint, how: &str| {
        let key = of_checkpoint(job, checkpoint);
        Some(Span::Ended { group: CHECKPOINT, key, how: how.to_string() })
    };
    match event {
        JobEvent::CheckpointTriggered { job, checkpoint, .. } => {
            Some(Span::Began { group: CHECKPOINT, key: of_checkpoint(*job, *checkpoint) })
        }
        JobEvent::CheckpointCompleted { job, checkpoint, .. } => {
            ended(*job, *checkpoint, "complete")
        }
        JobEvent::CheckpointAborted { job, checkpoint, cause, .. } => {
            ended(*job, *checkpoint, &format!("aborted, {cause}"))
        }
        _ => None,
    }
}

fn of_attempt(attempt: ExecutionAttemptId) -> String {
    format!("{attempt:?} of {:?}", attempt.job)
}

fn of_checkpoint(job: JobId, checkpoint: CheckpointId) -> String {
    format!("{checkpoint:?} of {job:?}")
}
