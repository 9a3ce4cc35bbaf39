//! What is said of a job besides what its program does.

use super::FailureInjection;
use crate::system::{
    connector::{GeneratorParameters, Input},
    dataflow::{Program, ProgramError},
    graph::{CheckpointSettings, JobGraph, RestartStrategy, StateBackend},
    ids::JobId,
};
use serde::{Deserialize, Serialize};

/// What a job is told that reads an input and writes a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobArguments {
    /// From where it reads.
    pub input: Input,
    /// The topic to which it writes.
    pub output: String,
    /// What of its functions fails on purpose.
    #[serde(default)]
    pub failures: FailureInjection,
}

/// The argument of a job that writes to a database: its URL.
pub const DATABASE_ARGUMENT: &str = "database";

/// What a job is told that reads an input and writes a table of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseArguments {
    /// From where it reads.
    pub input: Input,
    /// The table to which it writes.
    pub output: String,
    /// The URL of the database ([`DatabaseSink`](crate::system::connector::DatabaseSink)).
    pub database: String,
}

impl JobArguments {
    /// Generated records, for whoever only looks at the job.
    pub fn example(output: &str) -> Self {
        let generated = GeneratorParameters { records: 1_000, per_second: 0, words: 100, seed: 1 };
        let (input, output) = (Input::Generator(generated), output.to_string());
        JobArguments { input, output, failures: FailureInjection::default() }
    }
}

/// How a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSettings {
    /// The subtasks of every operator.
    pub parallelism: u32,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointSettings,
    /// What is done when a task fails.
    pub restarts: RestartStrategy,
    /// Where tasks keep their state.
    pub state_backend: StateBackend,
}

impl Default for JobSettings {
    /// One subtask, the checkpoints' defaults, no restart, state on the heap.
    fn default() -> Self {
        JobSettings {
            parallelism: 1,
            checkpoints: CheckpointSettings::default(),
            restarts: RestartStrategy::None,
            state_backend: StateBackend::default(),
        }
    }
}

/// A job of a program that runs so.
///
/// # Errors
/// Why there is none.
pub fn job_of(
    program: &Program,
    id: JobId,
    arguments: &impl Serialize,
    settings: &JobSettings,
) -> Result<JobGraph, ProgramError> {
    let arguments = serde_json::to_string(arguments).expect("arguments can be written as JSON");
    let job = program.job(id, &arguments, settings.parallelism)?;
    let JobSettings { checkpoints, restarts, state_backend, .. } = *settings;
    Ok(JobGraph { checkpoints, restarts, state_backend, ..job })
}
