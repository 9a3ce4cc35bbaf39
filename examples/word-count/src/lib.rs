//! A job of one's own: lines → words → a running count of each word → an exactly-once topic.

use bytes::Bytes;
use std::collections::BTreeMap;
use wavetank::{
    jobs::{Job, common::JobArguments},
    system::{
        connector::LogSink,
        dataflow::{Program, Result, StreamEnv},
    },
};

/// A word and how often it has occurred.
type Counted = (String, u64);

/// The dataflow. `arguments` say from where it reads and to where it writes, in simulation and live.
fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    env.source("lines", arguments.input.source()?)
        .flat_map("words", |line: Bytes, out| words(&line).for_each(|word| out.emit((word, 1))))
        .key_by(|(word, _): &Counted| word.clone())
        .reduce("count", |(word, before), (_, more)| (word, before + more))
        .sink("counts", LogSink::encoding(&arguments.output, |counted| Ok(record(counted))));
    Ok(())
}

/// What must be committed of an input, each record once and in any order; it counts apart from the dataflow.
fn expected(lines: &[Bytes]) -> Vec<Bytes> {
    let mut counts = BTreeMap::<String, u64>::new();
    let count_on = |word: String| {
        let count = counts.entry(word.clone()).and_modify(|count| *count += 1).or_insert(1);
        record(&(word, *count))
    };
    lines.iter().flat_map(words).map(count_on).collect()
}

/// The job of this crate, for its binary and its tests.
pub fn job() -> Job {
    Job::new(Program::new("word-count", 1, describe), expected).about("Count the words of a text")
}

fn words(line: &Bytes) -> impl Iterator<Item = String> + use<> {
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().map(String::from).collect::<Vec<_>>().into_iter()
}

fn record((word, count): &Counted) -> Bytes {
    Bytes::from(format!("{word} {count}"))
}
