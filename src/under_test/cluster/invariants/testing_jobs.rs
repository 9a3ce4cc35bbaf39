//! Events of jobs for the invariants' own tests.

pub use super::testing::*;
pub use crate::system::{
    connector::SinkEvent,
    graph::{CheckpointSettings, RestartStrategy},
    ids::*,
    job_manager::{AbortCause, JobEvent, LossCause},
    protocol::{ApplicationStatus, ExecutionState, JobResult, JobStatus, job_component},
    service::{
        log::{LogEvent, TransactionId},
        object_store::{Content, ObjectStoreEvent},
    },
    store::{self, CheckpointPointer, StoredResult},
    task_executor::{EndCause, FreeCause, ManagerCause, PartCause, SlotEvent, TaskEvent},
};

use crate::system::graph::{OperatorSpec, StreamGraph};

pub const JOB: JobId = JobId(7 << 96);

pub fn subtask(vertex: u32) -> ExecutionVertexId {
    ExecutionVertexId { vertex: JobVertexId(vertex), subtask: 0 }
}

pub fn attempt(vertex: u32, epoch: u64) -> ExecutionAttemptId {
    ExecutionAttemptId { job: JOB, vertex: subtask(vertex), epoch }
}

pub fn partition(vertex: u32, epoch: u64) -> ResultPartitionId {
    ResultPartitionId { producer: attempt(vertex, epoch), data_set: IntermediateDataSetId(0) }
}

/// A server begins to handle a call.
pub fn called(name: &'static str) -> RpcEvent {
    RpcEvent::HandlerStarted {
        endpoint: EndpointId(1),
        kind: Kind::new(name),
        sender: 1,
        call: 1,
        token: None,
    }
}

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("it can be encoded")
}

pub fn metadata(id: u64) -> String {
    format!("{JOB}/chk-{id}/metadata")
}

pub fn pointer(id: u64) -> Change {
    let pointer = CheckpointPointer { id: CheckpointId(id), metadata: metadata(id), last: false };
    put(store::pointer_key(JOB, CheckpointId(id)), encoded(&pointer))
}

/// The final checkpoint is complete.
pub fn last_checkpoint(id: u64) -> Change {
    put(store::final_key(JOB), encoded(&CheckpointId(id)))
}

pub fn cancellation() -> Change {
    put(store::cancellation_key(JOB), Vec::new())
}

pub fn outcome(status: ApplicationStatus) -> Change {
    put(store::outcome_key(JOB), encoded(&status))
}

pub fn no_pointer(id: u64) -> Change {
    Change::Delete { key: store::pointer_key(JOB, CheckpointId(id)) }
}

pub fn graph() -> Change {
    put(store::graph_key(JOB), vec![1])
}

/// The graph of a job of one source, with these settings.
pub fn graph_of(settings: CheckpointSettings, restarts: RestartStrategy) -> Change {
    graph_of_subtasks(1, settings, restarts)
}

/// The same with so many subtasks.
pub fn graph_of_subtasks(
    subtasks: u32,
    settings: CheckpointSettings,
    restarts: RestartStrategy,
) -> Change {
    let mut graph = StreamGraph::new();
    let (uid, name) = ("a".to_string(), "a".to_string());
    graph.source(OperatorSpec { uid, name }, subtasks);
    let job = graph.job_graph(JOB, "one", settings, restarts).expect("sound");
    put(store::graph_key(JOB), encoded(&job))
}

pub fn no_graph() -> Change {
    Change::Delete { key: store::graph_key(JOB) }
}

pub fn counter(next: u64) -> Change {
    put(store::counter_key(JOB), encoded(&next))
}

pub fn no_counter() -> Change {
    Change::Delete { key: store::counter_key(JOB) }
}

pub fn result(dirty: bool, status: JobStatus) -> Change {
    let stored = StoredResult { dirty, result: JobResult { status, cause: None } };
    put(store::result_key(JOB), encoded(&stored))
}

pub fn job_latch(number: u128) -> Change {
    put(latch_key(&job_component(JOB)), term(number).to_bytes())
}

/// What a coordination server finds that holds just what these puts wrote.
pub fn recovered(revision: u64, puts: Vec<Change>) -> CoordinationEvent {
    let key = |change: Change| match change {
        Change::Put { key, value, .. } => (key, value, Revision(revision)),
        Change::Delete { key } => unreachable!("{key} is not put"),
    };
    CoordinationEvent::Recovered {
        revision: Revision(revision),
        keys: puts.into_iter().map(key).collect(),
    }
}

pub fn stored(name: impl Into<String>) -> ObjectStoreEvent {
    ObjectStoreEvent::Stored { name: name.into(), len: 1, crc: 1, content: Content::default() }
}

/// An object with something in it.
pub fn stored_with(name: impl Into<String>, content: Vec<u8>) -> ObjectStoreEvent {
    let (len, crc) = (content.len() as u64, crc32fast::hash(&content));
    ObjectStoreEvent::Stored { name: name.into(), len, crc, content: Content(content.into()) }
}

/// A task executor takes an attempt of the first subtask on.
pub fn accepted(epoch: u64) -> SlotEvent {
    SlotEvent::TaskAccepted {
        resource: ResourceId("a".to_string()),
        attempt: attempt(0, epoch),
        allocation: AllocationId(1),
        job_master: term(1),
    }
}

pub fn scheduled(number: u128, epoch: u64, restored: Option<u64>) -> JobEvent {
    let restored = restored.map(CheckpointId);
    JobEvent::Scheduled {
        job: JOB,
        session: term(number),
        epoch,
        restored,
        vertices: vec![subtask(0)],
    }
}

/// The same of these vertices' first subtasks.
pub fn scheduled_of(number: u128, epoch: u64, vertices: &[u32]) -> JobEvent {
    JobEvent::Scheduled {
        job: JOB,
        session: term(number),
        epoch,
        restored: None,
        vertices: vertices.iter().map(|vertex| subtask(*vertex)).collect(),
    }
}

pub fn triggered(id: u64, plan: &[ExecutionAttemptId]) -> JobEvent {
    JobEvent::CheckpointTriggered {
        job: JOB,
        session: term(1),
        checkpoint: CheckpointId(id),
        plan: plan.to_vec(),
    }
}

pub fn acknowledged(id: u64, attempt: ExecutionAttemptId) -> JobEvent {
    JobEvent::CheckpointAcknowledged { checkpoint: CheckpointId(id), attempt }
}

pub fn completed(id: u64) -> JobEvent {
    completed_as(id, false)
}

/// The same, and whether it is the final one.
pub fn completed_as(id: u64, last: bool) -> JobEvent {
    let (session, checkpoint) = (term(1), CheckpointId(id));
    JobEvent::CheckpointCompleted { job: JOB, session, checkpoint, last }
}

pub fn aborted(id: u64) -> JobEvent {
    aborted_for(id, AbortCause::TooLong)
}

pub fn aborted_for(id: u64, cause: AbortCause) -> JobEvent {
    let (session, checkpoint) = (term(1), CheckpointId(id));
    JobEvent::CheckpointAborted { job: JOB, session, checkpoint, cause }
}

pub fn transaction(generation: u64, number: u64) -> TransactionId {
    TransactionId { producer: format!("{JOB}/sink-0"), generation, number }
}

pub fn ended() -> Hardware {
    Hardware::Ended(crate::host::sim::ProcessEnd::Killed)
}
