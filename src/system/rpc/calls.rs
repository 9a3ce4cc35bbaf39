//! Asks that wait for their answer, and the one queue of their deadlines.

use super::{
    error::RpcError,
    event::{AskOutcome, RpcEvent},
};
use crate::{
    host::{Cause, Host, Instant, Kind, Sleep},
    system::sabotage,
};
use bytes::Bytes;
use futures::{channel::oneshot, task::AtomicWaker};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
    time::Duration,
};

type Answer = Result<Bytes, RpcError>;

/// An answer, and the cause under which it came.
type Answered = (Answer, Cause);

struct Pending {
    deadline: Instant,
    /// Under which it was asked.
    cause: Cause,
    answer: oneshot::Sender<Answered>,
}

#[derive(Default)]
struct Table {
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// When the timer is going to look next, if it sleeps.
    timer_looks: Option<Instant>,
    closed: bool,
}

/// When the timer looks at the deadlines next, and its wait for that.
pub(super) type Wakeup = (Instant, Pin<Box<Sleep>>);

/// The pending asks of one service.
pub(super) struct Calls {
    host: Host,
    table: Mutex<Table>,
    /// Wakes the timer when a deadline comes before its next look.
    timer: AtomicWaker,
}

impl Calls {
    pub fn new(host: Host) -> Self {
        Calls { host, table: Mutex::default(), timer: AtomicWaker::new() }
    }

    /// Registers an ask; its time begins now.
    pub fn register(
        &self,
        call: u64,
        kind: Kind,
        timeout: Duration,
    ) -> oneshot::Receiver<Answered> {
        let (answer, receiver) = oneshot::channel();
        self.host.announce(&RpcEvent::AskSent { call, kind, timeout });
        let late = self.host.sabotaged(sabotage::DEADLINE_TWICE_AS_LATE);
        let timeout = if late { timeout * 2 } else { timeout };
        let (deadline, cause) = (self.host.now() + timeout, self.host.cause());
        let refused = {
            let mut table = self.table.lock().expect("no panic under this lock");
            if table.closed {
                Some(answer)
            } else {
                let early = table.timer_looks.is_none_or(|looks| deadline < looks);
                table.deadlines.insert((deadline, call));
                let repeated = table.pending.insert(call, Pending { deadline, cause, answer });
                assert!(repeated.is_none(), "call numbers never repeat");
                if early {
                    self.timer.wake();
                }
                None
            }
        };
        if let Some(answer) = refused {
            self.finish(call, answer, Err(RpcError::ServiceStopped));
        }
        receiver
    }

    /// Ends an ask, unless it is over already: late and repeated answers change nothing.
    pub fn resolve(&self, call: u64, result: Answer) {
        let pending = {
            let mut table = self.table.lock().expect("no panic under this lock");
            let pending = table.pending.remove(&call);
            if let Some(pending) = &pending {
                table.deadlines.remove(&(pending.deadline, call));
            }
            pending
        };
        match pending {
            Some(pending) => self.finish(call, pending.answer, result),
            None => crate::reachable!(self.host, "unawaited-answer-ignored"),
        }
    }

    fn finish(&self, call: u64, answer: oneshot::Sender<Answered>, result: Answer) {
        let outcome = match &result {
            Ok(_) => AskOutcome::Value,
            Err(error) => AskOutcome::Failed(error.name()),
        };
        self.host.announce(&RpcEvent::AskResolved { call, outcome });
        // The asker may have lost interest.
        let _ = answer.send((result, self.host.cause()));
    }

    /// Ends every ask, and from now on every new one at once.
    pub fn close(&self) {
        let calls: Vec<u64> = {
            let mut table = self.table.lock().expect("no panic under this lock");
            table.closed = true;
            table.pending.keys().copied().collect()
        };
        for call in calls {
            self.resolve(call, Err(RpcError::ServiceStopped));
        }
        self.timer.wake();
    }

    /// Whether every new ask ends at once.
    pub fn is_closed(&self) -> bool {
        self.table.lock().expect("no panic under this lock").closed
    }

    /// The first deadline; the timer, sleeping until `looks`, looks by then.
    fn plan_look(&self, looks: Option<Instant>) -> Option<Instant> {
        let mut table = self.table.lock().expect("no panic under this lock");
        let first = table.deadlines.first().map(|(deadline, _)| *deadline);
        table.timer_looks = [looks, first].into_iter().flatten().min();
        first
    }

    /// An ask whose time is over, and the cause under which it was asked.
    fn overdue(&self, now: Instant) -> Option<(u64, Cause)> {
        let table = self.table.lock().expect("no panic under this lock");
        let (_, call) = table.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        Some((*call, table.pending[call].cause))
    }

    /// Times out what is overdue and sets `sleep` for the next look; never ready.
    pub fn poll_deadlines(&self, sleep: &mut Option<Wakeup>, cx: &mut Context<'_>) {
        self.timer.register(cx.waker());
        loop {
            let now = self.host.now();
            // One timer serves all asks: it was set because of another.
            while let Some((call, cause)) = self.overdue(now) {
                self.host.with_cause(cause, || self.resolve(call, Err(RpcError::Timeout)));
            }
            sleep.take_if(|(deadline, _)| *deadline <= now);
            let looks = sleep.as_ref().map(|(deadline, _)| *deadline);
            let Some(first) = self.plan_look(looks) else { return };
            if sleep.as_ref().is_none_or(|(deadline, _)| *deadline > first) {
                *sleep = Some((first, Box::pin(self.host.sleep_until(first))));
            }
            let (_, waiting) = sleep.as_mut().expect("just set");
            if waiting.as_mut().poll(cx).is_pending() {
                return;
            }
            *sleep = None;
        }
    }
}

/// An ask under way. The call was sent when this was made; dropping it gives up the answer only.
#[must_use = "an ask's answer says whether it was done; use a tell where nobody cares"]
pub struct Ask<T> {
    state: AskState,
    value: PhantomData<fn() -> T>,
}

enum AskState {
    Sent {
        host: Host,
        answer: oneshot::Receiver<Answered>,
    },
    /// It failed before anything was sent; taken when that is told.
    Failed(Option<RpcError>),
}

impl<T> Ask<T> {
    pub(super) fn new(host: Host, answer: oneshot::Receiver<Answered>) -> Self {
        Ask { state: AskState::Sent { host, answer }, value: PhantomData }
    }

    /// An ask that has failed before anything was sent.
    pub(super) fn failed(error: RpcError) -> Self {
        Ask { state: AskState::Failed(Some(error)), value: PhantomData }
    }

    /// What follows an answer is because of it, whichever woke the task that asks.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        match &mut self.state {
            AskState::Failed(error) => {
                Poll::Ready(Err(error.take().expect("a future is not polled once it is ready")))
            }
            AskState::Sent { host, answer } => Pin::new(answer).poll(cx).map(|answered| {
                // The sender is only dropped unsent when the whole service is.
                let Ok((answer, cause)) = answered else { return Err(RpcError::ServiceStopped) };
                host.continue_from(cause);
                answer
            }),
        }
    }
}

impl<T: DeserializeOwned> Future for Ask<T> {
    type Output = Result<T, RpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_answer(cx).map(|answer| {
            postcard::from_bytes(&answer?).map_err(|error| RpcError::Malformed(error.to_string()))
        })
    }
}
