//! The task executor: slots, tasks, and the ways to masters and the resource manager.
//!
//! The endpoint's parts are in files of their own: [`masters`] speaks to the masters of the jobs that
//! hold slots here, [`resources`] to the resource manager.

mod masters;
mod resources;

use super::{
    EndCause, FreeCause, ManagerCause, ShuffleEnvironment, SlotEvent, Task, TaskEnvironment,
    TaskExecutorConfig, TaskHandle, TaskResponder, TaskStateUpdate,
    slot_table::{Held, SlotTable},
};
use crate::system::{
    dataflow::Programs,
    dataflow::WorkingFolders,
    graph::{StateHandle, TaskDeployment},
    heartbeat::{Beat, HeartbeatManager, HeartbeatSession},
    ids::{AllocationId, CheckpointId, ExecutionAttemptId, InstanceId, JobId, TaskExecutorSession},
    leadership::LeaderSessionId,
    protocol::{
        CheckpointAck, CheckpointDecline, DeployRefusal, Finality, MasterReport, SlotDemand,
        SlotRefusal, TaskExecutionState, TaskExecutorGateway, TaskExecutorHandler,
        TaskExecutorInfo,
    },
    reason::bounded,
    registration::Numbers,
    rpc::{Context, EndpointHandle, Reply, RpcEndpoint, StopFuture},
    sabotage,
    service::Services,
};
use futures::FutureExt;
use masters::{MasterLink, ToMasters};
use resources::{ResourceLink, ToResourceManager};
use std::{collections::BTreeMap, sync::Arc};

/// What a task executor stands on.
#[derive(Clone)]
pub struct TaskExecutorServices {
    /// The settings.
    pub config: Arc<TaskExecutorConfig>,
    /// The services of the cluster.
    pub services: Services,
    /// The programs that tasks may be of.
    pub programs: Programs,
    /// Where records come in and go out.
    pub exchange: ShuffleEnvironment,
}

/// The endpoint of one life of a task executor.
pub struct TaskExecutor {
    services: TaskExecutorServices,
    info: TaskExecutorInfo,
    slots: SlotTable,
    tasks: BTreeMap<ExecutionAttemptId, TaskHandle>,
    folders: WorkingFolders,
    jobs: BTreeMap<JobId, MasterLink>,
    master_beats: HeartbeatManager<TaskExecutor, ToMasters>,
    resources: ResourceLink,
    resource_beats: HeartbeatManager<TaskExecutor, ToResourceManager>,
    /// Grows with each change of slots and tasks.
    version: u64,
    /// Of tries to register, connections and rounds of offers over all jobs, so that none is used twice.
    numbers: Numbers,
}

/// Brings a task's words to the main thread.
struct Responder(EndpointHandle<TaskExecutor>);

impl TaskResponder for Responder {
    fn state_changed(&self, attempt: ExecutionAttemptId, update: TaskStateUpdate) {
        self.0.run_without_fencing(move |executor, context| {
            executor.task_changed(context, attempt, update);
        });
    }

    fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        state: StateHandle,
        ended: bool,
    ) {
        self.0.run_without_fencing(move |executor, context| {
            executor.acknowledge(context, CheckpointAck { attempt, checkpoint, state, ended });
        });
    }

    fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: String,
    ) {
        self.0.run_without_fencing(move |executor, _| {
            if let Some(master) = executor.master(attempt.job) {
                master.decline_checkpoint(CheckpointDecline { attempt, checkpoint, reason });
            }
        });
    }
}

impl TaskExecutor {
    /// A task executor without jobs.
    pub fn new(services: TaskExecutorServices, info: TaskExecutorInfo) -> Self {
        let (heartbeat, own_id) = (services.config.heartbeat, info.resource.0.clone());
        let numbers = Numbers::default();
        TaskExecutor {
            slots: SlotTable::new(services.config.slots),
            services,
            info,
            tasks: BTreeMap::new(),
            folders: WorkingFolders::default(),
            jobs: BTreeMap::new(),
            master_beats: HeartbeatManager::new(own_id.clone(), heartbeat),
            resources: ResourceLink::new(&numbers),
            resource_beats: HeartbeatManager::new(own_id, heartbeat),
            version: 0,
            numbers,
        }
    }

    /// Holds a slot for a job, if the resource manager that asks is the one that knows this life.
    fn allocate(
        &mut self,
        context: &mut Context<Self>,
        index: u32,
        job: JobId,
        allocation: AllocationId,
    ) -> Result<u64, SlotRefusal> {
        match self.slots.get(index) {
            None => return Err(SlotRefusal::NoSuchSlot(index)),
            Some(Some(held)) if (held.job, held.allocation) == (job, allocation) => {
                return Ok(self.version);
            }
            Some(Some(held)) if !context.host().sabotaged(sabotage::SLOT_HANDED_OUT_TWICE) => {
                return Err(SlotRefusal::Occupied(held.allocation));
            }
            Some(_) => {}
        }
        self.version += 1;
        let held = self.slots.hold(index, job, allocation);
        let resource = self.info.resource.clone();
        context.host().announce(&SlotEvent::SlotAllocated { resource, index, job, allocation });
        self.free_if_not_taken(context, held);
        self.join_job(context, job);
        Ok(self.version)
    }

    /// Gives a slot back that no master takes in time.
    fn free_if_not_taken(&self, context: &Context<Self>, held: Held) {
        if context.host().sabotaged(sabotage::INACTIVE_SLOTS_KEPT) {
            return;
        }
        context.schedule(self.services.config.slot_timeout, move |executor, context| {
            let now = executor.slots.find(held.allocation);
            let stands = now.is_some_and(|(_, now)| now.epoch == held.epoch);
            let is_outdated = !stands && now.is_some();
            if stands || is_outdated && context.host().sabotaged(sabotage::SLOT_TIMER_NOT_OUTDATED)
            {
                executor.free(context, held.allocation, FreeCause::NotTaken);
            }
        });
    }

    /// Frees a slot; what runs in it ends.
    fn free(&mut self, context: &mut Context<Self>, allocation: AllocationId, cause: FreeCause) {
        let Some((_, held)) = self.slots.find(allocation) else { return };
        let index = self.slots.free(allocation).expect("it is held");
        self.version += 1;
        let resource = self.info.resource.clone();
        let freed = SlotEvent::SlotFreed { resource, index, allocation, cause };
        context.host().announce(&freed);
        for task in self.tasks.values() {
            if task.deployment().allocation == allocation {
                self.cancel(context, task, EndCause::Slot(allocation));
            }
        }
        self.report_slots(context);
        self.leave_job_if_unused(context, held.job);
    }

    fn activate(&mut self, context: &Context<Self>, allocation: AllocationId) {
        if self.slots.activate(allocation) {
            let resource = self.info.resource.clone();
            context.host().announce(&SlotEvent::SlotActivated { resource, allocation });
        }
    }

    /// Starts an attempt for the master that this task executor is connected to, in a slot that the
    /// job holds; the slot need not be known to be taken, since the answer may be on its way.
    fn submit(
        &mut self,
        context: &mut Context<Self>,
        deployment: TaskDeployment,
    ) -> Result<u64, DeployRefusal> {
        let (attempt, allocation) = (deployment.attempt, deployment.allocation);
        let job_master = deployment.job_master;
        let connected = self.jobs.get(&attempt.job).and_then(MasterLink::session);
        if connected != Some(job_master) && !context.host().sabotaged(sabotage::OLD_MASTER_DEPLOYS)
        {
            return Err(DeployRefusal::WrongJobMaster);
        }
        let held = self.slots.find(allocation).filter(|(_, held)| held.job == attempt.job);
        let is_untold = held.is_some_and(|(_, held)| !held.active)
            && context.host().sabotaged(sabotage::ONLY_ACTIVE_SLOTS_DEPLOYED_TO);
        if held.is_none() || is_untold {
            let resource = self.info.resource.clone();
            context.host().announce(&SlotEvent::TaskRefused { resource, attempt, allocation });
            return Err(DeployRefusal::NoSlot(allocation));
        }
        if self.tasks.contains_key(&attempt) {
            return Ok(self.version);
        }
        let is_late = self.jobs.get(&attempt.job).is_some_and(|link| !link.admits(attempt));
        if is_late && !context.host().sabotaged(sabotage::CANCELED_ATTEMPT_BEGINS) {
            return Err(DeployRefusal::Canceled);
        }
        if let Err(error) = self.services.programs.plan(&deployment.program) {
            return Err(DeployRefusal::UnknownProgram(bounded(error.to_string())));
        }
        self.version += 1;
        if let Some(link) = self.jobs.get_mut(&attempt.job) {
            link.take_on(attempt);
        }
        self.activate(context, allocation);
        let resource = self.info.resource.clone();
        context.host().announce(&SlotEvent::TaskAccepted {
            resource,
            attempt,
            allocation,
            job_master,
        });
        let environment = TaskEnvironment {
            host: context.host().clone(),
            exchange: self.services.exchange.clone(),
            programs: self.services.programs.clone(),
            services: self.services.services.clone(),
            folders: self.folders.clone(),
            responder: Arc::new(Responder(context.handle())),
            config: self.services.config.task.clone(),
        };
        let before = self.tasks.insert(attempt, Task::start(environment, deployment));
        assert!(before.is_none(), "{attempt:?} runs once");
        Ok(self.version)
    }

    /// A task says how far it is.
    fn task_changed(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        update: TaskStateUpdate,
    ) {
        let state = match update {
            TaskStateUpdate::Initializing => TaskExecutionState::Initializing,
            TaskStateUpdate::Running => TaskExecutionState::Running,
            TaskStateUpdate::Finished => TaskExecutionState::Finished,
            TaskStateUpdate::Failed(why) => TaskExecutionState::Failed(why),
            TaskStateUpdate::Canceled => TaskExecutionState::Canceled,
        };
        let Some(deployer) = self.tasks.get(&attempt).map(|task| task.deployment().job_master)
        else {
            return;
        };
        if state.is_terminal() {
            self.version += 1;
            self.tasks.remove(&attempt);
        }
        self.report_task(context, attempt, deployer, state);
    }

    /// Ends what runs for a job.
    fn cancel_tasks(&self, context: &Context<Self>, job: JobId, cause: EndCause) {
        let host = context.host();
        let of_job = |task: &&TaskHandle| {
            task.attempt().job == job || host.sabotaged(sabotage::ONE_JOB_TAKES_OTHERS_ALONG)
        };
        self.tasks.values().filter(of_job).for_each(|task| self.cancel(context, task, cause));
    }

    /// Cancels an attempt. If its function does not give its thread back, only the end of the process ends it: else
    /// its job would wait for it for ever.
    fn cancel(&self, context: &Context<Self>, task: &TaskHandle, cause: EndCause) {
        if !task.cancel() {
            return;
        }
        let (attempt, timeout) = (task.attempt(), self.services.config.cancellation_timeout);
        let resource = self.info.resource.clone();
        context.host().announce(&SlotEvent::TaskEnds { resource, attempt, cause });
        if context.host().sabotaged(sabotage::STUCK_TASKS_KEPT) {
            return;
        }
        context.schedule(timeout, move |executor, context| {
            if executor.tasks.contains_key(&attempt) {
                let resource = executor.info.resource.clone();
                context.host().announce(&SlotEvent::TaskStuck { resource, attempt });
                let why = format!("{attempt:?} has not ended {timeout:?} after it was canceled");
                context.host().exit(&format!("task executor: {why}"));
            }
        });
    }
}

impl RpcEndpoint for TaskExecutor {
    type Gateway = TaskExecutorGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.follow_resource_manager(context);
        Ok(())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        for task in self.tasks.values() {
            task.cancel();
        }
        self.resource_beats.stop(context);
        self.master_beats.stop(context);
        self.leave_resource_manager();
        self.leave_masters();
        self.jobs.clear();
        async { Ok(()) }.boxed()
    }

    fn check_invariants(&self) {
        for task in self.tasks.values().filter(|task| !task.is_canceled()) {
            let held = self.slots.find(task.deployment().allocation);
            let job = held.map(|(_, held)| held.job);
            assert_eq!(
                job,
                Some(task.attempt().job),
                "{:?} runs in a slot of its job",
                task.attempt()
            );
        }
        for partition in self.services.exchange.unwritten() {
            let is_there = self.tasks.contains_key(&partition.producer);
            assert!(is_there, "{partition:?} is being written by a task that has not ended");
        }
        for job in self.jobs.keys() {
            assert!(!self.slots.of(*job).is_empty(), "{job:?} is followed while it holds a slot");
        }
    }
}

impl TaskExecutorHandler for TaskExecutor {
    fn session(&mut self, _: &mut Context<Self>, reply: Reply<TaskExecutorSession>) {
        reply.ok(self.info.session);
    }

    fn request_slot(
        &mut self,
        context: &mut Context<Self>,
        demand: SlotDemand,
        reply: Reply<Result<u64, SlotRefusal>>,
    ) {
        let SlotDemand { resource_manager, instance, index, job, allocation } = demand;
        if !self.resources.is_connected_to(resource_manager, instance) {
            return reply.ok(Err(SlotRefusal::NotRegistered));
        }
        reply.ok(self.allocate(context, index, job, allocation));
    }

    fn submit_task(
        &mut self,
        context: &mut Context<Self>,
        deployment: TaskDeployment,
        reply: Reply<Result<u64, DeployRefusal>>,
    ) {
        reply.ok(self.submit(context, deployment));
    }

    fn cancel_task(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        job_master: LeaderSessionId,
        reply: Reply<Option<u64>>,
    ) {
        if let Some(link) = self.jobs.get_mut(&attempt.job) {
            link.cancel(attempt);
        }
        let task = self.tasks.get(&attempt);
        if let Some(task) = task {
            self.cancel(context, task, EndCause::Asked(job_master));
        }
        reply.ok(task.map(|_| self.version));
    }

    fn trigger_checkpoint(
        &mut self,
        _: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        stops: bool,
    ) {
        if let Some(task) = self.tasks.get(&attempt) {
            task.trigger_checkpoint(checkpoint, stops);
        }
    }

    fn drain_source(&mut self, _: &mut Context<Self>, attempt: ExecutionAttemptId) {
        if let Some(task) = self.tasks.get(&attempt) {
            task.drain();
        }
    }

    fn confirm_checkpoint(
        &mut self,
        _: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        finality: Finality,
    ) {
        if let Some(task) = self.tasks.get(&attempt) {
            task.confirm_checkpoint(checkpoint, finality);
        }
    }

    fn abort_checkpoint(
        &mut self,
        _: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) {
        if let Some(task) = self.tasks.get(&attempt) {
            task.abort_checkpoint(checkpoint);
        }
    }

    fn disconnect_job_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        connection: HeartbeatSession,
        cause: String,
    ) {
        self.master_left(context, job, connection, &cause);
    }

    fn disconnect_resource_manager(
        &mut self,
        context: &mut Context<Self>,
        session: LeaderSessionId,
        instance: InstanceId,
        cause: String,
    ) {
        if self.resources.is_connected_to(session, instance) {
            tracing::debug!(cause, "the resource manager has dropped this task executor");
            self.connect_resource_manager(context, ManagerCause::Told(instance));
        }
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

    fn heartbeat_from_job_master(
        &mut self,
        context: &mut Context<Self>,
        beat: Beat<MasterReport>,
        reply: Reply<()>,
    ) {
        HeartbeatManager::<_, ToMasters>::request_heartbeat(self, context, beat);
        reply.ok(());
    }
}
