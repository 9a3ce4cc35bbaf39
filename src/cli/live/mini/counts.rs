//! What the job counted, beside what stands in the text.

use super::{
    CliError,
    text::{Counts, Text},
};
use crate::jobs::word_count::{Counted, Oracle};
use bytes::Bytes;
use std::{collections::BTreeSet, fmt::Write, path::Path};

/// Differing words that are shown.
const SHOWN_MAX: usize = 10;

/// The output of a job.
pub struct Output {
    /// Each word's greatest count.
    counts: Counts,
    /// Each word's number in the text.
    expected: Counts,
    /// The first record that was not to come, and why.
    wrong: Option<String>,
}

impl Output {
    /// Takes in the records of each partition and compares them with the text.
    pub fn new(text: &Text, partitions: &[Vec<Bytes>]) -> Output {
        let mut oracle = Oracle::default();
        text.lines().iter().for_each(|line| oracle.input(line));
        let (mut counts, mut wrong) = (Counts::new(), None);
        for (number, records) in partitions.iter().enumerate() {
            for (offset, record) in records.iter().enumerate() {
                if let Err(error) = oracle.output(record) {
                    wrong.get_or_insert(format!("record {offset} of partition {number}: {error}"));
                }
                if let Ok(Counted { word, count }) = postcard::from_bytes(record) {
                    let most = counts.entry(word.as_bytes().to_vec()).or_default();
                    *most = count.max(*most);
                }
            }
        }
        Output { counts, expected: text.counts().clone(), wrong }
    }

    /// Words, and different ones.
    pub fn totals(&self) -> (u64, usize) {
        (self.counts.values().sum(), self.counts.len())
    }

    /// The first things that are not as they should be; `None` when all are.
    pub fn difference(&self) -> Option<String> {
        let words: BTreeSet<&Vec<u8>> = self.counts.keys().chain(self.expected.keys()).collect();
        let of = |counts: &Counts, word: &Vec<u8>| counts.get(word).copied().unwrap_or(0);
        let differing = words.iter().filter_map(|word| {
            let (counted, expected) = (of(&self.counts, word), of(&self.expected, word));
            (counted != expected).then_some((word, counted, expected))
        });
        let differing: Vec<_> = differing.collect();
        if differing.is_empty() && self.wrong.is_none() {
            return None;
        }
        let mut told = format!("{} different words are counted otherwise", differing.len());
        for (word, counted, expected) in differing.iter().take(SHOWN_MAX) {
            let word = String::from_utf8_lossy(word);
            let _ = write!(told, "\n  {word:?}: counted {counted}, stands {expected} times");
        }
        if let Some(wrong) = &self.wrong {
            let _ = write!(told, "\n  {wrong}");
        }
        Some(told)
    }

    /// The most frequent words, as `sort | uniq -c | sort -rn` shows them.
    pub fn most_frequent(&self, most: usize) -> Vec<String> {
        let mut words: Vec<_> = self.counts.iter().collect();
        words.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let line = |(word, count): &(&Vec<u8>, &u64)| {
            format!("{count:>7} {}", String::from_utf8_lossy(word))
        };
        words.iter().take(most).map(line).collect()
    }

    /// Writes all counts, a line `COUNT WORD` each, sorted by the words' bytes.
    #[expect(clippy::disallowed_methods, reason = "the user's own file")]
    pub fn write(&self, path: &Path) -> Result<(), CliError> {
        let mut lines = Vec::new();
        for (word, count) in &self.counts {
            lines.extend_from_slice(format!("{count} ").as_bytes());
            lines.extend_from_slice(word);
            lines.push(b'\n');
        }
        std::fs::write(path, lines)
            .map_err(|error| CliError::new(format!("--counts {}: {error}", path.display())))
    }
}
