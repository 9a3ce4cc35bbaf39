//! Tasks of a live node, and sleeping on its clock.

use super::node::Node;
use crate::host::Instant;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// A running task. Dropping this detaches it.
pub struct Task {
    abort: Option<tokio::task::AbortHandle>,
}

impl Task {
    pub(in crate::host) fn spawn(
        node: &Node,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        if node.dead() {
            return Task { abort: None };
        }
        let owner = node.clone();
        let guarded = async move {
            owner.guard(future).await;
        };
        Task { abort: Some(node.runtime().spawn(guarded).abort_handle()) }
    }

    /// Ends the task at its next step.
    pub fn cancel(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
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
