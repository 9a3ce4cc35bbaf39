//! Pipelines: each partition of a topic goes through a pipeline of its own into the same partition of another
//! topic, each record numbered and in capital letters. No record goes from one pipeline to another, so each is
//! a pipelined region, and what fails in one concerns no other.
//!
//! The n-th record of a partition comes out as `n RECORD`, the first as 1; that is the job's oracle
//! ([`Oracle`]). The count is the operator's own state, so a pipeline that began from another checkpoint than
//! its source shows at once.

use super::{
    common::{
        FailedAttempts, FailureInjection, FaultyOperator, JobArguments, JobOracle, JobSettings,
        Topics, job_of,
    },
    job::Job,
};
use crate::system::{
    connector::{Input, LogSink},
    dataflow::{
        Collector, Operator, OperatorContext, Program, ProgramError, Result, StreamEnv, Waits,
        at_once, ready,
    },
    graph::JobGraph,
    ids::{CheckpointId, JobId},
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The topics of the pipelines of a number, from 1: `rows` and `numbered-rows` of the first.
pub fn topics(number: u32) -> Topics {
    Topics::numbered("rows", "numbered-rows", number)
}

/// The program. Functions that fail on purpose remember in `failed` that they have.
pub fn program(failed: &FailedAttempts) -> Program {
    let failed = failed.clone();
    let program =
        Program::new("pipelines", 1, move |env, arguments| describe(env, arguments, &failed));
    program.with_example(&JobArguments::example("pipelined"))
}

/// The job of this program, for whoever runs it live.
pub(super) fn job() -> Job {
    Job::with_own_settings(program(&FailedAttempts::default()))
        .about(
            "Number lines and write them in capital letters, each partition apart from the others",
        )
        .writes("the n-th record of a partition as `n RECORD`")
}

/// Two tasks for each pipeline, which no chaining makes one.
fn describe(env: &mut StreamEnv, arguments: &JobArguments, failed: &FailedAttempts) -> Result<()> {
    let JobArguments { input, output, failures } = arguments;
    env.disable_chaining();
    let mut records = env.source("source", input.source()?);
    if *failures != FailureInjection::default() {
        records = records.apply("faulty-records", FaultyOperator::new(failures.clone(), failed));
    }
    let numbered = records.apply("number", NumberRecords::default());
    numbered.sink("sink", LogSink::encoding(output, |record: &Bytes| Ok(record.clone())));
    Ok(())
}

/// A pipeline for each of so many partitions, from `input` into a topic.
///
/// # Errors
/// When the parallelism is out of bounds, or there is nothing to read.
pub fn pipelines(
    id: JobId,
    input: Input,
    output: &str,
    settings: &JobSettings,
    failures: FailureInjection,
) -> Result<JobGraph, ProgramError> {
    let arguments = JobArguments { input, output: output.to_string(), failures };
    job_of(&program(&FailedAttempts::default()), id, &arguments, settings)
}

/// What the n-th record of a partition comes out as.
fn numbered(count: u64, record: &[u8]) -> Vec<u8> {
    let mut out = format!("{count} ").into_bytes();
    out.extend(record.to_ascii_uppercase());
    out
}

/// Records with their numbers.
#[derive(Clone, Debug, Default)]
struct NumberRecords {
    count: u64,
}

impl Operator<Bytes> for NumberRecords {
    type Out = Bytes;

    fn open<'a>(&'a mut self, _: &'a OperatorContext, restored: Option<Bytes>) -> Waits<'a, ()> {
        let read = restored.map_or(Ok(0), |kept| Ok(postcard::from_bytes(&kept)?));
        at_once(read.map(|count| self.count = count))
    }

    fn process(&mut self, record: Bytes, out: &mut Collector<'_, Bytes>) -> Result<()> {
        self.count += 1;
        out.emit(Bytes::from(numbered(self.count, &record)));
        Ok(())
    }

    fn snapshot(&mut self, _: CheckpointId) -> Waits<'_, Bytes> {
        ready(Bytes::from(postcard::to_allocvec(&self.count).expect("a number can be encoded")))
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
    use crate::system::{connector::LogSourceParameters, graph::ExecutionGraph};

    fn graph(failures: &FailureInjection) -> JobGraph {
        let input = Input::Log(LogSourceParameters::new("in", vec![1, 1, 1]));
        let settings = JobSettings { parallelism: 3, ..JobSettings::default() };
        pipelines(JobId(1), input, "out", &settings, failures.clone()).unwrap()
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
