//! What a job's master finds of earlier terms.

use super::core::Checkpoints;
use crate::system::{
    graph::{JobGraph, SavepointSource},
    sabotage,
    savepoint::{self, Assignment, SavepointError},
    service::object_store::{ObjectStore, ObjectStoreError},
    store::{CheckpointPointer, CompletedCheckpoint, CompletedCheckpointStore, StoreError},
};
use std::time::Duration;

/// The pause before metadata is read again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Reads the checkpoints that are stored, and the savepoint with which a job begins that has none. None is skipped: one
/// that can't be read now is read again.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub async fn recover_checkpoints(
    store: &CompletedCheckpointStore,
    objects: &dyn ObjectStore,
    job: &JobGraph,
) -> Result<Checkpoints, StoreError> {
    let (pointers, tail) = store.recover().await?;
    let mut completed = Vec::new();
    for pointer in pointers {
        completed.extend(read_metadata(objects, &pointer).await?);
    }
    let beats =
        !completed.is_empty() && !objects.host().sabotaged(sabotage::SAVEPOINT_BEATS_CHECKPOINTS);
    let savepoint = match job.savepoint.as_ref().filter(|_| !beats) {
        Some(source) => Some(read_savepoint(objects, source, job).await?),
        None => None,
    };
    if savepoint.is_some() {
        completed.clear();
    }
    Ok(Checkpoints::recovered(completed, tail).with_savepoint(savepoint))
}

async fn read_savepoint(
    objects: &dyn ObjectStore,
    source: &SavepointSource,
    job: &JobGraph,
) -> Result<Assignment, StoreError> {
    let corrupt = |error: SavepointError| StoreError::Corrupt {
        key: format!("the savepoint {}", source.path),
        what: error.to_string(),
    };
    savepoint::read_for(objects, source, job).await.map_err(corrupt)
}

async fn read_metadata(
    objects: &dyn ObjectStore,
    pointer: &CheckpointPointer,
) -> Result<Option<CompletedCheckpoint>, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt { key: pointer.metadata.clone(), what };
    let bytes = loop {
        match objects.get(&pointer.metadata).await {
            Ok(bytes) => break bytes,
            Err(ObjectStoreError::Refused(refusal)) => return Err(corrupt(refusal.to_string())),
            Err(_) if objects.host().sabotaged(sabotage::UNREADABLE_CHECKPOINT_SKIPPED) => {
                return Ok(None);
            }
            Err(_) => objects.host().sleep(RETRY_DELAY).await,
        }
    };
    postcard::from_bytes(&bytes).map(Some).map_err(|error| corrupt(error.to_string()))
}
