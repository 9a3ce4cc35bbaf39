//! How many runs it takes until a known bug is caught.

use super::guided::{Corpus, guided};
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
    collections::{BTreeMap, BTreeSet},
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
    /// Whether searches learn: most of their runs go on in other ways from rare moments of those before.
    pub guided: bool,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
}

/// A run of a hunt, as it ends.
#[derive(Clone, Copy)]
pub enum HuntRun<'a> {
    /// Without any switch.
    Control(&'a SweepRun),
    /// With the switch that is looked for.
    Switched(&'a SweepRun),
}

/// Searches for known bugs over the same seeds.
///
/// A run in which nobody asks for a switch is the same with it and without. So each seed is run once without any, which
/// tells whom it asks for and is the control of all searches at once; the search for a bug then runs only the seeds that
/// ask for its switch. What it finds, and after how many seeds, is what running all of them would find.
pub struct Survey {
    hunt: Hunt,
    /// How far each start was surveyed, and what its seeds asked for.
    reached: BTreeMap<u64, Reached>,
    control: SweepSummary,
}

#[derive(Default)]
struct Reached {
    seeds: u64,
    asking: BTreeMap<Sabotage, BTreeSet<u64>>,
}

/// Seeds that are surveyed and then searched before the next ones are: as many as lie behind, within these bounds.
const BLOCK: (u64, u64) = (20, 400);

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

impl Survey {
    /// Nothing is run yet.
    pub fn new(hunt: Hunt) -> Self {
        Survey { hunt, reached: BTreeMap::new(), control: SweepSummary::default() }
    }

    /// Looks for a bug from one start. Each run is told to `on_run`, with the seeds that lie behind so far.
    pub fn search(
        &mut self,
        switch: Sabotage,
        start: u64,
        mut on_run: impl FnMut(u64, HuntRun<'_>),
    ) -> Search {
        let mut search = Search { start, runs: 0, caught: None, executions: 0 };
        if self.hunt.guided {
            return self.guided_search(search, switch, on_run);
        }
        while search.runs < self.hunt.runs_max && search.caught.is_none() {
            let from = start.saturating_add(search.runs);
            let size = search.runs.clamp(BLOCK.0, BLOCK.1).min(self.hunt.runs_max - search.runs);
            let block = from..from.saturating_add(size);
            let Some(skipped) = self.not_asking(switch, start, &block, &mut on_run) else { break };
            if !self.search_block(&mut search, switch, block, skipped, &mut on_run) {
                break;
            }
        }
        search
    }

    /// The same by a sweep that learns, in which every run has the switch on.
    fn guided_search(
        &self,
        mut search: Search,
        switch: Sabotage,
        mut on_run: impl FnMut(u64, HuntRun<'_>),
    ) -> Search {
        let plan = Sweep {
            sabotage: Some(switch),
            until_failure: true,
            ..self.plan(search.start..u64::MAX)
        };
        guided(&plan, self.hunt.runs_max, &mut Corpus::default(), |run| {
            // Of a round all runs come; those behind the first that failed don't count.
            if search.caught.is_some() {
                return;
            }
            search.runs += 1;
            search.executions += run.outcome.sabotage_executions;
            search.caught = FailedRun::of(&run);
            on_run(search.runs, HuntRun::Switched(&run));
        });
        search
    }

    /// What the runs without a switch came to.
    pub fn into_control(self) -> SweepSummary {
        self.control
    }

    /// Sees to it that at least so many seeds from a start were run without a switch; false if it was stopped before.
    pub fn survey(
        &mut self,
        start: u64,
        seeds: u64,
        mut on_run: impl FnMut(u64, HuntRun<'_>),
    ) -> bool {
        let known = self.reached.get(&start).map_or(0, |reached| reached.seeds);
        known >= seeds || self.ask(start, start + known..start + seeds, &mut on_run)
    }

    /// The seeds of a block that don't ask for a switch; `None` if it was stopped before all were asked.
    fn not_asking(
        &mut self,
        switch: Sabotage,
        start: u64,
        block: &Range<u64>,
        on_run: &mut impl FnMut(u64, HuntRun<'_>),
    ) -> Option<BTreeSet<u64>> {
        if !self.survey(start, block.end - start, on_run) {
            return None;
        }
        let reached = self.reached.get(&start).expect("it was asked");
        let asking = |part: &Sabotage| reached.asking.get(part).into_iter().flatten().copied();
        let asking: BTreeSet<u64> =
            switch.parts().iter().chain([&switch]).flat_map(asking).collect();
        Some(block.clone().filter(|seed| !asking.contains(seed)).collect())
    }

    /// Runs seeds without a switch; whether all of them were run.
    fn ask(
        &mut self,
        start: u64,
        seeds: Range<u64>,
        on_run: &mut impl FnMut(u64, HuntRun<'_>),
    ) -> bool {
        let plan = Sweep { notes_asked: true, ..self.plan(seeds.clone()) };
        let mut ran = 0;
        let mut asking = BTreeMap::<Sabotage, BTreeSet<u64>>::new();
        sweep(&plan, |mut run| {
            ran += 1;
            for switch in std::mem::take(&mut run.outcome.asked) {
                asking.entry(switch).or_default().insert(run.outcome.seed);
            }
            on_run(seeds.start - start + ran, HuntRun::Control(&run));
            self.control.add(run);
        });
        let all = ran == seeds.end - seeds.start;
        if all {
            let reached = self.reached.entry(start).or_default();
            reached.seeds = seeds.end - start;
            for (switch, seeds) in asking {
                reached.asking.entry(switch).or_default().extend(seeds);
            }
        }
        all
    }

    /// Adds a block of seeds to a search; whether all of them were run, or one was caught.
    fn search_block(
        &self,
        search: &mut Search,
        switch: Sabotage,
        block: Range<u64>,
        skipped: BTreeSet<u64>,
        on_run: &mut impl FnMut(u64, HuntRun<'_>),
    ) -> bool {
        let wanted = (block.end - block.start) - skipped.len() as u64;
        let plan = Sweep {
            sabotage: Some(switch),
            until_failure: true,
            skipped,
            ..self.plan(block.clone())
        };
        // Which runs are still under way when one fails depends on the threads; those of greater seeds don't count.
        let mut executions = BTreeMap::new();
        let mut caught: Option<FailedRun> = None;
        sweep(&plan, |run| {
            executions.insert(run.outcome.seed, run.outcome.sabotage_executions);
            on_run(run.outcome.seed - search.start + 1, HuntRun::Switched(&run));
            let failed = FailedRun::of(&run);
            let earliest = caught.take().into_iter().chain(failed).min_by_key(|run| run.seed);
            caught = earliest;
        });
        let ended = caught.is_some() || executions.len() as u64 == wanted;
        let last = caught.as_ref().map_or(block.end - 1, |run| run.seed);
        search.executions += executions.range(..=last).map(|(_, times)| times).sum::<u64>();
        if ended {
            search.runs = last - search.start + 1;
        }
        search.caught = caught;
        ended
    }

    fn plan(&self, seeds: Range<u64>) -> Sweep {
        let Hunt { scenarios, jobs, stop, .. } = &self.hunt;
        Sweep { jobs: *jobs, stop: stop.clone(), ..Sweep::new(scenarios.clone(), seeds) }
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

    /// The switch that shows a bug which another mechanism masks: it switches that one off too, and every search caught
    /// it. `None` where a search found this one by itself, or nothing shows it.
    pub fn masked(&self, all: &[Hunted]) -> Option<Sabotage> {
        let shows = |other: &&Hunted| {
            other.switch.parts().contains(&self.switch) && other.detection() == Detection::Caught
        };
        let shown = all.iter().find(shows).map(|other| other.switch);
        shown.filter(|_| self.detection() == Detection::Uncaught)
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
