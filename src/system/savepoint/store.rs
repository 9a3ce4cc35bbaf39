//! Where savepoints lie: in the object store.

use super::{Assignment, Savepoint, SavepointError, assign, metadata_name};
use crate::system::{
    graph::{JobGraph, SavepointSource, StateHandle, StatePlace, TaskState},
    ids::JobId,
    protocol::SAVEPOINT_PATH_BYTES_MAX,
    sabotage,
    service::object_store::{ObjectStore, ObjectStoreRefusal, check_name},
    store::object_prefix,
};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Whether a savepoint may lie at a path.
///
/// # Errors
/// Why not.
pub fn check_path(path: &str) -> Result<(), String> {
    if path.len() > SAVEPOINT_PATH_BYTES_MAX {
        return Err(format!("a path has at most {SAVEPOINT_PATH_BYTES_MAX} bytes"));
    }
    if check_name(path).is_err() {
        return Err(format!(
            "{path:?} is no path: it has parts of letters, digits, dots, dashes and underscores, with slashes between them"
        ));
    }
    let root = path.split('/').next().unwrap_or_default();
    match root.parse::<JobId>() {
        Ok(job) => Err(format!("what lies under {} goes with that job", object_prefix(job))),
        Err(_) => Ok(()),
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
/// Why it is not there.
pub async fn publish(
    objects: &dyn ObjectStore,
    path: &str,
    mut savepoint: Savepoint,
    parts: &[StateHandle],
) -> Result<(), String> {
    let metadata = metadata_name(path);
    let early = objects.host().sabotaged(sabotage::SAVEPOINT_BEFORE_ITS_PARTS);
    if early {
        let _ = objects.put_until_acknowledged(&metadata, savepoint.encode()).await;
    }
    let mut copies = BTreeSet::new();
    let is_of_these = match copy(objects, path, &mut savepoint, parts, &mut copies).await {
        Ok(()) if early => Ok(true),
        Ok(()) => match objects.put_until_acknowledged(&metadata, savepoint.encode()).await {
            Ok(()) => Ok(true),
            Err(ObjectStoreRefusal::Exists) => Ok(false),
            Err(refusal) => Err(refusal.to_string()),
        },
        Err(why) => Err(why),
    };
    if is_of_these != Ok(true) {
        remove(objects, copies).await;
        return is_of_these.map(drop);
    }
    let left =
        objects.list_until_acknowledged(path).await.map_err(|refusal| refusal.to_string())?;
    let is_left = |name: &String| *name != metadata && !copies.contains(name);
    remove(objects, left.into_iter().filter(is_left).collect()).await;
    Ok(())
}

/// Removes copies that belong to no savepoint. What can't be removed now is in nobody's way.
async fn remove(objects: &dyn ObjectStore, copies: BTreeSet<String>) {
    let copies: Vec<String> = copies.into_iter().collect();
    let _ = objects.delete_until_acknowledged(&copies).await;
}

/// Copies parts, in their order, and notes how long the copies are and which objects there are.
async fn copy(
    objects: &dyn ObjectStore,
    path: &str,
    savepoint: &mut Savepoint,
    parts: &[StateHandle],
    copies: &mut BTreeSet<String>,
) -> Result<(), String> {
    let told = |refusal: ObjectStoreRefusal| refusal.to_string();
    for (from, to) in parts.iter().zip(savepoint.parts_mut()) {
        let content = match &from.place {
            StatePlace::Inline(state) => state.clone(),
            StatePlace::Object(name) => objects.get_until_acknowledged(name).await.map_err(told)?,
        };
        let content = copy_files(objects, path, from, &to.object, content, copies).await?;
        (to.length, to.crc) = (content.len() as u64, crc32fast::hash(&content));
        let name = format!("{path}/{}", to.object);
        copies.insert(name.clone());
        objects.put_until_acknowledged(&name, content).await.map_err(told)?;
    }
    Ok(())
}

/// Copies the files that a part names, and names the copies in it. Those of `chk-N/V-S` become `files-N/V-S-…`.
async fn copy_files(
    objects: &dyn ObjectStore,
    path: &str,
    from: &StateHandle,
    to: &str,
    part: Bytes,
    copies: &mut BTreeSet<String>,
) -> Result<Bytes, String> {
    let told = |refusal: ObjectStoreRefusal| refusal.to_string();
    if from.shared.is_empty() {
        return Ok(part);
    }
    let state = postcard::from_bytes(&part);
    let mut state: TaskState = state.map_err(|error| format!("a part can't be read: {error}"))?;
    let folder = to.replacen("chk-", "files-", 1);
    let files = state.operators.iter_mut().flat_map(|(_, operator)| &mut operator.files);
    for (number, file) in files.enumerate() {
        let content = objects.get_until_acknowledged(&file.object).await.map_err(told)?;
        file.object = format!("{folder}-{number}");
        let copy = format!("{path}/{}", file.object);
        copies.insert(copy.clone());
        objects.put_until_acknowledged(&copy, content).await.map_err(told)?;
    }
    Ok(Bytes::from(postcard::to_allocvec(&state).expect("plain values")))
}

/// Reads the savepoint at a path, and looks whether its parts are there.
///
/// # Errors
/// Why it can't be read.
pub async fn read(objects: &dyn ObjectStore, path: &str) -> Result<Savepoint, SavepointError> {
    read_with_names(objects, path).await.map(|(savepoint, _)| savepoint)
}

/// The same, with the names of all objects under the path.
pub(super) async fn read_with_names(
    objects: &dyn ObjectStore,
    path: &str,
) -> Result<(Savepoint, BTreeSet<String>), SavepointError> {
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
    Ok((savepoint, there))
}

/// Reads the savepoint from which a job is to begin, and says which subtask begins with which parts.
///
/// # Errors
/// Why it can't be read, or does not fit the job.
pub async fn read_for(
    objects: &dyn ObjectStore,
    source: &SavepointSource,
    job: &JobGraph,
) -> Result<Assignment, SavepointError> {
    let savepoint = read(objects, &source.path).await?;
    assign(&savepoint, &source.path, job, source.may_leave_state)
}
