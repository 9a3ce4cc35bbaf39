//! Completed checkpoints and the counter of their ids.

use super::{
    StoreError, Written, checkpoint_prefix, counter_key, decode, encode, pointer_key,
    pointer_prefix, read_surely, tail_key, write_surely,
};
use crate::system::{
    graph::StateHandle,
    ids::{CheckpointId, ExecutionVertexId, JobId},
    leadership::LeaderSession,
    service::coordination::{Change, Compare, CoordinationClient, Transaction},
};
use serde::{Deserialize, Serialize};

/// What the coordination service keeps of a completed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointPointer {
    /// The checkpoint.
    pub id: CheckpointId,
    /// The blob that holds an encoded [`CompletedCheckpoint`].
    pub metadata: String,
}

/// A checkpoint to which every subtask has given its part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedCheckpoint {
    /// Its id.
    pub id: CheckpointId,
    /// The parts.
    pub states: Vec<(ExecutionVertexId, StateHandle)>,
    /// Whether every subtask was at the end of its data: nothing comes after it.
    pub last: bool,
}

/// Draws the ids of a job's checkpoints, and the epochs of its attempts.
#[derive(Clone)]
pub struct CheckpointIdCounter {
    client: CoordinationClient,
    term: LeaderSession,
    job: JobId,
}

impl CheckpointIdCounter {
    /// The counter as a term of the job's master sees it.
    pub fn new(client: &CoordinationClient, term: &LeaderSession, job: JobId) -> Self {
        CheckpointIdCounter { client: client.clone(), term: term.clone(), job }
    }

    /// A number that was never drawn before, greater than all that were; the first is 1.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`], [`StoreError::Corrupt`].
    pub async fn get_and_increment(&self) -> Result<u64, StoreError> {
        let key = counter_key(self.job);
        loop {
            let found = read_surely(&self.client, &key).await;
            let (next, condition) = match found.get(&key) {
                None => (1, Compare::Absent { key: key.clone() }),
                Some(found) => {
                    let next = decode::<u64>(&key, &found.value)?;
                    (next, Compare::Version { key: key.clone(), version: found.version })
                }
            };
            let write = Transaction::new()
                .when(self.term.guard())
                .when(condition)
                .put(key.clone(), encode(&(next + 1)));
            // After a try without an answer the number may have been drawn by that try: it is left
            // out, since only a gap is sure to be no repeat.
            if let Written::Done = write_surely(&self.client, &write).await? {
                return Ok(next);
            }
        }
    }
}

/// The pointers to a job's completed checkpoints, in the order of their ids.
#[derive(Clone)]
pub struct CompletedCheckpointStore {
    client: CoordinationClient,
    term: LeaderSession,
    job: JobId,
}

impl CompletedCheckpointStore {
    /// The store as a term of the job's master sees it.
    pub fn new(client: &CoordinationClient, term: &LeaderSession, job: JobId) -> Self {
        CompletedCheckpointStore { client: client.clone(), term: term.clone(), job }
    }

    /// All pointers, oldest first, and how many were ever added. None is skipped.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn recover(&self) -> Result<(Vec<CheckpointPointer>, u64), StoreError> {
        let found = read_surely(&self.client, &checkpoint_prefix(self.job)).await;
        let added = found.get(&tail_key(self.job)).map_or(0, |tail| tail.version);
        let prefix = pointer_prefix(self.job);
        let pointers = found.keys.iter().filter(|found| found.key.starts_with(&prefix));
        let pointers = pointers.map(|found| decode(&found.key, &found.value));
        Ok((pointers.collect::<Result<_, _>>()?, added))
    }

    /// Adds a pointer to the `added` that there were before, and removes those in `subsumed`, in one
    /// step.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`]: it may have been added all the same, if its first tries got no
    /// answer.
    pub async fn add(
        &self,
        added: u64,
        pointer: &CheckpointPointer,
        subsumed: &[CheckpointId],
    ) -> Result<(), StoreError> {
        // A try that arrives after a later pointer was added finds another version.
        let tail = tail_key(self.job);
        let mut write = Transaction::new()
            .when(self.term.guard())
            .when(Compare::Version { key: tail.clone(), version: added })
            .put(tail, encode(&pointer.id))
            .put(pointer_key(self.job, pointer.id), encode(pointer));
        for id in subsumed {
            write = write.then(Change::Delete { key: pointer_key(self.job, *id) });
        }
        match write_surely(&self.client, &write).await? {
            Written::Done => Ok(()),
            // Only this term adds pointers, one at a time: an earlier try of this call was done.
            Written::Refused { after_maybe } => {
                assert!(after_maybe, "{:?} of {:?} is added out of turn", pointer.id, self.job);
                Ok(())
            }
        }
    }
}
