//! Where savepoints lie: in the object store.

use super::{Savepoint, SavepointError, metadata_name};
use crate::system::{
    graph::{StateHandle, StatePlace},
    ids::JobId,
    protocol::SAVEPOINT_PATH_BYTES_MAX,
    sabotage,
    service::object_store::{ObjectStore, ObjectStoreRefusal},
    store::object_prefix,
};
use std::collections::BTreeSet;

/// Whether a savepoint of a job may lie at a path.
///
/// # Errors
/// Why not.
pub fn check_path(path: &str, job: JobId) -> Result<(), String> {
    if path.len() > SAVEPOINT_PATH_BYTES_MAX {
        return Err(format!("a path has at most {SAVEPOINT_PATH_BYTES_MAX} bytes"));
    }
    let own = object_prefix(job);
    match format!("{path}/").starts_with(&own) {
        true => Err(format!("what lies under {own} goes with the job")),
        false => Ok(()),
    }
}

/// Whether a savepoint lies at a path.
///
/// # Errors
/// What is no path of one.
pub async fn is_complete(
    objects: &dyn ObjectStore,
    path: &str,
) -> Result<bool, ObjectStoreRefusal> {
    match objects.get_until_acknowledged(&metadata_name(path)).await {
        Ok(_) => Ok(true),
        Err(ObjectStoreRefusal::NotFound) => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Makes a savepoint at a path of the parts of a checkpoint, in their order; once more is fine. Where another one has come
/// to that path meanwhile it stays. What unfinished tries left there is removed.
///
/// # Errors
/// What the object store refuses; nothing of the savepoint is there then.
pub async fn publish(
    objects: &dyn ObjectStore,
    path: &str,
    savepoint: &Savepoint,
    parts: &[StateHandle],
) -> Result<(), ObjectStoreRefusal> {
    let (metadata, encoded) = (metadata_name(path), savepoint.encode());
    let own = savepoint.parts().map(|part| format!("{path}/{}", part.object)).collect::<Vec<_>>();
    let early = objects.host().sabotaged(sabotage::SAVEPOINT_BEFORE_ITS_PARTS);
    if early {
        objects.put_until_acknowledged(&metadata, encoded.clone()).await?;
    }
    let mut done = copy(objects, parts, &own).await;
    if done.is_ok() && !early {
        done = objects.put_until_acknowledged(&metadata, encoded).await;
    }
    if let Err(refusal) = done {
        // What can't be removed now is in nobody's way: it is no savepoint.
        let _ = objects.delete_until_acknowledged(&own).await;
        return if refusal == ObjectStoreRefusal::Exists { Ok(()) } else { Err(refusal) };
    }
    let mut left = objects.list_until_acknowledged(path).await?;
    left.retain(|name| *name != metadata && !own.contains(name));
    objects.delete_until_acknowledged(&left).await
}

async fn copy(
    objects: &dyn ObjectStore,
    parts: &[StateHandle],
    to: &[String],
) -> Result<(), ObjectStoreRefusal> {
    for (from, to) in parts.iter().zip(to) {
        let content = match &from.place {
            StatePlace::Inline(state) => state.clone(),
            StatePlace::Object(name) => objects.get_until_acknowledged(name).await?,
        };
        objects.put_until_acknowledged(to, content).await?;
    }
    Ok(())
}

/// Reads the savepoint at a path, and looks whether its parts are there.
///
/// # Errors
/// Why it can't be read.
pub async fn read(objects: &dyn ObjectStore, path: &str) -> Result<Savepoint, SavepointError> {
    let object = metadata_name(path);
    let bytes = match objects.get_until_acknowledged(&object).await {
        Ok(bytes) => bytes,
        Err(ObjectStoreRefusal::NotFound) => return Err(SavepointError::Missing(object)),
        Err(refusal) => {
            return Err(SavepointError::Corrupt { object, what: refusal.to_string() });
        }
    };
    let savepoint = Savepoint::decode(&object, &bytes)?;
    let there = objects.list_until_acknowledged(path).await;
    let there: BTreeSet<String> = there.unwrap_or_default().into_iter().collect();
    for part in savepoint.parts() {
        let object = format!("{path}/{}", part.object);
        if !there.contains(&object) {
            return Err(SavepointError::Part { object, what: "there is no such object".into() });
        }
    }
    Ok(savepoint)
}
