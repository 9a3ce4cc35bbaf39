//! What the core of a job's master wants done.

use crate::system::{
    graph::TaskDeployment,
    heartbeat::HeartbeatSession,
    ids::{CheckpointId, ExecutionAttemptId, ResourceId},
    job_manager::event::JobEvent,
    protocol::{Finality, JobDetails, JobResult, JobStatus, SavepointRequest},
    service::coordination::Revision,
    store::{CheckpointPointer, CompletedCheckpoint},
};
use std::time::Duration;

/// Something to be done, in the order in which it was decided. What is answered comes back to the core as the
/// call that each names.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Announces an event.
    Announce(JobEvent),
    /// Marks a moment that runs should reach.
    Notice(Notice),
    /// Comes back as `on_timer` after a while.
    Schedule(Duration, Timer),
    /// Draws so many numbers in a row from the job's durable counter; `on_drawn`.
    Draw(Draw, u64),
    /// Sends an attempt to its task executor; `on_submitted`.
    Submit(ResourceId, Box<TaskDeployment>),
    /// Ends an attempt; `on_cancel_answered`.
    Cancel(ResourceId, ExecutionAttemptId),
    /// Ends an attempt that the master does not know. What it comes to shows in the next report.
    CancelUnknown(ResourceId, ExecutionAttemptId),
    /// Begins a checkpoint at a source, and whether it stops it.
    Trigger(ResourceId, ExecutionAttemptId, CheckpointId, bool),
    /// Lets a source end its data.
    Drain(ResourceId, ExecutionAttemptId),
    /// Tells an attempt that a checkpoint is complete, and whether the job ends with it.
    Confirm(ResourceId, ExecutionAttemptId, CheckpointId, Finality),
    /// Tells an attempt that a checkpoint has come to nothing.
    Abort(ResourceId, ExecutionAttemptId, CheckpointId),
    /// Writes a checkpoint's metadata; `on_metadata_stored`.
    StoreMetadata(CompletedCheckpoint),
    /// Writes a pointer and removes those of the subsumed; `on_pointer_settled`.
    AddPointer {
        /// The revision since which the tail must not have changed.
        since: Revision,
        /// The pointer.
        pointer: CheckpointPointer,
        /// Those whose pointers go.
        subsumed: Vec<CheckpointId>,
    },
    /// Sees to it that the outcome of a pointer is known; `on_pointer_settled`.
    FencePointer(Revision, CheckpointId, Option<CheckpointId>),
    /// Ends the wait for what was being stored.
    EndStoring,
    /// Copies a complete checkpoint to where its user wants it; `on_savepoint_published`.
    PublishSavepoint(SavepointRequest, CompletedCheckpoint),
    /// Deletes objects that nothing refers to.
    Discard(Vec<String>),
    /// Asks which objects the job has; `on_objects_listed`.
    ListObjects,
    /// A task executor is connected: monitors it.
    Connect(ResourceId, HeartbeatSession),
    /// Monitors a task executor no more.
    Unmonitor(ResourceId, HeartbeatSession),
    /// Tells a task executor that nothing is wanted of it over a connection, and forgets the way to it.
    Disconnect(ResourceId, HeartbeatSession, String),
    /// Tells the resource manager anew how many slots the job needs: it may have given one that was refused, since
    /// another one was not yet known to be lost.
    DeclareRequirements,
    /// Takes leave of the resource manager.
    LeaveResourceManager(JobStatus),
    /// Ends what is under way: the term is over.
    Close,
    /// What is kept is damaged: the process must not go on.
    Exit(String),
    /// The job has ended for good, and this is the last that its master knows of it.
    End(JobResult, Box<JobDetails>),
}

/// A moment that runs should reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An acknowledgement came of a checkpoint that is not pending.
    LateAcknowledgement(CheckpointId),
    /// A round of offers came that is not the newest.
    OldRoundOfOffers,
    /// A pointer that got no answer in time stands.
    PointerInDoubtStands(CheckpointId),
    /// Of several deployed regions some are to start again, and others run on.
    RegionalFailover(usize),
    /// A region could start, and a checkpoint is being stored from which it would have to begin.
    DeploymentWaitsForStoring,
    /// The job has failed for the same reason so many times in a row, a power of two.
    Failure(u64, String),
}

/// What comes back to the core after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The delay after a failure is over. With the number of the failure in its term.
    Restart(u32),
    /// The next checkpoint is due. With the period of checkpoints.
    Trigger(u64),
    /// A checkpoint has had its time.
    CheckpointTimeout(CheckpointId),
    /// A job that restarts or ends has waited long enough for what is being stored.
    StoringGrace(CheckpointId),
    /// An attempt is to be ended whose task executor gave no answer.
    CancelAgain(ExecutionAttemptId),
    /// Slots may have been idle for too long. With the number of the episode.
    SlotsIdle(u64),
    /// The copy of a checkpoint is to be made again.
    PublishSavepoint(CheckpointId),
}

/// What numbers are drawn for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draw {
    /// The epochs of regions, each with the version of its plan.
    Epochs(Vec<(usize, u64)>),
    /// The id of a checkpoint, with the period of checkpoints.
    Checkpoint(u64),
}
