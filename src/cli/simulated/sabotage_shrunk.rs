//! What is left of a known bug's plan once it is shrunk.

use super::progress::Progress;
use crate::{
    harness::{
        explore::{Failure, Hunted, Search},
        run::{RunConfig, run_on_fresh_thread},
        scenario::Scenario,
        shrink::{Limits, Measure, shrink},
        system::Systems,
    },
    host::Sabotage,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Candidates for one bug at most.
const CANDIDATES_MAX: u64 = 1000;
/// Schedules of the first and of the last plan.
const SCHEDULES: u64 = 20;
/// The keys that say how long a job's input is.
const INPUTS: [&str; 2] = ["lines", "requests"];

/// What shrinking one plan came to.
pub struct Shrinking {
    /// How large the whole plan was, and how large the last one is.
    pub measures: [Measure; 2],
    /// Candidates that were tried.
    pub candidates: u64,
    /// How long that took.
    pub seconds: f64,
}

impl Shrinking {
    /// The cells of its row: faults, nodes, lines of the input, candidates, seconds.
    pub fn cells(&self) -> [String; 5] {
        let last = &self.measures[1];
        let input = last.sizes.iter().find(|(key, _)| INPUTS.contains(&key.as_str()));
        [
            format!("{} of {}", last.faults, self.measures[0].faults),
            last.nodes.to_string(),
            input.map_or("–".to_string(), |(_, lines)| lines.to_string()),
            self.candidates.to_string(),
            format!("{:.1}", self.seconds),
        ]
    }
}

/// After this time no more candidates of a bug are tried: of what a run simulates hours.
const EACH_MAX: Duration = Duration::from_secs(60);

/// Shrinks the plan of each bug that a search has found, of the shortest search.
pub fn shrink_all(
    systems: Systems,
    scenarios: &[Arc<Scenario>],
    hunted: &[Hunted],
    jobs: usize,
    stop: &AtomicBool,
) -> BTreeMap<Sabotage, Shrinking> {
    let limits = Limits { candidates: CANDIDATES_MAX, schedules: SCHEDULES, jobs };
    let mut all = BTreeMap::new();
    let mut progress = Progress::start();
    let bugs = hunted.len();
    for (done, hunted) in hunted.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let Some(failure) = failure_of(scenarios, hunted) else { continue };
        let one = Progress::start();
        let shrunk = shrink(systems, &failure, limits, stop, |now| {
            let share = done as f64 / bugs as f64;
            progress.show(share, || {
                let Measure { faults, nodes, .. } = now.measure;
                format!("{}: {faults} faults, {nodes} nodes", hunted.switch.name())
            });
            one.elapsed() < EACH_MAX
        });
        let seconds = one.finish().as_secs_f64();
        if let Some(shrunk) = shrunk.filter(|shrunk| shrunk.rates.is_some()) {
            let (measures, candidates) = (shrunk.measures, shrunk.candidates);
            all.insert(hunted.switch, Shrinking { measures, candidates, seconds });
        }
    }
    progress.finish();
    all
}

/// The failure that the shortest search has found.
fn failure_of(scenarios: &[Arc<Scenario>], hunted: &Hunted) -> Option<Failure> {
    let found = hunted.searches.iter().filter(|search| search.caught.is_some());
    let Search { caught, .. } = found.min_by_key(|search| search.runs)?;
    let run = caught.as_ref()?;
    let sabotage = Some(hunted.switch);
    let branches = run.recipe.branches.clone();
    let config = RunConfig { branches, sabotage, ..RunConfig::new(run.seed) };
    let scenario = &scenarios[run.scenario];
    let outcome = run_on_fresh_thread(scenario, &config);
    Some(Failure::of(scenario, &outcome, sabotage, None))
}
