//! The object store, shown in simulation through its public API alone.
mod durable;
mod life;
mod storm;

use crate::{
    object_contract::content,
    service::{Service, server_address},
};
use bytes::Bytes;
use std::sync::Arc;
use wavetank::system::{
    rpc::RpcService,
    service::object_store::{
        ObjectStore, ObjectStoreClient, ObjectStoreConfig, ObjectStoreEvent, ObjectStoreServer,
    },
};

/// The object store under test.
pub struct Objects;

type Cell = crate::service::Cell<Objects>;

type Client = Arc<dyn ObjectStore>;

impl Service for Objects {
    type Event = ObjectStoreEvent;
    type Note = storm::Note;

    async fn serve(service: RpcService) {
        if let Ok(server) = ObjectStoreServer::start(&service).await {
            let _ = server.termination().await;
        }
    }

    fn is_recovery(event: &ObjectStoreEvent) -> bool {
        matches!(event, ObjectStoreEvent::Recovered { .. })
    }
}

impl Cell {
    async fn objects(&self, name: &str) -> Client {
        let (_, service) = self.client(name).await;
        Arc::new(ObjectStoreClient::new(&service, ObjectStoreConfig::new(server_address())))
    }
}

/// What an event must say of such an object.
fn shown(name: &str, content: &Bytes) -> (String, u64, u32) {
    (name.to_string(), content.len() as u64, crc32fast::hash(content))
}
