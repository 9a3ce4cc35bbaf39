//! Word count: lines → words → running counts by word → an exactly-once topic.
//!
//! A *word* is a run of ASCII letters and digits, as long as it goes; everything else separates
//! words, and case counts. That is what `LC_ALL=C tr -cs '[:alnum:]' '\n'` makes of a text.
//!
//! Every occurrence of a word emits a [`Counted`], so of each word the output holds 1, 2, 3, … in
//! this order, each once: that is the job's oracle ([`Oracle`]).

mod operators;
mod oracle;
mod words;

pub use operators::Counted;
pub use oracle::{Oracle, OracleError};
pub use words::words;

use super::common::{FAULTY, FailureInjection, Topics};
use crate::system::{
    cluster::OperatorLibrary,
    connector::{self, LOG_SINK, LogSinkParameters, spec},
    graph::{
        CheckpointSettings, GraphError, JobGraph, OperatorSpec, Partitioner, RestartStrategy,
        StreamGraph,
    },
    ids::JobId,
    service::Services,
    task_executor::OperatorRegistry,
};
use std::sync::Arc;

/// The topics of the word count of a number, from 1: `lines` and `counts` of the first.
pub fn topics(number: u32) -> Topics {
    Topics::numbered("lines", "counts", number)
}

/// The operators that a word count names: the connectors and its own.
pub fn operator_library() -> OperatorLibrary {
    Arc::new(registry)
}

/// Registers a word count's own operators. One with functions that fail needs
/// [`register_faulty`](super::common::register_faulty) too.
pub fn register(registry: OperatorRegistry) -> OperatorRegistry {
    operators::register(registry)
}

fn registry(services: &Services) -> OperatorRegistry {
    let Services { log, objects, .. } = services;
    operators::register(connector::register(OperatorRegistry::new(), log, objects))
}

/// The word count of what `source` reads, into a topic.
///
/// # Errors
/// When the parallelism is out of bounds.
pub fn word_count(
    id: JobId,
    source: OperatorSpec,
    output: &str,
    parallelism: u32,
    checkpoints: CheckpointSettings,
    restarts: RestartStrategy,
) -> Result<JobGraph, GraphError> {
    word_count_with_failures(
        id,
        source,
        output,
        parallelism,
        checkpoints,
        restarts,
        &FailureInjection::default(),
    )
}

/// The same with functions that fail on purpose, as operators of their own that hand on what they
/// are given.
///
/// # Errors
/// When the parallelism is out of bounds.
pub fn word_count_with_failures(
    id: JobId,
    source: OperatorSpec,
    output: &str,
    parallelism: u32,
    checkpoints: CheckpointSettings,
    restarts: RestartStrategy,
    failures: &FailureInjection,
) -> Result<JobGraph, GraphError> {
    let mut graph = StreamGraph::new();
    let mut lines = graph.source(source, parallelism);
    if let Some(failures) = failures.of_splitting() {
        let faulty = spec("faulty-lines", FAULTY, &failures);
        lines = graph.operator(lines, Partitioner::Forward, faulty, parallelism);
    }
    let split = spec("split", operators::SPLIT, &());
    let mut words = graph.operator(lines, Partitioner::Forward, split, parallelism);
    let mut to_count = Partitioner::Hash { selector: operators::WHOLE_RECORD.to_string() };
    if let Some(failures) = failures.of_counting() {
        let faulty = spec("faulty-words", FAULTY, &failures);
        words = graph.operator(words, to_count, faulty, parallelism);
        to_count = Partitioner::Forward;
    }
    let count = spec("count", operators::COUNT, &());
    let counts = graph.operator(words, to_count, count, parallelism);
    let sink = LogSinkParameters { topic: output.to_string() };
    graph.operator(counts, Partitioner::Forward, spec("sink", LOG_SINK, &sink), parallelism);
    graph.job_graph(id, "word count", checkpoints, restarts)
}
