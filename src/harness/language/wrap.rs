//! Lines that fit on a screen.

/// The columns of a screen.
pub const COLUMNS: usize = 80;

/// A text of at most `width` characters; `…` stands for what was cut off.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Breaks a text between words into lines of at most [`COLUMNS`] columns. The first line begins with
/// `first`, the others with spaces as wide as it, at most half a line.
pub fn wrap(first: &str, text: &str) -> String {
    let indent = " ".repeat(first.chars().count().min(COLUMNS / 2));
    let mut lines = String::new();
    let mut line = first.to_string();
    let mut words = 0;
    for word in text.split(' ') {
        if words > 0 && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines += line.trim_end();
            lines.push('\n');
            line.clone_from(&indent);
            words = 0;
        }
        if words > 0 {
            line.push(' ');
        }
        line += word;
        words += 1;
    }
    lines + line.trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_hang() {
        let text = wrap("name  ", &"four ".repeat(20));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("name  four") && lines[1].starts_with("      four"));
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS));
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!((cut("four", 4).as_str(), cut("fives", 4).as_str()), ("four", "fiv…"));
    }

    #[test]
    fn a_word_that_is_too_long_stays_whole() {
        let word = "x".repeat(100);
        assert_eq!(wrap("- ", &format!("a {word} b")), format!("- a\n  {word}\n  b"));
        assert_eq!(wrap("- ", ""), "-");
    }
}
