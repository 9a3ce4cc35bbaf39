//! A simulated thread: while a task on it holds it, no task on it takes a step.

use super::{node::Node, task::Sleep};
use crate::host::Instant;
use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

/// From this time on it is an event that a thread is held.
pub(super) const HELD_MIN: Duration = Duration::from_millis(100);

/// What the tasks of one thread share.
#[derive(Default)]
pub(super) struct Thread {
    tasks: AtomicUsize,
    /// On the machine's monotonic clock.
    held_until: Mutex<Option<Instant>>,
}

thread_local! {
    /// Whose task takes a step.
    static CURRENT: RefCell<Option<Arc<Thread>>> = const { RefCell::new(None) };
}

impl Thread {
    /// Holds the thread whose task takes this step; answers how many other tasks it has.
    pub fn hold_current(until: Instant) -> Option<usize> {
        let thread = CURRENT.with_borrow(Clone::clone)?;
        *thread.held() = Some(until);
        Some(thread.tasks.load(Ordering::Relaxed).saturating_sub(1))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.held_until.lock().expect("no panic under this lock")
    }
}

/// The place of a task on a thread.
pub(super) struct Seat {
    thread: Arc<Thread>,
    /// Until the thread is free again, while it is waited for.
    rest: Option<Sleep>,
}

impl Seat {
    pub fn on(thread: &Arc<Thread>) -> Self {
        thread.tasks.fetch_add(1, Ordering::Relaxed);
        Seat { thread: thread.clone(), rest: None }
    }

    /// Whether the task may take a step now; if not, `cx` is woken when it may.
    pub fn poll_free(&mut self, node: &Node, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(rest) = &mut self.rest {
                std::task::ready!(Pin::new(rest).poll(cx));
                self.rest = None;
            }
            let until = *self.thread.held();
            match until.filter(|until| node.now() < *until) {
                Some(until) => self.rest = Some(Sleep::new(node.clone(), until)),
                None => return Poll::Ready(()),
            }
        }
    }

    /// Runs a step of the task.
    pub fn step<T>(&self, step: impl FnOnce() -> T) -> T {
        let outer = CURRENT.replace(Some(self.thread.clone()));
        let output = step();
        CURRENT.set(outer);
        output
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.thread.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}
