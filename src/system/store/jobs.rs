//! Job graphs and job results.

use super::{
    StoreError, StoreKey, Written, cancellation_key, checkpoint_prefix, decode, encode, final_key,
    graph_key,
    key::{CANCELLATIONS, GRAPHS, RESULTS},
    outcome_key, read_key_until_acknowledged, read_until_acknowledged, result_key,
    write_if_there_is_room, write_until_acknowledged,
};
use crate::system::{
    graph::JobGraph,
    ids::JobId,
    leadership::{LeaderSession, epoch_key},
    protocol::{ApplicationStatus, JobResult, JobStatus, job_component},
    sabotage,
    service::coordination::{
        Change, Compare, Coordination, KeyPattern, Range, STEPS_MAX, Transaction, Watch,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The end of a job, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResult {
    /// Whether what the job left is still being removed.
    pub dirty: bool,
    /// What became of it.
    pub result: JobResult,
}

/// The jobs that one term of a dispatcher looks after.
#[derive(Clone)]
pub struct JobStore {
    client: Arc<dyn Coordination>,
    term: LeaderSession,
}

/// All that is kept of jobs.
#[derive(Debug, Default)]
pub struct StoredJobs {
    /// Graphs of jobs that have no result.
    pub graphs: Vec<JobGraph>,
    /// The results.
    pub results: BTreeMap<JobId, StoredResult>,
    /// Jobs that users want to end.
    pub cancellations: BTreeSet<JobId>,
    /// What the program of the cluster came to, if it has one that has ended.
    pub outcome: Option<ApplicationStatus>,
}

/// What became of a user's wish to end a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It is durable: the job will end as canceled, whoever leads.
    Recorded,
    /// The job's final checkpoint, or its result, came first.
    TooLate,
}

/// Whether a user wants a job to end, as the coordination service has it now.
pub async fn cancellation_requested(client: &dyn Coordination, job: JobId) -> bool {
    let key = cancellation_key(job);
    read_key_until_acknowledged(client, &key).await.get(&key).is_some()
}

/// Ready when a user wants a job to end.
pub async fn until_canceled(client: &Arc<dyn Coordination>, job: JobId) {
    let mut watch = Watch::new(client, KeyPattern::Exact(cancellation_key(job)));
    loop {
        match watch.next().await {
            Ok(update) if !update.keys.is_empty() => return,
            Ok(_) => {}
            Err(_) => watch.back_off().await,
        }
    }
}

/// What became of a job, as soon as that is kept. It needs nobody who leads: a result outlives its cluster.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub async fn until_ended(
    client: &Arc<dyn Coordination>,
    job: JobId,
) -> Result<JobResult, StoreError> {
    let key = result_key(job);
    let mut watch = Watch::new(client, KeyPattern::Exact(key.clone()));
    loop {
        match watch.next().await {
            Ok(update) if !update.keys.is_empty() => {
                let found = read_key_until_acknowledged(&**client, &key).await;
                if let Some(found) = found.get(&key) {
                    return decode::<StoredResult>(&key, &found.value).map(|stored| stored.result);
                }
            }
            Ok(_) => {}
            Err(_) => watch.back_off().await,
        }
    }
}

/// The job of a key of one.
fn job_of(key: &str) -> Result<JobId, StoreError> {
    let parsed = StoreKey::parse(key).map(|key| key.job);
    let what = || "no job's key".to_string();
    parsed.ok_or_else(|| StoreError::Corrupt { key: key.to_string(), what: what() })
}

impl JobStore {
    /// The store as a term sees it.
    pub fn new(client: &Arc<dyn Coordination>, term: LeaderSession) -> Self {
        JobStore { client: client.clone(), term }
    }

    fn guarded(&self) -> Transaction {
        Transaction::new().when(self.term.guard())
    }

    /// Keeps the graph of a new job.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the job is known already, [`StoreError::TooLarge`] and [`StoreError::Full`]
    /// when it can't be kept, and [`StoreError::NotLeader`].
    pub async fn put_graph(&self, job: &JobGraph) -> Result<(), StoreError> {
        let (key, value) = (graph_key(job.id), encode(job));
        let conflict = || StoreError::Conflict(format!("{:?} is known already", job.id));
        let found = read_key_until_acknowledged(&*self.client, &key).await;
        if found.get(&key).is_some() {
            return Err(conflict());
        }
        // A try that arrives when the job has ended and was removed finds the key changed.
        let mut write = self.guarded().when(found.unchanged(key.clone()));
        if !self.client.host().sabotaged(sabotage::ENDED_JOB_TAKEN_ON_AGAIN) {
            write = write.when(Compare::Absent { key: result_key(job.id) });
        }
        // A store that were full of jobs would have no room for what becomes of them.
        let write = write.put(key.clone(), value.clone()).leaving_room();
        match write_if_there_is_room(&*self.client, &write).await? {
            Written::Done => Ok(()),
            Written::Refused { after_maybe, .. } => {
                let found = read_key_until_acknowledged(&*self.client, &key).await;
                match found.get(&key) {
                    Some(found) if after_maybe && found.value == value => {
                        crate::reachable!(self.client.host(), "graph-found-after-lost-answer");
                        Ok(())
                    }
                    _ => Err(conflict()),
                }
            }
        }
    }

    /// Everything that is kept, and the outcome of a cluster that is there for its `own` job. Nothing is skipped:
    /// what can't be understood is an error.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn recover(&self, own: Option<JobId>) -> Result<StoredJobs, StoreError> {
        let mut stored = StoredJobs::default();
        if let Some(key) = own.map(outcome_key) {
            let found = read_key_until_acknowledged(&*self.client, &key).await;
            let outcome = found.get(&key).map(|found| decode(&key, &found.value));
            stored.outcome = outcome.transpose()?;
        }
        // Graphs first: a job that ends in between shows its result.
        let graphs = self.read_all(GRAPHS).await;
        for found in self.read_all(RESULTS).await.keys {
            stored.results.insert(job_of(&found.key)?, decode(&found.key, &found.value)?);
        }
        for found in self.read_all(CANCELLATIONS).await.keys {
            stored.cancellations.insert(job_of(&found.key)?);
        }
        for found in graphs.keys {
            let graph: JobGraph = decode(&found.key, &found.value)?;
            if !stored.results.contains_key(&graph.id) {
                stored.graphs.push(graph);
            }
        }
        Ok(stored)
    }

    /// What stands right below a key, for all jobs.
    async fn read_all(&self, parent: &str) -> Range {
        let (host, below) = (self.client.host(), KeyPattern::Children(parent.to_string()));
        loop {
            match self.client.read(&below).await {
                Ok(range) => return range,
                Err(_) if host.sabotaged(sabotage::UNREAD_JOBS_SKIPPED) => return Range::default(),
                Err(_) => host.sleep(self.client.retry_delay()).await,
            }
        }
    }

    /// The result of a job, if it has one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn result(&self, job: JobId) -> Result<Option<StoredResult>, StoreError> {
        let key = result_key(job);
        let found = read_key_until_acknowledged(&*self.client, &key).await;
        found.get(&key).map(|found| decode(&key, &found.value)).transpose()
    }

    /// Whether the job is there, or has a result, as the coordination service has it now.
    pub async fn knows(&self, job: JobId) -> bool {
        // The graph goes after the result has come, so one of the two shows.
        let graph = graph_key(job);
        let running =
            read_key_until_acknowledged(&*self.client, &graph).await.get(&graph).is_some();
        let result = result_key(job);
        running || read_key_until_acknowledged(&*self.client, &result).await.get(&result).is_some()
    }

    /// Makes a user's wish to end a job durable, unless the job's end is decided already.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`].
    pub async fn request_cancellation(&self, job: JobId) -> Result<Cancellation, StoreError> {
        let write = self
            .guarded()
            .when(Compare::Absent { key: result_key(job) })
            .when(Compare::Absent { key: final_key(job) })
            .put(cancellation_key(job), Vec::new());
        match write_until_acknowledged(&*self.client, &write).await? {
            Written::Done => Ok(Cancellation::Recorded),
            Written::Refused { .. } => Ok(match cancellation_requested(&*self.client, job).await {
                true => Cancellation::Recorded,
                false => Cancellation::TooLate,
            }),
        }
    }

    /// Keeps the result of a job whose leftovers are still there. From here on it never runs again.
    /// Answers what is kept: a job that a user wants to end has not failed, whatever its master saw.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has another result already, and [`StoreError::NotLeader`].
    pub async fn create_dirty_result(
        &self,
        job: JobId,
        mut result: JobResult,
    ) -> Result<JobResult, StoreError> {
        let key = result_key(job);
        let read = read_key_until_acknowledged(&*self.client, &key).await;
        loop {
            let value = encode(&StoredResult { dirty: true, result: result.clone() });
            if let Some(found) = read.get(&key) {
                return match found.value == value {
                    true => Ok(result),
                    false => Err(StoreError::Conflict(format!("{job:?} has another result"))),
                };
            }
            let mut write =
                self.guarded().when(read.unchanged(key.clone())).put(key.clone(), value.clone());
            if result.status != JobStatus::Canceled {
                write = write.when(Compare::Absent { key: cancellation_key(job) });
            }
            match write_until_acknowledged(&*self.client, &write).await? {
                Written::Done => return Ok(result),
                Written::Refused { index: 2, .. } => {
                    assert!(result.status != JobStatus::Finished, "{job:?} has a final checkpoint");
                    result.status = JobStatus::Canceled;
                }
                Written::Refused { .. } => {
                    let found = read_key_until_acknowledged(&*self.client, &key).await;
                    match found.get(&key) {
                        Some(found) if found.value == value => return Ok(result),
                        _ => {
                            let what = format!("{job:?} has another result");
                            return Err(StoreError::Conflict(what));
                        }
                    }
                }
            }
        }
    }

    /// Keeps what the program came to whose job it is. From here on it is never executed again.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`].
    pub async fn put_outcome(
        &self,
        job: JobId,
        outcome: ApplicationStatus,
    ) -> Result<(), StoreError> {
        let write = self.guarded().put(outcome_key(job), encode(&outcome));
        match write_until_acknowledged(&*self.client, &write).await? {
            Written::Done => Ok(()),
            Written::Refused { .. } => unreachable!("it has no condition beside its guard"),
        }
    }

    /// Removes the checkpoint pointers and the counter of a job that has a result.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`].
    pub async fn remove_checkpoints(&self, job: JobId) -> Result<(), StoreError> {
        let all = KeyPattern::Prefix(checkpoint_prefix(job));
        let keys = read_until_acknowledged(&*self.client, &all).await.keys;
        self.remove(keys.into_iter().map(|found| found.key)).await
    }

    /// Removes the graph of a job that has a result, its cancellation, and what its elections left.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`].
    pub async fn remove_graph(&self, job: JobId) -> Result<(), StoreError> {
        let epoch = epoch_key(&job_component(job));
        let keys = [graph_key(job), cancellation_key(job), epoch];
        let count = match self.client.host().sabotaged(sabotage::ELECTION_KEYS_LEFT) {
            true => keys.len() - 1,
            false => keys.len(),
        };
        self.remove(keys.into_iter().take(count)).await
    }

    /// In order, as many at a time as one transaction may have beside the guard.
    async fn remove(&self, keys: impl Iterator<Item = String>) -> Result<(), StoreError> {
        let changes: Vec<Change> = keys.map(|key| Change::Delete { key }).collect();
        for some in changes.chunks(STEPS_MAX - 1) {
            let first = match self.client.host().sabotaged(sabotage::REMOVAL_NOT_GUARDED) {
                true => Transaction::new(),
                false => self.guarded(),
            };
            let write = some.iter().cloned().fold(first, Transaction::then);
            write_until_acknowledged(&*self.client, &write).await?;
        }
        Ok(())
    }

    /// Everything that the job left is gone.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has no result, and [`StoreError::NotLeader`].
    pub async fn mark_clean(&self, job: JobId) -> Result<(), StoreError> {
        let key = result_key(job);
        let found = self.result(job).await?;
        let Some(found) = found else {
            return Err(StoreError::Conflict(format!("{job:?} has no result")));
        };
        let (dirty, clean) =
            (StoredResult { dirty: true, ..found.clone() }, StoredResult { dirty: false, ..found });
        let write = self
            .guarded()
            .when(Compare::Value { key: key.clone(), value: encode(&dirty) })
            .put(key, encode(&clean));
        // A refusal says that it is clean already: nobody else writes a result that is there.
        write_until_acknowledged(&*self.client, &write).await.map(|_| ())
    }
}
