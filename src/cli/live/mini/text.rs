//! The text whose words are counted.

use super::{CliError, kept::Origin};
use crate::{
    jobs::word_count::words,
    system::{
        connector::LINE_BYTES_MAX,
        service::log::{LOG_BYTES_MAX, RECORD_BYTES_AROUND, RECORD_BYTES_MAX},
        task_executor::RECORD_BYTES_MAX as WORD_BYTES_MAX,
    },
};
use bytes::Bytes;
use std::{cell::OnceCell, collections::BTreeMap, path::Path};

/// What a count takes in the output beside the word's bytes.
const COUNT_BYTES: u64 = 16;

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
        let (read, counted) = (self.input_bytes(&lines, from), self.output_bytes());
        if read + counted > LOG_BYTES_MAX {
            return refuse(format!(
                "the log server would have to hold {} MiB, and holds {} at most; a text of about \
                 a tenth of that is fine",
                (read + counted) >> 20,
                LOG_BYTES_MAX >> 20,
            ));
        }
        Ok(())
    }

    fn input_bytes(&self, lines: &[Bytes], from: Origin) -> u64 {
        match from {
            Origin::Text => 0,
            Origin::Log => (self.bytes.len() + lines.len() * RECORD_BYTES_AROUND) as u64,
        }
    }

    fn output_bytes(&self) -> u64 {
        let around = RECORD_BYTES_AROUND as u64 + COUNT_BYTES;
        self.counts().iter().map(|(word, count)| count * (word.len() as u64 + around)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
