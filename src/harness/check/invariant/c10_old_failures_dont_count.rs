//! C10: what counts among the failures that a job bears is a checkpoint newer than the newest that is
//! durable, once, and a decline only of an attempt of the newest deployment. That it counts is the
//! master's word; what is durable is the coordination server's. A master that no longer holds the latch
//! counts without effect, and is not judged.

use super::{
    Check, Invariant,
    stored::{Kept, moved},
};
use crate::{
    harness::check::{
        history::{Family, Moment, Seen},
        model::Model,
    },
    system::{
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        protocol::job_component,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers the newest pointer and epoch of each job, and what was counted.
#[derive(Default)]
pub struct OldFailuresDontCount {
    durable: BTreeMap<JobId, CheckpointId>,
    epochs: BTreeMap<JobId, u64>,
    counted: BTreeSet<(JobId, CheckpointId)>,
}

impl Invariant for OldFailuresDontCount {
    fn name(&self) -> &'static str {
        "C10"
    }

    fn promise(&self) -> &'static str {
        "only failures of the present attempts, of checkpoints newer than the newest complete, count"
    }

    fn families(&self) -> &'static [Family] {
        &[Family::Coordination, Family::Job]
    }

    fn observe(&mut self, at: Moment, seen: Seen<'_>, model: &Model) -> Check {
        match seen {
            Seen::Coordination(event) => {
                for moved in moved(event, model).iter().filter(|moved| moved.after.is_some()) {
                    if let Kept::Pointer(id) = moved.kept {
                        self.durable.insert(moved.job, id);
                    }
                }
                Check::Ignored
            }
            Seen::Job(JobEvent::Scheduled { job, epoch, .. }) => {
                let newest = self.epochs.entry(*job).or_default();
                *newest = (*newest).max(*epoch);
                Check::Ignored
            }
            Seen::Job(JobEvent::CheckpointFailureCounted {
                job,
                session,
                checkpoint,
                declined,
            }) => {
                if model.latch(&job_component(*job)) != Some(*session) {
                    return Check::Ignored;
                }
                let known = self.durable.get(job);
                let newest = self.epochs.get(job);
                let newer = known.is_none_or(|durable| durable < checkpoint);
                let present = declined.is_none_or(|attempt| Some(&attempt.epoch) == newest);
                let once = self.counted.insert((*job, *checkpoint));
                Check::that(newer && present && once, || {
                    (
                        format!("{known:?} is durable, epoch {newest:?} is deployed"),
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
                JobEvent::Scheduled { job: JOB, session, epoch: 4, restored, tasks: 1 },
            )
            .holds(process(0, 1), committed(1, vec![job_latch(1), pointer(5)]))
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
