//! Pipelines: each partition of a topic goes through a pipeline of its own into the same partition of another
//! topic, each record numbered and in capital letters. No record goes from one pipeline to another, so each is
//! a pipelined region, and what fails in one concerns no other.
//!
//! The n-th record of a partition comes out as `n RECORD`, the first as 1; that is the job's oracle
//! ([`Oracle`]). The count is the operator's own state, so a pipeline that began from another checkpoint than
//! its source shows at once.

use super::common::{FAULTY, FailureInjection, JobOracle, Topics};
use crate::system::{
    connector::{LOG_SINK, LogSinkParameters, spec},
    graph::{
        CheckpointSettings, GraphError, JobGraph, OperatorSpec, OperatorState, Partitioner,
        RestartStrategy, StreamGraph,
    },
    ids::{CheckpointId, JobId},
    task_executor::{Operator, OperatorContext, OperatorRegistry, Output, Record, TaskError},
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::collections::BTreeMap;

/// The registered name of the operator that numbers records.
pub const NUMBER: &str = "number-records";

/// The topics of the pipelines of a number, from 1: `rows` and `numbered-rows` of the first.
pub fn topics(number: u32) -> Topics {
    Topics::numbered("rows", "numbered-rows", number)
}

/// Registers the job's own operators. One with functions that fail needs
/// [`register_faulty`](super::common::register_faulty) too.
pub fn register(registry: OperatorRegistry) -> OperatorRegistry {
    registry.operator(NUMBER, |_| Ok(Box::new(NumberRecords { count: 0 })))
}

/// A pipeline for each of so many partitions, from `source` into a topic: two tasks each, which no chaining
/// makes one.
///
/// # Errors
/// When the parallelism is out of bounds.
pub fn pipelines(
    id: JobId,
    source: OperatorSpec,
    output: &str,
    parallelism: u32,
    checkpoints: CheckpointSettings,
    restarts: RestartStrategy,
    failures: &FailureInjection,
) -> Result<JobGraph, GraphError> {
    let mut graph = StreamGraph::new().disable_chaining();
    let mut records = graph.source(source, parallelism);
    if *failures != FailureInjection::default() {
        let faulty = spec("faulty-records", FAULTY, failures);
        records = graph.operator(records, Partitioner::Forward, faulty, parallelism);
    }
    let number = spec("number", NUMBER, &());
    let numbered = graph.operator(records, Partitioner::Forward, number, parallelism);
    let sink = LogSinkParameters { topic: output.to_string() };
    graph.operator(numbered, Partitioner::Forward, spec("sink", LOG_SINK, &sink), parallelism);
    graph.job_graph(id, "pipelines", checkpoints, restarts)
}

/// What the n-th record of a partition comes out as.
fn numbered(count: u64, record: &[u8]) -> Vec<u8> {
    let mut out = format!("{count} ").into_bytes();
    out.extend(record.to_ascii_uppercase());
    out
}

/// Records with their numbers.
struct NumberRecords {
    count: u64,
}

impl Operator for NumberRecords {
    fn open(
        &mut self,
        _: OperatorContext,
        restored: Option<OperatorState>,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        async move {
            if let Some(state) = restored {
                let count = postcard::from_bytes(&state.own);
                self.count = count.map_err(|error| TaskError::User(error.to_string()))?;
            }
            Ok(())
        }
        .boxed()
    }

    fn process<'a>(
        &'a mut self,
        record: Record,
        output: &'a mut Output,
    ) -> BoxFuture<'a, Result<(), TaskError>> {
        self.count += 1;
        output.emit(Record(Bytes::from(numbered(self.count, &record.0)))).boxed()
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        let own = postcard::to_allocvec(&self.count).expect("a number can be encoded");
        async { Ok(OperatorState { own: Bytes::from(own), keyed: Vec::new() }) }.boxed()
    }
}

/// Follows the output of pipelines, partition by partition.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    expected: BTreeMap<u32, Vec<Vec<u8>>>,
    found: BTreeMap<u32, usize>,
}

impl JobOracle for Oracle {
    fn promise(&self) -> &'static str {
        "each partition's records come out in their order, numbered 1, 2, 3, …"
    }

    fn input(&mut self, partition: u32, record: &[u8]) {
        let records = self.expected.entry(partition).or_default();
        records.push(numbered(records.len() as u64 + 1, record));
    }

    fn output(&mut self, partition: u32, record: &[u8]) -> Result<(), String> {
        let next = self.found.entry(partition).or_default();
        let expected = self.expected.get(&partition).and_then(|records| records.get(*next));
        let shown = |record: &[u8]| String::from_utf8_lossy(record).into_owned();
        if expected.is_none_or(|expected| expected != record) {
            let expected = expected.map_or("nothing".to_string(), |expected| shown(expected));
            return Err(format!("expected {expected:?}, found {:?}", shown(record)));
        }
        *next += 1;
        Ok(())
    }

    fn missing(&self) -> Option<String> {
        self.expected.iter().find_map(|(partition, records)| {
            let found = self.found.get(partition).copied().unwrap_or(0);
            let all = records.len();
            (found < all).then(|| format!("of {all} records of partition {partition} {found} came"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::graph::ExecutionGraph;

    fn graph(failures: &FailureInjection) -> JobGraph {
        let source = spec("source", "anything", &());
        let settings = CheckpointSettings::default();
        pipelines(JobId(1), source, "out", 3, settings, RestartStrategy::None, failures).unwrap()
    }

    #[test]
    fn each_pipeline_is_a_region() {
        let plain = graph(&FailureInjection::default());
        let regions = ExecutionGraph::new(&plain).regions();
        assert_eq!(regions.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
        let failing = FailureInjection { fail_at: Some(1), ..FailureInjection::default() };
        let regions = ExecutionGraph::new(&graph(&failing)).regions();
        assert_eq!(regions.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4]);
    }

    #[test]
    fn records_in_order_are_accepted_and_any_other_refused() {
        let mut oracle = Oracle::default();
        oracle.input(0, b"a");
        oracle.input(0, b"b");
        oracle.input(1, b"c");
        assert_eq!(oracle.output(0, b"1 A"), Ok(()));
        for wrong in [&b"1 A"[..], b"2 C", b"3 B", b"B"] {
            assert!(oracle.clone().output(0, wrong).is_err());
        }
        assert!(oracle.clone().output(2, b"1 A").is_err());
        assert_eq!(oracle.output(0, b"2 B"), Ok(()));
        assert_eq!(oracle.missing().as_deref(), Some("of 1 records of partition 1 0 came"));
        assert_eq!(oracle.output(1, b"1 C"), Ok(()));
        assert_eq!(oracle.missing(), None);
    }
}
