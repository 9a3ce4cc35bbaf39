//! Which verdict a scenario wants.

use crate::{
    harness::{
        check::Verdict,
        language::{Field, ScenarioError},
        system::SystemSpec,
    },
    host::PropertyKind,
};
use std::fmt;

/// What *passed* means for a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Every invariant holds and the cluster converges.
    Passed,
    /// This invariant breaks, or this `always!` fails.
    Violated(String),
    /// The cluster does not converge.
    Stuck,
}

impl Expectation {
    /// Reads `expect`, as it is understood where that system runs.
    ///
    /// # Errors
    /// When it is none of the verdicts, or names an invariant that is not judged there.
    pub fn read(field: &Field, system: &SystemSpec) -> Result<Self, ScenarioError> {
        let text = field.text()?;
        let (invariants, properties) = (system.invariants(), system.properties());
        let always = properties.iter().filter(|one| one.kind() == PropertyKind::Always);
        let names = invariants.iter().map(|invariant| invariant.name);
        let names = names.chain(always.map(|property| property.name()));
        match text.strip_prefix("violated:") {
            Some(name) if names.clone().any(|known| known == name) => {
                Ok(Expectation::Violated(name.to_string()))
            }
            Some(_) => {
                let known: Vec<String> = names.map(|name| format!("violated:{name}")).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                Err(field.unknown(&known, "list --invariants"))
            }
            None => {
                let known = [("passed", Expectation::Passed), ("stuck", Expectation::Stuck)];
                let named = |error: ScenarioError| error.with_help("or \"violated:INVARIANT\"");
                field.one_of(&known, "list --invariants").map_err(named)
            }
        }
    }

    /// Whether a run ended as it should.
    pub fn met_by(&self, verdict: &Verdict) -> bool {
        match (self, verdict) {
            (Expectation::Passed, Verdict::Passed) => true,
            (Expectation::Violated(wanted), Verdict::Violated(found)) => wanted == found,
            (Expectation::Stuck, Verdict::Stuck { .. }) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Passed => f.write_str("passed"),
            Expectation::Violated(invariant) => write!(f, "violated:{invariant}"),
            Expectation::Stuck => f.write_str("stuck"),
        }
    }
}
