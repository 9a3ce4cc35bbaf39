//! Endpoints as their owners host, start and end them, and the main thread on which they run.

use super::{
    address::RpcAddress,
    call::Call,
    endpoint::{
        Closure, Context, EndpointHandle, EndpointShared, RpcEndpoint, Serves, self_gateway,
    },
    error::RpcError,
    event::RpcEvent,
    ids::{FencingToken, Session},
    mailbox::Envelope,
    service::RpcService,
};
use crate::host::Kind;
use futures::{FutureExt, channel::oneshot, future::Shared};
use std::{future::Future, sync::Arc};

const CLOSURE: Kind = Kind::new("closure");

/// How an endpoint ended: well, or with this error.
pub type Termination = Result<(), String>;

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
        self.host_endpoint(name, endpoint, false, None)
    }

    /// Hosts an endpoint whose calls must carry its token; without one it refuses them all.
    ///
    /// # Errors
    /// As [`RpcService::start_server`].
    pub fn start_fenced_server<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
        token: Option<FencingToken>,
    ) -> Result<RpcServer<E>, RpcError> {
        self.host_endpoint(name, endpoint, true, token)
    }

    fn host_endpoint<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
        fenced: bool,
        token: Option<FencingToken>,
    ) -> Result<RpcServer<E>, RpcError> {
        let address = RpcAddress::new(self.address().clone(), name);
        let new = |id| EndpointShared::<E>::new(self.host(), id, address, fenced, token);
        let shared = self.register(name, new)?;
        let created =
            RpcEvent::EndpointCreated { endpoint: shared.id, name: name.to_string(), fenced };
        self.host().announce(&created);
        if token.is_some() {
            self.host().announce(&RpcEvent::TokenChanged { endpoint: shared.id, token });
        }
        Ok(RpcServer::start_main_thread(self.clone(), shared, endpoint))
    }
}

/// The owner's handle to an endpoint that its service hosts.
pub struct RpcServer<E: RpcEndpoint> {
    service: RpcService,
    shared: Arc<EndpointShared<E>>,
    termination: Shared<oneshot::Receiver<Termination>>,
}

impl<E: RpcEndpoint> RpcServer<E> {
    fn start_main_thread(service: RpcService, shared: Arc<EndpointShared<E>>, endpoint: E) -> Self {
        let (ended, termination) = oneshot::channel();
        let main = MainThread {
            endpoint,
            context: Context { service: service.clone(), shared: shared.clone(), failed: None },
            state: State::Created,
        };
        service.host().spawn(main.run(ended));
        RpcServer { service, shared, termination: termination.shared() }
    }

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
        let termination = self.termination.clone();
        async move { termination.await.unwrap_or_else(|_| Err("its process died".to_string())) }
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Created,
    Started,
    Stopped,
    /// `on_stop` was called; its future still runs.
    Terminating,
}

struct MainThread<E: RpcEndpoint> {
    endpoint: E,
    context: Context<E>,
    state: State,
}

impl<E: RpcEndpoint> MainThread<E> {
    async fn run(mut self, ended: oneshot::Sender<Termination>) {
        let shared = self.context.shared.clone();
        let service = self.context.service.clone();
        let termination = loop {
            let envelope = shared.mailbox.next().await;
            if let Some(termination) = self.handle(envelope) {
                break termination;
            }
            if service.host().checks_invariants() {
                self.endpoint.check_invariants();
            }
            if self.state != State::Terminating
                && let Some(error) = self.context.failed.take()
            {
                self.announce_stop();
                break Err(error);
            }
        };
        for (envelope, cause) in shared.mailbox.close() {
            if let Envelope::Invoke(call) = envelope {
                let refuse = || call.refuse(RpcError::NotRunning("terminated".to_string()));
                service.host().with_cause(cause, refuse);
            }
        }
        drop(self);
        service.forget(&shared.address.path, shared.id);
        service.host().announce(&RpcEvent::EndpointTerminated { endpoint: shared.id });
        let _ = ended.send(termination);
    }

    fn handle(&mut self, envelope: Envelope<Closure<E>>) -> Option<Termination> {
        match envelope {
            Envelope::Start => return self.start(),
            Envelope::Stop if self.state == State::Started => {
                self.announce_stop();
                self.state = State::Stopped;
            }
            Envelope::Stop => {}
            Envelope::Terminate => return self.terminate(),
            Envelope::StopFinished(termination) => {
                self.announce_stop();
                return Some(self.context.failed.take().map_or(termination, Err));
            }
            Envelope::Invoke(call) => self.invoke(call),
            Envelope::Run { closure, birth } => self.run_closure(closure, birth),
        }
        None
    }

    fn announce_stop(&self) {
        let endpoint = self.context.shared.id;
        if matches!(self.state, State::Started | State::Terminating) {
            self.context.host().announce(&RpcEvent::EndpointStopped { endpoint });
        }
    }

    fn start(&mut self) -> Option<Termination> {
        let first = match self.state {
            State::Created => true,
            State::Stopped => false,
            State::Started | State::Terminating => return None,
        };
        let endpoint = self.context.shared.id;
        self.context.host().announce(&RpcEvent::EndpointStarted { endpoint });
        self.state = State::Started;
        if first && let Err(error) = self.endpoint.on_start(&mut self.context) {
            self.announce_stop();
            return Some(Err(error));
        }
        None
    }

    fn terminate(&mut self) -> Option<Termination> {
        match self.state {
            State::Terminating => None,
            // Nothing of it ever ran, so there is nothing to stop.
            State::Created => Some(Ok(())),
            State::Started | State::Stopped => {
                if self.state == State::Stopped {
                    let endpoint = self.context.shared.id;
                    self.context.host().announce(&RpcEvent::EndpointStarted { endpoint });
                }
                self.state = State::Terminating;
                let stop = self.endpoint.on_stop(&mut self.context);
                let shared = self.context.shared.clone();
                self.context.host().spawn(async move {
                    let termination = stop.await;
                    shared.mailbox.push(Envelope::StopFinished(termination));
                });
                None
            }
        }
    }

    fn running(&self) -> bool {
        matches!(self.state, State::Started | State::Terminating)
    }

    fn invoke(&mut self, call: Call) {
        let refusal = if !self.running() {
            Some(RpcError::NotRunning("not started".to_string()))
        } else {
            let expected = self.context.token();
            let found = call.token;
            let admitted = match self.context.shared.fenced {
                true => expected.is_some() && expected == found,
                false => found.is_none(),
            };
            if !admitted
                && !self.context.host().sabotaged(crate::system::sabotage::STALE_TOKEN_ACCEPTED)
            {
                Some(RpcError::Fencing { expected, found })
            } else if self.state == State::Terminating && !E::SERVES_WHILE_STOPPING {
                Some(RpcError::GoingAway)
            } else {
                None
            }
        };
        let (endpoint, kind) = (self.context.shared.id, call.kind);
        if let Some(error) = refusal {
            let reason = error.name();
            self.context.host().announce(&RpcEvent::CallRefused { endpoint, kind, reason });
            return call.refuse(error);
        }
        self.announce_handler(kind, call.sender, call.call, call.token);
        E::Gateway::dispatch(&mut self.endpoint, &mut self.context, call);
        self.context.host().announce(&RpcEvent::HandlerEnded { endpoint });
    }

    fn announce_handler(&self, kind: Kind, sender: u64, call: u64, token: Option<FencingToken>) {
        let endpoint = self.context.shared.id;
        let event = RpcEvent::HandlerStarted { endpoint, kind, sender, call, token };
        self.context.host().announce(&event);
    }

    fn run_closure(&mut self, closure: Closure<E>, birth: Option<Session>) {
        let session = self.context.shared.session();
        if !self.running() || birth.is_some_and(|birth| birth != session) {
            return;
        }
        let token = birth.unwrap_or(session).token;
        self.announce_handler(CLOSURE, self.context.host().incarnation(), 0, token);
        closure(&mut self.endpoint, &mut self.context);
        let endpoint = self.context.shared.id;
        self.context.host().announce(&RpcEvent::HandlerEnded { endpoint });
    }
}
