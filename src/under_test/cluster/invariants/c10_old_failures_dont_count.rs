//! C10: what counts among the failures that a job bears is a checkpoint newer than the newest of which
//! the master knows that it is complete, once, and a decline only of an attempt of the newest
//! deployment. All of that is the master's word: a pointer that is durable while the answer is still
//! under way is no mistake of the master's. One that no longer holds the latch counts without effect,
//! and is not judged.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        ids::{CheckpointId, ExecutionVertexId, JobId},
        job_manager::JobEvent,
        protocol::job_component,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers the newest complete checkpoint and epoch of each job, and what was counted.
#[derive(Default)]
pub struct OldFailuresDontCount {
    complete: BTreeMap<JobId, CheckpointId>,
    epochs: BTreeMap<(JobId, ExecutionVertexId), u64>,
    counted: BTreeSet<(JobId, CheckpointId)>,
}

impl OldFailuresDontCount {
    fn know(&mut self, job: JobId, checkpoint: CheckpointId) -> Check {
        let newest = self.complete.entry(job).or_insert(checkpoint);
        newest.0 = newest.0.max(checkpoint.0);
        Check::Ignored
    }
}

impl ClusterInvariant for OldFailuresDontCount {
    fn title(&self) -> &'static str {
        "C10 old-failures-dont-count"
    }

    fn promise(&self) -> &'static str {
        "only failures of the present attempts, of checkpoints newer than the newest complete, count"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::CheckpointCompleted { job, checkpoint, .. }) => {
                self.know(*job, *checkpoint)
            }
            EventRef::Job(JobEvent::Scheduled { job, epoch, restored, vertices, .. }) => {
                if let Some(restored) = restored {
                    self.know(*job, *restored);
                }
                for vertex in vertices {
                    let newest = self.epochs.entry((*job, *vertex)).or_default();
                    *newest = (*newest).max(*epoch);
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointFailureCounted {
                job,
                session,
                checkpoint,
                declined,
            }) => {
                if model.latch(&job_component(*job)) != Some(*session) {
                    return Check::Ignored;
                }
                let known = self.complete.get(job);
                let newest = declined.and_then(|of| self.epochs.get(&(*job, of.vertex)));
                let newer = known.is_none_or(|known| known.0 < checkpoint.0);
                let present = declined.is_none_or(|attempt| Some(&attempt.epoch) == newest);
                let once = self.counted.insert((*job, *checkpoint));
                Check::that(newer && present && once, || {
                    (
                        format!("{known:?} is complete, epoch {newest:?} is deployed"),
                        format!("{at}: {checkpoint:?} counts as failed by {declined:?}"),
                    )
                })
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, OldFailuresDontCount};

    fn counted(id: u64, declined: Option<u64>) -> JobEvent {
        let declined = declined.map(|epoch| attempt(0, epoch));
        let (session, checkpoint) = (term(1), CheckpointId(id));
        JobEvent::CheckpointFailureCounted { job: JOB, session, checkpoint, declined }
    }

    fn deployed() -> History<OldFailuresDontCount> {
        let (session, restored) = (term(1), None);
        History::new()
            .holds(
                process(1, 1),
                JobEvent::Scheduled {
                    job: JOB,
                    session,
                    epoch: 4,
                    restored,
                    vertices: vec![subtask(0)],
                },
            )
            .holds(process(0, 1), committed(1, vec![job_latch(1)]))
            .holds(process(1, 1), completed(5))
    }

    #[test]
    fn a_pointer_whose_answer_is_under_way_does_not_count() {
        deployed()
            .holds(process(0, 1), committed(2, vec![pointer(7)]))
            .holds(process(1, 1), counted(6, None));
    }

    #[test]
    fn what_is_restored_is_complete() {
        let (session, restored) = (term(1), Some(CheckpointId(6)));
        let event = JobEvent::Scheduled {
            job: JOB,
            session,
            epoch: 5,
            restored,
            vertices: vec![subtask(0)],
        };
        deployed().holds(process(1, 1), event).breaks(process(1, 1), counted(6, None));
    }

    #[test]
    fn new_failures_count() {
        deployed().holds(process(1, 1), counted(6, None)).holds(process(1, 1), counted(7, Some(4)));
    }

    #[test]
    fn failures_of_the_past_are_refused() {
        deployed().breaks(process(1, 1), counted(5, None));
        deployed().breaks(process(1, 1), counted(6, Some(3)));
    }

    #[test]
    fn a_master_without_the_latch_is_not_judged() {
        deployed()
            .holds(process(0, 1), committed(2, vec![job_latch(2)]))
            .holds(process(1, 1), counted(5, None));
    }

    #[test]
    fn a_failure_that_counts_twice_is_refused() {
        deployed().holds(process(1, 1), counted(6, None)).breaks(process(1, 1), counted(6, None));
    }
}
