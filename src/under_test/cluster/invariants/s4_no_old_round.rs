//! S4: an answer to a round of offers is applied only if no newer round was sent and the master is still
//! connected; rounds grow within a life of a task executor.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{ids::JobId, task_executor::SlotEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Process = (NodeId, u64);

/// Remembers the newest round of each job, and of each process.
#[derive(Default)]
pub struct NoOldRound {
    offered: BTreeMap<(Process, JobId), u64>,
    newest: BTreeMap<Process, u64>,
}

impl ClusterInvariant for NoOldRound {
    fn title(&self) -> &'static str {
        "S4 no-old-round"
    }

    fn promise(&self) -> &'static str {
        "the answer to an older round of offers is never applied"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Slot, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Slot(SlotEvent::SlotsOffered { job, round, .. }) => {
                self.offered.insert((at.process, *job), *round);
                let newest = self.newest.insert(at.process, *round);
                Check::that(newest < Some(*round), || {
                    let newest = newest.unwrap_or_default();
                    (format!("round {newest} was sent"), format!("{at}: round {round} is"))
                })
            }
            EventRef::Slot(SlotEvent::OfferAnswered { job, round, .. }) => {
                let offered = self.offered.get(&(at.process, *job));
                Check::that(offered == Some(round), || {
                    let before = match offered {
                        Some(offered) => format!("{job:?} waits for the answer to round {offered}"),
                        None => format!("{job:?} waits for no answer"),
                    };
                    (before, format!("{at}: the answer to round {round} is applied"))
                })
            }
            EventRef::Slot(SlotEvent::MasterDisconnected { job, .. }) => {
                self.offered.remove(&(at.process, *job));
                Check::Ignored
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.offered.retain(|(process, _), _| *process != at.process);
                self.newest.remove(&at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NoOldRound};

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn offered(round: u64) -> SlotEvent {
        SlotEvent::SlotsOffered { resource: resource(), job: JOB, round }
    }

    fn answered(round: u64) -> SlotEvent {
        SlotEvent::OfferAnswered { resource: resource(), job: JOB, round }
    }

    fn two_rounds() -> History<NoOldRound> {
        History::new().holds(process(3, 1), offered(1)).holds(process(3, 1), offered(2))
    }

    #[test]
    fn the_answer_to_the_newest_round_is_accepted() {
        two_rounds()
            .holds(process(3, 1), answered(2))
            .holds(process(3, 1), ended())
            .holds(process(3, 2), offered(1))
            .holds(process(3, 2), answered(1));
    }

    #[test]
    fn the_answer_to_an_older_round_is_refused() {
        two_rounds().breaks(process(3, 1), answered(1));
    }

    #[test]
    fn an_answer_after_the_master_is_gone_is_refused() {
        let gone = SlotEvent::MasterDisconnected {
            resource: resource(),
            job: JOB,
            session: term(1),
            connection: crate::system::heartbeat::HeartbeatSession(1),
            cause: PartCause::Unused,
        };
        two_rounds().holds(process(3, 1), gone).breaks(process(3, 1), answered(2));
    }

    #[test]
    fn a_round_that_does_not_grow_is_refused() {
        two_rounds().breaks(process(3, 1), offered(2));
    }
}
