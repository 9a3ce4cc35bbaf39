//! The ways to the masters of the jobs that hold slots here.

use super::{super::PartCause, EndCause, FreeCause, SlotEvent, TaskExecutor};
use crate::system::{
    heartbeat::{Beat, HeartbeatListener, HeartbeatManager, HeartbeatSession, HeartbeatTarget},
    ids::{AllocationId, ExecutionAttemptId, ExecutionVertexId, JobId},
    leadership::{
        LeaderInformation, LeaderRetrievalListener, LeaderRetrievalService, LeaderSessionId,
    },
    protocol::{
        CheckpointAck, ExecutorReport, JobMasterGateway, MasterReport, OfferedSlots,
        RegistrationRefusal, TaskExecutionState, component_job, job_component,
    },
    registration::{LeaderLink, connect, until_answered},
    rpc::{Context, EndpointHandle, Gateway, RpcError},
    sabotage,
};
use futures::{FutureExt, future::BoxFuture};
use std::{collections::BTreeMap, sync::Arc};

/// The role of the beats with masters.
pub(super) struct ToMasters;

/// A job that holds slots here.
pub(super) struct MasterLink {
    /// Follows who leads the job.
    _retrieval: LeaderRetrievalService,
    way: LeaderLink<Connected>,
    /// The newest round of offers.
    round: u64,
    /// The master to which `ended` is to be told.
    deployer: Option<LeaderSessionId>,
    ended: UntoldEnds,
    floors: EpochFloors,
}

/// Subtasks of one job of which an executor remembers the epochs; beyond that it may refuse an attempt that
/// it need not.
const FLOORS_MAX: usize = 65_536;

/// From which epoch on an attempt of a subtask may begin: none that was canceled, nor one before another that
/// was taken on, however late its deployment arrives.
#[derive(Debug, Default)]
pub(super) struct EpochFloors {
    of: BTreeMap<ExecutionVertexId, u64>,
    /// Of all subtasks that are not remembered one by one.
    others: u64,
}

impl EpochFloors {
    /// Nothing before this epoch may begin at the subtask any more.
    fn raise(&mut self, vertex: ExecutionVertexId, epoch: u64) {
        if self.of.len() >= FLOORS_MAX && !self.of.contains_key(&vertex) {
            self.others = self.others.max(epoch);
            return;
        }
        let floor = self.of.entry(vertex).or_default();
        *floor = epoch.max(*floor);
    }

    fn admits(&self, attempt: ExecutionAttemptId) -> bool {
        let floor = self.of.get(&attempt.vertex).copied().unwrap_or(self.others);
        attempt.epoch >= floor
    }
}

/// How attempts of one master ended, until it has answered: of each subtask the newest.
#[derive(Debug, Default)]
struct UntoldEnds(BTreeMap<ExecutionAttemptId, TaskExecutionState>);

impl UntoldEnds {
    /// An attempt has ended. Ends of one subtask may come in any order.
    fn note(&mut self, attempt: ExecutionAttemptId, state: TaskExecutionState) {
        let newer =
            |of: &ExecutionAttemptId| of.vertex == attempt.vertex && of.epoch > attempt.epoch;
        if !self.0.keys().any(newer) {
            self.forget_older(attempt);
            self.0.insert(attempt, state);
        }
    }

    /// How attempts of its subtask ended that are older than this one matters to nobody.
    fn forget_older(&mut self, than: ExecutionAttemptId) {
        self.0.retain(|of, _| of.vertex != than.vertex || of.epoch >= than.epoch);
    }
}

struct Connected {
    gateway: JobMasterGateway,
    session: LeaderSessionId,
    heartbeat: HeartbeatSession,
}

impl MasterLink {
    /// The term of the master to which the task executor is connected.
    pub fn session(&self) -> Option<LeaderSessionId> {
        self.way.connected().map(|connected| connected.session)
    }

    /// Whether an attempt may still begin.
    pub fn admits(&self, attempt: ExecutionAttemptId) -> bool {
        self.floors.admits(attempt)
    }

    /// The attempt must not begin any more.
    pub fn cancel(&mut self, attempt: ExecutionAttemptId) {
        self.floors.raise(attempt.vertex, attempt.epoch.saturating_add(1));
    }

    /// An attempt begins: no older one of its subtask may, nor does the end of one matter to anybody.
    pub fn take_on(&mut self, attempt: ExecutionAttemptId) {
        self.floors.raise(attempt.vertex, attempt.epoch);
        self.ended.forget_older(attempt);
    }
}

struct Listener(JobId, EndpointHandle<TaskExecutor>);

impl LeaderRetrievalListener for Listener {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        let job = self.0;
        self.1.run_without_fencing(move |executor, context| {
            executor.new_master(context, job, leader);
        });
    }
}

/// Sends beats through a gateway.
struct Target(JobMasterGateway);

impl HeartbeatTarget<ExecutorReport> for Target {
    fn receive_heartbeat(
        &self,
        beat: Beat<ExecutorReport>,
    ) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.heartbeat_from_task_executor(beat).boxed()
    }
}

impl TaskExecutor {
    /// A job holds a slot: its master must learn of it.
    pub(super) fn join_job(&mut self, context: &mut Context<Self>, job: JobId) {
        if self.jobs.contains_key(&job) {
            return self.offer_slots(context, job);
        }
        let listener = Arc::new(Listener(job, context.handle()));
        let client = &self.services.services.coordination;
        let retrieval = LeaderRetrievalService::start(&job_component(job), client, listener);
        let link = MasterLink {
            _retrieval: retrieval,
            way: LeaderLink::new(&self.numbers),
            round: 0,
            deployer: None,
            ended: UntoldEnds::default(),
            floors: EpochFloors::default(),
        };
        self.jobs.insert(job, link);
    }

    /// Forgets a job that holds nothing here.
    pub(super) fn leave_job_if_unused(&mut self, context: &mut Context<Self>, job: JobId) {
        let is_unused = self.slots.of(job).is_empty() && self.jobs.contains_key(&job);
        if !is_unused || context.host().sabotaged(sabotage::UNUSED_JOB_FOLLOWED) {
            return;
        }
        let resource = self.info.resource.clone();
        if let Some(connected) = self.disconnect(context, job, PartCause::Unused) {
            let cause = "no slot is left".to_string();
            connected.gateway.disconnect_task_executor(resource, connected.heartbeat, cause);
        }
        self.jobs.remove(&job);
        self.cancel_tasks(context, job, EndCause::Unused);
        self.services.exchange.release_job(job);
    }

    /// Tells all masters that this task executor stops.
    pub(super) fn leave_masters(&self) {
        for connected in self.jobs.values().filter_map(|link| link.way.connected()) {
            let (resource, cause) = (self.info.resource.clone(), "it stops".to_string());
            connected.gateway.disconnect_task_executor(resource, connected.heartbeat, cause);
        }
    }

    fn new_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        leader: Option<LeaderInformation>,
    ) {
        let expected = self.jobs.contains_key(&job)
            || !context.host().sabotaged(sabotage::LATE_NOTICE_UNEXPECTED);
        assert!(expected, "{job:?} is followed");
        let Some(link) = self.jobs.get_mut(&job) else { return };
        let session = leader.as_ref().map(|leader| leader.session);
        let same = session.is_some() && link.session() == session;
        link.way.follow(leader);
        if !same {
            self.connect_master(context, job, PartCause::Leader(session));
        }
    }

    /// Connects to the job's present leader, from the beginning. What ran for an earlier one ends.
    fn connect_master(&mut self, context: &mut Context<Self>, job: JobId, cause: PartCause) {
        self.disconnect(context, job, cause);
        let (config, info) = (self.services.config.registration, self.info.clone());
        let Some(link) = self.jobs.get(&job) else { return };
        let call = move |gateway: &JobMasterGateway, attempt| {
            gateway.register_task_executor(job, info.clone(), attempt)
        };
        let find = move |executor: &TaskExecutor| Some(executor.jobs.get(&job)?.way.connection());
        connect(context, &link.way, config, find, call, move |executor, context, registered| {
            match registered {
                Ok((session, gateway, heartbeat)) => {
                    executor.master_connected(context, job, session, gateway, heartbeat);
                }
                // The job has ended, or this is not its master: nothing here is of use to it.
                Err(_) => executor.release_job(context, job),
            }
        });
    }

    fn master_connected(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        session: LeaderSessionId,
        gateway: JobMasterGateway,
        heartbeat: HeartbeatSession,
    ) {
        let gateway = gateway.with_timeout(self.services.config.call_timeout);
        let target = Arc::new(Target(gateway.clone()));
        self.master_beats.monitor_target(context, &job_component(job), heartbeat, target);
        let resource = self.info.resource.clone();
        let connection = heartbeat;
        let connected = SlotEvent::MasterConnected { resource, job, session, connection };
        context.host().announce(&connected);
        let link = self.jobs.get_mut(&job).expect("its connection is current");
        link.way.set_connected(Connected { gateway, session, heartbeat });
        if link.deployer.replace(session) != Some(session) {
            link.ended = UntoldEnds::default();
        }
        for (attempt, state) in link.ended.0.clone() {
            self.tell_task_state(context, attempt, state);
        }
        self.offer_slots(context, job);
    }

    /// Ends the connection: what ran for that master ends, and its slots wait for another one.
    fn disconnect(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        cause: PartCause,
    ) -> Option<Connected> {
        let connected = self.jobs.get_mut(&job)?.way.disconnect()?;
        let id = job_component(job);
        self.master_beats.unmonitor_target(context, &id, connected.heartbeat);
        let (resource, session) = (self.info.resource.clone(), connected.session);
        let connection = connected.heartbeat;
        let gone = SlotEvent::MasterDisconnected { resource, job, session, connection, cause };
        context.host().announce(&gone);
        self.cancel_tasks(context, job, EndCause::Master(connection));
        for held in self.slots.of(job) {
            if self.slots.deactivate(held.allocation) {
                let (_, held) = self.slots.find(held.allocation).expect("it is held");
                self.free_if_not_taken(context, held);
            }
        }
        Some(connected)
    }

    /// Frees all that a job holds here.
    fn release_job(&mut self, context: &mut Context<Self>, job: JobId) {
        let session = self.jobs.get(&job).and_then(|link| link.way.leader_session());
        for held in self.slots.of(job) {
            self.free(context, held.allocation, FreeCause::Rejected { session });
        }
        self.leave_job_if_unused(context, job);
    }

    /// A master ends a connection. It may want this task executor again, or another one may. Of a connection that
    /// was replaced it says nothing.
    pub(super) fn master_left(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        connection: HeartbeatSession,
        cause: &str,
    ) {
        let connected = self.jobs.get(&job).and_then(|link| link.way.connected());
        if connected.is_some_and(|connected| connected.heartbeat == connection) {
            tracing::debug!(?job, cause, "the job master is gone");
            self.connect_master(context, job, PartCause::Told(connection));
        }
    }

    /// The gateway to a job's master, while there is a connection.
    pub(super) fn master(&self, job: JobId) -> Option<JobMasterGateway> {
        self.jobs.get(&job)?.way.connected().map(|connected| connected.gateway.clone())
    }

    /// Offers all slots of a job to its master, in a new round.
    fn offer_slots(&mut self, context: &mut Context<Self>, job: JobId) {
        let Some(master) = self.master(job) else { return };
        let round = self.numbers.next();
        let offers = self.slots.offer(job, round);
        if offers.is_empty() {
            return;
        }
        let (resource, session) = (self.info.resource.clone(), self.info.session);
        let link = self.jobs.get_mut(&job).expect("it has a master");
        link.round = round;
        let connection = link.way.connection();
        let event = SlotEvent::SlotsOffered { resource: resource.clone(), job, round };
        context.host().announce(&event);
        let offered: Vec<AllocationId> = offers.iter().map(|offer| offer.allocation).collect();
        let version = self.version;
        let offered_slots = OfferedSlots { resource, session, round, version, slots: offers };
        let ask = master.offer_slots(offered_slots);
        let work = self.jobs[&job].way.scope().wrap(ask);
        context.spawn_then(work, move |executor, context, answer| {
            let current = executor.jobs.get(&job).map(|link| link.way.connection());
            if let (Some(answer), true) = (answer, current == Some(connection)) {
                executor.offer_answered(context, job, round, &offered, answer);
            }
        });
    }

    fn offer_answered(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        round: u64,
        offered: &[AllocationId],
        answer: Result<Result<Vec<AllocationId>, RegistrationRefusal>, RpcError>,
    ) {
        let newest = self.jobs.get(&job).map(|link| link.round) == Some(round);
        if !newest && !context.host().sabotaged(sabotage::OLD_OFFER_ROUND_APPLIED) {
            return;
        }
        let connected = self.jobs.get(&job).and_then(|link| link.way.connected());
        let Some(connection) = connected.map(|connected| connected.heartbeat) else { return };
        let refused = FreeCause::Refused { connection, round };
        match answer {
            Ok(Ok(accepted)) => {
                let resource = self.info.resource.clone();
                context.host().announce(&SlotEvent::OfferAnswered { resource, job, round });
                for allocation in offered {
                    match accepted.contains(allocation) {
                        true => self.activate(context, *allocation),
                        false => self.free(context, *allocation, refused),
                    }
                }
            }
            // It has forgotten this task executor, or is about to: not at once, or both would turn in
            // a circle for as long as that lasts.
            Ok(Err(_)) => {
                let delay = self.services.config.registration.refused_delay;
                let connection = self.jobs.get(&job).map(|link| link.way.connection());
                context.schedule(delay, move |executor, context| {
                    let now = executor.jobs.get(&job);
                    if now.is_some_and(|link| link.round == round)
                        && now.map(|link| link.way.connection()) == connection
                    {
                        executor.connect_master(context, job, PartCause::OffersRefused { round });
                    }
                });
            }
            Err(_) => {
                let delay = self.services.config.retry_delay;
                context.schedule(delay, move |executor, context| {
                    if executor.jobs.get(&job).map(|link| link.round) == Some(round) {
                        executor.offer_slots(context, job);
                    }
                });
            }
        }
    }

    /// Tells a task's state to the master that deployed it. An end is kept until it has answered.
    pub(super) fn report_task(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        deployer: LeaderSessionId,
        state: TaskExecutionState,
    ) {
        let Some(link) = self.jobs.get_mut(&attempt.job) else { return };
        if state.is_terminal()
            && link.deployer == Some(deployer)
            && !context.host().sabotaged(sabotage::UNTOLD_END_TAKEN_FOR_LOSS)
        {
            link.ended.note(attempt, state.clone());
        }
        self.tell_task_state(context, attempt, state);
    }

    /// Tells a task's state to the master, until it answers or the connection is gone.
    fn tell_task_state(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        state: TaskExecutionState,
    ) {
        let Some(link) = self.jobs.get(&attempt.job) else { return };
        let Some(connected) = link.way.connected() else { return };
        let (gateway, session) = (connected.gateway.clone(), connected.session);
        let (host, delay) = (context.host().clone(), self.services.config.retry_delay);
        let terminal = state.is_terminal();
        let work = link.way.scope().wrap(async move {
            let tell = || gateway.update_task_state(attempt, state.clone());
            until_answered(&host, delay, tell).await
        });
        context.spawn_then(work, move |executor, context, known| {
            if known.is_some()
                && terminal
                && let Some(link) = executor.jobs.get_mut(&attempt.job)
            {
                link.ended.0.remove(&attempt);
            }
            if known == Some(false) {
                executor.end_unknown(context, attempt, session);
            }
        });
    }

    /// Ends an attempt of which the master of that term says that it is none of its present ones.
    fn end_unknown(
        &self,
        context: &Context<Self>,
        of: ExecutionAttemptId,
        session: LeaderSessionId,
    ) {
        let switched = || context.host().sabotaged(sabotage::OLD_WORD_ENDS_THE_NEW_ATTEMPT);
        for task in self.tasks.values() {
            let attempt = task.attempt();
            let same_subtask = (attempt.job, attempt.vertex) == (of.job, of.vertex);
            if attempt == of || same_subtask && switched() {
                self.cancel(context, task, EndCause::NotCurrent { session, of });
            }
        }
    }

    /// Tells the master that an attempt's part of a checkpoint is durable, until it answers.
    pub(super) fn acknowledge(&mut self, context: &Context<Self>, part: CheckpointAck) {
        let Some(link) = self.jobs.get(&part.attempt.job) else { return };
        let Some(connected) = link.way.connected() else { return };
        let gateway = connected.gateway.clone();
        let (host, delay) = (context.host().clone(), self.services.config.retry_delay);
        let work = link.way.scope().wrap(async move {
            until_answered(&host, delay, || gateway.acknowledge_checkpoint(part.clone())).await;
        });
        context.host().spawn(async move {
            work.await;
        });
    }
}

impl HeartbeatListener<ToMasters> for TaskExecutor {
    type In = MasterReport;
    type Out = ExecutorReport;

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, ToMasters> {
        &mut self.master_beats
    }

    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        let Some(job) = component_job(id) else { return };
        let connected = self.jobs.get(&job).and_then(|link| link.way.connected());
        if connected.is_some_and(|connected| connected.heartbeat == session) {
            // Also to the same leader: it may not have changed.
            self.connect_master(context, job, PartCause::Silent(session));
        }
    }

    fn report_payload(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
        report: MasterReport,
    ) {
        let Some(job) = component_job(id) else { return };
        let connected = self.jobs.get(&job).and_then(|link| link.way.connected());
        if connected.is_none_or(|connected| connected.heartbeat != session) {
            return;
        }
        if let Some((checkpoint, finality)) = report.completed {
            for task in self.tasks.values().filter(|task| task.attempt().job == job) {
                task.confirm_checkpoint(checkpoint, finality);
            }
        }
        // Only of rounds that the master had answered when it said so.
        let unwanted = self.slots.of(job).into_iter().filter(|held| {
            !report.allocations.contains(&held.allocation)
                && (held.active && held.round <= report.round
                    || context.host().sabotaged(sabotage::OLD_REPORT_OBEYED))
        });
        for held in unwanted.collect::<Vec<_>>() {
            let unlisted = FreeCause::Unlisted { connection: session, round: report.round };
            self.free(context, held.allocation, unlisted);
        }
    }

    fn retrieve_payload(&mut self, _: &mut Context<Self>, id: &str) -> ExecutorReport {
        let job = component_job(id);
        let tasks = self.tasks.iter().filter(|(attempt, _)| Some(attempt.job) == job);
        let slots = job.map(|job| self.slots.of(job)).unwrap_or_default();
        let ended = job.and_then(|job| self.jobs.get(&job)).map(|link| link.ended.0.clone());
        ExecutorReport {
            version: self.version,
            attempts: tasks.map(|(attempt, task)| (*attempt, task.metrics())).collect(),
            ended: ended.unwrap_or_default().into_iter().collect(),
            allocations: slots.iter().map(|held| held.allocation).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::ids::JobVertexId;

    fn attempt(subtask: u32, epoch: u64) -> ExecutionAttemptId {
        let vertex = ExecutionVertexId { vertex: JobVertexId(0), subtask };
        ExecutionAttemptId { job: JobId(7), vertex, epoch }
    }

    #[test]
    fn of_each_subtask_the_newest_end_is_kept_in_whatever_order_they_come() {
        let mut ends = UntoldEnds::default();
        for (subtask, epoch) in [(0, 5), (0, 4), (1, 2), (0, 6), (1, 3)] {
            ends.note(attempt(subtask, epoch), TaskExecutionState::Canceled);
        }
        assert_eq!(ends.0.keys().copied().collect::<Vec<_>>(), [attempt(0, 6), attempt(1, 3)]);
        ends.forget_older(attempt(0, 6));
        assert_eq!(ends.0.len(), 2, "that one is no older");
        ends.forget_older(attempt(0, 7));
        assert_eq!(ends.0.keys().copied().collect::<Vec<_>>(), [attempt(1, 3)]);
    }

    #[test]
    fn what_is_not_remembered_one_by_one_is_refused_rather_than_begun_late() {
        let mut floors = EpochFloors::default();
        floors.raise(attempt(0, 0).vertex, 5);
        floors.raise(attempt(0, 0).vertex, 3);
        assert!(!floors.admits(attempt(0, 4)) && floors.admits(attempt(0, 5)));
        assert!(floors.admits(attempt(1, 0)));
        let most = u32::try_from(FLOORS_MAX).unwrap();
        (0..most).for_each(|subtask| floors.raise(attempt(subtask, 0).vertex, 1));
        floors.raise(attempt(most, 0).vertex, 8);
        assert!(!floors.admits(attempt(most, 7)) && floors.admits(attempt(most, 8)));
        assert!(floors.admits(attempt(1, 1)), "that one is remembered");
    }
}
