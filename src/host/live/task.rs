//! Tasks of a live node, and sleeping on its clock.

use super::node::Node;
use crate::host::Instant;
use futures::{
    FutureExt,
    future::{AbortHandle, Abortable},
};
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// A running task. Dropping this detaches it.
pub struct Task {
    abort: Option<Abort>,
}

/// What ends a task at its next step.
enum Abort {
    OfRuntime(tokio::task::AbortHandle),
    OfThread(AbortHandle),
}

impl Task {
    pub(in crate::host) fn spawn(
        node: &Node,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        if node.dead() {
            return Task { abort: None };
        }
        // In a box: each of the blocks around it would take its room anew.
        let (owner, future) = (node.clone(), Box::pin(future));
        let guarded = async move {
            owner.guard(future).await;
        };
        Task { abort: Some(Abort::OfRuntime(node.runtime().spawn(guarded).abort_handle())) }
    }

    /// Runs it on a thread of its own, which ends with it, or with the process at its next step. Its sockets
    /// and timers are still those of the node's runtime.
    #[expect(clippy::disallowed_methods, reason = "this is where tasks come from")]
    pub(in crate::host) fn spawn_on_thread(
        node: &Node,
        name: &str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Task> {
        if node.dead() {
            return Ok(Task { abort: None });
        }
        let (abort, registration) = AbortHandle::new_pair();
        let owner = node.clone();
        let guarded =
            async move { owner.guard(Abortable::new(future, registration).map(drop)).await };
        let runtime = node.runtime().clone();
        let thread = std::thread::Builder::new().name(name.to_string());
        thread.spawn(move || runtime.block_on(guarded))?;
        Ok(Task { abort: Some(Abort::OfThread(abort)) })
    }

    /// Ends the task at its next step.
    pub fn cancel(&self) {
        match &self.abort {
            Some(Abort::OfRuntime(task)) => task.abort(),
            Some(Abort::OfThread(task)) => task.abort(),
            None => {}
        }
    }
}

/// Waits on a node's monotonic clock.
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    node: Node,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl Sleep {
    pub(in crate::host) fn new(node: Node, deadline: Instant) -> Self {
        let timer = {
            // A destructor may ask for a sleep when its thread has left the runtime.
            let _runtime = node.runtime().enter();
            Box::pin(tokio::time::sleep_until(node.tokio_instant(deadline)))
        };
        Sleep { node, timer }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.node.dead() { Poll::Pending } else { self.timer.as_mut().poll(cx) }
    }
}
