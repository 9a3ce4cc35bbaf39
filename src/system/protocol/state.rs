//! How far jobs and tasks are.

use crate::system::reason::bounded;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobStatus {
    /// Not all of its regions were deployed yet; those that were run.
    Created,
    /// Its tasks run, or are being deployed.
    Running,
    /// A task failed; the others of its region are being canceled, to start again. Other regions run on.
    Restarting,
    /// A task failed for good; the others are being canceled.
    Failing,
    /// A user wants it to end; its tasks are being canceled.
    Cancelling,
    /// All its data was taken in and all its output is committed.
    Finished,
    /// It failed for good.
    Failed,
    /// It ended because a user wanted it to.
    Canceled,
    /// This master no longer runs it; another one does or will.
    Suspended,
}

impl JobStatus {
    /// Every status.
    pub const ALL: &[JobStatus] = &[
        JobStatus::Created,
        JobStatus::Running,
        JobStatus::Restarting,
        JobStatus::Failing,
        JobStatus::Cancelling,
        JobStatus::Finished,
        JobStatus::Failed,
        JobStatus::Canceled,
        JobStatus::Suspended,
    ];

    /// Its name where it is told to programs: Flink's.
    pub fn name(self) -> &'static str {
        match self {
            JobStatus::Created => "CREATED",
            JobStatus::Running => "RUNNING",
            JobStatus::Restarting => "RESTARTING",
            JobStatus::Failing => "FAILING",
            JobStatus::Cancelling => "CANCELLING",
            JobStatus::Finished => "FINISHED",
            JobStatus::Failed => "FAILED",
            JobStatus::Canceled => "CANCELED",
            JobStatus::Suspended => "SUSPENDED",
        }
    }

    /// Whether the job has ended for good, whoever leads.
    pub fn is_globally_terminal(self) -> bool {
        matches!(self, JobStatus::Finished | JobStatus::Failed | JobStatus::Canceled)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobResult {
    /// A globally terminal status.
    pub status: JobStatus,
    /// Why it failed.
    pub cause: Option<String>,
}

/// What became of a cluster that was there for one job or one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ApplicationStatus {
    /// It has done what it was there for.
    Succeeded,
    /// It could not.
    Failed,
    /// A user did not want it to.
    Canceled,
}

impl ApplicationStatus {
    /// What a cluster comes to whose job has ended so.
    ///
    /// # Panics
    /// When the job has not ended for good.
    pub fn of_job(status: JobStatus) -> Self {
        match status {
            JobStatus::Finished => ApplicationStatus::Succeeded,
            JobStatus::Failed => ApplicationStatus::Failed,
            JobStatus::Canceled => ApplicationStatus::Canceled,
            goes_on => unreachable!("a job that is {goes_on} ends no cluster"),
        }
    }
}

impl fmt::Display for ApplicationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ApplicationStatus::Succeeded => "SUCCEEDED",
            ApplicationStatus::Failed => "FAILED",
            ApplicationStatus::Canceled => "CANCELED",
        })
    }
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskExecutionState {
    /// Waits for slots.
    Created,
    /// Sent to its task executor.
    Deploying,
    /// Restores its state and connects.
    Initializing,
    /// Takes records.
    Running,
    /// Is being ended.
    Canceling,
    /// Has done all its work.
    Finished,
    /// Was ended.
    Canceled,
    /// Failed, and why.
    Failed(String),
}

impl TaskExecutionState {
    /// Whether nothing of the attempt runs any more.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            TaskExecutionState::Finished
                | TaskExecutionState::Canceled
                | TaskExecutionState::Failed(_)
        )
    }

    /// The same with no more of its cause than is kept of one.
    #[must_use]
    pub fn bounded(self) -> Self {
        match self {
            TaskExecutionState::Failed(cause) => TaskExecutionState::Failed(bounded(cause)),
            state => state,
        }
    }

    /// The same without its cause.
    pub fn state(&self) -> ExecutionState {
        match self {
            TaskExecutionState::Created => ExecutionState::Created,
            TaskExecutionState::Deploying => ExecutionState::Deploying,
            TaskExecutionState::Initializing => ExecutionState::Initializing,
            TaskExecutionState::Running => ExecutionState::Running,
            TaskExecutionState::Canceling => ExecutionState::Canceling,
            TaskExecutionState::Finished => ExecutionState::Finished,
            TaskExecutionState::Canceled => ExecutionState::Canceled,
            TaskExecutionState::Failed(_) => ExecutionState::Failed,
        }
    }
}

/// Where an attempt stands in its life, in order; the last three are its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExecutionState {
    /// Waits for slots.
    Created,
    /// Sent to its task executor.
    Deploying,
    /// Restores its state and connects.
    Initializing,
    /// Takes records.
    Running,
    /// Is being ended.
    Canceling,
    /// Has done all its work.
    Finished,
    /// Was ended.
    Canceled,
    /// Failed.
    Failed,
}

impl fmt::Display for ExecutionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExecutionState::Created => "created",
            ExecutionState::Deploying => "deploying",
            ExecutionState::Initializing => "initializing",
            ExecutionState::Running => "running",
            ExecutionState::Canceling => "canceling",
            ExecutionState::Finished => "finished",
            ExecutionState::Canceled => "canceled",
            ExecutionState::Failed => "failed",
        })
    }
}
