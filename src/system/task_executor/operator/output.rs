//! Where an operator puts its records.

use super::{error::TaskError, record::Record};
use crate::system::task_executor::RECORD_BYTES_MAX;
use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::{Poll, Waker},
};

/// Bytes of records that wait between two operators of a chain before `emit` waits.
const OUTPUT_BYTES_MAX: usize = 32 * 1024;

/// What one record counts for besides its bytes.
const RECORD_OVERHEAD_BYTES: usize = 32;

#[derive(Default)]
struct Emitted {
    records: Vec<Record>,
    bytes: usize,
    /// Waits for room.
    waker: Option<Waker>,
}

/// The records that wait between two operators. Emptied while the operator waits, not beside it.
#[derive(Clone, Default)]
pub(super) struct OutputQueue {
    emitted: Arc<Mutex<Emitted>>,
}

impl OutputQueue {
    fn lock(&self) -> MutexGuard<'_, Emitted> {
        self.emitted.lock().expect("no panic under this lock")
    }

    pub fn is_empty(&self) -> bool {
        self.lock().records.is_empty()
    }

    /// Empties it.
    pub fn take(&self) -> Vec<Record> {
        let (records, waker) = {
            let mut emitted = self.lock();
            emitted.bytes = 0;
            (std::mem::take(&mut emitted.records), emitted.waker.take())
        };
        waker.into_iter().for_each(Waker::wake);
        records
    }
}

/// Takes an operator's records on to the next operator or to other tasks.
pub struct Output {
    queue: OutputQueue,
}

impl Output {
    pub(super) fn new(queue: OutputQueue) -> Self {
        Output { queue }
    }

    /// Hands on a record; waits while those behind can't keep up.
    ///
    /// # Errors
    /// [`TaskError::RecordTooLong`] beyond [`RECORD_BYTES_MAX`].
    pub async fn emit(&mut self, record: Record) -> Result<(), TaskError> {
        if record.0.len() > RECORD_BYTES_MAX {
            return Err(TaskError::RecordTooLong(record.0.len()));
        }
        let mut record = Some(record);
        poll_fn(|cx| {
            let mut emitted = self.queue.lock();
            if emitted.bytes >= OUTPUT_BYTES_MAX {
                emitted.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if let Some(record) = record.take() {
                emitted.bytes += record.0.len() + RECORD_OVERHEAD_BYTES;
                emitted.records.push(record);
            }
            Poll::Ready(Ok(()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::FutureExt;

    #[test]
    fn emit_waits_while_the_queue_is_full_and_loses_nothing() {
        let queue = OutputQueue::default();
        let mut output = Output::new(queue.clone());
        let record = Record(Bytes::from(vec![7; 1000]));
        let mut fit = 0;
        while output.emit(record.clone()).now_or_never().is_some() {
            fit += 1;
        }
        assert!((30..40).contains(&fit), "{fit}");
        assert_eq!(queue.take().len(), fit);
        assert_eq!(output.emit(record).now_or_never(), Some(Ok(())));
        let long = Record(Bytes::from(vec![0; RECORD_BYTES_MAX + 1]));
        let refused = Err(TaskError::RecordTooLong(RECORD_BYTES_MAX + 1));
        assert_eq!(output.emit(long).now_or_never(), Some(refused));
    }
}
