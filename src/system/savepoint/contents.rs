//! What is in a savepoint, operator by operator.

use super::{SavedPart, Savepoint, SavepointError, store::read_with_names};
use crate::system::{
    graph::{OperatorState, TaskState},
    service::object_store::ObjectStore,
};
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
pub async fn read_contents(
    objects: &dyn ObjectStore,
    path: &str,
) -> Result<Contents, SavepointError> {
    let (savepoint, there) = read_with_names(objects, path).await?;
    let parts: Vec<_> = savepoint.parts().cloned().collect();
    let mut contents =
        Contents { savepoint, operators: BTreeMap::new(), waiting_bytes: 0, bytes: 0 };
    for part in parts {
        let object = format!("{path}/{}", part.object);
        let state = read_part(objects, &object, &part).await?;
        contents.bytes += part.length;
        contents.waiting_bytes += state.emitted.len() as u64;
        for (uid, state) in state.operators {
            contents.add(path, &there, uid, state)?;
        }
    }
    Ok(contents)
}

/// Reads a part, which must be what was written.
async fn read_part(
    objects: &dyn ObjectStore,
    object: &str,
    part: &SavedPart,
) -> Result<TaskState, SavepointError> {
    let refused = |what: String| SavepointError::Part { object: object.to_string(), what };
    let bytes = objects.get_until_acknowledged(object).await;
    let bytes = bytes.map_err(|refusal| refused(refusal.to_string()))?;
    if bytes.len() as u64 != part.length {
        return Err(refused(format!("{} bytes where {} were written", bytes.len(), part.length)));
    }
    if crc32fast::hash(&bytes) != part.crc {
        return Err(refused("its checksum does not hold".to_string()));
    }
    postcard::from_bytes(&bytes).map_err(|error| refused(error.to_string()))
}

impl Contents {
    /// Counts what one subtask of an operator has.
    fn add(
        &mut self,
        path: &str,
        there: &BTreeSet<String>,
        uid: String,
        state: OperatorState,
    ) -> Result<(), SavepointError> {
        let operator = self.operators.entry(uid).or_default();
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
            self.bytes += file.length;
        }
        for (group, encoded) in state.keyed {
            operator.key_groups.insert(group);
            operator.keyed_bytes += encoded.len() as u64;
        }
        Ok(())
    }
}
