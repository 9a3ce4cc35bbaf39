//! Questions to the runs of a sweep: what came before a failure, and whether it comes without.
//!
//! A run is kept as its moments: when each of its milestones was first reached, when each kind of fault first struck, and
//! what broke.

use crate::harness::{check::Verdict, run::RunOutcome};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A run, as short as can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShortRun {
    /// The scenario's name.
    pub scenario: String,
    /// Its seed with its branches, as `run --seed` takes it.
    pub seed: String,
    /// Whether it ended as its scenario expects.
    pub passed: bool,
    /// What was, by name, and the simulated milliseconds at which it first was.
    pub moments: BTreeMap<String, f64>,
    /// Those of the moments at which a fault began.
    pub faults: BTreeSet<String>,
}

/// What is asked of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// A milestone, a kind of fault, an invariant, or `stuck`.
    pub what: String,
    /// What must have been before.
    pub preceded_by: Vec<String>,
    /// What must not have been before.
    pub not_preceded_by: Vec<String>,
    /// What must come behind.
    pub followed_by: Vec<String>,
    /// What must not come behind.
    pub not_followed_by: Vec<String>,
}

/// What runs answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// Runs that were asked.
    pub runs: u64,
    /// Those in which it was.
    pub with_it: u64,
    /// Of those the ones of which the rest of the question holds.
    pub matching: u64,
    /// Of the matching ones those with no fault before it.
    pub without_a_fault: u64,
    /// Of the matching ones those that failed.
    pub failed: u64,
    /// Some of the matching ones: scenario and seed.
    pub examples: Vec<(String, String)>,
    /// What else was before it: in how many of the matching runs, and in how many of those without it at any time.
    pub before: Vec<Before>,
}

/// Something that was before what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Before {
    /// What it is.
    pub what: String,
    /// In how many matching runs it was before.
    pub matching: u64,
    /// In how many of the runs without what is asked for it was.
    pub others: u64,
}

/// Runs that are named.
const EXAMPLES_MAX: usize = 5;

impl ShortRun {
    /// That of a run.
    pub fn of(outcome: &RunOutcome) -> Self {
        let millis = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
        let mut moments = BTreeMap::new();
        let mut first = |name: &str, at: f64| {
            let known = moments.entry(name.to_string()).or_insert(at);
            *known = known.min(at);
        };
        for (at, milestone) in &outcome.order {
            first(milestone.name(), millis(*at));
        }
        let mut faults = BTreeSet::new();
        for executed in outcome.executed.iter().filter(|executed| executed.struck()) {
            let kind = outcome.plan.faults[executed.index].kind.name();
            first(kind, millis(executed.began));
            faults.insert(kind.to_string());
        }
        for violation in &outcome.violations {
            first(violation.invariant, millis(violation.at.time));
        }
        if matches!(outcome.verdict, Verdict::Stuck { .. }) {
            first("stuck", millis(outcome.simulated));
        }
        ShortRun {
            scenario: outcome.scenario.clone(),
            seed: outcome.recipe().to_string(),
            passed: outcome.expected,
            moments,
            faults,
        }
    }

    fn is_before(&self, what: &str, at: f64) -> bool {
        self.moments.get(what).is_some_and(|time| *time < at)
    }

    fn is_behind(&self, what: &str, at: f64) -> bool {
        self.moments.get(what).is_some_and(|time| *time > at)
    }
}

impl Question {
    /// All names in it.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let lists =
            [&self.preceded_by, &self.not_preceded_by, &self.followed_by, &self.not_followed_by];
        std::iter::once(&self.what).chain(lists.into_iter().flatten())
    }

    fn holds(&self, run: &ShortRun, at: f64) -> bool {
        self.preceded_by.iter().all(|what| run.is_before(what, at))
            && !self.not_preceded_by.iter().any(|what| run.is_before(what, at))
            && self.followed_by.iter().all(|what| run.is_behind(what, at))
            && !self.not_followed_by.iter().any(|what| run.is_behind(what, at))
    }

    /// Asks some runs.
    pub fn ask(&self, runs: &[ShortRun]) -> Answer {
        let mut answer = Answer { runs: runs.len() as u64, ..Answer::default() };
        let mut before: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for run in runs {
            let Some(at) = run.moments.get(&self.what).copied() else {
                for what in run.moments.keys() {
                    before.entry(what).or_default().1 += 1;
                }
                continue;
            };
            answer.with_it += 1;
            if !self.holds(run, at) {
                continue;
            }
            answer.matching += 1;
            answer.failed += u64::from(!run.passed);
            let needs_none = !run.faults.iter().any(|fault| run.is_before(fault, at));
            answer.without_a_fault += u64::from(needs_none);
            if answer.examples.len() < EXAMPLES_MAX {
                answer.examples.push((run.scenario.clone(), run.seed.clone()));
            }
            for (what, time) in &run.moments {
                before.entry(what).or_default().0 += u64::from(*time < at);
            }
        }
        let asked: BTreeSet<&String> = self.names().collect();
        let told = before.into_iter().filter(|(what, (matching, _))| {
            *matching > 0 && !asked.iter().any(|name| name == what)
        });
        answer.before = told
            .map(|(what, (matching, others))| Before { what: what.to_string(), matching, others })
            .collect();
        // First what tells the runs apart: the difference of the two shares.
        let without = answer.runs - answer.with_it;
        let apart = |one: &Before| {
            let of = |count: u64, all: u64| i64::try_from(count * 10_000 / all.max(1)).unwrap_or(0);
            of(one.others, without) - of(one.matching, answer.matching)
        };
        answer.before.sort_by_key(|one| (apart(one), one.what.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, passed: bool, moments: &[(&str, f64)], faults: &[&str]) -> ShortRun {
        ShortRun {
            scenario: "a".to_string(),
            seed: seed.to_string(),
            passed,
            moments: moments.iter().map(|(what, at)| (what.to_string(), *at)).collect(),
            faults: faults.iter().map(|fault| fault.to_string()).collect(),
        }
    }

    fn runs() -> Vec<ShortRun> {
        vec![
            run(1, false, &[("crash", 1.0), ("elected", 2.0), ("C3", 3.0)], &["crash"]),
            run(2, false, &[("elected", 2.0), ("C3", 3.0), ("crash", 4.0)], &["crash"]),
            run(3, true, &[("crash", 1.0)], &["crash"]),
            run(4, true, &[("elected", 2.0)], &[]),
            run(5, true, &[], &[]),
        ]
    }

    #[test]
    fn what_was_before_is_told_beside_the_runs_without_it() {
        let answer = Question { what: "C3".to_string(), ..Question::default() }.ask(&runs());
        assert_eq!((answer.runs, answer.with_it, answer.matching, answer.failed), (5, 2, 2, 2));
        assert_eq!(answer.without_a_fault, 1, "seed 2 needs none");
        let told: Vec<_> =
            answer.before.iter().map(|b| (b.what.as_str(), b.matching, b.others)).collect();
        // In all that failed, and in one of three others; a crash in half of them.
        assert_eq!(told, [("elected", 2, 1), ("crash", 1, 1)]);
    }

    #[test]
    fn conditions_choose_among_the_runs() {
        let ask = |question: Question| {
            let answer = Question { what: "C3".to_string(), ..question }.ask(&runs());
            answer.examples.into_iter().map(|(_, seed)| seed).collect::<Vec<_>>()
        };
        let crash = || vec!["crash".to_string()];
        let none = Question::default;
        assert_eq!(ask(Question { preceded_by: crash(), ..none() }), ["1"]);
        assert_eq!(ask(Question { not_preceded_by: crash(), ..none() }), ["2"]);
        assert_eq!(ask(Question { followed_by: crash(), ..none() }), ["2"]);
        assert_eq!(ask(Question { not_followed_by: crash(), ..none() }), ["1"]);
        let both = Question { preceded_by: crash(), not_preceded_by: crash(), ..none() };
        assert!(ask(both).is_empty());
    }
}
