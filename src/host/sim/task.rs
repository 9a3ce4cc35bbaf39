//! Tasks of a simulated process, and sleeping on its clock.

use super::{
    hardware::ProcessEnd,
    node::Node,
    panic,
    thread::{Seat, Thread},
    timer::TimerKey,
    waker::WokenBy,
};
use crate::host::Instant;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A running task. Dropping this detaches it.
pub struct Task {
    abort: Option<(madsim::task::AbortHandle, WokenBy)>,
}

impl Task {
    pub(in crate::host) fn spawn(
        node: &Node,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        Task::spawn_on(node, node.main_thread(), future)
    }

    fn spawn_on(
        node: &Node,
        thread: &Arc<Thread>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        if node.dead() {
            return Task { abort: None };
        }
        let woken_by = WokenBy::spawn(node.shared().cause());
        let (owner, future) = (node.clone(), Some(Box::pin(future)));
        let guarded = Guarded {
            node: owner,
            future,
            woken_by: woken_by.clone(),
            waker: None,
            seat: Seat::on(thread),
            rest: None,
        };
        node.shared().note_spawn();
        // In a box: the executor's task would take its room twice.
        let handle = node.spawner().spawn(Box::pin(guarded));
        Task { abort: Some((handle.abort_handle(), woken_by)) }
    }

    /// One thread runs a whole simulation, in which that one is simulated.
    pub(in crate::host) fn spawn_on_thread(
        node: &Node,
        _: &str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Task> {
        Ok(Task::spawn_on(node, &Arc::default(), future))
    }

    /// Ends the task at its next step.
    pub fn cancel(&self) {
        if let Some((abort, woken_by)) = &self.abort {
            woken_by.cancel();
            abort.abort();
        }
    }
}

/// A task's future; a panic in it is the death of its process. While it is polled
/// the current cause is what woke it.
struct Guarded<F> {
    node: Node,
    /// Taken when the task is dropped.
    future: Option<Pin<Box<F>>>,
    woken_by: WokenBy,
    /// The task's own, and the executor's to which it passes wakes on.
    waker: Option<(Waker, Waker)>,
    seat: Seat,
    /// Until the thread is free again, while it is waited for.
    rest: Option<Sleep>,
}

impl<F> Guarded<F> {
    /// Whether the thread is free; if not, `cx` is woken when it may be.
    fn poll_thread(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(rest) = &mut self.rest {
                std::task::ready!(Pin::new(rest).poll(cx));
                self.rest = None;
            }
            match self.seat.held_until().filter(|until| self.node.now() < *until) {
                Some(until) => self.rest = Some(Sleep::new(self.node.clone(), until)),
                None => return Poll::Ready(()),
            }
        }
    }
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        std::task::ready!(this.poll_thread(cx));
        let future = this.future.as_mut().expect("taken when it is dropped").as_mut();
        if this.waker.as_ref().is_none_or(|(_, executor)| !executor.will_wake(cx.waker())) {
            this.waker = Some((this.woken_by.waker(cx.waker()), cx.waker().clone()));
        }
        let (waker, _) = this.waker.as_ref().expect("it was just made");
        let _entered = this.node.shared().cause().enter(this.woken_by.take());
        let mut cx = Context::from_waker(waker);
        match this.seat.step(|| this.node.enter(|| panic::catch(|| future.poll(&mut cx)))) {
            Ok(polled) => polled,
            Err(message) => {
                this.node.end(ProcessEnd::Panicked { message });
                Poll::Ready(())
            }
        }
    }
}

impl<F> Drop for Guarded<F> {
    /// What destructors do is done because of who cancelled the task.
    fn drop(&mut self) {
        let cause = self.woken_by.take();
        let _entered = self.node.shared().cause().enter(cause);
        self.future = None;
    }
}

/// Waits on a node's monotonic clock.
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    node: Node,
    deadline: Instant,
    key: Option<TimerKey>,
}

impl Sleep {
    pub(in crate::host) fn new(node: Node, deadline: Instant) -> Self {
        Sleep { node, deadline, key: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let sim = this.node.shared().now();
        let id = this.node.id();
        let Some(mut locked) = this.node.lock_alive() else { return Poll::Pending };
        if locked.machine(id).clock.now(sim) >= this.deadline {
            if let Some(key) = this.key.take() {
                let waker = locked.cancel_timer(key);
                drop(locked);
                drop(waker);
            }
            return Poll::Ready(());
        }
        match this.key {
            Some(key) if locked.renew_timer(key, cx.waker()) => {}
            _ => this.key = Some(locked.set_timer(id, this.deadline, cx.waker())),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = self.node.shared().lock().cancel_timer(key);
            drop(waker);
        }
    }
}
