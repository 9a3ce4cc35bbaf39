//! What failures of a sweep have the same cause, as far as their shrunk plans tell.

use crate::harness::{
    explore::{Failure, SHRUNK},
    language::wrap,
    run::{FailureGroup, Recipe, Signature},
    shrink::Shape,
    system::Systems,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Groups of failures that ended alike, some of which are one.
pub struct Causes {
    groups: Vec<Group>,
}

/// Failures that ended alike.
struct Group {
    what: String,
    invariant: String,
    seeds: Vec<String>,
    /// What those came to that were shrunk, and where one is.
    shapes: BTreeSet<Shape>,
    shrunk: Option<PathBuf>,
    /// The first group that has the same cause; its own place if there is none before.
    cause: usize,
}

impl Causes {
    /// Each group has a cause of its own, as long as nothing else is known.
    pub fn of(groups: &[(&Signature, &FailureGroup)]) -> Self {
        let group = |(place, (signature, group)): (usize, &(&Signature, &FailureGroup))| Group {
            what: group.kind(),
            invariant: signature.what.clone(),
            seeds: group.runs.keys().map(Recipe::to_string).collect(),
            shapes: BTreeSet::new(),
            shrunk: None,
            cause: place,
        };
        Causes { groups: groups.iter().enumerate().map(group).collect() }
    }

    /// One of a group was shrunk, in the folder of the failure, if it could be.
    pub fn shrunk(&mut self, systems: Systems, place: usize, folder: &Path) {
        let shrunk = folder.join(SHRUNK);
        let left = if shrunk.exists() { &shrunk } else { folder };
        if let Ok(failure) = Failure::load(systems, left) {
            let group = &mut self.groups[place];
            group.shapes.insert(Shape::of(&failure.plan));
            group.shrunk.get_or_insert_with(|| left.to_path_buf());
        }
    }

    /// Those that came to the same faults are one. Without a fault that says nothing unless it is the same invariant.
    pub fn merge(&mut self) {
        for later in 1..self.groups.len() {
            let (before, after) = self.groups.split_at(later);
            let one = &after[0];
            let same = before.iter().find(|other| {
                let alike = one.invariant == other.invariant;
                other.shapes.intersection(&one.shapes).any(|shape| alike || !shape.is_empty())
            });
            if let Some(cause) = same.map(|other| other.cause) {
                self.groups[later].cause = cause;
            }
        }
    }

    /// How many different ones there are at most.
    pub fn count(&self) -> usize {
        self.groups.iter().map(|group| group.cause).collect::<BTreeSet<_>>().len()
    }

    fn each(&self) -> impl Iterator<Item = Vec<&Group>> {
        let causes: BTreeSet<usize> = self.groups.iter().map(|group| group.cause).collect();
        causes.into_iter().map(|cause| {
            self.groups.iter().filter(|group| group.cause == cause).collect::<Vec<_>>()
        })
    }

    /// A line for each cause, if there are failures that ended otherwise and are one.
    pub fn lines(&self) -> Vec<String> {
        if self.count() == self.groups.len() {
            return Vec::new();
        }
        let line = |groups: Vec<&Group>| {
            let failures: usize = groups.iter().map(|group| group.seeds.len()).sum();
            let kinds: BTreeSet<&str> = groups.iter().map(|group| group.what.as_str()).collect();
            let kinds: Vec<&str> = kinds.into_iter().collect();
            let shape =
                groups[0].shapes.first().map_or(String::new(), |shape| format!(": {shape}"));
            wrap("cause  ", &format!("{failures} failures, {}{shape}", kinds.join(" and ")))
        };
        self.each().map(line).collect()
    }

    /// Each with its failures and the faults that its plans have in common.
    pub fn json(&self) -> serde_json::Value {
        let cause = |groups: Vec<&Group>| {
            let seeds: Vec<&String> = groups.iter().flat_map(|group| &group.seeds).collect();
            let shapes: BTreeSet<String> = groups
                .iter()
                .flat_map(|group| group.shapes.iter().map(ToString::to_string))
                .collect();
            serde_json::json!({
                "failures": groups.iter().map(|group| &group.what).collect::<BTreeSet<_>>(),
                "seeds": seeds,
                "faults": shapes,
                "plan": groups.iter().find_map(|group| group.shrunk.as_ref()),
            })
        };
        self.each().map(cause).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(place: usize, invariant: &str, shapes: &[&str]) -> Group {
        Group {
            what: format!("violated:{invariant}"),
            invariant: invariant.to_string(),
            seeds: vec![place.to_string(), (10 + place).to_string()],
            shapes: shapes.iter().map(|faults| Shape::for_tests(faults)).collect(),
            shrunk: None,
            cause: place,
        }
    }

    fn causes(groups: &[(&str, &[&str])]) -> Causes {
        let group = |(place, (invariant, shapes)): (usize, &(&str, &[&str]))| {
            group(place, invariant, shapes)
        };
        let mut causes = Causes { groups: groups.iter().enumerate().map(group).collect() };
        causes.merge();
        causes
    }

    #[test]
    fn failures_that_shrink_to_the_same_faults_have_one_cause() {
        let two = causes(&[
            ("L2", &["pause leader", "crash leader"]),
            ("C4", &["cut links"]),
            ("stuck", &["pause leader"]),
        ]);
        assert_eq!(two.count(), 2);
        assert_eq!(
            two.lines(),
            [
                "cause  4 failures, violated:L2 and violated:stuck: crash leader",
                "cause  2 failures, violated:C4: cut links"
            ]
        );
        assert_eq!(two.json()[0]["seeds"], serde_json::json!(["0", "10", "2", "12"]));
    }

    #[test]
    fn what_needs_no_fault_is_one_cause_only_of_one_invariant() {
        assert_eq!(causes(&[("L2", &[""]), ("C4", &[""])]).count(), 2);
        assert_eq!(causes(&[("L2", &[""]), ("L2", &[""])]).count(), 1);
        // What was not shrunk is like nothing else.
        let apart = causes(&[("L2", &[]), ("L2", &[])]);
        assert_eq!((apart.count(), apart.lines().len()), (2, 0));
    }
}
