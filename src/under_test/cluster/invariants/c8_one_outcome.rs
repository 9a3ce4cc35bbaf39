//! C8: a triggered checkpoint is completed or aborted, once; what was aborted has no pointer, and what
//! has one is not aborted. Outcomes are the master's word, pointers the coordination server's. One whose
//! master ended before may have none. A task declines a checkpoint once at most.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        ids::{CheckpointId, ExecutionAttemptId, JobId},
        job_manager::JobEvent,
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Triggered,
    Durable,
    Completed,
    Aborted,
}

/// Remembers how far each checkpoint came.
#[derive(Default)]
pub struct OneOutcome {
    stages: BTreeMap<(JobId, CheckpointId), (Stage, Moment)>,
    declined: BTreeMap<(ExecutionAttemptId, CheckpointId), Moment>,
}

impl ClusterInvariant for OneOutcome {
    fn title(&self) -> &'static str {
        "C8 one-outcome"
    }

    fn promise(&self) -> &'static str {
        "a triggered checkpoint is completed or aborted, once"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Job, EventKind::Task]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, .. }) => {
                self.advance(at, (*job, *checkpoint), Stage::Triggered, &[])
            }
            EventRef::Job(JobEvent::CheckpointCompleted { job, checkpoint, .. }) => {
                self.advance(at, (*job, *checkpoint), Stage::Completed, &[Stage::Durable])
            }
            EventRef::Job(JobEvent::CheckpointAborted { job, checkpoint, .. }) => {
                self.advance(at, (*job, *checkpoint), Stage::Aborted, &[Stage::Triggered])
            }
            EventRef::Coordination(event) => {
                let mut check = Check::Ignored;
                for moved in moved(event, model).iter().filter(|moved| moved.after.is_some()) {
                    if let Kept::Stored(StoredPart::Pointer(id)) = moved.kept {
                        let from = [Stage::Triggered];
                        check = check.and(self.advance(at, (moved.job, id), Stage::Durable, &from));
                    }
                }
                check
            }
            EventRef::Task(TaskEvent::CheckpointDeclined { attempt, checkpoint, .. }) => {
                let before = self.declined.insert((*attempt, *checkpoint), at);
                Check::that(before.is_none(), || {
                    let before = before.map(|before| format!("{before}: {attempt:?} has declined"));
                    let again = format!("{at}: it declines {checkpoint:?} once more");
                    (before.unwrap_or_default(), again)
                })
            }
            _ => Check::Ignored,
        }
    }
}

impl OneOutcome {
    /// Moves a checkpoint on from one of these stages; from none when the list is empty.
    fn advance(
        &mut self,
        at: Moment,
        of: (JobId, CheckpointId),
        to: Stage,
        from: &[Stage],
    ) -> Check {
        let before = self.stages.insert(of, (to, at));
        let fits = match before {
            None => from.is_empty(),
            Some((stage, _)) => from.contains(&stage),
        };
        Check::that(fits, || {
            let known = before.map(|(stage, since)| format!("{since}: {stage:?}"));
            let known = known.unwrap_or_else(|| "nobody triggered it".to_string());
            (known, format!("{at}: {:?} of {:?} is {to:?}", of.1, of.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, OneOutcome};

    fn begun() -> History<OneOutcome> {
        History::new().holds(process(1, 1), triggered(3, &[attempt(0, 1)]))
    }

    fn durable() -> History<OneOutcome> {
        begun().holds(process(0, 1), committed(1, vec![pointer(3)]))
    }

    #[test]
    fn one_outcome_is_accepted() {
        begun().holds(process(1, 1), aborted(3));
        durable().holds(process(1, 1), completed(3));
    }

    #[test]
    fn two_outcomes_are_refused() {
        begun().holds(process(1, 1), aborted(3)).breaks(process(1, 1), aborted(3));
        durable().holds(process(1, 1), completed(3)).breaks(process(1, 1), completed(3));
        durable().holds(process(1, 1), completed(3)).breaks(process(1, 1), aborted(3));
        begun().holds(process(1, 1), aborted(3)).breaks(process(1, 1), completed(3));
    }

    #[test]
    fn a_pointer_and_an_abort_are_refused() {
        durable().breaks(process(1, 1), aborted(3));
        begun()
            .holds(process(1, 1), aborted(3))
            .breaks(process(0, 1), committed(1, vec![pointer(3)]));
    }

    #[test]
    fn a_task_that_declines_twice_is_refused() {
        let declined = |vertex, id| TaskEvent::CheckpointDeclined {
            attempt: attempt(vertex, 1),
            checkpoint: CheckpointId(id),
            reason: String::new(),
        };
        let both = begun()
            .holds(process(1, 1), declined(0, 3))
            .holds(process(1, 1), declined(1, 3))
            .holds(process(1, 1), declined(0, 4));
        both.breaks(process(1, 1), declined(0, 3));
    }

    #[test]
    fn what_was_not_triggered_or_twice_is_refused() {
        begun().breaks(process(1, 1), aborted(4));
        begun().breaks(process(2, 1), triggered(3, &[attempt(0, 1)]));
    }
}
