//! What a task executor is told to run, and the state from which it begins.

use super::{OperatorSpec, Partitioner, ProgramRef};
use crate::{
    host::NodeAddress,
    system::{
        ids::{
            AllocationId, CheckpointId, ExecutionAttemptId, IntermediateDataSetId, JobVertexId,
            ResultPartitionId,
        },
        leadership::LeaderSessionId,
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One attempt, as it is sent to the task executor that holds its slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskDeployment {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// The term of the job master that deploys it.
    pub job_master: LeaderSessionId,
    /// The hold on the slot in which it runs.
    pub allocation: AllocationId,
    /// The vertex's name, for people.
    pub name: String,
    /// The subtasks of the vertex.
    pub parallelism: u32,
    /// The key groups of the vertex.
    pub max_parallelism: u32,
    /// The program that its operators are of.
    pub program: ProgramRef,
    /// The chain, head first.
    pub operators: Vec<OperatorSpec>,
    /// What it hands on.
    pub produced: Vec<ResultPartitionDeployment>,
    /// What it reads; empty for a source.
    pub inputs: Vec<InputGateDeployment>,
    /// Where it begins; `None` from nothing.
    pub restore: Option<TaskRestore>,
    /// How many completed checkpoints the job keeps.
    pub retained: u32,
}

/// What a task hands on over one edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResultPartitionDeployment {
    /// The edge.
    pub data_set: IntermediateDataSetId,
    /// The vertex that reads it.
    pub consumer: JobVertexId,
    /// How records are spread.
    pub partitioner: Partitioner,
    /// One for each consumer that reads from this task.
    pub subpartitions: u32,
    /// The consumer's key groups.
    pub consumer_max_parallelism: u32,
}

/// What a task reads over one edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InputGateDeployment {
    /// The edge.
    pub data_set: IntermediateDataSetId,
    /// The subpartitions that it reads.
    pub channels: Vec<InputChannelDeployment>,
}

/// One subpartition that a task reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InputChannelDeployment {
    /// The partition.
    pub partition: ResultPartitionId,
    /// Which part of it.
    pub subpartition: u32,
    /// Where its task executor listens for streams.
    pub location: NodeAddress,
}

/// State that lies in the object store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateHandle {
    /// The object that holds an encoded [`TaskState`].
    pub object: String,
    /// Its length in bytes.
    pub length: u64,
}

/// From which checkpoint a task begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskRestore {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The task's part of it.
    pub state: StateHandle,
}

/// The state of one subtask at a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskState {
    /// The task had reached the end of its input.
    pub finished: bool,
    /// The state of each operator of the chain, by uid.
    pub operators: Vec<(String, OperatorState)>,
    /// What it had emitted and nobody had taken, encoded.
    pub emitted: Bytes,
}

/// The state of one operator of one subtask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OperatorState {
    /// What the operator itself keeps, in its own encoding.
    pub own: Bytes,
    /// Its keyed state: key groups with their encoded entries, in order.
    pub keyed: Vec<(u32, Bytes)>,
}
