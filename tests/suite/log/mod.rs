//! The log service, shown in simulation through its public API alone.
mod checker;
mod durable;
mod groups;
mod life;
mod retention;
mod storm;
mod transactions;

use crate::service::{Service, ms, server_address};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use wavetank::system::{
    rpc::RpcService,
    service::{
        ServiceError,
        log::{
            Log, LogClient, LogConfig, LogError, LogEvent, LogRefusal, LogServer, LogServerConfig,
            ProducerId, TransactionId,
        },
    },
};

/// The log service under test.
pub struct Tested;

/// The same, with segments that are files soon.
pub struct InFiles;

type Cell = crate::service::Cell<Tested>;
type CellInFiles = crate::service::Cell<InFiles>;

type Client = Arc<dyn Log>;

impl Service for Tested {
    type Event = LogEvent;
    type Note = checker::Note;

    async fn serve(service: RpcService) {
        serve(service, LogServerConfig::default()).await;
    }

    fn is_recovery(event: &LogEvent) -> bool {
        matches!(event, LogEvent::Recovered { .. })
    }
}

impl Service for InFiles {
    type Event = LogEvent;
    type Note = checker::Note;

    async fn serve(service: RpcService) {
        let (segment_bytes, memory_bytes) = (200, 1000);
        let config = LogServerConfig { segment_bytes, memory_bytes, cache_bytes: 500 };
        serve(service, config).await;
    }

    fn is_recovery(event: &LogEvent) -> bool {
        Tested::is_recovery(event)
    }
}

async fn serve(service: RpcService, config: LogServerConfig) {
    if let Ok(server) = LogServer::start(&service, config).await {
        let _ = server.termination().await;
    }
}

impl<S: Service<Event = LogEvent>> crate::service::Cell<S> {
    async fn log(&self, name: &str) -> Client {
        let (_, service) = self.client(name).await;
        Arc::new(LogClient::new(&service, LogConfig::new(server_address())))
    }

    /// A client that loses patience early.
    async fn quick_log(&self, name: &str) -> Client {
        let (_, service) = self.client(name).await;
        let (ask_timeout, retry_delay) = (ms(250), ms(20));
        let config = LogConfig { ask_timeout, retry_delay, ..LogConfig::new(server_address()) };
        Arc::new(LogClient::new(&service, config))
    }
}

fn records(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::from((*text).to_string())).collect()
}

fn refused<T>(refusal: LogRefusal) -> Result<T, LogError> {
    Err(ServiceError::Refused(refusal))
}

fn generation(producer: &str, generation: u64) -> ProducerId {
    ProducerId { producer: producer.to_string(), generation }
}

fn transaction(producer: &str, generation: u64, number: u64) -> TransactionId {
    TransactionId { producer: producer.to_string(), generation, number }
}

/// All that is committed to a partition.
async fn whole(log: &Client, topic: &str, partition: u32) -> Vec<Bytes> {
    let mut all = Vec::new();
    loop {
        let offset = all.len() as u64;
        let read = log.read_until_acknowledged(topic, partition, offset, 100, Duration::ZERO).await;
        let batch = read.expect("a partition");
        assert_eq!(batch.first, offset);
        all.extend(batch.records);
        if all.len() as u64 == batch.end {
            return all;
        }
    }
}
