//! Exit codes and the errors of commands.

use std::{fmt, process::ExitCode};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything passed.
    Passed = 0,
    /// An invariant broke, or what was to be equal is not.
    Violated = 1,
    /// The command could not be done: it, a file or a scenario is wrong, or can't be read or written; or
    /// a kept plan is stale.
    BadInput = 2,
    /// A run did not converge.
    Stuck = 3,
    /// A run was not deterministic.
    NotDeterministic = 4,
    /// A signal ended the command before its work was done; what was done is told, and passed.
    Interrupted = 130,
}

impl Outcome {
    /// The one of two that a person must hear of first. A run that is not deterministic makes every
    /// other word worthless; a broken promise is worse than one that was not kept in time; that less
    /// was looked at than was asked for is told when nothing else is.
    pub fn worse(self, other: Outcome) -> Outcome {
        let weight = |outcome| match outcome {
            Outcome::Passed => 0,
            Outcome::Interrupted => 1,
            Outcome::BadInput => 2,
            Outcome::Stuck => 3,
            Outcome::Violated => 4,
            Outcome::NotDeterministic => 5,
        };
        if weight(self) >= weight(other) { self } else { other }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(outcome as u8)
    }
}

/// Why a command could not be done, or did not come to its end.
#[derive(Debug)]
pub struct CliError {
    message: String,
    outcome: Outcome,
}

impl CliError {
    /// An error in these words: it could not be done.
    pub fn new(message: impl Into<String>) -> Self {
        CliError { message: message.into(), outcome: Outcome::BadInput }
    }

    /// What was begun did not come to its end.
    #[cfg(not(madsim))]
    pub fn stuck(message: impl Into<String>) -> Self {
        CliError { message: message.into(), outcome: Outcome::Stuck }
    }

    /// How the command ended by it.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for CliError {
    fn from(error: E) -> Self {
        CliError::new(error.to_string())
    }
}
