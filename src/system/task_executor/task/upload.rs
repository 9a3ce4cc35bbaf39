//! Writes the state of checkpoints beside the task, one at a time.

use super::{environment::state_object, report::Reporter};
use crate::system::{
    graph::{INLINE_STATE_BYTES_MAX, StateBackend, StateHandle, TaskState},
    ids::CheckpointId,
    service::object_store::ObjectStore,
};
use bytes::Bytes;
use futures::{FutureExt, pin_mut, select_biased, task::AtomicWaker};
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard},
    task::Poll,
};

/// States that wait at most; the oldest is given up for a new one.
const UPLOADS_MAX: usize = 4;

/// The state of a checkpoint, to be written.
pub struct Upload {
    pub checkpoint: CheckpointId,
    pub state: TaskState,
}

/// Lets a state go with its acknowledgement, if it is small enough.
fn hand_over(reporter: &Reporter, checkpoint: CheckpointId, state: Bytes, finished: bool) {
    let length = state.len();
    if length <= INLINE_STATE_BYTES_MAX {
        return reporter.acknowledge(checkpoint, StateHandle::inline(state), finished);
    }
    let why = format!(
        "its state has {length} bytes, and {INLINE_STATE_BYTES_MAX} go with an acknowledgement: let the job keep its \
         state on the heap"
    );
    reporter.decline(checkpoint, &why);
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Upload>,
    /// The one being written; taken away when it is aborted.
    current: Option<CheckpointId>,
}

/// What is to be written.
#[derive(Default)]
pub struct Uploads {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    abort_waker: AtomicWaker,
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic under this lock")
    }

    /// Adds a state; returns one that is given up for it.
    pub fn push(&self, upload: Upload) -> Option<CheckpointId> {
        let given_up = {
            let mut queue = self.lock();
            let full = queue.waiting.len() == UPLOADS_MAX;
            let given_up = if full { queue.waiting.pop_front() } else { None };
            queue.waiting.push_back(upload);
            given_up
        };
        self.waker.wake();
        given_up.map(|upload| upload.checkpoint)
    }

    /// Drops a state; nothing more is heard of it.
    pub fn abort(&self, checkpoint: CheckpointId) {
        let mut queue = self.lock();
        queue.waiting.retain(|upload| upload.checkpoint != checkpoint);
        if queue.current == Some(checkpoint) {
            queue.current = None;
        }
        drop(queue);
        self.abort_waker.wake();
    }

    async fn next(&self) -> Upload {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            let mut queue = self.lock();
            match queue.waiting.pop_front() {
                Some(upload) => {
                    queue.current = Some(upload.checkpoint);
                    Poll::Ready(upload)
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    async fn aborted(&self) {
        poll_fn(|cx| {
            self.abort_waker.register(cx.waker());
            if self.lock().current.is_none() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Writes and reports, for ever.
    pub async fn run(&self, objects: &dyn ObjectStore, reporter: &Reporter, backend: StateBackend) {
        loop {
            let Upload { checkpoint, state } = self.next().await;
            let bytes = Bytes::from(postcard::to_stdvec(&state).expect("plain bytes"));
            if backend == StateBackend::Memory {
                self.lock().current = None;
                hand_over(reporter, checkpoint, bytes, state.finished);
                continue;
            }
            let object = state_object(reporter.attempt, checkpoint);
            let handle = StateHandle::object(object.clone(), bytes.len() as u64);
            let written = {
                let put = objects.put_until_acknowledged(&object, bytes).fuse();
                let aborted = self.aborted().fuse();
                pin_mut!(put, aborted);
                select_biased! {
                    () = aborted => None,
                    written = put => Some(written),
                }
            };
            self.lock().current = None;
            match written {
                None => {}
                Some(Ok(())) => reporter.acknowledge(checkpoint, handle, state.finished),
                Some(Err(refusal)) => reporter.decline(checkpoint, &refusal.to_string()),
            }
        }
    }
}
