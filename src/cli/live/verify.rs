//! Comparing a journal with the lines that were sent.

use super::supervise::CLIENT;
use crate::jobs::journal::Entry;
use std::fmt;

/// The first place where a journal is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line's number, from 1.
    line: usize,
    /// What the file says; `None` after its end.
    expected: Option<String>,
    /// What the journal says; `None` after its end.
    found: Option<Entry>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "line {} differs", self.line)?;
        match &self.expected {
            Some(line) => writeln!(f, "  file:    {line:?}")?,
            None => writeln!(f, "  file:    has only {} lines", self.line - 1)?,
        }
        match &self.found {
            Some(Entry { client, sequence, line }) => {
                write!(f, "  journal: {line:?}, line {sequence} of client {client}")
            }
            None => write!(f, "  journal: has only {} lines", self.line - 1),
        }
    }
}

/// Where a journal with one client first differs from that client's lines.
pub fn first_difference(entries: &[Entry], lines: &[String]) -> Option<Difference> {
    let is_right = |index: usize, entry: &Entry, line: &String| {
        (entry.client, entry.sequence, &entry.line) == (CLIENT, index as u64 + 1, line)
    };
    let pairs = entries.iter().zip(lines).enumerate();
    let wrong = pairs.into_iter().find(|(index, (entry, line))| !is_right(*index, entry, line));
    let shorter = entries.len().min(lines.len());
    let index = match wrong {
        Some((index, _)) => index,
        None if entries.len() == lines.len() => return None,
        None => shorter,
    };
    let (expected, found) = (lines.get(index).cloned(), entries.get(index).cloned());
    Some(Difference { line: index + 1, expected, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(lines: &[&str]) -> Vec<Entry> {
        let entry = |(line, sequence): (&&str, u64)| Entry {
            client: CLIENT,
            sequence,
            line: line.to_string(),
        };
        lines.iter().zip(1..).map(entry).collect()
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn equal_lines_do_not_differ() {
        assert_eq!(first_difference(&entries(&["a", "b"]), &lines(&["a", "b"])), None);
    }

    #[test]
    fn the_first_difference_is_told_with_both_sides() {
        let told = |journal: &[&str], file: &[&str]| {
            first_difference(&entries(journal), &lines(file)).map(|found| found.to_string())
        };
        let changed = "line 2 differs\n  file:    \"b\"\n  journal: \"x\", line 2 of client 1";
        assert_eq!(told(&["a", "x", "y"], &["a", "b", "c"]).as_deref(), Some(changed));
        let lost = "line 2 differs\n  file:    \"b\"\n  journal: has only 1 lines";
        assert_eq!(told(&["a"], &["a", "b"]).as_deref(), Some(lost));
        let more =
            "line 2 differs\n  file:    has only 1 lines\n  journal: \"b\", line 2 of client 1";
        assert_eq!(told(&["a", "b"], &["a"]).as_deref(), Some(more));
    }

    #[test]
    fn a_repeated_line_differs_though_the_text_is_the_same() {
        let mut journal = entries(&["a", "a"]);
        journal[1].sequence = 1;
        let found = first_difference(&journal, &lines(&["a", "a"])).expect("a difference");
        assert_eq!(found.line, 2);
    }
}
