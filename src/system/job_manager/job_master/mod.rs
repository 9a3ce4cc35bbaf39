//! The master of one job during one term: slots, attempts, failover, checkpoints.
//!
//! What it decides is in its [`core`]; this endpoint turns messages and answers into calls of it, and its
//! [effects](perform) into messages, writes and events. [`resources`] speaks to the resource manager.

mod core;
mod perform;
mod recovery;
mod removals;
mod resources;

pub(super) use self::core::Checkpoints;
use self::core::JobMasterCore;
use super::{JobManagerConfig, operator_check::OperatorCheck};
use crate::host::Instant;
use crate::system::{
    graph::JobGraph,
    heartbeat::{
        Beat, HeartbeatListener, HeartbeatManager, HeartbeatManagerSender, HeartbeatSession,
    },
    ids::{AllocationId, ExecutionAttemptId, JobId, ResourceId},
    leadership::LeaderSession,
    protocol::{
        CheckpointAck, CheckpointDecline, ExecutorReport, JobDetails, JobMasterGateway,
        JobMasterHandler, JobOverview, JobResult, MasterReport, OfferedSlots, RegistrationRefusal,
        SavepointRequest, SavepointStatus, TaskExecutionState, TaskExecutorGateway,
        TaskExecutorInfo,
    },
    reason::bounded,
    registration::connect_back,
    rpc::{Context, Reply, RpcEndpoint, RpcError, StopFuture},
    savepoint,
    scope::Scope,
    service::{coordination::Coordination, object_store::ObjectStore},
    store::{CheckpointIdCounter, CompletedCheckpointStore},
};
use futures::{FutureExt, channel::oneshot};
use perform::ToExecutors;
pub(super) use recovery::{Recovery, RecoveryTrouble, read_for_savepoint, recover_checkpoints};
use removals::Removals;
use resources::{ResourceLink, ToResourceManager};
use std::{collections::BTreeMap, sync::Arc};

/// How a job has ended for good, and the last that its master knew of it.
pub type JobEnd = (JobResult, Box<JobDetails>);

/// What a job's master stands on.
#[derive(Clone)]
pub struct JobMasterServices {
    /// The settings.
    pub config: Arc<JobManagerConfig>,
    /// The coordination service.
    pub coordination: Arc<dyn Coordination>,
    /// The object store.
    pub objects: Arc<dyn ObjectStore>,
    /// Whether this process can make the tasks of a job.
    pub check: OperatorCheck,
}

/// The endpoint of one term.
pub struct JobMaster {
    services: JobMasterServices,
    term: LeaderSession,
    core: JobMasterCore,
    counter: CheckpointIdCounter,
    store: CompletedCheckpointStore,
    /// The ways to the task executors that the core knows.
    gateways: BTreeMap<ResourceId, TaskExecutorGateway>,
    executor_beats: HeartbeatManagerSender<JobMaster, ToExecutors>,
    resources: ResourceLink,
    resource_beats: HeartbeatManager<JobMaster, ToResourceManager>,
    /// Ends what runs beside the main thread when the term is over.
    scope: Scope,
    /// The same for what is being stored.
    storing: Scope,
    removals: Removals,
    /// A user wanted the job to end before this term began.
    canceled: bool,
    /// Told of the job's end, unless the term ends first.
    result: Option<oneshot::Sender<JobEnd>>,
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
        result: oneshot::Sender<JobEnd>,
    ) -> Self {
        let config = services.config.clone();
        let heartbeat = config.heartbeat;
        let (own_id, client) = (term.component.clone(), &services.coordination);
        let (now, switches) = (client.host().now(), client.host().switches());
        let unbuildable = (services.check)(&job).err();
        let mut core =
            JobMasterCore::new(now, job.clone(), term.session, checkpoints, &config, switches);
        if let Some(why) = unbuildable {
            tracing::warn!(job = %job.id, why, "the job waits for a job manager that can run it");
            core.wait_for_program(bounded(why));
        }
        JobMaster {
            counter: CheckpointIdCounter::new(client, &term, job.id),
            store: CompletedCheckpointStore::new(client, &term, job.id),
            core,
            term,
            gateways: BTreeMap::new(),
            executor_beats: HeartbeatManagerSender::new(own_id.clone(), heartbeat),
            resources: ResourceLink::default(),
            resource_beats: HeartbeatManager::new(own_id, heartbeat),
            scope: Scope::default(),
            storing: Scope::default(),
            removals: Removals::default(),
            canceled,
            result: Some(result),
            services,
        }
    }

    fn id(&self) -> JobId {
        self.core.id()
    }

    /// Lets the core decide, and does what it wants done.
    fn decide<T>(
        &mut self,
        context: &mut Context<Self>,
        decide: impl FnOnce(&mut JobMasterCore, Instant) -> T,
    ) -> T {
        let decided = decide(&mut self.core, context.host().now());
        for effect in self.core.take_effects() {
            self.perform(context, effect);
        }
        decided
    }

    /// No beat comes any more from a task executor.
    fn executor_silent(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
        cause: &str,
    ) {
        let resource = ResourceId(id.to_string());
        self.decide(context, |core, now| core.on_silence(now, &resource, session, cause));
    }

    /// A task executor introduces itself: connects back, and makes sure that it is that life of it.
    fn connect_executor(
        &mut self,
        context: &mut Context<Self>,
        info: TaskExecutorInfo,
        attempt: u64,
        reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
    ) {
        let (service, timeout) = (context.service().clone(), self.services.config.call_timeout);
        let executor = info.clone();
        let work = self.scope.wrap(async move { connect_back(&service, &executor, timeout).await });
        context.spawn_then(work, move |master, context, connected| match connected {
            Some(Ok(gateway)) => {
                let heartbeat = HeartbeatSession(context.host().random_u128());
                let answer = master.core.may_connect(master.id(), &info, attempt).and_then(|()| {
                    // One of an earlier life is told of its end before this one takes its place.
                    master.connected(context, info, attempt, heartbeat, gateway)
                });
                reply.ok(answer);
            }
            Some(Err(error)) => reply.ok(Err(RegistrationRefusal::Failure(error.to_string()))),
            None => {}
        });
    }
}

impl RpcEndpoint for JobMaster {
    type Gateway = JobMasterGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.decide(context, JobMasterCore::on_start);
        self.executor_beats.start(context);
        match self.canceled {
            true => self.decide(context, |core, now| core.on_cancel(now)),
            // Without its program it needs no slots.
            false if self.core.waits_for_program() => {}
            false => self.follow_resource_manager(context),
        }
        Ok(())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        self.decide(context, |core, now| core.on_stop(now));
        self.executor_beats.manager().stop(context);
        self.resource_beats.stop(context);
        async { Ok(()) }.boxed()
    }

    fn check_invariants(&self) {
        self.core.check_invariants();
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
        match self.core.may_connect(job, &executor, attempt) {
            Ok(()) => self.connect_executor(context, executor, attempt, reply),
            Err(refusal) => reply.ok(Err(refusal)),
        }
    }

    fn offer_slots(
        &mut self,
        context: &mut Context<Self>,
        offered: OfferedSlots,
        reply: Reply<Result<Vec<AllocationId>, RegistrationRefusal>>,
    ) {
        reply.ok(self.decide(context, |core, now| core.on_offered(now, offered)));
    }

    fn update_task_state(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        state: TaskExecutionState,
        reply: Reply<bool>,
    ) {
        reply.ok(self.decide(context, |core, now| core.on_task_state(now, attempt, state)));
    }

    fn acknowledge_checkpoint(
        &mut self,
        context: &mut Context<Self>,
        part: CheckpointAck,
        reply: Reply<()>,
    ) {
        self.decide(context, |core, now| core.on_acknowledged(now, part));
        reply.ok(());
    }

    fn decline_checkpoint(&mut self, context: &mut Context<Self>, decline: CheckpointDecline) {
        self.decide(context, |core, now| core.on_declined(now, &decline));
    }

    fn disconnect_task_executor(
        &mut self,
        context: &mut Context<Self>,
        resource: ResourceId,
        connection: HeartbeatSession,
        cause: String,
    ) {
        self.decide(context, |core, now| core.on_left(now, &resource, connection, &cause));
    }

    fn details(&mut self, context: &mut Context<Self>, reply: Reply<JobDetails>) {
        // That the job has failed is told by the dispatcher, once that is kept.
        reply.ok(self.core.details(context.host().now()).before_its_failure());
    }

    fn overview(&mut self, context: &mut Context<Self>, reply: Reply<JobOverview>) {
        reply.ok(self.core.details(context.host().now()).before_its_failure().overview());
    }

    fn cancel(&mut self, context: &mut Context<Self>, reply: Reply<()>) {
        self.decide(context, |core, now| core.on_cancel(now));
        reply.ok(());
    }

    fn savepoint(
        &mut self,
        context: &mut Context<Self>,
        request: SavepointRequest,
        reply: Reply<SavepointStatus>,
    ) {
        if let Some(known) = self.core.savepoint_status(&request.path) {
            return reply.ok(known);
        }
        if let Err(why) = savepoint::check_path(&request.path) {
            return reply.ok(SavepointStatus::Failed(why));
        }
        if request.checkpoint.is_some() {
            let why = "the job goes on: take a savepoint without --checkpoint".to_string();
            return reply.ok(SavepointStatus::Failed(why));
        }
        // A former master may have taken it.
        let (objects, path) = (self.services.objects.clone(), request.path.clone());
        let look = self.scope.wrap(async move { savepoint::is_complete(&*objects, &path).await });
        context.spawn_then(look, move |master, context, found| match found {
            Some(Ok(true)) => reply.ok(SavepointStatus::Completed),
            Some(Ok(false)) => {
                reply.ok(master.decide(context, |core, _| core.on_savepoint(request)));
            }
            Some(Err(refusal)) => reply.ok(SavepointStatus::Failed(refusal.to_string())),
            None => reply.fail(RpcError::GoingAway),
        });
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
        self.executor_silent(context, id, session, "heartbeat timeout");
    }

    fn notify_target_unreachable(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        self.executor_silent(context, id, session, "unreachable");
    }

    fn report_payload(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
        report: ExecutorReport,
    ) {
        let resource = ResourceId(id.to_string());
        self.decide(context, |core, now| core.on_report(now, &resource, session, report));
    }

    fn retrieve_payload(&mut self, _: &mut Context<Self>, id: &str) -> MasterReport {
        self.core.report_to(&ResourceId(id.to_string()))
    }
}
