//! Deployment, failover, cancellation and the end of the job. All tasks are one pipelined region:
//! they start, fail and start again together.

use super::{Execution, JobMaster, failures};
use crate::system::{
    graph::{
        ExecutionVertex, InputChannelDeployment, InputGateDeployment, RestartStrategy,
        ResultPartitionDeployment, TaskDeployment, TaskRestore,
    },
    ids::{
        AllocationId, ExecutionAttemptId, ExecutionVertexId, JobVertexId, ResultPartitionId, SlotId,
    },
    job_manager::event::JobEvent,
    protocol::{DeployRefusal, JobStatus, TaskExecutionState},
    rpc::{Context, RpcError},
    store::{CheckpointIdCounter, StoreError},
};
use std::{collections::BTreeMap, time::Duration};

/// How often the delay before a restart is doubled at most.
const DOUBLINGS_MAX: u32 = 5;

/// Where the scheduler stands.
#[derive(Debug, Default)]
pub(super) struct Scheduling {
    /// Grows with every change of plan; what was begun under an older one is dropped.
    version: u64,
    /// An epoch is being drawn for the next deployment.
    drawing: bool,
    /// Failures so far.
    restarts: u32,
    /// The job may not restart once more, unless its final checkpoint is complete.
    exhausted: bool,
    /// The delay before the next start has not passed.
    delayed: bool,
}

impl JobMaster {
    /// Deploys if everything is there: no attempt left, the delay over, no checkpoint in between,
    /// all slots held.
    pub(super) fn schedule(&mut self, context: &mut Context<Self>) {
        let waits = !matches!(self.status, JobStatus::Created | JobStatus::Restarting)
            || self.scheduling.drawing
            || self.scheduling.delayed
            || !self.executions.is_empty()
            || self.checkpoints.is_storing()
            || !self.slots.is_full();
        if waits {
            return;
        }
        self.scheduling.drawing = true;
        let version = self.scheduling.version;
        let counter =
            CheckpointIdCounter::new(&self.services.coordination, &self.term, self.job.id);
        let work = self.scope.wrap(async move { counter.get_and_increment().await });
        context.spawn_then(work, move |master, context, drawn| {
            master.scheduling.drawing = false;
            match drawn {
                Some(Ok(epoch)) if master.scheduling.version == version => {
                    master.deploy(context, epoch);
                }
                Some(Err(error)) => master.store_failed(context, &error),
                Some(Ok(_)) => master.schedule(context),
                None => {}
            }
        });
    }

    /// The store refused: the term is over, or what is kept is damaged.
    pub(super) fn store_failed(&mut self, context: &Context<Self>, error: &StoreError) {
        match error {
            // The revoke is on its way.
            StoreError::NotLeader => self.scope.close(),
            error => context.host().exit(&format!("{:?}: {error}", self.job.id)),
        }
    }

    /// The slot of a subtask: those of one index in a sharing group share one.
    fn assign_slots(&self) -> BTreeMap<ExecutionVertexId, (AllocationId, SlotId)> {
        let slots = self.slots.in_order();
        let mut groups = BTreeMap::<&str, u32>::new();
        for vertex in &self.job.vertices {
            let most = groups.entry(&vertex.slot_sharing_group).or_default();
            *most = (*most).max(vertex.parallelism);
        }
        let mut first = 0;
        for (_, slots) in groups.iter_mut() {
            first += std::mem::replace(slots, first);
        }
        let assign = |vertex: &ExecutionVertex| {
            let group = &self.job.vertices[vertex.id.vertex.0 as usize].slot_sharing_group;
            let slot = groups[group.as_str()] + vertex.id.subtask;
            (vertex.id, slots[slot as usize].clone())
        };
        self.graph.subtasks().map(assign).collect()
    }

    fn deploy(&mut self, context: &mut Context<Self>, epoch: u64) {
        // A slot may have been lost while the epoch was drawn; that changed the plan's version.
        assert!(self.slots.is_full(), "a plan holds only while its slots do");
        let (job, session) = (self.id(), self.term.session);
        let restored = self.checkpoints.newest();
        let assigned = self.assign_slots();
        let tasks = u32::try_from(assigned.len()).expect("a job has far fewer tasks");
        context.host().announce(&JobEvent::Scheduled { job, session, epoch, restored, tasks });
        for (vertex, (allocation, slot)) in assigned {
            let link = &self.executors[&slot.resource];
            let execution = Execution {
                attempt: ExecutionAttemptId { job, vertex, epoch },
                state: TaskExecutionState::Deploying,
                allocation,
                resource: slot.resource,
                executor: link.info.session,
                deployed: None,
            };
            self.executions.insert(vertex, execution);
        }
        self.set_status(context, JobStatus::Running);
        let deployments: Vec<TaskDeployment> =
            self.graph.subtasks().map(|vertex| self.deployment(vertex)).collect();
        for deployment in deployments {
            self.submit(context, deployment);
        }
    }

    fn deployment(&self, vertex: &ExecutionVertex) -> TaskDeployment {
        let execution = &self.executions[&vertex.id];
        let job_vertex = &self.job.vertices[vertex.id.vertex.0 as usize];
        let results = &self.graph.vertices[vertex.id.vertex.0 as usize].results;
        let produced = results.iter().zip(&job_vertex.outputs).map(|(result, output)| {
            let consumer = &self.job.vertices[output.consumer.0 as usize];
            let edge = consumer.inputs.iter().find(|edge| edge.data_set == output.id);
            ResultPartitionDeployment {
                data_set: output.id,
                consumer: output.consumer,
                partitioner: edge.expect("every output is read").partitioner.clone(),
                subpartitions: result.partitions[vertex.id.subtask as usize].subpartitions,
                consumer_max_parallelism: consumer.max_parallelism,
            }
        });
        let gate = |edges: &Vec<crate::system::graph::ExecutionEdge>| InputGateDeployment {
            data_set: edges[0].data_set,
            channels: edges
                .iter()
                .map(|edge| {
                    let producer = &self.executions[&edge.producer];
                    InputChannelDeployment {
                        partition: ResultPartitionId {
                            producer: producer.attempt,
                            data_set: edge.data_set,
                        },
                        subpartition: edge.subpartition,
                        location: self.executors[&producer.resource].info.data.clone(),
                    }
                })
                .collect(),
        };
        let restore = self.checkpoints.restored_state(vertex.id);
        TaskDeployment {
            attempt: execution.attempt,
            job_master: self.term.session,
            allocation: execution.allocation,
            name: job_vertex.name.clone(),
            parallelism: job_vertex.parallelism,
            max_parallelism: job_vertex.max_parallelism,
            operators: job_vertex.operators.clone(),
            produced: produced.collect(),
            inputs: vertex.inputs.iter().map(gate).collect(),
            restore: restore.map(|(checkpoint, state)| TaskRestore { checkpoint, state }),
        }
    }

    fn submit(&mut self, context: &mut Context<Self>, deployment: TaskDeployment) {
        let attempt = deployment.attempt;
        let Some(link) = self.link_of(attempt) else { return };
        let ask = link.gateway.submit_task(deployment);
        let work = self.scope.wrap(ask);
        context.spawn_then(work, move |master, context, answer| {
            if let Some(answer) = answer {
                master.submitted(context, attempt, answer);
            }
        });
    }

    fn submitted(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        answer: Result<Result<u64, DeployRefusal>, RpcError>,
    ) {
        let Some(execution) = self.current(attempt) else { return };
        match answer {
            Ok(Ok(version)) => execution.deployed = Some(version),
            // Also without an answer it may run there; the failover cancels it.
            Ok(Err(refusal)) => self.global_failover(context, &refusal.to_string()),
            Err(error) => {
                self.global_failover(context, &format!("{attempt:?} not deployed: {error}"))
            }
        }
    }

    /// The execution of an attempt, if it is the present one of its subtask.
    pub(super) fn current(&mut self, attempt: ExecutionAttemptId) -> Option<&mut Execution> {
        self.executions.get_mut(&attempt.vertex).filter(|execution| execution.attempt == attempt)
    }

    fn link_of(&self, attempt: ExecutionAttemptId) -> Option<&super::ExecutorLink> {
        let execution = self.executions.get(&attempt.vertex)?;
        let link = self.executors.get(&execution.resource)?;
        (link.info.session == execution.executor).then_some(link)
    }

    /// A task executor says how far an attempt is; false when it should not be there.
    pub(super) fn take_task_state(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        state: TaskExecutionState,
    ) -> bool {
        let Some(execution) = self.current(attempt) else { return false };
        if !execution.advance(state.clone()) {
            return true;
        }
        context.host().announce(&JobEvent::ExecutionChanged { attempt, state: state.state() });
        match state {
            TaskExecutionState::Failed(cause) => {
                self.global_failover(context, &format!("{attempt:?} failed: {cause}"));
            }
            TaskExecutionState::Canceled if self.status == JobStatus::Running => {
                self.global_failover(context, &format!("{attempt:?} was canceled"));
            }
            TaskExecutionState::Running => self.start_checkpoints_if_running(context),
            _ => {}
        }
        self.maybe_finish(context);
        true
    }

    /// Ends all attempts, to start again or to fail for good. A job whose final checkpoint is complete
    /// has nothing left but to finish, however often it takes.
    pub(super) fn global_failover(&mut self, context: &mut Context<Self>, cause: &str) {
        if self.status != JobStatus::Running {
            return;
        }
        self.cause = Some(cause.to_string());
        let times = self.failures.note(cause, context.host().now(), self.job.restarts);
        // The same again is told when it has come twice as often.
        if times.is_power_of_two() {
            let job = self.id();
            tracing::warn!(node = context.host().name(), %job, times, cause, "the job has failed");
        }
        self.scheduling.restarts = self.scheduling.restarts.saturating_add(1);
        let (attempts, delay) = match self.job.restarts {
            RestartStrategy::FixedDelay { attempts, delay_ms } => {
                (attempts, Duration::from_millis(delay_ms))
            }
            RestartStrategy::ExponentialDelay { initial_ms, max_ms, .. } => {
                (u32::MAX, failures::delay(initial_ms, max_ms, self.failures.unrested()))
            }
            RestartStrategy::None => (0, self.services.config.retry_delay),
        };
        self.scheduling.exhausted = self.scheduling.restarts > attempts;
        if self.scheduling.exhausted && !self.checkpoints.may_be_final() {
            self.set_status(context, JobStatus::Failing);
        } else {
            self.set_status(context, JobStatus::Restarting);
            // Beyond its restarts a job only finishes, and need not hurry to fail again.
            let beyond = self.scheduling.restarts.saturating_sub(attempts).min(DOUBLINGS_MAX);
            let delay = match beyond {
                0 => delay,
                beyond => delay.max(self.services.config.retry_delay) * 2_u32.pow(beyond),
            };
            self.delay_restart(context, delay);
        }
        self.cancel_all(context, cause);
    }

    fn delay_restart(&mut self, context: &mut Context<Self>, delay: Duration) {
        self.scheduling.delayed = true;
        let restarts = self.scheduling.restarts;
        context.schedule(delay, move |master, context| {
            if master.scheduling.restarts == restarts {
                master.scheduling.delayed = false;
                master.schedule(context);
            }
        });
    }

    /// A user wants the job to end.
    pub(super) fn cancel_job(&mut self, context: &mut Context<Self>) {
        let ends =
            matches!(self.status, JobStatus::Created | JobStatus::Running | JobStatus::Restarting);
        if ends {
            self.set_status(context, JobStatus::Cancelling);
            self.cancel_all(context, "the job is being canceled");
        }
    }

    fn cancel_all(&mut self, context: &mut Context<Self>, cause: &str) {
        self.scheduling.version += 1;
        self.stop_checkpoints(context, cause);
        self.hurry_storing(context, cause);
        let attempts: Vec<ExecutionAttemptId> =
            self.executions.values().map(|execution| execution.attempt).collect();
        for attempt in attempts {
            self.cancel_attempt(context, attempt);
        }
        self.maybe_finish(context);
    }

    /// Ends an attempt, asking until its task executor answers or is given up.
    pub(super) fn cancel_attempt(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
    ) {
        let retry_delay = self.services.config.retry_delay;
        let ask = self.link_of(attempt).map(|link| link.gateway.cancel_task(attempt));
        let Some(execution) = self.current(attempt) else { return };
        if execution.state.is_terminal() {
            return;
        }
        execution.advance(TaskExecutionState::Canceling);
        let Some(ask) = ask else {
            return self.set_canceled(context, attempt);
        };
        let work = self.scope.wrap(ask);
        context.spawn_then(work, move |master, context, answer| match answer {
            // Its end will be told, or shows in the reports from that version on.
            Some(Ok(Some(version))) => {
                if let Some(execution) = master.current(attempt) {
                    execution.deployed.get_or_insert(version);
                }
            }
            Some(Ok(None)) => master.set_canceled(context, attempt),
            Some(Err(_)) => context.schedule(retry_delay, move |master, context| {
                master.cancel_attempt(context, attempt);
            }),
            None => {}
        });
    }

    /// Nothing of the attempt runs any more.
    pub(super) fn set_canceled(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
    ) {
        self.take_task_state(context, attempt, TaskExecutionState::Canceled);
    }

    /// Goes on when the last attempt has ended.
    pub(super) fn maybe_finish(&mut self, context: &mut Context<Self>) {
        if !self.executions.values().all(|execution| execution.state.is_terminal()) {
            return;
        }
        match self.status {
            // What a checkpoint that is being stored came to must be known first.
            JobStatus::Running
            | JobStatus::Restarting
            | JobStatus::Failing
            | JobStatus::Cancelling
                if self.checkpoints.is_storing() => {}
            JobStatus::Running => {
                let finished = |e: &Execution| e.state == TaskExecutionState::Finished;
                if !self.executions.is_empty() && self.executions.values().all(finished) {
                    self.end_job(context, JobStatus::Finished);
                }
            }
            JobStatus::Restarting if self.scheduling.exhausted && !self.checkpoints.is_final() => {
                self.set_status(context, JobStatus::Failing);
                self.end_job(context, JobStatus::Failed);
            }
            JobStatus::Restarting => {
                self.executions.clear();
                self.schedule(context);
            }
            JobStatus::Failing => self.end_job(context, JobStatus::Failed),
            JobStatus::Cancelling => self.end_job(context, JobStatus::Canceled),
            _ => {}
        }
    }

    /// A slot is gone: its attempts have ended, and the others must.
    pub(super) fn lose_slot(
        &mut self,
        context: &mut Context<Self>,
        allocation: AllocationId,
        cause: &str,
    ) {
        if !self.slots.release(allocation) {
            return;
        }
        self.scheduling.version += 1;
        let in_slot = |execution: &&Execution| execution.allocation == allocation;
        let lost = self.executions.values().filter(in_slot);
        let lost: Vec<(ExecutionAttemptId, bool)> = lost
            .map(|execution| (execution.attempt, execution.state == TaskExecutionState::Finished))
            .collect();
        for (attempt, finished) in lost {
            if finished && self.executions.values().any(|other| !other.state.is_terminal()) {
                // Somebody may still read what it produced, and would wait for the rest for ever.
                self.global_failover(
                    context,
                    &format!("what {attempt:?} produced is lost: {cause}"),
                );
            } else {
                let state = TaskExecutionState::Failed(cause.to_string());
                self.take_task_state(context, attempt, state);
            }
        }
    }

    /// The sources of the job: what is told to begin a checkpoint.
    pub(super) fn source_attempts(&self) -> Vec<ExecutionAttemptId> {
        let is_source =
            |vertex: JobVertexId| self.job.vertices[vertex.0 as usize].inputs.is_empty();
        let executions = self.executions.values().map(|execution| execution.attempt);
        executions.filter(|attempt| is_source(attempt.vertex.vertex)).collect()
    }

    /// The gateway to the task executor that runs an attempt.
    pub(super) fn gateway_of(
        &self,
        attempt: ExecutionAttemptId,
    ) -> Option<crate::system::protocol::TaskExecutorGateway> {
        self.link_of(attempt).map(|link| link.gateway.clone())
    }
}
