//! Writes requests to their topic, in batches, each once.

use super::{
    FrontEndConfig,
    event::Ending,
    in_flight::{InFlight, Outcome},
};
use crate::{
    host::name_hash,
    system::{
        sabotage,
        service::log::{Log, LogRefusal, RECORD_BYTES_AROUND, WRITE_BYTES_MAX},
    },
};
use bytes::Bytes;
use futures::task::AtomicWaker;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
};

/// Requests of one write at most.
const BATCH_RECORDS: usize = 512;

/// What is to be written to one partition: by number, and so in the order in which it was accepted.
#[derive(Default)]
struct Queue {
    records: Mutex<BTreeMap<u64, Bytes>>,
    waker: AtomicWaker,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Bytes>> {
        self.records.lock().expect("no panic under this lock")
    }

    /// The next ones, as many as fit in one write and `most`; they are in the queue no longer.
    async fn take(&self, most: usize) -> Vec<(u64, Bytes)> {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            let mut records = self.lock();
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(first) = records.first_entry() {
                bytes += first.get().len() + RECORD_BYTES_AROUND;
                if batch.len() == most || !batch.is_empty() && bytes > WRITE_BYTES_MAX {
                    break;
                }
                batch.push(first.remove_entry());
            }
            if batch.is_empty() { Poll::Pending } else { Poll::Ready(batch) }
        })
        .await
    }
}

/// The queues of all partitions of the request topic.
pub(super) struct RequestWriters {
    queues: Vec<Queue>,
    producer: String,
}

impl RequestWriters {
    /// Nothing is to be written.
    pub fn new(config: &FrontEndConfig, incarnation: u64, partitions: usize) -> Self {
        let producer = format!("front-end-{}-{incarnation:016x}", config.slot);
        RequestWriters { queues: (0..partitions).map(|_| Queue::default()).collect(), producer }
    }

    /// Where the requests of a path go.
    pub fn partition(&self, path: &str) -> usize {
        let partitions = self.queues.len() as u64;
        usize::try_from(name_hash(path) % partitions).expect("few partitions")
    }

    /// Lets a request be written.
    pub fn write(&self, partition: usize, number: u64, record: Bytes) {
        let queue = &self.queues[partition];
        queue.lock().insert(number, record);
        queue.waker.wake();
    }

    /// A request that is not being written yet needs not be.
    pub fn forget(&self, partition: usize, number: u64) {
        self.queues[partition].lock().remove(&number);
    }

    /// Writes what is to be written to a partition, for as long as it is polled.
    pub async fn run(&self, in_flight: &InFlight, log: &Arc<dyn Log>, partition: usize) {
        let queue = &self.queues[partition];
        let number = u32::try_from(partition).expect("few partitions");
        let (mut life, mut written, mut most) = (0, 0, BATCH_RECORDS);
        loop {
            let batch = queue.take(most).await;
            let records: Vec<Bytes> = batch.iter().map(|(_, record)| record.clone()).collect();
            let topic = &in_flight.config.requests;
            let producer = |life| format!("{}-{life}", self.producer);
            if in_flight.host.sabotaged(sabotage::REQUESTS_WRITTEN_AGAIN) {
                let of = producer(life);
                match log.append(topic, number, &of, written, records.clone()).await {
                    Ok(next) => {
                        written = next;
                        continue;
                    }
                    Err(_) => (life, written) = (life + 1, 0),
                }
            }
            let (of, after) = (producer(life), written + records.len() as u64);
            let append = log.append_until_acknowledged(topic, number, &of, written, records).await;
            match append {
                Ok(next) => {
                    assert_eq!(next, after, "nobody else writes as this one");
                    written = after;
                    most = BATCH_RECORDS.min(2 * most);
                }
                Err(refusal) => {
                    for (number, _) in &batch {
                        refuse(in_flight, *number, &refusal);
                    }
                    // There may be room for one where there is none for all.
                    most = 1;
                    // An earlier try may come yet: its numbers are never given to others.
                    (life, written) = (life + 1, 0);
                }
            }
        }
    }
}

/// The log refuses it. Only an earlier try without an answer may come yet.
fn refuse(in_flight: &InFlight, number: u64, refusal: &LogRefusal) {
    if let Some(waits) = in_flight.end(in_flight.id(number), Ending::Refused) {
        // Its connection may have ended since.
        let _ = waits.send(Outcome::Refused(refusal.clone()));
    }
}
