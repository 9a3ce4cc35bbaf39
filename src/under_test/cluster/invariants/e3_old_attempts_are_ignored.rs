//! E3: a master takes acknowledgements only of attempts of its present epoch, each once, for a
//! checkpoint that it triggered with them and that has no outcome.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobId},
        job_manager::JobEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Process = (NodeId, u64);

/// Remembers the epoch of each subtask of each master, and whom its pending checkpoints wait for.
#[derive(Default)]
pub struct OldAttemptsAreIgnored {
    epochs: BTreeMap<(Process, JobId), BTreeMap<ExecutionVertexId, u64>>,
    waiting: BTreeMap<(Process, JobId, CheckpointId), BTreeSet<ExecutionAttemptId>>,
}

impl ClusterInvariant for OldAttemptsAreIgnored {
    fn title(&self) -> &'static str {
        "E3 old-attempts-are-ignored"
    }

    fn promise(&self) -> &'static str {
        "only present attempts' acknowledgements count, each once"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::Scheduled { job, epoch, vertices, .. }) => {
                let epochs = self.epochs.entry((at.process, *job)).or_default();
                epochs.extend(vertices.iter().map(|vertex| (*vertex, *epoch)));
                self.waiting.retain(|(process, of, _), _| (*process, *of) != (at.process, *job));
            }
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, plan, .. }) => {
                let waiting = plan.iter().copied().collect();
                self.waiting.insert((at.process, *job, *checkpoint), waiting);
                let old = plan.iter().find(|attempt| !self.is_present(at, **attempt));
                return Check::that(old.is_none(), || {
                    let before = format!("its epoch is {:?}", self.epochs.get(&(at.process, *job)));
                    (before, format!("{at}: {old:?} is to acknowledge {checkpoint:?}"))
                });
            }
            EventRef::Job(
                JobEvent::CheckpointAborted { job, checkpoint, .. }
                | JobEvent::CheckpointCompleted { job, checkpoint, .. },
            ) => {
                self.waiting.remove(&(at.process, *job, *checkpoint));
            }
            EventRef::Job(JobEvent::CheckpointAcknowledged { checkpoint, attempt }) => {
                let of = (at.process, attempt.job, *checkpoint);
                let waited = self.waiting.get_mut(&of).is_some_and(|w| w.remove(attempt));
                return Check::that(waited && self.is_present(at, *attempt), || {
                    let before = "no pending checkpoint waits for a present attempt of that name";
                    (before.into(), format!("{at}: {attempt:?} has acknowledged {checkpoint:?}"))
                });
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.epochs.retain(|(process, _), _| *process != at.process);
                self.waiting.retain(|(process, _, _), _| *process != at.process);
            }
            _ => {}
        }
        Check::Ignored
    }
}

impl OldAttemptsAreIgnored {
    fn is_present(&self, at: Moment, attempt: ExecutionAttemptId) -> bool {
        let epochs = self.epochs.get(&(at.process, attempt.job));
        epochs.and_then(|epochs| epochs.get(&attempt.vertex)) == Some(&attempt.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, OldAttemptsAreIgnored};

    fn pending() -> History<OldAttemptsAreIgnored> {
        History::new()
            .holds(process(1, 1), scheduled_of(1, 1, &[0, 1]))
            .holds(process(1, 1), triggered(2, &[attempt(0, 1), attempt(1, 1)]))
            .holds(process(1, 1), acknowledged(2, attempt(0, 1)))
    }

    #[test]
    fn the_present_attempts_are_accepted() {
        pending().holds(process(1, 1), acknowledged(2, attempt(1, 1)));
    }

    #[test]
    fn old_repeated_foreign_and_late_ones_are_refused() {
        pending().breaks(process(1, 1), acknowledged(2, attempt(0, 1)));
        pending().breaks(process(1, 1), acknowledged(2, attempt(2, 1)));
        pending().breaks(process(2, 1), acknowledged(2, attempt(1, 1)));
        pending().breaks(process(1, 1), acknowledged(3, attempt(1, 1)));
        pending()
            .holds(process(1, 1), scheduled_of(1, 3, &[0, 1]))
            .breaks(process(1, 1), acknowledged(2, attempt(1, 1)));
        pending()
            .holds(process(1, 1), aborted(2))
            .breaks(process(1, 1), acknowledged(2, attempt(1, 1)));
    }

    #[test]
    fn a_plan_with_an_old_attempt_is_refused() {
        pending().breaks(process(1, 1), triggered(3, &[attempt(0, 0)]));
    }
}
