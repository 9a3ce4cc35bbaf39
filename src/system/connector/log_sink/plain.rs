//! Writes to a topic at once, at least once: what was written since the last checkpoint comes again after a failure.

use super::records::{Encode, Records, ToPartition};
use crate::system::{
    dataflow::{Data, Failure, OperatorContext, Result, Sink, Timestamp, Waits},
    ids::CheckpointId,
    sabotage,
};
use bytes::Bytes;
use futures::FutureExt;
use std::collections::BTreeMap;

/// The sink. Records are visible as soon as they are written, which is when no more come at once, and before each
/// barrier. Subtask `s` writes to partition `s` of its topic, unless values [choose](PlainLogSink::to_partitions).
pub struct PlainLogSink<T> {
    topic: String,
    records: Records<T>,
    context: Option<OperatorContext>,
    /// What this attempt has written, by partition.
    written: BTreeMap<u32, u64>,
}

impl<T> Clone for PlainLogSink<T> {
    fn clone(&self) -> Self {
        PlainLogSink {
            topic: self.topic.clone(),
            records: self.records.clone(),
            context: self.context.clone(),
            written: self.written.clone(),
        }
    }
}

impl<T: Data> PlainLogSink<T> {
    /// One that writes what `encode` makes of each value.
    pub fn encoding(topic: &str, encode: Encode<T>) -> Self {
        PlainLogSink {
            topic: topic.to_string(),
            records: Records::new(encode),
            context: None,
            written: BTreeMap::new(),
        }
    }

    /// The same, in which each value says to which partition it goes. A partition that is not there fails the task.
    #[must_use]
    pub fn to_partitions(mut self, to_partition: ToPartition<T>) -> Self {
        self.records.to_partition = Some(to_partition);
        self
    }

    async fn write_gathered(&mut self) -> Result<()> {
        let gathered = self.records.take();
        if gathered.is_empty() {
            return Ok(());
        }
        let context = self.context.clone().ok_or_else(|| Failure::new("the sink is not open"))?;
        let OperatorContext { host, attempt, uid, subtask, services, .. } = context;
        // An attempt of its own each: what an older one still sends takes nothing of a newer one's numbers.
        let producer = format!("{}/{uid}-{subtask}#{}", attempt.job, attempt.epoch);
        for (partition, records) in gathered {
            let written = self.written.entry(partition).or_default();
            let after = *written + records.len() as u64;
            if host.sabotaged(sabotage::RESPONSES_NOT_AWAITED) {
                let (log, topic, producer) =
                    (services.log.clone(), self.topic.clone(), producer.clone());
                let first = std::mem::replace(written, after);
                host.spawn(async move {
                    drop(log.append(&topic, partition, &producer, first, records).await);
                });
                continue;
            }
            let next = services
                .log
                .append_until_acknowledged(&self.topic, partition, &producer, *written, records)
                .await?;
            assert_eq!(next, after, "only this attempt writes as its producer");
            *written = after;
        }
        Ok(())
    }
}

impl<T: Data> Sink<T> for PlainLogSink<T> {
    fn write(&mut self, value: T, _: Option<Timestamp>) -> Result<()> {
        let subtask = self.context.as_ref().map_or(0, |context| context.subtask);
        self.records.add(&value, subtask)
    }

    fn open<'a>(&'a mut self, context: &'a OperatorContext, _: Option<Bytes>) -> Waits<'a, ()> {
        self.context = Some(context.clone());
        self.written.clear();
        async { Ok(()) }.boxed()
    }

    fn is_full(&self) -> bool {
        self.records.is_full()
    }

    fn wants_flush(&self) -> bool {
        !self.records.is_empty()
    }

    fn flush(&mut self) -> Waits<'_, ()> {
        self.write_gathered().boxed()
    }

    fn snapshot(&mut self, _: CheckpointId) -> Waits<'_, Bytes> {
        async { self.write_gathered().await.map(|()| Bytes::new()) }.boxed()
    }
}
