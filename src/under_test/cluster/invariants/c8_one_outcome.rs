//! C8: a triggered checkpoint is completed or aborted, once; what was aborted has no pointer, and what
//! has one is not aborted. When one is complete, what its master began before it and is pending is aborted
//! at that moment, unless it is of a savepoint. Outcomes are the master's word, pointers the coordination
//! server's. One whose master ended before may have none. A task declines a checkpoint once at most.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{CheckpointId, ExecutionAttemptId, JobId},
        job_manager::JobEvent,
        leadership::LeaderSessionId,
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
    of_savepoints: BTreeSet<(JobId, CheckpointId)>,
    /// In which terms those began that are of no savepoint.
    begun_in: BTreeMap<(JobId, CheckpointId), LeaderSessionId>,
    /// The newest that each master has completed, and what was pending then and older.
    subsumed: BTreeMap<((NodeId, u64), JobId), Subsumed>,
}

struct Subsumed {
    by: (CheckpointId, Moment),
    pending: BTreeSet<CheckpointId>,
}

impl ClusterInvariant for OneOutcome {
    fn title(&self) -> &'static str {
        "C8 one-outcome"
    }

    fn promise(&self) -> &'static str {
        "a triggered checkpoint is completed or aborted, once"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Job, EventKind::Task, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(event) => {
                let older = self.check_subsumed(at.time, Some(at.process));
                older.and(self.observe_master(at, event))
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.subsumed.retain(|(process, _), _| *process != at.process);
                Check::Ignored
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

    fn finish(&mut self, at: Duration) -> Check {
        self.check_subsumed(at, None)
    }
}

impl OneOutcome {
    fn observe_master(&mut self, at: Moment, event: &JobEvent) -> Check {
        match event {
            JobEvent::CheckpointTriggered { job, session, checkpoint, .. } => {
                if !self.of_savepoints.contains(&(*job, *checkpoint)) {
                    self.begun_in.insert((*job, *checkpoint), *session);
                }
                self.advance(at, (*job, *checkpoint), Stage::Triggered, &[])
            }
            JobEvent::SavepointTriggered { job, checkpoint, .. } => {
                self.of_savepoints.insert((*job, *checkpoint));
                Check::Ignored
            }
            JobEvent::CheckpointCompleted { job, session, checkpoint, .. } => {
                self.subsume(at, *job, *session, *checkpoint);
                self.advance(at, (*job, *checkpoint), Stage::Completed, &[Stage::Durable])
            }
            JobEvent::CheckpointAborted { job, checkpoint, .. } => {
                if let Some(subsumed) = self.subsumed.get_mut(&(at.process, *job)) {
                    subsumed.pending.remove(checkpoint);
                }
                self.advance(at, (*job, *checkpoint), Stage::Aborted, &[Stage::Triggered])
            }
            _ => Check::Ignored,
        }
    }

    /// Notes what must be aborted now that a newer one is complete.
    fn subsume(&mut self, at: Moment, job: JobId, session: LeaderSessionId, by: CheckpointId) {
        let of_job = (job, CheckpointId(0))..(job, by);
        let pending = self.stages.range(of_job).filter(|(of, (stage, _))| {
            *stage == Stage::Triggered && self.begun_in.get(of) == Some(&session)
        });
        let pending = pending.map(|((_, checkpoint), _)| *checkpoint).collect();
        self.subsumed.insert((at.process, job), Subsumed { by: (by, at), pending });
    }

    /// Whether of a process, or of all, nothing is pending that should have been aborted before now.
    fn check_subsumed(&self, now: Duration, of: Option<(NodeId, u64)>) -> Check {
        let left = self.subsumed.iter().find(|((process, _), subsumed)| {
            let is_over = subsumed.by.1.time < now && of.is_none_or(|of| of == *process);
            is_over && !subsumed.pending.is_empty()
        });
        left.map_or(Check::Ignored, |((_, job), Subsumed { by: (by, at), pending })| {
            let now = now.as_secs_f64();
            let still = format!("{now:.3}s: {pending:?}, which are older, are pending");
            Check::broken(format!("{at}: {by:?} of {job:?} is complete"), still)
        })
    }

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
    use super::{super::testing_jobs::*, Check, Duration, OneOutcome};
    use crate::system::protocol::AfterSavepoint;

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
    fn an_older_one_that_is_pending_beside_a_newer_complete_one_is_refused() {
        let savepoint = |id| JobEvent::SavepointTriggered {
            job: JOB,
            checkpoint: CheckpointId(id),
            path: "savepoints/one".to_string(),
            then: AfterSavepoint::GoOn,
        };
        let both = || {
            begun()
                .holds(process(1, 1), triggered(4, &[attempt(0, 1)]))
                .holds(process(0, 1), committed(1, vec![pointer(4)]))
        };
        let complete = |history: History<OneOutcome>| history.holds(process(1, 1), completed(4));
        complete(both())
            .at_once()
            .holds(process(1, 1), aborted(3))
            .holds(process(1, 1), triggered(5, &[]));
        complete(both()).breaks(process(1, 1), triggered(5, &[]));
        complete(both()).holds(process(2, 1), triggered(5, &[]));
        let is_left = complete(both()).finish(Duration::from_secs(1));
        assert!(matches!(is_left, Check::Broken { .. }));
        let ends = complete(both()).holds(process(1, 1), ended()).finish(Duration::from_secs(1));
        assert!(!matches!(ends, Check::Broken { .. }));
        let of_savepoint = History::new()
            .holds(process(1, 1), savepoint(3))
            .holds(process(1, 1), triggered(3, &[attempt(0, 1)]))
            .holds(process(1, 1), triggered(4, &[attempt(0, 1)]))
            .holds(process(0, 1), committed(1, vec![pointer(4)]));
        complete(of_savepoint).holds(process(1, 1), triggered(5, &[]));
    }

    #[test]
    fn what_was_not_triggered_or_twice_is_refused() {
        begun().breaks(process(1, 1), aborted(4));
        begun().breaks(process(2, 1), triggered(3, &[attempt(0, 1)]));
    }
}
