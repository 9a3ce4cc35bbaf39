//! What a word is.

use crate::system::dataflow::Text;

/// The words of a line.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// A word as a text.
pub fn text(word: &[u8]) -> Text {
    Text::from(std::str::from_utf8(word).expect("its letters are ASCII"))
}
