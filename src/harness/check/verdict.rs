//! How a run ended.

use std::fmt;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every invariant held and the cluster converged.
    Passed,
    /// This invariant broke.
    Violated(String),
    /// The cluster did not converge.
    Stuck {
        /// What it waits for.
        waits_for: String,
    },
}

impl Verdict {
    /// One word.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Violated(_) => "violated",
            Verdict::Stuck { .. } => "stuck",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed => f.write_str("passed"),
            Verdict::Violated(invariant) => write!(f, "violated:{invariant}"),
            Verdict::Stuck { waits_for } => write!(f, "stuck, waiting for {waits_for}"),
        }
    }
}
