//! Writes the state of checkpoints beside the task, one at a time.

use super::{environment::state_object, report::Reporter};
use crate::host::{Host, OpenMode};
use crate::system::{
    dataflow::WrittenFile,
    graph::{INLINE_STATE_BYTES_MAX, SharedFile, StateBackend, StateHandle, TaskState},
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
    /// Files that belong to it, operator by operator.
    pub files: Vec<Vec<WrittenFile>>,
}

fn shared(file: &WrittenFile) -> SharedFile {
    let WrittenFile { object, length, is_complete, .. } = file;
    SharedFile { object: object.clone(), length: *length, is_new: !is_complete }
}

/// Puts the files that nobody has, and the state that names them.
async fn put(
    host: &Host,
    objects: &dyn ObjectStore,
    files: &[WrittenFile],
    object: &str,
    state: Bytes,
) -> Result<(), String> {
    for file in files.iter().filter(|file| !file.is_complete) {
        let WrittenFile { path, length, crc, .. } = file;
        let content = match &file.copy_of {
            Some(object) => {
                let read = objects.get_until_acknowledged(object).await;
                read.map_err(|refusal| format!("{object}: {refusal}"))?
            }
            None => {
                let read = async {
                    let from = host.disk().open(path, OpenMode::Read).await?;
                    from.read_at(0, usize::try_from(*length).unwrap_or(usize::MAX)).await
                };
                read.await.map_err(|error| format!("{path}: {error}"))?
            }
        };
        // The disk may have rotted meanwhile.
        if content.len() as u64 != *length || crc32fast::hash(&content) != *crc {
            return Err(format!("{path} is not what was written"));
        }
        let put = objects.put_until_acknowledged(&file.object, content).await;
        put.map_err(|refusal| refusal.to_string())?;
    }
    objects.put_until_acknowledged(object, state).await.map_err(|refusal| refusal.to_string())
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
            let Upload { checkpoint, state, files } = self.next().await;
            let bytes = Bytes::from(postcard::to_stdvec(&state).expect("plain bytes"));
            if backend == StateBackend::Memory {
                self.lock().current = None;
                hand_over(reporter, checkpoint, bytes, state.finished);
                continue;
            }
            let object = state_object(reporter.attempt, checkpoint);
            let files: Vec<WrittenFile> = files.into_iter().flatten().collect();
            let mut handle = StateHandle::object(object.clone(), bytes.len() as u64);
            handle.shared = files.iter().map(shared).collect();
            let written = {
                let put = put(&reporter.host, objects, &files, &object, bytes).fuse();
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
                Some(Err(why)) => reporter.decline(checkpoint, &why),
            }
        }
    }
}
