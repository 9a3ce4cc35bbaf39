//! Many runs on all cores.

use super::run::{RunConfig, RunOutcome, run_on_fresh_thread};
use crate::{
    harness::{check::Verdict, event::Milestone, scenario::Scenario, system::Output},
    host::{Draws, Sabotage},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
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
    /// Whether to note which switches are asked for.
    pub notes_asked: bool,
    /// Seeds that are left out.
    pub skipped: BTreeSet<u64>,
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

impl SweepRun {
    /// A run without what sums need not.
    pub(in crate::harness) fn of(scenario: usize, mut outcome: RunOutcome) -> Self {
        if outcome.expected {
            outcome.history = Vec::new();
        }
        outcome.output = Output::default();
        SweepRun { scenario, outcome }
    }
}

/// The runs of one scenario in a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScenarioTally {
    /// Runs.
    pub runs: u64,
    /// Runs that ended as the scenario expects.
    pub passed: u64,
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
        self.passed += other.passed;
        self.violated += other.violated;
        self.stuck += other.stuck;
        self.simulated += other.simulated;
    }

    /// Counts a run.
    pub fn add(&mut self, outcome: &RunOutcome) {
        self.runs += 1;
        self.simulated += outcome.simulated;
        match (&outcome.verdict, outcome.expected) {
            (_, true) => self.passed += 1,
            (Verdict::Stuck { .. }, false) => self.stuck += 1,
            (Verdict::Violated(_) | Verdict::Passed, false) => self.violated += 1,
        }
    }
}

impl Sweep {
    /// All of the seeds, on one thread, without a switch, to the end.
    pub fn new(scenarios: Vec<Arc<Scenario>>, seeds: Range<u64>) -> Self {
        Sweep {
            scenarios,
            seeds,
            jobs: 1,
            sabotage: None,
            notes_asked: false,
            skipped: BTreeSet::new(),
            until_failure: false,
            stop: Arc::default(),
        }
    }

    /// The scenario that a seed draws: as many seeds as there are scenarios take each of them once, in an order of
    /// their own. Drawn one by one, two in five scenarios would still be without a run by then, and with them what
    /// only they find.
    pub fn scenario_of(&self, seed: u64) -> usize {
        let names: Vec<&str> = self.scenarios.iter().map(|scenario| &*scenario.name).collect();
        drawn(&names, seed)
    }
}

fn drawn(names: &[&str], seed: u64) -> usize {
    let count = names.len() as u64;
    assert!(count > 0, "a sweep needs a scenario");
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_cached_key(|index| Draws::new(seed / count, names[*index], [0, 0]).next_u64());
    order[usize::try_from(seed % count).expect("it is below a length")]
}

/// Adds counts up.
pub fn add_counts<K: Ord + Clone>(sums: &mut BTreeMap<K, u64>, counts: &BTreeMap<K, u64>) {
    for (key, count) in counts {
        *sums.entry(key.clone()).or_default() += count;
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
pub fn sweep(sweep: &Sweep, on_run: impl FnMut(SweepRun)) {
    watched_sweep(sweep, Duration::MAX, on_run, |_| {});
}

/// The same; whenever no run has ended for as long as `silence`, those under way are told, by seed: one
/// of them may never end.
#[expect(clippy::disallowed_methods, reason = "runs share nothing, so they may run side by side")]
pub fn watched_sweep(
    sweep: &Sweep,
    silence: Duration,
    on_run: impl FnMut(SweepRun),
    mut on_silence: impl FnMut(Vec<u64>),
) {
    assert!(!sweep.scenarios.is_empty(), "a sweep needs a scenario");
    let next = AtomicU64::new(sweep.seeds.start);
    let over = AtomicBool::new(false);
    let under_way = Mutex::new(BTreeSet::new());
    let runs = || under_way.lock().expect("no panic under this lock");
    // Bounded, so that a slow receiver slows the runs down.
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::scope(|scope| {
        for _ in 0..sweep.jobs.max(1) {
            let (sender, next, over, runs) = (sender.clone(), &next, &over, &runs);
            scope.spawn(move || {
                while let Some(seed) = next_seed(sweep, next, over) {
                    runs().insert(seed);
                    let run = one_run(sweep, seed);
                    runs().remove(&seed);
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
        let under_way = || on_silence(runs().iter().copied().collect());
        receive(&receiver, silence, on_run, under_way);
    });
}

/// Hands over what comes until nothing can come any more, and says when nothing has come for so long.
fn receive<T>(
    receiver: &Receiver<T>,
    silence: Duration,
    mut on_item: impl FnMut(T),
    mut on_silence: impl FnMut(),
) {
    loop {
        match receiver.recv_timeout(silence) {
            Ok(item) => on_item(item),
            Err(RecvTimeoutError::Timeout) => on_silence(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The next seed to run; `None` when the sweep is over.
fn next_seed(sweep: &Sweep, next: &AtomicU64, over: &AtomicBool) -> Option<u64> {
    let following = |seed| (seed < sweep.seeds.end).then(|| seed + 1);
    loop {
        if over.load(Ordering::Relaxed) || sweep.stop.load(Ordering::Relaxed) {
            return None;
        }
        let seed = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, following).ok()?;
        if !sweep.skipped.contains(&seed) {
            return Some(seed);
        }
    }
}

fn one_run(sweep: &Sweep, seed: u64) -> SweepRun {
    let scenario = sweep.scenario_of(seed);
    let (sabotage, notes_asked) = (sweep.sabotage, sweep.notes_asked);
    let config = RunConfig { sabotage, notes_asked, ..RunConfig::new(seed) };
    SweepRun::of(scenario, run_on_fresh_thread(&sweep.scenarios[scenario], &config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_is_run_once_before_one_is_run_again() {
        let names = ["quiet", "swarm", "canceled", "lossy-network"];
        let round = |round: u64| (4 * round..4 * round + 4).map(|seed| drawn(&names, seed));
        let rounds: Vec<Vec<usize>> = (0..100).map(|number| round(number).collect()).collect();
        for round in &rounds {
            assert_eq!(round.iter().collect::<BTreeSet<_>>().len(), 4, "{round:?}");
        }
        let orders: BTreeSet<_> = rounds.iter().collect();
        assert!(orders.len() > 12, "the order changes from round to round: {orders:?}");
    }

    #[test]
    fn a_silence_is_told_until_something_comes() {
        let (sender, receiver) = mpsc::channel();
        let (mut sender, mut silences) = (Some(sender), 0);
        let mut came = Vec::new();
        receive(
            &receiver,
            Duration::from_nanos(1),
            |item| came.push(item),
            || {
                silences += 1;
                // Nothing else sends, so that each of the first two waits ends in a silence.
                if silences == 2
                    && let Some(sender) = sender.take()
                {
                    sender.send(7).expect("it is received");
                }
            },
        );
        assert_eq!((silences, came), (2, vec![7]));
    }
}
