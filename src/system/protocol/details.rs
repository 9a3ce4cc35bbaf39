//! What is told of a job, and of the cluster, to whoever asks. Ages are milliseconds on the clock of the node that
//! tells them, so that nobody's wall clock matters.

use super::{
    metrics::{SubtaskMetrics, TaskMetrics},
    state::{ExecutionState, JobResult, JobStatus},
};
use crate::system::ids::{CheckpointId, ExecutionAttemptId, JobId, JobVertexId, ResourceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A failure of a job, or several in a row for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobFailure {
    /// Why, as it was said the first time; at most 1 KiB of it.
    pub cause: String,
    /// How often in a row.
    pub times: u64,
    /// Since the last of them.
    pub age_ms: u64,
}

/// What is told of a job, by its master or by what is known without one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobDetails {
    /// The job.
    pub job: JobId,
    /// Its name; empty where nobody knows it any more.
    pub name: String,
    /// How far it is.
    pub status: JobStatus,
    /// Each status that it had while its present master led, and since when it had it last; oldest first.
    pub statuses: Vec<(JobStatus, u64)>,
    /// Its vertices, producers before consumers; none where only its result is known.
    pub vertices: Vec<VertexDetails>,
    /// Its checkpoints while its present master leads.
    pub checkpoints: CheckpointsDetails,
    /// Why it failed last.
    pub cause: Option<String>,
    /// Its last failures since its master leads, oldest first; at most 8.
    pub failures: Vec<JobFailure>,
    /// What it waits for, what it has waited for longest first; at most 16.
    pub waits: Vec<Wait>,
}

impl JobDetails {
    /// Of a job of which nothing else is known.
    pub fn bare(job: JobId, name: &str, status: JobStatus, cause: Option<String>) -> Self {
        JobDetails {
            job,
            name: name.to_string(),
            status,
            statuses: Vec::new(),
            vertices: Vec::new(),
            checkpoints: CheckpointsDetails::default(),
            cause,
            failures: Vec::new(),
            waits: Vec::new(),
        }
    }

    /// The same so many milliseconds later, of a job of which nothing changes any more.
    #[must_use]
    pub fn later(mut self, ms: u64) -> Self {
        let subtasks = self.vertices.iter_mut().flat_map(|vertex| &mut vertex.subtasks);
        let recent = self.checkpoints.recent.iter_mut();
        let ages = (self.statuses.iter_mut().map(|(_, age)| age))
            .chain(subtasks.map(|subtask| &mut subtask.age_ms))
            .chain(recent.map(|checkpoint| &mut checkpoint.age_ms))
            .chain(self.failures.iter_mut().map(|failure| &mut failure.age_ms));
        ages.for_each(|age| *age = age.saturating_add(ms));
        self
    }

    /// The same while it is not kept that the job has failed: a cancellation that is being recorded would come first,
    /// so it is told to be what it was before. The other ends are decided before a master comes to them.
    #[must_use]
    pub fn before_its_failure(mut self) -> Self {
        if self.status == JobStatus::Failed {
            self.statuses.pop();
            let before = self.statuses.last().map(|(status, _)| *status);
            self.status = before.unwrap_or(JobStatus::Failing);
        }
        self
    }

    /// The job has ended so, whatever its master saw.
    pub fn ended_as(&mut self, result: &JobResult) {
        if let Some((last, _)) = self.statuses.last_mut() {
            *last = result.status;
        }
        self.status = result.status;
        self.cause.clone_from(&result.cause);
    }

    /// What a list of jobs says of it.
    pub fn overview(&self) -> JobOverview {
        let age = |(_, age): &(JobStatus, u64)| *age;
        JobOverview {
            job: self.job,
            name: self.name.clone(),
            status: self.status,
            began_ms: self.statuses.first().map(age),
            changed_ms: self.statuses.last().map(age),
            tasks: in_each_state(self.vertices.iter().flat_map(|vertex| &vertex.subtasks)),
        }
    }
}

/// How many subtasks are in each state, where there are any; in the order of the states.
fn in_each_state<'a>(
    subtasks: impl Iterator<Item = &'a SubtaskDetails>,
) -> Vec<(ExecutionState, u32)> {
    let mut counts = BTreeMap::new();
    for subtask in subtasks {
        *counts.entry(subtask.state).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// What a list of jobs says of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobOverview {
    /// The job.
    pub job: JobId,
    /// Its name; empty where nobody knows it any more.
    pub name: String,
    /// How far it is.
    pub status: JobStatus,
    /// Since when its present master leads.
    pub began_ms: Option<u64>,
    /// Since when it has its status.
    pub changed_ms: Option<u64>,
    /// How many of its tasks are in each state, where there are any.
    pub tasks: Vec<(ExecutionState, u32)>,
}

/// A vertex of a job graph, and how far its subtasks are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VertexDetails {
    /// The vertex.
    pub id: JobVertexId,
    /// Its name.
    pub name: String,
    /// How many subtasks it has.
    pub parallelism: u32,
    /// How many it may have.
    pub max_parallelism: u32,
    /// The vertices that it reads from, and by which partitioner.
    pub inputs: Vec<(JobVertexId, String)>,
    /// Its subtasks, by index.
    pub subtasks: Vec<SubtaskDetails>,
}

impl VertexDetails {
    /// How many of its subtasks are in each state, where there are any.
    pub fn tasks(&self) -> Vec<(ExecutionState, u32)> {
        in_each_state(self.subtasks.iter())
    }

    /// What its present attempts have done together, since each of them runs.
    pub fn metrics(&self) -> TaskMetrics {
        let totals = self.subtasks.iter().map(|subtask| subtask.metrics.total);
        totals.fold(TaskMetrics::default(), |all, one| all.plus(&one))
    }
}

/// How far a subtask is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubtaskDetails {
    /// The epoch of its present attempt; `None` while there is none.
    pub epoch: Option<u64>,
    /// How far that is.
    pub state: ExecutionState,
    /// Since when.
    pub age_ms: u64,
    /// Where it runs.
    pub executor: Option<ResourceId>,
    /// What its task executor has measured of it, told with its beats.
    pub metrics: SubtaskMetrics,
}

/// A job's checkpoints while one master leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointsDetails {
    /// The checkpoint from which its master began, if there was one.
    pub restored: Option<CheckpointId>,
    /// The newest completed one, whoever completed it.
    pub newest: Option<CheckpointId>,
    /// How many came to an end as complete.
    pub completed: u64,
    /// How many came to nothing.
    pub failed: u64,
    /// Those under way and the last ones that have ended, newest first; at most 10 that have ended.
    pub recent: Vec<CheckpointDetails>,
}

impl CheckpointsDetails {
    /// Those under way, newest first.
    pub fn under_way(&self) -> impl Iterator<Item = &CheckpointDetails> {
        self.recent.iter().filter(|checkpoint| checkpoint.end.is_none())
    }

    /// The last one that came to an end as complete.
    pub fn last_completed(&self) -> Option<&CheckpointDetails> {
        self.last_ended(|end| matches!(end, CheckpointEnd::Completed(_)))
    }

    /// The last one that came to nothing.
    pub fn last_failed(&self) -> Option<&CheckpointDetails> {
        self.last_ended(|end| matches!(end, CheckpointEnd::Failed(_)))
    }

    fn last_ended(&self, of: fn(&CheckpointEnd) -> bool) -> Option<&CheckpointDetails> {
        self.recent.iter().find(|checkpoint| checkpoint.end.as_ref().is_some_and(of))
    }
}

/// How far one checkpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointDetails {
    /// The checkpoint.
    pub id: CheckpointId,
    /// What became of it; `None` while it is under way.
    pub end: Option<CheckpointEnd>,
    /// Since it was triggered.
    pub age_ms: u64,
    /// From its trigger to its end, or until now.
    pub duration_ms: u64,
    /// Attempts that must acknowledge it.
    pub subtasks: u32,
    /// Attempts that have.
    pub acknowledged: u32,
    /// Bytes of state that they told of.
    pub state_bytes: u64,
}

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckpointEnd {
    /// It is complete; `true` of a job's final one.
    Completed(bool),
    /// It came to nothing, for that reason.
    Failed(String),
}

/// A task executor as a resource manager knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskExecutorOverview {
    /// Who it is.
    pub resource: ResourceId,
    /// Its endpoint.
    pub address: String,
    /// The port where it listens for streams of records.
    pub data_port: u16,
    /// Since its last beat.
    pub heartbeat_ms: u64,
    /// How many slots it has.
    pub slots: u32,
    /// How many of them nobody holds.
    pub free_slots: u32,
}

/// Something that a job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wait {
    /// What it is.
    pub reason: WaitReason,
    /// Milliseconds on its master's clock that it has waited.
    pub waited_ms: u64,
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WaitReason {
    /// Slots for one of its regions: the resource manager gives them.
    Slots {
        /// How many the region has not.
        missing: u32,
    },
    /// The delay that its restart strategy sets.
    RestartDelay,
    /// The coordination service, for the epoch of a region.
    Epoch,
    /// Tasks that are being deployed, or restore their state.
    TasksToRun {
        /// At most 16 of them.
        tasks: Vec<WaitingTask>,
    },
    /// Tasks of a region that are to end before it begins anew.
    TasksToEnd {
        /// At most 16 of them.
        tasks: Vec<WaitingTask>,
    },
    /// Tasks that have not acknowledged a checkpoint.
    Acknowledgements {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// How many they are.
        missing: u32,
        /// At most 16 of them.
        tasks: Vec<WaitingTask>,
    },
    /// The object store, for a checkpoint's metadata.
    Metadata {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The object store, for a savepoint: a checkpoint that is complete is copied.
    Savepoint {
        /// Where it is to lie.
        path: String,
        /// Why the last try came to nothing.
        why: Option<String>,
    },
    /// The coordination service, for a checkpoint's pointer.
    Pointer {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The coordination service, to find out whether a checkpoint's pointer stands.
    PointerInDoubt {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// A job manager that has its program: the one that leads has none of that name, or another one.
    Program {
        /// In words, with both hashes; 1 KiB at most.
        why: String,
    },
}

impl WaitReason {
    /// The checkpoint, where it is for one.
    pub fn checkpoint(&self) -> Option<CheckpointId> {
        match self {
            WaitReason::Acknowledgements { checkpoint, .. }
            | WaitReason::Metadata { checkpoint }
            | WaitReason::Pointer { checkpoint }
            | WaitReason::PointerInDoubt { checkpoint } => Some(*checkpoint),
            WaitReason::Slots { .. }
            | WaitReason::Program { .. }
            | WaitReason::RestartDelay
            | WaitReason::Epoch
            | WaitReason::Savepoint { .. }
            | WaitReason::TasksToRun { .. }
            | WaitReason::TasksToEnd { .. } => None,
        }
    }

    /// The tasks, where it is for some.
    pub fn tasks(&self) -> &[WaitingTask] {
        match self {
            WaitReason::TasksToRun { tasks }
            | WaitReason::TasksToEnd { tasks }
            | WaitReason::Acknowledgements { tasks, .. } => tasks,
            WaitReason::Slots { .. }
            | WaitReason::Program { .. }
            | WaitReason::RestartDelay
            | WaitReason::Epoch
            | WaitReason::Metadata { .. }
            | WaitReason::Savepoint { .. }
            | WaitReason::Pointer { .. }
            | WaitReason::PointerInDoubt { .. } => &[],
        }
    }
}

/// A task that something waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WaitingTask {
    /// Its attempt.
    pub attempt: ExecutionAttemptId,
    /// Where it runs; `None` where that is not known any more.
    pub executor: Option<ResourceId>,
}
