//! What became of a plan's faults.

use crate::harness::system::Target;
use std::time::Duration;

/// A fault as it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedFault {
    /// Its place in the plan.
    pub index: usize,
    /// What it does, in the plan's words.
    pub what: String,
    /// The nodes that it struck: each target and the names of those it meant.
    pub resolved: Vec<(Target, Vec<String>)>,
    /// When it began.
    pub began: Duration,
    /// When it was lifted; `None` while it is in force.
    pub ended: Option<Duration>,
    /// How many frames, operations of disks or calls its rules were for, struck in the end or not, or
    /// how many bits flipped; `None` of a fault that strikes whomever it means.
    pub met: Option<u64>,
}

impl ExecutedFault {
    /// Whether anything met it: one that came and met nothing has shown nothing.
    pub fn struck(&self) -> bool {
        self.met.is_none_or(|met| met > 0)
            && (self.resolved.is_empty()
                || self.resolved.iter().any(|(_, nodes)| !nodes.is_empty()))
    }

    /// The targets whose meaning depends on the state of the run, and the node that each meant.
    pub fn describe_resolved(&self) -> String {
        let told = self.resolved.iter().filter_map(|(target, nodes)| match &nodes[..] {
            [name] if *name != target.to_string() => Some(format!("{target} = {name}")),
            [] => Some(format!("{target} = nobody")),
            _ => None,
        });
        let mut told: Vec<String> = told.collect();
        told.dedup();
        told.join(", ")
    }
}
