//! S6: a task executor frees a slot that its master's report does not list only if the report answers the
//! newest round of offers in which the slot was. An older report says nothing of a newer offer, nor any report
//! of a slot that the master is not known to have taken.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{AllocationId, JobId},
        task_executor::{FreeCause, SlotEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Process = (NodeId, u64);

/// Remembers the newest round of offers in which each slot was, and whether its master has taken it.
#[derive(Default)]
pub struct NoOldReport {
    held: BTreeMap<(Process, AllocationId), Hold>,
}

struct Hold {
    job: JobId,
    offered: u64,
    active: bool,
}

impl ClusterInvariant for NoOldReport {
    fn title(&self) -> &'static str {
        "S6 no-old-report"
    }

    fn promise(&self) -> &'static str {
        "no slot is freed by the report of an older round than that in which it was offered"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Slot, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Slot(SlotEvent::SlotAllocated { job, allocation, .. }) => {
                let hold = Hold { job: *job, offered: 0, active: false };
                self.held.insert((at.process, *allocation), hold);
                Check::Ignored
            }
            EventRef::Slot(SlotEvent::SlotsOffered { job, round, .. }) => {
                self.holds_of(at, *job).for_each(|hold| hold.offered = *round);
                Check::Ignored
            }
            EventRef::Slot(SlotEvent::SlotActivated { allocation, .. }) => {
                if let Some(hold) = self.held.get_mut(&(at.process, *allocation)) {
                    hold.active = true;
                }
                Check::Ignored
            }
            EventRef::Slot(SlotEvent::MasterDisconnected { job, .. }) => {
                self.holds_of(at, *job).for_each(|hold| hold.active = false);
                Check::Ignored
            }
            EventRef::Slot(SlotEvent::SlotFreed { allocation, cause, .. }) => {
                let held = self.held.remove(&(at.process, *allocation));
                let FreeCause::Unlisted { round, .. } = cause else { return Check::Ignored };
                let fits = held.as_ref().is_some_and(|hold| hold.offered <= *round && hold.active);
                Check::that(fits, || {
                    let offered = held.map(|hold| (hold.offered, hold.active));
                    let before = format!("{allocation:?} was offered, and is active: {offered:?}");
                    (before, format!("{at}: a report of round {round} frees it"))
                })
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.held.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl NoOldReport {
    fn holds_of(&mut self, at: Moment, job: JobId) -> impl Iterator<Item = &mut Hold> {
        let of_job = move |((process, _), hold): &(&(Process, AllocationId), &mut Hold)| {
            *process == at.process && hold.job == job
        };
        self.held.iter_mut().filter(of_job).map(|(_, hold)| hold)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NoOldReport};
    use crate::system::heartbeat::HeartbeatSession;

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn offered() -> History<NoOldReport> {
        let (index, allocation) = (0, AllocationId(1));
        let held = SlotEvent::SlotAllocated { resource: resource(), index, job: JOB, allocation };
        let offer = |round| SlotEvent::SlotsOffered { resource: resource(), job: JOB, round };
        History::new()
            .holds(process(3, 1), held)
            .holds(process(3, 1), offer(4))
            .holds(process(3, 1), offer(7))
    }

    fn taken() -> History<NoOldReport> {
        let allocation = AllocationId(1);
        offered()
            .holds(process(3, 1), SlotEvent::SlotActivated { resource: resource(), allocation })
    }

    fn freed(cause: FreeCause) -> SlotEvent {
        let (index, allocation) = (0, AllocationId(1));
        SlotEvent::SlotFreed { resource: resource(), index, allocation, cause }
    }

    fn unlisted(round: u64) -> SlotEvent {
        freed(FreeCause::Unlisted { connection: HeartbeatSession(1), round })
    }

    #[test]
    fn the_newest_report_or_another_reason_may_free_it() {
        offered().holds(process(3, 1), freed(FreeCause::NotTaken));
        taken().holds(process(3, 1), unlisted(7));
    }

    #[test]
    fn an_older_report_may_not() {
        taken().breaks(process(3, 1), unlisted(6));
    }

    #[test]
    fn no_report_may_while_it_is_not_taken() {
        offered().breaks(process(3, 1), unlisted(7));
        let (session, connection) = (term(1), HeartbeatSession(1));
        let (job, cause) = (JOB, PartCause::Told(connection));
        let gone =
            SlotEvent::MasterDisconnected { resource: resource(), job, session, connection, cause };
        taken().holds(process(3, 1), gone).breaks(process(3, 1), unlisted(7));
    }
}
