//! X1: over each channel the consumer takes what the producer sent, in order, without gap, repeat or
//! change. Judged on what both tasks say of each buffer, as long as their epoch is the newest.

use super::{Check, ClusterInvariant, channels::Channels};
use crate::{
    harness::event::Moment,
    system::task_executor::TaskEvent,
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::VecDeque;

#[derive(Default)]
struct Channel {
    sent: u64,
    received: u64,
    /// Records and hash of what is on its way.
    under_way: VecDeque<(u32, u64)>,
}

/// Remembers what is on its way over each channel.
#[derive(Default)]
pub struct ChannelFifo {
    channels: Channels<Channel>,
}

impl ClusterInvariant for ChannelFifo {
    fn title(&self) -> &'static str {
        "X1 channel-fifo"
    }

    fn promise(&self) -> &'static str {
        "a channel's consumer takes each buffer that was sent once, in order, unchanged"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Task, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Task(TaskEvent::BufferSent {
                partition,
                subpartition,
                sequence,
                records,
                hash,
            }) => {
                let Some(channel) = self.channels.of(*partition, *subpartition) else {
                    return Check::Ignored;
                };
                let due = channel.sent;
                channel.sent += 1;
                channel.under_way.push_back((*records, *hash));
                Check::that(due == *sequence, || {
                    let before = format!("{due} is due on {partition:?}.{subpartition}");
                    (before, format!("{at}: buffer {sequence} is sent"))
                })
            }
            EventRef::Task(TaskEvent::BufferReceived {
                partition,
                subpartition,
                sequence,
                records,
                hash,
            }) => {
                let Some(channel) = self.channels.of(*partition, *subpartition) else {
                    return Check::Ignored;
                };
                let due = channel.received;
                channel.received += 1;
                let sent = channel.under_way.pop_front();
                Check::that(due == *sequence && sent == Some((*records, *hash)), || {
                    let before = format!("{due} is due on {partition:?}.{subpartition}: {sent:?}");
                    (before, format!("{at}: buffer {sequence} is taken: {:?}", (records, hash)))
                })
            }
            EventRef::Job(event) => {
                self.channels.observe(event);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ChannelFifo};

    fn sent(epoch: u64, sequence: u64) -> TaskEvent {
        let (records, hash) = (2, 100 + sequence);
        let (partition, subpartition) = (partition(0, epoch), 0);
        TaskEvent::BufferSent { partition, subpartition, sequence, records, hash }
    }

    fn received(epoch: u64, sequence: u64, hash: u64) -> TaskEvent {
        let (partition, subpartition, records) = (partition(0, epoch), 0, 2);
        TaskEvent::BufferReceived { partition, subpartition, sequence, records, hash }
    }

    fn two() -> History<ChannelFifo> {
        History::new().holds(process(3, 1), sent(1, 0)).holds(process(3, 1), sent(1, 1))
    }

    #[test]
    fn what_was_sent_is_accepted_in_order() {
        two()
            .holds(process(4, 1), received(1, 0, 100))
            .holds(process(3, 1), sent(1, 2))
            .holds(process(4, 1), received(1, 1, 101))
            .holds(process(4, 1), received(1, 2, 102));
    }

    #[test]
    fn what_is_of_an_older_epoch_is_not_judged() {
        two()
            .holds(process(1, 1), scheduled(1, 2, None))
            .holds(process(4, 1), received(1, 7, 0))
            .holds(process(3, 1), sent(2, 0));
    }

    #[test]
    fn a_gap_a_repeat_a_change_and_what_was_not_sent_are_refused() {
        two().breaks(process(4, 1), received(1, 1, 101));
        two().holds(process(4, 1), received(1, 0, 100)).breaks(process(4, 1), received(1, 0, 100));
        two().breaks(process(4, 1), received(1, 0, 101));
        two().breaks(process(4, 1), received(2, 0, 100));
    }

    #[test]
    fn sending_out_of_order_is_refused() {
        two().breaks(process(3, 1), sent(1, 1));
        two().breaks(process(3, 1), sent(1, 3));
    }
}
