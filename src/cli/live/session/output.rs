//! `output`: what a job has committed.

use super::{
    connection::{Connection, Target, connected},
    name,
};
use crate::{
    cli::live::{CliError, Outcome},
    jobs::{Job, Jobs},
    system::{
        connector::{part_lines, read_files},
        service::log::LogRefusal,
    },
};
use bytes::Bytes;
use clap::Args;
use std::{
    io::{self, Write},
    time::Duration,
};

/// Records that are asked for at once.
const PAGE_RECORDS: u32 = 10_000;

/// Print what is committed of a job's output, a record a line, as the job shows it.
///
/// WHAT is a topic, or a directory of a file sink, as `submit --wait` names it at the end and `-- --output` at the
/// start; or a job's id, or its first digits, for the output that it has by default. Records come partition by
/// partition in the order in which they are there, the lines of files file by file. What becomes visible
/// afterwards is not waited for. Rows of a database are read by the database's own client.
///
/// Exit codes: 0 all is printed, 2 there is no such output or no cluster runs there, 3 a service gives no answer.
///
/// Try `cargo live output 3f | sort | head`.
#[derive(Args)]
pub struct Output {
    /// A topic, a directory of files, or a job
    #[arg(value_name = "WHAT")]
    what: String,
    #[command(flatten)]
    target: Target,
}

impl Output {
    /// Does it.
    pub fn run(&self, jobs: &Jobs) -> Result<Outcome, CliError> {
        connected(&self.target, async |connection| {
            // Whatever is called so comes before a job whose id begins so.
            if print(&connection, &self.what, jobs).await? {
                return Ok(Outcome::Passed);
            }
            let known = connection.overviews().await?;
            let digits = name::parse_job(&self.what).map_err(|_| self.none(""))?;
            let id = name::find(&digits, &known).map_err(|why| self.none(&format!(" ({why})")))?;
            let job = known.iter().find(|job| job.job == id);
            let Some(job) = job else { return Err(self.none("")) };
            let topic = format!("{}-{}", job.name, job.job);
            match print(&connection, &topic, jobs).await? {
                true => Ok(Outcome::Passed),
                false => Err(self.none(&format!(" (of job {}: {topic})", job.job))),
            }
        })
    }

    fn none(&self, more: &str) -> CliError {
        CliError::new(format!(
            "there is no topic, no final file of a directory and no job {:?}{more}; a file is there from the first \
             checkpoint on, and rows of a database are read by its own client. `{}` lists the jobs",
            self.what,
            self.target.folder.command("jobs")
        ))
    }
}

/// Prints a topic or the files of a directory, whichever is there.
async fn print(connection: &Connection, name: &str, jobs: &Jobs) -> Result<bool, CliError> {
    let log = &connection.services.log;
    let asked = log.end_offsets_until_acknowledged(name);
    let ends = match connection.answered("the log server", asked).await? {
        Ok(ends) => ends,
        Err(LogRefusal::NoPartition | LogRefusal::BadName) => {
            return print_files(connection, name).await;
        }
        Err(refusal) => return Err(CliError::new(format!("topic {name}: {refusal}"))),
    };
    // Who writes to the topic by default knows what its records are.
    let writes = |job: &&Job| name.strip_prefix(job.name()).is_some_and(|id| id.starts_with('-'));
    let job = jobs.iter().filter(writes).max_by_key(|job| job.name().len());
    let show = |record: &Bytes| match job {
        Some(job) => job.shown(record).into_owned(),
        None => record.to_vec(),
    };
    for (partition, end) in (0..).zip(ends) {
        let mut offset = 0;
        while offset < end {
            let asked =
                log.read_until_acknowledged(name, partition, offset, PAGE_RECORDS, Duration::ZERO);
            let read = connection.answered("the log server", asked).await?;
            let page = read.map_err(|refusal| CliError::new(format!("topic {name}: {refusal}")))?;
            let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX);
            if page.records.is_empty() {
                return Err(CliError::new(format!("topic {name}: it is shorter than it was")));
            }
            offset += page.records.len() as u64;
            if !lines(page.records.iter().take(wanted).map(show))? {
                return Ok(true);
            }
        }
    }
    Ok(true)
}

async fn print_files(connection: &Connection, directory: &str) -> Result<bool, CliError> {
    let asked = read_files(&*connection.services.objects, directory);
    let files = connection.answered("the object store", asked).await??;
    for (_, content) in &files {
        if !lines(part_lines(content))? {
            break;
        }
    }
    Ok(!files.is_empty())
}

/// Writes lines; false when nobody reads on.
fn lines(lines: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<bool, CliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let write = || -> io::Result<()> {
        for line in lines {
            out.write_all(line.as_ref())?;
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}
