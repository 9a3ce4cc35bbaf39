//! Completed checkpoints and the counter of their ids.

use super::{
    StoreError, Written, cancellation_key, checkpoint_prefix, counter_key, decode, encode,
    final_key, place, pointer_key, pointer_prefix, read_key_until_acknowledged,
    read_until_acknowledged, tail_key, write_until_acknowledged,
};
use crate::system::{
    graph::StateHandle,
    ids::{CheckpointId, ExecutionVertexId, JobId},
    leadership::LeaderSession,
    protocol::{AfterSavepoint, Finality, SavepointRequest},
    sabotage,
    service::coordination::{
        Change, Compare, Coordination, CoordinationError, KeyPattern, Revision, Transaction,
    },
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// What the coordination service keeps of a completed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointPointer {
    /// The checkpoint.
    pub id: CheckpointId,
    /// The object that holds an encoded [`CompletedCheckpoint`].
    pub metadata: String,
    /// Whether it is the job's final one.
    pub last: bool,
}

/// What became of the newest pointer that a master tried to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Tail {
    Added(CheckpointId),
    /// It was given up before it was added, and can't be added any more.
    Fenced {
        id: CheckpointId,
        /// The newest that stands all the same.
        newest: Option<CheckpointId>,
    },
}

impl Tail {
    fn id(self) -> CheckpointId {
        match self {
            Tail::Added(id) | Tail::Fenced { id, .. } => id,
        }
    }

    /// The newest pointer that stands.
    fn newest(self) -> Option<CheckpointId> {
        match self {
            Tail::Added(id) => Some(id),
            Tail::Fenced { newest, .. } => newest,
        }
    }

    fn settled(self, at: Revision) -> Settled {
        match self {
            Tail::Added(_) => Settled::Added(at),
            Tail::Fenced { .. } => Settled::Fenced(at),
        }
    }
}

/// What the coordination service keeps of a job's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoints {
    /// The pointers, oldest first.
    pub pointers: Vec<CheckpointPointer>,
    /// The newest of them by the key that each one writes along: another one, or none, if pointers were lost.
    pub newest: Option<CheckpointId>,
    /// The next number of the job's counter: all that were drawn are less.
    pub next: u64,
    /// The revision at which this was so.
    pub revision: Revision,
}

/// What became of a pointer, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is durable. The revision is the one at which the tail says so.
    Added(Revision),
    /// It is not, and no late try can make it so.
    Fenced(Revision),
}

/// A checkpoint to which every subtask has given its part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedCheckpoint {
    /// Its id.
    pub id: CheckpointId,
    /// The parts.
    pub states: Vec<(ExecutionVertexId, StateHandle)>,
    /// Whether nothing comes after it: every subtask was at the end of its data, or a user stops the job with it.
    pub last: bool,
    /// The savepoint that is made of it before the job ends, if it is the last.
    pub savepoint: Option<SavepointRequest>,
}

impl CompletedCheckpoint {
    /// Whether the job ends with it, and how.
    pub fn finality(&self) -> Finality {
        let stops = |request: &SavepointRequest| request.then == AfterSavepoint::Stop;
        match (self.last, self.savepoint.as_ref().is_some_and(stops)) {
            (false, _) => Finality::GoesOn,
            (true, false) => Finality::Finished,
            (true, true) => Finality::Stopped,
        }
    }
}

/// Draws the ids of a job's checkpoints, and the epochs of its attempts.
#[derive(Clone)]
pub struct CheckpointIdCounter {
    client: Arc<dyn Coordination>,
    term: LeaderSession,
    job: JobId,
    /// The last that was drawn, as long as that is known from nowhere else.
    drawn: Arc<Mutex<u64>>,
}

impl CheckpointIdCounter {
    /// The counter as a term of the job's master sees it.
    pub fn new(client: &Arc<dyn Coordination>, term: &LeaderSession, job: JobId) -> Self {
        CheckpointIdCounter {
            client: client.clone(),
            term: term.clone(),
            job,
            drawn: Arc::default(),
        }
    }

    /// The first of so many numbers in a row that were never drawn before, greater than all that were and than `above`;
    /// the very first is 1 if that is 0.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`], [`StoreError::Corrupt`].
    pub async fn draw(&self, count: u64, above: u64) -> Result<u64, StoreError> {
        if self.client.host().sabotaged(sabotage::IDS_COUNTED_IN_MEMORY) {
            let mut drawn = self.drawn.lock().expect("no panic under this lock");
            let first = (*drawn).max(above) + 1;
            *drawn = first + count - 1;
            return Ok(first);
        }
        let key = counter_key(self.job);
        loop {
            let found = read_key_until_acknowledged(&*self.client, &key).await;
            let next = match found.get(&key) {
                None => 1,
                Some(found) => decode::<u64>(&key, &found.value)?,
            };
            let next = next.max(above.saturating_add(1));
            let write = Transaction::new()
                .when(self.term.guard())
                .when(found.unchanged(key.clone()))
                .put(key.clone(), encode(&next.saturating_add(count)));
            // After a try without an answer the number may have been drawn by that try: it is left
            // out, since only a gap is sure to be no repeat.
            if let Written::Done = write_until_acknowledged(&*self.client, &write).await? {
                return Ok(next);
            }
        }
    }
}

/// The pointers to a job's completed checkpoints, in the order of their ids.
#[derive(Clone)]
pub struct CompletedCheckpointStore {
    client: Arc<dyn Coordination>,
    term: LeaderSession,
    job: JobId,
}

impl CompletedCheckpointStore {
    /// The store as a term of the job's master sees it.
    pub fn new(client: &Arc<dyn Coordination>, term: &LeaderSession, job: JobId) -> Self {
        CompletedCheckpointStore { client: client.clone(), term: term.clone(), job }
    }

    /// All that is kept at one revision. Nothing is skipped.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn recover(&self) -> Result<StoredCheckpoints, StoreError> {
        let all = KeyPattern::Prefix(checkpoint_prefix(self.job));
        let found = read_until_acknowledged(&*self.client, &all).await;
        let prefix = pointer_prefix(self.job);
        let pointers = found.keys.iter().filter(|found| found.key.starts_with(&prefix));
        let pointers = pointers.map(|found| decode(&found.key, &found.value));
        let (tail, counter) = (tail_key(self.job), counter_key(self.job));
        let tail = found.get(&tail).map(|found| decode::<Tail>(&tail, &found.value)).transpose()?;
        let next = found.get(&counter).map(|found| decode(&counter, &found.value)).transpose()?;
        Ok(StoredCheckpoints {
            pointers: pointers.collect::<Result<_, _>>()?,
            newest: tail.and_then(Tail::newest),
            next: next.unwrap_or(1),
            revision: found.revision,
        })
    }

    /// Adds a pointer if the tail has not changed since a revision, and removes those in `subsumed`,
    /// in one step. Ends when it is known what became of it; [`fence`](Self::fence) is for those who
    /// can't wait.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`]: it may have been added all the same, if its first tries got no
    /// answer. [`StoreError::Canceled`]: it is the final one, and the job is to be canceled.
    pub async fn add(
        &self,
        since: Revision,
        pointer: &CheckpointPointer,
        subsumed: &[CheckpointId],
    ) -> Result<Settled, StoreError> {
        let job = self.job;
        let tail = Tail::Added(pointer.id);
        let make = |since| {
            let mut write =
                self.at_the_tail(since, tail).put(pointer_key(job, pointer.id), encode(pointer));
            for id in subsumed {
                write = write.then(Change::Delete { key: pointer_key(job, *id) });
            }
            if pointer.last {
                write = write
                    .when(Compare::Absent { key: cancellation_key(job) })
                    .put(final_key(job), encode(&pointer.id));
            }
            write
        };
        self.settle(since, tail, make).await
    }

    /// Sees to it that a pointer of unknown outcome has one: it is never added after this, however
    /// late its tries arrive. The `newest` stands without it.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`].
    pub async fn fence(
        &self,
        since: Revision,
        id: CheckpointId,
        newest: Option<CheckpointId>,
    ) -> Result<Settled, StoreError> {
        let tail = Tail::Fenced { id, newest };
        self.settle(since, tail, |since| self.at_the_tail(since, tail)).await
    }

    fn at_the_tail(&self, since: Revision, tail: Tail) -> Transaction {
        let key = tail_key(self.job);
        let guarded = match self.client.host().sabotaged(sabotage::POINTERS_NOT_GUARDED) {
            true => Transaction::new(),
            false => Transaction::new().when(self.term.guard()),
        };
        guarded.when(Compare::Unchanged { key: key.clone(), since }).put(key, encode(&tail))
    }

    /// Makes a transaction whose conditions are the term, the tail since that revision, and that the
    /// job is not to be canceled. A missing answer is made up for by a look at the tail: only this
    /// term writes it, one thing at a time.
    async fn settle(
        &self,
        mut since: Revision,
        tail: Tail,
        make: impl Fn(Revision) -> Transaction,
    ) -> Result<Settled, StoreError> {
        let client = &self.client;
        loop {
            let mut refused = false;
            match client.transact(make(since)).await {
                Ok(transacted) => return Ok(tail.settled(transacted.revision)),
                Err(CoordinationError::Refused(refusal)) => match place(&refusal) {
                    0 => return Err(StoreError::NotLeader),
                    1 => refused = true,
                    2 => return Err(StoreError::Canceled),
                    _ => {}
                },
                Err(CoordinationError::Indeterminate(_) | CoordinationError::NotDone(_)) => {}
            }
            match self.look(since).await? {
                // A newer term has come to the tail; what this one wrote before no longer shows.
                Some((Some(found), _)) if found.id() != tail.id() => {
                    return Err(StoreError::NotLeader);
                }
                Some((Some(found), at)) => {
                    let stands = matches!((found, tail), (Tail::Added(_), Tail::Added(_)));
                    if stands && client.host().sabotaged(sabotage::STANDING_POINTER_GIVEN_UP) {
                        return Ok(Settled::Fenced(at));
                    }
                    return Ok(found.settled(at));
                }
                // The server has forgotten what was removed since then, and the tail never was written.
                Some((None, at)) if refused => since = at,
                Some((None, _)) | None => {}
            }
            client.host().sleep(client.retry_delay()).await;
        }
    }

    /// What the tail says, if it was written after a revision, and at which revision that was seen;
    /// `None` without an answer.
    async fn look(&self, since: Revision) -> Result<Option<(Option<Tail>, Revision)>, StoreError> {
        let key = tail_key(self.job);
        let tail = KeyPattern::Exact(key.clone());
        let Ok(found) = self.client.read(&tail).await else { return Ok(None) };
        let tail = found.get(&key).filter(|tail| tail.modified > since);
        let tail = tail.map(|tail| decode(&key, &tail.value)).transpose()?;
        Ok(Some((tail, found.revision)))
    }
}
