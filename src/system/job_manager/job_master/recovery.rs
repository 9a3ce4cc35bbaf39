//! What a job's master finds of earlier terms.
//!
//! To begin a job anew from something older than what was promised is left to its user, who is told how. Nothing is waited
//! for in silence: whoever asks for the job's details hears of it, and so does the history.

use super::core::{
    Checkpoints, Found, ReadCheckpoint, RecoveryRefusal, checkpoint_of, metadata_object,
    missing_part, remedy,
};
use crate::host::{Host, Instant};
use crate::system::{
    graph::{JobGraph, SavepointSource},
    ids::{CheckpointId, JobId},
    job_manager::event::JobEvent,
    leadership::LeaderSessionId,
    reason::bounded,
    sabotage,
    savepoint::{self, Assignment, SavepointError},
    service::object_store::{ObjectStore, ObjectStoreError},
    store::{CompletedCheckpoint, CompletedCheckpointStore, StoreError, object_prefix},
};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

/// The pause before metadata is read again.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// A recovery that is over sooner is not worth a word.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Why a job can't go on where it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// What is kept can't be understood.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What is kept is not what it must go on from, and what a person can do.
    #[error("{refusal}. {remedy}")]
    Refused {
        /// Why.
        refusal: RecoveryRefusal,
        /// What a person can do.
        remedy: String,
    },
    /// The savepoint with which it begins can't be read.
    #[error("the savepoint {path}: {why}")]
    Savepoint {
        /// Where it lies.
        path: String,
        /// Why.
        why: SavepointError,
    },
}

/// Why a job has no master at the moment, for whoever asks.
#[derive(Clone, Default)]
pub struct RecoveryTrouble(Arc<Mutex<Option<Trouble>>>);

#[derive(Clone)]
enum Trouble {
    /// A service gives no answer.
    Waits(String),
    /// What it answers is not what the job must go on from.
    Refused(String),
}

impl RecoveryTrouble {
    /// Why, if it is known.
    pub fn told(&self) -> Option<String> {
        match self.now()? {
            Trouble::Waits(why) | Trouble::Refused(why) => Some(why),
        }
    }

    /// The same, if it does not end before somebody does something about it.
    pub fn refusal(&self) -> Option<String> {
        match self.now()? {
            Trouble::Waits(_) => None,
            Trouble::Refused(why) => Some(why),
        }
    }

    fn now(&self) -> Option<Trouble> {
        self.0.lock().expect("no panic under this lock").clone()
    }

    /// What was waited for has come.
    fn answered(&self) {
        let mut trouble = self.0.lock().expect("no panic under this lock");
        trouble.take_if(|trouble| matches!(trouble, Trouble::Waits(_)));
    }

    fn set(&self, trouble: Option<Trouble>) {
        *self.0.lock().expect("no panic under this lock") = trouble;
    }
}

/// The recovery of a job by one term of its master.
pub struct Recovery<'a> {
    host: &'a Host,
    job: JobId,
    session: LeaderSessionId,
    trouble: &'a RecoveryTrouble,
    begun: Instant,
}

impl<'a> Recovery<'a> {
    /// Begins one, which is said.
    pub fn begin(
        host: &'a Host,
        job: JobId,
        session: LeaderSessionId,
        trouble: &'a RecoveryTrouble,
    ) -> Self {
        host.announce(&JobEvent::RecoveryStarted { job, session });
        Recovery { host, job, session, trouble, begun: host.now() }
    }

    /// Waits for an answer; once the recovery takes long it is said for what.
    pub async fn waits_for<T>(&self, what: &str, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        let left = PATIENCE.saturating_sub(self.host.now().saturating_since(self.begun));
        if let Ok(answer) = self.host.timeout(left, answer.as_mut()).await {
            return answer;
        }
        if !self.host.sabotaged(sabotage::RECOVERY_WAITS_IN_SILENCE) {
            let (job, session, what) = (self.job, self.session, what.to_string());
            tracing::warn!(node = self.host.name(), %job, what, "the job's recovery waits");
            // What a person has to do something about stays what is told, while it is tried again.
            if self.trouble.refusal().is_none() {
                let waits = bounded(format!("its recovery waits for {what}"));
                self.trouble.set(Some(Trouble::Waits(waits)));
            }
            self.host.announce(&JobEvent::RecoveryWaits { job, session, what });
        }
        let answer = answer.await;
        self.trouble.answered();
        answer
    }

    /// It can't go on for now.
    pub fn failed(&self, error: &RecoveryError) {
        let (job, session, cause) = (self.job, self.session, bounded(error.to_string()));
        tracing::error!(%job, cause, "the job's checkpoints can't be read");
        self.trouble.set(Some(Trouble::Refused(cause.clone())));
        self.host.announce(&JobEvent::RecoveryFailed { job, session, cause });
    }
}

impl Drop for Recovery<'_> {
    /// Its term has a master, or is over.
    fn drop(&mut self) {
        self.trouble.set(None);
    }
}

/// Reads the checkpoints that are stored, and the savepoint with which a job begins that has none. None is skipped: one
/// that can't be read now is read again.
///
/// # Errors
/// Why the job can't go on from them.
pub async fn recover_checkpoints(
    recovery: &Recovery<'_>,
    store: &CompletedCheckpointStore,
    objects: &dyn ObjectStore,
    job: &JobGraph,
) -> Result<Checkpoints, RecoveryError> {
    let pointers = "the coordination service, for the pointers to its checkpoints";
    let stored = recovery.waits_for(pointers, store.recover()).await?;
    let tail = stored.revision;
    let mut read = Vec::new();
    for pointer in &stored.pointers {
        let what = format!("the object store, for {}", pointer.metadata);
        let metadata = read_metadata(objects, pointer.id, &pointer.metadata);
        read.extend(recovery.waits_for(&what, metadata).await);
    }
    let names =
        recovery.waits_for("the object store, for its objects", names(objects, job.id)).await;
    let readable: Vec<_> = read.iter().filter_map(|(_, read)| read.clone().ok()).collect();
    let found = Found { stored, read, objects: names.clone() };
    let completed = match found.checked(job.id) {
        Ok(completed) => completed,
        Err(_) if recovery.host.sabotaged(sabotage::OLDER_CHECKPOINT_INSTEAD) => readable,
        Err(refusal) => {
            let whole = newest_whole(objects, job.id, &names);
            let whole =
                recovery.waits_for("the object store, for an older checkpoint", whole).await;
            let remedy = remedy(job.id, &job.program.name, whole);
            return Err(RecoveryError::Refused { refusal, remedy });
        }
    };
    let beats =
        !completed.is_empty() && !objects.host().sabotaged(sabotage::SAVEPOINT_BEATS_CHECKPOINTS);
    let Some(source) = job.savepoint.as_ref().filter(|_| !beats) else {
        return Ok(Checkpoints::recovered(completed, tail));
    };
    let what = format!("the object store, for the savepoint {}", source.path);
    let savepoint = recovery.waits_for(&what, read_savepoint(objects, source, job)).await?;
    Ok(Checkpoints::recovered(Vec::new(), tail).with_savepoint(Some(savepoint)))
}

async fn read_savepoint(
    objects: &dyn ObjectStore,
    source: &SavepointSource,
    job: &JobGraph,
) -> Result<Assignment, RecoveryError> {
    let refused = |why| RecoveryError::Savepoint { path: source.path.clone(), why };
    savepoint::read_for(objects, source, job).await.map_err(refused)
}

/// The names of all of a job's objects.
async fn names(objects: &dyn ObjectStore, job: JobId) -> BTreeSet<String> {
    let listed = objects.list_until_acknowledged(&object_prefix(job)).await;
    listed.unwrap_or_default().into_iter().collect()
}

async fn read_metadata(
    objects: &dyn ObjectStore,
    checkpoint: CheckpointId,
    metadata: &str,
) -> Option<ReadCheckpoint> {
    let bytes = loop {
        match objects.get(metadata).await {
            Ok(bytes) => break Ok(bytes),
            Err(ObjectStoreError::Refused(refusal)) => break Err(refusal.to_string()),
            Err(_) if objects.host().sabotaged(sabotage::UNREADABLE_CHECKPOINT_REMOVED) => {
                // What comes of it is of no interest.
                let _ = objects.delete_until_acknowledged(&[metadata.to_string()]).await;
                return None;
            }
            Err(_) if objects.host().sabotaged(sabotage::UNREADABLE_CHECKPOINT_SKIPPED) => {
                return None;
            }
            Err(_) => objects.host().sleep(RETRY_DELAY).await,
        }
    };
    let read = bytes.and_then(|bytes| decoded(&bytes));
    Some((checkpoint, read.map_err(|what| format!("{metadata}: {what}"))))
}

fn decoded(bytes: &Bytes) -> Result<CompletedCheckpoint, String> {
    postcard::from_bytes(bytes).map_err(|error| error.to_string())
}

/// The newest checkpoint of a job of which everything is there, pointed to or not.
async fn newest_whole(
    objects: &dyn ObjectStore,
    job: JobId,
    names: &BTreeSet<String>,
) -> Option<CheckpointId> {
    let ids: BTreeSet<CheckpointId> =
        names.iter().filter_map(|name| checkpoint_of(job, name)).collect();
    for id in ids.into_iter().rev() {
        if read_whole(objects, job, id, names).await.is_ok() {
            return Some(id);
        }
    }
    None
}

/// Reads the metadata of a checkpoint of which everything must be there.
async fn read_whole(
    objects: &dyn ObjectStore,
    job: JobId,
    id: CheckpointId,
    names: &BTreeSet<String>,
) -> Result<CompletedCheckpoint, String> {
    let metadata = metadata_object(job, id);
    let bytes = objects.get_until_acknowledged(&metadata).await;
    let checkpoint = decoded(&bytes.map_err(|refusal| format!("{metadata}: {refusal}"))?)?;
    match missing_part(&checkpoint, names) {
        Some(part) => Err(format!("{part}: no such object")),
        None => Ok(checkpoint),
    }
}

/// A checkpoint of a job without a master, for a savepoint that a user wants of it.
///
/// # Errors
/// Why it can't be had.
pub async fn read_for_savepoint(
    objects: &dyn ObjectStore,
    job: JobId,
    id: CheckpointId,
) -> Result<CompletedCheckpoint, String> {
    let names = names(objects, job).await;
    let read = read_whole(objects, job, id, &names).await;
    read.map_err(|what| format!("checkpoint {id} can't be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::run_two;
    use futures::FutureExt;

    #[test]
    fn what_is_waited_for_is_told_from_the_second_second_on_and_no_longer_than_it_lasts() {
        run_two(
            |_| async {},
            |host| async move {
                let trouble = RecoveryTrouble::default();
                let recovery = Recovery::begin(&host, JobId(7), LeaderSessionId(1), &trouble);
                let soon = host.sleep(PATIENCE - Duration::from_millis(1)).map(|()| trouble.told());
                assert_eq!(recovery.waits_for("nothing", soon).await, None);
                let later =
                    host.sleep(PATIENCE + Duration::from_millis(1)).map(|()| trouble.told());
                let told = recovery.waits_for("an answer", later).await;
                assert_eq!(told, Some("its recovery waits for an answer".to_string()));
                assert_eq!((trouble.told(), trouble.refusal()), (None, None), "it has come");
                recovery.failed(&RecoveryError::Store(StoreError::Full));
                assert_eq!(trouble.told(), trouble.refusal());
                assert_eq!(trouble.refusal(), Some("the store is full".to_string()));
                let again =
                    host.sleep(PATIENCE + Duration::from_millis(1)).map(|()| trouble.refusal());
                let told = recovery.waits_for("it once more", again).await;
                assert_eq!(told, Some("the store is full".to_string()), "it is tried again");
                assert_eq!(trouble.refusal(), told);
                drop(recovery);
                assert_eq!((trouble.told(), trouble.refusal()), (None, None), "its term is over");
            },
        );
    }
}
