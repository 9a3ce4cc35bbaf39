//! A value whose newest state can be awaited. States in between may be missed; nothing is queued.

use futures::task::AtomicWaker;
use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
};

struct Cell<T> {
    value: T,
    version: u64,
    observers: Vec<Arc<AtomicWaker>>,
}

/// The writer's side.
pub struct WatchSender<T> {
    cell: Arc<Mutex<Cell<T>>>,
}

impl<T: Clone + PartialEq> WatchSender<T> {
    /// Starts with a value.
    pub fn new(value: T) -> Self {
        WatchSender {
            cell: Arc::new(Mutex::new(Cell { value, version: 1, observers: Vec::new() })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cell<T>> {
        self.cell.lock().expect("no panic under this lock")
    }

    /// The newest value.
    pub fn get(&self) -> T {
        self.lock().value.clone()
    }

    /// Sets the value; an equal one wakes nobody.
    pub fn set(&self, value: T) {
        let mut cell = self.lock();
        if cell.value == value {
            return;
        }
        cell.value = value;
        cell.version += 1;
        cell.observers.iter().for_each(|observer| observer.wake());
    }

    /// A reader that has not seen the present value yet.
    pub fn observe(&self) -> WatchReceiver<T> {
        let waker = Arc::new(AtomicWaker::new());
        self.lock().observers.push(waker.clone());
        WatchReceiver { cell: self.cell.clone(), waker, seen: 0 }
    }
}

/// A reader's side.
pub struct WatchReceiver<T> {
    cell: Arc<Mutex<Cell<T>>>,
    waker: Arc<AtomicWaker>,
    seen: u64,
}

impl<T: Clone> WatchReceiver<T> {
    /// Waits for a value that this reader has not seen.
    pub async fn changed(&mut self) -> T {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            let cell = self.cell.lock().expect("no panic under this lock");
            if cell.version == self.seen {
                return Poll::Pending;
            }
            self.seen = cell.version;
            Poll::Ready(cell.value.clone())
        })
        .await
    }
}

impl<T> Drop for WatchReceiver<T> {
    /// Else a value that never changes would collect all who ever looked at it.
    fn drop(&mut self) {
        if let Ok(mut cell) = self.cell.lock() {
            cell.observers.retain(|observer| !Arc::ptr_eq(observer, &self.waker));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_reader_sees_the_newest_value_once() {
        let watched = WatchSender::new(1);
        let mut observed = watched.observe();
        assert_eq!(observed.changed().now_or_never(), Some(1));
        assert_eq!(observed.changed().now_or_never(), None);
        watched.set(1);
        assert_eq!(observed.changed().now_or_never(), None);
        watched.set(2);
        watched.set(3);
        assert_eq!(observed.changed().now_or_never(), Some(3));
        assert_eq!(observed.changed().now_or_never(), None);
    }

    #[test]
    fn who_looks_no_more_is_forgotten_though_nothing_changes() {
        let watched = WatchSender::new(1);
        let stays = watched.observe();
        (0..100).for_each(|_| drop(watched.observe()));
        assert_eq!(watched.lock().observers.len(), 1);
        drop(stays);
        assert_eq!(watched.lock().observers.len(), 0);
    }
}
