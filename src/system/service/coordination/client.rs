//! The client of the embedded coordination server.

use super::{
    COORDINATION_ENDPOINT, CoordinationGateway,
    api::{Coordination, CoordinationError},
    limits::check_size,
    model::{KeyPattern, Lease, LeaseId, Page, Range, Revision, Transacted, Transaction, Update},
};
use crate::{
    host::{Host, NodeAddress, millis},
    system::{
        rpc::{Gateway, RpcService},
        service::{
            client::{ServiceClient, ServiceError},
            connection::{Connection, once_more},
        },
    },
};
use futures::{FutureExt, future::BoxFuture};
use std::time::Duration;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct CoordinationConfig {
    /// The server's message socket.
    pub server: NodeAddress,
    /// How long a call waits for its answer; 2 s.
    pub ask_timeout: Duration,
    /// How long the server keeps a watch without news; 2 s.
    pub watch_wait: Duration,
    /// How long to wait after a failure before the next try; 200 ms.
    pub retry_delay: Duration,
    /// How long a session's lease lives without a keep-alive; 6 s.
    pub session_timeout: Duration,
}

impl CoordinationConfig {
    /// The defaults, for the server at that address.
    pub fn new(server: NodeAddress) -> Self {
        CoordinationConfig {
            server,
            ask_timeout: Duration::from_secs(2),
            watch_wait: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
            session_timeout: Duration::from_secs(6),
        }
    }
}

/// Speaks to the embedded coordination server.
pub struct CoordinationClient {
    connection: Connection<CoordinationGateway>,
    config: CoordinationConfig,
}

impl CoordinationClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: CoordinationConfig) -> Self {
        let CoordinationConfig { server, ask_timeout, .. } = &config;
        let connection = Connection::new(service, server, COORDINATION_ENDPOINT, *ask_timeout);
        CoordinationClient { connection, config }
    }
}

impl ServiceClient for CoordinationClient {
    fn host(&self) -> &Host {
        self.connection.host()
    }

    fn retry_delay(&self) -> Duration {
        self.config.retry_delay
    }
}

impl Coordination for CoordinationClient {
    fn session_timeout(&self) -> Duration {
        self.config.session_timeout
    }

    fn transact(
        &self,
        transaction: Transaction,
    ) -> BoxFuture<'_, Result<Transacted, CoordinationError>> {
        async move {
            // One that is too large fits in no message, and the caller would be told nothing better than maybe.
            check_size(&transaction).map_err(ServiceError::Refused)?;
            self.connection.call(|gateway| gateway.transact(transaction)).await
        }
        .boxed()
    }

    fn read<'a>(&'a self, keys: &'a KeyPattern) -> BoxFuture<'a, Result<Range, CoordinationError>> {
        let page = async move |after: Option<String>| {
            let ask = self.connection.gateway().await?.read(keys.clone(), after);
            self.connection.answer(ask).await
        };
        async move {
            let mut range: Option<Range> = None;
            loop {
                let known = range.as_ref().and_then(|range| range.keys.last());
                let after = known.map(|last| last.key.clone());
                let Page { revision, keys, more } = once_more(|| page(after.clone())).await?;
                // Of what comes in several answers the first one's revision: whoever has seen more since
                // has seen what was there then.
                let range = range.get_or_insert(Range { revision, keys: Vec::new() });
                // A server that answers with nothing has nothing more, whatever it says.
                let more = more && !keys.is_empty();
                range.keys.extend(keys);
                if !more {
                    return Ok(std::mem::take(range));
                }
            }
        }
        .boxed()
    }

    fn changes<'a>(
        &'a self,
        keys: &'a KeyPattern,
        after: Option<Revision>,
    ) -> BoxFuture<'a, Result<Update, CoordinationError>> {
        let CoordinationConfig { watch_wait, ask_timeout, .. } = &self.config;
        let wait_ms = millis(*watch_wait);
        let timeout = *watch_wait + *ask_timeout;
        let watch = move |gateway: CoordinationGateway| {
            gateway.with_timeout(timeout).watch(keys.clone(), after, wait_ms)
        };
        self.connection.call(watch).boxed()
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<Lease, CoordinationError>> {
        self.connection.call(move |gateway| gateway.grant_lease(millis(ttl))).boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CoordinationError>> {
        self.connection.call(move |gateway| gateway.keep_alive(lease)).boxed()
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CoordinationError>> {
        self.connection.call(move |gateway| gateway.revoke_lease(lease)).boxed()
    }
}
