//! Job graphs and job results.

use super::{
    GRAPH_PREFIX, RESULT_PREFIX, StoreError, Written, checkpoint_prefix, decode, encode, graph_key,
    read_surely, result_key, write_surely,
};
use crate::system::{
    graph::JobGraph,
    ids::JobId,
    leadership::{LeaderSession, epoch_key},
    protocol::{JobResult, job_component},
    service::coordination::{Change, Compare, CoordinationClient, Transaction},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    client: CoordinationClient,
    term: LeaderSession,
}

/// All that is kept of jobs.
#[derive(Debug, Default)]
pub struct StoredJobs {
    /// Graphs of jobs that have no result.
    pub graphs: Vec<JobGraph>,
    /// The results.
    pub results: BTreeMap<JobId, StoredResult>,
}

impl JobStore {
    /// The store as a term sees it.
    pub fn new(client: &CoordinationClient, term: LeaderSession) -> Self {
        JobStore { client: client.clone(), term }
    }

    fn guarded(&self) -> Transaction {
        Transaction::new().when(self.term.guard())
    }

    /// Keeps the graph of a new job.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the job is known already, and [`StoreError::NotLeader`].
    pub async fn put_graph(&self, job: &JobGraph) -> Result<(), StoreError> {
        let (key, value) = (graph_key(job.id), encode(job));
        let write = self
            .guarded()
            .when(Compare::Absent { key: key.clone() })
            .when(Compare::Absent { key: result_key(job.id) })
            .put(key.clone(), value.clone());
        match write_surely(&self.client, &write).await? {
            Written::Done => Ok(()),
            Written::Refused { after_maybe } => {
                let found = read_surely(&self.client, &key).await;
                match found.get(&key) {
                    Some(found) if after_maybe && found.value == value => Ok(()),
                    _ => Err(StoreError::Conflict(format!("{:?} is known already", job.id))),
                }
            }
        }
    }

    /// Everything that is kept. Nothing is skipped: what can't be understood is an error.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn recover(&self) -> Result<StoredJobs, StoreError> {
        let mut stored = StoredJobs::default();
        // Graphs first: a job that ends in between shows its result.
        let graphs = read_surely(&self.client, GRAPH_PREFIX).await;
        for found in read_surely(&self.client, RESULT_PREFIX).await.keys {
            let job = found.key[RESULT_PREFIX.len()..]
                .parse()
                .map_err(|what| StoreError::Corrupt { key: found.key.clone(), what })?;
            stored.results.insert(job, decode(&found.key, &found.value)?);
        }
        for found in graphs.keys {
            let graph: JobGraph = decode(&found.key, &found.value)?;
            if !stored.results.contains_key(&graph.id) {
                stored.graphs.push(graph);
            }
        }
        Ok(stored)
    }

    /// The result of a job, if it has one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn result(&self, job: JobId) -> Result<Option<StoredResult>, StoreError> {
        let key = result_key(job);
        let found = read_surely(&self.client, &key).await;
        found.get(&key).map(|found| decode(&key, &found.value)).transpose()
    }

    /// Keeps the result of a job whose leavings are still there. From here on it never runs again.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has a result already, and [`StoreError::NotLeader`].
    pub async fn create_dirty_result(
        &self,
        job: JobId,
        result: &JobResult,
    ) -> Result<(), StoreError> {
        let key = result_key(job);
        let value = encode(&StoredResult { dirty: true, result: result.clone() });
        let write = self
            .guarded()
            .when(Compare::Absent { key: key.clone() })
            .put(key.clone(), value.clone());
        match write_surely(&self.client, &write).await? {
            Written::Done => Ok(()),
            Written::Refused { .. } => {
                let found = read_surely(&self.client, &key).await;
                match found.get(&key) {
                    Some(found) if found.value == value => Ok(()),
                    _ => Err(StoreError::Conflict(format!("{job:?} has another result"))),
                }
            }
        }
    }

    /// Removes the checkpoint pointers and the counter of a job that has a result.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`].
    pub async fn remove_checkpoints(&self, job: JobId) -> Result<(), StoreError> {
        let prefix = checkpoint_prefix(job);
        let keys = read_surely(&self.client, &prefix).await.keys;
        self.remove(keys.into_iter().map(|found| found.key)).await
    }

    /// Removes the graph of a job that has a result, and what its elections left.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`].
    pub async fn remove_graph(&self, job: JobId) -> Result<(), StoreError> {
        self.remove([graph_key(job), epoch_key(&job_component(job))].into_iter()).await
    }

    async fn remove(&self, keys: impl Iterator<Item = String>) -> Result<(), StoreError> {
        let mut write = self.guarded();
        for key in keys {
            write = write.then(Change::Delete { key });
        }
        if write.changes.is_empty() {
            return Ok(());
        }
        write_surely(&self.client, &write).await.map(|_| ())
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
        write_surely(&self.client, &write).await.map(|_| ())
    }
}
