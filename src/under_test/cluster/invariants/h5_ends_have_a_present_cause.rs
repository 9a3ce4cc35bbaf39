//! H5: a task executor ends a connection, a hold on a slot or a task only for a cause that holds then and that
//! is of the very connection, round, slot, attempt or term: never at an old word. Whom it was told as leader,
//! what it found silent and what it offered are its own words; a leader counts from when it was told until a
//! later one is followed.

use super::{Check, Clocks, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        heartbeat::{HeartbeatEvent, HeartbeatSession},
        ids::{AllocationId, ExecutionAttemptId, InstanceId, JobId},
        leadership::{LeaderSessionId, LeadershipEvent},
        protocol::{RESOURCE_MANAGER, job_component},
        task_executor::{EndCause, FreeCause, ManagerCause, PartCause, SlotEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model, plain},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

type Process = (NodeId, u64);

/// Remembers what each task executor has.
#[derive(Default)]
pub struct EndsHaveAPresentCause {
    clocks: Clocks,
    executors: BTreeMap<Process, Executor>,
}

/// A life of a task executor, as far as it has told.
#[derive(Default)]
struct Executor {
    masters: BTreeMap<JobId, (LeaderSessionId, HeartbeatSession)>,
    manager: Option<(LeaderSessionId, InstanceId)>,
    /// Of each component the leaders that were told: first the one that is followed.
    told: BTreeMap<String, VecDeque<Option<LeaderSessionId>>>,
    /// The newest round of offers, and over which connection it went.
    offered: BTreeMap<JobId, (u64, Option<HeartbeatSession>)>,
    holds: BTreeMap<AllocationId, Hold>,
    /// The slot and the master of what was taken on and has not been ended.
    tasks: BTreeMap<ExecutionAttemptId, (AllocationId, LeaderSessionId)>,
    now: Instant,
}

/// What has happened at one moment.
#[derive(Default)]
struct Instant {
    time: Duration,
    silent: BTreeSet<(String, HeartbeatSession)>,
    freed: BTreeSet<AllocationId>,
    parted: BTreeSet<(JobId, HeartbeatSession)>,
}

struct Hold {
    job: JobId,
    active: bool,
    /// Since when no master has it.
    since: Duration,
}

impl ClusterInvariant for EndsHaveAPresentCause {
    fn title(&self) -> &'static str {
        "H5 ends-have-a-present-cause"
    }

    fn promise(&self) -> &'static str {
        "no connection, slot or task ends at a word of another or a former one"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Leadership, EventKind::Slot, EventKind::Heartbeat, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let executor = match seen {
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.executors.remove(&at.process);
                }
                return Check::Ignored;
            }
            _ => self.executors.entry(at.process).or_default(),
        };
        if executor.now.time != at.time {
            executor.now = Instant { time: at.time, ..Instant::default() };
        }
        match seen {
            EventRef::Leadership(LeadershipEvent::LeaderNotified { component, leader, .. }) => {
                let session = leader.as_ref().map(|leader| leader.session);
                executor.told.entry(component.clone()).or_default().push_back(session);
            }
            EventRef::Heartbeat(
                HeartbeatEvent::TimedOut { id, session, .. }
                | HeartbeatEvent::Unreachable { id, session, .. },
            ) => {
                executor.now.silent.insert((id.clone(), *session));
            }
            EventRef::Slot(event) => {
                let least = self.clocks.shrunk(at.process.0, plain::SLOT_TIMEOUT);
                return executor.observe(at, event, model, least);
            }
            _ => {}
        }
        Check::Ignored
    }
}

fn judge(holds: bool, at: Moment, before: impl FnOnce() -> String, event: &SlotEvent) -> Check {
    Check::that(holds, || (before(), format!("{at}: {event:?}")))
}

impl Executor {
    fn observe(&mut self, at: Moment, event: &SlotEvent, model: &Model, least: Duration) -> Check {
        match event {
            SlotEvent::Registered { session, instance, .. } => {
                self.manager = Some((*session, *instance));
                self.follow(RESOURCE_MANAGER, Some(*session));
            }
            SlotEvent::MasterConnected { job, session, connection, .. } => {
                self.masters.insert(*job, (*session, *connection));
                self.follow(&job_component(*job), Some(*session));
            }
            SlotEvent::SlotsOffered { job, round, .. } => {
                let over = self.masters.get(job).map(|(_, connection)| *connection);
                self.offered.insert(*job, (*round, over));
            }
            SlotEvent::SlotAllocated { job, allocation, .. } => {
                let hold = Hold { job: *job, active: false, since: at.time };
                self.holds.insert(*allocation, hold);
            }
            SlotEvent::SlotActivated { allocation, .. } => {
                if let Some(hold) = self.holds.get_mut(allocation) {
                    hold.active = true;
                }
            }
            SlotEvent::TaskAccepted { attempt, allocation, job_master, .. } => {
                self.tasks.insert(*attempt, (*allocation, *job_master));
            }
            SlotEvent::MasterDisconnected { job, session, connection, cause, .. } => {
                let holds = self.masters.remove(job) == Some((*session, *connection))
                    && self.parts(at, *job, *session, *connection, *cause, model);
                self.now.parted.insert((*job, *connection));
                return judge(holds, at, || self.of_job(*job), event);
            }
            SlotEvent::ResourceManagerDisconnected { instance, cause, .. } => {
                let stands = self.manager.take();
                let holds = stands.is_some_and(|(session, known)| {
                    known == *instance && self.leaves(session, *instance, *cause)
                });
                let told = self.told.get(RESOURCE_MANAGER);
                return judge(holds, at, || format!("{stands:?} stands; told {told:?}"), event);
            }
            SlotEvent::SlotFreed { allocation, cause, .. } => {
                self.now.freed.insert(*allocation);
                let Some(hold) = self.holds.remove(allocation) else {
                    return judge(false, at, || "nobody holds it".to_string(), event);
                };
                let holds = self.frees(&hold, *cause, at.time, least);
                let Hold { job, active, since } = hold;
                let before = || {
                    format!("no master has it since {since:?}: {}; {}", !active, self.of_job(job))
                };
                return judge(holds, at, before, event);
            }
            SlotEvent::TaskEnds { attempt, cause, .. } => {
                let known = self.tasks.remove(attempt);
                let holds =
                    known.is_some_and(|known| self.ends(at, *attempt, known, *cause, model));
                return judge(
                    holds,
                    at,
                    || format!("it is {known:?}; {}", self.of_job(attempt.job)),
                    event,
                );
            }
            _ => {}
        }
        Check::Ignored
    }

    /// That leader is followed: what was told before is over. Whether it was told.
    fn follow(&mut self, component: &str, leader: Option<LeaderSessionId>) -> bool {
        let Some(told) = self.told.get_mut(component) else { return false };
        let place = told.iter().position(|known| *known == leader);
        told.drain(..place.unwrap_or_default());
        place.is_some()
    }

    /// Whether a master may be left so.
    fn parts(
        &mut self,
        at: Moment,
        job: JobId,
        session: LeaderSessionId,
        connection: HeartbeatSession,
        cause: PartCause,
        model: &Model,
    ) -> bool {
        let since = |hold: &mut Hold| (hold.active, hold.since) = (false, at.time);
        self.holds.values_mut().filter(|hold| hold.job == job && hold.active).for_each(since);
        match cause {
            // H4 judges that one.
            PartCause::Told(_) => true,
            PartCause::Silent(silent) => {
                silent == connection && self.now.silent.contains(&(job_component(job), silent))
            }
            PartCause::Leader(leader) => {
                leader != Some(session) && self.follow(&job_component(job), leader)
            }
            PartCause::OffersRefused { round } => {
                self.offered.get(&job) == Some(&(round, Some(connection)))
            }
            PartCause::Unused => holds_nothing(at, job, model),
        }
    }

    /// Whether a resource manager may be left so.
    fn leaves(
        &mut self,
        session: LeaderSessionId,
        instance: InstanceId,
        cause: ManagerCause,
    ) -> bool {
        match cause {
            // H4 judges the first; the answer to a report is told by nobody.
            ManagerCause::Told(_) | ManagerCause::ReportRefused => true,
            ManagerCause::Silent(silent) => {
                let found = (RESOURCE_MANAGER.to_string(), HeartbeatSession(silent.0));
                silent == instance && self.now.silent.contains(&found)
            }
            ManagerCause::Leader(leader) => {
                leader != Some(session) && self.follow(RESOURCE_MANAGER, leader)
            }
        }
    }

    /// Whether a hold may end so.
    fn frees(&self, hold: &Hold, cause: FreeCause, now: Duration, least: Duration) -> bool {
        let stands = self.masters.get(&hold.job).map(|(_, connection)| *connection);
        match cause {
            FreeCause::NotTaken => !hold.active && now - hold.since >= least,
            FreeCause::Refused { connection, round } => {
                stands == Some(connection)
                    && self.offered.get(&hold.job) == Some(&(round, Some(connection)))
            }
            FreeCause::Unlisted { connection, .. } => stands == Some(connection),
            FreeCause::Rejected { session } => {
                let told = self.told.get(&job_component(hold.job));
                stands.is_none() && told.is_some_and(|told| told.contains(&session))
            }
        }
    }

    /// Whether a task may end so.
    fn ends(
        &self,
        at: Moment,
        attempt: ExecutionAttemptId,
        (allocation, deployer): (AllocationId, LeaderSessionId),
        cause: EndCause,
        model: &Model,
    ) -> bool {
        let connected = self.masters.get(&attempt.job).map(|(session, _)| *session);
        let its_master = |session| deployer == session || connected == Some(session);
        match cause {
            EndCause::Slot(freed) => freed == allocation && self.now.freed.contains(&freed),
            EndCause::Master(connection) => self.now.parted.contains(&(attempt.job, connection)),
            EndCause::Unused => holds_nothing(at, attempt.job, model),
            EndCause::Asked(session) => its_master(session),
            EndCause::NotCurrent { session, of } => of == attempt && its_master(session),
        }
    }

    fn of_job(&self, job: JobId) -> String {
        let (master, offered) = (self.masters.get(&job), self.offered.get(&job));
        let told = self.told.get(&job_component(job));
        format!("its job is connected to {master:?}, told {told:?}, has offered {offered:?}")
    }
}

fn holds_nothing(at: Moment, job: JobId, model: &Model) -> bool {
    let mut held = model.slots.iter().filter(|((process, _), _)| *process == at.process);
    held.all(|(_, (of, _))| *of != job)
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, EndsHaveAPresentCause, plain};
    use crate::system::{
        heartbeat::{HeartbeatEvent, HeartbeatSession},
        protocol::RESOURCE_MANAGER,
        task_executor::TaskExecutorConfig,
    };
    use std::time::Duration;

    type Ends = History<EndsHaveAPresentCause>;

    const HERE: usize = 3;

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn told(component: &str, number: Option<u128>) -> LeadershipEvent {
        let (component, leader) = (component.to_string(), number.map(leader));
        LeadershipEvent::LeaderNotified { component, service: 1, leader }
    }

    fn told_of(number: Option<u128>) -> LeadershipEvent {
        told(&job_component(JOB), number)
    }

    fn silent(id: &str, number: u128) -> HeartbeatEvent {
        let (by, id) = ("a".to_string(), id.to_string());
        HeartbeatEvent::Unreachable { by, id, session: HeartbeatSession(number) }
    }

    fn connected(number: u128) -> SlotEvent {
        let (job, session, connection) = (JOB, term(number), HeartbeatSession(number));
        SlotEvent::MasterConnected { resource: resource(), job, session, connection }
    }

    fn parted(number: u128, cause: PartCause) -> SlotEvent {
        let (job, session, connection) = (JOB, term(number), HeartbeatSession(number));
        SlotEvent::MasterDisconnected { resource: resource(), job, session, connection, cause }
    }

    fn left(number: u128, cause: ManagerCause) -> SlotEvent {
        let (resource, instance) = (resource(), InstanceId(number));
        SlotEvent::ResourceManagerDisconnected { resource, instance, cause }
    }

    fn held(number: u128) -> SlotEvent {
        let (index, job, allocation) = (0, JOB, AllocationId(number));
        SlotEvent::SlotAllocated { resource: resource(), index, job, allocation }
    }

    fn freed(number: u128, cause: FreeCause) -> SlotEvent {
        let (index, allocation) = (0, AllocationId(number));
        SlotEvent::SlotFreed { resource: resource(), index, allocation, cause }
    }

    fn offered(round: u64) -> SlotEvent {
        SlotEvent::SlotsOffered { resource: resource(), job: JOB, round }
    }

    fn ends(epoch: u64, cause: EndCause) -> SlotEvent {
        SlotEvent::TaskEnds { resource: resource(), attempt: attempt(0, epoch), cause }
    }

    fn taken_on(epoch: u64) -> SlotEvent {
        let (allocation, job_master) = (AllocationId(1), term(1));
        let attempt = attempt(0, epoch);
        SlotEvent::TaskAccepted { resource: resource(), attempt, allocation, job_master }
    }

    fn and(history: Ends, event: impl crate::host::Event) -> Ends {
        history.holds(process(HERE, 1), event)
    }

    fn refused(history: Ends, event: impl crate::host::Event) {
        history.breaks(process(HERE, 1), event);
    }

    /// Connected to both leaders, with a slot that was offered in round 5 and is taken, and a task in it.
    fn standing() -> Ends {
        let (session, instance, allocation) = (term(1), InstanceId(1), AllocationId(1));
        let history = and(History::new(), told(RESOURCE_MANAGER, Some(1)));
        let registered = SlotEvent::Registered { resource: resource(), session, instance };
        let history = and(and(history, registered), held(1));
        let history = and(and(history, told_of(Some(1))), connected(1));
        let active = SlotEvent::SlotActivated { resource: resource(), allocation };
        and(and(and(history, offered(5)), active), taken_on(4))
    }

    fn without_a_master() -> Ends {
        and(standing(), parted(1, PartCause::Told(HeartbeatSession(1))))
    }

    #[test]
    fn what_a_slot_waits_is_what_task_executors_let_it_wait() {
        assert_eq!(TaskExecutorConfig::default().slot_timeout, plain::SLOT_TIMEOUT);
    }

    #[test]
    fn a_master_is_left_for_a_present_cause_only() {
        let job = job_component(JOB);
        let cause = PartCause::Silent(HeartbeatSession(1));
        and(and(standing(), silent(&job, 1)).at_once(), parted(1, cause));
        refused(and(standing(), silent(&job, 1)), parted(1, cause));
        refused(and(standing(), silent(RESOURCE_MANAGER, 1)).at_once(), parted(1, cause));
        let (refuses, other) = (|round| PartCause::OffersRefused { round }, HeartbeatSession(2));
        and(standing(), parted(1, refuses(5)));
        refused(standing(), parted(1, refuses(4)));
        refused(standing(), parted(1, PartCause::Silent(other)));
        refused(standing(), parted(2, refuses(5)));
        refused(standing(), parted(1, PartCause::Unused));
        let cause = FreeCause::Unlisted { connection: HeartbeatSession(1), round: 5 };
        and(and(standing(), freed(1, cause)), parted(1, PartCause::Unused));
    }

    #[test]
    fn a_leader_that_is_over_ends_nothing() {
        let leads = |number: Option<u128>| PartCause::Leader(number.map(term));
        let later = || and(and(standing(), told_of(None)), told_of(Some(2)));
        and(later(), parted(1, leads(None)));
        and(later(), parted(1, leads(Some(2))));
        refused(standing(), parted(1, leads(Some(1))));
        refused(standing(), parted(1, leads(None)));
        let followed = || and(and(later(), parted(1, leads(Some(2)))), connected(2));
        refused(followed(), parted(2, leads(None)));
        refused(followed(), parted(2, leads(Some(1))));
        let manager = |number: Option<u128>| ManagerCause::Leader(number.map(term));
        let told = || and(standing(), told(RESOURCE_MANAGER, Some(2)));
        and(told(), left(1, manager(Some(2))));
        refused(told(), left(1, manager(None)));
        refused(told(), left(2, manager(Some(2))));
    }

    #[test]
    fn a_resource_manager_is_left_for_its_own_silence_only() {
        let cause = ManagerCause::Silent(InstanceId(1));
        and(and(standing(), silent(RESOURCE_MANAGER, 1)).at_once(), left(1, cause));
        refused(and(standing(), silent(RESOURCE_MANAGER, 2)).at_once(), left(1, cause));
        refused(standing(), left(1, cause));
    }

    #[test]
    fn a_slot_is_freed_for_a_present_cause_only() {
        let (connection, old) = (HeartbeatSession(1), HeartbeatSession(2));
        refused(standing().after(Duration::from_secs(60)), freed(1, FreeCause::NotTaken));
        let waits = |seconds| without_a_master().after(Duration::from_secs(seconds));
        and(waits(9), freed(1, FreeCause::NotTaken));
        refused(waits(8), freed(1, FreeCause::NotTaken));
        let answer = |connection, round| freed(1, FreeCause::Refused { connection, round });
        and(standing(), answer(connection, 5));
        refused(standing(), answer(connection, 4));
        refused(standing(), answer(old, 5));
        refused(without_a_master(), answer(connection, 5));
        refused(standing(), freed(1, FreeCause::Unlisted { connection: old, round: 5 }));
        let rejects = |number| freed(1, FreeCause::Rejected { session: Some(term(number)) });
        and(without_a_master(), rejects(1));
        refused(without_a_master(), rejects(2));
        refused(standing(), rejects(1));
        refused(standing(), freed(2, FreeCause::NotTaken));
    }

    #[test]
    fn a_task_ends_at_a_word_of_its_own() {
        let (connection, other) = (HeartbeatSession(1), HeartbeatSession(2));
        let unlisted = FreeCause::Unlisted { connection, round: 5 };
        let slot = |number| ends(4, EndCause::Slot(AllocationId(number)));
        and(and(standing(), freed(1, unlisted)).at_once(), slot(1));
        refused(and(standing(), freed(1, unlisted)), slot(1));
        refused(and(standing(), freed(1, unlisted)).at_once(), slot(2));
        and(without_a_master().at_once(), ends(4, EndCause::Master(connection)));
        refused(without_a_master().at_once(), ends(4, EndCause::Master(other)));
        refused(without_a_master(), ends(4, EndCause::Master(connection)));
        let of_another = ExecutionAttemptId { job: JobId(8 << 96), ..attempt(0, 4) };
        let (resource, cause) = (resource(), EndCause::Master(connection));
        let foreign = SlotEvent::TaskEnds { resource, attempt: of_another, cause };
        refused(without_a_master().at_once(), foreign);
        and(standing(), ends(4, EndCause::Asked(term(1))));
        refused(standing(), ends(4, EndCause::Asked(term(2))));
        refused(standing(), ends(4, EndCause::Unused));
        let unknown = |epoch| EndCause::NotCurrent { session: term(1), of: attempt(0, epoch) };
        and(standing(), ends(4, unknown(4)));
        refused(standing(), ends(4, unknown(3)));
        refused(and(standing(), ends(4, unknown(4))), ends(4, unknown(4)));
    }
}
