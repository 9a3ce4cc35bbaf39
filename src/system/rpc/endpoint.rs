//! Endpoints: actors whose state one main thread owns, and what their code sees of it.

use super::{
    address::RpcAddress,
    call::Call,
    end::Termination,
    error::RpcError,
    event::RpcEvent,
    gateway::{Gateway, RpcClient, Target, TokenSource},
    ids::{FencingToken, SessionNumber},
    mailbox::Envelope,
    recipient::Registered,
    scheduled::{Schedule, Scheduled},
    service::RpcService,
    shared::EndpointShared,
};
use crate::host::{Host, Instant, Sleep, Task};
use futures::{FutureExt, channel::oneshot, future::BoxFuture};
use std::{cell::RefCell, fmt, future::Future, sync::Arc, time::Duration};

/// What `on_stop` leaves to be done before the endpoint is gone.
pub type StopFuture = BoxFuture<'static, Termination>;

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

/// What the handles to an endpoint of type `E` share.
pub(super) type SharedOf<E> = Arc<EndpointShared<Closure<E>>>;

/// A closure that runs again and again.
type PeriodicClosure<E> = Box<dyn FnMut(&mut E, &mut Context<E>) + Send>;

/// What a main thread has put off.
pub(super) enum Work<E: RpcEndpoint> {
    Once(Closure<E>),
    Every {
        period: Duration,
        /// When it is due.
        due: Instant,
        closure: PeriodicClosure<E>,
    },
}

/// What an endpoint's code sees of its own main thread.
pub struct Context<E: RpcEndpoint> {
    pub(super) service: RpcService,
    pub(super) shared: SharedOf<E>,
    pub(super) failed: Option<String>,
    /// Whether it has started and `on_stop` was not called.
    pub(super) running: bool,
    /// In a box once there is some: most have none.
    pub(super) schedule: RefCell<Option<Box<Schedule<Work<E>>>>>,
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

    /// Whether it takes calls: false from the moment at which it is to stop or terminate, also while it still
    /// serves.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Changes the fencing token: calls of another token, continuations born and work scheduled until now are
    /// dead from here on. Setting the token that holds already changes nothing.
    ///
    /// # Panics
    /// When the endpoint is not one whose token [may change](RpcService::start_fenced_server).
    pub fn set_token(&mut self, token: Option<FencingToken>) {
        let fence = self.shared.fence.as_ref().expect("only a fenced endpoint has a token");
        if fence.begin_session(token) {
            self.cancel_all();
            self.host().announce(&RpcEvent::TokenChanged { endpoint: self.shared.id, token });
        }
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
        MainThreadExecutor { shared: self.shared.clone(), birth: self.shared.session().number }
    }

    /// Runs `closure` on the main thread after `delay`, unless the token has changed, the work was
    /// [canceled](Context::cancel) or the endpoint has stopped by then.
    pub fn schedule(
        &self,
        delay: Duration,
        closure: impl FnOnce(&mut E, &mut Context<E>) + Send + 'static,
    ) -> Scheduled {
        let sleep = self.host().sleep(delay);
        self.add(Work::Once(Box::new(closure)), sleep)
    }

    /// Runs `closure` on the main thread after each `period`, until the token changes, it is
    /// [canceled](Context::cancel) or the endpoint ends. What is due while the closure waits or runs, or while the
    /// endpoint is stopped, is left out and not made up for.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn schedule_every(
        &self,
        period: Duration,
        closure: impl FnMut(&mut E, &mut Context<E>) + Send + 'static,
    ) -> Scheduled {
        assert!(!period.is_zero(), "work that is repeated needs a period");
        let due = self.host().now() + period;
        let work = Work::Every { period, due, closure: Box::new(closure) };
        self.add(work, self.host().sleep_until(due))
    }

    fn add(&self, work: Work<E>, sleep: Sleep) -> Scheduled {
        let mut schedule = self.schedule.borrow_mut();
        schedule.get_or_insert_default().add(work, |name| self.set_timer(name, sleep))
    }

    /// Lets work run again when it is due, unless it was canceled meanwhile.
    pub(super) fn renew(&self, name: Scheduled, work: Work<E>, due: Instant) {
        let mut schedule = self.schedule.borrow_mut();
        let timer = || self.set_timer(name, self.host().sleep_until(due));
        schedule.get_or_insert_default().renew(name, work, timer);
    }

    /// Tells the main thread when the time of scheduled work has come.
    fn set_timer(&self, name: Scheduled, sleep: Sleep) -> Task {
        let shared = self.shared.clone();
        self.host().spawn(async move {
            sleep.await;
            shared.mailbox.push(Envelope::Due(name));
        })
    }

    /// Takes scheduled work back, also from within it; nothing happens when it has run, or is of a former token.
    pub fn cancel(&self, scheduled: Scheduled) {
        let canceled =
            self.schedule.borrow_mut().as_mut().map(|schedule| schedule.cancel(scheduled));
        drop(canceled);
    }

    /// Takes back all that is scheduled.
    pub(super) fn cancel_all(&self) {
        let canceled = self.schedule.borrow_mut().as_mut().map(|schedule| schedule.cancel_all());
        drop(canceled);
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
    shared: &SharedOf<E>,
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
    pub(super) shared: SharedOf<E>,
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
    shared: SharedOf<E>,
    birth: SessionNumber,
}

impl<E: RpcEndpoint> MainThreadExecutor<E> {
    /// Puts a closure in the mailbox.
    pub fn execute(&self, closure: impl FnOnce(&mut E, &mut Context<E>) + Send + 'static) {
        let closure: Closure<E> = Box::new(closure);
        self.shared.mailbox.push(Envelope::Run { closure, birth: Some(self.birth) });
    }

    /// Runs a closure on the main thread and tells what it came to.
    ///
    /// # Errors
    /// [`RpcError::NotRunning`] when it was dropped: the token has changed, or the endpoint doesn't run. Give it a
    /// bound by [`Host::timeout`].
    pub fn call<T: Send + 'static, F>(
        &self,
        closure: F,
    ) -> impl Future<Output = Result<T, RpcError>> + Send + use<E, T, F>
    where
        F: FnOnce(&mut E, &mut Context<E>) -> T + Send + 'static,
    {
        let (done, output) = oneshot::channel();
        self.execute(move |endpoint, context| {
            // The caller may have lost interest.
            let _ = done.send(closure(endpoint, context));
        });
        async move {
            output.await.map_err(|_| RpcError::NotRunning("the closure was dropped".to_string()))
        }
    }
}
