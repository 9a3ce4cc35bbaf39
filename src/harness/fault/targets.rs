//! Several targets where a file can name one.

use super::generated::{FaultGenerator, Generated};
use crate::harness::{
    language::{Field, KeyValue, ScenarioError, Writer, no_range},
    system::{SystemSpec, Target},
};
use std::fmt;

/// How many targets a file names at one key at most.
const TARGETS_MAX: usize = 16;

/// Whom a fault strikes: one target, or several one after the other, each among the nodes that those before
/// it have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

impl Targets {
    /// All nodes.
    pub fn everyone() -> Self {
        Target::Everyone.into()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Target> + '_ {
        self.0.iter().copied()
    }

    /// Whether they are one node, and the same whenever they are asked for in one moment.
    pub(super) fn is_one(&self, system: &SystemSpec) -> bool {
        matches!(self.0[..], [target] if target.is_one(system))
    }

    /// Reads a target or a list of them.
    pub(super) fn read(field: &Field, system: &SystemSpec) -> Result<Self, ScenarioError> {
        if field.word().is_some() {
            return Target::read(field, system).map(Targets::from);
        }
        let targets = field.list(|field| Target::read(field, system))?;
        match targets.len() {
            0 => Err(field.expected("a target, or a list of some")),
            1..=TARGETS_MAX => Ok(Targets(targets)),
            _ => Err(field.expected(&format!("at most {TARGETS_MAX} targets"))),
        }
    }

    /// Writes the key.
    pub(super) fn write(&self, key: &str, writer: &mut Writer) {
        match &self.0[..] {
            [target] => writer.text(key, target),
            targets => {
                let names: Vec<String> = targets.iter().map(|name| format!("\"{name}\"")).collect();
                writer.raw(key, format!("[{}]", names.join(", ")));
            }
        }
    }
}

impl From<Target> for Targets {
    fn from(target: Target) -> Self {
        Targets(vec![target])
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(Target::to_string).collect();
        f.write_str(&names.join(" and "))
    }
}

impl KeyValue for Targets {
    no_range!();

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn write(&self, key: &str, writer: &mut Writer) {
        Targets::write(self, key, writer);
    }
}

impl Generated for Targets {
    /// One: several are what several faults do.
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        Target::generate(example, generator).into()
    }
}
