//! The client of the coordination service.

use super::{
    COORDINATION_ENDPOINT, CoordinationGateway,
    model::{Range, Refusal, Revision, Transacted, Transaction, Update},
};
use crate::{
    host::{Host, NodeAddress},
    system::rpc::{Ask, Gateway, RpcAddress, RpcError, RpcService},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

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
    /// How long a session's lease lives without a sign of life; 6 s.
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordinationError {
    /// The server refused; nothing was done.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The call did not reach the server; nothing was done.
    #[error("not done: {0}")]
    NotDone(RpcError),
    /// No answer: it was done, or it was not, or it will be.
    #[error("maybe done: {0}")]
    Maybe(RpcError),
}

/// Of a call that was sent. A copy of it may have been handled by an earlier life of the server than
/// the one that answers, or be handled by a later one: no error of the RPC floor says *not done*.
impl From<RpcError> for CoordinationError {
    fn from(error: RpcError) -> Self {
        CoordinationError::Maybe(error)
    }
}

/// Speaks to the coordination server. Cheap to clone.
#[derive(Clone)]
pub struct CoordinationClient {
    inner: Arc<ClientInner>,
}

struct ClientInner {
    service: RpcService,
    config: CoordinationConfig,
    /// `None` before the first successful handshake.
    gateway: Mutex<Option<CoordinationGateway>>,
}

impl CoordinationClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: CoordinationConfig) -> Self {
        let gateway = Mutex::new(None);
        CoordinationClient {
            inner: Arc::new(ClientInner { service: service.clone(), config, gateway }),
        }
    }

    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.inner.service.host()
    }

    /// The settings.
    pub fn config(&self) -> &CoordinationConfig {
        &self.inner.config
    }

    pub(super) async fn gateway(&self) -> Result<CoordinationGateway, CoordinationError> {
        let known = self.inner.gateway.lock().expect("no panic under this lock").clone();
        if let Some(gateway) = known {
            return Ok(gateway);
        }
        let config = &self.inner.config;
        let address = RpcAddress::new(config.server.clone(), COORDINATION_ENDPOINT);
        let connect = self.inner.service.connect::<CoordinationGateway>(&address);
        // A call that was never sent was surely not done, whatever the handshake came to.
        let connected = self.host().timeout(config.ask_timeout, connect).await;
        let gateway = connected
            .unwrap_or(Err(RpcError::Timeout))
            .map_err(CoordinationError::NotDone)?
            .with_timeout(config.ask_timeout);
        *self.inner.gateway.lock().expect("no panic under this lock") = Some(gateway.clone());
        Ok(gateway)
    }

    /// Waits for an answer. A server that began anew wants a new handshake.
    pub(super) async fn answer<T: serde::de::DeserializeOwned>(
        &self,
        ask: Ask<T>,
    ) -> Result<T, CoordinationError> {
        let answer = ask.await;
        if answer.as_ref().is_err_and(|error| *error == RpcError::RecipientUnreachable) {
            *self.inner.gateway.lock().expect("no panic under this lock") = None;
        }
        Ok(answer?)
    }

    /// Makes a transaction's changes if its conditions hold.
    ///
    /// # Errors
    /// [`CoordinationError`]; after *maybe* only a read can tell.
    pub async fn transact(
        &self,
        transaction: Transaction,
    ) -> Result<Transacted, CoordinationError> {
        Ok(self.answer(self.gateway().await?.transact(transaction)).await??)
    }

    /// The keys that begin with `prefix`.
    ///
    /// # Errors
    /// [`CoordinationError`]; never *refused*.
    pub async fn read(&self, prefix: &str) -> Result<Range, CoordinationError> {
        let read = async || self.answer(self.gateway().await?.read(prefix.to_string())).await;
        match read().await {
            // A read may be repeated; the server has most likely begun anew.
            Err(CoordinationError::Maybe(RpcError::RecipientUnreachable)) => read().await,
            answer => answer,
        }
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
        let gateway = self.client.gateway().await?.with_timeout(timeout);
        let watch = gateway.watch(self.prefix.clone(), self.after, wait_ms);
        let update = self.client.answer(watch).await??;
        let first = self.after.replace(update.revision).is_none();
        let news = first || update.whole || !update.keys.is_empty() || !update.removed.is_empty();
        Ok(news.then_some(update))
    }

    /// Waits as long as one should after an error.
    pub async fn back_off(&self) {
        self.client.host().sleep(self.client.config().retry_delay).await;
    }
}
