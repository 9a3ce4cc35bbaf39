//! C3: what is restored is the greatest checkpoint whose pointer is durable at that moment, and nothing
//! if there is none, or the savepoint with which the job began. Judged for the term that holds the job's
//! latch by the coordination server's log; one whose term is over may still speak of what was the newest in
//! its time. An attempt begins from what its epoch was scheduled with.

use super::{Check, ClusterInvariant, stored::newest_pointer};
use crate::{
    harness::event::Moment,
    system::{
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        protocol::job_component,
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Remembers from where each epoch begins.
#[derive(Default)]
pub struct NewestIsRestored {
    epochs: BTreeMap<(JobId, u64), Option<CheckpointId>>,
}

impl ClusterInvariant for NewestIsRestored {
    fn title(&self) -> &'static str {
        "C3 newest-is-restored"
    }

    fn promise(&self) -> &'static str {
        "the job begins anew from the greatest checkpoint that is durable then"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Task]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::Scheduled { job, session, epoch, restored, .. }) => {
                self.epochs.insert((*job, *epoch), *restored);
                if model.latch(&job_component(*job)) != Some(*session) {
                    return Check::Ignored;
                }
                // A job that began from a savepoint begins from it again as long as it has no checkpoint of its own.
                let newest = newest_pointer(model, *job).or(model.began_from.get(job).copied());
                Check::that(newest == *restored, || {
                    let before = format!("the newest durable checkpoint of {job:?} is {newest:?}");
                    (before, format!("{at}: epoch {epoch} begins from {restored:?}"))
                })
            }
            EventRef::Task(TaskEvent::Restored { attempt, checkpoint }) => {
                let scheduled = self.epochs.get(&(attempt.job, attempt.epoch));
                Check::that(scheduled == Some(checkpoint), || {
                    let before = format!("its epoch was scheduled from {scheduled:?}");
                    (before, format!("{at}: {attempt:?} begins from {checkpoint:?}"))
                })
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NewestIsRestored};

    fn two_pointers() -> History<NewestIsRestored> {
        History::new()
            .holds(process(0, 1), committed(1, vec![job_latch(1), pointer(9), pointer(12)]))
    }

    fn restored(epoch: u64, checkpoint: Option<u64>) -> TaskEvent {
        let checkpoint = checkpoint.map(CheckpointId);
        TaskEvent::Restored { attempt: attempt(0, epoch), checkpoint }
    }

    #[test]
    fn the_newest_or_nothing_is_accepted() {
        two_pointers()
            .holds(process(1, 1), scheduled(1, 13, Some(12)))
            .holds(process(3, 1), restored(13, Some(12)));
        History::<NewestIsRestored>::new()
            .holds(process(0, 1), committed(1, vec![job_latch(1)]))
            .holds(process(1, 1), scheduled(1, 1, None))
            .holds(process(3, 1), restored(1, None));
    }

    #[test]
    fn the_newest_is_so_by_its_number_however_keys_are_written() {
        let unpadded = |id: u64| put(format!("{}{id}", store::pointer_prefix(JOB)), Vec::new());
        let kept = || {
            History::<NewestIsRestored>::new()
                .holds(process(0, 1), committed(1, vec![job_latch(1), unpadded(9), unpadded(11)]))
        };
        kept().holds(process(1, 1), scheduled(1, 13, Some(11)));
        kept().breaks(process(1, 1), scheduled(1, 13, Some(9)));
    }

    #[test]
    fn a_term_that_is_over_is_not_judged() {
        two_pointers()
            .holds(process(0, 1), committed(2, vec![job_latch(2)]))
            .holds(process(1, 1), scheduled(1, 10, Some(9)));
    }

    #[test]
    fn an_older_one_or_none_or_one_that_is_not_durable_is_refused() {
        two_pointers().breaks(process(1, 1), scheduled(1, 13, Some(9)));
        two_pointers().breaks(process(1, 1), scheduled(1, 13, None));
        two_pointers().breaks(process(1, 1), scheduled(1, 13, Some(14)));
    }

    #[test]
    fn an_attempt_that_begins_elsewhere_is_refused() {
        let scheduled = || two_pointers().holds(process(1, 1), scheduled(1, 13, Some(12)));
        scheduled().breaks(process(3, 1), restored(13, Some(9)));
        scheduled().breaks(process(3, 1), restored(14, Some(12)));
    }
}
