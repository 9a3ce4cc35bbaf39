//! The queue in front of an endpoint's main thread.

use super::{call::Call, error::RpcError, ids::Session};
use crate::host::{Cause, Host};
use futures::task::AtomicWaker;
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard},
    task::Poll,
};

/// Calls that wait in one mailbox at most; what comes beyond is answered with an error.
pub const MAILBOX_CALLS_MAX: usize = 65_536;
/// Bytes of arguments that wait in one mailbox at most.
pub const MAILBOX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One message for a main thread; `C` is what it runs besides calls.
pub(super) enum Envelope<C> {
    Start,
    Stop,
    Terminate,
    /// The endpoint's own `on_stop` is done.
    StopFinished(Result<(), String>),
    Invoke(Call),
    Run {
        closure: C,
        /// `Some` when it may only run in the session of its birth.
        birth: Option<Session>,
    },
}

/// What waits, and the cause under which it was put in.
type Queued<C> = (Envelope<C>, Cause);

struct Queue<C> {
    waiting: VecDeque<Queued<C>>,
    /// Of the calls' arguments.
    bytes: usize,
    closed: bool,
}

impl<C> Queue<C> {
    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < MAILBOX_CALLS_MAX
            && self.bytes.saturating_add(bytes) <= MAILBOX_BYTES_MAX
    }

    fn pop(&mut self) -> Option<Queued<C>> {
        let next = self.waiting.pop_front();
        if let Some((Envelope::Invoke(call), _)) = &next {
            self.bytes -= call.arguments.len();
        }
        next
    }
}

/// What waits for one endpoint.
pub(super) struct Mailbox<C> {
    host: Host,
    queue: Mutex<Queue<C>>,
    waker: AtomicWaker,
}

impl<C> Mailbox<C> {
    pub fn new(host: Host) -> Self {
        let queue = Queue { waiting: VecDeque::new(), bytes: 0, closed: false };
        Mailbox { host, queue: Mutex::new(queue), waker: AtomicWaker::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<C>> {
        self.queue.lock().expect("no panic under this lock")
    }

    /// Puts a control message or a closure in; dropped when the endpoint is gone.
    pub fn push(&self, envelope: Envelope<C>) {
        let refused = {
            let mut queue = self.lock();
            if queue.closed {
                Some(envelope)
            } else {
                queue.waiting.push_back((envelope, self.host.cause()));
                None
            }
        };
        self.waker.wake();
        drop(refused);
    }

    /// Puts a call in.
    pub fn invoke(&self, call: Call) {
        let refused = {
            let mut queue = self.lock();
            if queue.closed {
                Some((call, "terminated"))
            } else if !queue.has_room(call.arguments.len()) {
                Some((call, "its mailbox is full"))
            } else {
                queue.bytes += call.arguments.len();
                queue.waiting.push_back((Envelope::Invoke(call), self.host.cause()));
                None
            }
        };
        match refused {
            Some((call, why)) => call.refuse(RpcError::NotRunning(why.to_string())),
            None => self.waker.wake(),
        }
    }

    /// Waits for the next message; the cause under which it was put in is the current one from then on.
    pub async fn next(&self) -> Envelope<C> {
        let next = poll_fn(|cx| {
            if let Some(next) = self.lock().pop() {
                return Poll::Ready(next);
            }
            self.waker.register(cx.waker());
            match self.lock().pop() {
                Some(next) => Poll::Ready(next),
                None => Poll::Pending,
            }
        });
        let (envelope, cause) = next.await;
        self.host.continue_from(cause);
        envelope
    }

    /// Takes nothing more; returns what still waited.
    pub fn close(&self) -> VecDeque<Queued<C>> {
        let mut queue = self.lock();
        queue.closed = true;
        std::mem::take(&mut queue.waiting)
    }
}
