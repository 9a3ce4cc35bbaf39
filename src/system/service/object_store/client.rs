//! The client of the embedded object store.

use super::{
    BlobGateway, OBJECT_STORE_ENDPOINT,
    api::{ObjectStore, ObjectStoreError, ObjectStores},
    model::{OBJECT_NAMES_MAX, ObjectSum, check_size},
};
use crate::{
    host::{Host, NodeAddress},
    system::{
        rpc::RpcService,
        service::{
            client::{ServiceClient, ServiceError},
            connection::{Connection, once_more},
        },
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ObjectStoreConfig {
    /// The server's message socket.
    pub server: NodeAddress,
    /// How long a call waits for its answer; 2 s.
    pub ask_timeout: Duration,
    /// How long to wait after a failure before the next try; 200 ms.
    pub retry_delay: Duration,
}

impl ObjectStoreConfig {
    /// The defaults, for the server at that address.
    pub fn new(server: NodeAddress) -> Self {
        ObjectStoreConfig {
            server,
            ask_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
        }
    }
}

/// Speaks to the embedded object store.
pub struct ObjectStoreClient {
    connection: Connection<BlobGateway>,
    retry_delay: Duration,
}

impl ObjectStoreClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: ObjectStoreConfig) -> Self {
        let ObjectStoreConfig { server, ask_timeout, retry_delay } = config;
        let connection = Connection::new(service, &server, OBJECT_STORE_ENDPOINT, ask_timeout);
        ObjectStoreClient { connection, retry_delay }
    }

    async fn page(&self, prefix: &str, after: &str) -> Result<Vec<String>, ObjectStoreError> {
        let ask = self.connection.gateway().await?.list(prefix.to_string(), after.to_string());
        self.connection.answer(ask).await
    }
}

/// An embedded server, by where it listens, and a client with the defaults.
impl ObjectStores for NodeAddress {
    fn open(&self, service: &RpcService) -> Arc<dyn ObjectStore> {
        Arc::new(ObjectStoreClient::new(service, ObjectStoreConfig::new(self.clone())))
    }
}

impl ServiceClient for ObjectStoreClient {
    fn host(&self) -> &Host {
        self.connection.host()
    }

    fn retry_delay(&self) -> Duration {
        self.retry_delay
    }
}

impl ObjectStore for ObjectStoreClient {
    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        async move {
            // A larger one fits in no message, and the caller would be told nothing better than maybe.
            check_size(&bytes).map_err(ServiceError::Refused)?;
            self.connection.call(|gateway| gateway.put(name.to_string(), bytes)).await
        }
        .boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Bytes, ObjectStoreError>> {
        once_more(|| self.connection.call(|gateway| gateway.get(name.to_string()))).boxed()
    }

    fn rename<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        content: ObjectSum,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        self.connection
            .call(move |gateway| gateway.rename(from.to_string(), to.to_string(), content))
            .boxed()
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        async move {
            for names in names.chunks(OBJECT_NAMES_MAX) {
                self.connection.call(|gateway| gateway.delete(names.to_vec())).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn seal<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        self.connection.call(|gateway| gateway.seal(prefix.to_string())).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, ObjectStoreError>> {
        async move {
            let mut names: Vec<String> = Vec::new();
            loop {
                let after = names.last().cloned().unwrap_or_default();
                let page = once_more(|| self.page(prefix, &after)).await?;
                let last = page.len() < OBJECT_NAMES_MAX;
                names.extend(page);
                if last {
                    return Ok(names);
                }
            }
        }
        .boxed()
    }
}
