//! Follows a job to its end, for a person who waits.

use super::{connection::Connection, waits};
use crate::{
    cli::live::{CliError, text::Narrator},
    system::{
        ids::JobId,
        protocol::{ExecutionState, JobDetails, JobRefusal, JobResult, JobStatus},
    },
};
use std::time::Duration;

/// From look to look.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// Without an answer for so long, that is told.
const SILENCE_MAX: Duration = Duration::from_millis(1500);
/// What waits for less is not told.
const WAIT_MIN: Duration = Duration::from_secs(2);

/// Tells how far a job is until it has ended; how it ended.
pub async fn follow(
    connection: &Connection,
    job: JobId,
    narrator: &Narrator,
) -> Result<JobResult, CliError> {
    let mut told: Option<JobStatus> = None;
    loop {
        let answer = connection.host.timeout(SILENCE_MAX, connection.jobs.details(job)).await;
        let details = match answer {
            Ok(Ok(details)) => details,
            Ok(Err(JobRefusal::NoMaster)) | Err(_) => {
                narrator.progress("no job manager answers");
                connection.host.sleep(LOOK_PERIOD).await;
                continue;
            }
            Ok(Err(refusal)) => return Err(CliError::new(refusal.to_string())),
        };
        if told != Some(details.status) {
            narrator.say(&changed(&details));
            told = Some(details.status);
        }
        if details.status.is_globally_terminal() {
            return connection.of_job(connection.jobs.result(job)).await;
        }
        narrator.progress(&progress(&details));
        connection.host.sleep(LOOK_PERIOD).await;
    }
}

fn changed(details: &JobDetails) -> String {
    let status = details.status.name().to_lowercase();
    match (details.status, details.failures.last()) {
        (JobStatus::Restarting | JobStatus::Failing, Some(failure)) => {
            format!("the job is {status}: {}", failure.cause)
        }
        _ => format!("the job is {status}"),
    }
}

/// Tasks that run, and all.
pub fn tasks(tasks: &[(ExecutionState, u32)]) -> (u32, u32) {
    let running = tasks.iter().filter(|(state, _)| *state == ExecutionState::Running);
    (running.map(|(_, count)| count).sum(), tasks.iter().map(|(_, count)| count).sum())
}

fn progress(details: &JobDetails) -> String {
    let (running, all) = tasks(&details.overview().tasks);
    let finished = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
    let finished = finished.filter(|subtask| subtask.state == ExecutionState::Finished).count();
    let finished = match finished {
        0 => String::new(),
        finished => format!(", {finished} have finished"),
    };
    let checkpoint = match details.checkpoints.newest {
        Some(checkpoint) => format!("checkpoint {checkpoint}"),
        None => "no checkpoint yet".to_string(),
    };
    let wait = details.waits.first();
    let wait = wait.filter(|wait| u128::from(wait.waited_ms) >= WAIT_MIN.as_millis());
    let wait = wait.map(|wait| {
        let first = waits::tasks(wait, &details.vertices).into_iter().next();
        let first = first.map(|task| format!(", first {task}")).unwrap_or_default();
        format!("; waits for {}{first}", waits::text(wait))
    });
    format!(
        "the job is {}, {running} of {all} tasks run{finished}, {checkpoint}{}",
        details.status.name().to_lowercase(),
        wait.unwrap_or_default()
    )
}
