//! What clients, job managers and task executors say to each other.
//!
//! Every message that changes state carries the session that it belongs to: the leader session in
//! its fencing token or as an argument, the registration, the allocation, the attempt. What tells a
//! whole state (slot reports, lists of slots and attempts) carries a version, so that a late one never
//! undoes a newer one. No message leans on the order of another.

mod details;
mod metrics;
mod savepoint;
mod state;

pub use details::{
    CheckpointDetails, CheckpointEnd, CheckpointsDetails, JobDetails, JobFailure, JobOverview,
    SubtaskDetails, TaskExecutorOverview, VertexDetails, Wait, WaitReason, WaitingTask,
};
pub use metrics::{SubtaskMetrics, TaskMetrics, Volume};
pub use savepoint::{
    AfterSavepoint, Finality, SAVEPOINT_PATH_BYTES_MAX, SavepointRequest, SavepointStatus,
};
pub use state::{ApplicationStatus, ExecutionState, JobResult, JobStatus, TaskExecutionState};

use super::{
    graph::{GraphError, JobGraph, StateHandle, TaskDeployment},
    heartbeat::{Beat, HeartbeatSession},
    ids::{
        AllocationId, CheckpointId, ExecutionAttemptId, InstanceId, JobId, ResourceId,
        TaskExecutorSession,
    },
    leadership::LeaderSessionId,
    rpc::RpcAddress,
};
use crate::{gateway, host::NodeAddress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The component for which dispatchers are elected, and the name of their endpoints.
pub const DISPATCHER: &str = "dispatcher";
/// The component for which resource managers are elected, and the name of their endpoints.
pub const RESOURCE_MANAGER: &str = "resource-manager";
/// The component for which web monitors are elected.
pub const WEB_MONITOR: &str = "web-monitor";
/// The name of a task executor's endpoint.
pub const TASK_EXECUTOR: &str = "task-executor";

/// The component for which a job's masters are elected, and the name of their endpoints.
pub fn job_component(job: JobId) -> String {
    format!("{JOB_PREFIX}{job}")
}

/// The job of a component, if it is one's.
pub fn component_job(component: &str) -> Option<JobId> {
    component.strip_prefix(JOB_PREFIX)?.parse().ok()
}

const JOB_PREFIX: &str = "job-";

/// Why a dispatcher did not take a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum SubmitRefusal {
    /// A job of that id has been taken on.
    #[error("the job is there already")]
    Duplicate,
    /// A job of that id is being taken on, and its graph may not be durable yet; ask again.
    #[error("the job is being taken on")]
    Submitting,
    /// A job of that id has ended.
    #[error("the job has ended: {0}")]
    Terminated(JobStatus),
    /// The graph is unsound.
    #[error("the job graph is unsound: {0}")]
    Graph(#[from] GraphError),
    /// The program that made the job is not there, or is another one.
    #[error("{0}")]
    UnknownProgram(String),
    /// The graph has more bytes than a message or the store of jobs takes.
    #[error("the job graph is too large")]
    TooLarge,
    /// The store of jobs has no room for the graph.
    #[error("the cluster has no room to keep the job graph")]
    Full,
    /// The savepoint that the job is to begin from can't be read, or does not fit it.
    #[error("the savepoint {path}: {why}")]
    Savepoint {
        /// Where it lies.
        path: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The cluster is there for one job or program, and takes no others.
    #[error("the cluster is there for a job of its own, and takes no others")]
    NotASession,
    /// Too many jobs are there.
    #[error("the cluster runs as many jobs as it may")]
    Busy,
    /// The dispatcher's term ends.
    #[error("the dispatcher is stopping")]
    Stopping,
}

/// Why a question about a job has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum JobRefusal {
    /// No such job is known.
    #[error("there is no job {0}")]
    Unknown(JobId),
    /// No master leads the job at the moment; ask again.
    #[error("the job has no master at the moment")]
    NoMaster,
    /// It has ended.
    #[error("the job has ended: {0}")]
    Terminated(JobStatus),
}

gateway! {
    /// Speaks to the leading dispatcher. Fenced.
    pub gateway DispatcherGateway serves DispatcherHandler {
        /// Takes a job on. Answered when the job's graph is durable.
        ask submit_job(job: JobGraph) -> Result<(), SubmitRefusal>;
        /// How far a job is.
        ask job_details(job: JobId) -> Result<JobDetails, JobRefusal>;
        /// What became of a job; `None` while it goes on.
        ask job_result(job: JobId) -> Result<Option<JobResult>, JobRefusal>;
        /// Ends a job. Answered when the request is durable.
        ask cancel_job(job: JobId) -> Result<(), JobRefusal>;
        /// Takes a savepoint of a job, unless it is there or being taken; how far it is.
        ask savepoint(job: JobId, request: SavepointRequest) -> Result<SavepointStatus, JobRefusal>;
        /// The jobs that are not over.
        ask list_jobs() -> Vec<JobId>;
        /// All jobs of which anything is known: those that are not over, then the last ones that have ended.
        ask job_overviews() -> Vec<JobOverview>;
    }
}

/// A task executor, as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskExecutorInfo {
    /// Who it is, over all its lives.
    pub resource: ResourceId,
    /// Which life of it.
    pub session: TaskExecutorSession,
    /// Its endpoint.
    pub address: RpcAddress,
    /// Where it listens for streams of records.
    pub data: NodeAddress,
}

/// Why a registration did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum RegistrationRefusal {
    /// Not now; try again.
    #[error("registration failed: {0}")]
    Failure(String),
    /// Never.
    #[error("registration rejected: {0}")]
    Rejected(String),
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SlotStatus {
    /// The slot.
    pub index: u32,
    /// Who holds it.
    pub allocation: Option<(JobId, AllocationId)>,
}

/// All slots of a task executor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SlotReport {
    /// Grows with each change of the slots within one life of the task executor.
    pub version: u64,
    /// The slots, by index.
    pub slots: Vec<SlotStatus>,
}

gateway! {
    /// Speaks to the leading resource manager. Fenced.
    pub gateway ResourceManagerGateway serves ResourceManagerHandler {
        /// A task executor offers its service. `attempt` grows within its life, so a late try is told
        /// from the newest one.
        ask register_task_executor(executor: TaskExecutorInfo, attempt: u64) -> Result<InstanceId, RegistrationRefusal>;
        /// The slots of a registered task executor; before the first report none is handed out.
        ask report_slots(instance: InstanceId, report: SlotReport) -> bool;
        /// A job's master introduces itself.
        ask register_job_master(job: JobId, session: LeaderSessionId, address: RpcAddress, attempt: u64) -> Result<HeartbeatSession, RegistrationRefusal>;
        /// How many slots a job needs from now on; false when that master is not registered.
        ask declare_requirements(job: JobId, session: LeaderSessionId, version: u64, slots: u32) -> bool;
        /// A master no longer needs the resource manager.
        tell disconnect_job_master(job: JobId, session: LeaderSessionId, status: JobStatus);
        /// A task executor deregisters.
        tell disconnect_task_executor(instance: InstanceId, cause: String);
        /// The task executors that are registered.
        ask task_executors() -> Vec<TaskExecutorOverview>;
        /// A task executor's heartbeat, with its slots.
        ask heartbeat_from_task_executor(beat: Beat<SlotReport>) -> ();
        /// A master's heartbeat.
        ask heartbeat_from_job_master(beat: Beat<()>) -> ();
    }
}

/// A slot that a task executor holds for a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SlotOffer {
    /// The slot.
    pub index: u32,
    /// The hold on it.
    pub allocation: AllocationId,
}

/// All slots that a task executor holds for the job, in one round of offers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OfferedSlots {
    /// The task executor.
    pub resource: ResourceId,
    /// Which life of it.
    pub session: TaskExecutorSession,
    /// Grows with each round of that life.
    pub round: u64,
    /// The version of the task executor's report.
    pub version: u64,
    /// The slots.
    pub slots: Vec<SlotOffer>,
}

/// A slot that a resource manager asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SlotDemand {
    /// The resource manager's term.
    pub resource_manager: LeaderSessionId,
    /// The task executor's registration.
    pub instance: InstanceId,
    /// The slot.
    pub index: u32,
    /// For whom.
    pub job: JobId,
    /// The hold.
    pub allocation: AllocationId,
}

/// What a task executor tells a job's master in its beats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExecutorReport {
    /// Grows with each change of the job's tasks and slots within one life of the task executor.
    pub version: u64,
    /// The attempts of the job that have not ended, and what was measured of each.
    pub attempts: BTreeMap<ExecutionAttemptId, TaskMetrics>,
    /// Those that have, and how, of which the master has not answered yet that it knows. What is in
    /// neither list is gone without a word.
    pub ended: Vec<(ExecutionAttemptId, TaskExecutionState)>,
    /// The holds of the job on slots.
    pub allocations: Vec<AllocationId>,
}

/// What a job's master tells a task executor in its beats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MasterReport {
    /// The newest round of offers of that task executor which the master has answered.
    pub round: u64,
    /// The slots of that task executor which the master holds.
    pub allocations: Vec<AllocationId>,
    /// The newest completed checkpoint and whether the job ends with it, so that a lost confirmation is made up for.
    pub completed: Option<(CheckpointId, Finality)>,
}

/// An attempt's part of a checkpoint, which is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointAck {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Where the part lies.
    pub state: StateHandle,
    /// The attempt was at the end of its data.
    pub ended: bool,
}

/// An attempt can't take part in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointDecline {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Why.
    pub reason: String,
}

gateway! {
    /// Speaks to a job's leading master. Fenced.
    pub gateway JobMasterGateway serves JobMasterHandler {
        /// A task executor that holds slots for the job introduces itself.
        ask register_task_executor(job: JobId, executor: TaskExecutorInfo, attempt: u64) -> Result<HeartbeatSession, RegistrationRefusal>;
        /// A registered task executor offers the slots that it holds for the job; answers which of
        /// them the master takes.
        ask offer_slots(offered: OfferedSlots) -> Result<Vec<AllocationId>, RegistrationRefusal>;
        /// How far an attempt is; false when it is not one of the master's present attempts.
        ask update_task_state(attempt: ExecutionAttemptId, state: TaskExecutionState) -> bool;
        /// An attempt's part of a checkpoint is durable.
        ask acknowledge_checkpoint(part: CheckpointAck) -> ();
        /// An attempt can't take part in a checkpoint.
        tell decline_checkpoint(decline: CheckpointDecline);
        /// A task executor no longer holds anything for the job, and ends that very connection.
        tell disconnect_task_executor(resource: ResourceId, connection: HeartbeatSession, cause: String);
        /// How far the job is.
        ask details() -> JobDetails;
        /// The same in few words.
        ask overview() -> JobOverview;
        /// Begins to end the job.
        ask cancel() -> ();
        /// Takes a savepoint, unless it is there or being taken; how far it is.
        ask savepoint(request: SavepointRequest) -> SavepointStatus;
        /// A task executor's heartbeat.
        ask heartbeat_from_task_executor(beat: Beat<ExecutorReport>) -> ();
        /// The resource manager's request for a heartbeat.
        ask heartbeat_from_resource_manager(beat: Beat<()>) -> ();
    }
}

/// Why a task executor did not hand a slot out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum SlotRefusal {
    /// The request is not from the resource manager with which the task executor is registered, or
    /// not of the present registration.
    #[error("the task executor is not registered so")]
    NotRegistered,
    /// Somebody holds it.
    #[error("{0:?} holds the slot")]
    Occupied(AllocationId),
    /// There is no such slot.
    #[error("there is no slot {0}")]
    NoSuchSlot(u32),
}

/// Why a task executor did not take a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum DeployRefusal {
    /// The deployment is not of the master to which the task executor is connected.
    #[error("the task executor is not connected to that job master")]
    WrongJobMaster,
    /// The job does not hold that slot.
    #[error("the job does not hold {0:?} here")]
    NoSlot(AllocationId),
    /// The master has canceled the attempt, or has deployed a newer one of the same subtask.
    #[error("the attempt was canceled")]
    Canceled,
    /// The program of the task is not there, or is another one.
    #[error("{0}")]
    UnknownProgram(String),
}

gateway! {
    /// Speaks to a task executor. Not fenced: each method says to which session it belongs.
    pub gateway TaskExecutorGateway serves TaskExecutorHandler {
        /// Which life of the task executor this is.
        ask session() -> TaskExecutorSession;
        /// Holds a slot for a job. Answers the version of the slots then.
        ask request_slot(demand: SlotDemand) -> Result<u64, SlotRefusal>;
        /// Starts an attempt. Answers the version of the job's tasks then.
        ask submit_task(deployment: TaskDeployment) -> Result<u64, DeployRefusal>;
        /// Ends an attempt, also one that may still come. Answers the version of the job's tasks, among which
        /// the attempt still is; `None` when it is not there or has ended. The term is that of the master that asks.
        ask cancel_task(attempt: ExecutionAttemptId, job_master: LeaderSessionId) -> Option<u64>;
        /// Begins a checkpoint at a source. If `stops` it reads nothing behind it, until the checkpoint has come to nothing
        /// or a newer one begins that does not stop it.
        tell trigger_checkpoint(attempt: ExecutionAttemptId, checkpoint: CheckpointId, stops: bool);
        /// A source reads nothing more: its data ends here.
        tell drain_source(attempt: ExecutionAttemptId);
        /// A checkpoint is complete.
        tell confirm_checkpoint(attempt: ExecutionAttemptId, checkpoint: CheckpointId, finality: Finality);
        /// A checkpoint has come to nothing.
        tell abort_checkpoint(attempt: ExecutionAttemptId, checkpoint: CheckpointId);
        /// The master no longer wants anything of the task executor over that very connection.
        tell disconnect_job_master(job: JobId, connection: HeartbeatSession, cause: String);
        /// The resource manager has dropped the registration.
        tell disconnect_resource_manager(session: LeaderSessionId, instance: InstanceId, cause: String);
        /// The resource manager's request for a heartbeat.
        ask heartbeat_from_resource_manager(beat: Beat<()>) -> ();
        /// A master's request for a heartbeat.
        ask heartbeat_from_job_master(beat: Beat<MasterReport>) -> ();
    }
}
