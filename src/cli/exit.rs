//! Exit codes and the errors of commands.

use std::{fmt, process::ExitCode};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// All held.
    Held = 0,
    /// An invariant broke, or what was to be equal is not.
    Violated = 1,
    /// The command, a file or a scenario is wrong.
    BadInput = 2,
    /// A run did not converge.
    Stuck = 3,
    /// A run was not deterministic.
    NotDeterministic = 4,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(outcome as u8)
    }
}

/// Why a command could not be done.
#[derive(Debug)]
pub struct CliError(String);

impl CliError {
    /// An error in these words.
    pub fn new(message: impl Into<String>) -> Self {
        CliError(message.into())
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for CliError {
    fn from(error: E) -> Self {
        CliError(error.to_string())
    }
}
