//! Word pairs: which words follow each word of a text, and how often, told once, at its end.
//!
//! A word is what the [word count](super::word_count) takes for one; two stand in a pair where they follow each other in
//! a line. All that is known of a word is kept under names of its own, a [map](MapState) of those that followed it among
//! them: of a long text it grows with the pairs that differ, and a record reads and writes few of them.

use super::{
    common::JobArguments,
    job::Job,
    word_count::{text, words},
};
use crate::{
    host::Draws,
    system::{
        connector::LogSink,
        dataflow::{
            Collector, Encoding, Failure, KeyContext, ListState, MapState, Process, Program,
            ReducingState, Result, StateTtl, States, StreamEnv, Text, Timer, Timestamp, ValueState,
        },
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Longer than any run: what is kept so long is there until the job's end.
const LONG: Duration = Duration::from_secs(400 * 24 * 3600);

/// Two words, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    first: Text,
    second: Text,
}

/// A word, and what is known of those behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Followers {
    word: Text,
    /// How many pairs it begins.
    pairs: u32,
    /// The length of the longest that follows it.
    longest: u64,
    /// How often each follows it.
    counts: BTreeMap<Text, u64>,
    /// The length of each that follows it, the least first.
    lengths: Vec<u32>,
}

/// Numbers as four bytes, the most significant first.
#[derive(Clone, Copy, Debug)]
struct FourBytes;

impl Encoding<u32> for FourBytes {
    fn form(&self) -> String {
        "four bytes, the most significant first".to_string()
    }

    fn encode(&self, value: &u32, into: &mut Vec<u8>) -> Result<()> {
        into.extend(value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u32> {
        let bytes = bytes.try_into().map_err(|_| Failure::new("four bytes are a number"))?;
        Ok(u32::from_be_bytes(bytes))
    }
}

/// Keeps what is known of a word, and tells it at the end.
#[derive(Clone)]
struct Follow {
    pairs: ValueState<u32, FourBytes>,
    longest: ReducingState<u64, fn(u64, u64) -> u64>,
    counts: MapState<Text, u64>,
    lengths: ListState<u32>,
}

impl Follow {
    fn new() -> Self {
        Follow {
            pairs: ValueState::new("pairs").with_encoding(FourBytes),
            longest: ReducingState::new("longest", u64::max as fn(u64, u64) -> u64),
            counts: MapState::new("counts").with_ttl(StateTtl::new(LONG)),
            lengths: ListState::new("lengths"),
        }
    }
}

impl Process<Text, Pair> for Follow {
    type State = ();
    type Out = Followers;

    fn states(&mut self, states: &mut States) {
        states.declare(&mut self.pairs).declare(&mut self.longest);
        states.declare(&mut self.counts).declare(&mut self.lengths);
    }

    fn process(
        &mut self,
        Pair { second, .. }: Pair,
        context: &mut KeyContext<'_, Text, ()>,
        _: &mut Collector<'_, Followers>,
    ) -> Result<()> {
        let pairs = context.value(&self.pairs)?.get()?.unwrap_or(0);
        if pairs == 0 {
            context.set_timer(Timer::Event(Timestamp::MAX))?;
        }
        context.value(&self.pairs)?.set(&(pairs + 1))?;
        context.reducing(&self.longest)?.add(second.len() as u64)?;
        context.list(&self.lengths)?.add(&(second.len() as u32))?;
        let mut counts = context.map(&self.counts)?;
        let count = counts.get(&second)?.unwrap_or(0);
        counts.insert(&second, &(count + 1))
    }

    fn on_timer(
        &mut self,
        _: Timer,
        context: &mut KeyContext<'_, Text, ()>,
        out: &mut Collector<'_, Followers>,
    ) -> Result<()> {
        let mut lengths = context.list(&self.lengths)?.get()?;
        lengths.sort_unstable();
        out.emit(Followers {
            word: context.key().clone(),
            pairs: context.value(&self.pairs)?.get()?.unwrap_or(0),
            longest: context.reducing(&self.longest)?.get()?.unwrap_or(0),
            counts: context.map(&self.counts)?.entries()?.into_iter().collect(),
            lengths,
        });
        context.value(&self.pairs)?.clear()?;
        context.reducing(&self.longest)?.clear()?;
        context.list(&self.lengths)?.clear()?;
        context.map(&self.counts)?.clear()
    }
}

fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    env.source("source", arguments.input.source()?)
        .flat_map("split", |line: Bytes, out| pairs(&line).for_each(|pair| out.emit(pair)))
        .key_by(|pair: &Pair| pair.first.clone())
        .process("follow", Follow::new())
        .sink("sink", LogSink::encoding(&arguments.output, write));
    Ok(())
}

/// The pairs of a line.
fn pairs(line: &[u8]) -> impl Iterator<Item = Pair> {
    let pair = |(first, second)| Pair { first: text(first), second: text(second) };
    words(line).zip(words(line).skip(1)).map(pair)
}

fn write(followers: &Followers) -> Result<Bytes> {
    let Followers { word, pairs, longest, counts, lengths } = followers;
    let mut line = format!("{word} {pairs} {longest}");
    counts.iter().for_each(|(word, count)| line.push_str(&format!(" {word}:{count}")));
    lengths.iter().for_each(|length| line.push_str(&format!(" {length}")));
    Ok(Bytes::from(line))
}

/// The records of an input, computed apart from the job.
fn expected(lines: &[Bytes]) -> Vec<Bytes> {
    let mut behind = BTreeMap::<&[u8], Vec<&[u8]>>::new();
    for line in lines {
        let words: Vec<&[u8]> = words(line).collect();
        words.windows(2).for_each(|pair| behind.entry(pair[0]).or_default().push(pair[1]));
    }
    let record = |(word, mut followers): (&[u8], Vec<&[u8]>)| {
        followers.sort_unstable();
        let mut lengths: Vec<usize> = followers.iter().map(|word| word.len()).collect();
        lengths.sort_unstable();
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        let mut record =
            format!("{} {} {}", text(word), lengths.len(), lengths.last().unwrap_or(&0));
        for group in followers.chunk_by(PartialEq::eq) {
            record += &format!(" {}:{}", text(group[0]), group.len());
        }
        lengths.iter().for_each(|length| record += &format!(" {length}"));
        Bytes::from(record)
    };
    behind.into_iter().map(record).collect()
}

/// Words of which some are common and most are not, so that a map is short here and long there.
fn drawn(_: u64, draws: &mut Draws) -> Bytes {
    let words = [6, 40, 6, 1_000].map(|of| format!("w{}", draws.below(of)));
    Bytes::from(words.join(" "))
}

pub(super) fn job() -> Job {
    Job::new(Program::new("word-pairs", 1, describe), expected)
        .about("Tell of each word which words follow it, and how often, at the end of the input")
        .workload(drawn)
        .writes("each word, how many words follow it, the length of the longest, how often each does, and all lengths")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_expected_once_with_those_behind_it() {
        let lines = ["a bb, a c", "", "a bb", "d"].map(Bytes::from);
        assert_eq!(expected(&lines), ["a 3 2 bb:2 c:1 1 2 2", "bb 1 1 a:1 1"].map(Bytes::from));
    }
}
