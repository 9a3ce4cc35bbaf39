//! How many runs it takes until a known bug is caught.

use crate::{
    harness::{
        check::Verdict,
        run::{FailedRun, Sweep, SweepRun, SweepSummary, sweep},
        sabotage::is_caught_by,
        scenario::Scenario,
    },
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
pub enum Detection {
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
    pub fn detection(&self) -> Detection {
        match (self.executions(), self.found()) {
            (0, _) => Detection::NeverReached,
            (_, 0) => Detection::Uncaught,
            _ if !self.verdicts().iter().all(|(_, expected)| *expected) => {
                Detection::CaughtByAnother
            }
            (_, found) if found < self.searches.len() => Detection::CaughtBySome,
            _ => Detection::Caught,
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
