//! X2: what was sent over a channel and not yet taken is bounded. Of buffers with records at most
//! `SUBPARTITION_BUFFERS_MAX` wait in the subpartition and `CHANNEL_CREDIT` are with the consumer; of
//! events at most `SUBPARTITION_EVENTS_MAX` wait, and the credit is shared by both.

use super::{Check, ClusterInvariant, channels::Channels};
use crate::{
    harness::event::Moment,
    system::task_executor::{
        CHANNEL_CREDIT, SUBPARTITION_BUFFERS_MAX, SUBPARTITION_EVENTS_MAX, TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};

const CREDIT: u64 = CHANNEL_CREDIT as u64;
const DATA_MAX: u64 = SUBPARTITION_BUFFERS_MAX as u64 + CREDIT;
const EVENTS_MAX: u64 = SUBPARTITION_EVENTS_MAX as u64 + CREDIT;
const ALL_MAX: u64 = SUBPARTITION_BUFFERS_MAX as u64 + SUBPARTITION_EVENTS_MAX as u64 + CREDIT;

/// What was sent and not taken.
#[derive(Default)]
struct UnderWay {
    data: u64,
    events: u64,
}

/// Counts what is on its way over each channel.
#[derive(Default)]
pub struct BoundedChannel {
    channels: Channels<UnderWay>,
}

impl ClusterInvariant for BoundedChannel {
    fn title(&self) -> &'static str {
        "X2 bounded-channel"
    }

    fn promise(&self) -> &'static str {
        "no more is on its way over a channel than its queue and its credit hold"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Task, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Task(TaskEvent::BufferSent { partition, subpartition, records, .. }) => {
                let Some(channel) = self.channels.of(*partition, *subpartition) else {
                    return Check::Ignored;
                };
                match records {
                    0 => channel.events += 1,
                    _ => channel.data += 1,
                }
                let UnderWay { data, events } = *channel;
                let fits = data <= DATA_MAX && events <= EVENTS_MAX && data + events <= ALL_MAX;
                Check::that(fits, || {
                    let most = format!("at most {DATA_MAX} buffers and {EVENTS_MAX} events");
                    (
                        format!("{most}, together {ALL_MAX}, are on their way"),
                        format!("{at}: {data} and {events} are on {partition:?}.{subpartition}"),
                    )
                })
            }
            EventRef::Task(TaskEvent::BufferReceived {
                partition, subpartition, records, ..
            }) => {
                if let Some(channel) = self.channels.of(*partition, *subpartition) {
                    let kind = if *records == 0 { &mut channel.events } else { &mut channel.data };
                    *kind = kind.saturating_sub(1);
                }
                Check::Ignored
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
    use super::{super::testing_jobs::*, *};

    fn sent(records: u32) -> TaskEvent {
        let (partition, subpartition, sequence, hash) = (partition(0, 1), 0, 0, 0);
        TaskEvent::BufferSent { partition, subpartition, sequence, records, hash }
    }

    fn received(records: u32) -> TaskEvent {
        let (partition, subpartition, sequence, hash) = (partition(0, 1), 0, 0, 0);
        TaskEvent::BufferReceived { partition, subpartition, sequence, records, hash }
    }

    fn after(times: u64, records: u32) -> History<BoundedChannel> {
        let send = |history: History<_>, _| history.holds(process(3, 1), sent(records));
        (0..times).fold(History::new(), send)
    }

    #[test]
    fn what_queue_and_credit_hold_is_accepted() {
        after(8, 5).holds(process(4, 1), received(5)).holds(process(3, 1), sent(5));
        after(4, 5).holds(process(3, 1), sent(0));
    }

    #[test]
    fn one_buffer_or_event_more_is_refused() {
        after(DATA_MAX, 5).breaks(process(3, 1), sent(5));
        after(EVENTS_MAX, 0).breaks(process(3, 1), sent(0));
    }

    #[test]
    fn the_credit_is_lent_once() {
        let data = |history: History<_>, _| history.holds(process(3, 1), sent(5));
        let full = (0..4).fold(after(EVENTS_MAX, 0), data);
        full.breaks(process(3, 1), sent(5));
    }
}
