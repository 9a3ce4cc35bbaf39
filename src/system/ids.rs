//! The names of jobs, slots, attempts and checkpoints.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! random_id {
    ($($(#[doc = $doc:literal])+ $name:ident, $short:literal;)+) => {
        $($(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($short, "-{:08x}"), self.0 >> 96)
            }
        })+
    };
}

random_id! {
    /// A job, for as long as anyone speaks of it.
    JobId, "job";
    /// One registration of a task executor at a resource manager.
    InstanceId, "instance";
    /// One hold of a job on a slot; never used twice.
    AllocationId, "alloc";
    /// One life of a task executor's process.
    TaskExecutorSession, "executor";
}

impl std::str::FromStr for JobId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text.len(), u128::from_str_radix(text, 16)) {
            (32, Ok(id)) => Ok(JobId(id)),
            _ => Err(format!("expected a job id of 32 hexadecimal digits, found {text:?}")),
        }
    }
}

/// A task executor, over all lives of its process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId(pub String);

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A slot of a task executor; its index counts from 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotId {
    /// The task executor.
    pub resource: ResourceId,
    /// Its slot.
    pub index: u32,
}

/// A vertex of a job graph: a chain of operators. Counts from 0 in topological order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobVertexId(pub u32);

impl fmt::Debug for JobVertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vertex-{}", self.0)
    }
}

/// What a vertex hands on over one edge. Counts from 0 over the job graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IntermediateDataSetId(pub u32);

impl fmt::Debug for IntermediateDataSetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data-{}", self.0)
    }
}

/// One of a vertex's parallel subtasks, which count from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutionVertexId {
    /// The vertex.
    pub vertex: JobVertexId,
    /// The subtask.
    pub subtask: u32,
}

impl fmt::Debug for ExecutionVertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.vertex, self.subtask)
    }
}

/// One try to run a subtask.
///
/// The epoch is drawn from the job's durable counter when the tasks are scheduled, so it grows over
/// restarts and over the terms of job masters: of two attempts of a subtask the later has the
/// greater epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutionAttemptId {
    /// The job.
    pub job: JobId,
    /// The subtask.
    pub vertex: ExecutionVertexId,
    /// The try.
    pub epoch: u64,
}

impl fmt::Debug for ExecutionAttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.vertex, self.epoch)
    }
}

/// What one attempt hands on over one edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResultPartitionId {
    /// The attempt.
    pub producer: ExecutionAttemptId,
    /// The edge.
    pub data_set: IntermediateDataSetId,
}

impl fmt::Debug for ResultPartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.producer, self.data_set)
    }
}

/// A checkpoint of a job. Grows over the whole life of the job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointId(pub u64);

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint-{}", self.0)
    }
}
