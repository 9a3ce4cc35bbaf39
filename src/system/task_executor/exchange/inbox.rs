//! What a task has received and not yet handled, channel by channel, within the credit that it lent.

use super::{
    error::ChannelError,
    limits::CHANNEL_CREDIT,
    wire::{Buffer, Content, Event, Response},
};
use crate::system::{
    graph::{InputChannelDeployment, InputGateDeployment},
    ids::ResultPartitionId,
    task_executor::{TaskError, event::ChannelCount},
};
use bytes::Bytes;
use futures::task::AtomicWaker;
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
};

/// Credit is lent again when so much has come together, to save messages.
const CREDIT_LENT_AT_ONCE: u32 = CHANNEL_CREDIT / 2;

struct Channel {
    partition: ResultPartitionId,
    subpartition: u32,
    queue: VecDeque<Buffer>,
    expected_sequence: u64,
    /// Lent and not yet used by a received buffer.
    lent: u32,
    /// Handled and not yet lent again.
    unannounced: u32,
    connected: bool,
    /// The end of the data was received.
    data_received: bool,
    /// The end of the partition was received.
    received: bool,
    /// Records that the task has taken.
    consumed: u64,
    credit_waker: Arc<AtomicWaker>,
}

struct Channels {
    channels: Vec<Channel>,
    /// The channel whose turn is next.
    turn: usize,
    unconnected: usize,
}

/// The channels of one task, over all its gates.
pub(in crate::system::task_executor) struct Inbox {
    channels: Mutex<Channels>,
    /// How many are of the first gate; they come first.
    first_gate: usize,
    /// A buffer overtakes the one before it: a known bug.
    overtakes: bool,
    waker: AtomicWaker,
}

impl Inbox {
    pub fn new(inputs: &[InputGateDeployment], overtakes: bool) -> Self {
        let channel = |deployment: &InputChannelDeployment| Channel {
            partition: deployment.partition,
            subpartition: deployment.subpartition,
            queue: VecDeque::new(),
            expected_sequence: 0,
            lent: CHANNEL_CREDIT,
            unannounced: 0,
            connected: false,
            data_received: false,
            received: false,
            consumed: 0,
            credit_waker: Arc::default(),
        };
        let channels: Vec<_> = inputs.iter().flat_map(|gate| &gate.channels).map(channel).collect();
        let unconnected = channels.len();
        let channels = Mutex::new(Channels { channels, turn: 0, unconnected });
        let first_gate = inputs.first().map_or(0, |gate| gate.channels.len());
        Inbox { channels, first_gate, overtakes, waker: AtomicWaker::new() }
    }

    /// The number of channels of the first gate.
    pub fn first_gate(&self) -> usize {
        self.first_gate
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().expect("no panic under this lock")
    }

    /// The number of channels.
    pub fn len(&self) -> usize {
        self.lock().channels.len()
    }

    /// What a channel reads.
    pub fn id(&self, channel: usize) -> (ResultPartitionId, u32) {
        let channel = &self.lock().channels[channel];
        (channel.partition, channel.subpartition)
    }

    /// The channel's request was granted.
    pub fn connected(&self, channel: usize) {
        let mut channels = self.lock();
        assert!(!channels.channels[channel].connected, "granted once");
        channels.channels[channel].connected = true;
        channels.unconnected -= 1;
        drop(channels);
        self.waker.wake();
    }

    /// Waits until every channel's request was granted.
    pub async fn all_connected(&self) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.lock().unconnected == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes in a frame without its length; whether it is the last of its channel.
    pub fn receive(&self, channel: usize, frame: Bytes) -> Result<bool, ChannelError> {
        let Response::Buffer(buffer) = Response::decode(frame)? else {
            return Err(ChannelError::OutOfTurn);
        };
        let mut channels = self.lock();
        let channel = &mut channels.channels[channel];
        let (expected, found) = (channel.expected_sequence, buffer.sequence);
        if expected != found {
            return Err(ChannelError::SequenceGap { expected, found });
        }
        let is_data = matches!(buffer.content, Content::Records { .. });
        if channel.received || channel.data_received && is_data {
            return Err(ChannelError::OutOfTurn);
        }
        channel.lent = channel.lent.checked_sub(1).ok_or(ChannelError::CreditExceeded)?;
        channel.expected_sequence += 1;
        match buffer.content {
            Content::Event(Event::EndOfData) => channel.data_received = true,
            Content::Event(Event::EndOfPartition) => channel.received = true,
            _ => {}
        }
        let last = channel.received;
        let is_records = |buffer: &Buffer| matches!(buffer.content, Content::Records { .. });
        let overtakes =
            self.overtakes && is_records(&buffer) && channel.queue.back().is_some_and(is_records);
        let place = channel.queue.len() - usize::from(overtakes);
        channel.queue.insert(place, buffer);
        let held = channel.queue.len() + (channel.lent + channel.unannounced) as usize;
        assert!(held <= CHANNEL_CREDIT as usize, "the queue is bounded by the credit");
        drop(channels);
        self.waker.wake();
        Ok(last)
    }

    /// Waits for a buffer of a channel that is not `blocked`; channels take turns.
    ///
    /// `blocked` is asked only of channels that have something.
    pub async fn next(&self, mut blocked: impl FnMut(usize) -> bool) -> (usize, Buffer) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            let mut channels = self.lock();
            let count = channels.channels.len();
            for offset in 0..count {
                let place = (channels.turn + offset) % count;
                if channels.channels[place].queue.is_empty() || blocked(place) {
                    continue;
                }
                channels.turn = place + 1;
                let buffer = channels.channels[place].queue.pop_front();
                return Poll::Ready((place, buffer.expect("it is not empty")));
            }
            Poll::Pending
        })
        .await
    }

    /// Whether there is a buffer of a channel that is not `blocked`.
    pub fn has_next(&self, mut blocked: impl FnMut(usize) -> bool) -> bool {
        let channels = self.lock();
        let mut channels = channels.channels.iter().enumerate();
        channels.any(|(place, channel)| !channel.queue.is_empty() && !blocked(place))
    }

    /// Waits for a barrier, or its cancellation, that is the next of a channel which is not `blocked`.
    pub async fn next_barrier(&self, mut blocked: impl FnMut(usize) -> bool) -> (usize, Buffer) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            let mut channels = self.lock();
            let found = channels.channels.iter().enumerate().position(|(place, channel)| {
                let is_barrier = |buffer: &Buffer| {
                    let event = &buffer.content;
                    matches!(event, Content::Event(Event::Barrier(_) | Event::CancelBarrier(_)))
                };
                channel.queue.front().is_some_and(is_barrier) && !blocked(place)
            });
            match found {
                None => Poll::Pending,
                Some(place) => {
                    let buffer = channels.channels[place].queue.pop_front();
                    Poll::Ready((place, buffer.expect("it was just looked at")))
                }
            }
        })
        .await
    }

    /// The task has handled a buffer with so many records: its credit is lent anew.
    pub fn handled(&self, channel: usize) {
        let mut channels = self.lock();
        let channel = &mut channels.channels[channel];
        channel.unannounced += 1;
        if channel.unannounced >= CREDIT_LENT_AT_ONCE {
            channel.credit_waker.wake();
        }
    }

    /// The task has taken so many records from the channel.
    pub fn count(&self, channel: usize, records: u32) {
        self.lock().channels[channel].consumed += u64::from(records);
    }

    /// Waits for credit that is to be lent to the producer.
    pub async fn credit(&self, channel: usize) -> u32 {
        let waker = self.lock().channels[channel].credit_waker.clone();
        poll_fn(|cx| {
            waker.register(cx.waker());
            let mut channels = self.lock();
            let channel = &mut channels.channels[channel];
            if channel.unannounced < CREDIT_LENT_AT_ONCE {
                return Poll::Pending;
            }
            let credit = std::mem::take(&mut channel.unannounced);
            channel.lent += credit;
            Poll::Ready(credit)
        })
        .await
    }

    /// Records consumed from each channel.
    pub fn counts(&self) -> Vec<ChannelCount> {
        let channels = self.lock();
        let counts = channels.channels.iter();
        counts.map(|channel| (channel.partition, channel.subpartition, channel.consumed)).collect()
    }

    /// The failure of a channel, as the task reports it.
    pub fn error(&self, channel: usize, reason: ChannelError) -> TaskError {
        let (partition, subpartition) = self.id(channel);
        TaskError::Input { partition, subpartition, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::NodeAddress,
        system::ids::{
            ExecutionAttemptId, ExecutionVertexId, IntermediateDataSetId, JobId, JobVertexId,
        },
    };
    use futures::FutureExt;

    fn inbox(channels: u32) -> Inbox {
        let vertex = ExecutionVertexId { vertex: JobVertexId(0), subtask: 0 };
        let producer = ExecutionAttemptId { job: JobId(1), vertex, epoch: 1 };
        let data_set = IntermediateDataSetId(0);
        let channel = |subpartition| InputChannelDeployment {
            partition: ResultPartitionId { producer, data_set },
            subpartition,
            location: NodeAddress::new("a", 1),
        };
        let channels = (0..channels).map(channel).collect();
        Inbox::new(&[InputGateDeployment { data_set, channels }], false)
    }

    fn marker(sequence: u64) -> Bytes {
        Event::CancelBarrier(crate::system::ids::CheckpointId(1)).encode(sequence).0.slice(4..)
    }

    fn turns(inbox: &Inbox, blocked: usize) -> Vec<usize> {
        let next = || inbox.next(|channel| channel == blocked).now_or_never();
        std::iter::from_fn(next).map(|(channel, _)| channel).collect()
    }

    #[test]
    fn channels_take_turns_and_a_blocked_one_keeps_what_it_has() {
        let inbox = inbox(3);
        for channel in 0..3 {
            (0..3).for_each(|sequence| {
                assert_eq!(inbox.receive(channel, marker(sequence)), Ok(false));
            });
        }
        assert_eq!(turns(&inbox, 1), [0, 2, 0, 2, 0, 2]);
        assert_eq!(turns(&inbox, 3), [1, 1, 1]);
    }

    #[test]
    fn credit_is_lent_anew_only_for_what_was_handled() {
        let inbox = inbox(1);
        let credit = u64::from(CHANNEL_CREDIT);
        (0..credit).for_each(|sequence| {
            assert_eq!(inbox.receive(0, marker(sequence)), Ok(false));
        });
        assert_eq!(inbox.receive(0, marker(credit)), Err(ChannelError::CreditExceeded));
        assert_eq!(turns(&inbox, 1).len(), CHANNEL_CREDIT as usize);
        assert_eq!(inbox.credit(0).now_or_never(), None, "taken is not handled");
        (0..CREDIT_LENT_AT_ONCE).for_each(|_| inbox.handled(0));
        assert_eq!(inbox.credit(0).now_or_never(), Some(CREDIT_LENT_AT_ONCE));
        assert_eq!(inbox.receive(0, marker(credit)), Ok(false));
    }
}
