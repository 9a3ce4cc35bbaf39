//! A resource manager and a job's master that write down what they are told, and answer as a test wants.

use std::sync::{Arc, Mutex, MutexGuard};
use wavetank::{
    host::NodeAddress,
    system::{
        heartbeat::{Beat, HeartbeatSession},
        ids::{AllocationId, ExecutionAttemptId, InstanceId, JobId, ResourceId},
        leadership::LeaderSessionId,
        protocol::{
            CheckpointAck, CheckpointDecline, ExecutorReport, JobDetails, JobMasterGateway,
            JobMasterHandler, JobOverview, JobStatus, OfferedSlots, RegistrationRefusal,
            ResourceManagerGateway, ResourceManagerHandler, SavepointRequest, SavepointStatus,
            SlotReport, TaskExecutionState, TaskExecutorInfo, TaskExecutorOverview,
        },
        rpc::{Context, Reply, RpcAddress, RpcEndpoint},
    },
};

/// What a stub keeps, shared with the test.
pub struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Shared(Arc::default())
    }
}

impl<T> Shared<T> {
    pub fn now(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

/// What a resource manager was told, and how it answers.
#[derive(Default)]
pub struct Manager {
    pub executors: Vec<TaskExecutorInfo>,
    /// Each report that it was told, also in a beat.
    pub reports: Vec<SlotReport>,
    /// So many of the next reports get no answer and are not looked at.
    pub loses_reports: usize,
    pub beats: Vec<SlotReport>,
    pub left: Vec<InstanceId>,
    pub masters: Vec<(LeaderSessionId, RpcAddress)>,
    pub declared: Vec<u32>,
    /// The next declaration is answered as one of a master that it does not know.
    pub forgets_master: bool,
}

impl Manager {
    /// The registration of the executor that came last.
    pub fn instance(&self) -> InstanceId {
        InstanceId(self.executors.len() as u128)
    }

    /// The connection of the master that came last.
    pub fn connection(&self) -> HeartbeatSession {
        HeartbeatSession(100 + self.masters.len() as u128)
    }

    /// Who holds the slots, as far as it was told.
    pub fn held(&self) -> Vec<Option<AllocationId>> {
        let last = self.reports.last().expect("a report has come");
        last.slots.iter().map(|slot| slot.allocation.map(|(_, allocation)| allocation)).collect()
    }
}

pub struct StubManager(pub Shared<Manager>);

impl RpcEndpoint for StubManager {
    type Gateway = ResourceManagerGateway;
}

impl ResourceManagerHandler for StubManager {
    fn register_task_executor(
        &mut self,
        _: &mut Context<Self>,
        executor: TaskExecutorInfo,
        _: u64,
        reply: Reply<Result<InstanceId, RegistrationRefusal>>,
    ) {
        let mut state = self.0.now();
        state.executors.push(executor);
        reply.ok(Ok(state.instance()));
    }

    fn report_slots(
        &mut self,
        _: &mut Context<Self>,
        instance: InstanceId,
        report: SlotReport,
        reply: Reply<bool>,
    ) {
        let mut state = self.0.now();
        if state.loses_reports > 0 {
            state.loses_reports -= 1;
            return;
        }
        state.reports.push(report);
        reply.ok(instance == state.instance());
    }

    fn register_job_master(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        session: LeaderSessionId,
        address: RpcAddress,
        _: u64,
        reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
    ) {
        let mut state = self.0.now();
        state.masters.push((session, address));
        reply.ok(Ok(state.connection()));
    }

    fn declare_requirements(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        _: LeaderSessionId,
        _: u64,
        slots: u32,
        reply: Reply<bool>,
    ) {
        let mut state = self.0.now();
        state.declared.push(slots);
        reply.ok(!std::mem::take(&mut state.forgets_master));
    }

    fn disconnect_job_master(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        _: LeaderSessionId,
        _: JobStatus,
    ) {
    }

    fn disconnect_task_executor(&mut self, _: &mut Context<Self>, instance: InstanceId, _: String) {
        self.0.now().left.push(instance);
    }

    fn task_executors(&mut self, _: &mut Context<Self>, reply: Reply<Vec<TaskExecutorOverview>>) {
        reply.ok(vec![]);
    }

    fn heartbeat_from_task_executor(
        &mut self,
        _: &mut Context<Self>,
        beat: Beat<SlotReport>,
        reply: Reply<()>,
    ) {
        let mut state = self.0.now();
        state.beats.push(beat.payload.clone());
        state.reports.push(beat.payload);
        reply.ok(());
    }

    fn heartbeat_from_job_master(&mut self, _: &mut Context<Self>, _: Beat<()>, reply: Reply<()>) {
        reply.ok(());
    }
}

/// What a job's master was told, and how it answers.
#[derive(Default)]
pub struct Master {
    pub executors: Vec<TaskExecutorInfo>,
    /// Whoever introduces himself is rejected for good.
    pub rejects: bool,
    pub offers: Vec<OfferedSlots>,
    /// So many of the next offers are answered with an error.
    pub fails_offers: usize,
    /// What it takes; all that is offered where it says nothing.
    pub takes: Option<Vec<AllocationId>>,
    pub left: Vec<HeartbeatSession>,
    pub beats: Vec<ExecutorReport>,
}

impl Master {
    /// The connection of the executor that came last.
    pub fn connection(&self) -> HeartbeatSession {
        HeartbeatSession(self.executors.len() as u128)
    }
}

pub struct StubMaster(pub Shared<Master>);

impl RpcEndpoint for StubMaster {
    type Gateway = JobMasterGateway;
}

impl JobMasterHandler for StubMaster {
    fn register_task_executor(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        executor: TaskExecutorInfo,
        _: u64,
        reply: Reply<Result<HeartbeatSession, RegistrationRefusal>>,
    ) {
        let mut state = self.0.now();
        state.executors.push(executor);
        reply.ok(match state.rejects {
            true => Err(RegistrationRefusal::Rejected("another job".to_string())),
            false => Ok(state.connection()),
        });
    }

    fn offer_slots(
        &mut self,
        _: &mut Context<Self>,
        offered: OfferedSlots,
        reply: Reply<Result<Vec<AllocationId>, RegistrationRefusal>>,
    ) {
        let mut state = self.0.now();
        let all = offered.slots.iter().map(|slot| slot.allocation);
        let takes = |id: &AllocationId| state.takes.as_ref().is_none_or(|takes| takes.contains(id));
        let taken = all.filter(takes).collect();
        state.offers.push(offered);
        if state.fails_offers > 0 {
            // The reply is dropped.
            state.fails_offers -= 1;
            return;
        }
        reply.ok(Ok(taken));
    }

    fn update_task_state(
        &mut self,
        _: &mut Context<Self>,
        _: ExecutionAttemptId,
        _: TaskExecutionState,
        reply: Reply<bool>,
    ) {
        reply.ok(true);
    }

    fn acknowledge_checkpoint(
        &mut self,
        _: &mut Context<Self>,
        _: CheckpointAck,
        reply: Reply<()>,
    ) {
        reply.ok(());
    }

    fn decline_checkpoint(&mut self, _: &mut Context<Self>, _: CheckpointDecline) {}

    fn disconnect_task_executor(
        &mut self,
        _: &mut Context<Self>,
        _: ResourceId,
        connection: HeartbeatSession,
        _: String,
    ) {
        self.0.now().left.push(connection);
    }

    fn details(&mut self, _: &mut Context<Self>, reply: Reply<JobDetails>) {
        drop(reply);
    }

    fn overview(&mut self, _: &mut Context<Self>, reply: Reply<JobOverview>) {
        drop(reply);
    }

    fn cancel(&mut self, _: &mut Context<Self>, reply: Reply<()>) {
        reply.ok(());
    }

    fn savepoint(
        &mut self,
        _: &mut Context<Self>,
        _: SavepointRequest,
        reply: Reply<SavepointStatus>,
    ) {
        reply.ok(SavepointStatus::InProgress);
    }

    fn heartbeat_from_task_executor(
        &mut self,
        _: &mut Context<Self>,
        beat: Beat<ExecutorReport>,
        reply: Reply<()>,
    ) {
        self.0.now().beats.push(beat.payload);
        reply.ok(());
    }

    fn heartbeat_from_resource_manager(
        &mut self,
        _: &mut Context<Self>,
        _: Beat<()>,
        reply: Reply<()>,
    ) {
        reply.ok(());
    }
}

/// A port at which nobody listens.
pub fn nobody() -> RpcAddress {
    RpcAddress::new(NodeAddress::new("stubs", 99), "nobody")
}
