//! The main thread of an endpoint: one task that owns its state and handles one message at a time.

use super::{
    call::Call,
    end::{Termination, died},
    endpoint::{Closure, Context, RpcEndpoint, Serves, SharedOf, Work},
    error::RpcError,
    event::RpcEvent,
    ids::{FencingToken, SessionNumber},
    mailbox::Envelope,
    scheduled::{Schedule, Scheduled},
    service::RpcService,
};
use crate::host::Kind;
use futures::FutureExt;
use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    task::{self, Poll, ready},
};

const CLOSURE: Kind = Kind::new("closure");
const ON_START: Kind = Kind::new("on_start");
const ON_STOP: Kind = Kind::new("on_stop");

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Created,
    Started,
    Stopped,
    /// `on_stop` was called; its future still runs.
    Terminating,
}

/// Runs an endpoint to its end. A future by hand, since there may be very many of them: what an `async` block
/// keeps takes its room several times.
pub(super) struct MainThread<E: RpcEndpoint> {
    /// Until the end.
    life: Option<Life<E>>,
}

/// Nothing of it is pinned.
impl<E: RpcEndpoint> Unpin for MainThread<E> {}

struct Life<E: RpcEndpoint> {
    endpoint: E,
    context: Context<E>,
    state: State,
}

impl<E: RpcEndpoint> MainThread<E> {
    /// The endpoint has not started.
    pub fn new(service: RpcService, shared: SharedOf<E>, endpoint: E) -> Self {
        let context =
            Context { service, shared, failed: None, running: false, schedule: RefCell::default() };
        MainThread { life: Some(Life { endpoint, context, state: State::Created }) }
    }
}

impl<E: RpcEndpoint> Future for MainThread<E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let life = self.life.as_mut().expect("a future is not polled once it is ready");
        let termination = loop {
            let envelope = ready!(life.context.shared.mailbox.poll_next(cx));
            if let Some(termination) = life.step(envelope) {
                break termination;
            }
        };
        self.life.take().expect("it was there just now").end(&termination);
        Poll::Ready(())
    }
}

impl<E: RpcEndpoint> Drop for MainThread<E> {
    fn drop(&mut self) {
        if let Some(life) = &self.life {
            life.context.shared.end.tell(&died());
        }
    }
}

impl<E: RpcEndpoint> Life<E> {
    /// Handles a message; the endpoint's end, if it has come.
    fn step(&mut self, envelope: Envelope<Closure<E>>) -> Option<Termination> {
        if let Some(termination) = self.handle(envelope) {
            return Some(termination);
        }
        if self.context.host().checks_invariants() {
            self.endpoint.check_invariants();
        }
        if self.state == State::Terminating {
            return None;
        }
        let error = self.context.failed.take()?;
        self.announce_stop();
        Some(Err(error))
    }

    /// Refuses what still waits, and lets the name go.
    fn end(self, termination: &Termination) {
        let Life { endpoint, context, .. } = self;
        context.cancel_all();
        let (service, shared) = (context.service.clone(), context.shared.clone());
        for (envelope, cause) in shared.mailbox.close() {
            if let Envelope::Invoke(call) = envelope {
                let refuse = || call.refuse(RpcError::NotRunning("terminated".to_string()));
                service.host().with_cause(cause, refuse);
            }
        }
        drop((endpoint, context));
        service.forget(&*shared);
        service.host().announce(&RpcEvent::EndpointTerminated { endpoint: shared.id });
        shared.end.tell(termination);
    }

    fn handle(&mut self, envelope: Envelope<Closure<E>>) -> Option<Termination> {
        match envelope {
            Envelope::Start => return self.start(),
            Envelope::Stop if self.state == State::Started => {
                self.announce_stop();
                self.state = State::Stopped;
                self.context.running = false;
            }
            Envelope::Stop => {}
            Envelope::Terminate => return self.terminate(),
            Envelope::StopFinished(termination) => {
                self.announce_stop();
                return Some(self.context.failed.take().map_or(termination, Err));
            }
            Envelope::Invoke(call) => self.invoke(*call),
            Envelope::Run { closure, birth } => self.run_closure(closure, birth),
            Envelope::Due(scheduled) => self.run_scheduled(scheduled),
        }
        None
    }

    fn announce_stop(&self) {
        let endpoint = self.context.shared.id;
        if self.serves() {
            self.context.host().announce(&RpcEvent::EndpointStopped { endpoint });
        }
    }

    fn announce_start(&self) {
        let endpoint = self.context.shared.id;
        self.context.host().announce(&RpcEvent::EndpointStarted { endpoint });
    }

    fn start(&mut self) -> Option<Termination> {
        let first = match self.state {
            State::Created => true,
            State::Stopped => false,
            State::Started | State::Terminating => return None,
        };
        self.announce_start();
        self.state = State::Started;
        self.context.running = true;
        if first
            && let Err(error) =
                self.timed(ON_START, |life| life.endpoint.on_start(&mut life.context))
        {
            self.announce_stop();
            return Some(Err(error));
        }
        None
    }

    fn terminate(&mut self) -> Option<Termination> {
        match self.state {
            State::Terminating => return None,
            // Nothing of it ever ran, so there is nothing to stop.
            State::Created => return Some(Ok(())),
            State::Started => {}
            State::Stopped => self.announce_start(),
        }
        self.state = State::Terminating;
        self.context.running = false;
        if self.context.host().sabotaged(crate::system::sabotage::STOP_TOLD_TOO_EARLY) {
            self.announce_stop();
        }
        let mut stop = self.timed(ON_STOP, |life| life.endpoint.on_stop(&mut life.context));
        let shared = self.context.shared.clone();
        // Most stops are done at once and take no task.
        match (&mut stop).now_or_never() {
            Some(termination) => shared.mailbox.push(Envelope::StopFinished(termination)),
            None => drop(self.context.host().spawn(async move {
                let termination = stop.await;
                shared.mailbox.push(Envelope::StopFinished(termination));
            })),
        }
        None
    }

    /// Whether closures run, and calls as far as the endpoint takes them.
    fn serves(&self) -> bool {
        matches!(self.state, State::Started | State::Terminating)
    }

    /// Why a call is not handled, if so.
    fn refusal(&self, call: &Call) -> Option<RpcError> {
        if !self.serves() {
            return Some(RpcError::NotRunning("not started".to_string()));
        }
        let shared = &self.context.shared;
        if !shared.admits(call.token)
            && !self.context.host().sabotaged(crate::system::sabotage::STALE_TOKEN_ACCEPTED)
        {
            return Some(RpcError::Fencing { expected: self.context.token(), found: call.token });
        }
        (self.state == State::Terminating && !E::SERVES_WHILE_STOPPING)
            .then_some(RpcError::GoingAway)
    }

    fn invoke(&mut self, call: Call) {
        let (endpoint, kind) = (self.context.shared.id, call.kind);
        if let Some(error) = self.refusal(&call) {
            let reason = error.name();
            self.context.host().announce(&RpcEvent::CallRefused { endpoint, kind, reason });
            return call.refuse(error);
        }
        self.announce_handler(kind, call.sender, call.call, call.token);
        self.timed(kind, |life| E::Gateway::dispatch(&mut life.endpoint, &mut life.context, call));
        self.context.host().announce(&RpcEvent::HandlerEnded { endpoint });
    }

    fn announce_handler(&self, kind: Kind, sender: u64, call: u64, token: Option<FencingToken>) {
        let endpoint = self.context.shared.id;
        let event = RpcEvent::HandlerStarted { endpoint, kind, sender, call, token };
        self.context.host().announce(&event);
    }

    fn run_closure(&mut self, closure: Closure<E>, birth: Option<SessionNumber>) {
        let session = self.context.shared.session();
        if self.serves() && birth.is_none_or(|birth| birth == session.number) {
            self.run(|life| closure(&mut life.endpoint, &mut life.context));
        }
    }

    fn run(&mut self, work: impl FnOnce(&mut Self)) {
        let host = self.context.host();
        self.announce_handler(CLOSURE, host.incarnation(), 0, self.context.token());
        self.timed(CLOSURE, work);
        let endpoint = self.context.shared.id;
        self.context.host().announce(&RpcEvent::HandlerEnded { endpoint });
    }

    /// What was scheduled under a former token was canceled as that changed.
    fn run_scheduled(&mut self, name: Scheduled) {
        let Some(work) = self.schedule().and_then(|schedule| schedule.begin(name)) else { return };
        match work {
            Work::Once(closure) => {
                if let Some(schedule) = self.schedule() {
                    schedule.end(name);
                }
                if self.serves() {
                    self.run(|life| closure(&mut life.endpoint, &mut life.context));
                }
            }
            Work::Every { period, due, mut closure } => {
                if self.serves() {
                    self.run(|life| closure(&mut life.endpoint, &mut life.context));
                }
                let due = self.context.host().now().next_tick(due, period);
                self.context.renew(name, Work::Every { period, due, closure }, due);
            }
        }
    }

    fn schedule(&mut self) -> Option<&mut Schedule<Work<E>>> {
        self.context.schedule.get_mut().as_deref_mut()
    }

    /// Does `work` and announces it if it held the main thread for too long, as the node's clock shows. In
    /// simulation no time passes while code runs.
    fn timed<T>(&mut self, kind: Kind, work: impl FnOnce(&mut Self) -> T) -> T {
        let begin = self.context.host().now();
        let output = work(self);
        let took = self.context.host().now().saturating_since(begin);
        if took > self.context.service.config().handler_time_max {
            let (endpoint, name) = (self.context.shared.id, self.context.address().path.clone());
            self.context.host().announce(&RpcEvent::MainThreadHeld { endpoint, name, kind, took });
        }
        output
    }
}
