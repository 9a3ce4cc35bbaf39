//! The events that job managers announce. All of them are self-reports.

use crate::{
    host::Evidence,
    system::{
        heartbeat::HeartbeatSession,
        ids::{
            AllocationId, CheckpointId, ExecutionAttemptId, ExecutionVertexId, InstanceId, JobId,
            ResourceId, TaskExecutorSession,
        },
        job_manager::{AbortCause, LossCause},
        leadership::LeaderSessionId,
        protocol::{AfterSavepoint, ApplicationStatus, ExecutionState, JobResult, JobStatus},
    },
};

/// An event of a dispatcher, a resource manager or a job master.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobEvent {
    /// A dispatcher tells a client that it has taken a job on.
    SubmissionAcknowledged {
        /// The job.
        job: JobId,
    },
    /// A dispatcher has read what is kept of jobs and serves.
    DispatcherServing {
        /// Its term.
        session: LeaderSessionId,
        /// The jobs that it goes on with.
        jobs: Vec<JobId>,
    },
    /// A dispatcher begins to remove what a job left.
    CleanupStarted {
        /// The job.
        job: JobId,
        /// What became of it.
        result: JobResult,
    },
    /// A dispatcher ends a job's master without ending the job.
    LocalCleanup {
        /// The job.
        job: JobId,
    },
    /// A master's job has another status.
    StatusChanged {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The status.
        status: JobStatus,
    },
    /// A master deploys a pipelined region of a job: all tasks where everything is connected.
    Scheduled {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The epoch of the attempts.
        epoch: u64,
        /// The checkpoint from which they begin.
        restored: Option<CheckpointId>,
        /// The subtasks of the region.
        vertices: Vec<ExecutionVertexId>,
    },
    /// A job has failed, as its master sees it.
    FailureCounted {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// Failures in this term so far.
        failures: u32,
        /// What has failed, found out at one time; nothing when it is the job's checkpoints.
        attempts: Vec<ExecutionAttemptId>,
        /// All regions begin anew, and not only those of the attempts.
        all: bool,
        /// Why it has failed, as a person reads it.
        cause: String,
    },
    /// A master knows how far an attempt is.
    ExecutionChanged {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// Its state.
        state: ExecutionState,
    },
    /// A master connects to a task executor.
    ExecutorConnected {
        /// The job.
        job: JobId,
        /// The task executor.
        resource: ResourceId,
        /// Which life of it.
        session: TaskExecutorSession,
        /// The connection.
        connection: HeartbeatSession,
    },
    /// A master gives a task executor up.
    ExecutorLost {
        /// The job.
        job: JobId,
        /// The master's term.
        master: LeaderSessionId,
        /// The task executor.
        resource: ResourceId,
        /// Which life of it.
        session: TaskExecutorSession,
        /// The connection.
        connection: HeartbeatSession,
        /// Why.
        cause: LossCause,
    },
    /// A master takes a slot that was offered.
    SlotAccepted {
        /// The job.
        job: JobId,
        /// The task executor.
        resource: ResourceId,
        /// The hold.
        allocation: AllocationId,
    },
    /// A master ends the tasks of a job that has lacked slots for long, to give back those that it holds.
    TasksWithdrawn {
        /// The job.
        job: JobId,
        /// Its term.
        session: LeaderSessionId,
        /// What ends.
        attempts: Vec<ExecutionAttemptId>,
    },
    /// A master gives a slot back that its job could not use for long.
    SlotGivenBack {
        /// The job.
        job: JobId,
        /// The task executor.
        resource: ResourceId,
        /// The hold.
        allocation: AllocationId,
    },
    /// A dispatcher could not remove what a job left, and will try again.
    CleanupRefused {
        /// The job.
        job: JobId,
        /// Why.
        cause: String,
    },
    /// A term of a job's master begins to read what is kept of the job.
    RecoveryStarted {
        /// The job.
        job: JobId,
        /// The term.
        session: LeaderSessionId,
    },
    /// It waits for a service, and has waited for long.
    RecoveryWaits {
        /// The job.
        job: JobId,
        /// The term.
        session: LeaderSessionId,
        /// For which service, and for what of it.
        what: String,
    },
    /// A job can't go on where it was, since what is kept of it can't be read; it is tried again.
    RecoveryFailed {
        /// The job.
        job: JobId,
        /// The term in which it should have.
        session: LeaderSessionId,
        /// Why.
        cause: String,
    },
    /// A checkpoint begins.
    CheckpointTriggered {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The attempts that must acknowledge it.
        plan: Vec<ExecutionAttemptId>,
    },
    /// A master has an attempt's part of a checkpoint.
    CheckpointAcknowledged {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The attempt.
        attempt: ExecutionAttemptId,
    },
    /// The part names files that other checkpoints may name too.
    FilesNamed {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The objects.
        files: Vec<String>,
    },
    /// A checkpoint is complete, and everyone may know.
    CheckpointCompleted {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Whether it is the job's final one.
        last: bool,
    },
    /// A user wants a savepoint of a job.
    SavepointRequested {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// Where it is to lie.
        path: String,
        /// What becomes of the job.
        then: AfterSavepoint,
    },
    /// A checkpoint begins of which a savepoint is made.
    SavepointTriggered {
        /// The job.
        job: JobId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Where it is to lie.
        path: String,
        /// What becomes of the job.
        then: AfterSavepoint,
    },
    /// A savepoint is whole.
    SavepointCompleted {
        /// The job.
        job: JobId,
        /// The checkpoint of which it is a copy.
        checkpoint: CheckpointId,
        /// Where it lies.
        path: String,
    },
    /// A savepoint has come to nothing.
    SavepointFailed {
        /// The job.
        job: JobId,
        /// Where it was to lie.
        path: String,
        /// Why.
        why: String,
    },
    /// Objects are there that checkpoints left which came to nothing; they are removed.
    LeftObjectsFound {
        /// The job.
        job: JobId,
        /// Their names.
        objects: Vec<String>,
    },
    /// The pointer of a checkpoint got no answer in time; whether it stands is being decided.
    PointerInDoubt {
        /// The job.
        job: JobId,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// A dispatcher tells a client that its wish to end a job is durable.
    CancellationAcknowledged {
        /// The job.
        job: JobId,
    },
    /// A checkpoint has come to nothing.
    CheckpointAborted {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        cause: AbortCause,
    },
    /// A checkpoint counts among the failures that the job bears.
    CheckpointFailureCounted {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The attempt that declined it, if that is why.
        declined: Option<ExecutionAttemptId>,
    },
    /// A dispatcher executes the main function of the program for which the cluster is there.
    MainStarted {
        /// The dispatcher's term.
        session: LeaderSessionId,
    },
    /// The main function has ended.
    MainEnded {
        /// The dispatcher's term.
        session: LeaderSessionId,
        /// What it came to.
        status: ApplicationStatus,
        /// Why it has not succeeded.
        cause: Option<String>,
    },
    /// A dispatcher decides that the cluster has done what it was there for, and ends.
    ClusterEnds {
        /// The dispatcher's term.
        session: LeaderSessionId,
        /// What the cluster came to.
        status: ApplicationStatus,
    },
    /// Nothing of a job manager runs any more, since its cluster has ended; its process may end.
    JobManagerEnded {
        /// What the cluster came to.
        status: ApplicationStatus,
    },
    /// A resource manager asks for a machine.
    WorkerRequested {
        /// The name of its task executor.
        resource: ResourceId,
    },
    /// A resource manager gives a machine back.
    WorkerReleased {
        /// The name of its task executor.
        resource: ResourceId,
        /// Why.
        why: String,
    },
    /// A resource manager has registered a task executor.
    ExecutorRegistered {
        /// The task executor.
        resource: ResourceId,
        /// Which life of it.
        session: TaskExecutorSession,
        /// The registration.
        instance: InstanceId,
    },
    /// A resource manager has dropped a registration.
    ExecutorDropped {
        /// The task executor.
        resource: ResourceId,
        /// The registration.
        instance: InstanceId,
    },
    /// A resource manager has registered a job's master.
    MasterRegistered {
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
    },
    /// A resource manager has dropped the registration of a job's master.
    MasterDropped {
        /// The job.
        job: JobId,
        /// The term of the master that was registered.
        session: LeaderSessionId,
        /// The term of the master that asked for it, if one did.
        told: Option<LeaderSessionId>,
    },
    /// A resource manager asks for a slot.
    SlotRequested {
        /// The job.
        job: JobId,
        /// The task executor.
        resource: ResourceId,
        /// The slot.
        index: u32,
        /// The hold.
        allocation: AllocationId,
    },
}

crate::event!(JobEvent, |_| Evidence::SelfReport);
