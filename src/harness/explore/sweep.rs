//! Many runs on all cores.

use super::run::{Output, RunConfig, RunOutcome, run_on_fresh_thread};
use crate::{
    harness::{
        check::{Milestone, Verdict},
        scenario::Scenario,
    },
    host::{Draws, Sabotage},
};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

/// What is swept.
#[derive(Clone)]
pub struct Sweep {
    /// The scenarios among which each seed draws one.
    pub scenarios: Vec<Arc<Scenario>>,
    /// The plan seeds.
    pub seeds: Range<u64>,
    /// Threads.
    pub jobs: usize,
    /// The switch that is on.
    pub sabotage: Option<Sabotage>,
    /// Whether to end at the first run that does not end as expected.
    pub until_failure: bool,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
}

/// A run of a sweep.
#[derive(Debug)]
pub struct SweepRun {
    /// The scenario's place in the sweep's list.
    pub scenario: usize,
    /// What it came to. The output is left out, and the history unless the run failed.
    pub outcome: RunOutcome,
}

/// The runs of one scenario in a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScenarioTally {
    /// Runs.
    pub runs: u64,
    /// Runs that ended as the scenario expects.
    pub held: u64,
    /// Other runs in which an invariant broke.
    pub violated: u64,
    /// Other runs that did not converge.
    pub stuck: u64,
    /// Simulated time in all.
    pub simulated: Duration,
}

impl ScenarioTally {
    /// Adds the runs of another scenario.
    pub fn merge(&mut self, other: &ScenarioTally) {
        self.runs += other.runs;
        self.held += other.held;
        self.violated += other.violated;
        self.stuck += other.stuck;
        self.simulated += other.simulated;
    }

    /// Counts a run.
    pub fn add(&mut self, outcome: &RunOutcome) {
        self.runs += 1;
        self.simulated += outcome.simulated;
        match (&outcome.verdict, outcome.expected) {
            (_, true) => self.held += 1,
            (Verdict::Stuck { .. }, false) => self.stuck += 1,
            (Verdict::Violated(_) | Verdict::Held, false) => self.violated += 1,
        }
    }
}

impl Sweep {
    /// The scenario that a seed draws: the one whose name weighs most under it, so that another file
    /// among the scenarios takes a few seeds for itself and leaves the others as they were.
    pub fn scenario_of(&self, seed: u64) -> usize {
        let weight = |index: &usize| {
            let name = &self.scenarios[*index].name;
            Draws::new(seed, name, [0, 0]).next_u64()
        };
        (0..self.scenarios.len()).max_by_key(weight).expect("a sweep needs a scenario")
    }
}

/// Adds counts up.
pub fn add_counts<K: Ord + Copy>(sums: &mut BTreeMap<K, u64>, counts: &BTreeMap<K, u64>) {
    for (key, count) in counts {
        *sums.entry(*key).or_default() += count;
    }
}

/// Those of the candidates that no run reached.
pub fn never_reached(
    milestones: &BTreeMap<Milestone, u64>,
    candidates: &[Milestone],
) -> Vec<Milestone> {
    candidates.iter().copied().filter(|milestone| !milestones.contains_key(milestone)).collect()
}

/// Runs every seed once and hands each run over as it ends, on this thread.
///
/// Seeds are handed out in order and what is under way ends, so the runs of a sweep that ends early
/// are those of its first seeds.
#[expect(clippy::disallowed_methods, reason = "runs share nothing, so they may run side by side")]
pub fn sweep(sweep: &Sweep, mut on_run: impl FnMut(SweepRun)) {
    assert!(!sweep.scenarios.is_empty(), "a sweep needs a scenario");
    let next = AtomicU64::new(sweep.seeds.start);
    let over = AtomicBool::new(false);
    // Bounded, so that a slow receiver slows the runs down.
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::scope(|scope| {
        for _ in 0..sweep.jobs.max(1) {
            let (sender, next, over) = (sender.clone(), &next, &over);
            scope.spawn(move || {
                while let Some(seed) = next_seed(sweep, next, over) {
                    let run = one_run(sweep, seed);
                    if sweep.until_failure && !run.outcome.expected {
                        over.store(true, Ordering::Relaxed);
                    }
                    if sender.send(run).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        receiver.into_iter().for_each(&mut on_run);
    });
}

/// The next seed to run; `None` when the sweep is over.
fn next_seed(sweep: &Sweep, next: &AtomicU64, over: &AtomicBool) -> Option<u64> {
    if over.load(Ordering::Relaxed) || sweep.stop.load(Ordering::Relaxed) {
        return None;
    }
    let following = |seed| (seed < sweep.seeds.end).then_some(seed + 1);
    next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, following).ok()
}

fn one_run(sweep: &Sweep, seed: u64) -> SweepRun {
    let scenario = sweep.scenario_of(seed);
    let config = RunConfig { sabotage: sweep.sabotage, ..RunConfig::new(seed) };
    let mut outcome = run_on_fresh_thread(&sweep.scenarios[scenario], &config);
    if outcome.expected {
        outcome.history = Vec::new();
    }
    outcome.output = Output::Counts(BTreeMap::new());
    SweepRun { scenario, outcome }
}
