//! `savepoint` and `stop`: a job's state, as its user owns it.

use super::{
    connection::{Connection, Target, connected},
    name,
};
use crate::{
    cli::live::{
        CliError, Outcome,
        text::{parse_duration, say, warn},
    },
    system::{
        client::SavepointFailure,
        ids::{CheckpointId, JobId},
        protocol::{AfterSavepoint, SavepointRequest},
    },
};
use clap::Args;
use std::time::Duration;

/// Where savepoints lie unless somebody says otherwise.
const SAVEPOINTS: &str = "savepoints";
/// After so long a person is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Take a savepoint of a job of a cluster that runs; the job goes on.
///
/// Prints the savepoint's path once it is whole: `submit --from-savepoint PATH` begins from it, at any parallelism, and
/// `checkpoint-info PATH` tells what is in it. It is yours: no cluster removes it. It has all it needs under its path, in
/// the cluster's object store, and can be moved with it.
///
/// A job that can't go on since its newest checkpoint can't be read says so, and names another one that is whole, if there
/// is one: with --checkpoint that is copied, and the job is left as it is.
///
/// Exit codes: 0 it is whole; 1 it could not be taken, and the job goes on; 2 no such job, it has ended, or no cluster
/// runs there; 3 it was not whole in time, and may be later.
///
/// Try `cargo live savepoint 3f`.
#[derive(Args)]
pub struct Savepoint {
    /// The job's id, or its first digits
    #[arg(value_name = "JOB", value_parser = name::parse_job)]
    job: String,
    /// Under which name of the object store it lies, in a folder of its own
    #[arg(value_name = "DIR", default_value = SAVEPOINTS)]
    directory: String,
    /// Copy that checkpoint of a job that can't go on, instead of taking one
    #[arg(long, value_name = "ID")]
    checkpoint: Option<u64>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    target: Target,
}

/// Stop a job of a cluster that runs with a savepoint; another one goes on from there.
///
/// The job's sources read nothing behind the savepoint. Once that is whole and everything before it is committed, the job
/// has finished, and the savepoint's path is printed. If it can't be taken the job goes on as if nothing had been asked.
///
/// With --drain the sources end, event time comes to its end, what waits for that is put out, and the savepoint is taken
/// then: it tells where the job was, and nothing goes on from it.
///
/// Exit codes: 0 the job has finished with the savepoint; 1 it goes on, or has ended otherwise; 2 no such job, it has ended
/// before, or no cluster runs there; 3 nobody knows yet.
///
/// Try `cargo live stop 3f --savepoint`, then `cargo live submit word-count --from-savepoint PATH --parallelism 3 -- …`.
#[derive(Args)]
pub struct Stop {
    /// The job's id, or its first digits
    #[arg(value_name = "JOB", value_parser = name::parse_job)]
    job: String,
    /// Stop it with a savepoint, under that name of the object store; without one, `cancel` ends a job
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = SAVEPOINTS, required = true)]
    savepoint: String,
    /// Let the sources end first, and everything come to its end
    #[arg(long)]
    drain: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    target: Target,
}

/// How long a person waits.
#[derive(Args)]
struct Wait {
    /// Give up waiting after so long; the savepoint may become whole all the same
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = parse_duration)]
    timeout: Duration,
}

impl Wait {
    /// Takes a savepoint of a job; its path.
    async fn take(
        &self,
        connection: &Connection,
        job: JobId,
        directory: &str,
        then: AfterSavepoint,
        checkpoint: Option<CheckpointId>,
    ) -> Result<Result<String, String>, CliError> {
        let short = |id: u128| format!("{id:032x}")[..12].to_string();
        let named = format!("{}-{}", short(job.0), short(connection.host.random_u128()));
        let path = format!("{}/savepoint-{named}", directory.trim_end_matches('/'));
        let request = SavepointRequest { path: path.clone(), then, checkpoint };
        let host = &connection.host;
        let taken = async {
            let taken = connection.jobs.savepoint(job, &request);
            let mut taken = std::pin::pin!(taken);
            if let Ok(taken) = host.timeout(PATIENCE, taken.as_mut()).await {
                return taken;
            }
            warn(&format!("waits for the savepoint {path}; `info` tells how far it is"));
            taken.await
        };
        match host.timeout(self.timeout, taken).await {
            Ok(Ok(())) => Ok(Ok(path)),
            Ok(Err(failure @ SavepointFailure::NoJob(_))) => {
                Err(CliError::new(failure.to_string()))
            }
            Ok(Err(SavepointFailure::Failed(why))) => Ok(Err(why)),
            Err(_) => Err(CliError::stuck(format!(
                "the savepoint {path} was not whole within {:?}; it is once `checkpoint-info {path}` reads it",
                self.timeout
            ))),
        }
    }
}

impl Savepoint {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        connected(&self.target, async |connection| {
            let job = connection.job(&self.job).await?;
            let (then, of) = (AfterSavepoint::GoOn, self.checkpoint.map(CheckpointId));
            let taken = self.wait.take(&connection, job, &self.directory, then, of).await?;
            Ok(match taken {
                Ok(path) => {
                    say(&path);
                    Outcome::Passed
                }
                Err(why) => {
                    let job = if of.is_some() { "is left as it is" } else { "goes on" };
                    warn(&format!("no savepoint was taken, and the job {job}: {why}"));
                    Outcome::Violated
                }
            })
        })
    }
}

impl Stop {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        connected(&self.target, async |connection| {
            let job = connection.job(&self.job).await?;
            let then = if self.drain { AfterSavepoint::Drain } else { AfterSavepoint::Stop };
            let path = match self.wait.take(&connection, job, &self.savepoint, then, None).await? {
                Ok(path) => path,
                Err(why) => {
                    warn(&format!("the job is not stopped: {why}"));
                    return Ok(Outcome::Violated);
                }
            };
            // Whatever befalls it now, it has nothing left but to finish.
            connection.of_job(connection.jobs.result(job)).await?;
            say(&path);
            Ok(Outcome::Passed)
        })
    }
}
