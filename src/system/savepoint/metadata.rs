//! What makes a savepoint one: its metadata, and how it is written.
//!
//! `WTSAVEPT`, the format's number (4 bytes), the CRC-32 of the rest (4 bytes), both little-endian, and the rest: a
//! [`Savepoint`] in `postcard`'s encoding. A format that was released is read for ever: the golden savepoints under
//! `tests/savepoints` are.

use super::SavepointError;
use crate::system::{
    graph::{JobGraph, JobVertex, ProgramRef},
    ids::{CheckpointId, JobId},
    leadership::LeaderSessionId,
    protocol::AfterSavepoint,
    store::CompletedCheckpoint,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"WTSAVEPT";
/// The format that is written.
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 8;

/// The object that holds the metadata of the savepoint at a path.
pub fn metadata_name(path: &str) -> String {
    format!("{path}/_metadata")
}

/// The state of a job, as its user owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Savepoint {
    /// The job of which it was taken.
    pub job: JobId,
    /// That job's name.
    pub name: String,
    /// That job's program.
    pub program: ProgramRef,
    /// The checkpoint of which it is a copy.
    pub checkpoint: CheckpointId,
    /// What became of that job.
    pub then: AfterSavepoint,
    /// The vertices of that job.
    pub vertices: Vec<SavedVertex>,
}

/// The state of a vertex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedVertex {
    /// The uids of its chain, head first.
    pub operators: Vec<String>,
    /// Its key groups.
    pub max_parallelism: u32,
    /// To whom it handed on.
    pub outputs: Vec<SavedOutput>,
    /// Of each subtask where its part lies, relative to the savepoint's path.
    pub parts: Vec<SavedPart>,
}

/// To whom a vertex handed on over one edge: what waited there was for channels that follow from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOutput {
    /// The subtasks of who read it.
    pub parallelism: u32,
    /// Their key groups.
    pub max_parallelism: u32,
    /// How records were spread, in words.
    pub partitioner: String,
}

impl SavedOutput {
    /// Those of a vertex of a job.
    pub fn all(job: &JobGraph, vertex: &JobVertex) -> Vec<Self> {
        let outputs = vertex.outputs.iter().map(|output| {
            let consumer = &job.vertices[output.consumer.0 as usize];
            let edge = consumer.inputs.iter().find(|edge| edge.data_set == output.id);
            let partitioner = edge.map(|edge| edge.partitioner.to_string()).unwrap_or_default();
            let (parallelism, max_parallelism) = (consumer.parallelism, consumer.max_parallelism);
            SavedOutput { parallelism, max_parallelism, partitioner }
        });
        outputs.collect()
    }
}

/// The state of a subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPart {
    /// The object that holds an encoded [`TaskState`](crate::system::graph::TaskState).
    pub object: String,
    /// Its length in bytes.
    pub length: u64,
    /// The CRC-32 of its bytes.
    pub crc: u32,
}

impl Savepoint {
    /// What is to be written of a checkpoint of a job, by one term of its master: no other term's copies have the same
    /// names, so that whoever removes copies removes his own.
    ///
    /// # Panics
    /// When the checkpoint is not one of that job.
    pub fn of(
        job: &JobGraph,
        checkpoint: &CompletedCheckpoint,
        then: AfterSavepoint,
        term: LeaderSessionId,
    ) -> Self {
        let folder = format!("chk-{}-{:08x}", checkpoint.id, term.0 >> 96);
        let mut states = checkpoint.states.iter();
        let vertices = job.vertices.iter().map(|vertex| {
            let parts = (0..vertex.parallelism).map(|subtask| {
                let (of, state) = states.next().expect("a checkpoint has a part of every subtask");
                assert_eq!((of.vertex, of.subtask), (vertex.id, subtask), "parts are in order");
                let object = format!("{folder}/{}-{subtask}", vertex.id.0);
                SavedPart { object, length: state.length, crc: 0 }
            });
            SavedVertex {
                operators: vertex.operators.iter().map(|spec| spec.uid.clone()).collect(),
                max_parallelism: vertex.max_parallelism,
                outputs: SavedOutput::all(job, vertex),
                parts: parts.collect(),
            }
        });
        Savepoint {
            job: job.id,
            name: job.name.clone(),
            program: job.program.clone(),
            checkpoint: checkpoint.id,
            then,
            vertices: vertices.collect(),
        }
    }

    /// All parts.
    pub fn parts(&self) -> impl Iterator<Item = &SavedPart> {
        self.vertices.iter().flat_map(|vertex| &vertex.parts)
    }

    /// The same, to be changed.
    pub(super) fn parts_mut(&mut self) -> impl Iterator<Item = &mut SavedPart> {
        self.vertices.iter_mut().flat_map(|vertex| &mut vertex.parts)
    }

    /// As it is written.
    ///
    /// # Panics
    /// Never: it is plain values.
    pub fn encode(&self) -> Bytes {
        let body = postcard::to_allocvec(self).expect("plain values can be encoded");
        let mut all = Vec::with_capacity(HEADER_BYTES + body.len());
        all.extend_from_slice(MAGIC);
        all.extend_from_slice(&FORMAT.to_le_bytes());
        all.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        all.extend_from_slice(&body);
        all.into()
    }

    /// Reads what was written as an object of that name.
    ///
    /// # Errors
    /// [`SavepointError::NotASavepoint`], [`SavepointError::Format`], [`SavepointError::Corrupt`].
    pub fn decode(object: &str, bytes: &[u8]) -> Result<Self, SavepointError> {
        let corrupt = |what: String| SavepointError::Corrupt { object: object.to_string(), what };
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(SavepointError::NotASavepoint { object: object.to_string() });
        };
        let cut = || corrupt("it is cut short".to_string());
        let (format, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let (crc, body) = rest.split_first_chunk().ok_or_else(cut)?;
        let (found, crc) = (u32::from_le_bytes(*format), u32::from_le_bytes(*crc));
        if crc32fast::hash(body) != crc {
            return Err(corrupt("its checksum does not hold".to_string()));
        }
        match found {
            FORMAT => postcard::from_bytes(body).map_err(|error| corrupt(error.to_string())),
            found => Err(SavepointError::Format { found, newest: FORMAT }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn savepoint() -> Savepoint {
        let part = SavedPart { object: "chk-3/0-0".to_string(), length: 9, crc: 7 };
        Savepoint {
            job: JobId(7),
            name: "one".to_string(),
            program: ProgramRef::default(),
            checkpoint: CheckpointId(3),
            then: AfterSavepoint::Stop,
            vertices: vec![SavedVertex {
                operators: vec!["source".to_string()],
                max_parallelism: 128,
                outputs: vec![],
                parts: vec![part],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Savepoint::decode("m", &savepoint().encode()), Ok(savepoint()));
    }

    #[test]
    fn another_format_is_refused_by_its_number() {
        let mut written = savepoint().encode().to_vec();
        written[MAGIC.len()] = 9;
        let refused = Savepoint::decode("m", &written);
        assert_eq!(refused, Err(SavepointError::Format { found: 9, newest: FORMAT }));
    }

    proptest! {
        #[test]
        fn a_byte_that_is_wrong_is_refused(at in 0..200_usize, mask in 1_u8..) {
            let mut written = savepoint().encode().to_vec();
            let at = at % written.len();
            written[at] ^= mask;
            prop_assert!(Savepoint::decode("m", &written).is_err());
            prop_assert!(Savepoint::decode("m", &written[..at]).is_err());
        }
    }
}
