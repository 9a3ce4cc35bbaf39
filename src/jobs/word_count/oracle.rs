//! What a word count must put out, computed apart from its operators.

use super::{Counted, words};
use crate::{
    jobs::common::{JobOracle, KeyedStateModel, read_group},
    system::dataflow::Text,
};
use std::collections::BTreeMap;

/// What is wrong with an output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OracleError {
    /// A record is no [`Counted`].
    #[error("a record can't be read: {0}")]
    Unreadable(String),
    /// A word's counts do not go 1, 2, 3, …
    #[error("{word:?} was counted {before} times, then {now} came")]
    OutOfSequence {
        /// The word.
        word: Text,
        /// The count before.
        before: u64,
        /// The count that came.
        now: u64,
    },
    /// A word was counted more often than it stands in the input.
    #[error("{word:?} was counted {count} times and stands {expected} times in the input")]
    TooMany {
        /// The word.
        word: Text,
        /// The count that came.
        count: u64,
        /// How often it stands in the input so far.
        expected: u64,
    },
}

/// Follows the output of a word count step by step.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    expected: BTreeMap<Vec<u8>, u64>,
    counted: BTreeMap<Vec<u8>, u64>,
}

impl Oracle {
    /// A line is in the input from here on.
    pub fn input(&mut self, line: &[u8]) {
        for word in words(line) {
            *self.expected.entry(word.to_vec()).or_default() += 1;
        }
    }

    /// A record is in the output.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn output(&mut self, record: &[u8]) -> Result<(), OracleError> {
        let counted: Counted = postcard::from_bytes(record)
            .map_err(|error| OracleError::Unreadable(error.to_string()))?;
        let Counted { word, count } = counted;
        let before = self.counted.entry(word.as_bytes().to_vec()).or_default();
        if count != *before + 1 {
            return Err(OracleError::OutOfSequence { word, before: *before, now: count });
        }
        *before = count;
        let expected = self.expected.get(word.as_bytes()).copied().unwrap_or(0);
        if count > expected {
            return Err(OracleError::TooMany { word, count, expected });
        }
        Ok(())
    }

    /// A word that stands more often in the input than in the output, with both numbers.
    pub fn missing(&self) -> Option<(String, u64, u64)> {
        self.expected.iter().find_map(|(word, expected)| {
            let counted = self.counted.get(word).copied().unwrap_or(0);
            let text = || String::from_utf8_lossy(word).into_owned();
            (counted < *expected).then(|| (text(), counted, *expected))
        })
    }

    /// Each word's count so far, by word.
    pub fn counts(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.counted.iter().map(|(word, count)| (word.as_slice(), *count))
    }
}

impl JobOracle for Oracle {
    fn promise(&self) -> &'static str {
        "every word's counts go 1, 2, 3, … as far as it stands in the input"
    }

    fn input(&mut self, _: u32, record: &[u8]) {
        Oracle::input(self, record);
    }

    fn output(&mut self, _: u32, record: &[u8]) -> Result<(), String> {
        Oracle::output(self, record).map_err(|error| error.to_string())
    }

    fn missing(&self) -> Option<String> {
        let (word, counted, expected) = Oracle::missing(self)?;
        Some(format!("{word:?} stands {expected} times in the input, counted {counted} times"))
    }

    fn keyed_state(&self) -> Option<KeyedStateModel> {
        Some(KeyedStateModel {
            source: "source",
            operator: "count",
            records: encoded_words,
            handle: |word, states| {
                states.count(word);
            },
            read_group: read_group::<String, u64>,
            forgets_at_end: false,
        })
    }
}

/// The words of a line, as they are encoded: the length, and the text.
pub fn encoded_words(line: &[u8]) -> Vec<Vec<u8>> {
    let encoded = |word: &[u8]| postcard::to_allocvec(word).expect("bytes can be encoded");
    words(line).map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(word: &str, count: u64) -> Vec<u8> {
        postcard::to_allocvec(&Counted { word: word.into(), count }).unwrap()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let found: Vec<&[u8]> = words(b"  Don't stop, 42 times! \xc3\xa9t\xc3\xa9").collect();
        assert_eq!(found, [&b"Don"[..], b"t", b"stop", b"42", b"times", b"t"]);
    }

    #[test]
    fn an_output_in_sequence_is_accepted_and_any_other_refused() {
        let mut oracle = Oracle::default();
        oracle.input(b"a b a");
        assert_eq!(oracle.output(&counted("a", 1)), Ok(()));
        assert_eq!(oracle.missing(), Some(("a".to_string(), 1, 2)));
        let refused = |record: &[u8]| oracle.clone().output(record).expect_err("refused");
        assert!(matches!(refused(&counted("a", 1)), OracleError::OutOfSequence { .. }));
        assert!(matches!(refused(&counted("b", 2)), OracleError::OutOfSequence { .. }));
        assert!(matches!(refused(&counted("c", 1)), OracleError::TooMany { .. }));
        assert!(matches!(refused(b""), OracleError::Unreadable(_)));
        assert_eq!(oracle.output(&counted("a", 2)), Ok(()));
        assert!(matches!(
            oracle.clone().output(&counted("a", 3)).expect_err("refused"),
            OracleError::TooMany { .. }
        ));
        assert_eq!(oracle.output(&counted("b", 1)), Ok(()));
        assert_eq!(oracle.missing(), None);
    }
}
