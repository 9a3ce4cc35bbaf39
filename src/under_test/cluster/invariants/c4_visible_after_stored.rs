//! C4: nobody learns that a checkpoint is complete before its pointer is durable, and no pointer is
//! durable before the metadata that it names. Judged on the coordination and the object store's logs.
//! A task hears only of those in which it has taken part, and not of the one that it began from.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        ids::{CheckpointId, ExecutionAttemptId, JobId},
        job_manager::JobEvent,
        store::CheckpointPointer,
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers every pointer that was durable once; it may be gone when the word of it arrives.
#[derive(Default)]
pub struct VisibleAfterStored {
    durable: BTreeSet<(JobId, CheckpointId)>,
    /// Those of which attempts have taken their parts, newer ones than they have heard of.
    taken: BTreeMap<ExecutionAttemptId, BTreeSet<CheckpointId>>,
}

impl ClusterInvariant for VisibleAfterStored {
    fn title(&self) -> &'static str {
        "C4 visible-after-stored"
    }

    fn promise(&self) -> &'static str {
        "a checkpoint is confirmed only when its pointer, and before that its metadata, is durable"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Job, EventKind::Task]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Task(TaskEvent::SnapshotTaken { attempt, checkpoint, .. }) => {
                self.taken.entry(*attempt).or_default().insert(*checkpoint);
                Check::Ignored
            }
            EventRef::Task(TaskEvent::CheckpointConfirmed { attempt, checkpoint }) => self
                .check(at, attempt.job, *checkpoint, "a task is told of it")
                .and(self.told(at, *attempt, *checkpoint)),
            EventRef::Task(_) => Check::Ignored,
            EventRef::Job(JobEvent::CheckpointCompleted { job, checkpoint, .. }) => {
                self.check(at, *job, *checkpoint, "the master announces it")
            }
            EventRef::Coordination(event) => {
                let mut check = Check::Ignored;
                for moved in moved(event, model) {
                    if let (Kept::Stored(StoredPart::Pointer(id)), Some(value)) =
                        (moved.kept, moved.after)
                    {
                        self.durable.insert((moved.job, id));
                        check = check.and(judge_pointer(at, id, value, model));
                    }
                }
                check
            }
            _ => Check::Ignored,
        }
    }
}

fn judge_pointer(at: Moment, id: CheckpointId, value: &[u8], model: &Model) -> Check {
    let pointer = postcard::from_bytes::<CheckpointPointer>(value).ok();
    let sound = pointer
        .as_ref()
        .is_some_and(|pointer| pointer.id == id && model.objects.contains(&pointer.metadata));
    Check::that(sound, || {
        let before = format!("the metadata of {pointer:?} is not stored");
        (before, format!("{at}: the pointer of {id:?} is durable"))
    })
}

impl VisibleAfterStored {
    fn check(&self, at: Moment, job: JobId, id: CheckpointId, what: &str) -> Check {
        Check::that(self.durable.contains(&(job, id)), || {
            let before = format!("no pointer of {id:?} of {job:?} was durable");
            (before, format!("{at}: {what}"))
        })
    }

    fn told(&mut self, at: Moment, attempt: ExecutionAttemptId, id: CheckpointId) -> Check {
        let taken = self.taken.entry(attempt).or_default();
        let took_part = taken.contains(&id);
        taken.retain(|newer| id.0 < newer.0);
        Check::that(took_part, || {
            let before = format!("{attempt:?} has taken no part in {id:?}");
            (before, format!("{at}: it is told that it is complete"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, VisibleAfterStored};

    fn confirmed(id: u64) -> TaskEvent {
        TaskEvent::CheckpointConfirmed { attempt: attempt(0, 1), checkpoint: CheckpointId(id) }
    }

    fn taken(id: u64) -> TaskEvent {
        TaskEvent::SnapshotTaken {
            attempt: attempt(0, 1),
            checkpoint: CheckpointId(id),
            inputs: vec![],
            outputs: vec![],
            kept: 0,
            ended: false,
        }
    }

    fn durable() -> History<VisibleAfterStored> {
        History::new()
            .holds(process(5, 1), stored(metadata(3)))
            .holds(process(0, 1), committed(1, vec![pointer(3)]))
    }

    #[test]
    fn what_is_durable_or_was_may_be_told() {
        durable()
            .holds(process(1, 1), completed(3))
            .holds(process(5, 1), stored(metadata(4)))
            .holds(process(0, 2), recovered(2, vec![pointer(4)]))
            .holds(process(3, 1), taken(3))
            .holds(process(3, 1), taken(4))
            .holds(process(3, 1), confirmed(3))
            .holds(process(3, 1), confirmed(4));
    }

    #[test]
    fn a_task_that_hears_of_what_it_had_no_part_in_is_refused() {
        durable().breaks(process(3, 1), confirmed(3));
        let others =
            TaskEvent::CheckpointConfirmed { attempt: attempt(0, 2), checkpoint: CheckpointId(3) };
        durable().holds(process(3, 1), taken(3)).breaks(process(3, 1), others);
    }

    #[test]
    fn a_word_too_early_is_refused() {
        durable().breaks(process(1, 1), completed(4));
        durable().holds(process(3, 1), taken(4)).breaks(process(3, 1), confirmed(4));
    }

    #[test]
    fn a_pointer_to_nothing_is_refused() {
        durable().breaks(process(0, 1), committed(2, vec![pointer(4)]));
        durable().breaks(process(0, 2), recovered(2, vec![pointer(3), pointer(4)]));
    }
}
