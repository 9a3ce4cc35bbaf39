//! `jobs`: the jobs of a cluster that runs.

use super::{
    connection::{Target, connected},
    follow::tasks,
    name::digits_shown,
    table::{Cell, aligned, colours, time},
};
use crate::{
    cli::live::{CliError, Outcome, text::say},
    system::protocol::JobOverview,
};
use clap::Args;

/// List the jobs of a cluster that runs: those that go on, then the last ones that have ended.
///
/// The first digits of an id are shown, as many as tell the jobs apart; `info` and `cancel` take them. SINCE is
/// how long a job has had its status, TASKS how many of its tasks run, of all.
///
/// Exit codes: 0 they are listed, 2 no cluster runs there, 3 no job manager gives an answer.
///
/// Try `cargo live jobs --json`.
#[derive(Args)]
pub struct Jobs {
    /// Print what the web monitor says under /jobs/overview
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Jobs {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        connected(&self.target, async |connection| {
            if self.json {
                let told = connection.told("/jobs/overview").await?;
                say(&serde_json::to_string_pretty(&told)?);
                return Ok(Outcome::Passed);
            }
            let jobs = connection.overviews().await?;
            match jobs.is_empty() {
                true => say(&format!(
                    "no jobs yet; `{}` submits one",
                    self.target.folder.command("submit JOB")
                )),
                false => table(&jobs, colours()).iter().for_each(|line| say(line)),
            }
            Ok(Outcome::Passed)
        })
    }
}

fn table(jobs: &[JobOverview], colours: bool) -> Vec<String> {
    let digits = digits_shown(jobs);
    let head = ["ID", "NAME", "STATUS", "SINCE", "TASKS"].map(Cell::from).into();
    let row = |job: &JobOverview| {
        let (running, all) = tasks(&job.tasks);
        vec![
            job.job.to_string()[..digits].into(),
            if job.name.is_empty() { "-".into() } else { job.name.as_str().into() },
            Cell::status(job.status),
            job.changed_ms.map_or_else(|| "-".to_string(), time).into(),
            if all == 0 { "-".into() } else { format!("{running}/{all}").into() },
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(jobs.iter().map(row)).collect();
    aligned(&rows, colours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{
        ids::JobId,
        protocol::{ExecutionState, JobDetails, JobStatus},
    };

    #[test]
    fn a_table_tells_what_runs_and_what_has_ended() {
        let job =
            |id: u128, name, status| JobDetails::bare(JobId(id), name, status, None).overview();
        let running = JobOverview {
            changed_ms: Some(61_000),
            tasks: vec![(ExecutionState::Deploying, 1), (ExecutionState::Running, 3)],
            ..job(0xabc << 116, "word count", JobStatus::Running)
        };
        let ended = job(1 << 120, "", JobStatus::Cancelling);
        assert_eq!(
            table(&[running, ended], false),
            [
                "ID        NAME        STATUS      SINCE  TASKS",
                "abc00000  word count  running     61 s   3/4",
                "01000000  -           cancelling  -      -",
            ]
        );
    }
}
