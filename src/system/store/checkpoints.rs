//! Completed checkpoints and the counter of their ids.

use super::{
    StoreError, Written, counter_key, decode, encode, pointer_key, pointer_prefix, read_surely,
    write_surely,
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

    /// All pointers, oldest first. None is skipped.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn recover(&self) -> Result<Vec<CheckpointPointer>, StoreError> {
        let found = read_surely(&self.client, &pointer_prefix(self.job)).await;
        found.keys.iter().map(|found| decode(&found.key, &found.value)).collect()
    }

    /// Adds a pointer and removes those in `subsumed`, in one step.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`]: it may have been added all the same, if its first tries got no
    /// answer.
    pub async fn add(
        &self,
        pointer: &CheckpointPointer,
        subsumed: &[CheckpointId],
    ) -> Result<(), StoreError> {
        let key = pointer_key(self.job, pointer.id);
        let mut write = Transaction::new()
            .when(self.term.guard())
            .when(Compare::Absent { key: key.clone() })
            .put(key, encode(pointer));
        for id in subsumed {
            write = write.then(Change::Delete { key: pointer_key(self.job, *id) });
        }
        match write_surely(&self.client, &write).await? {
            Written::Done => Ok(()),
            // An id is drawn once, so what is there was put there by an earlier try of this call.
            Written::Refused { after_maybe } => {
                assert!(after_maybe, "{:?} of {:?} is stored twice", pointer.id, self.job);
                Ok(())
            }
        }
    }
}
