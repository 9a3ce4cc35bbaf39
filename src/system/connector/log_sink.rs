//! Writes to a topic, exactly once: one transaction from checkpoint to checkpoint, prepared at the
//! barrier and committed when the checkpoint is complete.
//!
//! The epoch of the attempt is the producer's generation, so an older attempt can write no more once
//! a newer one has begun. A new attempt first commits what its restored state names, then begins its
//! generation, which aborts whatever else earlier ones left.

use super::encoding::{restore, user};
use crate::{
    host::Evidence,
    system::{
        graph::OperatorState,
        ids::{CheckpointId, ExecutionAttemptId},
        sabotage,
        service::log::{Log, ProducerId, TransactionId},
        task_executor::{Operator, OperatorContext, Output, Record, TaskError},
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Records that wait to be written at most; also flushed at each barrier.
const BATCH_RECORDS: usize = 512;
/// Bytes of records that wait to be written at most, give or take one record.
const BATCH_BYTES: usize = 512 * 1024;

/// Where a [`LogSink`] writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSinkParameters {
    /// The topic. Subtask `s` writes to partition `s`.
    pub topic: String,
}

/// An event of a sink; a self-report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SinkEvent {
    /// A transaction waits for its checkpoint.
    Prepared {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint that covers it.
        checkpoint: CheckpointId,
        /// The transaction.
        transaction: TransactionId,
    },
}

crate::event!(SinkEvent, |_| Evidence::SelfReport);

/// The sink.
pub struct LogSink {
    log: Arc<dyn Log>,
    parameters: LogSinkParameters,
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

impl LogSink {
    /// A sink that is not open yet.
    pub fn new(log: Arc<dyn Log>, parameters: LogSinkParameters) -> Self {
        LogSink {
            log,
            parameters,
            context: None,
            number: 1,
            written: 0,
            batch: Vec::new(),
            batch_bytes: 0,
            pending: Vec::new(),
        }
    }

    fn context(&self) -> Result<&OperatorContext, TaskError> {
        self.context.as_ref().ok_or_else(|| user("the sink is not open"))
    }

    fn producer(context: &OperatorContext) -> ProducerId {
        let (job, uid, subtask) = (context.attempt.job, &context.uid, context.subtask);
        let producer = format!("{job}/{uid}-{subtask}");
        ProducerId { producer, generation: context.attempt.epoch }
    }

    fn transaction(&self) -> Result<TransactionId, TaskError> {
        let ProducerId { producer, generation } = Self::producer(self.context()?);
        Ok(TransactionId { producer, generation, number: self.number })
    }

    async fn begin(
        &mut self,
        context: OperatorContext,
        restored: Option<OperatorState>,
    ) -> Result<(), TaskError> {
        if let Some(state) = restored {
            self.pending = restore(&state.own)?;
        }
        self.context = Some(context);
        // The checkpoint is complete, or nothing would be restored from it.
        self.commit_through(CheckpointId(u64::MAX)).await?;
        let producer = Self::producer(self.context()?);
        self.log.init_producer_until_acknowledged(&producer).await.map_err(user)
    }

    async fn flush(&mut self) -> Result<(), TaskError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let records = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let after = self.written + records.len() as u64;
        let (transaction, partition) = (self.transaction()?, self.context()?.subtask);
        let topic = &self.parameters.topic;
        let write = self
            .log
            .write_until_acknowledged(&transaction, topic, partition, self.written, records)
            .await;
        let next = write.map_err(user)?;
        self.written = after;
        assert_eq!(next, self.written, "only this attempt writes to its transaction");
        Ok(())
    }

    async fn prepare(&mut self, checkpoint: CheckpointId) -> Result<OperatorState, TaskError> {
        self.flush().await?;
        if self.written > 0 {
            let transaction = self.transaction()?;
            self.log.prepare_until_acknowledged(&transaction).await.map_err(user)?;
            let attempt = self.context()?.attempt;
            let prepared =
                SinkEvent::Prepared { attempt, checkpoint, transaction: transaction.clone() };
            self.log.host().announce(&prepared);
            self.pending.push((checkpoint, transaction));
            (self.number, self.written) = (self.number + 1, 0);
            if self.log.host().sabotaged(sabotage::SINK_COMMITS_AT_BARRIER) {
                self.commit_through(checkpoint).await?;
            }
        }
        let own = postcard::to_allocvec(&self.pending).expect("names can be encoded");
        Ok(OperatorState { own: Bytes::from(own), keyed: Vec::new() })
    }

    /// Commits what checkpoints up to this one cover, in order. Committing again is fine.
    async fn commit_through(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        while let Some((covered_by, transaction)) = self.pending.first()
            && *covered_by <= checkpoint
        {
            self.log.commit_until_acknowledged(transaction).await.map_err(user)?;
            self.pending.remove(0);
        }
        Ok(())
    }
}

impl Operator for LogSink {
    fn open(
        &mut self,
        context: OperatorContext,
        restored: Option<OperatorState>,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        self.begin(context, restored).boxed()
    }

    fn process<'a>(
        &'a mut self,
        record: Record,
        _: &'a mut Output,
    ) -> BoxFuture<'a, Result<(), TaskError>> {
        self.batch_bytes += record.0.len();
        self.batch.push(record.0);
        if self.batch.len() < BATCH_RECORDS && self.batch_bytes < BATCH_BYTES {
            return std::future::ready(Ok(())).boxed();
        }
        self.flush().boxed()
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        self.prepare(checkpoint).boxed()
    }

    fn notify_checkpoint_complete(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        self.commit_through(checkpoint).boxed()
    }
}
