//! `coverage`: which lines of the system a sweep reached, of what `llvm-cov` says.

use super::{
    CliError, Outcome,
    print::{self, out},
};
use crate::harness::language::read_file;
use clap::Args;
use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

/// The most bytes of what `llvm-cov` exports.
const BYTES_MAX: u64 = 1 << 28;
/// Files that are told on the terminal, those with the most lines that were not reached.
const FILES_MAX: usize = 20;
/// The width of a line of code on the page.
const CODE_MAX: usize = 90;

/// Tells which lines of the system a sweep reached, and which never
///
/// `bash .ci/coverage` builds the tool with counters, sweeps, and calls this; what comes out is docs/coverage.md. What
/// no run reaches is the adversary's list of things to do.
#[derive(Args)]
pub struct Coverage {
    /// What `llvm-cov export --format lcov` wrote
    file: PathBuf,
    /// Write the page to FILE; on the terminal stands the sum of each file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// The seeds of the sweep, for the page
    #[arg(long, value_name = "A..B", default_value = "?", hide_default_value = true)]
    seeds: String,
}

/// The lines of a file that have code, and how often each ran.
type Lines = BTreeMap<usize, u64>;

impl Coverage {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        print::check_writable(self.page.as_deref())?;
        let refused = |what: String| CliError::new(format!("{}: {what}", self.file.display()));
        let text = read_file(&self.file, BYTES_MAX).map_err(|error| refused(error.to_string()))?;
        let files = read(&String::from_utf8_lossy(&text)).map_err(refused)?;
        if files.is_empty() {
            return Err(refused(
                "it names no file below the folder in which this runs".to_string(),
            ));
        }
        let mut sums: Vec<(&String, [usize; 2])> =
            files.iter().map(|(name, lines)| (name, sum(lines))).collect();
        sums.sort_by_key(|(_, [reached, all])| std::cmp::Reverse(all - reached));
        for (name, [reached, all]) in sums.iter().take(FILES_MAX) {
            out(&format!(
                "{:>5}%  {:>5} not reached  {name}",
                share(*reached, *all),
                all - reached
            ));
        }
        let total = sums.iter().fold([0, 0], |[a, b], (_, [reached, all])| [a + reached, b + all]);
        out(&format!(
            "{:>5}%  {:>5} not reached  of {} lines",
            share(total[0], total[1]),
            total[1] - total[0],
            total[1]
        ));
        if let Some(path) = &self.page {
            print::write_file(path, &page(&files, total, &self.seeds))?;
        }
        Ok(Outcome::Passed)
    }
}

/// How many of the lines ran, and how many there are.
fn sum(lines: &Lines) -> [usize; 2] {
    [lines.values().filter(|count| **count > 0).count(), lines.len()]
}

fn share(reached: usize, all: usize) -> String {
    format!("{:.1}", reached as f64 * 100.0 / all.max(1) as f64)
}

/// The files below this folder, by their paths from here.
fn read(text: &str) -> Result<BTreeMap<String, Lines>, String> {
    let here = std::env::current_dir().unwrap_or_default();
    let mut files: BTreeMap<String, Lines> = BTreeMap::new();
    let mut file: Option<String> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(path) = line.strip_prefix("SF:") {
            let below = Path::new(path).strip_prefix(&here).ok();
            file = below.map(|path| path.display().to_string());
        } else if let (Some(data), Some(file)) = (line.strip_prefix("DA:"), &file) {
            let mut parts = data.split(',');
            let at = parts.next().and_then(|part| part.parse().ok());
            let count: Option<u64> = parts.next().and_then(|part| part.parse().ok());
            let (at, count) =
                at.zip(count).ok_or(format!("line {number}: {line:?} is no count"))?;
            *files.entry(file.clone()).or_default().entry(at).or_default() += count;
        }
    }
    Ok(files)
}

/// Lines that were not reached and follow each other, as far as lines have code.
fn gaps(lines: &Lines) -> Vec<(usize, usize)> {
    let mut gaps: Vec<(usize, usize)> = Vec::new();
    let mut is_open = false;
    for (line, count) in lines {
        match gaps.last_mut().filter(|_| is_open && *count == 0) {
            Some(gap) => gap.1 = *line,
            None if *count == 0 => gaps.push((*line, *line)),
            None => {}
        }
        is_open = *count == 0;
    }
    gaps
}

#[expect(clippy::disallowed_methods, reason = "a command reads the sources beside it")]
fn source(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(name).unwrap_or_default();
    text.lines().map(str::to_string).collect()
}

/// Where the tests of a file begin, which no sweep runs.
fn tests_from(source: &[String]) -> usize {
    source.iter().position(|line| line.trim() == "#[cfg(test)]").map_or(usize::MAX, |at| at + 1)
}

fn page(files: &BTreeMap<String, Lines>, [reached, all]: [usize; 2], seeds: &str) -> String {
    let mut text = format!(
        "# What a sweep reaches\n\n\
         Of the {all} lines of the system that have code {reached} ({}%) were reached by a sweep, and these never: what to \
         provoke next, and what unit tests must hold. Lines that only live code runs are among them.\n\n    \
         bash .ci/coverage {seeds}\n",
        share(reached, all)
    );
    for (name, lines) in files {
        let source = source(name);
        let [reached, all] = sum(lines);
        let gaps = gaps(lines);
        if gaps.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {name}\n\n{}% of {all} lines\n\n```text", share(reached, all));
        for (from, to) in gaps.into_iter().filter(|(from, _)| *from < tests_from(&source)) {
            let place = if from == to { from.to_string() } else { format!("{from}-{to}") };
            let code = source.get(from - 1).map_or("", |line| line.trim());
            let code: String = code.chars().take(CODE_MAX).collect();
            let _ = writeln!(text, "{place:>9}  {code}");
        }
        text += "```\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_never_ran_are_told_as_ranges() {
        let here = std::env::current_dir().expect("there is one");
        let text = format!(
            "SF:{0}/src/a.rs\nDA:1,3\nDA:2,0\nDA:3,0\nDA:5,0\nDA:6,1\nDA:9,0\nend_of_record\n\
             SF:/elsewhere/b.rs\nDA:1,0\nend_of_record\nSF:{0}/src/a.rs\nDA:9,2\nend_of_record\n",
            here.display()
        );
        let files = read(&text).expect("it is sound");
        assert_eq!(files.len(), 1, "{files:?}");
        let lines = &files["src/a.rs"];
        assert_eq!((sum(lines), gaps(lines)), ([3, 6], vec![(2, 5)]));
        let page = page(&files, [3, 6], "0..10");
        assert!(
            page.contains("3 (50.0%) were reached") && page.contains("\n      2-5  "),
            "{page}"
        );
        let refused = read(&text.replace("DA:2,0", "DA:2")).expect_err("it is cut");
        assert!(refused.starts_with("line 3: "), "{refused}");
    }
}
