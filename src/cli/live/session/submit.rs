//! `submit`: a program of this binary becomes a job of a cluster that runs.

use super::{
    connection::{Connection, DISPATCHER, Target, connected},
    follow::follow,
    programs::{JobInput, Prepared, Unprepared, listed, prepare},
};
use crate::{
    cli::live::{
        CliError, Outcome,
        text::{Narrator, say},
    },
    system::{
        connector::{GENERATOR, TEXT_SOURCE, spec, upload_text},
        graph::OperatorSpec,
        ids::JobId,
        protocol::{JobResult, JobStatus},
    },
};
use clap::Args;

/// Submit a job to a cluster that runs.
///
/// JOB is a program of this binary; its own arguments stand behind --, and `-- --help` tells them. The job's
/// id is the first line of what is printed, as soon as the cluster has taken the job on: from then on it goes
/// on whatever becomes of this command, of the cluster's processes or of the machine.
///
/// Exit codes: 0 the cluster has taken the job on, with --wait it has finished; 1 it has failed or was
/// canceled; 2 it could not be submitted; 3 no job manager gives an answer.
///
/// Try `cargo live submit word-count --wait -- --input README.md`.
#[derive(Args)]
#[command(after_help = format!("Programs:{}", listed()))]
pub struct Submit {
    /// The program
    #[arg(value_name = "JOB")]
    program: String,
    /// How many subtasks each vertex of the job has, each in a slot
    #[arg(long, value_name = "N", default_value_t = 1)]
    parallelism: u32,
    /// Follow the job until it has ended, and tell how far it is
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    target: Target,
    /// The program's own arguments
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

impl Submit {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        let prepared = match prepare(&self.program, &self.arguments) {
            Ok(prepared) => prepared,
            Err(Unprepared::Refused(error)) => return Err(error),
            Err(Unprepared::Arguments(told)) => {
                // Whoever read it may have gone.
                let _ = told.print();
                return Ok(if told.use_stderr() { Outcome::BadInput } else { Outcome::Passed });
            }
        };
        // What is wrong with the graph is told before anything is uploaded.
        prepared.job(JobId(0), spec("source", GENERATOR, &()), self.parallelism)?;
        connected(&self.target, async |connection| self.submit(&connection, &prepared).await)
    }

    async fn submit(
        &self,
        connection: &Connection,
        prepared: &Prepared,
    ) -> Result<Outcome, CliError> {
        let (job, narrator) = (JobId(connection.host.random_u128()), Narrator::new());
        let source = source(connection, prepared, job).await?;
        let graph = prepared.job(job, source, self.parallelism)?;
        let (log, output) = (&connection.services.log, prepared.output(job));
        let created = log.create_topic_until_acknowledged(&output, self.parallelism);
        let created = connection.answered("the log server", created).await?;
        created.map_err(|refusal| CliError::new(format!("topic {output}: {refusal}")))?;
        let submitted = connection.jobs.submit(&graph);
        let submitted = connection.answered(DISPATCHER, submitted).await;
        let submitted = submitted.map_err(|error| {
            CliError::stuck(format!("{error}; whether it has taken job {job} on, `jobs` will tell"))
        })?;
        submitted.map_err(|refusal| {
            CliError::new(format!("the cluster does not take the job: {refusal}"))
        })?;
        say(&job.to_string());
        if !self.wait {
            return Ok(Outcome::Passed);
        }
        let result = follow(connection, job, &narrator).await?;
        narrator.clear();
        Ok(judge(&result, &output, &narrator))
    }
}

/// What the job reads; a text is uploaded.
async fn source(
    connection: &Connection,
    prepared: &Prepared,
    job: JobId,
) -> Result<OperatorSpec, CliError> {
    match &prepared.input {
        JobInput::Generated(parameters) => Ok(spec("source", GENERATOR, parameters)),
        JobInput::Text(text) => {
            let name = format!("text-{job}");
            let uploading = upload_text(&*connection.services.objects, &name, text);
            let uploaded = connection.answered("the object store", uploading).await?;
            Ok(spec("source", TEXT_SOURCE, &uploaded?))
        }
    }
}

fn judge(result: &JobResult, output: &str, narrator: &Narrator) -> Outcome {
    if result.status == JobStatus::Finished {
        narrator.say(&format!("its output is committed to topic {output}"));
        return Outcome::Passed;
    }
    if let Some(cause) = &result.cause {
        narrator.say(&format!("it failed: {cause}"));
    }
    Outcome::Violated
}
