//! From what a user builds to what is run: stream graph, job graph, execution graph.
//!
//! A [`StreamGraph`] has a node per operator. [`StreamGraph::job_graph`] chains operators into
//! vertices by Flink's rule; a [`JobGraph`] is what is submitted and kept, and carries names of
//! registered operators with encoded parameters, never code. An [`ExecutionGraph`] spreads each vertex
//! over its parallel subtasks and says which of them reads what.
//!
//! Deliberately absent: batch exchanges, iterations, and a job that is given another parallelism while it runs.

mod deployment;
mod execution;
mod job;
mod partitioner;
mod report;
mod stream;

pub use deployment::{
    FormerPart, InputChannelDeployment, InputGateDeployment, OperatorState, RestoredParts,
    RestoredState, ResultPartitionDeployment, SavepointOrigin, SharedFile, StateFile, StateHandle,
    StatePlace, TaskDeployment, TaskRestore, TaskState,
};
pub use execution::{
    ExecutionEdge, ExecutionGraph, ExecutionJobVertex, ExecutionVertex, IntermediateResult,
    IntermediateResultPartition,
};
pub use job::{
    CheckpointSettings, DistributionPattern, GraphError, HEAP_INLINE, INLINE_STATE_BYTES_MAX,
    IntermediateDataSet, JobEdge, JobGraph, JobVertex, NAME_BYTES_MAX, OperatorSpec,
    PARALLELISM_MAX, ProgramRef, RATE_FAILURES_MAX, RestartStrategy, STATE_MEMORY_MIN,
    SavepointSource, StateBackend,
};
pub use partitioner::{KeyGroupRange, Partitioner, key_group};
pub use report::{FunctionReport, GraphReport};
pub use stream::{ChainingStrategy, StreamEdge, StreamGraph, StreamNode, StreamNodeId};
