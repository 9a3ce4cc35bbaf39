//! Comparing two runs of one seed.

use std::fmt;

/// How many entries are shown before the first that differs.
const CONTEXT_LINES: usize = 10;

/// An entry of a trace, as a process prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedEntry {
    /// Simulated nanoseconds since the run began.
    pub time: u64,
    /// The rest.
    pub text: String,
}

/// Where two traces part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The place of the first entry that differs, from 0.
    pub at: usize,
    /// The entries before it, ten at most.
    pub before: Vec<PrintedEntry>,
    /// The entry in the first run; `None` when it had ended.
    pub first: Option<PrintedEntry>,
    /// The entry in the second run; `None` when it had ended.
    pub second: Option<PrintedEntry>,
}

/// Finds where two traces part; `None` when they are the same.
pub fn compare_traces(first: &[PrintedEntry], second: &[PrintedEntry]) -> Option<Difference> {
    let longest = first.len().max(second.len());
    let at = (0..longest).find(|at| first.get(*at) != second.get(*at))?;
    Some(Difference {
        at,
        before: first[at.saturating_sub(CONTEXT_LINES)..at].to_vec(),
        first: first.get(at).cloned(),
        second: second.get(at).cloned(),
    })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the runs part at entry {}:", self.at)?;
        for line in &self.before {
            writeln!(f, "    {}", Line(Some(line)))?;
        }
        writeln!(f, "  1 {}", Line(self.first.as_ref()))?;
        write!(f, "  2 {}", Line(self.second.as_ref()))
    }
}

struct Line<'a>(Option<&'a PrintedEntry>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "{:>14} ns  {}", line.time, line.text),
            None => f.write_str("(the run has ended)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(texts: &[&str]) -> Vec<PrintedEntry> {
        let line = |(time, text): (u64, &&str)| PrintedEntry { time, text: text.to_string() };
        (0..).zip(texts).map(line).collect()
    }

    #[test]
    fn the_first_difference_is_named_with_ten_entries_before_it() {
        let same: Vec<String> = (0..20).map(|n| format!("e{n}")).collect();
        let mut first: Vec<&str> = same.iter().map(String::as_str).collect();
        let second = first.clone();
        assert_eq!(compare_traces(&trace(&first), &trace(&second)), None);
        first[15] = "other";
        let difference = compare_traces(&trace(&first), &trace(&second)).unwrap();
        assert_eq!((difference.at, difference.before.len()), (15, 10));
        let text = difference.to_string();
        assert!(
            text.contains("entry 15") && text.contains("other") && text.contains("e15"),
            "{text}"
        );
    }

    #[test]
    fn a_run_that_ends_early_differs() {
        let difference = compare_traces(&trace(&["a"]), &trace(&["a", "b"])).unwrap();
        assert_eq!(difference.first, None);
    }
}
