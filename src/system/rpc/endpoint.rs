//! Endpoints: actors whose state one main thread owns.

use super::{
    EndpointId, FencingToken, Gateway, RpcAddress, RpcError, RpcService, Serves,
    gateway::{Call, RpcClient, Target, TokenSource},
    mailbox::{Closure, Envelope, Mailbox},
    service::Registered,
};
use crate::{
    host::{Host, Kind, Sabotage, Task},
    system::event::RpcEvent,
};
use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, Shared},
};
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

const CLOSURE: Kind = Kind::new("closure");

/// What `on_stop` leaves to be done before the endpoint is gone.
pub type StopFuture = BoxFuture<'static, Result<(), String>>;

/// An actor. Its handlers, closures and life-cycle methods all run on its main thread.
pub trait RpcEndpoint: Sized + Send + 'static {
    /// What it speaks.
    type Gateway: Serves<Self>;

    /// Whether calls still reach its handlers between `on_stop` and the end of the future that it
    /// returns. By default they are answered with [`RpcError::GoingAway`]: what an `on_stop` has
    /// dismantled must not be taken for a fact.
    const SERVES_WHILE_STOPPING: bool = false;

    /// Runs once, on the main thread, when the endpoint is started for the first time.
    ///
    /// # Errors
    /// An error terminates the endpoint and becomes its termination's.
    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        let _ = context;
        Ok(())
    }

    /// Runs once, on the main thread, when the endpoint is to terminate. Continuations and closures run
    /// until the returned future is done; calls as [`SERVES_WHILE_STOPPING`] says.
    ///
    /// [`SERVES_WHILE_STOPPING`]: Self::SERVES_WHILE_STOPPING
    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        let _ = context;
        async { Ok(()) }.boxed()
    }
}

/// How an endpoint ended: well, or with this error.
pub type Termination = Result<(), String>;

/// A span of an endpoint's life with one token. A token that comes back begins another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    token: Option<FencingToken>,
    number: u64,
}

/// What the handles to one endpoint share.
pub(super) struct EndpointShared<E: RpcEndpoint> {
    pub id: EndpointId,
    pub address: RpcAddress,
    pub fenced: bool,
    /// Written on the main thread only.
    session: Mutex<Session>,
    pub mailbox: Mailbox<E>,
}

impl<E: RpcEndpoint> EndpointShared<E> {
    pub fn new(
        id: EndpointId,
        address: RpcAddress,
        fenced: bool,
        token: Option<FencingToken>,
    ) -> Self {
        let session = Mutex::new(Session { token, number: 0 });
        EndpointShared { id, address, fenced, session, mailbox: Mailbox::new() }
    }

    fn session(&self) -> Session {
        *self.session.lock().expect("no panic under this lock")
    }
}

impl<E: RpcEndpoint> Registered for EndpointShared<E> {
    fn invoke(&self, call: Call) {
        self.mailbox.invoke(call);
    }

    fn terminate(&self) {
        self.mailbox.push(Envelope::Terminate);
    }

    fn token(&self) -> Option<FencingToken> {
        self.session().token
    }

    fn protocol(&self) -> &'static super::Protocol {
        E::Gateway::PROTOCOL
    }
}

/// What an endpoint's code sees of its own main thread.
pub struct Context<E: RpcEndpoint> {
    service: RpcService,
    shared: Arc<EndpointShared<E>>,
    failed: Option<String>,
}

impl<E: RpcEndpoint> Context<E> {
    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.service.host()
    }

    /// The service that hosts the endpoint.
    pub fn service(&self) -> &RpcService {
        &self.service
    }

    /// The endpoint's address.
    pub fn address(&self) -> &RpcAddress {
        &self.shared.address
    }

    /// The endpoint's fencing token.
    pub fn token(&self) -> Option<FencingToken> {
        self.shared.token()
    }

    /// Changes the fencing token: calls of another token and all continuations born until now are
    /// dead from here on. Setting the token that holds already changes nothing.
    pub fn set_token(&mut self, token: Option<FencingToken>) {
        assert!(self.shared.fenced, "only a fenced endpoint has a token");
        {
            let mut session = self.shared.session.lock().expect("no panic under this lock");
            if session.token == token {
                return;
            }
            *session = Session { token, number: session.number + 1 };
        }
        self.host().announce(&RpcEvent::TokenChanged { endpoint: self.shared.id, token });
    }

    /// A gateway to the endpoint itself, through its mailbox; it follows the token.
    pub fn self_gateway(&self) -> E::Gateway {
        self_gateway(&self.service, &self.shared)
    }

    /// A handle that other tasks can use.
    pub fn handle(&self) -> EndpointHandle<E> {
        EndpointHandle { shared: self.shared.clone() }
    }

    /// An executor bound to the present token: closures given to it are dropped once it changed.
    pub fn executor(&self) -> MainThreadExecutor<E> {
        MainThreadExecutor { shared: self.shared.clone(), birth: self.shared.session() }
    }

    /// Runs `closure` on the main thread after `delay`, unless the token has changed by then.
    pub fn schedule(
        &self,
        delay: Duration,
        closure: impl FnOnce(&mut E, &mut Context<E>) + Send + 'static,
    ) {
        let (executor, sleep) = (self.executor(), self.host().sleep(delay));
        self.host().spawn(async move {
            sleep.await;
            executor.execute(closure);
        });
    }

    /// Runs `work` beside the main thread and then `then` on it, unless the token has changed.
    pub fn spawn_then<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(&mut E, &mut Context<E>, T) + Send + 'static,
    ) -> Task {
        let executor = self.executor();
        self.host().spawn(async move {
            let output = work.await;
            executor.execute(move |endpoint, context| then(endpoint, context, output));
        })
    }

    /// Terminates the endpoint after this handler, with an error and without `on_stop`. Once
    /// `on_stop` was called, its future is still waited for.
    pub fn fail(&mut self, error: impl Into<String>) {
        self.failed = Some(error.into());
    }
}

fn self_gateway<E: RpcEndpoint>(
    service: &RpcService,
    shared: &Arc<EndpointShared<E>>,
) -> E::Gateway {
    let registered: Arc<dyn Registered> = shared.clone();
    E::Gateway::from_client(RpcClient {
        service: service.clone(),
        address: shared.address.clone(),
        target: Target::Local(registered.clone()),
        token: TokenSource::Own(registered),
        timeout: service.config().ask_timeout,
    })
}

/// Reaches an endpoint's main thread from other tasks of its process.
pub struct EndpointHandle<E: RpcEndpoint> {
    shared: Arc<EndpointShared<E>>,
}

impl<E: RpcEndpoint> Clone for EndpointHandle<E> {
    fn clone(&self) -> Self {
        EndpointHandle { shared: self.shared.clone() }
    }
}

impl<E: RpcEndpoint> EndpointHandle<E> {
    /// Runs a closure on the main thread, whatever the token is by then; for life-cycle events.
    pub fn run_without_fencing(
        &self,
        closure: impl FnOnce(&mut E, &mut Context<E>) + Send + 'static,
    ) {
        let closure: Closure<E> = Box::new(closure);
        self.shared.mailbox.push(Envelope::Run { closure, birth: None });
    }
}

/// Runs closures on the main thread while the token is still that of the executor's birth.
pub struct MainThreadExecutor<E: RpcEndpoint> {
    shared: Arc<EndpointShared<E>>,
    birth: Session,
}

impl<E: RpcEndpoint> MainThreadExecutor<E> {
    /// Puts a closure in the mailbox.
    pub fn execute(&self, closure: impl FnOnce(&mut E, &mut Context<E>) + Send + 'static) {
        let closure: Closure<E> = Box::new(closure);
        self.shared.mailbox.push(Envelope::Run { closure, birth: Some(self.birth) });
    }
}

/// The owner's handle to an endpoint that its service hosts.
pub struct RpcServer<E: RpcEndpoint> {
    service: RpcService,
    shared: Arc<EndpointShared<E>>,
    termination: Shared<oneshot::Receiver<Termination>>,
}

impl<E: RpcEndpoint> RpcServer<E> {
    pub(super) fn start_main_thread(
        service: RpcService,
        shared: Arc<EndpointShared<E>>,
        endpoint: E,
    ) -> Self {
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
            if self.state != State::Terminating
                && let Some(error) = self.context.failed.take()
            {
                self.announce_stop();
                break Err(error);
            }
        };
        for envelope in shared.mailbox.close() {
            if let Envelope::Invoke(call) = envelope {
                call.refuse(RpcError::NotRunning("terminated".to_string()));
            }
        }
        drop(self);
        service.forget(&shared.address.path, shared.id);
        service.host().announce(&RpcEvent::EndpointTerminated { endpoint: shared.id });
        let _ = ended.send(termination);
    }

    fn handle(&mut self, envelope: Envelope<E>) -> Option<Termination> {
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
            if !admitted && !self.context.host().sabotaged(Sabotage::StaleTokenAccepted) {
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
