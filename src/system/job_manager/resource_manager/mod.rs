//! The resource manager of one term: which task executors there are, and whose their slots are.
//!
//! What it decides is in its [`core`]; this endpoint turns messages and answers into calls of it, and its effects
//! into messages and events.

mod beats;
mod core;
mod provider;

use self::core::{Effect, Introduction, ResourceManagerCore, SlotAnswer, SlotRequest, Timer};
use super::JobManagerConfig;
use crate::{
    host::{Host, Instant, NodeAddress, millis},
    system::{
        heartbeat::{
            Beat, HeartbeatManager, HeartbeatManagerSender, HeartbeatSession, HeartbeatTarget,
        },
        ids::{AllocationId, InstanceId, JobId, ResourceId},
        leadership::{
            LeaderInformation, LeaderRetrievalListener, LeaderRetrievalService, LeaderSession,
            LeaderSessionId,
        },
        protocol::{
            JobMasterGateway, JobStatus, RESOURCE_MANAGER, RegistrationRefusal,
            ResourceManagerGateway, ResourceManagerHandler, SlotDemand, SlotReport,
            TaskExecutorGateway, TaskExecutorInfo, TaskExecutorOverview, job_component,
        },
        registration::connect_back,
        rpc::{
            Context, EndpointHandle, Gateway, Reply, RpcAddress, RpcEndpoint, RpcError, StopFuture,
        },
        scope::Scope,
        service::{
            coordination::Coordination,
            resource_provider::{ProviderSession, ResourceProvider},
        },
        task_executor::until_connection_breaks,
    },
};
use futures::{FutureExt, future::BoxFuture};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The role of the beats towards task executors.
struct ToExecutors;
/// The role of the beats towards masters.
struct ToMasters;

/// The endpoint of one term.
pub struct ResourceManager {
    config: Arc<JobManagerConfig>,
    coordination: Arc<dyn Coordination>,
    /// Who gives machines; `None` of a standalone cluster.
    provider: Option<Arc<dyn ResourceProvider>>,
    /// The term as the provider knows it, once it has attached.
    provider_session: Option<ProviderSession>,
    term: LeaderSession,
    core: ResourceManagerCore,
    /// The ways to the registered task executors.
    executors: BTreeMap<ResourceId, TaskExecutorGateway>,
    /// The ways to the masters that are registered, or about to be.
    masters: BTreeMap<JobId, JobMasterGateway>,
    /// The newest of each job that wait until it is known here who leads it.
    introducing: BTreeMap<JobId, Introducing>,
    /// Follow who leads the jobs.
    retrievals: BTreeMap<JobId, LeaderRetrievalService>,
    executor_beats: HeartbeatManagerSender<ResourceManager, ToExecutors>,
    master_beats: HeartbeatManagerSender<ResourceManager, ToMasters>,
    scope: Scope,
}

/// Sends beats through a gateway, and watches a connection to the task executor's port for streams.
struct ExecutorTarget {
    gateway: TaskExecutorGateway,
    host: Host,
    data: NodeAddress,
}

impl HeartbeatTarget<()> for ExecutorTarget {
    fn request_heartbeat(&self, beat: Beat<()>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.gateway.heartbeat_from_resource_manager(beat).boxed()
    }

    fn connection_broken(&self) -> BoxFuture<'static, ()> {
        until_connection_breaks(self.host.clone(), self.data.clone()).boxed()
    }
}

/// A master that introduces itself.
struct Introducing {
    session: LeaderSessionId,
    attempt: u64,
    address: RpcAddress,
    reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
}

impl Introducing {
    fn refuse(self, why: &str) {
        self.reply.ok(Err(RegistrationRefusal::Failure(why.to_string())));
    }
}

struct MasterTarget(JobMasterGateway);

impl HeartbeatTarget<()> for MasterTarget {
    fn request_heartbeat(&self, beat: Beat<()>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.heartbeat_from_resource_manager(beat).boxed()
    }
}

struct JobListener(JobId, EndpointHandle<ResourceManager>);

impl LeaderRetrievalListener for JobListener {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        let job = self.0;
        self.1.run_without_fencing(move |manager, context| {
            manager.decide(context, |core, _| core.on_job_leader(job, leader));
        });
    }
}

impl ResourceManager {
    /// A resource manager that knows nobody yet.
    pub fn new(
        config: Arc<JobManagerConfig>,
        coordination: Arc<dyn Coordination>,
        provider: Option<Arc<dyn ResourceProvider>>,
        term: LeaderSession,
    ) -> Self {
        let heartbeat = config.heartbeat;
        let (base, switches) = (coordination.host().random_u128(), coordination.host().switches());
        let mut core = ResourceManagerCore::new(config.clone(), base, switches);
        if provider.is_some() {
            let prefix = format!("{:08x}", term.session.0 >> 96);
            core = core.with_workers(config.workers.clone(), prefix);
        }
        ResourceManager {
            core,
            provider,
            provider_session: None,
            config,
            coordination,
            term,
            executors: BTreeMap::new(),
            masters: BTreeMap::new(),
            introducing: BTreeMap::new(),
            retrievals: BTreeMap::new(),
            executor_beats: HeartbeatManagerSender::new(RESOURCE_MANAGER, heartbeat),
            master_beats: HeartbeatManagerSender::new(RESOURCE_MANAGER, heartbeat),
            scope: Scope::default(),
        }
    }

    /// Lets the core decide, and does what it wants done.
    fn decide<T>(
        &mut self,
        context: &mut Context<Self>,
        decide: impl FnOnce(&mut ResourceManagerCore, Instant) -> T,
    ) -> T {
        let decided = decide(&mut self.core, context.host().now());
        for effect in self.core.take_effects() {
            self.perform(context, effect);
        }
        decided
    }

    fn perform(&mut self, context: &mut Context<Self>, effect: Effect) {
        match effect {
            Effect::Announce(event) => context.host().announce(&event),
            Effect::Schedule(delay, timer) => schedule(context, delay, timer),
            Effect::Follow(job) => {
                let listener = Arc::new(JobListener(job, context.handle()));
                let (component, client) = (job_component(job), &self.coordination);
                let retrieval = LeaderRetrievalService::start(&component, client, listener);
                self.retrievals.insert(job, retrieval);
            }
            Effect::Unfollow(job) => {
                self.retrievals.remove(&job);
                if let Some(forgotten) = self.introducing.remove(&job) {
                    forgotten.refuse("the job was forgotten");
                }
            }
            Effect::HearMaster(job) => {
                if let Some(introducing) = self.introducing.remove(&job) {
                    self.hear_master(context, job, introducing);
                }
            }
            Effect::MonitorExecutor(resource, instance) => {
                let (gateway, host) = (self.executors[&resource].clone(), context.host().clone());
                let data = self.core.data_port(&resource).expect("it is registered");
                let target = Arc::new(ExecutorTarget { gateway, host, data });
                let (beats, session) =
                    (self.executor_beats.manager(), HeartbeatSession(instance.0));
                beats.monitor_target(context, &resource.0, session, target);
            }
            Effect::DropExecutor(resource, instance, cause) => {
                let (beats, session) =
                    (self.executor_beats.manager(), HeartbeatSession(instance.0));
                beats.unmonitor_target(context, &resource.0, session);
                let gateway = self.executors.remove(&resource).expect("it was registered");
                gateway.disconnect_resource_manager(self.term.session, instance, cause);
            }
            Effect::MonitorMaster(job, heartbeat) => {
                let gateway = self.masters.remove(&job).expect("it was connected to");
                let (beats, id) = (self.master_beats.manager(), job_component(job));
                beats.monitor_target(context, &id, heartbeat, Arc::new(MasterTarget(gateway)));
            }
            Effect::UnmonitorMaster(job, heartbeat) => {
                let (beats, id) = (self.master_beats.manager(), job_component(job));
                beats.unmonitor_target(context, &id, heartbeat);
            }
            Effect::RequestSlot(request, allocation) => {
                self.request_slot(context, request, allocation);
            }
            Effect::AttachProvider
            | Effect::RequestWorker(..)
            | Effect::ReleaseWorker(_)
            | Effect::ListWorkers(_) => self.ask_provider(context, effect),
        }
    }

    /// Connects back to a task executor that introduces itself.
    fn connect_executor(
        &mut self,
        context: &mut Context<Self>,
        info: TaskExecutorInfo,
        attempt: u64,
        reply: Reply<Result<InstanceId, RegistrationRefusal>>,
    ) {
        let (service, timeout) = (context.service().clone(), self.config.call_timeout);
        let executor = info.clone();
        let work = self.scope.wrap(async move { connect_back(&service, &executor, timeout).await });
        context.spawn_then(work, move |manager, context, connected| {
            let Some(connected) = connected else { return };
            let instance = match &connected {
                Ok(_) => Ok(InstanceId(context.host().random_u128())),
                Err(error) => Err(error.to_string()),
            };
            let resource = info.resource.clone();
            let answer = manager.core.on_executor_connected(info, attempt, instance);
            let mut way = connected.ok();
            for effect in manager.core.take_effects() {
                // An earlier registration is told of its end before this one takes its place.
                if matches!(effect, Effect::MonitorExecutor(..))
                    && let Some(gateway) = way.take()
                {
                    manager.executors.insert(resource.clone(), gateway);
                }
                manager.perform(context, effect);
            }
            reply.ok(answer);
        });
    }

    fn request_slot(
        &self,
        context: &Context<Self>,
        request: SlotRequest,
        allocation: AllocationId,
    ) {
        let SlotRequest { resource, instance, index, job } = request.clone();
        let resource_manager = self.term.session;
        let demand = SlotDemand { resource_manager, instance, index, job, allocation };
        let work = self.scope.wrap(self.executors[&resource].request_slot(demand));
        context.spawn_then(work, move |manager, context, answer| {
            let Some(answer) = answer else { return };
            let answer = match answer {
                Ok(Ok(version)) => SlotAnswer::Granted(version),
                Err(error) if error.is_maybe() => SlotAnswer::Unknown,
                Ok(Err(_)) | Err(_) => SlotAnswer::Refused,
            };
            manager.decide(context, |core, now| {
                core.on_slot_answered(now, &request, allocation, answer);
            });
        });
    }

    fn hear_master(&mut self, context: &mut Context<Self>, job: JobId, introducing: Introducing) {
        let (session, attempt) = (introducing.session, introducing.attempt);
        let heard =
            self.decide(context, |core, now| core.on_master_connecting(now, job, session, attempt));
        match heard {
            Ok(Introduction::Connects) => self.connect_master(context, job, introducing),
            Ok(Introduction::Waits) => {
                if let Some(before) = self.introducing.insert(job, introducing) {
                    before.refuse("a newer try is known");
                }
            }
            Err(refusal) => introducing.reply.ok(Err(refusal)),
        }
    }

    /// Connects back to a master that introduces itself.
    fn connect_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        introducing: Introducing,
    ) {
        let Introducing { session, attempt, address, reply } = introducing;
        let (service, timeout) = (context.service().clone(), self.config.call_timeout);
        let work = self.scope.wrap(async move {
            let connect = service.connect_fenced::<JobMasterGateway>(&address, session.token());
            connect.await.map(|gateway| gateway.with_timeout(timeout))
        });
        context.spawn_then(work, move |manager, context, connected| match connected {
            Some(Ok(gateway)) => {
                let heartbeat = HeartbeatSession(context.host().random_u128());
                manager.masters.insert(job, gateway);
                let answer = manager.decide(context, |core, now| {
                    core.on_master_connected(now, job, session, attempt, heartbeat)
                });
                // If it came to nothing.
                manager.masters.remove(&job);
                reply.ok(answer);
            }
            Some(Err(error)) => {
                reply.ok(Err(RegistrationRefusal::Failure(error.to_string())));
            }
            None => {}
        });
    }
}

fn schedule(context: &Context<ResourceManager>, delay: Duration, timer: Timer) {
    context.schedule(delay, move |manager, context| {
        manager.decide(context, |core, now| core.on_timer(now, timer));
    });
}

impl RpcEndpoint for ResourceManager {
    type Gateway = ResourceManagerGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.executor_beats.start(context);
        self.master_beats.start(context);
        self.decide(context, |core, _| core.on_start());
        Ok(())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        self.executor_beats.manager().stop(context);
        self.master_beats.manager().stop(context);
        self.retrievals.clear();
        self.scope.close();
        async { Ok(()) }.boxed()
    }

    fn check_invariants(&self) {
        self.core.check_invariants();
        if !self.scope.is_closed() {
            let followed: Vec<JobId> = self.retrievals.keys().copied().collect();
            assert_eq!(followed, self.core.jobs(), "a job is followed while it is known");
            let waiting = self.introducing.keys().find(|job| !self.retrievals.contains_key(job));
            assert_eq!(waiting, None, "a master waits until its job's leader is known");
        }
    }
}

impl ResourceManagerHandler for ResourceManager {
    fn register_task_executor(
        &mut self,
        context: &mut Context<Self>,
        executor: TaskExecutorInfo,
        attempt: u64,
        reply: Reply<Result<InstanceId, RegistrationRefusal>>,
    ) {
        match self.core.on_executor_connecting(&executor, attempt) {
            Ok(()) => self.connect_executor(context, executor, attempt, reply),
            Err(refusal) => reply.ok(Err(refusal)),
        }
    }

    fn report_slots(
        &mut self,
        context: &mut Context<Self>,
        instance: InstanceId,
        report: SlotReport,
        reply: Reply<bool>,
    ) {
        reply.ok(self.decide(context, |core, now| core.on_report(now, instance, &report)));
    }

    fn register_job_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        session: LeaderSessionId,
        address: RpcAddress,
        attempt: u64,
        reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
    ) {
        self.hear_master(context, job, Introducing { session, attempt, address, reply });
    }

    fn declare_requirements(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        session: LeaderSessionId,
        version: u64,
        slots: u32,
        reply: Reply<bool>,
    ) {
        let declare = |core: &mut ResourceManagerCore, now| {
            core.on_requirements(now, job, session, version, slots)
        };
        reply.ok(self.decide(context, declare));
    }

    fn disconnect_job_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        session: LeaderSessionId,
        status: JobStatus,
    ) {
        self.decide(context, |core, now| core.on_master_left(now, job, session, status));
    }

    fn disconnect_task_executor(
        &mut self,
        context: &mut Context<Self>,
        instance: InstanceId,
        cause: String,
    ) {
        if let Some(resource) = self.core.resource_of(instance) {
            self.decide(context, |core, now| {
                core.on_executor_gone(now, &resource, instance, &cause)
            });
        }
    }

    fn task_executors(
        &mut self,
        context: &mut Context<Self>,
        reply: Reply<Vec<TaskExecutorOverview>>,
    ) {
        let now = context.host().now();
        let beats = self.executor_beats.manager();
        let told = self.core.executors().map(|(info, slots, free)| {
            let last = beats.last_heartbeat(&info.resource.0);
            let silent = last.map_or(Duration::ZERO, |last| now.saturating_since(last));
            TaskExecutorOverview {
                resource: info.resource.clone(),
                address: info.address.to_string(),
                data_port: info.data.port,
                heartbeat_ms: millis(silent),
                slots: u32::try_from(slots).unwrap_or(u32::MAX),
                free_slots: u32::try_from(free).unwrap_or(u32::MAX),
            }
        });
        reply.ok(told.collect());
    }

    fn heartbeat_from_task_executor(
        &mut self,
        context: &mut Context<Self>,
        beat: Beat<SlotReport>,
        reply: Reply<()>,
    ) {
        HeartbeatManager::<_, ToExecutors>::receive_heartbeat(self, context, beat);
        reply.ok(());
    }

    fn heartbeat_from_job_master(
        &mut self,
        context: &mut Context<Self>,
        beat: Beat<()>,
        reply: Reply<()>,
    ) {
        HeartbeatManager::<_, ToMasters>::receive_heartbeat(self, context, beat);
        reply.ok(());
    }
}
