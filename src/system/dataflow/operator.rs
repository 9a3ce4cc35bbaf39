//! What a task sees of the operators of its chain besides records: their beginning, their state, their end.

use super::{
    data::{Data, decode, encode},
    failure::Failure,
    time::Timestamp,
};
use crate::{
    host::Host,
    system::{
        graph::{KeyGroupRange, OperatorState, RestoredState, SavepointOrigin, StateBackend},
        ids::{CheckpointId, ExecutionAttemptId},
        sabotage,
        service::Services,
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// What an operator, source or sink knows about where it runs. Cheap to clone.
#[derive(Clone)]
pub struct OperatorContext {
    /// What its node stands on.
    pub host: Host,
    /// The services of the cluster.
    pub services: Services,
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// Its subtask, from 0.
    pub subtask: u32,
    /// The subtasks of its vertex.
    pub parallelism: u32,
    /// The key groups of its vertex.
    pub max_parallelism: u32,
    /// What its state is found by.
    pub uid: String,
    /// The checkpoint from which the task begins; `None`: from nothing.
    pub restored: Option<CheckpointId>,
    /// The savepoint that this is of, unless it is a checkpoint of the job itself.
    pub savepoint: Option<SavepointOrigin>,
    /// How many completed checkpoints the job keeps, of which any may be restored.
    pub retained: u32,
    /// Where state by key is kept.
    pub state_backend: StateBackend,
    /// Folders of the disk in which it may be.
    pub folders: WorkingFolders,
}

/// Folders of a process's disk for what is worth nothing after it: each is one operator's at a time. A number is given
/// again, so that what a former process left there is found and removed.
#[derive(Clone, Debug, Default)]
pub struct WorkingFolders(Arc<Mutex<BTreeSet<u64>>>);

/// A folder, until it is dropped.
#[derive(Debug)]
pub struct WorkingFolder {
    all: WorkingFolders,
    number: u64,
}

impl WorkingFolders {
    /// A folder that nobody has.
    pub fn take(&self) -> WorkingFolder {
        let mut taken = self.0.lock().expect("no panic under this lock");
        let number = (0..).find(|number| !taken.contains(number)).expect("there is a number");
        taken.insert(number);
        WorkingFolder { all: self.clone(), number }
    }
}

impl WorkingFolder {
    /// Its path.
    pub fn path(&self) -> String {
        format!("state/{}", self.number)
    }
}

impl Drop for WorkingFolder {
    fn drop(&mut self) {
        self.all.0.lock().expect("no panic under this lock").remove(&self.number);
    }
}

impl OperatorContext {
    /// The key groups that the subtask owns.
    pub fn key_groups(&self) -> KeyGroupRange {
        match self.host.sabotaged(sabotage::KEY_GROUPS_TAKEN_BY_ALL) {
            true => KeyGroupRange { start: 0, end: self.max_parallelism },
            false => {
                KeyGroupRange::of_subtask(self.subtask, self.parallelism, self.max_parallelism)
            }
        }
    }

    /// Whether this is the subtask that goes on with what a former one had besides keys, where the job has another
    /// parallelism: `s` out of `n` with that of `s`, `s + n`, `s + 2n`, …
    pub fn takes_over(&self, former: u32) -> bool {
        former % self.parallelism == self.subtask
    }
}

/// Lists that subtasks have kept, each an encoding of `Vec<T>` or nothing: those that this subtask goes on with, one
/// behind the other. For [`Source::redistribute`](super::Source::redistribute) and its like: of a state that is a list
/// each former subtask's goes to one subtask as a whole.
///
/// # Errors
/// When one can't be read.
pub fn split_lists<T: Data>(
    states: Vec<(u32, Bytes)>,
    context: &OperatorContext,
) -> Result<Option<Bytes>, Failure> {
    let mut all = Vec::<T>::new();
    for (former, state) in states {
        if context.takes_over(former) && !state.is_empty() {
            all.extend(decode::<Vec<T>>(&state)?);
        }
    }
    Ok(Some(Bytes::from(encode(&all)?)))
}

/// What an operator without an answer of its own does with the states of former subtasks: there must be none.
pub(super) fn none_to_redistribute(
    states: &[(u32, Bytes)],
    context: &OperatorContext,
) -> Result<Option<Bytes>, Failure> {
    match states.iter().all(|(_, state)| state.is_empty()) {
        true => Ok(None),
        false => Err(Failure(format!(
            "{:?} does not say how its state is spread over another number of subtasks (`redistribute`): start the \
             job at the parallelism that the state is of",
            context.uid
        ))),
    }
}

/// What an operator's own state is at its beginning, given how it spreads the states of former subtasks.
pub(super) fn own_state(
    restored: RestoredState,
    context: &OperatorContext,
    redistribute: impl FnOnce(Vec<(u32, Bytes)>, &OperatorContext) -> Result<Option<Bytes>, Failure>,
) -> Result<Option<Bytes>, Failure> {
    match restored {
        RestoredState::Nothing => Ok(None),
        RestoredState::Same(state) => Ok(Some(state.own)),
        RestoredState::Redistributed(states) => {
            let own = states.into_iter().map(|(former, state)| (former, state.own)).collect();
            redistribute(own, context)
        }
    }
}

/// What a call of an operator that may wait comes to.
pub type Waits<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// A call that has nothing to wait for.
pub fn ready<'a, T: Send + 'a>(value: T) -> Waits<'a, T> {
    at_once(Ok(value))
}

/// A call that has come to its end.
pub fn at_once<'a, T: Send + 'a>(result: Result<T, Failure>) -> Waits<'a, T> {
    std::future::ready(result).boxed()
}

/// A file of a snapshot, on the disk of its task executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Where it is on the disk.
    pub path: String,
    /// Where it goes in the object store, or lies already.
    pub object: String,
    /// Its length in bytes.
    pub length: u64,
    /// The CRC-32 of its bytes.
    pub crc: u32,
    /// Whether a complete checkpoint has it there.
    pub is_complete: bool,
    /// The object of which it is to be a copy, where it is on the disk no more.
    pub copy_of: Option<String>,
    /// What is in it.
    pub about: Bytes,
}

/// An operator, source or sink as its task looks after it. Calls come between records, one at a time.
pub trait Managed: Send {
    /// What its state is found by.
    fn uid(&self) -> &str;

    /// Begins, with its state of the checkpoint from which the task is restored. Those behind it are open already.
    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: RestoredState,
    ) -> Waits<'a, ()>;

    /// Whether it has to [flush](Self::flush) before it takes more.
    fn is_full(&self) -> bool {
        false
    }

    /// Whether it wants to [flush](Self::flush) when no more has come yet.
    fn wants_flush(&self) -> bool {
        self.is_full()
    }

    /// Hands on what it has gathered.
    fn flush(&mut self) -> Waits<'_, ()> {
        ready(())
    }

    /// The state at a checkpoint.
    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, OperatorState>;

    /// The checkpoint is complete, and with it every earlier one.
    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        let _ = checkpoint;
        ready(())
    }

    /// The files of a snapshot that belong to what [`snapshot`](Self::snapshot) gave; `None` while they are being written.
    ///
    /// # Errors
    /// Fails the task.
    fn written(&mut self, checkpoint: CheckpointId) -> Result<Option<Vec<WrittenFile>>, Failure> {
        let _ = checkpoint;
        Ok(Some(Vec::new()))
    }

    /// The checkpoint comes to nothing.
    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        let _ = checkpoint;
    }

    /// Whether it has work to do of its own, whether records come or not.
    fn has_work(&self) -> bool {
        false
    }

    /// Does some of its own work, and waits for what the last batch took of its disk; `None` where there is neither.
    fn tend(&mut self) -> Option<Waits<'_, ()>> {
        None
    }

    /// When it wants to hear of the time of day next.
    fn next_timer(&self) -> Option<Timestamp> {
        None
    }

    /// The task ends, however it ended; may be cut short.
    fn close(&mut self) -> Waits<'_, ()> {
        ready(())
    }
}
