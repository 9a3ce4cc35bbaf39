//! A simulated thread: while a task on it holds it, no task on it takes a step.

use crate::host::Instant;
use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

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

    fn held(&self) -> MutexGuard<'_, Option<Instant>> {
        self.held_until.lock().expect("no panic under this lock")
    }
}

/// The place of a task on a thread.
pub(super) struct Seat(Arc<Thread>);

impl Seat {
    pub fn on(thread: &Arc<Thread>) -> Self {
        thread.tasks.fetch_add(1, Ordering::Relaxed);
        Seat(thread.clone())
    }

    /// Until when the thread is held, or was last.
    pub fn held_until(&self) -> Option<Instant> {
        *self.0.held()
    }

    /// Runs a step of the task.
    pub fn step<T>(&self, step: impl FnOnce() -> T) -> T {
        let outer = CURRENT.replace(Some(self.0.clone()));
        let output = step();
        CURRENT.set(outer);
        output
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}
