//! E2, as far as it can be judged at an instant: in one task executor an attempt never begins after a
//! newer attempt of the same subtask was taken on there, nor twice. How soon what nobody wants is ended
//! is a matter of time and left to the liveness check.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{ExecutionVertexId, JobId},
        task_executor::SlotEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Subtask = ((NodeId, u64), JobId, ExecutionVertexId);

/// Remembers the newest epoch of each subtask in each process.
#[derive(Default)]
pub struct NoZombie {
    newest: BTreeMap<Subtask, (u64, Moment)>,
}

impl ClusterInvariant for NoZombie {
    fn title(&self) -> &'static str {
        "E2 no-zombie"
    }

    fn promise(&self) -> &'static str {
        "in a task executor no attempt begins after a newer one of its subtask"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Slot, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Slot(SlotEvent::TaskAccepted { attempt, .. }) => {
                let of = (at.process, attempt.job, attempt.vertex);
                match self.newest.get(&of) {
                    Some((newest, since)) if *newest >= attempt.epoch => Check::broken(
                        format!("{since}: {:?} of epoch {newest} was taken on", attempt.vertex),
                        format!("{at}: {attempt:?} is"),
                    ),
                    _ => {
                        self.newest.insert(of, (attempt.epoch, at));
                        Check::Passed
                    }
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.newest.retain(|(process, _, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NoZombie};

    fn newer() -> History<NoZombie> {
        History::new().holds(process(3, 1), accepted(1)).holds(process(3, 1), accepted(4))
    }

    #[test]
    fn newer_ones_and_other_processes_are_accepted() {
        newer()
            .holds(process(4, 1), accepted(1))
            .holds(process(3, 1), ended())
            .holds(process(3, 2), accepted(1));
    }

    #[test]
    fn an_older_one_or_a_repeat_is_refused() {
        newer().breaks(process(3, 1), accepted(3));
        newer().breaks(process(3, 1), accepted(4));
    }
}
