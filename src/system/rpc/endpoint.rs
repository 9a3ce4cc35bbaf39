//! Endpoints: actors whose state one main thread owns, and what their code sees of it.

use super::{
    address::RpcAddress,
    call::Call,
    event::RpcEvent,
    gateway::{Gateway, RpcClient, Target, TokenSource},
    ids::{EndpointId, FencingToken, Session},
    mailbox::{Envelope, Mailbox},
    protocol::Protocol,
    recipient::Registered,
    service::RpcService,
};
use crate::host::{Host, Task};
use futures::{FutureExt, future::BoxFuture};
use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What `on_stop` leaves to be done before the endpoint is gone.
pub type StopFuture = BoxFuture<'static, Result<(), String>>;

/// An actor. Its handlers, closures and life-cycle methods all run on its main thread.
pub trait RpcEndpoint: Sized + Send + 'static {
    /// What it speaks.
    type Gateway: Serves<Self>;

    /// Whether calls still reach its handlers between `on_stop` and the end of the future that it
    /// returns. By default they are answered with [`RpcError::GoingAway`](super::RpcError::GoingAway): what an `on_stop` has
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

    /// Panics if something of the state is not as it must be between two messages. Called after each of them
    /// where the host [checks invariants](Host::checks_invariants).
    fn check_invariants(&self) {}
}

/// A gateway whose calls an endpoint of type `E` can handle.
pub trait Serves<E: RpcEndpoint>: Gateway {
    /// Decodes a call and hands it to the endpoint's handler.
    fn dispatch(endpoint: &mut E, context: &mut Context<E>, call: Call);
}

/// A closure for an endpoint's main thread.
pub(super) type Closure<E> = Box<dyn FnOnce(&mut E, &mut Context<E>) + Send>;

/// What the handles to one endpoint share.
pub(super) struct EndpointShared<E: RpcEndpoint> {
    pub id: EndpointId,
    pub address: RpcAddress,
    pub fenced: bool,
    /// Written on the main thread only.
    session: Mutex<Session>,
    pub mailbox: Mailbox<Closure<E>>,
}

impl<E: RpcEndpoint> EndpointShared<E> {
    pub fn new(
        host: &Host,
        id: EndpointId,
        address: RpcAddress,
        fenced: bool,
        token: Option<FencingToken>,
    ) -> Self {
        let session = Mutex::new(Session { token, number: 0 });
        let mailbox = Mailbox::new(host.clone());
        EndpointShared { id, address, fenced, session, mailbox }
    }

    pub fn session(&self) -> Session {
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

    fn protocol(&self) -> &'static Protocol {
        E::Gateway::PROTOCOL
    }
}

/// What an endpoint's code sees of its own main thread.
pub struct Context<E: RpcEndpoint> {
    pub(super) service: RpcService,
    pub(super) shared: Arc<EndpointShared<E>>,
    pub(super) failed: Option<String>,
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

impl<E: RpcEndpoint> fmt::Debug for Context<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.address())
    }
}

/// A gateway to an endpoint of this process, through its mailbox; it follows the token.
pub(super) fn self_gateway<E: RpcEndpoint>(
    service: &RpcService,
    shared: &Arc<EndpointShared<E>>,
) -> E::Gateway {
    let registered: Arc<dyn Registered> = shared.clone();
    E::Gateway::from_client(RpcClient {
        socket: service.socket().clone(),
        address: shared.address.clone(),
        target: Target::Local(registered.clone()),
        token: TokenSource::Own(registered),
        timeout: service.config().ask_timeout,
    })
}

/// Reaches an endpoint's main thread from other tasks of its process.
pub struct EndpointHandle<E: RpcEndpoint> {
    pub(super) shared: Arc<EndpointShared<E>>,
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
