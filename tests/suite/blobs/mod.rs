//! The blob service, shown in simulation through its public API alone.
mod durable;
mod life;
mod storm;

use crate::service::{Service, server_address};
use bytes::Bytes;
use wavetank::system::{
    rpc::RpcService,
    service::blobs::{BlobClient, BlobConfig, BlobEvent, BlobServer},
};

/// The blob service under test.
pub struct Blobs;

type Cell = crate::service::Cell<Blobs>;

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
