//! Lines of at most 80 columns.

/// The width that reports keep to.
pub const COLUMNS: usize = 80;

/// Breaks a text at spaces into lines of at most [`COLUMNS`]; the first begins with `first`, the
/// others with as many spaces as `first` is long, at most half a line. A longer word stands alone.
pub fn wrap(first: &str, text: &str) -> String {
    let indent = first.chars().count().min(COLUMNS / 2);
    let mut lines = vec![first.to_string()];
    let mut empty = true;
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let space = usize::from(!empty);
        if !empty && line.chars().count() + space + word.chars().count() > COLUMNS {
            lines.push(" ".repeat(indent) + word);
        } else {
            line.push_str(&" ".repeat(space));
            line.push_str(word);
        }
        empty = false;
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_hang_under_their_first_word() {
        let text = "word ".repeat(40);
        let wrapped = wrap("  now  ", text.trim_end());
        assert!(wrapped.lines().count() > 2);
        assert!(wrapped.lines().all(|line| line.chars().count() <= COLUMNS), "{wrapped}");
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("       word")));
        assert_eq!(wrapped.split_whitespace().count(), 41);
    }

    #[test]
    fn a_word_that_fits_nowhere_stands_alone() {
        let long = "x".repeat(100);
        assert_eq!(wrap("", &format!("a {long} b")).lines().count(), 3);
        assert_eq!(wrap("- ", "a"), "- a");
    }
}
