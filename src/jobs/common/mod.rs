//! What jobs have in common that read one topic and write another.

use crate::system::{dataflow::RECORD_BYTES_MAX, service::log::Retention};

mod client;
mod faulty_operator;
mod keyed_state;
mod oracle;
mod settings;
mod writer;

pub use client::{
    AllPutOut, CANCEL, ClientError, JobCourse, JobPlan, NextJob, SAVEPOINTS, SUBMIT, Submission,
    create_topics, run_client_node, run_job,
};
pub use faulty_operator::{FailedAttempts, FailureInjection, FaultyOperator, POISON, SlowSubtask};
pub use keyed_state::{FoundStates, KeyedStateModel, KeyedStates, read_group};
pub use oracle::JobOracle;
pub use settings::{DATABASE_ARGUMENT, DatabaseArguments, JobArguments, JobSettings, job_of};
pub use writer::{partition_lines, run_writer_node, write_lines};

/// The longest line or word that these jobs take: a record holds it, and a number beside it.
pub const TEXT_BYTES_MAX: usize = RECORD_BYTES_MAX - 32;

/// The topics of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// From which it reads.
    pub input: String,
    /// To which it writes.
    pub output: String,
    /// How long the records of each are kept; for ever.
    pub retention: [Retention; 2],
}

impl Topics {
    /// Those of the job of a number, from 1, among several that run side by side. The first has plain names.
    pub fn numbered(input: &str, output: &str, number: u32) -> Self {
        let named = |name: &str| match number {
            1 => name.to_string(),
            number => format!("{name}-{number}"),
        };
        let retention = [Retention::default(); 2];
        Topics { input: named(input), output: named(output), retention }
    }

    /// The same, whose records are kept so long: those that it reads, and those that it writes.
    #[must_use]
    pub fn kept(self, input: Retention, output: Retention) -> Self {
        Topics { retention: [input, output], ..self }
    }
}
