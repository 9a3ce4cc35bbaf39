//! Tasks of a simulated process, and sleeping on its clock.

use super::{
    node::{Node, enter},
    process::ProcessEnd,
    timer::TimerKey,
    world::World,
};
use crate::host::Instant;
use std::{
    cell::RefCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Once,
    task::{Context, Poll},
};

/// A running task. Dropping this detaches it.
pub struct Task {
    abort: Option<madsim::task::AbortHandle>,
}

impl Task {
    pub(super) fn spawn(node: &Node, future: impl Future<Output = ()> + Send + 'static) -> Task {
        if node.dead() {
            return Task { abort: None };
        }
        let guarded = Guarded { node: node.clone(), future: Box::pin(future) };
        let handle = node.incarnation.spawner.spawn(guarded);
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
        let incarnation = &this.node.incarnation;
        let future = this.future.as_mut();
        let polled = enter(incarnation, || {
            SIMULATED.set(true);
            let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
            SIMULATED.set(false);
            polled
        });
        match polled {
            Ok(polled) => polled,
            Err(_) => {
                let message = LAST_PANIC.take().unwrap_or_else(|| "unknown panic".to_string());
                if !this.node.dead() {
                    let world = World { shared: this.node.shared().clone() };
                    world.end_process(this.node.id(), ProcessEnd::Panicked { message });
                }
                Poll::Ready(())
            }
        }
    }
}

thread_local! {
    static SIMULATED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on the message of a simulated task's panic is kept for the history, not printed.
pub(super) fn capture_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SIMULATED.get() {
                usual(info);
                return;
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            LAST_PANIC.set(Some(format!("{} at {place}", text.unwrap_or_default())));
        }));
    });
}

/// Waits on a node's monotonic clock.
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    node: Node,
    deadline: Instant,
    key: Option<TimerKey>,
}

impl Sleep {
    pub(super) fn new(node: Node, deadline: Instant) -> Self {
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
        if locked.node(id).clock.now(sim) >= this.deadline {
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
