//! Writes to a topic, exactly once: one transaction from checkpoint to checkpoint, prepared at the
//! barrier and committed when the checkpoint is complete.
//!
//! The epoch of the attempt is the producer's generation, so an older attempt can write no more once
//! a newer one has begun. A new attempt first commits what its restored state names, then begins its
//! generation, which aborts whatever else earlier ones left.

mod plain;
mod records;

pub use plain::PlainLogSink;
pub use records::{Encode, ToPartition};

use crate::system::{
    connector::SinkEvent,
    dataflow::{Data, Failure, OperatorContext, Result, Sink, Timestamp, Waits, split_lists},
    ids::CheckpointId,
    sabotage,
    service::log::{Log, LogRefusal, ProducerId, TransactionId},
};
use bytes::Bytes;
use futures::FutureExt;
use records::Records;
use std::{collections::BTreeMap, sync::Arc};

/// The sink. Subtask `s` writes to partition `s` of its topic, unless values [choose](LogSink::to_partitions).
pub struct LogSink<T> {
    topic: String,
    records: Records<T>,
    context: Option<OperatorContext>,
    /// The number of the open transaction.
    number: u64,
    /// Records of the open transaction that are written, by partition.
    written: BTreeMap<u32, u64>,
    /// Prepared transactions, oldest first, with the checkpoints that cover them.
    pending: Vec<(CheckpointId, TransactionId)>,
}

impl<T> Clone for LogSink<T> {
    fn clone(&self) -> Self {
        LogSink {
            topic: self.topic.clone(),
            records: self.records.clone(),
            context: self.context.clone(),
            number: self.number,
            written: self.written.clone(),
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
            records: Records::new(encode),
            context: None,
            number: 1,
            written: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// The same, in which each value says to which partition it goes. A partition that is not there fails the task.
    #[must_use]
    pub fn to_partitions(mut self, to_partition: ToPartition<T>) -> Self {
        self.records.to_partition = Some(to_partition);
        self
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
        if self.pending.len() > 1 && context.host.sabotaged(sabotage::ONE_TRANSACTION_RESTORED) {
            return Err(Failure::new("a transaction waits already"));
        }
        self.context = Some(context.clone());
        if context.savepoint.is_some() {
            self.leave_to_others().await?;
        }
        let producer = Self::producer(self.context()?);
        if !self.pending.is_empty() && context.host.sabotaged(sabotage::RESTORED_ABORTED_FIRST) {
            self.log()?.init_producer_until_acknowledged(&producer).await?;
        }
        if !self.pending.is_empty() {
            crate::reachable!(context.host, "transaction-of-another-attempt-committed");
        }
        // The checkpoint is complete, or nothing would be restored from it.
        self.commit_through(CheckpointId(u64::MAX)).await?;
        Ok(self.log()?.init_producer_until_acknowledged(&producer).await?)
    }

    /// Commits what the job of a savepoint had prepared, where that is this log's. A savepoint that was brought from
    /// elsewhere names transactions of another one, and its job commits them there.
    async fn leave_to_others(&mut self) -> Result<()> {
        for (_, transaction) in std::mem::take(&mut self.pending) {
            match self.log()?.commit_until_acknowledged(&transaction).await {
                Err(LogRefusal::Unknown) => {
                    let node = self.context()?.host.name();
                    tracing::warn!(
                        node,
                        ?transaction,
                        "the savepoint's transaction is not of this log"
                    );
                }
                committed => committed?,
            }
        }
        Ok(())
    }

    async fn write_batch(&mut self) -> Result<()> {
        let gathered = self.records.take();
        if gathered.is_empty() {
            return Ok(());
        }
        let (transaction, log) = (self.transaction()?, self.log()?);
        for (partition, records) in gathered {
            let written = self.written.entry(partition).or_default();
            let after = *written + records.len() as u64;
            let topic = &self.topic;
            let next = match log.host().sabotaged(sabotage::SEND_ERROR_CLEARED) {
                false => {
                    log.write_until_acknowledged(&transaction, topic, partition, *written, records)
                        .await?
                }
                true => match log.write(&transaction, topic, partition, *written, records).await {
                    Ok(next) => next,
                    Err(_) => continue,
                },
            };
            assert_eq!(next, after, "only this attempt writes to its transaction");
            *written = after;
        }
        Ok(())
    }

    async fn prepare(&mut self, checkpoint: CheckpointId) -> Result<Bytes> {
        let is_left = !self.records.is_empty()
            && self.log()?.host().sabotaged(sabotage::SNAPSHOT_WITHOUT_FLUSH);
        if !is_left {
            self.write_batch().await?;
        }
        if !self.written.is_empty() {
            let transaction = self.transaction()?;
            self.log()?.prepare_until_acknowledged(&transaction).await?;
            let attempt = self.context()?.attempt;
            let prepared =
                SinkEvent::Prepared { attempt, checkpoint, transaction: transaction.clone() };
            self.log()?.host().announce(&prepared);
            self.pending.push((checkpoint, transaction));
            self.number += 1;
            self.written.clear();
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
        let subtask = self.context()?.subtask;
        self.records.add(&value, subtask)
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        self.begin(context, restored).boxed()
    }

    fn is_full(&self) -> bool {
        self.records.is_full()
    }

    fn flush(&mut self) -> Waits<'_, ()> {
        self.write_batch().boxed()
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, Bytes> {
        self.prepare(checkpoint).boxed()
    }

    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        split_lists::<(CheckpointId, TransactionId)>(states, context)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        async move {
            let host = &self.context()?.host;
            if self.pending.is_empty() && host.sabotaged(sabotage::COMMIT_WANTS_A_TRANSACTION) {
                return Err(Failure::new("no transaction waits for the checkpoint"));
            }
            self.commit_through(checkpoint).await
        }
        .boxed()
    }
}
