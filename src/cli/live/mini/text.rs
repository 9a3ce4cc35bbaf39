//! The text whose words are counted.

use super::{CliError, origin::Origin};
use crate::{
    jobs::{common::TEXT_BYTES_MAX as WORD_BYTES_MAX, word_count::words},
    system::{
        connector::LINE_BYTES_MAX,
        service::log::{RECORD_BYTES_AROUND, RECORD_BYTES_MAX, STAGED_BYTES_MAX},
    },
};
use bytes::Bytes;
use std::{cell::OnceCell, collections::BTreeMap, path::Path};

/// How often each word occurs.
pub type Counts = BTreeMap<Vec<u8>, u64>;

/// A text of bytes in lines.
pub struct Text {
    bytes: Bytes,
    /// Counted when first asked for.
    counts: OnceCell<Counts>,
}

impl Text {
    /// Reads a file.
    #[expect(clippy::disallowed_methods, reason = "the user's own file")]
    pub fn read(path: &Path) -> Result<Text, CliError> {
        let bytes = std::fs::read(path)
            .map_err(|error| CliError::new(format!("--input {}: {error}", path.display())))?;
        Ok(Text { bytes: Bytes::from(bytes), counts: OnceCell::new() })
    }

    /// All of it.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its lines, without their ends.
    pub fn lines(&self) -> Vec<Bytes> {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        bytes.split(|byte| *byte == b'\n').map(|line| self.bytes.slice_ref(line)).collect()
    }

    /// How often each word stands in it.
    pub fn counts(&self) -> &Counts {
        self.counts.get_or_init(|| {
            let mut counts = Counts::new();
            for word in words(&self.bytes) {
                match counts.get_mut(word) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(word.to_vec(), 1);
                    }
                }
            }
            counts
        })
    }

    /// Refuses what the cluster could not take.
    pub fn check(&self, name: &Path, from: Origin) -> Result<(), CliError> {
        let refuse =
            |what: String| Err(CliError::new(format!("--input {}: {what}", name.display())));
        if self.bytes.is_empty() {
            return refuse("it is empty; there is no word to count".to_string());
        }
        let line_bytes_max = match from {
            Origin::Text => usize::try_from(LINE_BYTES_MAX).unwrap_or(usize::MAX),
            Origin::Log => RECORD_BYTES_MAX,
        };
        let lines = self.lines();
        if let Some(at) = lines.iter().position(|line| line.len() > line_bytes_max) {
            let (line, found) = (at + 1, lines[at].len());
            return refuse(format!(
                "line {line} has {found} bytes; with --from {from} a line has {line_bytes_max} at most"
            ));
        }
        if let Some(long) = self.counts().keys().find(|word| word.len() > WORD_BYTES_MAX) {
            let found = long.len();
            return refuse(format!(
                "a word has {found} letters and digits; it may have {WORD_BYTES_MAX}"
            ));
        }
        let needed = self.output_bytes();
        if needed > STAGED_BYTES_MAX {
            let fits = self.bytes.len() as u64 * (STAGED_BYTES_MAX >> 10) / (needed >> 10);
            return refuse(format!(
                "the log server would have to hold {} MiB of counts until a checkpoint is complete, and holds {} at \
                 most; the first {} MiB of the text would fit",
                needed.div_ceil(1 << 20),
                STAGED_BYTES_MAX >> 20,
                fits >> 20,
            ));
        }
        Ok(())
    }

    /// What the output takes: a record for each time that a word occurs, with its number until then.
    fn output_bytes(&self) -> u64 {
        let of_word = |(word, count): (&Vec<u8>, &u64)| {
            let length = word.len() as u64;
            let around = varint_bytes(length) + RECORD_BYTES_AROUND as u64;
            count * (length + around) + varints_bytes(*count)
        };
        self.counts().iter().map(of_word).sum()
    }
}

/// What a number takes in postcard's encoding.
fn varint_bytes(number: u64) -> u64 {
    u64::from((u64::BITS - number.leading_zeros()).max(1).div_ceil(7))
}

/// What the numbers from 1 to `last` take together.
fn varints_bytes(last: u64) -> u64 {
    // Each byte more is taken from the first number on that needs it.
    let firsts = std::iter::successors(Some(1_u64), |first| first.checked_mul(128));
    firsts.take_while(|first| *first <= last).map(|first| last + 1 - first.max(1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::word_count::Counted;

    fn text(bytes: &'static [u8]) -> Text {
        Text { bytes: Bytes::from_static(bytes), counts: OnceCell::new() }
    }

    #[test]
    fn lines_end_with_a_newline_or_with_the_text() {
        assert_eq!(text(b"a\n\nb\xff\n").lines(), ["a".as_bytes(), b"", b"b\xff"]);
        assert_eq!(text(b"a\nb").lines(), ["a", "b"]);
    }

    #[test]
    fn words_are_counted_by_their_bytes() {
        let text = text(b"to be, or not to-be\xfe");
        let counts = text.counts();
        let count = |word: &str| counts.get(word.as_bytes()).copied();
        assert_eq!(
            (count("to"), count("be"), count("or"), counts.len()),
            (Some(2), Some(2), Some(1), 4)
        );
    }

    #[test]
    fn the_need_is_what_the_records_take() {
        let bytes = "a bb ".repeat(20_000) + &"w".repeat(300);
        let text = Text { bytes: Bytes::from(bytes), counts: OnceCell::new() };
        let mut needed = 0;
        for (word, times) in text.counts() {
            for count in 1..=*times {
                let word = String::from_utf8(word.clone()).expect("letters");
                let counted = Counted { word: word.into(), count };
                let record = postcard::to_allocvec(&counted).expect("a record");
                needed += (record.len() + RECORD_BYTES_AROUND) as u64;
            }
        }
        assert_eq!(text.output_bytes(), needed);
    }

    #[test]
    fn a_text_whose_counts_would_not_fit_is_refused_with_what_would() {
        let words = STAGED_BYTES_MAX / 42;
        let text = |words: u64| {
            let bytes = "abcd\n".repeat(usize::try_from(words).expect("few"));
            Text { bytes: Bytes::from(bytes), counts: OnceCell::new() }
        };
        text(words).check(Path::new("x"), Origin::Text).expect("it fits");
        let refused = text(2 * words).check(Path::new("x"), Origin::Log);
        let refused = refused.expect_err("its counts do not");
        assert!(refused.to_string().contains("MiB of the text would fit"), "{refused}");
    }

    #[test]
    fn what_the_cluster_can_not_take_is_refused() {
        let refused = |bytes: Vec<u8>, from| {
            let text = Text { bytes: Bytes::from(bytes), counts: OnceCell::new() };
            text.check(Path::new("x"), from).err().map(|error| error.to_string())
        };
        assert!(refused(Vec::new(), Origin::Text).is_some_and(|why| why.contains("is empty")));
        let word = vec![b'a'; WORD_BYTES_MAX + 1];
        assert!(refused(word, Origin::Text).is_some_and(|why| why.contains("a word has")));
        let line = vec![b' '; RECORD_BYTES_MAX + 1];
        assert_eq!(refused(line.clone(), Origin::Text), None);
        assert!(refused(line, Origin::Log).is_some_and(|why| why.contains("line 1 has")));
    }
}
