//! Follows a job to its end, for a person who waits.

use super::{
    connection::Connection,
    deployment::{Deployment, DeploymentResult},
    folder::Found,
    waits,
};
use crate::{
    cli::live::{CliError, text::Narrator},
    system::{
        ids::JobId,
        protocol::{ExecutionState, JobDetails, JobRefusal, JobResult, JobStatus},
    },
};
use futures::pin_mut;
use std::time::Duration;

/// From look to look.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// Without an answer for so long, that is told.
const SILENCE_MAX: Duration = Duration::from_millis(1500);
/// What waits for less is not told.
const WAIT_MIN: Duration = Duration::from_secs(2);

/// Tells how far a job is until it has ended; how it ended. A cluster that was made for the job ends with it, and
/// leaves the result in its folder.
pub async fn follow(
    connection: &Connection,
    job: JobId,
    narrator: &Narrator,
) -> Result<JobResult, CliError> {
    let mut told: Option<JobStatus> = None;
    loop {
        let details = match look(connection, job).await? {
            Look::Ended(result) => {
                if told != Some(result.status) {
                    narrator.say(&named(result.status));
                }
                return Ok(result);
            }
            Look::Answered(answer) => answer,
        };
        let details = match details {
            Some(Ok(details)) => details,
            Some(Err(JobRefusal::NoMaster)) | None => {
                goes_on(connection, job)?;
                narrator.progress(match told {
                    Some(status) if status.is_globally_terminal() => "waits for the cluster's end",
                    _ => "no job manager answers",
                });
                connection.host.sleep(LOOK_PERIOD).await;
                continue;
            }
            Some(Err(refusal)) => return Err(CliError::new(refusal.to_string())),
        };
        if told != Some(details.status) {
            narrator.say(&changed(&details));
            told = Some(details.status);
        }
        if !details.status.is_globally_terminal() {
            narrator.progress(&progress(&details));
        } else if Deployment::pending(&connection.folder)?.is_none_or(|own| own.job != job) {
            return connection.of_job(connection.jobs.result(job)).await;
        }
        connection.host.sleep(LOOK_PERIOD).await;
    }
}

/// What is to be seen of a job.
enum Look {
    /// What the dispatcher says, if it answers.
    Answered(Option<Result<Box<JobDetails>, JobRefusal>>),
    /// The job's own cluster has ended with it.
    Ended(JobResult),
}

async fn look(connection: &Connection, job: JobId) -> Result<Look, CliError> {
    let asking = connection.host.timeout(SILENCE_MAX, connection.jobs.details(job));
    pin_mut!(asking);
    loop {
        // Of a cluster that ends nobody answers any more.
        if let Some(ended) = DeploymentResult::of(&connection.folder, job)? {
            return Ok(Look::Ended(ended.end.job_result()));
        }
        if let Ok(answer) = connection.host.timeout(LOOK_PERIOD, asking.as_mut()).await {
            return Ok(Look::Answered(answer.ok().map(|told| told.map(Box::new))));
        }
    }
}

/// That the cluster has not ended without the job.
fn goes_on(connection: &Connection, job: JobId) -> Result<(), CliError> {
    match connection.folder.look()? {
        // What it came to was kept a moment ago.
        Found::Ended(_) if DeploymentResult::of(&connection.folder, job)?.is_some() => Ok(()),
        Found::Ended(why) => Err(CliError::stuck(format!(
            "the cluster has ended ({why}), and job {job} has not; `{}` lets it go on",
            connection.folder.how_to_start()
        ))),
        Found::Nothing | Found::Starting(_) | Found::Running(_) => Ok(()),
    }
}

fn named(status: JobStatus) -> String {
    format!("the job is {}", status.name().to_lowercase())
}

fn changed(details: &JobDetails) -> String {
    let status = named(details.status);
    match (details.status, details.failures.last()) {
        (JobStatus::Restarting | JobStatus::Failing, Some(failure)) => {
            format!("{status}: {}", failure.cause)
        }
        _ => status,
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
