//! Mistakes in scenario files, as they are told.

use super::wrap::{cut, wrap};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Letters of a line of a file that are quoted.
const QUOTE_MAX: usize = 160;
/// Letters of what somebody wrote that a message repeats.
const SHOWN_MAX: usize = 80;

/// A text of somebody else's as it may go to a terminal: control characters are written as escapes.
pub fn printable(text: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// The same, and not more of it than a person reads.
pub fn shown(text: &str) -> String {
    printable(&cut(text, SHOWN_MAX))
}

/// How many letters of a line are left out before its quoted part, so that the column is in it.
fn skipped(column: usize) -> usize {
    if column > QUOTE_MAX { column - QUOTE_MAX / 2 } else { 0 }
}

/// A mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file.
    pub path: PathBuf,
    /// Line and column from 1; `None` when the file could not be read at all.
    pub place: Option<(usize, usize)>,
    /// The line of the file, or a part of it.
    pub quote: String,
    /// What is wrong, with the key and what was expected.
    pub message: String,
    /// What is known or can be done about it; a line each.
    pub help: Vec<String>,
}

impl ScenarioError {
    pub(in crate::harness) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let message = if path.is_dir() && error.kind() == std::io::ErrorKind::IsADirectory {
            "it is a folder; a scenario is a file".to_string()
        } else {
            error.to_string()
        };
        let (path, quote) = (path.to_path_buf(), String::new());
        ScenarioError { path, place: None, quote, message, help: Vec::new() }
    }

    /// An error at a byte of a text whose lines begin at these bytes.
    pub(in crate::harness) fn at(
        path: &Path,
        text: &str,
        lines: &[usize],
        byte: usize,
        message: String,
    ) -> Self {
        let byte = text.floor_char_boundary(byte);
        let line = lines.partition_point(|start| *start <= byte).max(1);
        let start = lines.get(line - 1).copied().unwrap_or(0);
        let column = text[start..byte].chars().count() + 1;
        let quote = text[start..].lines().next().unwrap_or_default();
        let quote = quote.chars().skip(skipped(column)).take(QUOTE_MAX).collect();
        let (path, place) = (path.to_path_buf(), Some((line, column)));
        ScenarioError { path, place, quote, message, help: Vec::new() }
    }

    /// The same with a line of help.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The mistake with the line quoted and a caret under the column.
    pub fn explain(&self) -> String {
        let mut lines = vec![wrap("error: ", &printable(&self.message))];
        let path = printable(&self.path.display().to_string());
        let gutter = self.place.map_or(1, |(line, _)| line.to_string().len());
        let blank = " ".repeat(gutter);
        match self.place {
            None => lines.push(format!("{blank}--> {path}")),
            Some((line, column)) => {
                // A tab before the caret must be as wide as the tab above it.
                let pad = self.quote.chars().take(column - 1 - skipped(column));
                let pad: String = pad.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                let quote = self.quote.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
                lines.push(format!("{blank}--> {path}:{line}:{column}"));
                lines.push(format!("{blank} |"));
                lines.push(format!("{line} | {quote}"));
                lines.push(format!("{blank} | {pad}^"));
            }
        }
        let help = self.help.iter().map(|help| wrap(&format!("{blank} = "), &printable(help)));
        lines.extend(help);
        lines.join("\n")
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.path.display().to_string()))?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", printable(&self.message))?;
        self.help.iter().try_for_each(|help| write!(f, "\n{}", wrap("  ", &printable(help))))
    }
}

impl std::error::Error for ScenarioError {}

/// The mistakes of a file, kept so that one look shows all of them.
#[derive(Default)]
pub struct Mistakes(Vec<ScenarioError>);

impl Mistakes {
    /// What was read, or nothing and the mistake is kept.
    pub fn keep<T>(&mut self, read: Result<T, ScenarioError>) -> Option<T> {
        read.map_err(|mistake| self.0.push(mistake)).ok()
    }

    /// Adds a line of help to the first mistake, if there are several.
    pub fn hint(&mut self, help: impl Into<String>) {
        if self.0.len() > 1
            && let Some(first) = self.0.iter_mut().min_by_key(|mistake| mistake.place)
        {
            first.help.push(help.into());
        }
    }

    /// What was read if there was no mistake, else the mistakes in the order of the file.
    pub fn or<T>(mut self, read: Option<T>) -> Result<T, Vec<ScenarioError>> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => {
                self.0.sort_by_key(|mistake| mistake.place);
                Err(self.0)
            }
        }
    }
}
