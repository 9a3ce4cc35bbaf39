//! H3: giving up an old session never tears down a newer one. Whatever is given up, for a loss or for
//! another reason, is the very connection that stands in that process: a resource manager drops the
//! registration that it made last, a master the life of a task executor to which it is connected, a
//! task executor the term of the master to which it is. What caused it is no event and not judged, but a
//! resource manager loses only the session of the registration that stands.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        heartbeat::{HeartbeatEvent, HeartbeatSession},
        ids::{InstanceId, JobId, ResourceId, TaskExecutorSession},
        job_manager::JobEvent,
        leadership::LeaderSessionId,
        protocol::RESOURCE_MANAGER,
        task_executor::SlotEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{collections::BTreeMap, fmt::Debug};

type Process = (NodeId, u64);

/// Remembers what stands in each process.
#[derive(Default)]
pub struct LossNamesWhatStands {
    registered: BTreeMap<(Process, ResourceId), InstanceId>,
    executors: BTreeMap<(Process, JobId, ResourceId), (TaskExecutorSession, HeartbeatSession)>,
    masters: BTreeMap<(Process, JobId), (LeaderSessionId, HeartbeatSession)>,
}

impl ClusterInvariant for LossNamesWhatStands {
    fn title(&self) -> &'static str {
        "H3 loss-names-what-stands"
    }

    fn promise(&self) -> &'static str {
        "what is given up is the connection that stands, never a newer one in place of an older"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Slot, EventKind::Heartbeat, EventKind::Hardware]
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
            ) if by == RESOURCE_MANAGER => {
                match self.registered.get(&(process, ResourceId(id.clone()))) {
                    Some(instance) => same(at, Some(*instance), InstanceId(session.0)),
                    // A master, whose registration is no event.
                    None => Check::Ignored,
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
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
                self.executors.insert((process, *job, resource.clone()), connected);
                Check::Ignored
            }
            JobEvent::ExecutorLost { job, resource, session, connection, .. } => {
                let stands = self.executors.remove(&(process, *job, resource.clone()));
                same(at, stands, (*session, *connection))
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, HeartbeatEvent, HeartbeatSession, LossNamesWhatStands};

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

    fn connected(number: u128) -> JobEvent {
        let session = TaskExecutorSession(number);
        let connection = HeartbeatSession(number);
        JobEvent::ExecutorConnected { job: JOB, resource: resource(), session, connection }
    }

    fn lost(number: u128) -> JobEvent {
        let session = TaskExecutorSession(number);
        let connection = HeartbeatSession(number);
        JobEvent::ExecutorLost { job: JOB, resource: resource(), session, connection, told: None }
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
            told: None,
        }
    }

    fn timed_out(number: u128) -> HeartbeatEvent {
        let (by, id) = ("resource-manager".to_string(), "a".to_string());
        HeartbeatEvent::TimedOut { by, id, session: HeartbeatSession(number) }
    }

    fn standing() -> History<LossNamesWhatStands> {
        History::new()
            .holds(process(1, 1), registered(1))
            .holds(process(1, 1), registered(2))
            .holds(process(1, 1), connected(1))
            .holds(process(1, 1), connected(2))
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
    fn two_masters_at_once_are_refused() {
        standing().breaks(process(3, 1), to_master(3));
    }
}
