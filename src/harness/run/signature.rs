//! How a run failed, by which failures are told apart.

use super::run::RunOutcome;
use crate::harness::check::Verdict;
use std::collections::BTreeSet;

/// Words of an event that tell its kind; what follows are details.
const WORDS_MAX: usize = 10;

/// How a run failed, without what differs from run to run: which promise broke, by which two kinds of event, at a node
/// of which role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// The invariant, or that the run is stuck.
    pub what: String,
    /// The kinds of the two events; of a run that is stuck what it waits for.
    pub events: [Vec<String>; 2],
    /// The role of the node at which it broke; empty of a run that is stuck.
    pub role: String,
}

impl Signature {
    /// That of a run; `None` of one that ended as its scenario expects.
    pub fn of(outcome: &RunOutcome) -> Option<Self> {
        if outcome.expected {
            return None;
        }
        let what = match &outcome.verdict {
            Verdict::Violated(invariant) => invariant.clone(),
            other => other.name().to_string(),
        };
        if let Some(broken) = outcome.violations.first() {
            let nodes: BTreeSet<&str> = outcome.nodes.values().map(String::as_str).collect();
            let kind = |event: &str| kind_of(&outcome.named(event), &nodes);
            let events = [kind(&broken.before), kind(&broken.now)];
            let node = outcome.nodes.get(&broken.at.process.0);
            let role = node.map(|name| role_of(name)).unwrap_or_default();
            return Some(Signature { what, events, role });
        }
        let waits_for = match &outcome.verdict {
            Verdict::Stuck { waits_for } => kind_of(waits_for, &BTreeSet::new()),
            _ => Vec::new(),
        };
        Some(Signature { what, events: [waits_for, Vec::new()], role: String::new() })
    }
}

fn role_of(node: &str) -> String {
    node.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_string()
}

/// The first words of an event's text that have no digit, without what stands in brackets or quotes: ids, numbers,
/// times and lists are details. Of a node its role counts.
fn kind_of(event: &str, nodes: &BTreeSet<&str>) -> Vec<String> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let plain: String = event
        .chars()
        .map(|c| {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                '"' => quoted = !quoted,
                _ if depth == 0 && !quoted => return c,
                _ => {}
            }
            ' '
        })
        .collect();
    let words = plain.split(|c: char| !(c.is_alphanumeric() || "-_./".contains(c)));
    let names = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let told = names.filter_map(|word| {
        let node = word.split('/').next().filter(|name| nodes.contains(name));
        let is_word = !word.is_empty() && !word.contains(|c: char| c.is_numeric());
        node.map(role_of).or_else(|| is_word.then(|| word.to_string()))
    });
    told.take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_times_and_lists_are_no_part_of_a_kind() {
        let nodes = BTreeSet::from(["task-executor-1", "task-executor-3", "job-manager-2"]);
        let kind = |event| kind_of(event, &nodes);
        let one = kind("1.490s task-executor-1/1: the answer to round 7 is applied [1, 2]");
        let other = kind("0.2s task-executor-3/4: the answer to round 12 is applied [7]");
        assert_eq!(one, ["task-executor", "the", "answer", "to", "round", "is", "applied"]);
        assert_eq!(one, other);
        let master = kind("0.2s job-manager-2/4: the answer to round 12 is applied [7]");
        assert_ne!(one, master, "it is another role");
        let quoted = kind("job-30c3c186 waits for \"a b\", then {x: 1}");
        assert_eq!(quoted, ["waits", "for", "then"]);
        assert_eq!(role_of("task-executor-12"), "task-executor");
        assert_eq!(role_of("coordination"), "coordination");
    }
}
