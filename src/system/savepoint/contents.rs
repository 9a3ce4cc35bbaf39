//! What is in a savepoint, operator by operator.

use super::{Savepoint, SavepointError, store::read_with_names};
use crate::system::{graph::TaskState, service::object_store::ObjectStore};
use std::collections::{BTreeMap, BTreeSet};

/// What a savepoint has of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorContents {
    /// How many subtasks it had.
    pub subtasks: u32,
    /// Bytes that its subtasks keep besides keys, as they are encoded.
    pub own_bytes: u64,
    /// The key groups that hold something.
    pub key_groups: BTreeSet<u32>,
    /// Bytes of state by key, as it is encoded.
    pub keyed_bytes: u64,
    /// Files of state by key.
    pub files: u32,
    /// Their bytes.
    pub file_bytes: u64,
}

/// What is in a savepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Its metadata.
    pub savepoint: Savepoint,
    /// By uid.
    pub operators: BTreeMap<String, OperatorContents>,
    /// Bytes of records that waited between tasks.
    pub waiting_bytes: u64,
    /// Bytes of all its parts.
    pub bytes: u64,
}

/// Reads all of the savepoint at a path.
///
/// # Errors
/// Why it can't be read.
pub async fn contents(objects: &dyn ObjectStore, path: &str) -> Result<Contents, SavepointError> {
    let (savepoint, there) = read_with_names(objects, path).await?;
    let mut contents =
        Contents { savepoint, operators: BTreeMap::new(), waiting_bytes: 0, bytes: 0 };
    let parts: Vec<_> = contents.savepoint.parts().cloned().collect();
    for part in parts {
        let object = format!("{path}/{}", part.object);
        let of_part =
            |what: String| SavepointError::Part { object: object.clone(), what: what.clone() };
        let bytes = objects.get_until_acknowledged(&object).await;
        let bytes = bytes.map_err(|refusal| of_part(refusal.to_string()))?;
        if bytes.len() as u64 != part.length {
            let what = format!("{} bytes where {} were written", bytes.len(), part.length);
            return Err(of_part(what));
        }
        if crc32fast::hash(&bytes) != part.crc {
            return Err(of_part("its checksum does not hold".to_string()));
        }
        let state: TaskState =
            postcard::from_bytes(&bytes).map_err(|error| of_part(error.to_string()))?;
        contents.bytes += part.length;
        contents.waiting_bytes += state.emitted.len() as u64;
        for (uid, state) in state.operators {
            let operator = contents.operators.entry(uid).or_default();
            operator.subtasks += 1;
            operator.own_bytes += state.own.len() as u64;
            for file in &state.files {
                let object = format!("{path}/{}", file.object);
                if !there.contains(&object) {
                    let what = "there is no such object".to_string();
                    return Err(SavepointError::Part { object, what });
                }
                operator.files += 1;
                operator.file_bytes += file.length;
                contents.bytes += file.length;
            }
            for (group, encoded) in state.keyed {
                operator.key_groups.insert(group);
                operator.keyed_bytes += encoded.len() as u64;
            }
        }
    }
    Ok(contents)
}
