//! `graph`: what becomes of a program on its way to the tasks that run.

use super::CliError;
use crate::system::dataflow::Programs;
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
    /// The program's name
    #[arg(value_name = "JOB")]
    program: String,
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

/// What a person types.
pub const EXAMPLES: &str = "\
Examples:
  cargo run -- graph word-count
  cargo run -- graph word-count --parallelism 4 --format dot | dot -Tsvg > a.svg
  cargo run -- graph pipelines --format json

Exit codes: 0 told, 2 there is no such program, or it refuses its arguments.";

impl Graph {
    /// The graphs of a program among these, ready to be printed.
    pub fn told(&self, programs: &Programs) -> Result<String, CliError> {
        let program = programs.get(&self.program)?;
        let report = program.report(self.arguments.as_deref(), self.parallelism)?;
        Ok(match self.format {
            Format::Text => report.text(),
            Format::Dot => report.dot(),
            Format::Json => report.json(),
        })
    }
}
