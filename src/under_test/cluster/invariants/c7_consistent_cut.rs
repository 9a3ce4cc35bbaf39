//! C7: a checkpoint is a consistent cut: over each channel the records that the consumer had taken when
//! its state was taken are those that the producer had emitted when its own was. Judged on what both
//! tasks say; either may speak first. An ended producer takes no part, and its channel is not judged.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        ids::{CheckpointId, JobId, ResultPartitionId},
        job_manager::JobEvent,
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Producer,
    Consumer,
}

type Channel = (ResultPartitionId, u32);
/// Which side of a channel spoke first, how many records it counts, and when.
type Word = (Side, u64, Moment);

/// By job and checkpoint: what one side of each channel said.
#[derive(Default)]
pub struct ConsistentCut {
    said: BTreeMap<(JobId, CheckpointId), BTreeMap<Channel, Word>>,
}

impl ClusterInvariant for ConsistentCut {
    fn title(&self) -> &'static str {
        "C7 consistent-cut"
    }

    fn promise(&self) -> &'static str {
        "in a checkpoint a channel's consumer has taken just what its producer had emitted"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Task, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Task(TaskEvent::SnapshotTaken {
                attempt,
                checkpoint,
                inputs,
                outputs,
                ..
            }) => {
                let of = (attempt.job, *checkpoint);
                let foreign = inputs.iter().find(|(partition, _, _)| {
                    (partition.producer.job, partition.producer.epoch)
                        != (attempt.job, attempt.epoch)
                });
                let mut check = Check::that(foreign.is_none(), || {
                    (format!("{attempt:?} reads {foreign:?}"), format!("{at}: {checkpoint:?}"))
                });
                let inputs = inputs.iter().map(|count| (Side::Consumer, count));
                let outputs = outputs.iter().map(|count| (Side::Producer, count));
                for (side, (partition, subpartition, count)) in inputs.chain(outputs) {
                    let channel = (*partition, *subpartition);
                    check = check.and(self.say(at, of, channel, side, *count));
                }
                check
            }
            // Both sides have spoken of what is complete, and of what is older nobody will.
            EventRef::Job(JobEvent::CheckpointCompleted { job, checkpoint, .. }) => {
                self.said.retain(|(of, id), _| of != job || id.0 > checkpoint.0);
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointAborted { job, checkpoint, .. }) => {
                self.said.remove(&(*job, *checkpoint));
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl ConsistentCut {
    fn say(
        &mut self,
        at: Moment,
        of: (JobId, CheckpointId),
        channel: Channel,
        side: Side,
        count: u64,
    ) -> Check {
        let said = self.said.entry(of).or_default();
        let Some((other, before, since)) = said.get(&channel).copied() else {
            said.insert(channel, (side, count, at));
            return Check::Passed;
        };
        let now = || format!("{at}: at {:?} the {side:?} of {channel:?} says {count}", of.1);
        Check::that(other != side && before == count, || {
            (format!("{since}: its {other:?} said {before}"), now())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ConsistentCut};

    fn snapshot(vertex: u32, epoch: u64, consumed: &[u64], emitted: &[u64]) -> TaskEvent {
        let counts = |partition, counts: &[u64]| {
            (0..).zip(counts).map(|(part, count)| (partition, part, *count)).collect()
        };
        TaskEvent::SnapshotTaken {
            attempt: attempt(vertex, epoch),
            checkpoint: CheckpointId(3),
            inputs: counts(partition(vertex.saturating_sub(1), 1), consumed),
            outputs: counts(partition(vertex, epoch), emitted),
            kept: 0,
            ended: false,
        }
    }

    fn source() -> History<ConsistentCut> {
        History::new().holds(process(3, 1), snapshot(0, 1, &[], &[5, 6]))
    }

    #[test]
    fn the_same_counts_are_accepted_whoever_speaks_first() {
        source().holds(process(4, 1), snapshot(1, 1, &[5], &[2]));
        History::<ConsistentCut>::new()
            .holds(process(4, 1), snapshot(1, 1, &[5, 6], &[2]))
            .holds(process(3, 1), snapshot(0, 1, &[], &[5, 6]))
            .holds(process(1, 1), completed(3));
    }

    #[test]
    fn other_counts_are_refused_whoever_speaks_first() {
        source().breaks(process(4, 1), snapshot(1, 1, &[6], &[]));
        source().breaks(process(4, 1), snapshot(1, 1, &[4], &[]));
        History::<ConsistentCut>::new()
            .holds(process(4, 1), snapshot(1, 1, &[5, 7], &[2]))
            .breaks(process(3, 1), snapshot(0, 1, &[], &[5, 6]));
    }

    #[test]
    fn a_second_snapshot_of_one_side_is_refused() {
        source().breaks(process(3, 1), snapshot(0, 1, &[], &[5, 6]));
    }

    #[test]
    fn reading_of_another_epoch_is_refused() {
        source().breaks(process(4, 1), snapshot(1, 2, &[5], &[]));
    }
}
