//! Whom a fault may strike, by whom another fault struck.

use crate::harness::language::{Field, ScenarioError};
use std::fmt;

/// A bound on the nodes that a fault's target may mean, by those that the fault of a name struck first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Among {
    /// Only those; nobody while that fault has not begun.
    SameAs(String),
    /// All but those; anybody while that fault has not begun.
    OtherThan(String),
}

impl Among {
    /// Reads `nodes`.
    pub(super) fn read(field: &Field) -> Result<Self, ScenarioError> {
        let mut nodes = field.table()?;
        let same = nodes.take("same-as", Field::text)?;
        let other = nodes.take("other-than", Field::text)?;
        nodes.refuse_others()?;
        match (same, other) {
            (Some(fault), None) => Ok(Among::SameAs(fault)),
            (None, Some(fault)) => Ok(Among::OtherThan(fault)),
            _ => Err(field.expected("either `same-as` or `other-than`, and a fault's name")),
        }
    }

    /// The fault by whose nodes it is bound.
    pub fn fault(&self) -> &str {
        let (Among::SameAs(fault) | Among::OtherThan(fault)) = self;
        fault
    }

    /// Whether the fault strikes nobody without the other.
    pub fn needs(&self) -> bool {
        matches!(self, Among::SameAs(_))
    }

    /// Whether a node may be struck, by whether the other fault struck it.
    pub fn allows(&self, struck: bool) -> bool {
        struck == self.needs()
    }

    pub(super) fn to_toml(&self) -> String {
        let key = if self.needs() { "same-as" } else { "other-than" };
        format!("{{ {key} = {} }}", toml::Value::String(self.fault().to_string()))
    }
}

impl fmt::Display for Among {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Among::SameAs(fault) => write!(f, "the same as {fault}"),
            Among::OtherThan(fault) => write!(f, "other than {fault}"),
        }
    }
}
