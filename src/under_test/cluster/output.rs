//! What came out of a word count.

use super::model::Model;
use crate::{
    harness::{language::cut, system::Output},
    jobs::word_count::{Counted, words},
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Letters of a word that a difference shows.
const WORD_SHOWN_MAX: usize = 40;

/// What stands in the output topic, and whether it is what a user's text comes to.
pub fn output(model: &Model, input: Option<&[Bytes]>) -> Output {
    let mut counts = BTreeMap::new();
    for record in model.output.values().flatten() {
        // What can't be read is a violation of X4, and no word.
        if let Ok(Counted { word, count }) = postcard::from_bytes(record) {
            let most = counts.entry(word).or_insert(0);
            *most = count.max(*most);
        }
    }
    let all = counts.values().sum::<u64>();
    let summary = format!("{all} words counted, {} different", counts.len());
    Output {
        end: vec![summary.clone()],
        summary,
        compared: input.map(|input| compare(&counts, input)),
        lines: counts.into_iter().map(|(word, count)| format!("{count:>7} {word}")).collect(),
    }
}

/// Compares counts with what the input comes to, counted apart from the operators.
fn compare(counts: &BTreeMap<String, u64>, input: &[Bytes]) -> Result<String, String> {
    let mut expected = BTreeMap::<String, u64>::new();
    for word in input.iter().flat_map(|line| words(line)) {
        *expected.entry(String::from_utf8_lossy(word).into_owned()).or_default() += 1;
    }
    let all = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    let summary = format!("{} of {} words counted", all(counts), all(&expected));
    let differs = |(word, count): &(&String, &u64)| counts.get(*word) != Some(count);
    match expected.iter().find(differs) {
        None if counts.len() == expected.len() => {
            Ok(format!("{summary}, {} different: equal to the input's", counts.len()))
        }
        None => Err(format!("{summary}: words were counted that the input has not")),
        Some((word, count)) => {
            let found = counts.get(word).copied().unwrap_or(0);
            let word = cut(word, WORD_SHOWN_MAX);
            Err(format!("{summary}: {word:?} stands {count} times, counted {found} times"))
        }
    }
}
