//! The resource manager of one term: which task executors there are, and whose their slots are.

mod beats;
mod slot_manager;

use super::{JobManagerConfig, event::JobEvent};
use crate::{
    host::Instant,
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
            TaskExecutorGateway, TaskExecutorInfo, job_component,
        },
        registration::connect_back,
        rpc::{
            Context, EndpointHandle, Gateway, Reply, RpcAddress, RpcEndpoint, RpcError, StopFuture,
        },
        scope::Scope,
        service::coordination::Coordination,
    },
};
use futures::{FutureExt, future::BoxFuture};
use slot_manager::{SlotManager, SlotRequest};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Task executors, and jobs, that a resource manager knows at most.
const PEERS_MAX: usize = 4096;

/// The role of the beats towards task executors.
struct ToExecutors;
/// The role of the beats towards masters.
struct ToMasters;

struct Executor {
    info: TaskExecutorInfo,
    attempt: u64,
    instance: InstanceId,
    gateway: TaskExecutorGateway,
}

struct Master {
    session: LeaderSessionId,
    attempt: u64,
    heartbeat: HeartbeatSession,
}

/// A job that has, had or may have a master.
struct Job {
    /// Follows who leads it; a master that does not is not registered.
    _retrieval: LeaderRetrievalService,
    leader: Option<LeaderInformation>,
    master: Option<Master>,
    /// Since when it has no master.
    idle: Instant,
}

/// The endpoint of one term.
pub struct ResourceManager {
    config: Arc<JobManagerConfig>,
    coordination: Arc<dyn Coordination>,
    term: LeaderSession,
    executors: BTreeMap<ResourceId, Executor>,
    /// The newest try of each task executor that is being connected.
    connecting: BTreeMap<ResourceId, (TaskExecutorInfo, u64)>,
    jobs: BTreeMap<JobId, Job>,
    slots: SlotManager,
    /// Until when nothing is asked for a job for which a slot was given back: whoever refused it may
    /// do so again.
    resting: BTreeMap<JobId, Instant>,
    executor_beats: HeartbeatManagerSender<ResourceManager, ToExecutors>,
    master_beats: HeartbeatManagerSender<ResourceManager, ToMasters>,
    scope: Scope,
}

struct ExecutorTarget(TaskExecutorGateway);

impl HeartbeatTarget<()> for ExecutorTarget {
    fn request_heartbeat(&self, beat: Beat<()>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.heartbeat_from_resource_manager(beat).boxed()
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
        self.1.run_without_fencing(move |manager, _| {
            if let Some(known) = manager.jobs.get_mut(&job) {
                known.leader = leader;
            }
        });
    }
}

impl ResourceManager {
    /// A resource manager that knows nobody yet.
    pub fn new(
        config: Arc<JobManagerConfig>,
        coordination: Arc<dyn Coordination>,
        term: LeaderSession,
    ) -> Self {
        let heartbeat = config.heartbeat;
        ResourceManager {
            config,
            coordination,
            term,
            executors: BTreeMap::new(),
            connecting: BTreeMap::new(),
            jobs: BTreeMap::new(),
            slots: SlotManager::default(),
            resting: BTreeMap::new(),
            executor_beats: HeartbeatManagerSender::new(RESOURCE_MANAGER, heartbeat),
            master_beats: HeartbeatManagerSender::new(RESOURCE_MANAGER, heartbeat),
            scope: Scope::default(),
        }
    }

    /// Connects back; only the newest try of a task executor may finish.
    fn connect_executor(
        &mut self,
        context: &mut Context<Self>,
        info: TaskExecutorInfo,
        attempt: u64,
        reply: Reply<Result<InstanceId, RegistrationRefusal>>,
    ) {
        let refuse = |why: &str| Err(RegistrationRefusal::Failure(why.to_string()));
        let outdated = |known: &TaskExecutorInfo, newest: u64| {
            known.session == info.session && newest >= attempt
        };
        let registered = self.executors.get(&info.resource);
        let connecting = self.connecting.get(&info.resource);
        if registered.is_some_and(|known| outdated(&known.info, known.attempt))
            || connecting.is_some_and(|(known, newest)| outdated(known, *newest))
        {
            return reply.ok(refuse("a newer try is known"));
        }
        if self.executors.len() + self.connecting.len() >= PEERS_MAX {
            return reply.ok(refuse("too many task executors"));
        }
        self.connecting.insert(info.resource.clone(), (info.clone(), attempt));
        let (service, timeout) = (context.service().clone(), self.config.call_timeout);
        let executor = info.clone();
        let work = self.scope.wrap(async move { connect_back(&service, &executor, timeout).await });
        context.spawn_then(work, move |manager, context, connected| {
            let newest = manager.connecting.get(&info.resource);
            let is_newest =
                newest.is_some_and(|(known, n)| known.session == info.session && *n == attempt);
            if !is_newest {
                return reply.ok(Err(RegistrationRefusal::Failure("outdated".to_string())));
            }
            manager.connecting.remove(&info.resource);
            match connected {
                Some(Ok(gateway)) => {
                    reply.ok(Ok(manager.register_executor(context, info, attempt, gateway)));
                }
                Some(Err(error)) => {
                    reply.ok(Err(RegistrationRefusal::Failure(error.to_string())));
                }
                None => {}
            }
        });
    }

    fn register_executor(
        &mut self,
        context: &mut Context<Self>,
        info: TaskExecutorInfo,
        attempt: u64,
        gateway: TaskExecutorGateway,
    ) -> InstanceId {
        let resource = info.resource.clone();
        if let Some(earlier) = self.executors.get(&resource) {
            let instance = earlier.instance;
            self.drop_executor(context, &resource, instance, "it registers anew");
        }
        let instance = InstanceId(context.host().random_u128());
        let (session, heartbeat) = (info.session, HeartbeatSession(instance.0));
        let event = JobEvent::ExecutorRegistered { resource: resource.clone(), session, instance };
        context.host().announce(&event);
        self.slots.register(&resource, instance);
        let target = Arc::new(ExecutorTarget(gateway.clone()));
        self.executor_beats.manager().monitor_target(context, &resource.0, heartbeat, target);
        self.executors.insert(resource, Executor { info, attempt, instance, gateway });
        instance
    }

    /// Ends a registration, and tells the task executor.
    fn drop_executor(
        &mut self,
        context: &mut Context<Self>,
        resource: &ResourceId,
        instance: InstanceId,
        cause: &str,
    ) {
        let known = self.executors.get(resource).is_some_and(|known| known.instance == instance);
        if !known {
            return;
        }
        let executor = self.executors.remove(resource).expect("it is known");
        let heartbeat = HeartbeatSession(instance.0);
        self.executor_beats.manager().unmonitor_target(context, &resource.0, heartbeat);
        self.slots.unregister(resource, instance);
        let event = JobEvent::ExecutorDropped { resource: resource.clone(), instance };
        context.host().announce(&event);
        let session = self.term.session;
        executor.gateway.disconnect_resource_manager(session, instance, cause.to_string());
    }

    fn take_report(
        &mut self,
        context: &mut Context<Self>,
        instance: InstanceId,
        report: &SlotReport,
    ) -> bool {
        let known = self.executors.iter().find(|(_, executor)| executor.instance == instance);
        let Some(resource) = known.map(|(resource, _)| resource.clone()) else { return false };
        for job in self.slots.report(&resource, instance, report) {
            self.rest(context, job);
        }
        self.match_slots(context);
        true
    }

    /// Asks for nothing for a job for a while.
    fn rest(&mut self, context: &mut Context<Self>, job: JobId) {
        let delay = self.config.registration.refused_delay;
        let until = context.host().now() + delay;
        if self.resting.insert(job, until).is_none() {
            self.wake(context, job, delay);
        }
    }

    fn wake(&mut self, context: &mut Context<Self>, job: JobId, after: Duration) {
        context.schedule(after, move |manager, context| {
            let Some(until) = manager.resting.get(&job).copied() else { return };
            let left = until.saturating_since(context.host().now());
            if !left.is_zero() {
                return manager.wake(context, job, left);
            }
            manager.resting.remove(&job);
            manager.match_slots(context);
        });
    }

    /// Asks for slots that are needed and free.
    fn match_slots(&mut self, context: &mut Context<Self>) {
        let host = context.host().clone();
        let resting = |job: JobId| self.resting.contains_key(&job);
        let allocate = || AllocationId(host.random_u128());
        for (request, allocation) in self.slots.match_slots(resting, allocate) {
            self.request_slot(context, request, allocation);
        }
    }

    fn request_slot(
        &mut self,
        context: &mut Context<Self>,
        request: SlotRequest,
        allocation: AllocationId,
    ) {
        let SlotRequest { resource, instance, index, job } = request.clone();
        context.host().announce(&JobEvent::SlotRequested {
            job,
            resource: resource.clone(),
            index,
            allocation,
        });
        let gateway = &self.executors[&resource].gateway;
        let resource_manager = self.term.session;
        let demand = SlotDemand { resource_manager, instance, index, job, allocation };
        let ask = gateway.request_slot(demand);
        let work = self.scope.wrap(ask);
        context.spawn_then(work, move |manager, context, answer| {
            let granted = match answer {
                Some(Ok(Ok(version))) => Some(version),
                // Without an answer it may be held; the next report shows it.
                Some(Ok(Err(_)) | Err(_)) => None,
                None => return,
            };
            let given_back = manager.slots.answer(&request, allocation, granted);
            if given_back || granted.is_none() {
                manager.rest(context, request.job);
            }
            manager.match_slots(context);
        });
    }

    /// Follows who leads a job.
    fn follow_job(&mut self, context: &mut Context<Self>, job: JobId) {
        let listener = Arc::new(JobListener(job, context.handle()));
        let component = job_component(job);
        let retrieval = LeaderRetrievalService::start(&component, &self.coordination, listener);
        let idle = context.host().now();
        self.jobs.insert(job, Job { _retrieval: retrieval, leader: None, master: None, idle });
        self.forget_when_idle(context, job);
    }

    /// Forgets a job that has had no master for long.
    fn forget_when_idle(&mut self, context: &mut Context<Self>, job: JobId) {
        let timeout = self.config.job_timeout;
        context.schedule(timeout, move |manager, context| {
            let now = context.host().now();
            let Some(known) = manager.jobs.get(&job) else { return };
            if known.master.is_none() && now >= known.idle + timeout {
                manager.forget_job(job);
            } else {
                manager.forget_when_idle(context, job);
            }
        });
    }

    fn forget_job(&mut self, job: JobId) {
        self.jobs.remove(&job);
        self.slots.forget_job(job);
    }

    fn connect_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        session: LeaderSessionId,
        address: RpcAddress,
        attempt: u64,
        reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
    ) {
        let failure = |why: &str| Err(RegistrationRefusal::Failure(why.to_string()));
        if !self.jobs.contains_key(&job) {
            if self.jobs.len() >= PEERS_MAX {
                return reply.ok(failure("too many jobs"));
            }
            self.follow_job(context, job);
        }
        if let Err(why) = self.may_register(job, session, attempt) {
            return reply.ok(failure(why));
        }
        let service = context.service().clone();
        let timeout = self.config.call_timeout;
        let work = self.scope.wrap(async move {
            let connect = service.connect_fenced::<JobMasterGateway>(&address, session.token());
            connect.await.map(|gateway| gateway.with_timeout(timeout))
        });
        context.spawn_then(work, move |manager, context, connected| match connected {
            Some(Ok(gateway)) => {
                let answer = manager.register_master(context, job, session, attempt, gateway);
                reply.ok(answer);
            }
            Some(Err(error)) => {
                reply.ok(Err(RegistrationRefusal::Failure(error.to_string())));
            }
            None => {}
        });
    }

    /// A master must lead its job as far as can be seen from here, and this be its newest try.
    fn may_register(
        &self,
        job: JobId,
        session: LeaderSessionId,
        attempt: u64,
    ) -> Result<(), &'static str> {
        let Some(known) = self.jobs.get(&job) else { return Err("the job was forgotten") };
        match &known.leader {
            Some(leader) if leader.session == session => {}
            Some(_) => return Err("another master leads the job"),
            None => return Err("no master is known to lead the job"),
        }
        match &known.master {
            Some(master) if master.session == session && master.attempt >= attempt => {
                Err("a newer try is known")
            }
            _ => Ok(()),
        }
    }

    fn register_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        session: LeaderSessionId,
        attempt: u64,
        gateway: JobMasterGateway,
    ) -> Result<HeartbeatSession, RegistrationRefusal> {
        // While it was being connected, much may have changed.
        if let Err(why) = self.may_register(job, session, attempt) {
            return Err(RegistrationRefusal::Failure(why.to_string()));
        }
        self.drop_master(context, job, None);
        let heartbeat = HeartbeatSession(context.host().random_u128());
        let target = Arc::new(MasterTarget(gateway));
        let id = job_component(job);
        self.master_beats.manager().monitor_target(context, &id, heartbeat, target);
        let known = self.jobs.get_mut(&job).expect("it may register");
        known.master = Some(Master { session, attempt, heartbeat });
        self.slots.connect_master(job);
        context.host().announce(&JobEvent::MasterRegistered { job, session });
        Ok(heartbeat)
    }

    /// A job's master is gone; what the job needs is kept for the next one.
    fn drop_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        told: Option<LeaderSessionId>,
    ) {
        let Some(known) = self.jobs.get_mut(&job) else { return };
        if let Some(master) = known.master.take() {
            known.idle = context.host().now();
            self.slots.disconnect_master(job);
            let id = job_component(job);
            self.master_beats.manager().unmonitor_target(context, &id, master.heartbeat);
            let session = master.session;
            context.host().announce(&JobEvent::MasterDropped { job, session, told });
        }
    }

    fn is_master(&self, job: JobId, session: LeaderSessionId) -> bool {
        let master = self.jobs.get(&job).and_then(|known| known.master.as_ref());
        master.is_some_and(|master| master.session == session)
    }
}

impl RpcEndpoint for ResourceManager {
    type Gateway = ResourceManagerGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.executor_beats.start(context);
        self.master_beats.start(context);
        Ok(())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        self.executor_beats.manager().stop(context);
        self.master_beats.manager().stop(context);
        self.jobs.clear();
        self.scope.close();
        async { Ok(()) }.boxed()
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
        self.connect_executor(context, executor, attempt, reply);
    }

    fn report_slots(
        &mut self,
        context: &mut Context<Self>,
        instance: InstanceId,
        report: SlotReport,
        reply: Reply<bool>,
    ) {
        reply.ok(self.take_report(context, instance, &report));
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
        self.connect_master(context, job, session, address, attempt, reply);
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
        let known = self.is_master(job, session);
        if known {
            self.slots.require(job, version, slots);
            self.match_slots(context);
        }
        reply.ok(known);
    }

    fn disconnect_job_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        session: LeaderSessionId,
        status: JobStatus,
    ) {
        if !self.is_master(job, session) {
            return;
        }
        self.drop_master(context, job, Some(session));
        if status.is_globally_terminal() {
            self.forget_job(job);
        }
    }

    fn disconnect_task_executor(
        &mut self,
        context: &mut Context<Self>,
        instance: InstanceId,
        cause: String,
    ) {
        let known = self.executors.iter().find(|(_, executor)| executor.instance == instance);
        if let Some(resource) = known.map(|(resource, _)| resource.clone()) {
            self.drop_executor(context, &resource, instance, &cause);
        }
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
