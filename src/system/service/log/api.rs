//! What a process is promised by a log.

use super::model::{LogBatch, LogRefusal, ProducerId, Retention, TransactionId};
use crate::system::service::client::{ServiceClient, ServiceError, until_acknowledged};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::time::Duration;

/// Records that are read in one call, where all are wanted.
const PAGE_RECORDS: u32 = 10_000;
const AT_ONCE: Duration = Duration::ZERO;

/// Why a call has no value.
pub type LogError = ServiceError<LogRefusal>;

/// Topics of partitions, each a sequence of committed records, and transactions that append to several of
/// them at once.
///
/// **Names** of topics and producers have from 1 to [`LOG_NAME_BYTES_MAX`](super::LOG_NAME_BYTES_MAX) bytes.
///
/// **Outcomes.** `Ok` is given when what was asked for is done and survives the loss of power. *Refused*
/// and *not done*: nothing was done. *Indeterminate*: it may be done at any time, also after calls that
/// were made later.
///
/// **Order.** Offsets of a partition count from 0 without gaps, and what stands at an offset never changes.
/// Only committed records are read. Those of a transaction become visible all at once, in the order in which
/// they were written.
///
/// **Repeating.** Anybody may make any call again: records carry sequence numbers, so that those which are
/// known are not appended twice, and a transaction is named by its producer, the producer's generation and a
/// number that grows, so that a late call hits no other one. A newer generation of a producer shuts out the
/// older ones, late calls included.
///
/// **Retention.** Records are kept for ever, unless their topic's [`Retention`] says otherwise. Then the oldest go, and who
/// asks for one is refused `Trimmed`; but nothing goes that somebody [holds](Log::hold_offsets).
///
/// **Sizes.** A record has at most [`RECORD_BYTES_MAX`](super::RECORD_BYTES_MAX) bytes and a call
/// [`WRITE_BYTES_MAX`](super::WRITE_BYTES_MAX), where each record takes
/// [`RECORD_BYTES_AROUND`](super::RECORD_BYTES_AROUND) beside its own.
pub trait Log: ServiceClient {
    /// Creates a topic with partitions 0 to `partitions - 1`, at most
    /// [`PARTITIONS_MAX`](super::PARTITIONS_MAX); again with the same number is fine.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName`, `BadPartitions`, `TopicExists` or `Full`.
    fn create_topic<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<(), LogError>>;

    /// Lets a topic have `partitions` partitions, at most [`PARTITIONS_MAX`](super::PARTITIONS_MAX); the new ones are
    /// empty, and none is ever taken away. The same number again is fine.
    ///
    /// # Errors
    /// [`LogError`]; refused `NoPartition`, `BadPartitions` or `TooFewPartitions`.
    fn add_partitions<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<(), LogError>>;

    /// Says how long records of a topic are kept from now on; the same again is fine.
    ///
    /// # Errors
    /// [`LogError`]; refused `NoPartition`.
    fn set_retention<'a>(
        &'a self,
        topic: &'a str,
        retention: Retention,
    ) -> BoxFuture<'a, Result<(), LogError>>;

    /// From each of these offsets on retention removes nothing, until the owner holds a later one of the partition or a
    /// prefix of his name is [closed](Log::close_producers). Where that much is gone already, he holds what there is. What
    /// is held never goes back, so that an older offset changes nothing. Answers from where each partition is held.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName`, `NoPartition`, `BeyondEnd`, `Closed` or `Full`; nothing is held then.
    fn hold_offsets<'a>(
        &'a self,
        owner: &'a str,
        topic: &'a str,
        offsets: Vec<(u32, u64)>,
    ) -> BoxFuture<'a, Result<Vec<(u32, u64)>, LogError>>;

    /// Notes for each of these partitions the first record that a group has not read. A group is a name, whoever
    /// reads for it; what it has committed never goes back, so that an older offset changes nothing.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName`, `NoPartition`, `BeyondEnd` or `Full`, and nothing is noted then.
    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        topic: &'a str,
        offsets: Vec<(u32, u64)>,
    ) -> BoxFuture<'a, Result<(), LogError>>;

    /// How far a group has read: a partition and an offset each. Partitions of which it has committed nothing are
    /// left out.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName` or `NoPartition`.
    fn committed_offsets<'a>(
        &'a self,
        group: &'a str,
        topic: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(u32, u64)>, LogError>>;

    /// Appends records without a transaction. `first` is the first record's sequence number: how many
    /// records the producer had for this partition before, from 0. Records that are known already are
    /// skipped. Answers the producer's next sequence number.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName`, `NoPartition`, `Gap`, `TooLarge` or `Full`. A producer that has been silent for a
    /// quarter of an hour may be forgotten when 4,096 others append to the partition; `Gap` then, and what it repeats
    /// from 0 is appended again.
    fn append<'a>(
        &'a self,
        topic: &'a str,
        partition: u32,
        producer: &'a str,
        first: u64,
        records: Vec<Bytes>,
    ) -> BoxFuture<'a, Result<u64, LogError>>;

    /// Committed records from an offset on: at most `records_max` and about
    /// [`READ_BYTES_MAX`](super::READ_BYTES_MAX) bytes, but one at least as soon as there is one. Waits for
    /// it up to `wait`, at most [`READ_WAIT_MAX`](super::READ_WAIT_MAX), and is empty then.
    ///
    /// # Errors
    /// [`LogError`]; refused `NoPartition`, or `Trimmed` when the record is kept no longer.
    fn read<'a>(
        &'a self,
        topic: &'a str,
        partition: u32,
        offset: u64,
        records_max: u32,
        wait: Duration,
    ) -> BoxFuture<'a, Result<LogBatch, LogError>>;

    /// The offset of each partition's first record that is kept; where it ends, if there is none.
    ///
    /// # Errors
    /// [`LogError`]; refused `NoPartition`.
    fn start_offsets<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<u64>, LogError>>;

    /// Each partition's end offset.
    ///
    /// # Errors
    /// [`LogError`]; refused `NoPartition`.
    fn end_offsets<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<u64>, LogError>>;

    /// Makes a generation of a producer the current one. Every transaction of its older generations that
    /// has not ended is aborted, also a prepared one.
    ///
    /// # Errors
    /// [`LogError`]; refused `Fenced` when a newer generation is current, `Closed`, `BadName` or `Full`.
    fn init_producer<'a>(&'a self, id: &'a ProducerId) -> BoxFuture<'a, Result<(), LogError>>;

    /// Stages records in a transaction of the current generation; the first write opens it. `first` counts
    /// the transaction's records for this partition. Answers the next such number.
    ///
    /// # Errors
    /// [`LogError`]; refused `Fenced`, `Ended`, `Prepared`, `Gap`, `NoPartition`, `Closed`, `TooLarge`,
    /// `Full`, or `Unknown` when the producer was never made current or the transaction is forgotten.
    fn write<'a>(
        &'a self,
        transaction: &'a TransactionId,
        topic: &'a str,
        partition: u32,
        first: u64,
        records: Vec<Bytes>,
    ) -> BoxFuture<'a, Result<u64, LogError>>;

    /// Lets a transaction take no more writes; from now on only a commit, an abort or a newer generation
    /// ends it. One that has no writes is prepared empty.
    ///
    /// # Errors
    /// [`LogError`]; refused `Fenced`, `Ended`, `Closed`, `Unknown` or `Full`.
    fn prepare<'a>(&'a self, transaction: &'a TransactionId)
    -> BoxFuture<'a, Result<(), LogError>>;

    /// Appends what a prepared transaction has staged, all at once, whatever generation asks.
    ///
    /// # Errors
    /// [`LogError`]; refused `NotPrepared`, `Ended` when it is aborted, or `Unknown`.
    fn commit<'a>(&'a self, transaction: &'a TransactionId) -> BoxFuture<'a, Result<(), LogError>>;

    /// Throws away what a transaction has staged. One that nobody has heard of is never opened.
    ///
    /// # Errors
    /// [`LogError`]; refused `Ended` when it is committed, `Unknown` when it is forgotten, `BadName` or
    /// `Full`.
    fn abort<'a>(&'a self, transaction: &'a TransactionId) -> BoxFuture<'a, Result<(), LogError>>;

    /// Aborts all that has not ended of producers whose names begin with a prefix, and refuses their later
    /// `init_producer`, `write`, `prepare` and `hold_offsets` for ever; what such owners hold is let go. Plain appends go on.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName` or `Full`.
    fn close_producers<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), LogError>>;
}

/// The calls again until the service answers; drop them to give up.
impl dyn Log {
    /// [`create_topic`](Log::create_topic) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn create_topic_until_acknowledged(
        &self,
        topic: &str,
        partitions: u32,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.create_topic(topic, partitions)).await
    }

    /// [`add_partitions`](Log::add_partitions) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn add_partitions_until_acknowledged(
        &self,
        topic: &str,
        partitions: u32,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.add_partitions(topic, partitions)).await
    }

    /// [`set_retention`](Log::set_retention) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn set_retention_until_acknowledged(
        &self,
        topic: &str,
        retention: Retention,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.set_retention(topic, retention)).await
    }

    /// [`hold_offsets`](Log::hold_offsets) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn hold_offsets_until_acknowledged(
        &self,
        owner: &str,
        topic: &str,
        offsets: Vec<(u32, u64)>,
    ) -> Result<Vec<(u32, u64)>, LogRefusal> {
        until_acknowledged(self, || self.hold_offsets(owner, topic, offsets.clone())).await
    }

    /// [`commit_offsets`](Log::commit_offsets) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn commit_offsets_until_acknowledged(
        &self,
        group: &str,
        topic: &str,
        offsets: Vec<(u32, u64)>,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.commit_offsets(group, topic, offsets.clone())).await
    }

    /// [`committed_offsets`](Log::committed_offsets) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn committed_offsets_until_acknowledged(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<(u32, u64)>, LogRefusal> {
        until_acknowledged(self, || self.committed_offsets(group, topic)).await
    }

    /// [`append`](Log::append) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn append_until_acknowledged(
        &self,
        topic: &str,
        partition: u32,
        producer: &str,
        first: u64,
        records: Vec<Bytes>,
    ) -> Result<u64, LogRefusal> {
        until_acknowledged(self, || self.append(topic, partition, producer, first, records.clone()))
            .await
    }

    /// [`read`](Log::read) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn read_until_acknowledged(
        &self,
        topic: &str,
        partition: u32,
        offset: u64,
        records_max: u32,
        wait: Duration,
    ) -> Result<LogBatch, LogRefusal> {
        until_acknowledged(self, || self.read(topic, partition, offset, records_max, wait)).await
    }

    /// All records that a topic keeps by now, by partition; asks until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn read_all_until_acknowledged(
        &self,
        topic: &str,
    ) -> Result<Vec<Vec<Bytes>>, LogRefusal> {
        let mut partitions = Vec::new();
        let ends = self.end_offsets_until_acknowledged(topic).await?;
        let starts = self.start_offsets_until_acknowledged(topic).await?;
        for (number, (mut next, end)) in (0..).zip(starts.into_iter().zip(ends)) {
            let mut records = Vec::new();
            while next < end {
                let page = self.read_until_acknowledged(topic, number, next, PAGE_RECORDS, AT_ONCE);
                let page = page.await?.records;
                next += page.len() as u64;
                records.extend(page);
            }
            partitions.push(records);
        }
        Ok(partitions)
    }

    /// [`start_offsets`](Log::start_offsets) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn start_offsets_until_acknowledged(
        &self,
        topic: &str,
    ) -> Result<Vec<u64>, LogRefusal> {
        until_acknowledged(self, || self.start_offsets(topic)).await
    }

    /// [`end_offsets`](Log::end_offsets) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn end_offsets_until_acknowledged(
        &self,
        topic: &str,
    ) -> Result<Vec<u64>, LogRefusal> {
        until_acknowledged(self, || self.end_offsets(topic)).await
    }

    /// [`init_producer`](Log::init_producer) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn init_producer_until_acknowledged(
        &self,
        id: &ProducerId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.init_producer(id)).await
    }

    /// [`write`](Log::write) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn write_until_acknowledged(
        &self,
        transaction: &TransactionId,
        topic: &str,
        partition: u32,
        first: u64,
        records: Vec<Bytes>,
    ) -> Result<u64, LogRefusal> {
        until_acknowledged(self, || {
            self.write(transaction, topic, partition, first, records.clone())
        })
        .await
    }

    /// [`prepare`](Log::prepare) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn prepare_until_acknowledged(
        &self,
        transaction: &TransactionId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.prepare(transaction)).await
    }

    /// [`commit`](Log::commit) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn commit_until_acknowledged(
        &self,
        transaction: &TransactionId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.commit(transaction)).await
    }

    /// [`abort`](Log::abort) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn abort_until_acknowledged(
        &self,
        transaction: &TransactionId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.abort(transaction)).await
    }

    /// [`close_producers`](Log::close_producers) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn close_producers_until_acknowledged(&self, prefix: &str) -> Result<(), LogRefusal> {
        until_acknowledged(self, || self.close_producers(prefix)).await
    }
}
