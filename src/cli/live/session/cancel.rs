//! `cancel`: ends a job.

use super::{
    connection::{Target, connected},
    follow::follow,
    name,
};
use crate::cli::live::{
    CliError, Outcome,
    text::{Narrator, say},
};
use clap::Args;

/// End a job of a cluster that runs.
///
/// Waits until the cancellation is durable: from then on the job ends as canceled, whatever becomes of the
/// cluster's processes. What it has committed stays in its topic.
///
/// Exit codes: 0 the cancellation is durable, with --wait the job has ended; 2 no such job, it has ended before, or
/// no cluster runs there; 3 no job manager gives an answer.
///
/// Try `cargo live cancel 3f --wait`.
#[derive(Args)]
pub struct Cancel {
    /// The job's id, or its first digits
    #[arg(value_name = "JOB", value_parser = name::parse_job)]
    job: String,
    /// Wait until the job has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    target: Target,
}

impl Cancel {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        connected(&self.target, async |connection| {
            let narrator = Narrator::new();
            let job = connection.job(&self.job).await?;
            connection.of_job(connection.jobs.cancel(job)).await?;
            say(&format!("the cancellation of job {job} is durable"));
            if !self.wait {
                return Ok(Outcome::Passed);
            }
            // A durable cancellation lets a job end in no other way.
            follow(&connection, job, &narrator).await?;
            narrator.clear();
            Ok(Outcome::Passed)
        })
    }
}
