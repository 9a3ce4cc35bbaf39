//! The shapes of answers.

use super::shapes;
use crate::system::{
    ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobId, JobVertexId, ResourceId},
    protocol::{
        CheckpointDetails, CheckpointEnd, CheckpointsDetails, ExecutionState, JobDetails,
        JobFailure, JobStatus, SubtaskDetails, SubtaskMetrics, TaskExecutorOverview, TaskMetrics,
        VertexDetails, Volume, Wait, WaitReason, WaitingTask,
    },
};
use serde_json::{Value, json};

const JOB: JobId = JobId(0xabc << 96);
/// When the details were asked for.
const THEN: u64 = 1_000_000;

fn subtask(epoch: u64, state: ExecutionState, age_ms: u64, executor: &str) -> SubtaskDetails {
    let executor = Some(ResourceId(executor.to_string()));
    let metrics = SubtaskMetrics::default();
    SubtaskDetails { epoch: Some(epoch), state, age_ms, executor, metrics }
}

fn vertex(id: u32, name: &str, subtasks: Vec<SubtaskDetails>) -> VertexDetails {
    let inputs = (0..id).map(|producer| (JobVertexId(producer), "HASH".to_string())).collect();
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    let (id, name) = (JobVertexId(id), name.to_string());
    VertexDetails { id, name, parallelism, max_parallelism: 128, inputs, subtasks }
}

fn checkpoint(id: u64, end: Option<CheckpointEnd>, age_ms: u64) -> CheckpointDetails {
    CheckpointDetails {
        id: CheckpointId(id),
        end,
        age_ms,
        duration_ms: 40,
        subtasks: 3,
        acknowledged: 2,
        state_bytes: 77,
    }
}

/// A job of two vertices, of which one subtask is being deployed again.
fn details() -> JobDetails {
    let lagging = ExecutionAttemptId {
        job: JOB,
        vertex: ExecutionVertexId { vertex: JobVertexId(1), subtask: 0 },
        epoch: 2,
    };
    let tasks = vec![WaitingTask { attempt: lagging, executor: Some(ResourceId("b".to_string())) }];
    let missing = WaitReason::Acknowledgements { checkpoint: CheckpointId(9), missing: 1, tasks };
    JobDetails {
        statuses: vec![(JobStatus::Created, 900), (JobStatus::Running, 100)],
        vertices: vec![
            vertex(
                0,
                "source",
                vec![
                    subtask(1, ExecutionState::Running, 500, "a"),
                    subtask(2, ExecutionState::Deploying, 10, "b"),
                ],
            ),
            vertex(1, "sink", vec![subtask(2, ExecutionState::Failed, 20, "b")]),
        ],
        checkpoints: CheckpointsDetails {
            restored: Some(CheckpointId(5)),
            newest: Some(CheckpointId(7)),
            completed: 1,
            failed: 1,
            recent: vec![
                checkpoint(9, None, 40),
                checkpoint(8, Some(CheckpointEnd::Failed("it took too long".to_string())), 200),
                checkpoint(7, Some(CheckpointEnd::Completed(false)), 300),
            ],
        },
        cause: Some("sink broke".to_string()),
        failures: vec![
            JobFailure { cause: "source broke".to_string(), times: 2, age_ms: 400 },
            JobFailure { cause: "sink broke".to_string(), times: 1, age_ms: 30 },
        ],
        waits: vec![
            Wait { reason: WaitReason::Slots { missing: 2 }, waited_ms: 60 },
            Wait { reason: missing, waited_ms: 40 },
        ],
        ..JobDetails::bare(JOB, "words", JobStatus::Running, None)
    }
}

/// The parts of a shape at these pointers.
fn parts(shape: &Value, pointers: &[&str]) -> Vec<Value> {
    pointers.iter().map(|pointer| shape.pointer(pointer).expect(pointer).clone()).collect()
}

#[test]
fn a_job_tells_how_far_it_is_and_since_when() {
    let shape = shapes::job(&details(), THEN);
    let told = parts(&shape, &["/jid", "/name", "/state", "/now", "/end-time"]);
    assert_eq!(
        told,
        [json!(JOB.to_string()), json!("words"), json!("RUNNING"), json!(THEN), json!(-1)]
    );
    assert_eq!(shape["timestamps"], json!({ "CREATED": THEN - 900, "RUNNING": THEN - 100 }));
    assert_eq!(shape["duration"], 900);
    let counts = parts(
        &shape["status-counts"],
        &["/running", "/deploying", "/failed", "/canceled", "/total"],
    );
    assert_eq!(counts, [1, 1, 1, 0, 3].map(|count| json!(count)));
    // A vertex is as far as the least of its subtasks, and failed if one of them is.
    assert_eq!(
        parts(&shape, &["/vertices/0/status", "/vertices/1/status"]),
        ["DEPLOYING", "FAILED"]
    );
    assert_eq!(shape["vertices"][0]["start-time"], THEN - 500);
}

#[test]
fn a_job_that_has_ended_tells_when() {
    let mut ended = details();
    ended.status = JobStatus::Finished;
    ended.statuses.push((JobStatus::Finished, 50));
    let shape = shapes::job(&ended, THEN);
    assert_eq!(parts(&shape, &["/end-time", "/duration"]), [json!(THEN - 50), json!(850)]);
    let list = shapes::jobs(&[ended.overview()], THEN);
    let told = parts(&list, &["/jobs/0/end-time", "/jobs/0/duration", "/jobs/0/last-modification"]);
    assert_eq!(told, [json!(THEN - 50), json!(850), json!(THEN - 50)]);
    let bare = JobDetails::bare(JOB, "", JobStatus::Canceled, None).overview();
    let list = shapes::jobs(&[bare], THEN);
    assert_eq!(
        parts(&list, &["/jobs/0/start-time", "/jobs/0/state"]),
        [json!(-1), json!("CANCELED")]
    );
}

#[test]
fn a_job_and_a_checkpoint_tell_for_what_they_wait() {
    let shape = shapes::job(&details(), THEN);
    let slots = &shape["waits"][0];
    assert_eq!(parts(slots, &["/reason", "/service"]), ["SLOTS", "resource-manager"]);
    assert_eq!(
        parts(slots, &["/missing", "/waited-ms", "/tasks"]),
        [json!(2), json!(60), json!([])]
    );
    let lagging = json!([{ "vertex": "1", "subtask": 0, "attempt": 2, "taskmanager-id": "b" }]);
    assert_eq!(shape["waits"][1]["tasks"], lagging);
    let checkpoints = shapes::checkpoints(&details(), THEN);
    assert_eq!(checkpoints["waits"], json!([shape["waits"][1]]), "those of checkpoints alone");
    assert_eq!(checkpoints["waits"][0]["checkpoint"], 9);
}

#[test]
fn checkpoints_tell_their_counts_and_the_last_of_each_end() {
    let shape = shapes::checkpoints(&details(), THEN);
    let counts =
        json!({ "restored": 1, "total": 3, "in_progress": 1, "completed": 1, "failed": 1 });
    assert_eq!(shape["counts"], counts);
    let latest =
        parts(&shape["latest"], &["/completed/id", "/failed/id", "/restored/id", "/newest-id"]);
    assert_eq!(latest, [7, 8, 5, 7].map(|id| json!(id)));
    let history = shape["history"].as_array().unwrap();
    let states: Vec<_> = history.iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["IN_PROGRESS", "FAILED", "COMPLETED"]);
    assert_eq!(history[1]["failure_message"], "it took too long");
    let told =
        parts(&history[2], &["/trigger_timestamp", "/state_size", "/num_acknowledged_subtasks"]);
    assert_eq!(told, [json!(THEN - 300), json!(77), json!(2)]);
}

#[test]
fn exceptions_come_newest_first() {
    let shape = shapes::exceptions(&details(), THEN);
    assert_eq!(
        parts(&shape, &["/root-exception", "/timestamp"]),
        [json!("sink broke"), json!(THEN - 30)]
    );
    let entries = parts(
        &shape["exceptionHistory"],
        &["/entries/0/exceptionName", "/entries/1/exceptionName", "/entries/1/times"],
    );
    assert_eq!(entries, [json!("sink broke"), json!("source broke"), json!(2)]);
}

#[test]
fn a_plan_and_a_vertex_tell_who_reads_from_whom_and_where_subtasks_run() {
    let plan = shapes::plan(&details());
    let input =
        json!([{ "num": 0, "id": "0", "ship_strategy": "HASH", "exchange": "pipelined_bounded" }]);
    assert_eq!(plan["plan"]["nodes"][1]["inputs"], input);
    assert_eq!(plan["plan"]["nodes"][0]["inputs"], json!([]));
    let vertex = shapes::vertex(&details().vertices[0], THEN);
    let told = parts(
        &vertex,
        &["/subtasks/1/status", "/subtasks/1/taskmanager-id", "/subtasks/0/start-time"],
    );
    assert_eq!(told, [json!("DEPLOYING"), json!("b"), json!(THEN - 500)]);
}

#[test]
fn a_vertex_tells_what_goes_through_it_and_how_its_tasks_spend_their_time() {
    let mut vertex = details().vertices.swap_remove(0);
    let volume = |records| Volume { records, bytes: records * 10 };
    let measured = |busy_us, back_pressured_us, records| TaskMetrics {
        busy_us,
        idle_us: 1_000_000 - busy_us - back_pressured_us,
        back_pressured_us,
        read: volume(records),
        written: volume(records * 2),
    };
    vertex.subtasks[0].metrics.report(measured(900_000, 60_000, 5));
    vertex.subtasks[1].metrics.report(measured(100_000, 400_000, 3));
    let shape = shapes::vertex(&vertex, THEN);
    let told = parts(
        &shape["subtasks"][1]["metrics"],
        &["/read-records", "/write-bytes", "/accumulated-backpressured-time"],
    );
    assert_eq!(told, [json!(3), json!(60), json!(400)]);
    assert_eq!(vertex.metrics().read, volume(8));
    let shape = shapes::back_pressure(&vertex, THEN);
    assert_eq!(shape["backpressure-level"], "low", "that of the worst");
    let of_first = json!({
        "subtask": 0,
        "attempt-number": vertex.subtasks[0].epoch,
        "backpressure-level": "ok",
        "ratio": 0.06,
        "idleRatio": 0.04,
        "busyRatio": 0.9,
    });
    assert_eq!(shape["subtasks"][0], of_first);
}

#[test]
fn an_overview_counts_jobs_and_slots() {
    let executor = |name: &str, free_slots| TaskExecutorOverview {
        resource: ResourceId(name.to_string()),
        address: format!("rpc://{name}:1/task-executor"),
        data_port: 2,
        heartbeat_ms: 30,
        slots: 4,
        free_slots,
    };
    let executors = [executor("a", 1), executor("b", 4)];
    let of = |status| JobDetails::bare(JOB, "", status, None).overview();
    let statuses = [
        JobStatus::Created,
        JobStatus::Running,
        JobStatus::Restarting,
        JobStatus::Finished,
        JobStatus::Canceled,
        JobStatus::Failed,
        JobStatus::Failed,
    ];
    let shape = shapes::overview(&statuses.map(of), &executors);
    let told = parts(
        &shape,
        &[
            "/taskmanagers",
            "/slots-total",
            "/slots-available",
            "/jobs-running",
            "/jobs-finished",
            "/jobs-cancelled",
            "/jobs-failed",
        ],
    );
    assert_eq!(told, [2, 8, 5, 3, 1, 1, 2].map(|count| json!(count)));
    let listed = shapes::task_executors(&executors, 100);
    assert_eq!(listed["taskmanagers"][0]["timeSinceLastHeartbeat"], 130, "it has grown older");
}
