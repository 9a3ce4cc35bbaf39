//! The queue in front of an endpoint's main thread.

use super::{
    call::Call, end::Termination, error::RpcError, ids::SessionNumber, scheduled::Scheduled,
};
use crate::host::{Cause, Host};
use futures::task::AtomicWaker;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll},
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
    StopFinished(Termination),
    /// In a box: a mailbox keeps room for few and small messages.
    Invoke(Box<Call>),
    Run {
        closure: C,
        /// `Some` when it may only run in the session of its birth.
        birth: Option<SessionNumber>,
    },
    /// The time of scheduled work has come.
    Due(Scheduled),
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

    fn push(&mut self, envelope: Envelope<C>, cause: Cause) {
        if self.waiting.capacity() == 0 {
            // Most mailboxes hold one message at a time.
            self.waiting.reserve_exact(1);
        }
        self.waiting.push_back((envelope, cause));
    }

    /// The next message; an empty queue keeps no room, for there are many idle endpoints.
    fn pop(&mut self) -> Option<Queued<C>> {
        let next = self.waiting.pop_front();
        match &next {
            Some((Envelope::Invoke(call), _)) => self.bytes -= call.arguments.len(),
            Some(_) => {}
            None => self.waiting = VecDeque::new(),
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
                queue.push(envelope, self.host.cause());
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
                queue.push(Envelope::Invoke(Box::new(call)), self.host.cause());
                None
            }
        };
        match refused {
            Some((call, why)) => call.refuse(RpcError::NotRunning(why.to_string())),
            None => self.waker.wake(),
        }
    }

    /// The next message; the cause under which it was put in is the current one from then on.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Envelope<C>> {
        let next = self.lock().pop();
        let next = next.or_else(|| {
            self.waker.register(cx.waker());
            self.lock().pop()
        });
        let Some((envelope, cause)) = next else { return Poll::Pending };
        self.host.continue_from(cause);
        Poll::Ready(envelope)
    }

    /// Takes nothing more; returns what still waited.
    pub fn close(&self) -> VecDeque<Queued<C>> {
        let mut queue = self.lock();
        queue.closed = true;
        std::mem::take(&mut queue.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_keeps_no_room() {
        let mut queue = Queue::<()> { waiting: VecDeque::new(), bytes: 0, closed: false };
        let cause: Cause = Default::default();
        queue.push(Envelope::Start, cause);
        assert_eq!(queue.waiting.capacity(), 1);
        for _ in 0..100 {
            queue.push(Envelope::Stop, cause);
        }
        for _ in 0..101 {
            assert!(queue.pop().is_some());
        }
        assert!(queue.pop().is_none());
        assert_eq!(queue.waiting.capacity(), 0);
    }
}
