//! Mistakes in scenario files, as they are told.

use crate::harness::report::wrap;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file.
    pub path: PathBuf,
    /// Line and column from 1; `None` when the file could not be read at all.
    pub place: Option<(usize, usize)>,
    /// The line of the file.
    pub quote: String,
    /// What is wrong, with the key and what was expected.
    pub message: String,
    /// What is known or can be done about it; a line each.
    pub help: Vec<String>,
}

impl ScenarioError {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let message = if path.is_dir() && error.kind() == std::io::ErrorKind::IsADirectory {
            "it is a folder; a scenario is a file".to_string()
        } else {
            error.to_string()
        };
        let (path, quote) = (path.to_path_buf(), String::new());
        ScenarioError { path, place: None, quote, message, help: Vec::new() }
    }

    /// An error at a byte of a text.
    pub(super) fn at(path: &Path, text: &str, byte: usize, message: String) -> Self {
        let before = &text[..text.floor_char_boundary(byte)];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let quote = text.lines().nth(line - 1).unwrap_or_default().to_string();
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
        let mut lines = vec![wrap("error: ", &self.message)];
        let gutter = self.place.map_or(1, |(line, _)| line.to_string().len());
        let blank = " ".repeat(gutter);
        match self.place {
            None => lines.push(format!("{blank}--> {}", self.path.display())),
            Some((line, column)) => {
                // A tab before the caret must be as wide as the tab above it.
                let pad = self.quote.chars().take(column - 1);
                let pad: String = pad.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                lines.push(format!("{blank}--> {}:{line}:{column}", self.path.display()));
                lines.push(format!("{blank} |"));
                lines.push(format!("{line} | {}", self.quote));
                lines.push(format!("{blank} | {pad}^"));
            }
        }
        lines.extend(self.help.iter().map(|help| wrap(&format!("{blank} = "), help)));
        lines.join("\n")
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "\n{}", wrap("  ", help)))
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
