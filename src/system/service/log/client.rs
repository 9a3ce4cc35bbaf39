//! The client of the log service.

use super::{
    LOG_ENDPOINT, LogGateway,
    model::{
        LogBatch, LogRead, LogRefusal, LogWrite, ProducerId, READ_WAIT_MAX, TransactionId,
        check_size,
    },
};
use crate::{
    host::{Host, NodeAddress},
    system::{
        rpc::{Gateway, RpcService},
        service::{
            ServiceError,
            connection::{Connection, once_more, until_acknowledged},
        },
    },
};
use bytes::Bytes;
use std::time::Duration;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The server's message socket.
    pub server: NodeAddress,
    /// How long a call waits for its answer, beyond the time that a read may wait; 2 s.
    pub ask_timeout: Duration,
    /// How long to wait after a failure before the next try; 200 ms.
    pub retry_delay: Duration,
}

impl LogConfig {
    /// The defaults, for the server at that address.
    pub fn new(server: NodeAddress) -> Self {
        LogConfig {
            server,
            ask_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
        }
    }
}

/// Why a call has no value.
pub type LogError = ServiceError<LogRefusal>;

/// Speaks to the log server. Cheap to clone.
///
/// Names of topics and producers have from 1 to 512 bytes. The `*_until_acknowledged` calls try again until the
/// server answers; drop them to give up.
#[derive(Clone)]
pub struct LogClient {
    connection: Connection<LogGateway>,
    ask_timeout: Duration,
    retry_delay: Duration,
}

impl LogClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: LogConfig) -> Self {
        let LogConfig { server, ask_timeout, retry_delay } = config;
        let connection = Connection::new(service, &server, LOG_ENDPOINT, ask_timeout);
        LogClient { connection, ask_timeout, retry_delay }
    }

    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.connection.host()
    }

    /// Creates a topic with partitions 0 to `partitions - 1` (at most 1024); again with the same
    /// number is fine.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName`, `BadPartitions`, `TopicExists` or `Full`.
    pub async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.connection.call(|gateway| gateway.create_topic(topic.to_string(), partitions)).await
    }

    /// Appends records without a transaction. `first` is the first record's sequence number: how
    /// many records the producer had for this partition before, from 0. Records that are known
    /// already are skipped. Answers the producer's next sequence number.
    ///
    /// A record has at most 1 MiB, a call 4 MiB, where each record takes 32 bytes beside its own.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName`, `NoPartition`, `Gap`, `TooLarge` or `Full`.
    pub async fn append(
        &self,
        topic: &str,
        partition: u32,
        producer: &str,
        first: u64,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        // What is larger fits in no message, and the caller would be told nothing better than maybe.
        check_size(&records).map_err(ServiceError::Refused)?;
        let write = LogWrite { topic: topic.to_string(), partition, first, records };
        self.connection.call(|gateway| gateway.append(producer.to_string(), write)).await
    }

    /// Committed records from an offset on: at most `records_max` and about 1 MiB, but one at least
    /// as soon as there is one. Waits for it up to `wait`, a minute at most, and is empty then.
    ///
    /// # Errors
    /// [`LogError`]; refused `NoPartition`.
    pub async fn read(
        &self,
        topic: &str,
        partition: u32,
        offset: u64,
        records_max: u32,
        wait: Duration,
    ) -> Result<LogBatch, LogError> {
        let wait = wait.min(READ_WAIT_MAX);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let wanted = LogRead { topic: topic.to_string(), partition, offset, records_max, wait_ms };
        let timeout = self.ask_timeout.saturating_add(wait);
        let read = |gateway: LogGateway| gateway.with_timeout(timeout).read(wanted.clone());
        once_more(|| self.connection.call(read)).await
    }

    /// Each partition's end offset.
    ///
    /// # Errors
    /// [`LogError`]; refused `NoPartition`.
    pub async fn end_offsets(&self, topic: &str) -> Result<Vec<u64>, LogError> {
        let ends = |gateway: LogGateway| gateway.end_offsets(topic.to_string());
        once_more(|| self.connection.call(ends)).await
    }

    /// Makes a generation of a producer the current one. Every transaction of its older generations
    /// that has not ended is aborted, also a prepared one.
    ///
    /// # Errors
    /// [`LogError`]; refused `Fenced` when a newer generation is current, `Closed`, `BadName` or
    /// `Full`.
    pub async fn init_producer(&self, id: &ProducerId) -> Result<(), LogError> {
        self.connection.call(|gateway| gateway.init_producer(id.clone())).await
    }

    /// Stages records in a transaction of the current generation; the first write opens it. `first`
    /// counts the transaction's records for this partition. Answers the next such number. The sizes
    /// are bounded as in [`append`](Self::append).
    ///
    /// # Errors
    /// [`LogError`]; refused `Fenced`, `Ended`, `Prepared`, `Gap`, `NoPartition`, `Closed`,
    /// `TooLarge`, `Full`, or `Unknown` when the producer was never made current or the transaction
    /// is forgotten.
    pub async fn write(
        &self,
        transaction: &TransactionId,
        topic: &str,
        partition: u32,
        first: u64,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        check_size(&records).map_err(ServiceError::Refused)?;
        let write = LogWrite { topic: topic.to_string(), partition, first, records };
        self.connection.call(|gateway| gateway.write(transaction.clone(), write)).await
    }

    /// Lets a transaction take no more writes; from now on only a commit, an abort or a newer
    /// generation ends it. One that has no writes is prepared empty.
    ///
    /// # Errors
    /// [`LogError`]; refused `Fenced`, `Ended`, `Closed`, `Unknown` or `Full`.
    pub async fn prepare(&self, transaction: &TransactionId) -> Result<(), LogError> {
        self.connection.call(|gateway| gateway.prepare(transaction.clone())).await
    }

    /// Appends what a prepared transaction has staged, all at once, whatever generation asks.
    ///
    /// # Errors
    /// [`LogError`]; refused `NotPrepared`, `Ended` when it is aborted, or `Unknown`.
    pub async fn commit(&self, transaction: &TransactionId) -> Result<(), LogError> {
        self.connection.call(|gateway| gateway.commit(transaction.clone())).await
    }

    /// Throws away what a transaction has staged. One that nobody has heard of is never opened.
    ///
    /// # Errors
    /// [`LogError`]; refused `Ended` when it is committed, `Unknown` when it is forgotten,
    /// `BadName` or `Full`.
    pub async fn abort(&self, transaction: &TransactionId) -> Result<(), LogError> {
        self.connection.call(|gateway| gateway.abort(transaction.clone())).await
    }

    /// Aborts all that has not ended of producers whose names begin with a prefix, and refuses their
    /// later `init_producer`, `write` and `prepare` for ever. Plain appends go on.
    ///
    /// # Errors
    /// [`LogError`]; refused `BadName` or `Full`.
    pub async fn close_producers(&self, prefix: &str) -> Result<(), LogError> {
        self.connection.call(|gateway| gateway.close_producers(prefix.to_string())).await
    }

    /// [`create_topic`](Self::create_topic) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn create_topic_until_acknowledged(
        &self,
        topic: &str,
        partitions: u32,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.create_topic(topic, partitions))
            .await
    }

    /// [`append`](Self::append) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn append_until_acknowledged(
        &self,
        topic: &str,
        partition: u32,
        producer: &str,
        first: u64,
        records: Vec<Bytes>,
    ) -> Result<u64, LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || {
            self.append(topic, partition, producer, first, records.clone())
        })
        .await
    }

    /// [`read`](Self::read) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn read_until_acknowledged(
        &self,
        topic: &str,
        partition: u32,
        offset: u64,
        records_max: u32,
        wait: Duration,
    ) -> Result<LogBatch, LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || {
            self.read(topic, partition, offset, records_max, wait)
        })
        .await
    }

    /// [`end_offsets`](Self::end_offsets) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn end_offsets_until_acknowledged(
        &self,
        topic: &str,
    ) -> Result<Vec<u64>, LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.end_offsets(topic)).await
    }

    /// [`init_producer`](Self::init_producer) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn init_producer_until_acknowledged(
        &self,
        id: &ProducerId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.init_producer(id)).await
    }

    /// [`write`](Self::write) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn write_until_acknowledged(
        &self,
        transaction: &TransactionId,
        topic: &str,
        partition: u32,
        first: u64,
        records: Vec<Bytes>,
    ) -> Result<u64, LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || {
            self.write(transaction, topic, partition, first, records.clone())
        })
        .await
    }

    /// [`prepare`](Self::prepare) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn prepare_until_acknowledged(
        &self,
        transaction: &TransactionId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.prepare(transaction)).await
    }

    /// [`commit`](Self::commit) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn commit_until_acknowledged(
        &self,
        transaction: &TransactionId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.commit(transaction)).await
    }

    /// [`abort`](Self::abort) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn abort_until_acknowledged(
        &self,
        transaction: &TransactionId,
    ) -> Result<(), LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.abort(transaction)).await
    }

    /// [`close_producers`](Self::close_producers) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn close_producers_until_acknowledged(&self, prefix: &str) -> Result<(), LogRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.close_producers(prefix)).await
    }
}
