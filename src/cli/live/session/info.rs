//! `info`: all that is known of a job.

use super::{
    connection::{Connection, Target, connected},
    follow::tasks,
    name,
    table::{Cell, aligned, colours, size, time},
    waits,
};
use crate::{
    cli::live::{CliError, Outcome, text::say},
    system::{
        ids::JobId,
        protocol::{
            CheckpointDetails, CheckpointEnd, CheckpointsDetails, JobDetails, JobStatus,
            TaskMetrics, VertexDetails,
        },
    },
};
use clap::Args;
use serde_json::json;

/// Tell all that is known of a job of a cluster that runs.
///
/// Its status and since when, its vertices with their subtasks and where they run, its checkpoints, what it waits
/// for and for how long, and how it failed. Numbers of checkpoints and failures count from when its present
/// master leads.
///
/// Exit codes: 0 it is told, 2 no such job, several of them, or no cluster runs there, 3 no job manager gives an
/// answer.
///
/// Try `cargo live info 3f`.
#[derive(Args)]
pub struct Info {
    /// The job's id, or its first digits
    #[arg(value_name = "JOB", value_parser = name::parse_job)]
    job: String,
    /// Print what the web monitor says under /jobs/JOB and below it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Info {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        connected(&self.target, async |connection| {
            let job = connection.job(&self.job).await?;
            let details = connection.of_job(connection.jobs.details(job)).await?;
            if self.json {
                let told = as_json(&connection, job, &details.vertices).await?;
                say(&serde_json::to_string_pretty(&told)?);
            } else {
                lines(&details, colours()).iter().for_each(|line| say(line));
            }
            Ok(Outcome::Passed)
        })
    }
}

/// What the web monitor says, by path.
async fn as_json(
    connection: &Connection,
    job: JobId,
    vertices: &[VertexDetails],
) -> Result<serde_json::Value, CliError> {
    let mut told = Vec::new();
    for vertex in vertices {
        told.push(connection.told(&format!("/jobs/{job}/vertices/{}", vertex.id.0)).await?);
    }
    Ok(json!({
        "job": connection.told(&format!("/jobs/{job}")).await?,
        "vertices": told,
        "checkpoints": connection.told(&format!("/jobs/{job}/checkpoints")).await?,
        "exceptions": connection.told(&format!("/jobs/{job}/exceptions")).await?,
    }))
}

fn lines(details: &JobDetails, colours: bool) -> Vec<String> {
    let mut told = vec![format!("job          {}", details.job)];
    if !details.name.is_empty() {
        told.push(format!("name         {}", details.name));
    }
    let since = details.overview().changed_ms.map(|age| format!(" for {}", time(age)));
    let status = Cell::status(details.status).shown(colours);
    told.push(format!("status       {status}{}", since.unwrap_or_default()));
    let fails =
        [JobStatus::Restarting, JobStatus::Failing, JobStatus::Failed].contains(&details.status);
    if let Some(cause) = details.cause.as_ref().filter(|_| fails) {
        told.push(format!("because      {cause}"));
    }
    told.extend(checkpoints(&details.checkpoints));
    for (number, wait) in details.waits.iter().enumerate() {
        let head = if number == 0 { "waits for" } else { "" };
        told.push(format!("{head:11}  {}", waits::text(wait)));
        let tasks = waits::tasks(wait, &details.vertices);
        told.extend(tasks.iter().map(|task| format!("{:11}    {task}", "")));
    }
    for (number, failure) in details.failures.iter().rev().enumerate() {
        let head = if number == 0 { "failures" } else { "" };
        let times = match failure.times {
            1 => String::new(),
            times => format!("{times} times, last "),
        };
        told.push(format!("{head:11}  {times}{} ago: {}", time(failure.age_ms), failure.cause));
    }
    details.vertices.iter().for_each(|vertex| told.extend(vertex_lines(vertex)));
    told
}

fn checkpoints(known: &CheckpointsDetails) -> Vec<String> {
    let newest = known.newest.map_or("none yet".to_string(), |id| format!("newest {id}"));
    let under_way: Vec<&CheckpointDetails> = known.under_way().collect();
    let restored = known.restored.map(|id| format!(", restored from {id}")).unwrap_or_default();
    let mut told = vec![format!(
        "checkpoints  {newest}, {} completed, {} failed, {} under way{restored}",
        known.completed,
        known.failed,
        under_way.len()
    )];
    let ended = known.last_completed().into_iter().chain(known.last_failed());
    for checkpoint in under_way.into_iter().chain(ended) {
        told.push(format!("{:11}  {}", "", checkpoint_line(checkpoint)));
    }
    told
}

fn checkpoint_line(checkpoint: &CheckpointDetails) -> String {
    let CheckpointDetails { id, acknowledged, subtasks, .. } = checkpoint;
    let (age, took) = (time(checkpoint.age_ms), time(checkpoint.duration_ms));
    match &checkpoint.end {
        None => format!("{id}: triggered {age} ago, {acknowledged} of {subtasks} acknowledged"),
        Some(CheckpointEnd::Completed(last)) => {
            let last = if *last { ", the job's last" } else { "" };
            let size = size(checkpoint.state_bytes);
            format!("{id}: triggered {age} ago, completed in {took}, {size}{last}")
        }
        Some(CheckpointEnd::Failed(why)) => {
            format!("{id}: triggered {age} ago, failed after {took}: {why}")
        }
    }
}

/// What a task did lately; empty before it was measured.
fn shares_of_time(recent: &TaskMetrics) -> String {
    let percent = |part_us| recent.per_mille(part_us) / 10;
    match recent.elapsed_us() {
        0 => String::new(),
        _ => format!(
            "{}% busy, {}% idle, {}% back-pressured",
            percent(recent.busy_us),
            percent(recent.idle_us),
            percent(recent.back_pressured_us)
        ),
    }
}

fn vertex_lines(vertex: &VertexDetails) -> Vec<String> {
    let (running, all) = tasks(&vertex.tasks());
    let mut told =
        vec![format!("vertex {}     {}, {running} of {all} run", vertex.id.0, vertex.name)];
    // Neighbours of which the same is told stand in one line.
    let mut rows: Vec<(usize, usize, [String; 5])> = Vec::new();
    for (index, subtask) in vertex.subtasks.iter().enumerate() {
        let place = subtask.executor.as_ref().map_or("-".to_string(), ToString::to_string);
        let epoch = subtask.epoch.map_or(String::new(), |epoch| format!("epoch {epoch}"));
        let times = shares_of_time(&subtask.metrics.recent);
        let cells = [subtask.state.to_string(), time(subtask.age_ms), place, epoch, times];
        match rows.last_mut() {
            Some((_, last, same)) if *same == cells => *last = index,
            _ => rows.push((index, index, cells)),
        }
    }
    let row = |(first, last, cells): (usize, usize, [String; 5])| {
        let range = if first == last { first.to_string() } else { format!("{first}..{last}") };
        std::iter::once(range.into()).chain(cells.map(Cell::from)).collect::<Vec<Cell>>()
    };
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    told.extend(aligned(&rows, false).into_iter().map(|line| format!("{:11}  {line}", "")));
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobVertexId, ResourceId},
        protocol::{
            ExecutionState, JobFailure, SubtaskDetails, SubtaskMetrics, Wait, WaitReason,
            WaitingTask,
        },
    };

    fn checkpoint(id: u64, end: Option<CheckpointEnd>) -> CheckpointDetails {
        CheckpointDetails {
            id: CheckpointId(id),
            end,
            age_ms: 500,
            duration_ms: 30,
            subtasks: 2,
            acknowledged: 1,
            state_bytes: 20_480,
        }
    }

    fn subtask(state: ExecutionState, executor: Option<&str>) -> SubtaskDetails {
        let executor = executor.map(|name| ResourceId(name.to_string()));
        let recent = TaskMetrics { busy_us: 410, idle_us: 590, ..TaskMetrics::default() };
        let known = executor.is_some();
        let metrics = SubtaskMetrics {
            recent: if known { recent } else { TaskMetrics::default() },
            ..SubtaskMetrics::default()
        };
        let epoch = executor.as_ref().map(|_| 3);
        SubtaskDetails { epoch, state, age_ms: 12_000, executor, metrics }
    }

    #[test]
    fn all_that_is_known_of_a_job_is_told() {
        let mut job = JobDetails::bare(JobId(5), "word count", JobStatus::Running, None);
        job.statuses = vec![(JobStatus::Created, 13_000), (JobStatus::Running, 12_000)];
        let waiting = || subtask(ExecutionState::Created, None);
        let subtasks = vec![subtask(ExecutionState::Running, Some("e-1")), waiting(), waiting()];
        job.vertices = vec![VertexDetails {
            id: JobVertexId(0),
            name: "source -> split".to_string(),
            parallelism: 2,
            max_parallelism: 128,
            inputs: Vec::new(),
            subtasks,
        }];
        job.checkpoints = CheckpointsDetails {
            restored: Some(CheckpointId(3)),
            newest: Some(CheckpointId(4)),
            completed: 1,
            failed: 1,
            recent: vec![
                checkpoint(6, None),
                checkpoint(5, Some(CheckpointEnd::Failed("a task ended".to_string()))),
                checkpoint(4, Some(CheckpointEnd::Completed(false))),
            ],
        };
        job.failures = vec![JobFailure { cause: "lost".to_string(), times: 2, age_ms: 60_000 }];
        let vertex = ExecutionVertexId { vertex: JobVertexId(0), subtask: 1 };
        let attempt = ExecutionAttemptId { job: JobId(5), vertex, epoch: 3 };
        let tasks = vec![WaitingTask { attempt, executor: Some(ResourceId("e-2".to_string())) }];
        let reason =
            WaitReason::Acknowledgements { checkpoint: CheckpointId(6), missing: 1, tasks };
        job.waits = vec![Wait { reason, waited_ms: 470 }];
        assert_eq!(
            lines(&job, false),
            [
                "job          00000000000000000000000000000005",
                "name         word count",
                "status       running for 12 s",
                "checkpoints  newest 4, 1 completed, 1 failed, 1 under way, restored from 3",
                "             6: triggered 500 ms ago, 1 of 2 acknowledged",
                "             4: triggered 500 ms ago, completed in 30 ms, 20 KiB",
                "             5: triggered 500 ms ago, failed after 30 ms: a task ended",
                "waits for    1 acknowledgement of checkpoint 6, for 470 ms",
                "               source -> split 1 on e-2",
                "failures     2 times, last 60 s ago: lost",
                "vertex 0     source -> split, 1 of 3 run",
                "             0     running  12 s  e-1  epoch 3  41% busy, 59% idle, 0% back-pressured",
                "             1..2  created  12 s  -",
            ]
        );
    }

    #[test]
    fn of_a_job_that_ended_long_ago_little_is_told() {
        let job = JobDetails::bare(JobId(5), "", JobStatus::Failed, Some("why".to_string()));
        let told = lines(&job, false);
        assert_eq!(told[1..3], ["status       failed", "because      why"]);
    }
}
