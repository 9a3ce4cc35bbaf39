//! The client of a provider behind a gateway.

use super::{
    ProviderError, ProviderSession, RESOURCE_PROVIDER, ResourceProvider, ResourceProviderGateway,
    WorkerSpec,
};
use crate::{
    host::{Host, NodeAddress},
    system::{
        ids::ResourceId,
        rpc::RpcService,
        service::{client::ServiceClient, connection::Connection},
    },
};
use futures::{FutureExt, future::BoxFuture};
use std::time::Duration;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The provider's message socket.
    pub server: NodeAddress,
    /// How long a call waits for its answer; 2 s.
    pub ask_timeout: Duration,
    /// How long to wait after a failure before the next try; 1 s.
    pub retry_delay: Duration,
}

impl ProviderConfig {
    /// The defaults, for the provider at that address.
    pub fn new(server: NodeAddress) -> Self {
        ProviderConfig {
            server,
            ask_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_secs(1),
        }
    }
}

/// Speaks to a provider behind a [`ResourceProviderGateway`].
pub struct ResourceProviderClient {
    connection: Connection<ResourceProviderGateway>,
    retry_delay: Duration,
}

impl ResourceProviderClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: ProviderConfig) -> Self {
        let ProviderConfig { server, ask_timeout, retry_delay } = config;
        let connection = Connection::new(service, &server, RESOURCE_PROVIDER, ask_timeout);
        ResourceProviderClient { connection, retry_delay }
    }
}

impl ServiceClient for ResourceProviderClient {
    fn host(&self) -> &Host {
        self.connection.host()
    }

    fn retry_delay(&self) -> Duration {
        self.retry_delay
    }
}

impl ResourceProvider for ResourceProviderClient {
    fn attach(
        &self,
        session: ProviderSession,
    ) -> BoxFuture<'_, Result<Vec<ResourceId>, ProviderError>> {
        self.connection.call(move |gateway| gateway.attach(session)).boxed()
    }

    fn request_worker(
        &self,
        session: ProviderSession,
        number: u64,
        worker: WorkerSpec,
    ) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.connection.call(move |gateway| gateway.request_worker(session, number, worker)).boxed()
    }

    fn release_worker(
        &self,
        session: ProviderSession,
        worker: ResourceId,
    ) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.connection.call(move |gateway| gateway.release_worker(session, worker)).boxed()
    }

    fn workers(
        &self,
        session: ProviderSession,
    ) -> BoxFuture<'_, Result<Vec<ResourceId>, ProviderError>> {
        self.connection.call(move |gateway| gateway.workers(session)).boxed()
    }

    fn deregister(&self, outcome: String) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.connection.call(move |gateway| gateway.deregister(outcome)).boxed()
    }
}
