//! H3: giving up an old session never tears down a newer one. Whatever is given up, for a loss or for
//! another reason, is the very connection that stands in that process: a resource manager drops the
//! registration that it made last, a master the life of a task executor to which it is connected, a
//! task executor the term of the master to which it is. A resource manager loses only the session of the
//! registration that stands. A master gives a task executor up in the term that runs there, for a silence that
//! is found at that moment or for another life of it; and it connects to no other life before. Why a task
//! executor ends a connection is judged by H5, why a resource manager drops a registration is not told.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        heartbeat::{HeartbeatEvent, HeartbeatSession},
        ids::{InstanceId, JobId, ResourceId, TaskExecutorSession},
        job_manager::{JobEvent, LossCause},
        leadership::{LeaderSessionId, LeadershipEvent},
        protocol::{JobStatus, RESOURCE_MANAGER, component_job},
        task_executor::SlotEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model, plain},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    time::Duration,
};

type Process = (NodeId, u64);

/// Remembers what stands in each process.
#[derive(Default)]
pub struct LossNamesWhatStands {
    registered: BTreeMap<(Process, ResourceId), InstanceId>,
    executors: BTreeMap<(Process, JobId, ResourceId), (TaskExecutorSession, HeartbeatSession)>,
    masters: BTreeMap<(Process, JobId), (LeaderSessionId, HeartbeatSession)>,
    running: BTreeSet<(Process, JobId, LeaderSessionId)>,
    /// What each process found lost last.
    lost: BTreeMap<Process, (Duration, String, HeartbeatSession)>,
}

impl ClusterInvariant for LossNamesWhatStands {
    fn title(&self) -> &'static str {
        "H3 loss-names-what-stands"
    }

    fn promise(&self) -> &'static str {
        "what is given up is the connection that stands, never a newer one in place of an older"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[
            EventKind::Leadership,
            EventKind::Job,
            EventKind::Slot,
            EventKind::Heartbeat,
            EventKind::Hardware,
        ]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let process = at.process;
        match seen {
            EventRef::Job(event) => self.observe_managers(at, event),
            EventRef::Slot(SlotEvent::MasterConnected { job, session, connection, .. }) => {
                let known = self.masters.insert((process, *job), (*session, *connection));
                Check::that(known.is_none(), || {
                    (format!("it is connected to {known:?}"), format!("{at}: to {session:?}"))
                })
            }
            EventRef::Slot(SlotEvent::MasterDisconnected { job, session, connection, .. }) => {
                same(at, self.masters.remove(&(process, *job)), (*session, *connection))
            }
            EventRef::Heartbeat(
                HeartbeatEvent::TimedOut { by, id, session }
                | HeartbeatEvent::Unreachable { by, id, session },
            ) => {
                self.lost.insert(process, (at.time, id.clone(), *session));
                if by != RESOURCE_MANAGER {
                    return Check::Ignored;
                }
                match self.registered.get(&(process, ResourceId(id.clone()))) {
                    Some(instance) => same(at, Some(*instance), InstanceId(session.0)),
                    // A master, whose registration is no event.
                    None => Check::Ignored,
                }
            }
            EventRef::Leadership(LeadershipEvent::ProcessStarted { component, session }) => {
                let job = component_job(component);
                self.running.extend(job.map(|job| (process, job, *session)));
                Check::Ignored
            }
            EventRef::Leadership(LeadershipEvent::ProcessTerminated { component, session }) => {
                if let Some(job) = component_job(component) {
                    self.running.remove(&(process, job, *session));
                    self.leave_executors(process, job);
                }
                Check::Ignored
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.running.retain(|(of, ..)| *of != process);
                self.lost.remove(&process);
                self.registered.retain(|(of, _), _| *of != process);
                self.executors.retain(|(of, ..), _| *of != process);
                self.masters.retain(|(of, _), _| *of != process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

fn same<T: Debug + PartialEq>(at: Moment, stands: Option<T>, given_up: T) -> Check {
    Check::that(stands.as_ref() == Some(&given_up), || {
        (format!("what stands is {stands:?}"), format!("{at}: {given_up:?} is given up"))
    })
}

impl LossNamesWhatStands {
    fn observe_managers(&mut self, at: Moment, event: &JobEvent) -> Check {
        let process = at.process;
        match event {
            JobEvent::ExecutorRegistered { resource, instance, .. } => {
                self.registered.insert((process, resource.clone()), *instance);
                Check::Ignored
            }
            JobEvent::ExecutorDropped { resource, instance } => {
                same(at, self.registered.remove(&(process, resource.clone())), *instance)
            }
            JobEvent::ExecutorConnected { job, resource, session, connection } => {
                let connected = (*session, *connection);
                let known = self.executors.insert((process, *job, resource.clone()), connected);
                Check::that(known.is_none_or(|(life, _)| life == *session), || {
                    let before = format!("{known:?} of {resource} has not been given up");
                    (before, format!("{at}: its life {session:?} is connected"))
                })
            }
            JobEvent::ExecutorLost { job, master, resource, session, connection, cause } => {
                let stands = self.executors.remove(&(process, *job, resource.clone()));
                let runs = self.running.contains(&(process, *job, *master));
                let lost = self.lost.get(&process);
                let holds = match cause {
                    // H4 judges that one.
                    LossCause::Told(_) => true,
                    LossCause::Silent(silent) => {
                        silent == connection
                            && lost == Some(&(at.time, resource.0.clone(), *silent))
                    }
                    LossCause::NewLife(life) => life != session,
                };
                same(at, stands, (*session, *connection)).and(Check::that(runs && holds, || {
                    let before = format!("{master:?} runs: {runs}; found lost last: {lost:?}");
                    (before, format!("{at}: {connection:?} is given up, {cause:?}"))
                }))
            }
            JobEvent::StatusChanged { job, status, .. }
                if *status == JobStatus::Suspended || plain::is_end(*status) =>
            {
                self.leave_executors(process, *job);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }

    /// A master that is over has left all its task executors.
    fn leave_executors(&mut self, process: Process, job: JobId) {
        self.executors.retain(|(of, known, _), _| (*of, *known) != (process, job));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing_jobs::*, HeartbeatEvent, HeartbeatSession, LossNamesWhatStands,
        RESOURCE_MANAGER,
    };

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn registered(number: u128) -> JobEvent {
        let (session, instance) = (TaskExecutorSession(1), InstanceId(number));
        JobEvent::ExecutorRegistered { resource: resource(), session, instance }
    }

    fn dropped(number: u128) -> JobEvent {
        JobEvent::ExecutorDropped { resource: resource(), instance: InstanceId(number) }
    }

    fn connected(life: u128, number: u128) -> JobEvent {
        let session = TaskExecutorSession(life);
        let connection = HeartbeatSession(number);
        JobEvent::ExecutorConnected { job: JOB, resource: resource(), session, connection }
    }

    fn lost_for(number: u128, cause: LossCause) -> JobEvent {
        let (job, master, session) = (JOB, term(1), TaskExecutorSession(1));
        let (resource, connection) = (resource(), HeartbeatSession(number));
        JobEvent::ExecutorLost { job, master, resource, session, connection, cause }
    }

    fn lost(number: u128) -> JobEvent {
        lost_for(number, LossCause::Told(HeartbeatSession(number)))
    }

    fn silent(number: u128) -> JobEvent {
        lost_for(number, LossCause::Silent(HeartbeatSession(number)))
    }

    fn anew(life: u128) -> JobEvent {
        lost_for(2, LossCause::NewLife(TaskExecutorSession(life)))
    }

    fn status(status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job: JOB, session: term(1), status }
    }

    fn to_master(number: u128) -> SlotEvent {
        let connection = HeartbeatSession(number);
        SlotEvent::MasterConnected {
            resource: resource(),
            job: JOB,
            session: term(number),
            connection,
        }
    }

    fn from_master(number: u128) -> SlotEvent {
        SlotEvent::MasterDisconnected {
            resource: resource(),
            job: JOB,
            session: term(number),
            connection: HeartbeatSession(number),
            cause: PartCause::Unused,
        }
    }

    fn timed_out(number: u128) -> HeartbeatEvent {
        timed_out_of(RESOURCE_MANAGER, number)
    }

    fn timed_out_of(by: &str, number: u128) -> HeartbeatEvent {
        let (by, id) = (by.to_string(), "a".to_string());
        HeartbeatEvent::TimedOut { by, id, session: HeartbeatSession(number) }
    }

    fn standing() -> History<LossNamesWhatStands> {
        let (component, session) = (job_component(JOB), term(1));
        History::new()
            .holds(process(1, 1), LeadershipEvent::ProcessStarted { component, session })
            .holds(process(1, 1), registered(1))
            .holds(process(1, 1), registered(2))
            .holds(process(1, 1), connected(1, 1))
            .holds(process(1, 1), connected(1, 2))
            .holds(process(3, 1), to_master(1))
            .holds(process(3, 1), from_master(1))
            .holds(process(3, 1), to_master(2))
    }

    #[test]
    fn the_end_of_what_stands_is_accepted() {
        standing()
            .holds(process(1, 1), timed_out(2))
            .holds(process(1, 1), dropped(2))
            .holds(process(1, 1), lost(2))
            .holds(process(3, 1), from_master(2));
    }

    #[test]
    fn the_end_of_an_older_one_is_refused() {
        standing().breaks(process(1, 1), timed_out(1));
        standing().breaks(process(1, 1), dropped(1));
        standing().breaks(process(1, 1), lost(1));
        standing().breaks(process(3, 1), from_master(1));
    }

    #[test]
    fn an_end_twice_or_in_another_life_is_refused() {
        standing().holds(process(1, 1), lost(2)).breaks(process(1, 1), lost(2));
        standing().holds(process(3, 1), ended()).breaks(process(3, 2), from_master(2));
    }

    #[test]
    fn a_loss_without_a_present_cause_is_refused() {
        let found = |number| {
            standing().holds(process(1, 1), timed_out_of(&job_component(JOB), number)).at_once()
        };
        found(2).holds(process(1, 1), silent(2));
        found(1).breaks(process(1, 1), silent(2));
        found(1).breaks(process(1, 1), lost_for(2, LossCause::Silent(HeartbeatSession(1))));
        standing().breaks(process(1, 1), silent(2));
        standing().holds(process(1, 1), anew(2));
        standing().breaks(process(1, 1), anew(1));
        let (component, session) = (job_component(JOB), term(1));
        let over = LeadershipEvent::ProcessTerminated { component, session };
        standing().holds(process(1, 1), over).breaks(process(1, 1), lost(2));
    }

    #[test]
    fn another_life_before_the_end_of_the_earlier_one_is_refused() {
        standing().breaks(process(1, 1), connected(2, 3));
        standing().holds(process(1, 1), anew(2)).holds(process(1, 1), connected(2, 3));
        standing()
            .holds(process(1, 1), status(JobStatus::Suspended))
            .holds(process(1, 1), connected(2, 3));
    }

    #[test]
    fn two_masters_at_once_are_refused() {
        standing().breaks(process(3, 1), to_master(3));
    }
}
