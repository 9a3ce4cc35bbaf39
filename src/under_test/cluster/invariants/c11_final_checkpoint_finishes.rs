//! C11: a job whose final checkpoint is complete ends as finished, and none other does: its output is
//! committed, and nothing turns that into a failure. Where a user stops it with that checkpoint, none comes behind it.
//! Judged on the coordination server's log.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{ids::JobId, protocol::JobStatus, store::StoredResult},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeSet;

/// Remembers the jobs whose final checkpoint is complete.
#[derive(Default)]
pub struct FinalCheckpointFinishes {
    last: BTreeSet<JobId>,
}

impl ClusterInvariant for FinalCheckpointFinishes {
    fn title(&self) -> &'static str {
        "C11 final-checkpoint-finishes"
    }

    fn promise(&self) -> &'static str {
        "a job ends as finished if, and only if, its final checkpoint is complete"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let EventRef::Coordination(event) = seen else { return Check::Ignored };
        let mut check = Check::Ignored;
        for moved in moved(event, model) {
            match (moved.kept, moved.after) {
                (Kept::Stored(StoredPart::Final), Some(_)) => drop(self.last.insert(moved.job)),
                (Kept::Stored(StoredPart::Pointer(id)), Some(_)) => {
                    if let Some(stopped) = model.stopped_with(moved.job) {
                        check = check.and(Check::that(id.0 <= stopped.0, || {
                            let before = format!("{:?} was stopped with {stopped:?}", moved.job);
                            (before, format!("{at}: {id:?} is durable"))
                        }));
                    }
                }
                (Kept::Stored(StoredPart::Result), Some(value)) => {
                    check = check.and(self.check(at, moved.job, value))
                }
                _ => {}
            }
        }
        check
    }
}

impl FinalCheckpointFinishes {
    fn check(&self, at: Moment, job: JobId, value: &[u8]) -> Check {
        let Ok(stored) = postcard::from_bytes::<StoredResult>(value) else {
            return Check::Ignored;
        };
        let (last, status) = (self.last.contains(&job), stored.result.status);
        Check::that(last == (status == JobStatus::Finished), || {
            let stands = if last { "is complete" } else { "is not there" };
            let before = format!("the final checkpoint of {job:?} {stands}");
            (before, format!("{at}: its result is {status}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, FinalCheckpointFinishes};
    use crate::system::protocol::AfterSavepoint;

    fn last() -> History<FinalCheckpointFinishes> {
        History::new().holds(process(0, 1), committed(1, vec![pointer(3), last_checkpoint(3)]))
    }

    #[test]
    fn the_end_that_the_final_checkpoint_decides_is_accepted() {
        last().holds(process(0, 1), committed(2, vec![result(true, JobStatus::Finished)]));
        for status in [JobStatus::Failed, JobStatus::Canceled] {
            History::<FinalCheckpointFinishes>::new()
                .holds(process(0, 1), committed(1, vec![result(true, status)]));
        }
    }

    #[test]
    fn a_checkpoint_behind_the_one_with_which_the_job_was_stopped_is_refused() {
        let triggered = |then| JobEvent::SavepointTriggered {
            job: JOB,
            checkpoint: CheckpointId(3),
            path: "savepoints/one".to_string(),
            then,
        };
        let with = |then| {
            History::<FinalCheckpointFinishes>::new()
                .holds(process(1, 1), triggered(then))
                .holds(process(0, 1), committed(1, vec![pointer(3), last_checkpoint(3)]))
        };
        let next = || committed(2, vec![pointer(4)]);
        with(AfterSavepoint::Stop).breaks(process(0, 1), next());
        // One of a job at its end may come again.
        with(AfterSavepoint::GoOn).holds(process(0, 1), next());
    }

    #[test]
    fn another_end_is_refused() {
        for status in [JobStatus::Failed, JobStatus::Canceled] {
            last().breaks(process(0, 1), committed(2, vec![result(true, status)]));
        }
        History::<FinalCheckpointFinishes>::new()
            .breaks(process(0, 1), committed(1, vec![result(true, JobStatus::Finished)]));
        // Also when the server dies before it announces the result.
        last().breaks(
            process(0, 2),
            recovered(2, vec![last_checkpoint(3), result(true, JobStatus::Failed)]),
        );
    }
}
