//! Deployment, failover, cancellation and the end of the job, region by region.

use super::{
    Draw, Effect, Execution, JobMasterCore, Notice, Timer,
    region::{Region, Stage},
    restarts::Restart,
};
use crate::{
    host::Instant,
    system::{
        graph::{
            ExecutionEdge, ExecutionVertex, InputChannelDeployment, InputGateDeployment,
            ResultPartitionDeployment, TaskDeployment,
        },
        ids::{
            AllocationId, ExecutionAttemptId, ExecutionVertexId, JobVertexId, ResultPartitionId,
        },
        job_manager::{AbortCause, JobEvent},
        protocol::{DeployRefusal, JobStatus, SubtaskMetrics, TaskExecutionState},
        reason::shortened,
        rpc::RpcError,
        sabotage,
    },
};
use std::{collections::BTreeSet, time::Duration};

/// What was found to have failed at one time, however many regions it concerns: it counts once.
#[derive(Debug, Default)]
pub(super) struct Failure {
    attempts: Vec<ExecutionAttemptId>,
    /// Of the first one.
    cause: String,
}

impl Failure {
    fn add(&mut self, attempt: ExecutionAttemptId, cause: impl FnOnce() -> String) {
        if self.attempts.is_empty() {
            self.cause = cause();
        }
        self.attempts.push(attempt);
    }
}

impl JobMasterCore {
    /// Draws epochs for the regions that can be deployed: nothing of them left, the delay over, no
    /// checkpoint in between, all their slots held. One draw at a time: draws of one counter would only
    /// refuse each other.
    pub(super) fn schedule(&mut self, now: Instant) {
        let drawing = self.regions.iter().any(|region| region.drawing);
        let gives_back = self.idle.gives_back;
        if !self.may_deploy() || gives_back || drawing || self.waits_for_program() {
            return;
        }
        let is_ready = |region: &Region| {
            region.stage == Stage::Waiting
                && region.delay.is_none()
                && self.slots.has_all(&region.places)
        };
        let regions = 0..self.regions.len();
        let ready: Vec<usize> = regions.filter(|index| is_ready(&self.regions[*index])).collect();
        if ready.is_empty() {
            return;
        }
        if self.waits_for_storing() {
            return self.does(Effect::Notice(Notice::DeploymentWaitsForStoring));
        }
        let plan = |index: usize| {
            let region = &mut self.regions[index];
            region.drawing = true;
            region.since = now;
            (index, region.version)
        };
        let plans: Vec<(usize, u64)> = ready.into_iter().map(plan).collect();
        let count = plans.len() as u64;
        self.does(Effect::Draw(Draw::Epochs(plans), count));
    }

    /// Whether a checkpoint is being stored from which what is deployed now would have to begin.
    fn waits_for_storing(&self) -> bool {
        self.checkpoints.is_storing() && !self.switches.on(sabotage::DEPLOYED_WHILE_STORING)
    }

    /// A region each has an epoch, in a row from the first. Those whose plan has changed draw anew.
    pub(super) fn epochs_drawn(&mut self, now: Instant, regions: &[(usize, u64)], first: u64) {
        let may_deploy = self.may_deploy();
        let mut first = first;
        if self.switches.on(sabotage::NEXT_EPOCH_USED) {
            first += regions.len() as u64;
        }
        for ((index, version), epoch) in regions.iter().zip(first..) {
            let region = &mut self.regions[*index];
            region.drawing = false;
            let is_planned = may_deploy && region.version == *version;
            let deploys = is_planned
                || !self.checkpoints.is_storing()
                    && self.switches.on(sabotage::OUTDATED_PLAN_DEPLOYED);
            if deploys && !self.waits_for_storing() {
                self.deploy(now, *index, epoch);
            }
        }
        if may_deploy && self.regions.iter().all(|region| region.stage == Stage::Deployed) {
            self.set_status(now, JobStatus::Running);
        }
        self.schedule(now);
        self.maybe_finish(now);
    }

    fn deploy(&mut self, now: Instant, index: usize, epoch: u64) {
        let (job, session) = (self.id(), self.session);
        let restored = self.checkpoints.restored();
        let region = &mut self.regions[index];
        assert_eq!(region.stage, Stage::Waiting, "nothing of a region that is deployed is left");
        // A slot may have been lost while the epoch was drawn; that changed the plan's version.
        assert!(self.slots.has_all(&region.places), "a plan holds only while its slots do");
        region.enter(Stage::Deployed, now);
        let (vertices, places) = (region.vertices.clone(), region.place_of.clone());
        let scheduled =
            JobEvent::Scheduled { job, session, epoch, restored, vertices: vertices.clone() };
        self.announce(scheduled);
        for (vertex, place) in vertices.iter().zip(places) {
            let held = self.slots.at(place).expect("its places have slots").clone();
            let execution = Execution {
                attempt: ExecutionAttemptId { job, vertex: *vertex, epoch },
                state: TaskExecutionState::Deploying,
                since: now,
                allocation: held.allocation,
                executor: self.executors[&held.slot.resource].info.session,
                resource: held.slot.resource,
                deployed: None,
                metrics: SubtaskMetrics::default(),
            };
            self.executions.insert(*vertex, execution);
        }
        for vertex in vertices {
            let deployment = self.deployment(vertex);
            let resource = self.executions[&vertex].resource.clone();
            self.does(Effect::Submit(resource, Box::new(deployment)));
        }
    }

    fn vertex(&self, id: ExecutionVertexId) -> &ExecutionVertex {
        &self.graph.vertices[id.vertex.0 as usize].subtasks[id.subtask as usize]
    }

    fn deployment(&self, id: ExecutionVertexId) -> TaskDeployment {
        let execution = &self.executions[&id];
        let job_vertex = &self.job.vertices[id.vertex.0 as usize];
        let results = &self.graph.vertices[id.vertex.0 as usize].results;
        let produced = results.iter().zip(&job_vertex.outputs).map(|(result, output)| {
            let consumer = &self.job.vertices[output.consumer.0 as usize];
            let edge = consumer.inputs.iter().find(|edge| edge.data_set == output.id);
            ResultPartitionDeployment {
                data_set: output.id,
                consumer: output.consumer,
                partitioner: edge.expect("every output is read").partitioner.clone(),
                subpartitions: result.partitions[id.subtask as usize].subpartitions,
                consumer_max_parallelism: consumer.max_parallelism,
            }
        });
        let restore = self.checkpoints.restored_state(id, job_vertex.parallelism);
        TaskDeployment {
            attempt: execution.attempt,
            job_master: self.session,
            allocation: execution.allocation,
            name: job_vertex.name.clone(),
            parallelism: job_vertex.parallelism,
            max_parallelism: job_vertex.max_parallelism,
            program: self.job.program.clone(),
            operators: job_vertex.operators.clone(),
            produced: produced.collect(),
            inputs: self.vertex(id).inputs.iter().map(|edges| self.gate(edges)).collect(),
            restore,
            retained: self.job.checkpoints.retained,
            state_backend: self.job.state_backend,
        }
    }

    fn gate(&self, edges: &[ExecutionEdge]) -> InputGateDeployment {
        let channel = |edge: &ExecutionEdge| {
            let producer = &self.executions[&edge.producer];
            InputChannelDeployment {
                partition: ResultPartitionId {
                    producer: producer.attempt,
                    data_set: edge.data_set,
                },
                subpartition: edge.subpartition,
                location: self.executors[&producer.resource].info.data.clone(),
            }
        };
        let data_set = edges[0].data_set;
        InputGateDeployment { data_set, channels: edges.iter().map(channel).collect() }
    }

    /// A task executor has answered to a deployment, or has not in time.
    pub fn on_submitted(
        &mut self,
        now: Instant,
        attempt: ExecutionAttemptId,
        answer: Result<Result<u64, DeployRefusal>, RpcError>,
    ) {
        let Some(execution) = self.current(attempt) else { return };
        match answer {
            Ok(Ok(version)) => execution.deployed = Some(version),
            // Also without an answer it may run there; the failover cancels it.
            Ok(Err(refusal)) => self.fail_region_of(now, attempt, &refusal.to_string()),
            Err(error) => {
                self.fail_region_of(now, attempt, &format!("{attempt:?} not deployed: {error}"));
            }
        }
    }

    /// The execution of an attempt, if it is the present one of its subtask.
    pub(super) fn current(&mut self, attempt: ExecutionAttemptId) -> Option<&mut Execution> {
        self.executions.get_mut(&attempt.vertex).filter(|execution| execution.attempt == attempt)
    }

    fn region_of(&self, attempt: ExecutionAttemptId) -> &Region {
        &self.regions[self.region_of[&attempt.vertex]]
    }

    /// The task executor that runs an attempt, while it is connected.
    pub(super) fn executor_of(&self, attempt: ExecutionAttemptId) -> Option<&super::ExecutorLink> {
        let execution = self.executions.get(&attempt.vertex)?;
        let link = self.executors.get(&execution.resource)?;
        (link.info.session == execution.executor).then_some(link)
    }

    /// A task executor says how far an attempt is; false when it should not be there.
    pub fn on_task_state(
        &mut self,
        now: Instant,
        attempt: ExecutionAttemptId,
        state: TaskExecutionState,
    ) -> bool {
        let mut failure = Failure::default();
        let is_current = self.advance(now, attempt, state, &mut failure);
        self.fail(now, failure);
        self.maybe_finish(now);
        is_current
    }

    /// Notes how far an attempt is, and in `failure` when its region must end; false when it should not be there.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        attempt: ExecutionAttemptId,
        state: TaskExecutionState,
        failure: &mut Failure,
    ) -> bool {
        let Some(execution) = self.current(attempt) else { return false };
        let state = state.bounded();
        if !execution.advance(now, state.clone()) {
            if !self.switches.on(sabotage::OLDER_STATE_TAKEN) {
                return true;
            }
            if let Some(execution) = self.current(attempt) {
                (execution.state, execution.since) = (state.clone(), now);
            }
        }
        self.announce(JobEvent::ExecutionChanged { attempt, state: state.state() });
        match state {
            TaskExecutionState::Failed(cause) => {
                failure.add(attempt, || format!("{attempt:?} failed: {cause}"));
            }
            TaskExecutionState::Canceled => {
                failure.add(attempt, || format!("{attempt:?} was canceled"));
            }
            TaskExecutionState::Running => self.start_checkpoints_if_running(now),
            _ => {}
        }
        true
    }

    fn fail_region_of(&mut self, now: Instant, attempt: ExecutionAttemptId, cause: &str) {
        let mut failure = Failure::default();
        failure.add(attempt, || cause.to_string());
        self.fail(now, failure);
    }

    /// Ends all attempts: what failed belongs to no region.
    pub(super) fn global_failover(&mut self, now: Instant, cause: &str) {
        let failing = self.deployed(None);
        self.fail_regions(now, vec![], failing, cause);
    }

    /// Ends the regions in which attempts have failed, where that is not done already. A job whose final
    /// checkpoint is complete has nothing left but to finish, however often it takes; whoever begins from it
    /// must be told of it together with all others.
    pub(super) fn fail(&mut self, now: Instant, failure: Failure) {
        let Failure { mut attempts, cause } = failure;
        attempts.retain(|attempt| {
            let is_present = self.executions.get(&attempt.vertex);
            is_present.is_some_and(|execution| execution.attempt == *attempt)
                && self.region_of(*attempt).stage == Stage::Deployed
        });
        let own: BTreeSet<usize> =
            attempts.iter().map(|attempt| self.region_of[&attempt.vertex]).collect();
        let is_final = self.checkpoints.may_be_final() && !own.is_empty();
        let failing = match is_final && !self.switches.on(sabotage::FINAL_RESTART_IN_PARTS) {
            true => self.deployed(None),
            false => own.into_iter().collect(),
        };
        self.fail_regions(now, attempts, failing, &cause);
    }

    /// Whether nothing follows from a failure, since a checkpoint after which nothing comes may be complete.
    fn ignores_failures(&self) -> bool {
        self.checkpoints.may_be_final() && self.switches.on(sabotage::FAILURE_IGNORED_AT_THE_END)
    }

    /// Ends the attempts of deployed regions, to start them again or to let the job fail for good.
    fn fail_regions(
        &mut self,
        now: Instant,
        attempts: Vec<ExecutionAttemptId>,
        mut failing: Vec<usize>,
        cause: &str,
    ) {
        let goes_on =
            matches!(self.status, JobStatus::Created | JobStatus::Running | JobStatus::Restarting);
        if !goes_on || failing.is_empty() || self.ignores_failures() {
            return;
        }
        if self.checkpoints.is_stopped() && self.switches.on(sabotage::RESTORED_BEFORE_THE_STOP) {
            self.checkpoints.completed.pop();
        }
        let cause = shortened(cause);
        self.cause = Some(cause.to_string());
        let all = attempts.is_empty() || self.checkpoints.may_be_final();
        let Some(delay) = self.count_failure_of_job(now, attempts, all, cause) else {
            self.set_status(now, JobStatus::Failing);
            return self.cancel_all(now, cause);
        };
        self.set_status(now, JobStatus::Restarting);
        let (failures, why) = (self.restarts.failures(), cause.to_string());
        self.stop_checkpoints(now, &AbortCause::Failure { failures, why });
        self.hurry_storing();
        if self.savepoints.hold_the_end()
            && self.switches.on(sabotage::SAVEPOINT_LOST_WITH_A_FAILURE)
        {
            self.lose_savepoints(cause);
        }
        if failing.len() < self.deployed(None).len() {
            self.does(Effect::Notice(Notice::RegionalFailover(failing.len())));
            if self.switches.on(sabotage::ONE_REGION_TAKES_OTHERS_ALONG) {
                failing = self.deployed(None);
            }
        }
        // Nothing of them is deployed, to fail again, before it has come.
        let number = self.restarts.failures();
        self.does(Effect::Schedule(delay, Timer::Restart(number)));
        for index in &failing {
            self.regions[*index].delay = Some(number);
        }
        for index in failing {
            self.end_region(now, index);
        }
        self.maybe_finish(now);
    }

    /// Of all regions, or of one, those that are deployed.
    fn deployed(&self, of: Option<usize>) -> Vec<usize> {
        let all = (0..self.regions.len()).filter(|index| of.is_none_or(|of| of == *index));
        all.filter(|index| self.regions[*index].stage == Stage::Deployed).collect()
    }

    /// Counts a failure; answers how long to wait before the restart, and `None` when there is none.
    fn count_failure_of_job(
        &mut self,
        now: Instant,
        attempts: Vec<ExecutionAttemptId>,
        all: bool,
        cause: &str,
    ) -> Option<Duration> {
        let Restart { allowed, mut delay, rested } = self.restarts.on_failure(now);
        let allowed = allowed || self.switches.on(sabotage::RESTARTS_WITHOUT_END);
        if !delay.is_zero() && self.switches.on(sabotage::RESTART_WITHOUT_DELAY) {
            delay = Duration::ZERO;
        }
        if !delay.is_zero() && self.switches.on(sabotage::RESTART_DELAY_IN_MINUTES) {
            delay *= 60;
        }
        let times = self.failures.note(now, cause, rested);
        // The same again is told when it has come twice as often.
        if times.is_power_of_two() {
            self.does(Effect::Notice(Notice::Failure(times, cause.to_string())));
        }
        self.exhausted = !allowed;
        let (job, session, failures) = (self.id(), self.session, self.restarts.failures());
        let cause = cause.to_string();
        self.announce(JobEvent::FailureCounted { job, session, failures, attempts, all, cause });
        (allowed || self.checkpoints.may_be_final()).then_some(delay)
    }

    /// The delay after that failure is over for all regions that began to wait with it.
    pub(super) fn restart_due(&mut self, now: Instant, failure: u32) {
        for region in self.regions.iter_mut().filter(|region| region.delay == Some(failure)) {
            region.delay = None;
        }
        self.schedule(now);
    }

    /// A user wants the job to end.
    pub fn on_cancel(&mut self, now: Instant) {
        let ends =
            matches!(self.status, JobStatus::Created | JobStatus::Running | JobStatus::Restarting);
        if ends {
            self.set_status(now, JobStatus::Cancelling);
            self.cancel_all(now, "the job is being canceled");
        }
    }

    fn cancel_all(&mut self, now: Instant, cause: &str) {
        let why = cause.to_string();
        self.stop_checkpoints(now, &AbortCause::Ends { status: self.status, why });
        self.hurry_storing();
        for index in 0..self.regions.len() {
            self.end_region(now, index);
        }
        self.maybe_finish(now);
    }

    /// Ends a region's attempts; nothing that was planned for it happens.
    pub(super) fn end_region(&mut self, now: Instant, index: usize) {
        let region = &mut self.regions[index];
        region.version += 1;
        if region.stage != Stage::Deployed {
            return;
        }
        region.enter(Stage::Ending, now);
        let attempts = region.vertices.iter().map(|vertex| self.executions[vertex].attempt);
        // When the last one has ended none is left.
        for attempt in attempts.collect::<Vec<_>>() {
            self.cancel_attempt(now, attempt);
        }
    }

    /// Ends an attempt, asking until its task executor answers or is given up.
    pub(super) fn cancel_attempt(&mut self, now: Instant, attempt: ExecutionAttemptId) {
        let connected = self.executor_of(attempt).map(|link| link.info.resource.clone());
        let Some(execution) = self.current(attempt) else { return };
        if execution.state.is_terminal() {
            return;
        }
        execution.advance(now, TaskExecutionState::Canceling);
        match connected {
            Some(resource) => self.does(Effect::Cancel(resource, attempt)),
            None => self.set_canceled(now, attempt),
        }
    }

    /// What a task executor answered that was to end an attempt.
    pub fn on_cancel_answered(
        &mut self,
        now: Instant,
        attempt: ExecutionAttemptId,
        answer: Result<Option<u64>, RpcError>,
    ) {
        match answer {
            // Its end will be told, or shows in the reports from that version on.
            Ok(Some(version)) => {
                if let Some(execution) = self.current(attempt) {
                    execution.deployed.get_or_insert(version);
                }
            }
            Ok(None) => self.set_canceled(now, attempt),
            Err(_) => {
                let again = Timer::CancelAgain(attempt);
                self.does(Effect::Schedule(self.retry_delay, again));
            }
        }
    }

    /// Nothing of the attempt runs any more.
    fn set_canceled(&mut self, now: Instant, attempt: ExecutionAttemptId) {
        self.on_task_state(now, attempt, TaskExecutionState::Canceled);
    }

    fn has_ended(&self, region: &Region) -> bool {
        let ended = |vertex: &ExecutionVertexId| {
            self.executions.get(vertex).is_none_or(|execution| execution.state.is_terminal())
        };
        region.vertices.iter().all(ended)
    }

    /// Lets go of the regions whose last attempt has ended.
    fn settle_regions(&mut self, now: Instant) {
        for index in 0..self.regions.len() {
            let region = &self.regions[index];
            if region.stage != Stage::Ending || !self.has_ended(region) {
                continue;
            }
            for vertex in region.vertices.clone() {
                self.executions.remove(&vertex);
            }
            self.regions[index].enter(Stage::Waiting, now);
        }
    }

    /// Goes on when the last attempt of a region, or of the job, has ended.
    pub(super) fn maybe_finish(&mut self, now: Instant) {
        self.settle_regions(now);
        self.give_slots_back();
        let none_left = self.executions.is_empty();
        // What a checkpoint that is being stored came to must be known first, and a savepoint with which the job ends be
        // whole.
        let settled = !self.checkpoints.is_storing() && !self.savepoints.hold_the_end();
        match self.status {
            JobStatus::Running => {
                let finished = |e: &Execution| e.state == TaskExecutionState::Finished;
                if settled && self.executions.values().all(finished) {
                    self.end_job(now, JobStatus::Finished);
                }
            }
            JobStatus::Restarting if self.exhausted && !self.checkpoints.may_be_final() => {
                // It has turned out that the final checkpoint does not stand.
                self.set_status(now, JobStatus::Failing);
                self.cancel_all(now, "no restart is left");
            }
            JobStatus::Restarting => self.schedule(now),
            JobStatus::Failing if none_left && settled => self.end_job(now, JobStatus::Failed),
            JobStatus::Cancelling if none_left && settled => {
                self.end_job(now, JobStatus::Canceled);
            }
            _ => {}
        }
        self.watch_idle_slots(false);
    }

    /// A slot is gone: its attempts have ended, and the others of their regions must.
    pub(super) fn lose_slot(
        &mut self,
        now: Instant,
        allocation: AllocationId,
        cause: &str,
        failure: &mut Failure,
    ) {
        let Some(place) = self.slots.release(allocation) else { return };
        let ends = matches!(self.status, JobStatus::Failing | JobStatus::Cancelling);
        if !ends && !self.effects.contains(&Effect::DeclareRequirements) {
            self.does(Effect::DeclareRequirements);
        }
        for region in self.regions.iter_mut().filter(|region| region.places.contains(&place)) {
            region.version += 1;
        }
        let in_slot = |execution: &&Execution| execution.allocation == allocation;
        let lost = self.executions.values().filter(in_slot);
        let lost: Vec<(ExecutionAttemptId, bool)> = lost
            .map(|execution| (execution.attempt, execution.state == TaskExecutionState::Finished))
            .collect();
        for (attempt, finished) in lost {
            if finished && !self.has_ended(self.region_of(attempt)) {
                // Somebody may still read what it produced, and would wait for the rest for ever.
                failure.add(attempt, || format!("what {attempt:?} produced is lost: {cause}"));
            } else {
                let failed = TaskExecutionState::Failed(cause.to_string());
                self.advance(now, attempt, failed, failure);
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

    /// A region has attempts just while it is deployed or being ended, all of one epoch.
    pub(super) fn check_regions(&self) {
        for region in &self.regions {
            let attempts = region.vertices.iter().filter_map(|vertex| self.executions.get(vertex));
            let epochs: BTreeSet<u64> = attempts.clone().map(|e| e.attempt.epoch).collect();
            let count = attempts.count();
            match region.stage {
                Stage::Waiting => assert_eq!(count, 0, "what waits has no attempts"),
                Stage::Deployed | Stage::Ending => {
                    assert_eq!(count, region.vertices.len(), "a region is deployed whole");
                    assert_eq!(epochs.len(), 1, "the attempts of a region are of one epoch");
                }
            }
            let runs = region.stage == Stage::Deployed;
            assert!(
                !runs || !(region.delay.is_some() || region.drawing),
                "what runs waits for nothing"
            );
        }
        let all = self.regions.iter().all(|region| region.stage == Stage::Deployed);
        assert!(self.status != JobStatus::Running || all, "a job that runs is deployed whole");
    }
}
