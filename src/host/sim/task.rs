//! Tasks of a simulated process, and sleeping on its clock.

use super::{hardware::ProcessEnd, node::Node, panic, timer::TimerKey};
use crate::host::Instant;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// A running task. Dropping this detaches it.
pub struct Task {
    abort: Option<madsim::task::AbortHandle>,
}

impl Task {
    pub(in crate::host) fn spawn(
        node: &Node,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        if node.dead() {
            return Task { abort: None };
        }
        let guarded = Guarded { node: node.clone(), future: Box::pin(future) };
        let handle = node.spawner().spawn(guarded);
        Task { abort: Some(handle.abort_handle()) }
    }

    /// Ends the task at its next step.
    pub fn cancel(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}

/// A task's future; a panic in it is the death of its process.
struct Guarded<F> {
    node: Node,
    future: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let future = this.future.as_mut();
        match this.node.enter(|| panic::catch(|| future.poll(cx))) {
            Ok(polled) => polled,
            Err(message) => {
                this.node.end(ProcessEnd::Panicked { message });
                Poll::Ready(())
            }
        }
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
