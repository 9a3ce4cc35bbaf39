//! What one task has for one consumer: a queue that is bounded for the producer and drained by credit.

use super::limits::{SUBPARTITION_BUFFERS_MAX, SUBPARTITION_EVENTS_MAX};
use crate::system::{ids::ResultPartitionId, task_executor::TaskError};
use bytes::Bytes;
use futures::task::AtomicWaker;
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// What the subpartitions of one task tell it.
#[derive(Default)]
pub(super) struct ProducerSignal {
    waker: AtomicWaker,
    /// Subpartitions without room for a data buffer.
    full: AtomicUsize,
    /// Nothing waits for room: a known bug.
    unbounded: bool,
    gone: Mutex<Option<TaskError>>,
}

impl ProducerSignal {
    /// That of a task which puts more in than there is room for, or not.
    pub fn new(unbounded: bool) -> Self {
        ProducerSignal { unbounded, ..ProducerSignal::default() }
    }

    /// Whether no reader has gone away before its end.
    pub fn check(&self) -> Result<(), TaskError> {
        self.gone.lock().expect("no panic under this lock").clone().map_or(Ok(()), Err)
    }

    /// Waits until a reader has gone away before its end.
    pub async fn reader_gone(&self) -> TaskError {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            self.check().map_or_else(Poll::Ready, |()| Poll::Pending)
        })
        .await
    }

    /// Waits until every subpartition has room for a data buffer.
    pub async fn room_everywhere(&self) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.has_room_everywhere() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await
    }

    /// Whether every subpartition has room for a data buffer.
    pub fn has_room_everywhere(&self) -> bool {
        self.full.load(Ordering::Relaxed) == 0
    }
}

/// A buffer or event on its way.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    /// As [`wire`](super::wire) has it.
    pub frame: Bytes,
    pub is_event: bool,
    /// Whether it is the end of the partition.
    pub is_last: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    NotYet,
    Now,
    /// The reader took the last buffer, or went away before.
    Over,
}

struct State {
    queue: VecDeque<Queued>,
    events: usize,
    reading: Reading,
    released: bool,
    /// What the reader may still take.
    credit: u32,
    reader: Option<Waker>,
}

impl State {
    fn data(&self) -> usize {
        self.queue.len() - self.events
    }

    fn has_room(&self, event: bool) -> bool {
        if event {
            self.events < SUBPARTITION_EVENTS_MAX
        } else {
            self.data() < SUBPARTITION_BUFFERS_MAX
        }
    }
}

/// One part of a partition.
pub(super) struct Subpartition {
    partition: ResultPartitionId,
    index: u32,
    state: Mutex<State>,
    signal: Arc<ProducerSignal>,
}

impl Subpartition {
    pub fn new(partition: ResultPartitionId, index: u32, signal: Arc<ProducerSignal>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            events: 0,
            reading: Reading::NotYet,
            released: false,
            credit: 0,
            reader: None,
        };
        Subpartition { partition, index, state: Mutex::new(state), signal }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Whether a data buffer, or an event, may be pushed.
    pub fn has_room(&self, event: bool) -> bool {
        self.fits(&self.lock(), event)
    }

    fn fits(&self, state: &State, event: bool) -> bool {
        self.signal.unbounded || state.has_room(event)
    }

    /// Waits until a data buffer, or an event, may be pushed.
    pub async fn room(&self, event: bool) -> Result<(), TaskError> {
        poll_fn(|cx| {
            self.signal.waker.register(cx.waker());
            self.signal.check()?;
            if self.has_room(event) { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Puts a buffer in, for which there is room.
    pub fn push(&self, queued: Queued) {
        let waker = {
            let mut state = self.lock();
            assert!(self.fits(&state, queued.is_event), "a producer waits for room");
            let had_room = self.fits(&state, false);
            state.events += usize::from(queued.is_event);
            state.queue.push_back(queued);
            if had_room && !self.fits(&state, false) {
                self.signal.full.fetch_add(1, Ordering::Relaxed);
            }
            if state.credit > 0 { state.reader.take() } else { None }
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Which partition it is a part of.
    pub fn partition(&self) -> ResultPartitionId {
        self.partition
    }

    /// Lets a reader begin; false when there is or was one.
    pub fn begin_reading(&self, credit: u32) -> bool {
        let mut state = self.lock();
        if state.reading != Reading::NotYet || state.released {
            return false;
        }
        state.reading = Reading::Now;
        state.credit = credit;
        true
    }

    /// The reader is gone. Before the last buffer, that fails the producer.
    pub fn end_reading(&self) {
        let too_early = {
            let mut state = self.lock();
            let too_early = state.reading == Reading::Now;
            state.reading = Reading::Over;
            state.reader = None;
            too_early
        };
        if too_early {
            self.fail_producer();
        }
    }

    /// Grants more credit; `false` when it is more than anyone grants.
    pub fn add_credit(&self, credit: u32, most: u32) -> bool {
        let (waker, sound) = {
            let mut state = self.lock();
            let sum = state.credit.checked_add(credit).filter(|sum| *sum <= most);
            let waker = if state.queue.is_empty() { None } else { state.reader.take() };
            match sum {
                Some(sum) => {
                    state.credit = sum;
                    (waker, true)
                }
                None => (None, false),
            }
        };
        waker.into_iter().for_each(Waker::wake);
        sound
    }

    /// The next buffer, for one credit; `None` when the subpartition was released.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Queued>> {
        let mut state = self.lock();
        if state.released {
            return Poll::Ready(None);
        }
        assert!(state.reading == Reading::Now, "nothing is read behind the last buffer");
        if state.credit == 0 || state.queue.is_empty() {
            if !state.reader.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.reader = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let was_full = !self.fits(&state, false);
        let queued = state.queue.pop_front().expect("it is not empty");
        state.credit -= 1;
        state.events -= usize::from(queued.is_event);
        if queued.is_last {
            state.reading = Reading::Over;
        }
        let has_room = self.fits(&state, false);
        drop(state);
        if was_full && has_room {
            self.signal.full.fetch_sub(1, Ordering::Relaxed);
        }
        if queued.is_event || was_full {
            self.signal.waker.wake();
        }
        Poll::Ready(Some(queued))
    }

    /// Whether nobody will read on.
    pub fn is_read(&self) -> bool {
        self.lock().reading == Reading::Over
    }

    /// Whether its producer has nothing left to write.
    pub fn is_written(&self) -> bool {
        let state = self.lock();
        state.reading == Reading::Over || state.queue.back().is_some_and(|queued| queued.is_last)
    }

    /// Throws away what is queued and ends its reader; a producer that still writes fails.
    pub fn release(&self) {
        let (waker, queue) = {
            let mut state = self.lock();
            state.released = true;
            (state.reader.take(), std::mem::take(&mut state.queue))
        };
        waker.into_iter().for_each(Waker::wake);
        drop(queue);
        self.fail_producer();
    }

    fn fail_producer(&self) {
        let gone = TaskError::ReaderGone { partition: self.partition, subpartition: self.index };
        self.signal.gone.lock().expect("no panic under this lock").get_or_insert(gone);
        self.signal.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::partitions::{Refusal, ResultPartitionManager},
        *,
    };
    use crate::system::ids::{
        ExecutionAttemptId, ExecutionVertexId, IntermediateDataSetId, JobId, JobVertexId,
    };
    use futures::FutureExt;

    fn queued(is_event: bool, is_last: bool) -> Queued {
        Queued { frame: Bytes::new(), is_event, is_last }
    }

    /// A partition of one part, as its producer and its server have it.
    fn partition()
    -> (ResultPartitionId, Arc<ResultPartitionManager>, Arc<ProducerSignal>, Arc<Subpartition>)
    {
        let vertex = ExecutionVertexId { vertex: JobVertexId(0), subtask: 0 };
        let producer = ExecutionAttemptId { job: JobId(1), vertex, epoch: 1 };
        let id = ResultPartitionId { producer, data_set: IntermediateDataSetId(0) };
        let (partitions, signal) = (Arc::<ResultPartitionManager>::default(), Arc::default());
        let part = partitions.register(id, 1, &signal).unwrap().remove(0);
        (id, partitions, signal, part)
    }

    #[test]
    fn nothing_is_read_without_credit_and_each_buffer_takes_one() {
        let (id, partitions, _, part) = partition();
        let reader = partitions.read(id, 0, 0).unwrap();
        (0..3).for_each(|_| part.push(queued(false, false)));
        assert!(reader.next().now_or_never().is_none());
        assert!(reader.add_credit(2, 2));
        assert!(!reader.add_credit(1, 2), "more than anyone grants");
        assert!(reader.next().now_or_never().is_some());
        assert!(reader.next().now_or_never().is_some());
        assert!(reader.next().now_or_never().is_none());
    }

    #[test]
    fn data_waits_for_room_that_events_do_not_take() {
        let (id, partitions, signal, part) = partition();
        (0..SUBPARTITION_BUFFERS_MAX).for_each(|_| part.push(queued(false, false)));
        assert!(part.room(false).now_or_never().is_none());
        assert!(signal.room_everywhere().now_or_never().is_none());
        (0..SUBPARTITION_EVENTS_MAX).for_each(|_| {
            part.push(queued(true, false));
        });
        assert!(part.room(true).now_or_never().is_none());
        let reader = partitions.read(id, 0, 1).unwrap();
        assert!(reader.next().now_or_never().is_some());
        assert!(part.has_room(false) && part.room(true).now_or_never().is_none());
        assert!(reader.add_credit(1000, 1000));
        while reader.next().now_or_never().is_some() {}
        assert_eq!(part.room(false).now_or_never(), Some(Ok(())));
        assert!(signal.room_everywhere().now_or_never().is_some());
    }

    #[test]
    fn a_reader_that_leaves_early_is_reported_and_one_that_is_done_is_not() {
        let (id, partitions, signal, part) = partition();
        part.push(queued(true, true));
        let reader = partitions.read(id, 0, 1).unwrap();
        assert!(matches!(partitions.read(id, 0, 1), Err(Refusal::Refused)));
        assert!(reader.next().now_or_never().is_some());
        drop(reader);
        assert_eq!(signal.check(), Ok(()));
        assert!(matches!(partitions.read(id, 0, 1), Err(Refusal::NotFound)), "read to its end");

        let (id, partitions, signal, part) = partition();
        drop(partitions.read(id, 0, 1).unwrap());
        assert!(signal.check().is_err());
        assert!(matches!(part.room(false).now_or_never(), Some(Err(_))));
    }

    #[test]
    fn a_release_ends_the_reader_and_a_producer_that_still_writes() {
        let (id, partitions, signal, part) = partition();
        part.push(queued(false, false));
        let reader = partitions.read(id, 0, 1).unwrap();
        partitions.release(|_| true);
        assert!(matches!(reader.next().now_or_never(), Some(None)));
        assert!(signal.check().is_err());
    }
}
