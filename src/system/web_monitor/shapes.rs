//! What is told, as JSON: Flink's names, and more beside them. Times are milliseconds since 1970, -1 for what has
//! not happened.

use crate::{
    host::millis,
    system::{
        ids::{JobId, JobVertexId},
        protocol::{
            CheckpointDetails, CheckpointEnd, ExecutionState, JobDetails, JobOverview, JobStatus,
            SubtaskDetails, TaskExecutorOverview, TaskMetrics, VertexDetails, Wait, WaitReason,
            WaitingTask,
        },
    },
};
use serde_json::{Map, Value, json};
use std::time::Duration;

const STATES: &[ExecutionState] = &[
    ExecutionState::Created,
    ExecutionState::Deploying,
    ExecutionState::Initializing,
    ExecutionState::Running,
    ExecutionState::Canceling,
    ExecutionState::Finished,
    ExecutionState::Canceled,
    ExecutionState::Failed,
];

fn state(of: ExecutionState) -> String {
    of.to_string().to_uppercase()
}

fn id(of: JobId) -> String {
    of.to_string()
}

pub fn config(refresh: Duration) -> Value {
    json!({
        "refresh-interval": millis(refresh),
        "timezone-name": "UTC",
        "timezone-offset": 0,
        "wavetank-version": env!("CARGO_PKG_VERSION"),
        "features": { "web-submit": false, "web-cancel": true },
    })
}

pub fn overview(jobs: &[JobOverview], executors: &[TaskExecutorOverview]) -> Value {
    let count = |of: fn(JobStatus) -> bool| jobs.iter().filter(|job| of(job.status)).count();
    let sum = |of: fn(&TaskExecutorOverview) -> u32| {
        executors.iter().map(|executor| u64::from(of(executor))).sum::<u64>()
    };
    json!({
        "taskmanagers": executors.len(),
        "slots-total": sum(|executor| executor.slots),
        "slots-available": sum(|executor| executor.free_slots),
        "jobs-running": count(|status| !status.is_globally_terminal()),
        "jobs-finished": count(|status| status == JobStatus::Finished),
        "jobs-cancelled": count(|status| status == JobStatus::Canceled),
        "jobs-failed": count(|status| status == JobStatus::Failed),
        "wavetank-version": env!("CARGO_PKG_VERSION"),
    })
}

pub fn task_executors(executors: &[TaskExecutorOverview], age_ms: u64) -> Value {
    let shape = |executor: &TaskExecutorOverview| {
        json!({
            "id": executor.resource.0,
            "path": executor.address,
            "dataPort": executor.data_port,
            "timeSinceLastHeartbeat": executor.heartbeat_ms.saturating_add(age_ms),
            "slotsNumber": executor.slots,
            "freeSlots": executor.free_slots,
        })
    };
    json!({ "taskmanagers": executors.iter().map(shape).collect::<Vec<_>>() })
}

pub fn job_ids(jobs: &[JobOverview]) -> Value {
    let shape = |job: &JobOverview| json!({ "id": id(job.job), "status": job.status.name() });
    json!({ "jobs": jobs.iter().map(shape).collect::<Vec<_>>() })
}

/// A moment so many milliseconds before `then`.
fn ago(then: u64, ms: Option<u64>) -> Value {
    ms.map_or(json!(-1), |ms| json!(then.saturating_sub(ms)))
}

pub fn jobs(jobs: &[JobOverview], then: u64) -> Value {
    let shape = |job: &JobOverview| {
        let ended = job.changed_ms.filter(|_| job.status.is_globally_terminal());
        json!({
            "jid": id(job.job),
            "name": job.name,
            "state": job.status.name(),
            "start-time": ago(then, job.began_ms),
            "end-time": ago(then, ended),
            "duration": duration(job.began_ms, ended),
            "last-modification": ago(then, job.changed_ms),
            "tasks": tasks(&job.tasks),
        })
    };
    json!({ "jobs": jobs.iter().map(shape).collect::<Vec<_>>() })
}

fn duration(began_ms: Option<u64>, ended_ms: Option<u64>) -> u64 {
    began_ms.unwrap_or_default().saturating_sub(ended_ms.unwrap_or_default())
}

/// How many tasks are in each state, and together.
fn tasks(counts: &[(ExecutionState, u32)]) -> Value {
    let sum = |of: &dyn Fn(ExecutionState) -> bool| -> u64 {
        counts.iter().filter(|(state, _)| of(*state)).map(|(_, count)| u64::from(*count)).sum()
    };
    let of_each = STATES.iter().map(|state| (state.to_string(), json!(sum(&|of| of == *state))));
    of_each.chain([("total".to_string(), json!(sum(&|_| true)))]).collect()
}

pub fn job(job: &JobDetails, then: u64) -> Value {
    let overview = job.overview();
    let ended = overview.changed_ms.filter(|_| job.status.is_globally_terminal());
    let timestamps =
        job.statuses.iter().map(|(of, age)| (of.name().to_string(), ago(then, Some(*age))));
    json!({
        "jid": id(job.job),
        "name": job.name,
        "state": job.status.name(),
        "start-time": ago(then, overview.began_ms),
        "end-time": ago(then, ended),
        "duration": duration(overview.began_ms, ended),
        "now": then,
        "timestamps": timestamps.collect::<Map<_, _>>(),
        "vertices": job.vertices.iter().map(|v| vertex_in_job(v, then)).collect::<Vec<_>>(),
        "status-counts": tasks(&overview.tasks),
        "plan": nodes(job),
        "waits": job.waits.iter().map(wait).collect::<Vec<_>>(),
    })
}

fn vertex_in_job(vertex: &VertexDetails, then: u64) -> Value {
    let oldest = vertex.subtasks.iter().map(|subtask| subtask.age_ms).max();
    // The state of the one that is least far, as Flink has it; a failure before all.
    let states = || vertex.subtasks.iter().map(|subtask| subtask.state);
    let failed = states().find(|state| *state == ExecutionState::Failed);
    let least = failed.or_else(|| states().min()).unwrap_or(ExecutionState::Created);
    json!({
        "id": vertex.id.0.to_string(),
        "name": vertex.name,
        "parallelism": vertex.parallelism,
        "maxParallelism": vertex.max_parallelism,
        "status": state(least),
        "start-time": ago(then, oldest),
        "duration": oldest.unwrap_or_default(),
        "tasks": tasks(&vertex.tasks()),
        "metrics": metrics(&vertex.metrics()),
    })
}

/// What has gone through a task, and what it has done with its time.
fn metrics(of: &TaskMetrics) -> Value {
    json!({
        "read-bytes": of.read.bytes,
        "read-records": of.read.records,
        "write-bytes": of.written.bytes,
        "write-records": of.written.records,
        "accumulated-busy-time": of.busy_us / 1000,
        "accumulated-idle-time": of.idle_us / 1000,
        "accumulated-backpressured-time": of.back_pressured_us / 1000,
    })
}

/// How much of its time a task lately waited for room downstream.
pub fn back_pressure(vertex: &VertexDetails, then: u64) -> Value {
    let level = |per_mille: u64| match per_mille {
        0..=100 => "ok",
        101..=500 => "low",
        _ => "high",
    };
    let blocked = |subtask: &SubtaskDetails| {
        let recent = &subtask.metrics.recent;
        recent.per_mille(recent.back_pressured_us)
    };
    let shape = |(index, subtask): (usize, &SubtaskDetails)| {
        let recent = &subtask.metrics.recent;
        let ratio = |part_us| recent.per_mille(part_us) as f64 / 1000.0;
        json!({
            "subtask": index,
            "attempt-number": subtask.epoch,
            "backpressure-level": level(blocked(subtask)),
            "ratio": ratio(recent.back_pressured_us),
            "idleRatio": ratio(recent.idle_us),
            "busyRatio": ratio(recent.busy_us),
        })
    };
    json!({
        "status": "ok",
        "backpressure-level": level(vertex.subtasks.iter().map(blocked).max().unwrap_or_default()),
        "end-timestamp": then,
        "subtasks": vertex.subtasks.iter().enumerate().map(shape).collect::<Vec<_>>(),
    })
}

fn nodes(job: &JobDetails) -> Value {
    let shape = |vertex: &VertexDetails| {
        let input = |(number, (producer, strategy)): (usize, &(JobVertexId, String))| {
            json!({
                "num": number,
                "id": producer.0.to_string(),
                "ship_strategy": strategy,
                "exchange": "pipelined_bounded",
            })
        };
        json!({
            "id": vertex.id.0.to_string(),
            "parallelism": vertex.parallelism,
            "description": vertex.name,
            "inputs": vertex.inputs.iter().enumerate().map(input).collect::<Vec<_>>(),
        })
    };
    json!({
        "jid": id(job.job),
        "name": job.name,
        "nodes": job.vertices.iter().map(shape).collect::<Vec<_>>(),
    })
}

pub fn plan(job: &JobDetails) -> Value {
    json!({ "plan": nodes(job) })
}

pub fn vertex(vertex: &VertexDetails, then: u64) -> Value {
    let shape = |(index, subtask): (usize, &SubtaskDetails)| {
        json!({
            "subtask": index,
            "status": state(subtask.state),
            "attempt": subtask.epoch,
            "taskmanager-id": subtask.executor.as_ref().map(|resource| &resource.0),
            "start-time": ago(then, Some(subtask.age_ms)),
            "duration": subtask.age_ms,
            "metrics": metrics(&subtask.metrics.total),
        })
    };
    json!({
        "id": vertex.id.0.to_string(),
        "name": vertex.name,
        "parallelism": vertex.parallelism,
        "maxParallelism": vertex.max_parallelism,
        "now": then,
        "subtasks": vertex.subtasks.iter().enumerate().map(shape).collect::<Vec<_>>(),
    })
}

pub fn checkpoints(job: &JobDetails, then: u64) -> Value {
    let known = &job.checkpoints;
    let shape = |checkpoint: &CheckpointDetails| self::checkpoint(checkpoint, then);
    let under_way = known.under_way().count();
    json!({
        "counts": {
            "restored": u64::from(known.restored.is_some()),
            "total": known.completed + known.failed + under_way as u64,
            "in_progress": under_way,
            "completed": known.completed,
            "failed": known.failed,
        },
        "latest": {
            "completed": known.last_completed().map(shape),
            "failed": known.last_failed().map(shape),
            "restored": known.restored.map(|checkpoint| json!({ "id": checkpoint.0 })),
            "newest-id": known.newest.map(|checkpoint| checkpoint.0),
        },
        "history": known.recent.iter().map(shape).collect::<Vec<_>>(),
        "waits": job.waits.iter().filter(|wait| wait.reason.checkpoint().is_some()).map(wait).collect::<Vec<_>>(),
    })
}

fn checkpoint(checkpoint: &CheckpointDetails, then: u64) -> Value {
    let (status, failure, is_final) = match &checkpoint.end {
        None => ("IN_PROGRESS", None, false),
        Some(CheckpointEnd::Completed(last)) => ("COMPLETED", None, *last),
        Some(CheckpointEnd::Failed(why)) => ("FAILED", Some(why), false),
    };
    json!({
        "id": checkpoint.id.0,
        "status": status,
        "is_savepoint": false,
        "is_final": is_final,
        "trigger_timestamp": ago(then, Some(checkpoint.age_ms)),
        "end_to_end_duration": checkpoint.duration_ms,
        "state_size": checkpoint.state_bytes,
        "num_subtasks": checkpoint.subtasks,
        "num_acknowledged_subtasks": checkpoint.acknowledged,
        "failure_message": failure,
    })
}

pub fn exceptions(job: &JobDetails, then: u64) -> Value {
    let entries = job.failures.iter().rev().map(|failure| {
        json!({
            "exceptionName": failure.cause,
            "stacktrace": failure.cause,
            "timestamp": ago(then, Some(failure.age_ms)),
            "times": failure.times,
        })
    });
    json!({
        "root-exception": job.cause,
        "timestamp": ago(then, job.failures.last().map(|failure| failure.age_ms)),
        "truncated": false,
        "exceptionHistory": { "entries": entries.collect::<Vec<_>>(), "truncated": false },
    })
}

/// Why a job or a checkpoint waits: for which tasks and where they run, or for which service, and since when.
fn wait(wait: &Wait) -> Value {
    let (reason, service, missing) = match &wait.reason {
        WaitReason::Slots { missing } => ("SLOTS", Some("resource-manager"), Some(*missing)),
        WaitReason::RestartDelay => ("RESTART_DELAY", None, None),
        WaitReason::Epoch => ("EPOCH", Some("coordination"), None),
        WaitReason::TasksToRun { .. } => ("TASKS_TO_RUN", None, None),
        WaitReason::TasksToEnd { .. } => ("TASKS_TO_END", None, None),
        WaitReason::Acknowledgements { missing, .. } => ("ACKNOWLEDGEMENTS", None, Some(*missing)),
        WaitReason::Metadata { .. } => ("CHECKPOINT_METADATA", Some("object-store"), None),
        WaitReason::Pointer { .. } => ("CHECKPOINT_POINTER", Some("coordination"), None),
        WaitReason::PointerInDoubt { .. } => {
            ("CHECKPOINT_POINTER_IN_DOUBT", Some("coordination"), None)
        }
        WaitReason::Savepoint { .. } => ("SAVEPOINT", Some("object-store"), None),
        WaitReason::Program { .. } => ("PROGRAM", None, None),
    };
    let task = |task: &WaitingTask| {
        json!({
            "vertex": task.attempt.vertex.vertex.0.to_string(),
            "subtask": task.attempt.vertex.subtask,
            "attempt": task.attempt.epoch,
            "taskmanager-id": task.executor.as_ref().map(|resource| &resource.0),
        })
    };
    let mut told = json!({
        "reason": reason,
        "service": service,
        "checkpoint": wait.reason.checkpoint().map(|checkpoint| checkpoint.0),
        "missing": missing,
        "waited-ms": wait.waited_ms,
        "tasks": wait.reason.tasks().iter().map(task).collect::<Vec<_>>(),
    });
    match &wait.reason {
        WaitReason::Program { why } => told["why"] = json!(why),
        WaitReason::Savepoint { path, why } => {
            (told["savepoint"], told["why"]) = (json!(path), json!(why));
        }
        _ => {}
    }
    told
}
