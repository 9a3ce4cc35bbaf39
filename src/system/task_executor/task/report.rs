//! What a task says of itself, to its responder and as events.

use super::{
    environment::{TaskResponder, TaskStateUpdate},
    meter::Meter,
};
use crate::{
    host::Host,
    system::{
        graph::StateHandle,
        ids::{CheckpointId, ExecutionAttemptId},
        reason::shortened,
        task_executor::TaskEvent,
    },
};
use std::sync::Arc;

/// Speaks for one attempt.
#[derive(Clone)]
pub struct Reporter {
    pub host: Host,
    pub attempt: ExecutionAttemptId,
    pub responder: Arc<dyn TaskResponder>,
    pub meter: Arc<Meter>,
}

impl Reporter {
    pub fn state(&self, mut update: TaskStateUpdate) {
        let mut reason = String::new();
        if let TaskStateUpdate::Failed(why) = &mut update {
            // It is what user code said, and must fit in a message.
            why.truncate(shortened(why).len());
            reason.clone_from(why);
        }
        let (attempt, state) = (self.attempt, update.state());
        self.host.announce(&TaskEvent::StateChanged { attempt, state, reason });
        self.responder.state_changed(attempt, update);
    }

    pub fn acknowledge(&self, checkpoint: CheckpointId, state: StateHandle, ended: bool) {
        self.responder.acknowledge_checkpoint(self.attempt, checkpoint, state, ended);
    }

    pub fn decline(&self, checkpoint: CheckpointId, reason: &str) {
        let (attempt, reason) = (self.attempt, shortened(reason).to_string());
        let declined =
            TaskEvent::CheckpointDeclined { attempt, checkpoint, reason: reason.clone() };
        self.host.announce(&declined);
        self.responder.decline_checkpoint(attempt, checkpoint, reason);
    }
}
