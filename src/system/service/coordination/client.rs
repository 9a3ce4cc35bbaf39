//! The client of the coordination service.

use super::{
    COORDINATION_ENDPOINT, CoordinationGateway,
    model::{Range, Refusal, Revision, Transacted, Transaction, Update},
};
use crate::{
    host::{Host, NodeAddress},
    system::{
        rpc::{Gateway, RpcService},
        service::{
            ServiceError,
            connection::{Connection, once_more},
        },
    },
};
use std::{sync::Arc, time::Duration};

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

/// Why a call has no value.
pub type CoordinationError = ServiceError<Refusal>;

/// Speaks to the coordination server. Cheap to clone.
#[derive(Clone)]
pub struct CoordinationClient {
    connection: Connection<CoordinationGateway>,
    config: Arc<CoordinationConfig>,
}

impl CoordinationClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: CoordinationConfig) -> Self {
        let CoordinationConfig { server, ask_timeout, .. } = &config;
        let connection = Connection::new(service, server, COORDINATION_ENDPOINT, *ask_timeout);
        CoordinationClient { connection, config: Arc::new(config) }
    }

    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.connection.host()
    }

    /// The settings.
    pub fn config(&self) -> &CoordinationConfig {
        &self.config
    }

    pub(super) fn connection(&self) -> &Connection<CoordinationGateway> {
        &self.connection
    }

    /// Makes a transaction's changes if its conditions hold.
    ///
    /// # Errors
    /// [`CoordinationError`]; after *maybe* only a read can tell.
    pub async fn transact(
        &self,
        transaction: Transaction,
    ) -> Result<Transacted, CoordinationError> {
        self.connection.call(|gateway| gateway.transact(transaction)).await
    }

    /// The keys that begin with `prefix`.
    ///
    /// # Errors
    /// [`CoordinationError`]; never *refused*.
    pub async fn read(&self, prefix: &str) -> Result<Range, CoordinationError> {
        let read = async || {
            let ask = self.connection.gateway().await?.read(prefix.to_string());
            self.connection.answer(ask).await
        };
        once_more(read).await
    }

    /// Follows the keys that begin with `prefix`.
    pub fn watch(&self, prefix: &str) -> Watch {
        Watch { client: self.clone(), prefix: prefix.to_string(), after: None }
    }
}

/// Follows the keys of a prefix in the order of their revisions; superseded values may be skipped.
pub struct Watch {
    client: CoordinationClient,
    prefix: String,
    after: Option<Revision>,
}

impl Watch {
    /// Waits for the next change. The first update is everything there is.
    ///
    /// # Errors
    /// When the server gives no answer; the next call goes on from where the watch stands.
    pub async fn next(&mut self) -> Result<Update, CoordinationError> {
        loop {
            if let Some(update) = self.next_within_contact().await? {
                return Ok(update);
            }
        }
    }

    /// The same, but `None` when the server has answered that nothing changed for a while.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next_within_contact(&mut self) -> Result<Option<Update>, CoordinationError> {
        let config = self.client.config();
        let wait_ms = u64::try_from(config.watch_wait.as_millis()).unwrap_or(u64::MAX);
        let timeout = config.watch_wait + config.ask_timeout;
        let watch = |gateway: CoordinationGateway| {
            gateway.with_timeout(timeout).watch(self.prefix.clone(), self.after, wait_ms)
        };
        let update = self.client.connection.call(watch).await?;
        let first = self.after.replace(update.revision).is_none();
        let news = first || update.whole || !update.keys.is_empty() || !update.removed.is_empty();
        Ok(news.then_some(update))
    }

    /// Waits as long as one should after an error.
    pub async fn back_off(&self) {
        self.client.host().sleep(self.client.config().retry_delay).await;
    }
}
