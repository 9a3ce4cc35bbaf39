//! The client of the embedded log.

use super::{
    LOG_ENDPOINT, LogGateway,
    api::{Log, LogError},
    model::{
        LogBatch, LogRead, LogRefusal, LogWrite, ProducerId, READ_WAIT_MAX, Retention,
        TransactionId, check_size,
    },
};
use crate::{
    host::{Host, NodeAddress, millis},
    system::{
        rpc::{Ask, Gateway, RpcService},
        service::{
            client::{ServiceClient, ServiceError},
            connection::{Connection, once_more},
        },
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
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

/// Speaks to the embedded log.
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

    /// Sends records.
    async fn send(
        &self,
        records: LogWrite,
        send: impl FnOnce(LogGateway, LogWrite) -> Ask<Result<u64, LogRefusal>>,
    ) -> Result<u64, LogError> {
        // What is larger fits in no message, and the caller would be told nothing better than maybe.
        check_size(&records.records).map_err(ServiceError::Refused)?;
        self.connection.call(|gateway| send(gateway, records)).await
    }
}

impl ServiceClient for LogClient {
    fn host(&self) -> &Host {
        self.connection.host()
    }

    fn retry_delay(&self) -> Duration {
        self.retry_delay
    }
}

impl Log for LogClient {
    fn create_topic<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        let create = move |gateway: LogGateway| gateway.create_topic(topic.to_string(), partitions);
        self.connection.call(create).boxed()
    }

    fn add_partitions<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        let add = move |gateway: LogGateway| gateway.add_partitions(topic.to_string(), partitions);
        self.connection.call(add).boxed()
    }

    fn set_retention<'a>(
        &'a self,
        topic: &'a str,
        retention: Retention,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        self.connection
            .call(move |gateway| gateway.set_retention(topic.to_string(), retention))
            .boxed()
    }

    fn hold_offsets<'a>(
        &'a self,
        owner: &'a str,
        topic: &'a str,
        offsets: Vec<(u32, u64)>,
    ) -> BoxFuture<'a, Result<Vec<(u32, u64)>, LogError>> {
        let hold = move |gateway: LogGateway| {
            gateway.hold_offsets(owner.to_string(), topic.to_string(), offsets)
        };
        self.connection.call(hold).boxed()
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        topic: &'a str,
        offsets: Vec<(u32, u64)>,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        let commit = move |gateway: LogGateway| {
            gateway.commit_offsets(group.to_string(), topic.to_string(), offsets)
        };
        self.connection.call(commit).boxed()
    }

    fn committed_offsets<'a>(
        &'a self,
        group: &'a str,
        topic: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(u32, u64)>, LogError>> {
        let committed = move |gateway: LogGateway| {
            gateway.committed_offsets(group.to_string(), topic.to_string())
        };
        once_more(move || self.connection.call(committed)).boxed()
    }

    fn append<'a>(
        &'a self,
        topic: &'a str,
        partition: u32,
        producer: &'a str,
        first: u64,
        records: Vec<Bytes>,
    ) -> BoxFuture<'a, Result<u64, LogError>> {
        let write = LogWrite { topic: topic.to_string(), partition, first, records };
        self.send(write, move |gateway, write| gateway.append(producer.to_string(), write)).boxed()
    }

    fn read<'a>(
        &'a self,
        topic: &'a str,
        partition: u32,
        offset: u64,
        records_max: u32,
        wait: Duration,
    ) -> BoxFuture<'a, Result<LogBatch, LogError>> {
        let wait = wait.min(READ_WAIT_MAX);
        let wait_ms = millis(wait);
        let wanted = LogRead { topic: topic.to_string(), partition, offset, records_max, wait_ms };
        let timeout = self.ask_timeout.saturating_add(wait);
        async move {
            let read = |gateway: LogGateway| gateway.with_timeout(timeout).read(wanted.clone());
            once_more(|| self.connection.call(read)).await
        }
        .boxed()
    }

    fn start_offsets<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<u64>, LogError>> {
        let starts = move |gateway: LogGateway| gateway.start_offsets(topic.to_string());
        once_more(move || self.connection.call(starts)).boxed()
    }

    fn end_offsets<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<u64>, LogError>> {
        let ends = move |gateway: LogGateway| gateway.end_offsets(topic.to_string());
        once_more(move || self.connection.call(ends)).boxed()
    }

    fn init_producer<'a>(&'a self, id: &'a ProducerId) -> BoxFuture<'a, Result<(), LogError>> {
        self.connection.call(|gateway| gateway.init_producer(id.clone())).boxed()
    }

    fn write<'a>(
        &'a self,
        transaction: &'a TransactionId,
        topic: &'a str,
        partition: u32,
        first: u64,
        records: Vec<Bytes>,
    ) -> BoxFuture<'a, Result<u64, LogError>> {
        let write = LogWrite { topic: topic.to_string(), partition, first, records };
        self.send(write, |gateway, write| gateway.write(transaction.clone(), write)).boxed()
    }

    fn prepare<'a>(
        &'a self,
        transaction: &'a TransactionId,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        self.connection.call(|gateway| gateway.prepare(transaction.clone())).boxed()
    }

    fn commit<'a>(&'a self, transaction: &'a TransactionId) -> BoxFuture<'a, Result<(), LogError>> {
        self.connection.call(|gateway| gateway.commit(transaction.clone())).boxed()
    }

    fn abort<'a>(&'a self, transaction: &'a TransactionId) -> BoxFuture<'a, Result<(), LogError>> {
        self.connection.call(|gateway| gateway.abort(transaction.clone())).boxed()
    }

    fn close_producers<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), LogError>> {
        self.connection.call(|gateway| gateway.close_producers(prefix.to_string())).boxed()
    }
}
