//! Verdicts, and which one a scenario wants.

use crate::harness::scenario::{Field, ScenarioError};
use std::fmt;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every invariant held and the cluster converged.
    Held,
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
            Verdict::Held => "held",
            Verdict::Violated(_) => "violated",
            Verdict::Stuck { .. } => "stuck",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Held => f.write_str("held"),
            Verdict::Violated(invariant) => write!(f, "violated:{invariant}"),
            Verdict::Stuck { waits_for } => write!(f, "stuck, waiting for {waits_for}"),
        }
    }
}

/// What *held* means for a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Every invariant holds and the cluster converges.
    Held,
    /// This invariant breaks.
    Violated(String),
    /// The cluster does not converge.
    Stuck,
}

impl Expectation {
    /// Reads `expect`.
    ///
    /// # Errors
    /// When it is none of the verdicts, or names an unknown invariant.
    pub fn read(field: &Field) -> Result<Self, ScenarioError> {
        let invariants = super::journal_invariants(Vec::new());
        let names = invariants.iter().map(|invariant| invariant.name()).collect::<Vec<_>>();
        let what =
            format!("\"held\", \"stuck\" or \"violated:NAME\" with one of {}", names.join(", "));
        field.read(&what, |text| match text {
            "held" => Some(Expectation::Held),
            "stuck" => Some(Expectation::Stuck),
            other => {
                let name = other.strip_prefix("violated:")?;
                names.contains(&name).then(|| Expectation::Violated(name.to_string()))
            }
        })
    }

    /// Whether a run ended as it should.
    pub fn met_by(&self, verdict: &Verdict) -> bool {
        match (self, verdict) {
            (Expectation::Held, Verdict::Held) => true,
            (Expectation::Violated(wanted), Verdict::Violated(found)) => wanted == found,
            (Expectation::Stuck, Verdict::Stuck { .. }) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Held => f.write_str("held"),
            Expectation::Violated(invariant) => write!(f, "violated:{invariant}"),
            Expectation::Stuck => f.write_str("stuck"),
        }
    }
}
