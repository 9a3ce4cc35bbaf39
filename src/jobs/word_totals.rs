//! Word totals: how often each word stands in a text, told once, at its end.
//!
//! A word is what the [word count](super::word_count) takes for one. Nothing comes out while the text is read: each word
//! sets a timer at the end of event time, which comes when no input has more. What is written grows with the words that
//! differ and not with the text, so this is the job for a long one, of as many different words as the timers of a subtask
//! have room for: they go into one object, which some 200,000 fill.

use super::{
    common::{JobArguments, KeyedStateModel, read_group},
    job::Job,
    word_count::{encoded_words, text, words},
};
use crate::{
    host::Draws,
    system::{
        connector::LogSink,
        dataflow::{
            Collector, KeyContext, Process, Program, Result, StreamEnv, Text, Timer, Timestamp,
        },
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A word, and how often it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Total {
    word: Text,
    count: u64,
}

/// Counts by key, and tells at the end.
#[derive(Clone, Debug)]
struct Totals;

impl Process<Text, Text> for Totals {
    type State = u64;
    type Out = Total;

    fn process(
        &mut self,
        _: Text,
        context: &mut KeyContext<'_, Text, u64>,
        _: &mut Collector<'_, Total>,
    ) -> Result<()> {
        let count = context.state();
        *count += 1;
        match *count {
            1 => context.set_timer(Timer::Event(Timestamp::MAX)),
            _ => Ok(()),
        }
    }

    fn on_timer(
        &mut self,
        _: Timer,
        context: &mut KeyContext<'_, Text, u64>,
        out: &mut Collector<'_, Total>,
    ) -> Result<()> {
        let (word, count) = (context.key().clone(), *context.state());
        out.emit(Total { word, count });
        context.clear();
        Ok(())
    }
}

fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    env.source("source", arguments.input.source()?)
        .flat_map("split", |line: Bytes, out| words(&line).for_each(|word| out.emit(text(word))))
        .key_by(Text::clone)
        .process("totals", Totals)
        .sink("sink", LogSink::encoding(&arguments.output, write));
    Ok(())
}

fn write(Total { word, count }: &Total) -> Result<Bytes> {
    Ok(Bytes::from(format!("{word} {count}")))
}

/// The records of an input, computed apart from the job.
fn expected(lines: &[Bytes]) -> Vec<Bytes> {
    let mut counts = BTreeMap::<&[u8], u64>::new();
    for word in lines.iter().flat_map(|line| words(line)) {
        *counts.entry(word).or_default() += 1;
    }
    let record = |(word, count): (&[u8], u64)| [word, format!(" {count}").as_bytes()].concat();
    counts.into_iter().map(record).map(Bytes::from).collect()
}

/// Two of a few common words and two of so many that most stand there once: their totals go through a sink in several
/// batches, between which barriers come and processes die.
fn drawn(_: u64, draws: &mut Draws) -> Bytes {
    let words = [50, 50, 1_000_000, 1_000_000].map(|of| format!("w{}", draws.below(of)));
    Bytes::from(words.join(" "))
}

pub(super) fn job() -> Job {
    Job::new(Program::new("word-totals", 1, describe), expected)
        .keeps(KeyedStateModel {
            source: "source",
            operator: "totals",
            records: encoded_words,
            handle: |word, states| {
                if states.count(word) == 1 {
                    states.event_timers.insert((i64::MAX, word.to_vec()));
                }
            },
            read_group: read_group::<String, u64>,
            forgets_at_end: true,
        })
        .about("Count words as word-count does, and tell each total once, at the end of the input")
        .workload(drawn)
        .writes("each word and how often it has occurred in the whole input, as `WORD COUNT`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_expected_once_with_its_total() {
        let lines = ["b a, b", "", "a-b"].map(Bytes::from);
        assert_eq!(expected(&lines), ["a 2", "b 3"].map(Bytes::from));
    }
}
