//! `graph`: what becomes of a program on its way to the tasks that run.

use super::{CliError, Outcome, print::out};
use crate::jobs::Jobs;
use clap::{Args, ValueEnum};

/// How the graphs are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Dot,
    Json,
}

/// Shows a job's graphs: what its program describes (StreamGraph), what is submitted (JobGraph), and
/// what runs (ExecutionGraph).
#[derive(Args)]
pub struct Graph {
    /// The job's name
    #[arg(value_name = "JOB")]
    job: String,
    /// Subtasks of operators of which the program says nothing
    #[arg(long, value_name = "N", default_value_t = 2)]
    parallelism: u32,
    /// The program's arguments, as JSON; if absent, those of its example
    #[arg(long, value_name = "JSON")]
    arguments: Option<String>,
    /// How they are told: `text` for a person, `dot` for Graphviz, `json` for a program
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
}

impl Graph {
    /// Does it.
    pub fn run(&self, jobs: &Jobs) -> Result<Outcome, CliError> {
        let job = jobs.get(&self.job)?;
        let report = job.report(self.arguments.as_deref(), self.parallelism)?;
        let told = match self.format {
            Format::Text => report.text(),
            Format::Dot => report.dot(),
            Format::Json => report.json(),
        };
        out(told.trim_end());
        Ok(Outcome::Passed)
    }
}
