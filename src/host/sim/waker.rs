//! The waker of a simulated task, which remembers by what the task was woken.

use super::cause::{Cause, CurrentCause};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Wake, Waker},
};

/// No entry of any run has this number.
const NOT_WOKEN: u64 = u64::MAX;

/// Why a task is going to be polled: the first wake since its last poll.
#[derive(Clone)]
pub(super) struct WokenBy {
    current: CurrentCause,
    word: Arc<AtomicU64>,
}

impl WokenBy {
    /// Of a task that is spawned now, which is the cause of its first poll.
    pub fn spawn(current: &CurrentCause) -> Self {
        let word = Arc::new(AtomicU64::new(current.get().word()));
        WokenBy { current: current.clone(), word }
    }

    /// Something wakes the task now.
    fn wake(&self) {
        // Later wakes change nothing: the executor polls once for all of them. A world lives on one thread,
        // so nobody comes between the two.
        if self.word.load(Ordering::Relaxed) == NOT_WOKEN {
            self.word.store(self.current.get().word(), Ordering::Relaxed);
        }
    }

    /// Somebody ends the task now, whatever woke it before.
    pub fn cancel(&self) {
        self.word.store(self.current.get().word(), Ordering::Relaxed);
    }

    /// The cause of the step that begins; wakes from now on count for the next one.
    pub fn take(&self) -> Cause {
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(NOT_WOKEN, Ordering::Relaxed);
        match word {
            NOT_WOKEN => Cause::NONE,
            word => Cause::of_word(word),
        }
    }

    /// The task's own waker: it remembers, and passes the wake on to the executor's.
    pub fn waker(&self, executor: &Waker) -> Waker {
        let (woken_by, executor) = (self.clone(), executor.clone());
        Waker::from(Arc::new(RememberingWaker { woken_by, executor }))
    }
}

struct RememberingWaker {
    woken_by: WokenBy,
    executor: Waker,
}

impl Wake for RememberingWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken_by.wake();
        self.executor.wake_by_ref();
    }
}
