//! One attempt as its task executor starts and holds it.

use super::{environment::TaskEnvironment, mailbox::Mailbox, meter::Meter, run};
use crate::system::{
    graph::TaskDeployment,
    ids::{CheckpointId, ExecutionAttemptId},
    protocol::{Finality, TaskMetrics},
    sabotage,
};
use std::sync::Arc;

/// One attempt to run a subtask.
pub struct Task;

impl Task {
    /// Starts an attempt, on a thread of its own: a function that holds its thread holds up itself alone.
    /// Every failure, an unsound deployment included, is reported.
    pub fn start(environment: TaskEnvironment, deployment: TaskDeployment) -> TaskHandle {
        let mailbox = Arc::<Mailbox>::default();
        let deployment = Arc::new(deployment);
        let meter = Arc::new(Meter::new(&environment.host));
        let handle = TaskHandle {
            mailbox: mailbox.clone(),
            deployment: deployment.clone(),
            meter: meter.clone(),
        };
        let host = environment.host.clone();
        let name = format!("{:?}", deployment.attempt);
        let task = run::run(environment, deployment, mailbox, meter);
        if host.sabotaged(sabotage::TASKS_SHARE_THE_MAIN_THREAD) {
            host.spawn(task);
            return handle;
        }
        if let Err(error) = host.spawn_on_thread(&name, task) {
            // Its future is dropped, and whoever waits for the attempt would wait for ever.
            host.exit(&format!("no thread for {name}: {error}"));
        }
        handle
    }
}

/// A running attempt, or one that has ended. Dropping it cancels the attempt.
pub struct TaskHandle {
    mailbox: Arc<Mailbox>,
    deployment: Arc<TaskDeployment>,
    meter: Arc<Meter>,
}

impl TaskHandle {
    /// Lets a source begin a checkpoint, and stop with it if it `stops`. Others learn of it by their inputs and ignore
    /// this.
    pub fn trigger_checkpoint(&self, checkpoint: CheckpointId, stops: bool) {
        self.mailbox.trigger(checkpoint, stops);
    }

    /// Lets a source end its data. Others learn of it by their inputs and ignore this.
    pub fn drain(&self) {
        self.mailbox.drain();
    }

    /// Says that a checkpoint is complete, and whether the task finishes with it.
    pub fn confirm_checkpoint(&self, checkpoint: CheckpointId, finality: Finality) {
        self.mailbox.notify_checkpoint_complete(checkpoint, finality);
    }

    /// Says that a checkpoint is given up. It is not acknowledged any more; a cancel marker of it that
    /// comes later is still answered with a decline.
    pub fn abort_checkpoint(&self, checkpoint: CheckpointId) {
        self.mailbox.abort(checkpoint);
    }

    /// Ends the attempt, once its function gives its thread back; says whether that was not asked for before.
    pub fn cancel(&self) -> bool {
        self.mailbox.cancel()
    }

    /// Whether its end was asked for.
    pub fn is_canceled(&self) -> bool {
        self.mailbox.is_canceled()
    }

    /// The attempt.
    pub fn attempt(&self) -> ExecutionAttemptId {
        self.deployment.attempt
    }

    /// What was measured of it until now; nothing before it runs.
    pub fn metrics(&self) -> TaskMetrics {
        self.meter.metrics()
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
