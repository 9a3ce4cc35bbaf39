//! How many runs it takes until a known bug is caught.

use super::{
    summary::{FailedRun, SweepSummary},
    sweep::{Sweep, SweepRun, sweep},
};
use crate::{
    harness::{check::Verdict, sabotage::is_caught_by, scenario::Scenario},
    host::Sabotage,
};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, atomic::AtomicBool},
};

/// Where and how long known bugs are looked for.
#[derive(Clone)]
pub struct Hunt {
    /// The scenarios among which each seed draws one.
    pub scenarios: Vec<Arc<Scenario>>,
    /// The most runs of a search.
    pub runs_max: u64,
    /// Threads.
    pub jobs: usize,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
}

/// One search for a known bug. It is the same whatever the number of threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Its first seed.
    pub start: u64,
    /// The runs up to the one that failed, and with it; all if none did.
    pub runs: u64,
    /// The run of the smallest seed that did not end as expected.
    pub caught: Option<FailedRun>,
    /// How often the switched line ran in these runs.
    pub executions: u64,
}

/// The searches for one known bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunted {
    /// The switch that was on.
    pub switch: Sabotage,
    /// The searches.
    pub searches: Vec<Search>,
}

/// What became of a known bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Every search found it, by the checks that are there for it.
    Caught,
    /// The checks that are there for it caught it, but not in every search.
    CaughtBySome,
    /// Another check caught it at least once.
    CaughtByAnother,
    /// Its line ran, and no run failed.
    Uncaught,
    /// Its line never ran.
    NeverReached,
}

impl Hunt {
    /// Looks for a bug from one start. Each run is told to `on_run`, with how many there were so far.
    pub fn search(
        &self,
        switch: Sabotage,
        start: u64,
        mut on_run: impl FnMut(u64, &SweepRun),
    ) -> Search {
        let seeds = start..start.saturating_add(self.runs_max);
        // Which runs are still under way when one fails depends on the threads; those of greater
        // seeds don't count.
        let mut executions = BTreeMap::new();
        let mut caught: Option<FailedRun> = None;
        sweep(&self.plan(seeds, Some(switch)), |run| {
            executions.insert(run.outcome.seed, run.outcome.sabotage_executions);
            on_run(executions.len() as u64, &run);
            let failed = FailedRun::of(&run);
            let earliest = caught.take().into_iter().chain(failed).min_by_key(|run| run.seed);
            caught = earliest;
        });
        let last = caught.as_ref().map_or(u64::MAX, |run| run.seed);
        let counted = || executions.range(..=last);
        Search {
            start,
            runs: counted().count() as u64,
            caught,
            executions: counted().map(|(_, times)| times).sum(),
        }
    }

    /// The same kind of runs without any switch; each is told to `on_run`, with how many there were so
    /// far.
    pub fn control(
        &self,
        seeds: Range<u64>,
        mut on_run: impl FnMut(u64, &SweepRun),
    ) -> SweepSummary {
        let mut summary = SweepSummary::default();
        let mut runs = 0;
        let plan = Sweep { until_failure: false, ..self.plan(seeds, None) };
        sweep(&plan, |run| {
            runs += 1;
            on_run(runs, &run);
            summary.add(run);
        });
        summary
    }

    fn plan(&self, seeds: Range<u64>, sabotage: Option<Sabotage>) -> Sweep {
        Sweep {
            scenarios: self.scenarios.clone(),
            seeds,
            jobs: self.jobs,
            sabotage,
            until_failure: true,
            stop: self.stop.clone(),
        }
    }
}

impl Hunted {
    /// What became of it.
    pub fn fate(&self) -> Fate {
        match (self.executions(), self.found()) {
            (0, _) => Fate::NeverReached,
            (_, 0) => Fate::Uncaught,
            _ if !self.verdicts().iter().all(|(_, expected)| *expected) => Fate::CaughtByAnother,
            (_, found) if found < self.searches.len() => Fate::CaughtBySome,
            _ => Fate::Caught,
        }
    }

    /// The searches that found it.
    pub fn found(&self) -> usize {
        self.searches.iter().filter(|search| search.caught.is_some()).count()
    }

    /// How often the switched line ran.
    pub fn executions(&self) -> u64 {
        self.searches.iter().map(|search| search.executions).sum()
    }

    /// What caught it, the most frequent first, and whether that check is there for it.
    pub fn verdicts(&self) -> Vec<(String, bool)> {
        let mut counts = BTreeMap::<(String, bool), usize>::new();
        for run in self.searches.iter().filter_map(|search| search.caught.as_ref()) {
            let word = match &run.verdict {
                Verdict::Violated(invariant) => invariant.clone(),
                other => other.name().to_string(),
            };
            *counts.entry((word, is_caught_by(self.switch, &run.verdict))).or_default() += 1;
        }
        let mut verdicts: Vec<_> = counts.into_iter().collect();
        verdicts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        verdicts.into_iter().map(|(verdict, _)| verdict).collect()
    }

    /// The median of the runs to find it. A search that found nothing would have taken more runs
    /// than any other; `None` when the median is such a search.
    pub fn median(&self) -> Option<u64> {
        let to_find = |search: &Search| search.caught.as_ref().map_or(u64::MAX, |_| search.runs);
        let mut runs: Vec<u64> = self.searches.iter().map(to_find).collect();
        runs.sort_unstable();
        runs.get(runs.len().checked_sub(1)? / 2).copied().filter(|runs| *runs != u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn search(runs: u64, verdict: Option<&str>) -> Search {
        let caught = verdict.map(|name| FailedRun {
            seed: runs - 1,
            scenario: 0,
            verdict: Verdict::Violated(name.to_string()),
        });
        Search { start: 0, runs, caught, executions: 2 }
    }

    fn hunted(searches: &[(u64, Option<&str>)]) -> Hunted {
        let searches = searches.iter().map(|(runs, verdict)| search(*runs, *verdict)).collect();
        Hunted { switch: Sabotage::JournalWrittenAfterRevoke, searches }
    }

    #[test]
    fn the_median_is_of_all_searches() {
        let l3 = Some("L3");
        assert_eq!(hunted(&[]).median(), None);
        assert_eq!(hunted(&[(7, l3)]).median(), Some(7));
        assert_eq!(hunted(&[(9, l3), (1, l3), (4, l3), (30, l3), (2, l3)]).median(), Some(4));
        assert_eq!(hunted(&[(9, l3), (1, l3)]).median(), Some(1), "one that was seen");
        let with_failed = hunted(&[(500, None), (1, l3), (4, l3), (500, None), (2, l3)]);
        assert_eq!((with_failed.median(), with_failed.found()), (Some(4), 3));
        let mostly_failed = hunted(&[(500, None), (1, l3), (500, None), (500, None), (2, l3)]);
        assert_eq!((mostly_failed.median(), mostly_failed.found()), (None, 2));
    }

    #[test]
    fn a_bug_is_caught_by_the_checks_that_are_there_for_it() {
        let caught = hunted(&[(1, Some("no-panic")), (2, Some("L3")), (2, Some("L3"))]);
        assert_eq!(caught.fate(), Fate::Caught);
        let by_some = hunted(&[(1, Some("L3")), (9, None)]);
        assert_eq!(by_some.fate(), Fate::CaughtBySome, "nobody knows whether another search would");
        let verdicts = [("L3".to_string(), true), ("no-panic".to_string(), true)];
        assert_eq!(caught.verdicts(), verdicts);
        let another = hunted(&[(1, Some("L3")), (2, Some("L5")), (9, None)]);
        assert_eq!(another.fate(), Fate::CaughtByAnother);
        assert_eq!(hunted(&[(9, None)]).fate(), Fate::Uncaught);
        let mut unreached = hunted(&[(9, None)]);
        unreached.searches[0].executions = 0;
        assert_eq!(unreached.fate(), Fate::NeverReached);
    }

    #[test]
    fn a_search_does_not_depend_on_the_threads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/journal");
        let scenario = |name| Arc::new(Scenario::load(&folder.join(name)).expect("it is shipped"));
        let scenarios = ["flapping.toml", "held-appends.toml", "skewed-clocks.toml"].map(scenario);
        let hunt = |jobs| Hunt {
            scenarios: scenarios.to_vec(),
            runs_max: 300,
            jobs,
            stop: Arc::default(),
        };
        for start in [2, 40, 1_000_000] {
            let switch = Sabotage::StaleTokenAccepted;
            let alone = hunt(1).search(switch, start, |_, _| ());
            assert!(alone.caught.is_some() && alone.executions > 0, "{alone:?}");
            assert!(alone.runs > 2, "others were under way when it was caught: {alone:?}");
            assert_eq!(hunt(2).search(switch, start, |_, _| ()), alone);
            assert_eq!(hunt(5).search(switch, start, |_, _| ()), alone);
        }
    }
}
