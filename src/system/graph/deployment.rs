//! What a task executor is told to run, and the state from which it begins.

use super::{OperatorSpec, Partitioner, ProgramRef, StateBackend};
use crate::{
    host::NodeAddress,
    system::{
        ids::{
            AllocationId, CheckpointId, ExecutionAttemptId, IntermediateDataSetId, JobId,
            JobVertexId, ResultPartitionId,
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
    /// Where the task keeps its state.
    pub state_backend: StateBackend,
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

/// A subtask's part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateHandle {
    /// Where the encoded [`TaskState`] is.
    pub place: StatePlace,
    /// Its length in bytes.
    pub length: u64,
    /// The files that it names, which other checkpoints may name too.
    pub shared: Vec<SharedFile>,
}

/// A file of state by key in the object store, which several checkpoints may name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SharedFile {
    /// The object.
    pub object: String,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it was written for this checkpoint; else a complete one has it.
    pub is_new: bool,
}

/// Where state is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatePlace {
    /// Here: whoever keeps the handle keeps the state.
    Inline(Bytes),
    /// In the object store, as the object of that name.
    Object(String),
}

impl StateHandle {
    /// State that lies in the object store.
    pub fn object(name: String, length: u64) -> Self {
        StateHandle { place: StatePlace::Object(name), length, shared: Vec::new() }
    }

    /// State that goes with its handle.
    pub fn inline(state: Bytes) -> Self {
        let length = state.len() as u64;
        StateHandle { place: StatePlace::Inline(state), length, shared: Vec::new() }
    }

    /// Bytes of the part, with those of the files that it names.
    pub fn bytes(&self) -> u64 {
        self.length + self.shared.iter().map(|file| file.length).sum::<u64>()
    }

    /// The objects that are of no use without the handle.
    pub fn objects(&self) -> impl Iterator<Item = &String> + use<'_> {
        match &self.place {
            StatePlace::Inline(_) => None,
            StatePlace::Object(name) => Some(name),
        }
        .into_iter()
    }
}

/// From which checkpoint a task begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskRestore {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// What of it the task begins with.
    pub state: RestoredParts,
    /// The savepoint that it is of, unless it is a checkpoint of the job itself.
    pub savepoint: Option<SavepointOrigin>,
    /// The job has been stopped with that checkpoint: nothing comes behind it.
    pub stopped: bool,
}

/// The parts of a checkpoint with which a task begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestoredParts {
    /// That of the same subtask of the same chain, out of as many.
    Same(StateHandle),
    /// Those of all subtasks that had operators of the task's chain, of which it takes its share.
    Redistributed(Vec<FormerPart>),
}

/// The part of a subtask of a job as it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FormerPart {
    /// The subtask among those of its vertex.
    pub subtask: u32,
    /// Whether its chain was the same, and handed on to as many outputs.
    pub same_chain: bool,
    /// Whether the task goes on with what it had emitted and nobody had taken.
    pub takes_emitted: bool,
    /// The part.
    pub state: StateHandle,
}

/// Where a savepoint came from from which a job begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SavepointOrigin {
    /// The job of which it was taken.
    pub job: JobId,
    /// Whether that job has ended with it.
    pub stopped: bool,
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
    /// Files that hold more of its keyed state, the oldest first.
    pub files: Vec<StateFile>,
}

/// A file that holds state by key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateFile {
    /// The object in the object store; in a savepoint it is relative to the savepoint's path.
    pub object: String,
    /// Its length in bytes.
    pub length: u64,
    /// What is in it, as its backend encodes that.
    pub about: Bytes,
}

/// What an operator of one subtask begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RestoredState {
    /// Nothing is kept of it.
    #[default]
    Nothing,
    /// What the same subtask had, out of as many.
    Same(OperatorState),
    /// What all subtasks had that there were, by their numbers: it takes its share.
    Redistributed(Vec<(u32, OperatorState)>),
}

impl RestoredState {
    /// All states that there are, for whoever does not ask whose they were.
    pub fn into_states(self) -> Vec<OperatorState> {
        match self {
            RestoredState::Nothing => Vec::new(),
            RestoredState::Same(state) => vec![state],
            RestoredState::Redistributed(states) => {
                states.into_iter().map(|(_, state)| state).collect()
            }
        }
    }
}
