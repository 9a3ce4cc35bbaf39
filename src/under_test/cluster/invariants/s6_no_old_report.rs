//! S6: a task executor frees a slot that its master's report does not list only if the report answers the
//! newest round of offers in which the slot was. An older report says nothing of a newer offer.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{AllocationId, JobId},
        task_executor::SlotEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Process = (NodeId, u64);

/// Remembers the newest round of offers in which each slot was.
#[derive(Default)]
pub struct NoOldReport {
    held: BTreeMap<(Process, AllocationId), (JobId, u64)>,
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
                self.held.insert((at.process, *allocation), (*job, 0));
                Check::Ignored
            }
            EventRef::Slot(SlotEvent::SlotsOffered { job, round, .. }) => {
                for ((process, _), (of, offered)) in &mut self.held {
                    if *process == at.process && of == job {
                        *offered = *round;
                    }
                }
                Check::Ignored
            }
            EventRef::Slot(SlotEvent::SlotFreed { allocation, unlisted, .. }) => {
                let held = self.held.remove(&(at.process, *allocation));
                let Some(unlisted) = unlisted else { return Check::Ignored };
                let offered = held.map_or(0, |(_, round)| round);
                Check::that(offered <= *unlisted, || {
                    let before = format!("{allocation:?} was offered in round {offered}");
                    (before, format!("{at}: a report of round {unlisted} frees it"))
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

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NoOldReport};

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

    fn freed(unlisted: Option<u64>) -> SlotEvent {
        let (index, allocation) = (0, AllocationId(1));
        SlotEvent::SlotFreed { resource: resource(), index, allocation, unlisted }
    }

    #[test]
    fn the_newest_report_or_another_reason_may_free_it() {
        offered().holds(process(3, 1), freed(None));
        offered().holds(process(3, 1), freed(Some(7)));
    }

    #[test]
    fn an_older_report_may_not() {
        offered().breaks(process(3, 1), freed(Some(6)));
    }
}
