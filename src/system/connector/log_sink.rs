//! Writes to a topic, exactly once: one transaction from checkpoint to checkpoint, prepared at the
//! barrier and committed when the checkpoint is complete.
//!
//! The epoch of the attempt is the producer's generation, so an older attempt can write no more once
//! a newer one has begun. A new attempt first commits what its restored state names, then begins its
//! generation, which aborts whatever else earlier ones left.

use crate::system::{
    connector::SinkEvent,
    dataflow::{Data, Failure, OperatorContext, Result, Sink, Timestamp, Waits},
    ids::CheckpointId,
    sabotage,
    service::log::{Log, ProducerId, TransactionId},
};
use bytes::Bytes;
use futures::FutureExt;
use std::sync::Arc;

/// Records that wait to be written at most; also flushed at each barrier.
const BATCH_RECORDS: usize = 512;
/// Bytes of records that wait to be written at most, give or take one record.
const BATCH_BYTES: usize = 512 * 1024;

/// How a value becomes a record of a topic.
pub type Encode<T> = fn(&T) -> Result<Bytes>;

/// The sink. Subtask `s` writes to partition `s` of its topic.
pub struct LogSink<T> {
    topic: String,
    encode: Encode<T>,
    context: Option<OperatorContext>,
    /// The number of the open transaction.
    number: u64,
    /// Records of the open transaction that are written.
    written: u64,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    /// Prepared transactions, oldest first, with the checkpoints that cover them.
    pending: Vec<(CheckpointId, TransactionId)>,
}

impl<T> Clone for LogSink<T> {
    fn clone(&self) -> Self {
        LogSink {
            topic: self.topic.clone(),
            encode: self.encode,
            context: self.context.clone(),
            number: self.number,
            written: self.written,
            batch: self.batch.clone(),
            batch_bytes: self.batch_bytes,
            pending: self.pending.clone(),
        }
    }
}

impl<T: Data> LogSink<T> {
    /// One that writes each value to a topic as `postcard` encodes it: compact, and no text. What people or other
    /// programs read, [`encoding`](LogSink::encoding) writes.
    pub fn new(topic: &str) -> Self {
        LogSink::encoding(topic, |value| Ok(Bytes::from(postcard::to_allocvec(value)?)))
    }

    /// One that writes what `encode` makes of each value, such as a line of text.
    pub fn encoding(topic: &str, encode: Encode<T>) -> Self {
        LogSink {
            topic: topic.to_string(),
            encode,
            context: None,
            number: 1,
            written: 0,
            batch: Vec::new(),
            batch_bytes: 0,
            pending: Vec::new(),
        }
    }

    fn context(&self) -> Result<&OperatorContext> {
        self.context.as_ref().ok_or_else(|| Failure::new("the sink is not open"))
    }

    fn log(&self) -> Result<Arc<dyn Log>> {
        Ok(self.context()?.services.log.clone())
    }

    fn producer(context: &OperatorContext) -> ProducerId {
        let (job, uid, subtask) = (context.attempt.job, &context.uid, context.subtask);
        let producer = format!("{job}/{uid}-{subtask}");
        ProducerId { producer, generation: context.attempt.epoch }
    }

    fn transaction(&self) -> Result<TransactionId> {
        let ProducerId { producer, generation } = Self::producer(self.context()?);
        Ok(TransactionId { producer, generation, number: self.number })
    }

    async fn begin(&mut self, context: &OperatorContext, restored: Option<Bytes>) -> Result<()> {
        if let Some(kept) = restored {
            self.pending = postcard::from_bytes(&kept)?;
        }
        self.context = Some(context.clone());
        // The checkpoint is complete, or nothing would be restored from it.
        self.commit_through(CheckpointId(u64::MAX)).await?;
        let producer = Self::producer(self.context()?);
        Ok(self.log()?.init_producer_until_acknowledged(&producer).await?)
    }

    async fn write_batch(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let records = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let after = self.written + records.len() as u64;
        let (transaction, partition) = (self.transaction()?, self.context()?.subtask);
        let (log, topic) = (self.log()?, &self.topic);
        let write =
            log.write_until_acknowledged(&transaction, topic, partition, self.written, records);
        let next = write.await?;
        self.written = after;
        assert_eq!(next, self.written, "only this attempt writes to its transaction");
        Ok(())
    }

    async fn prepare(&mut self, checkpoint: CheckpointId) -> Result<Bytes> {
        self.write_batch().await?;
        if self.written > 0 {
            let transaction = self.transaction()?;
            self.log()?.prepare_until_acknowledged(&transaction).await?;
            let attempt = self.context()?.attempt;
            let prepared =
                SinkEvent::Prepared { attempt, checkpoint, transaction: transaction.clone() };
            self.log()?.host().announce(&prepared);
            self.pending.push((checkpoint, transaction));
            (self.number, self.written) = (self.number + 1, 0);
            if self.log()?.host().sabotaged(sabotage::SINK_COMMITS_AT_BARRIER) {
                self.commit_through(checkpoint).await?;
            }
        }
        Ok(Bytes::from(postcard::to_allocvec(&self.pending)?))
    }

    /// Commits what checkpoints up to this one cover, in order. Committing again is fine.
    async fn commit_through(&mut self, checkpoint: CheckpointId) -> Result<()> {
        while let Some((covered_by, transaction)) = self.pending.first()
            && *covered_by <= checkpoint
        {
            self.log()?.commit_until_acknowledged(transaction).await?;
            self.pending.remove(0);
        }
        Ok(())
    }
}

impl<T: Data> Sink<T> for LogSink<T> {
    fn write(&mut self, value: T, _: Option<Timestamp>) -> Result<()> {
        let record = (self.encode)(&value)?;
        self.batch_bytes += record.len();
        self.batch.push(record);
        Ok(())
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        self.begin(context, restored).boxed()
    }

    fn wants_flush(&self) -> bool {
        self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES
    }

    fn flush(&mut self) -> Waits<'_, ()> {
        self.write_batch().boxed()
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, Bytes> {
        self.prepare(checkpoint).boxed()
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.commit_through(checkpoint).boxed()
    }
}
