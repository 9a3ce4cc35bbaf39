//! What the clients of the embedded servers share: one connection to a server, and how its calls fail.

use super::client::ServiceError;
use crate::{
    host::{Host, NodeAddress},
    system::rpc::{Ask, Gateway, RpcAddress, RpcError, RpcService},
};
use serde::de::DeserializeOwned;
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Speaks to a service's server. Cheap to clone. It connects on first use, and anew after the server
/// was unreachable.
pub(super) struct Connection<G> {
    inner: Arc<Inner<G>>,
}

struct Inner<G> {
    service: RpcService,
    address: RpcAddress,
    ask_timeout: Duration,
    /// `None` before the first successful handshake.
    gateway: Mutex<Option<G>>,
}

impl<G> Clone for Connection<G> {
    fn clone(&self) -> Self {
        Connection { inner: self.inner.clone() }
    }
}

impl<G: Gateway> Connection<G> {
    /// A connection to the endpoint at that server; handshakes and asks wait for `ask_timeout`.
    pub fn new(
        service: &RpcService,
        server: &NodeAddress,
        endpoint: &str,
        ask_timeout: Duration,
    ) -> Self {
        let address = RpcAddress::new(server.clone(), endpoint);
        let gateway = Mutex::new(None);
        Connection {
            inner: Arc::new(Inner { service: service.clone(), address, ask_timeout, gateway }),
        }
    }

    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.inner.service.host()
    }

    fn known(&self) -> MutexGuard<'_, Option<G>> {
        self.inner.gateway.lock().expect("no panic under this lock")
    }

    /// The server's gateway.
    ///
    /// # Errors
    /// [`ServiceError::NotDone`]: a call that was never sent was certainly not done, whatever the
    /// handshake came to.
    pub async fn gateway<R>(&self) -> Result<G, ServiceError<R>> {
        let known = self.known().clone();
        if let Some(gateway) = known {
            return Ok(gateway);
        }
        let timeout = self.inner.ask_timeout;
        let connect = self.inner.service.connect::<G>(&self.inner.address);
        let connected = self.host().timeout(timeout, connect).await;
        let gateway = connected
            .unwrap_or(Err(RpcError::Timeout))
            .map_err(ServiceError::NotDone)?
            .with_timeout(timeout);
        *self.known() = Some(gateway.clone());
        Ok(gateway)
    }

    /// Waits for the answer to a call that was sent.
    ///
    /// # Errors
    /// [`ServiceError::Indeterminate`]: a copy of the call may have been handled by an earlier life of the
    /// server than the one that answers, or be handled by a later one, so no error of the RPC layer
    /// says *not done*.
    pub async fn answer<T: DeserializeOwned, R>(&self, ask: Ask<T>) -> Result<T, ServiceError<R>> {
        let answer = ask.await;
        // A server that began anew wants a new handshake.
        if answer.as_ref().is_err_and(|error| *error == RpcError::RecipientUnreachable) {
            *self.known() = None;
        }
        answer.map_err(ServiceError::Indeterminate)
    }

    /// Makes a call that the service may refuse.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn call<T: DeserializeOwned, R: DeserializeOwned>(
        &self,
        send: impl FnOnce(G) -> Ask<Result<T, R>>,
    ) -> Result<T, ServiceError<R>> {
        let ask = send(self.gateway().await?);
        self.answer(ask).await?.map_err(ServiceError::Refused)
    }
}

/// Makes a call that may be repeated, once more if the server has most likely begun anew.
///
/// # Errors
/// Those of the last attempt.
pub(super) async fn once_more<T, R, F>(attempt: impl Fn() -> F) -> Result<T, ServiceError<R>>
where
    F: Future<Output = Result<T, ServiceError<R>>>,
{
    match attempt().await {
        Err(ServiceError::Indeterminate(RpcError::RecipientUnreachable)) => attempt().await,
        answer => answer,
    }
}
