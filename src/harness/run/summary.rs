//! What a sweep came to.

use super::{
    recipe::Recipe,
    run::RunOutcome,
    signature::Signature,
    sweep::{ScenarioTally, SweepRun, add_counts},
};
use crate::harness::{check::Verdict, event::Milestone, nemesis::ExecutedFault};
use std::collections::{BTreeMap, BTreeSet};

/// The sums of a sweep. Runs that end as expected leave nothing else behind, so that any number of
/// them fits.
#[derive(Debug, Default)]
pub struct SweepSummary {
    /// The runs of each scenario, by its name.
    pub tallies: BTreeMap<String, ScenarioTally>,
    /// How often each invariant was evaluated, and each property that has a condition.
    pub evaluations: BTreeMap<&'static str, u64>,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<Milestone, u64>,
    /// How often the sabotage's switched line ran.
    pub sabotage_executions: u64,
    /// Of each fault of each scenario, by its place in the file, in how many runs it did anything.
    pub faults: BTreeMap<(String, usize), FaultCounts>,
    /// Of each kind of fault, how many were drawn, came and struck something.
    pub kinds: BTreeMap<&'static str, KindCounts>,
    /// The runs that did not end as expected, by how they failed.
    pub failures: BTreeMap<Signature, FailureGroup>,
}

/// Failed runs that ended alike.
#[derive(Debug)]
pub struct FailureGroup {
    /// The runs, by seed.
    pub runs: BTreeMap<Recipe, FailedRun>,
    /// The run of the smallest seed, whole.
    pub first: SweepRun,
}

/// A run that did not end as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRun {
    /// The plan seed.
    pub seed: u64,
    /// The same with its branches.
    pub recipe: Recipe,
    /// The scenario's place in the sweep's list.
    pub scenario: usize,
    /// How it ended.
    pub verdict: Verdict,
}

impl FailureGroup {
    /// What its runs have in common: the invariant, or what they wait for without its numbers.
    pub fn kind(&self) -> String {
        in_common(&self.first.outcome.verdict)
    }
}

impl FailedRun {
    /// What is remembered of a run; `None` if it ended as expected.
    pub fn of(run: &SweepRun) -> Option<Self> {
        let SweepRun { scenario, outcome } = run;
        let (seed, recipe) = (outcome.seed, outcome.recipe());
        let verdict = outcome.verdict.clone();
        (!outcome.expected).then_some(FailedRun { seed, recipe, scenario: *scenario, verdict })
    }
}

impl SweepSummary {
    /// Adds a run.
    pub fn add(&mut self, run: SweepRun) {
        let outcome = &run.outcome;
        self.tallies.entry(outcome.scenario.clone()).or_default().add(outcome);
        add_counts(&mut self.evaluations, &outcome.evaluations);
        add_counts(&mut self.milestones, &outcome.milestones);
        self.sabotage_executions += outcome.sabotage_executions;
        self.count_faults(outcome);
        let Some((failed, signature)) = FailedRun::of(&run).zip(Signature::of(outcome)) else {
            return;
        };
        match self.failures.get_mut(&signature) {
            Some(group) => {
                if failed.recipe < group.first.outcome.recipe() {
                    group.first = run;
                }
                group.runs.insert(failed.recipe.clone(), failed);
            }
            None => {
                let runs = BTreeMap::from([(failed.recipe.clone(), failed)]);
                self.failures.insert(signature, FailureGroup { runs, first: run });
            }
        }
    }

    fn count_faults(&mut self, outcome: &RunOutcome) {
        let origins = &outcome.plan.origins;
        let drawn: BTreeSet<usize> = origins.iter().copied().collect();
        let executed = |of: usize| outcome.executed.iter().filter(move |e| origins[e.index] == of);
        for (index, fault) in outcome.plan.faults.iter().enumerate() {
            let executed = outcome.executed.iter().find(|executed| executed.index == index);
            let counts = self.kinds.entry(fault.kind.name()).or_default();
            counts.drawn += 1;
            counts.came += u64::from(executed.is_some());
            counts.struck += u64::from(executed.is_some_and(ExecutedFault::struck));
        }
        for origin in drawn {
            let counts = self.faults.entry((outcome.scenario.clone(), origin)).or_default();
            counts.drawn += 1;
            counts.came += u64::from(executed(origin).next().is_some());
            counts.idle += u64::from(
                executed(origin).next().is_some() && !executed(origin).any(|e| e.struck()),
            );
        }
    }

    /// All runs together.
    pub fn total(&self) -> ScenarioTally {
        let mut total = ScenarioTally::default();
        self.tallies.values().for_each(|tally| total.merge(tally));
        total
    }

    /// The faults of all kinds together.
    pub fn all_kinds(&self) -> KindCounts {
        let mut all = KindCounts::default();
        for KindCounts { drawn, came, struck } in self.kinds.values() {
            all.drawn += drawn;
            all.came += came;
            all.struck += struck;
        }
        all
    }

    /// The failed runs, by seed.
    pub fn failed_runs(&self) -> BTreeMap<&Recipe, &FailedRun> {
        let runs = self.failures.values().flat_map(|group| &group.runs);
        runs.collect()
    }

    /// The groups of failures, by their first seeds.
    pub fn groups(&self) -> Vec<(&Signature, &FailureGroup)> {
        let mut groups: Vec<_> = self.failures.iter().collect();
        groups.sort_by_key(|(_, group)| group.first.outcome.recipe());
        groups
    }
}

/// How many faults of a kind did anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCounts {
    /// Faults that plans held.
    pub drawn: u64,
    /// Of those, the ones that began before everything was healed.
    pub came: u64,
    /// Of those, the ones that struck something.
    pub struck: u64,
}

impl KindCounts {
    /// Drawn faults that showed nothing: they never came, or met nothing.
    pub fn idle(&self) -> u64 {
        self.drawn - self.struck
    }

    /// How many of the drawn faults those are, from 0 to 1.
    pub fn idle_share(&self) -> f64 {
        if self.drawn == 0 { 0.0 } else { self.idle() as f64 / self.drawn as f64 }
    }
}

/// In how many runs a fault did anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Runs that drew it.
    pub drawn: u64,
    /// Of those, runs in which it came.
    pub came: u64,
    /// Of those, runs in which it struck nothing.
    pub idle: u64,
}

/// What runs of this verdict have in common: the invariant, or what they wait for without its
/// numbers.
pub fn in_common(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed => "passed, which was not expected".to_string(),
        Verdict::Violated(_) => verdict.to_string(),
        Verdict::Stuck { .. } => without_numbers(&verdict.to_string()),
    }
}

/// Decimal numbers and hexadecimal ids become `#`.
pub(in crate::harness) fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
        if has_digit && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            plain.push('#');
        } else {
            for c in word.chars() {
                match c.is_ascii_digit() {
                    true if plain.ends_with('#') => {}
                    true => plain.push('#'),
                    false => plain.push(c),
                }
            }
        }
        plain += &piece[word.len()..];
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_do_not_tell_failures_apart() {
        for (text, plain) in [
            ("slot 12 of n7/3 to be freed", "slot # of n#/# to be freed"),
            ("the object 4f2a9c/cp-17 to go", "the object #/cp-# to go"),
            ("a1b2x3 and dead beef", "a#b#x# and dead beef"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(text), plain);
        }
    }
}
