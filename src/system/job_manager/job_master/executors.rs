//! The task executors that hold slots for the job: registration, offers, beats, loss.

use super::JobMaster;
use crate::system::{
    heartbeat::{Beat, HeartbeatListener, HeartbeatManager, HeartbeatSession, HeartbeatTarget},
    ids::{AllocationId, ExecutionAttemptId, JobId, ResourceId, TaskExecutorSession},
    job_manager::event::JobEvent,
    protocol::{
        ExecutorReport, JobStatus, MasterReport, OfferedSlots, RegistrationRefusal,
        TaskExecutorGateway, TaskExecutorInfo,
    },
    registration::connect_back,
    rpc::{Context, Reply, RpcError},
};
use futures::{FutureExt, future::BoxFuture};
use std::sync::Arc;

/// Task executors that one job's master is connected to at most.
const EXECUTORS_MAX: usize = 4096;

/// The role of the beats towards task executors.
pub(super) struct ToExecutors;

/// A connected task executor.
pub(super) struct ExecutorLink {
    pub info: TaskExecutorInfo,
    pub gateway: TaskExecutorGateway,
    pub heartbeat: HeartbeatSession,
    /// The newest round of offers that was answered.
    pub round: u64,
    /// The try that registered it.
    pub attempt: u64,
}

/// Sends beats through a gateway.
struct Target(TaskExecutorGateway);

impl HeartbeatTarget<MasterReport> for Target {
    fn request_heartbeat(
        &self,
        beat: Beat<MasterReport>,
    ) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.heartbeat_from_job_master(beat).boxed()
    }
}

impl JobMaster {
    /// What a task executor is told that comes too late. Only the end of the job itself lets it give
    /// up what it holds for the job.
    fn over(&self) -> Option<RegistrationRefusal> {
        match self.status {
            JobStatus::Suspended => {
                Some(RegistrationRefusal::Failure("the job master is stopping".to_string()))
            }
            status if status.is_globally_terminal() => {
                Some(RegistrationRefusal::Rejected("the job has ended".to_string()))
            }
            _ => None,
        }
    }

    /// A task executor introduces itself: connects back, and makes sure that it is that life of it.
    pub(super) fn register_executor(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        info: TaskExecutorInfo,
        attempt: u64,
        reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
    ) {
        if job != self.id() {
            let why = format!("this is the master of {:?}", self.id());
            return reply.ok(Err(RegistrationRefusal::Rejected(why)));
        }
        if let Some(refusal) = self.over() {
            return reply.ok(Err(refusal));
        }
        let known = self.executors.get(&info.resource);
        if known.is_some_and(|link| link.info.session == info.session && link.attempt >= attempt) {
            let why = "a newer try is known".to_string();
            return reply.ok(Err(RegistrationRefusal::Failure(why)));
        }
        let (service, timeout) = (context.service().clone(), self.services.config.call_timeout);
        let executor = info.clone();
        let work = self.scope.wrap(async move { connect_back(&service, &executor, timeout).await });
        context.spawn_then(work, move |master, context, connected| match connected {
            Some(Ok(gateway)) => {
                reply.ok(master.connect_executor(context, info, attempt, gateway));
            }
            Some(Err(error)) => {
                reply.ok(Err(RegistrationRefusal::Failure(error.to_string())));
            }
            None => {}
        });
    }

    fn connect_executor(
        &mut self,
        context: &mut Context<Self>,
        info: TaskExecutorInfo,
        attempt: u64,
        gateway: TaskExecutorGateway,
    ) -> Result<HeartbeatSession, RegistrationRefusal> {
        if let Some(refusal) = self.over() {
            return Err(refusal);
        }
        let mut round = 0;
        if let Some(link) = self.executors.get(&info.resource) {
            let (known, heartbeat) = (link.info.session, link.heartbeat);
            if known != info.session {
                // What ran in its earlier life is gone.
                let cause = "the task executor began anew";
                self.lose_executor(context, &info.resource, known, cause);
            } else if link.attempt >= attempt {
                return Err(RegistrationRefusal::Failure("a newer try is known".to_string()));
            } else {
                round = link.round;
                let beats = self.executor_beats.manager();
                beats.unmonitor_target(context, &info.resource.0, heartbeat);
            }
        }
        if self.executors.len() >= EXECUTORS_MAX {
            return Err(RegistrationRefusal::Failure("too many task executors".to_string()));
        }
        let heartbeat = HeartbeatSession(context.host().random_u128());
        let (job, resource, session) = (self.id(), info.resource.clone(), info.session);
        let event = JobEvent::ExecutorConnected { job, resource: resource.clone(), session };
        context.host().announce(&event);
        let target = Arc::new(Target(gateway.clone()));
        self.executor_beats.manager().monitor_target(context, &resource.0, heartbeat, target);
        let link = ExecutorLink { info, gateway, heartbeat, round, attempt };
        self.executors.insert(resource, link);
        Ok(heartbeat)
    }

    /// Takes what is needed of a task executor's slots.
    pub(super) fn take_offers(
        &mut self,
        context: &mut Context<Self>,
        offered: OfferedSlots,
    ) -> Result<Vec<AllocationId>, RegistrationRefusal> {
        let OfferedSlots { resource, session, round, version, slots } = offered;
        let refuse = |why: &str| Err(RegistrationRefusal::Failure(why.to_string()));
        if self.is_over() {
            return refuse("the job has ended");
        }
        let link = self.executors.get_mut(&resource).filter(|link| link.info.session == session);
        let Some(link) = link else { return refuse("the task executor is not registered") };
        if round <= link.round {
            crate::reachable!(context.host(), "old-round-of-offers-refused");
            return refuse("a newer round of offers was answered");
        }
        link.round = round;
        let accepted = self.slots.offer(&resource, version, slots);
        let (held, needed) = self.slots.fill();
        crate::always!(
            context.host(),
            "slot-pool-bounded",
            held <= needed,
            "{held} slots where {needed} are needed"
        );
        for allocation in &accepted {
            context.host().announce(&JobEvent::SlotAccepted {
                job: self.job.id,
                resource: resource.clone(),
                allocation: *allocation,
            });
        }
        self.schedule(context);
        Ok(accepted)
    }

    /// Gives a life of a task executor up: its slots are lost.
    pub(super) fn lose_executor(
        &mut self,
        context: &mut Context<Self>,
        resource: &ResourceId,
        session: TaskExecutorSession,
        cause: &str,
    ) {
        let known = self.executors.get(resource).is_some_and(|link| link.info.session == session);
        if !known {
            return;
        }
        let link = self.executors.remove(resource).expect("it is known");
        self.executor_beats.manager().unmonitor_target(context, &resource.0, link.heartbeat);
        let job = self.id();
        let event = JobEvent::ExecutorLost { job, resource: resource.clone(), session };
        context.host().announce(&event);
        link.gateway.disconnect_job_master(job, self.term.session, cause.to_string());
        for allocation in self.slots.of(resource) {
            self.lose_slot(context, allocation, &format!("{resource} lost: {cause}"));
        }
    }

    /// Tells every task executor that the master wants nothing of it any more.
    pub(super) fn leave_executors(&mut self, context: &mut Context<Self>, cause: &str) {
        let (job, session) = (self.id(), self.term.session);
        for (resource, link) in std::mem::take(&mut self.executors) {
            self.executor_beats.manager().unmonitor_target(context, &resource.0, link.heartbeat);
            link.gateway.disconnect_job_master(job, session, cause.to_string());
        }
    }

    /// Compares what a task executor says it has with what it should have.
    fn reconcile(&mut self, context: &mut Context<Self>, id: &str, report: ExecutorReport) {
        let resource = ResourceId(id.to_string());
        let Some(link) = self.executors.get(&resource) else { return };
        let (session, gateway) = (link.info.session, link.gateway.clone());
        for attempt in &report.attempts {
            let known = self.executions.get(&attempt.vertex);
            if known.is_none_or(|execution| execution.attempt != *attempt) {
                let ask = gateway.cancel_task(*attempt);
                // What it comes to shows in the next report.
                context.host().spawn(async move { drop(ask.await) });
            }
        }
        // What has ended and was not told before is told here, so that a task that is in neither list
        // is lost.
        for (attempt, state) in report.ended {
            self.take_task_state(context, attempt, state);
        }
        let missing = |execution: &super::Execution| {
            execution.resource == resource
                && execution.executor == session
                && !execution.state.is_terminal()
                && execution.deployed.is_some_and(|version| version <= report.version)
                && !report.attempts.contains(&execution.attempt)
        };
        let missing: Vec<ExecutionAttemptId> = self
            .executions
            .values()
            .filter(|execution| missing(execution))
            .map(|execution| execution.attempt)
            .collect();
        for attempt in missing {
            let cause = "its task executor does not run it".to_string();
            let state = crate::system::protocol::TaskExecutionState::Failed(cause);
            self.take_task_state(context, attempt, state);
        }
        let lost = self.slots.missing(&resource, report.version, &report.allocations);
        for allocation in lost {
            self.lose_slot(context, allocation, "its task executor does not hold it");
        }
    }
}

impl HeartbeatListener<ToExecutors> for JobMaster {
    type In = ExecutorReport;
    type Out = MasterReport;

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, ToExecutors> {
        self.executor_beats.manager()
    }

    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        self.beat_lost(context, id, session, "heartbeat timeout");
    }

    fn notify_target_unreachable(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        self.beat_lost(context, id, session, "unreachable");
    }

    fn report_payload(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
        report: ExecutorReport,
    ) {
        let resource = ResourceId(id.to_string());
        if self.executors.get(&resource).is_some_and(|link| link.heartbeat == session) {
            self.reconcile(context, id, report);
        }
    }

    fn retrieve_payload(&mut self, _: &mut Context<Self>, id: &str) -> MasterReport {
        let resource = ResourceId(id.to_string());
        MasterReport {
            round: self.executors.get(&resource).map_or(0, |link| link.round),
            allocations: self.slots.of(&resource),
            completed: self.checkpoints.newest_and_last(),
        }
    }
}

impl JobMaster {
    fn beat_lost(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
        cause: &str,
    ) {
        let resource = ResourceId(id.to_string());
        let link = self.executors.get(&resource).filter(|link| link.heartbeat == session);
        if let Some(executor) = link.map(|link| link.info.session) {
            self.lose_executor(context, &resource, executor, cause);
        }
    }
}
