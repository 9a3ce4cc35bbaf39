//! The master of one job during one term: slots, attempts, failover, checkpoints.
//!
//! The endpoint's parts are in files of their own: [`scheduler`] deploys, cancels and restarts,
//! [`coordinator`] takes checkpoints and [`storing`] stores them, [`executors`] speaks to task executors, [`resources`] to the
//! resource manager.

mod coordinator;
mod execution;
mod executors;
mod failures;
mod pending;
mod resources;
mod scheduler;
mod slot_pool;
mod storing;

use super::{JobManagerConfig, event::JobEvent};
use crate::system::{
    graph::{ExecutionGraph, JobGraph, StateHandle},
    heartbeat::{Beat, HeartbeatManager, HeartbeatManagerSender, HeartbeatSession},
    ids::{
        AllocationId, CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobId, ResourceId,
        TaskExecutorSession,
    },
    leadership::LeaderSession,
    protocol::{
        ExecutorReport, JobDetails, JobMasterGateway, JobMasterHandler, JobResult, JobStatus,
        OfferedSlots, RegistrationRefusal, TaskExecutionState, TaskExecutorInfo,
    },
    rpc::{Context, Reply, RpcEndpoint, StopFuture},
    scope::Scope,
    service::{coordination::Coordination, object_store::ObjectStore},
};
pub(super) use coordinator::Checkpoints;
use execution::Execution;
use executors::{ExecutorLink, ToExecutors};
use failures::Failures;
use futures::{FutureExt, channel::oneshot};
use resources::{ResourceLink, ToResourceManager};
use scheduler::Scheduling;
use slot_pool::SlotPool;
use std::{collections::BTreeMap, sync::Arc};

/// What a job's master stands on.
#[derive(Clone)]
pub struct JobMasterServices {
    /// The settings.
    pub config: Arc<JobManagerConfig>,
    /// The coordination service.
    pub coordination: Arc<dyn Coordination>,
    /// The object store.
    pub objects: Arc<dyn ObjectStore>,
}

/// The endpoint of one term.
pub struct JobMaster {
    services: JobMasterServices,
    term: LeaderSession,
    job: Arc<JobGraph>,
    graph: ExecutionGraph,
    status: JobStatus,
    cause: Option<String>,
    failures: Failures,
    /// The present attempts; empty before the first deployment and between two.
    executions: BTreeMap<ExecutionVertexId, Execution>,
    scheduling: Scheduling,
    slots: SlotPool,
    executors: BTreeMap<ResourceId, ExecutorLink>,
    executor_beats: HeartbeatManagerSender<JobMaster, ToExecutors>,
    resources: ResourceLink,
    resource_beats: HeartbeatManager<JobMaster, ToResourceManager>,
    checkpoints: Checkpoints,
    /// Ends what runs beside the main thread when the term is over.
    scope: Scope,
    /// A user wanted the job to end before this term began.
    canceled: bool,
    /// Told of the job's end, unless the term ends first.
    result: Option<oneshot::Sender<JobResult>>,
}

impl JobMaster {
    /// A master that begins from `checkpoints`, which it has read after its term began; one that only
    /// ends its job if that is `canceled`.
    pub(super) fn new(
        services: JobMasterServices,
        term: LeaderSession,
        job: Arc<JobGraph>,
        checkpoints: Checkpoints,
        canceled: bool,
        result: oneshot::Sender<JobResult>,
    ) -> Self {
        let (own_id, heartbeat) = (term.component.clone(), services.config.heartbeat);
        JobMaster {
            graph: ExecutionGraph::new(&job),
            slots: SlotPool::new(job.required_slots()),
            term,
            job,
            status: JobStatus::Created,
            cause: None,
            failures: Failures::default(),
            executions: BTreeMap::new(),
            scheduling: Scheduling::default(),
            executors: BTreeMap::new(),
            executor_beats: HeartbeatManagerSender::new(own_id.clone(), heartbeat),
            resources: ResourceLink::default(),
            resource_beats: HeartbeatManager::new(own_id, heartbeat),
            checkpoints,
            scope: Scope::default(),
            canceled,
            result: Some(result),
            services,
        }
    }

    fn id(&self) -> JobId {
        self.job.id
    }

    fn set_status(&mut self, context: &Context<Self>, status: JobStatus) {
        assert!(!self.status.is_globally_terminal(), "{:?} has ended", self.job.id);
        if self.status != status {
            self.status = status;
            let (job, session) = (self.id(), self.term.session);
            context.host().announce(&JobEvent::StatusChanged { job, session, status });
        }
    }

    /// The job has ended for good: lets go of everything and says so.
    fn end_job(&mut self, context: &mut Context<Self>, status: JobStatus) {
        self.set_status(context, status);
        self.stop_checkpoints(context, "the job has ended");
        self.leave_executors(context, "the job has ended");
        self.leave_resource_manager(context, status);
        if let Some(result) = self.result.take() {
            // The runner waits for nothing any more when it was stopped.
            let _ = result.send(JobResult { status, cause: self.cause.clone() });
        }
    }

    fn is_over(&self) -> bool {
        self.status.is_globally_terminal() || self.status == JobStatus::Suspended
    }
}

impl RpcEndpoint for JobMaster {
    type Gateway = JobMasterGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        let (job, session, status) = (self.id(), self.term.session, self.status);
        context.host().announce(&JobEvent::StatusChanged { job, session, status });
        self.executor_beats.start(context);
        match self.canceled {
            true => self.cancel_job(context),
            false => self.follow_resource_manager(context),
        }
        Ok(())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        if !self.is_over() {
            self.set_status(context, JobStatus::Suspended);
            self.leave_executors(context, "the job master is stopping");
            self.leave_resource_manager(context, JobStatus::Suspended);
        }
        self.executor_beats.manager().stop(context);
        self.resource_beats.stop(context);
        self.scope.close();
        self.checkpoints.storing = None;
        async { Ok(()) }.boxed()
    }
}

impl JobMasterHandler for JobMaster {
    fn register_task_executor(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        executor: TaskExecutorInfo,
        attempt: u64,
        reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
    ) {
        self.register_executor(context, job, executor, attempt, reply);
    }

    fn offer_slots(
        &mut self,
        context: &mut Context<Self>,
        offered: OfferedSlots,
        reply: Reply<Result<Vec<AllocationId>, RegistrationRefusal>>,
    ) {
        reply.ok(self.take_offers(context, offered));
    }

    fn update_task_state(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        state: TaskExecutionState,
        reply: Reply<bool>,
    ) {
        reply.ok(self.take_task_state(context, attempt, state));
    }

    fn acknowledge_checkpoint(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        state: StateHandle,
        ended: bool,
        reply: Reply<()>,
    ) {
        self.on_acknowledge(context, attempt, checkpoint, state, ended);
        reply.ok(());
    }

    fn decline_checkpoint(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: String,
    ) {
        self.take_decline(context, attempt, checkpoint, &reason);
    }

    fn disconnect_task_executor(
        &mut self,
        context: &mut Context<Self>,
        resource: ResourceId,
        session: TaskExecutorSession,
        cause: String,
    ) {
        self.lose_executor(context, &resource, session, &cause);
    }

    fn details(&mut self, _: &mut Context<Self>, reply: Reply<JobDetails>) {
        reply.ok(JobDetails {
            job: self.id(),
            name: self.job.name.clone(),
            status: self.status,
            checkpoint: self.checkpoints.newest(),
            cause: self.cause.clone(),
            failures: self.failures.recent(),
        });
    }

    fn cancel(&mut self, context: &mut Context<Self>, reply: Reply<()>) {
        self.cancel_job(context);
        reply.ok(());
    }

    fn heartbeat_from_task_executor(
        &mut self,
        context: &mut Context<Self>,
        beat: Beat<ExecutorReport>,
        reply: Reply<()>,
    ) {
        HeartbeatManager::<_, ToExecutors>::receive_heartbeat(self, context, beat);
        reply.ok(());
    }

    fn heartbeat_from_resource_manager(
        &mut self,
        context: &mut Context<Self>,
        beat: Beat<()>,
        reply: Reply<()>,
    ) {
        HeartbeatManager::<_, ToResourceManager>::request_heartbeat(self, context, beat);
        reply.ok(());
    }
}
