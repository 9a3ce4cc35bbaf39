//! Endpoints as their owners host, start and end them.

use super::{
    address::RpcAddress,
    end::Termination,
    endpoint::{EndpointHandle, RpcEndpoint, SharedOf, self_gateway},
    error::RpcError,
    event::RpcEvent,
    fence::Fence,
    gateway::Gateway,
    ids::FencingToken,
    mailbox::Envelope,
    main_thread::MainThread,
    service::RpcService,
    shared::EndpointShared,
};
use std::future::Future;

impl RpcService {
    /// Hosts an endpoint whose calls carry no token. It takes calls once it is started.
    ///
    /// # Errors
    /// [`RpcError::NotRunning`] when the name is taken, [`RpcError::ServiceStopped`] after a stop.
    pub fn start_server<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
    ) -> Result<RpcServer<E>, RpcError> {
        self.host_endpoint(name, endpoint, None)
    }

    /// Hosts an endpoint whose calls must carry its token, which [may change](super::Context::set_token) during
    /// its life; without one it refuses them all.
    ///
    /// # Errors
    /// As [`RpcService::start_server`].
    pub fn start_fenced_server<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
        token: Option<FencingToken>,
    ) -> Result<RpcServer<E>, RpcError> {
        self.host_endpoint(name, endpoint, Some(Fence::changing(token)))
    }

    /// Hosts an endpoint whose calls must carry this token for its whole life, such as that of one term of a
    /// leader: another term is another endpoint.
    ///
    /// # Errors
    /// As [`RpcService::start_server`].
    pub fn start_permanently_fenced_server<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
        token: FencingToken,
    ) -> Result<RpcServer<E>, RpcError> {
        self.host_endpoint(name, endpoint, Some(Fence::permanent(token)))
    }

    fn host_endpoint<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
        fence: Option<Fence>,
    ) -> Result<RpcServer<E>, RpcError> {
        let address = RpcAddress::new(self.address().clone(), name);
        let shared: SharedOf<E> = self.register(name, |id| {
            EndpointShared::new(self.host(), id, address, E::Gateway::PROTOCOL, fence)
        })?;
        let (fenced, token) = (shared.fence.is_some(), shared.session().token);
        let created =
            RpcEvent::EndpointCreated { endpoint: shared.id, name: name.to_string(), fenced };
        self.host().announce(&created);
        if token.is_some() {
            self.host().announce(&RpcEvent::TokenChanged { endpoint: shared.id, token });
        }
        self.host().spawn(MainThread::new(self.clone(), shared.clone(), endpoint));
        Ok(RpcServer { service: self.clone(), shared })
    }
}

/// The owner's handle to an endpoint that its service hosts.
pub struct RpcServer<E: RpcEndpoint> {
    service: RpcService,
    shared: SharedOf<E>,
}

impl<E: RpcEndpoint> RpcServer<E> {
    /// Lets the endpoint take calls.
    pub fn start(&self) {
        self.shared.mailbox.push(Envelope::Start);
    }

    /// Lets the endpoint refuse calls until it is started again.
    pub fn stop(&self) {
        self.shared.mailbox.push(Envelope::Stop);
    }

    /// Begins to end the endpoint; see [`RpcServer::termination`].
    pub fn terminate(&self) {
        self.shared.mailbox.push(Envelope::Terminate);
    }

    /// Ready when the endpoint is gone and its name is free.
    pub fn termination(&self) -> impl Future<Output = Termination> + Send + use<E> {
        self.shared.end.wait()
    }

    /// Where the endpoint is found.
    pub fn address(&self) -> &RpcAddress {
        &self.shared.address
    }

    /// A gateway through the mailbox; it follows the token.
    pub fn self_gateway(&self) -> E::Gateway {
        self_gateway(&self.service, &self.shared)
    }

    /// A handle for closures.
    pub fn handle(&self) -> EndpointHandle<E> {
        EndpointHandle { shared: self.shared.clone() }
    }
}
