//! X7: what a job's group has committed was handled by a durable checkpoint of the job. Who goes on there misses
//! nothing that the job could still lose. Judged on the services' own logs; what a checkpoint has handled is the word of
//! the source.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        connector::SourceEvent,
        ids::{CheckpointId, JobId},
        service::log::{GroupOffset, LogEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Place = (String, String, u32);

/// Remembers what each checkpoint has handled, and which ones are durable.
#[derive(Default)]
pub struct GroupOffsetsFollowCheckpoints {
    taken: BTreeMap<Place, Vec<(JobId, CheckpointId, u64)>>,
    durable: BTreeSet<(JobId, CheckpointId)>,
}

impl ClusterInvariant for GroupOffsetsFollowCheckpoints {
    fn title(&self) -> &'static str {
        "X7 group-offsets-follow-checkpoints"
    }

    fn promise(&self) -> &'static str {
        "a group has committed just what a durable checkpoint of its job has handled"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Log, EventKind::Source]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Source(SourceEvent::OffsetsTaken {
                attempt,
                checkpoint,
                topic,
                next,
                group: Some(group),
            }) => {
                for (partition, offset) in next {
                    let place = (group.clone(), topic.clone(), *partition);
                    let taken = self.taken.entry(place).or_default();
                    taken.push((attempt.job, *checkpoint, *offset));
                }
                Check::Ignored
            }
            EventRef::Coordination(event) => {
                for moved in moved(event, model) {
                    if let (Kept::Stored(StoredPart::Pointer(id)), Some(_)) =
                        (moved.kept, moved.after)
                    {
                        self.durable.insert((moved.job, id));
                    }
                }
                Check::Ignored
            }
            EventRef::Log(LogEvent::OffsetsCommitted { offsets }) => {
                offsets.iter().fold(Check::Ignored, |check, of| check.and(self.committed(at, of)))
            }
            _ => Check::Ignored,
        }
    }
}

impl GroupOffsetsFollowCheckpoints {
    fn committed(&mut self, at: Moment, of: &GroupOffset) -> Check {
        let GroupOffset { group, topic, partition, offset } = of;
        let taken = self.taken.entry((group.clone(), topic.clone(), *partition)).or_default();
        let durable = taken.iter().any(|(job, checkpoint, handled)| {
            handled == offset && self.durable.contains(&(*job, *checkpoint))
        });
        taken.retain(|(_, _, handled)| handled > offset);
        Check::that(durable, || {
            let before = "no durable checkpoint has handled just so much".to_string();
            (before, format!("{at}: {group} has read {topic}/{partition} up to {offset}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, GroupOffset, GroupOffsetsFollowCheckpoints, SourceEvent};

    fn taken(checkpoint: u64, offsets: &[(u32, u64)]) -> SourceEvent {
        SourceEvent::OffsetsTaken {
            attempt: attempt(0, 1),
            checkpoint: CheckpointId(checkpoint),
            topic: "t".to_string(),
            next: offsets.to_vec(),
            group: Some("g".to_string()),
        }
    }

    fn told(offsets: &[(u32, u64)]) -> LogEvent {
        let of = |(partition, offset): &(u32, u64)| GroupOffset {
            group: "g".to_string(),
            topic: "t".to_string(),
            partition: *partition,
            offset: *offset,
        };
        LogEvent::OffsetsCommitted { offsets: offsets.iter().map(of).collect() }
    }

    /// Checkpoint 4 is durable, and 5 is not.
    fn history() -> History<GroupOffsetsFollowCheckpoints> {
        History::new()
            .holds(process(3, 1), taken(4, &[(0, 10), (1, 7)]))
            .holds(process(0, 1), committed(1, vec![pointer(4)]))
            .holds(process(3, 1), taken(5, &[(0, 12), (1, 7)]))
    }

    #[test]
    fn what_a_durable_checkpoint_has_handled_is_accepted() {
        history().holds(process(6, 1), told(&[(0, 10), (1, 7)]));
        history()
            .holds(process(0, 1), committed(2, vec![pointer(5)]))
            .holds(process(6, 1), told(&[(0, 12), (1, 7)]));
    }

    #[test]
    fn what_is_not_durable_yet_or_was_never_taken_is_refused() {
        history().breaks(process(6, 1), told(&[(0, 12)]));
        history().breaks(process(6, 1), told(&[(0, 11)]));
        history().breaks(process(6, 1), told(&[(2, 10)]));
    }
}
