//! Why an operator can't go on.

use std::fmt;

/// What an operator, source or sink says when it can't go on: its task fails with these words, and the job restarts
/// by its strategy. Every error turns into one with `?`; for words alone there is [`Failure::new`], as in
/// `return Err(Failure::new("it is negative"))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// What the functions of a job come to.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// One of these words.
    pub fn new(why: impl fmt::Display) -> Self {
        Failure(why.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// Not an error itself: it could not be made of every other one then.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}
