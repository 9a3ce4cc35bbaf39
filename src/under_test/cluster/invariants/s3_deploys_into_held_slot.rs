//! S3: a task executor takes a task on only in a slot that it holds for the attempt's job, and only
//! from the term of the master to which it is connected; in such a slot it takes it on, whether it knows yet that its
//! master took the slot or not.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{AllocationId, JobId},
        leadership::LeaderSessionId,
        task_executor::SlotEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Remembers to which master each task executor is connected; the model knows the slots.
#[derive(Default)]
pub struct DeploysIntoHeldSlot {
    connected: BTreeMap<((NodeId, u64), JobId), LeaderSessionId>,
}

impl ClusterInvariant for DeploysIntoHeldSlot {
    fn title(&self) -> &'static str {
        "S3 deploys-into-held-slot"
    }

    fn promise(&self) -> &'static str {
        "tasks are taken on in slots held for their job alone, from the master that is connected"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Slot, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Slot(SlotEvent::MasterConnected { job, session, .. }) => {
                self.connected.insert((at.process, *job), *session);
            }
            EventRef::Slot(SlotEvent::MasterDisconnected { job, .. }) => {
                self.connected.remove(&(at.process, *job));
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.connected.retain(|(process, _), _| *process != at.process);
            }
            EventRef::Slot(SlotEvent::TaskAccepted { attempt, allocation, job_master, .. }) => {
                let now = || format!("{at}: {attempt:?} is taken on in {allocation:?}");
                let connected = self.connected.get(&(at.process, attempt.job));
                let holds = holds(model, at, attempt.job, *allocation);
                return Check::that(connected == Some(job_master), || {
                    let before = format!("{job_master:?} deploys, connected is {connected:?}");
                    (before, now())
                })
                .and(Check::that(holds, || {
                    (format!("no slot is held so for {:?}", attempt.job), now())
                }));
            }
            EventRef::Slot(SlotEvent::TaskRefused { attempt, allocation, .. })
                if holds(model, at, attempt.job, *allocation) =>
            {
                return Check::broken(
                    format!("{allocation:?} is held for {:?}", attempt.job),
                    format!("{at}: {attempt:?} is refused for want of it"),
                );
            }
            _ => {}
        }
        Check::Ignored
    }
}

/// Whether this process holds a slot so.
fn holds(model: &Model, at: Moment, job: JobId, allocation: AllocationId) -> bool {
    let mut held = model.slots.iter().filter(|((of, _), _)| *of == at.process);
    held.any(|(_, held)| *held == (job, allocation))
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, DeploysIntoHeldSlot};
    use crate::system::heartbeat::HeartbeatSession;

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn held(job: JobId, number: u128) -> SlotEvent {
        let (index, allocation) = (0, AllocationId(number));
        SlotEvent::SlotAllocated { resource: resource(), index, job, allocation }
    }

    fn freed(number: u128) -> SlotEvent {
        SlotEvent::SlotFreed {
            resource: resource(),
            index: 0,
            allocation: AllocationId(number),
            cause: FreeCause::NotTaken,
        }
    }

    fn connected(number: u128) -> SlotEvent {
        let connection = HeartbeatSession(number);
        SlotEvent::MasterConnected {
            resource: resource(),
            job: JOB,
            session: term(number),
            connection,
        }
    }

    fn disconnected(number: u128) -> SlotEvent {
        SlotEvent::MasterDisconnected {
            resource: resource(),
            job: JOB,
            session: term(number),
            connection: HeartbeatSession(number),
            cause: PartCause::Unused,
        }
    }

    fn accepted(number: u128, job_master: u128) -> SlotEvent {
        SlotEvent::TaskAccepted {
            resource: resource(),
            attempt: attempt(0, 1),
            allocation: AllocationId(number),
            job_master: term(job_master),
        }
    }

    fn ready() -> History<DeploysIntoHeldSlot> {
        History::new().holds(process(3, 1), held(JOB, 1)).holds(process(3, 1), connected(1))
    }

    #[test]
    fn the_connected_master_may_deploy_into_its_slot() {
        ready()
            .holds(process(3, 1), accepted(1, 1))
            .holds(process(3, 1), disconnected(1))
            .holds(process(3, 1), connected(2))
            .holds(process(3, 1), accepted(1, 2));
    }

    #[test]
    fn a_deployment_may_be_refused_for_want_of_its_slot_alone() {
        let refused = |number| SlotEvent::TaskRefused {
            resource: resource(),
            attempt: attempt(0, 1),
            allocation: AllocationId(number),
        };
        ready().holds(process(3, 1), refused(2));
        ready().holds(process(3, 1), freed(1)).holds(process(3, 1), refused(1));
        ready().breaks(process(3, 1), refused(1));
    }

    #[test]
    fn another_master_is_refused() {
        ready().breaks(process(3, 1), accepted(1, 2));
        ready().holds(process(3, 1), disconnected(1)).breaks(process(3, 1), accepted(1, 1));
        ready().breaks(process(4, 1), accepted(1, 1));
    }

    #[test]
    fn a_slot_that_is_free_or_another_job_s_is_refused() {
        ready().breaks(process(3, 1), accepted(2, 1));
        ready().holds(process(3, 1), freed(1)).breaks(process(3, 1), accepted(1, 1));
        ready()
            .holds(process(3, 1), freed(1))
            .holds(process(3, 1), held(JobId(5), 3))
            .breaks(process(3, 1), accepted(3, 1));
    }
}
