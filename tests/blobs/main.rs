//! The blob service, shown in the tank through its public API alone.
#![cfg(madsim)]

#[path = "../service/mod.rs"]
mod service;

mod durable;
mod life;
mod storm;

use bytes::Bytes;
use service::{Service, server_address};
use wavetank::system::{
    rpc::RpcService,
    service::blobs::{BlobClient, BlobConfig, BlobEvent, BlobServer},
};

/// The blob service under test.
pub struct Blobs;

type Cell = service::Cell<Blobs>;

impl Service for Blobs {
    type Event = BlobEvent;
    type Note = storm::Note;

    async fn serve(service: RpcService) {
        if let Ok(server) = BlobServer::start(&service).await {
            let _ = server.termination().await;
        }
    }

    fn is_recovery(event: &BlobEvent) -> bool {
        matches!(event, BlobEvent::Recovered { .. })
    }
}

impl Cell {
    async fn blobs(&self, name: &str) -> BlobClient {
        let (_, service) = self.client(name).await;
        BlobClient::new(&service, BlobConfig::new(server_address()))
    }
}

fn content(text: &str) -> Bytes {
    Bytes::from(text.to_string())
}

/// What an event must say of such a blob.
fn shown(name: &str, content: &Bytes) -> (String, u64, u32) {
    (name.to_string(), content.len() as u64, crc32fast::hash(content))
}
