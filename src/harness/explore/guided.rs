//! A sweep that learns: runs that came to a rare moment go on from there in other ways.
//!
//! Two events of one in a thousand each, one behind the other, are one in a million seeds. Here the first is found among
//! a thousand, and the second among a thousand of the ways on from it.

use crate::harness::{
    event::Milestone,
    run::{
        BranchPoint, Recipe, RunBranch, RunConfig, RunOutcome, Sweep, SweepRun, run_on_fresh_thread,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

/// Runs that are planned at a time, by what those before have come to: the same whatever the number of threads.
const ROUND: usize = 64;
/// A milestone is rare up to one in so many runs.
const RARE_OF: u64 = 100;
/// Of so many runs all but one go on from a rare moment, once there is one.
const FRESH_OF: usize = 4;
/// Runs that are remembered of each milestone, the last ones.
const PARENTS_MAX: usize = 8;
/// Branches of a run, one behind the other.
const BRANCHES_MAX: usize = 6;

/// A run that reached a rare milestone, as a corpus keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// The scenario's name.
    pub scenario: String,
    /// The plan seed.
    pub seed: u64,
    /// Its branches; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<String>,
    /// The rare milestones that it reached behind the last of its branches.
    pub milestones: Vec<String>,
}

/// Of which runs a guided sweep goes on.
#[derive(Debug, Default)]
pub struct Corpus {
    runs: u64,
    known: BTreeMap<Milestone, Known>,
}

/// What is known of a milestone.
#[derive(Debug, Default)]
struct Known {
    /// In how many runs it was reached by chance: branches behind it do not count.
    reached: u64,
    /// How many branches were made there.
    tried: u64,
    /// Runs that reached it, the last ones: the scenario's place, and what the run is made from.
    parents: VecDeque<(usize, Recipe)>,
    /// The number of the next branch of each.
    next: BTreeMap<(usize, Recipe), u32>,
}

/// One of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Planned {
    scenario: usize,
    recipe: Recipe,
}

impl Corpus {
    /// What a run adds to it.
    fn add(&mut self, scenario: usize, outcome: &RunOutcome) {
        self.runs += 1;
        let recipe = outcome.recipe();
        for milestone in behind_the_branches(outcome) {
            let known = self.known.entry(milestone).or_default();
            known.reached += 1;
            known.parents.push_back((scenario, recipe.clone()));
            if known.parents.len() > PARENTS_MAX {
                known.parents.pop_front();
            }
        }
    }

    /// Whether a milestone comes in few of so many runs.
    fn is_rare(known: &Known, runs: u64) -> bool {
        known.reached <= (runs / RARE_OF).max(1)
    }

    /// The branch to try next: at the rare milestone at which the fewest were, of the runs that reached it in turn.
    fn next_branch(&mut self) -> Option<Planned> {
        let runs = self.runs;
        let rare = self.known.iter_mut().filter(|(_, known)| {
            Corpus::is_rare(known, runs)
                && known.parents.iter().any(|(_, run)| run.branches.len() < BRANCHES_MAX)
        });
        let (milestone, known) = rare.min_by_key(|(_, known)| (known.tried, known.reached))?;
        known.parents.rotate_left(1);
        let parents = known.parents.iter().rev();
        let (scenario, parent) =
            parents.clone().find(|(_, run)| run.branches.len() < BRANCHES_MAX).cloned()?;
        known.tried += 1;
        let number = known.next.entry((scenario, parent.clone())).or_default();
        *number += 1;
        let branch = RunBranch { from: BranchPoint::Milestone(*milestone), number: *number };
        let mut recipe = parent;
        recipe.branches.push(branch);
        Some(Planned { scenario, recipe })
    }

    /// Takes runs over that another sweep has found; those of other scenarios are left out.
    ///
    /// # Errors
    /// What is wrong with one, for a person.
    pub fn learn(&mut self, sweep: &Sweep, seeds: &[Seed]) -> Result<(), String> {
        for seed in seeds {
            let mut scenarios = sweep.scenarios.iter().enumerate();
            let named = scenarios.find(|(_, scenario)| scenario.name == seed.scenario);
            let Some((place, scenario)) = named else { continue };
            let known = scenario.system.milestones();
            let branches = seed.branches.as_ref();
            let branches = branches.map(|text| RunBranch::parse_all(text, &known)).transpose()?;
            let recipe = Recipe { seed: seed.seed, branches: branches.unwrap_or_default() };
            for name in &seed.milestones {
                // What the code has no longer is no mistake of the file.
                let found = known.iter().find(|milestone| milestone.name() == name);
                if let Some(milestone) = found {
                    let of = self.known.entry(*milestone).or_default();
                    of.parents.push_back((place, recipe.clone()));
                }
            }
        }
        Ok(())
    }

    /// The runs that reached rare milestones, to be kept.
    pub fn seeds(&self, sweep: &Sweep) -> Vec<Seed> {
        let mut found: BTreeMap<(usize, &Recipe), Vec<String>> = BTreeMap::new();
        for (milestone, known) in &self.known {
            if Corpus::is_rare(known, self.runs) {
                for (scenario, recipe) in &known.parents {
                    found
                        .entry((*scenario, recipe))
                        .or_default()
                        .push(milestone.name().to_string());
                }
            }
        }
        let seed = |((scenario, recipe), milestones): ((usize, &Recipe), Vec<String>)| Seed {
            scenario: sweep.scenarios[scenario].name.clone(),
            seed: recipe.seed,
            branches: recipe.branches_as_text(),
            milestones,
        };
        found.into_iter().map(seed).collect()
    }
}

/// The milestones that a run reached first behind its branches: before them it is another run, which has counted.
fn behind_the_branches(outcome: &RunOutcome) -> Vec<Milestone> {
    let mut behind = &outcome.order[..];
    for branch in &outcome.branches {
        if let BranchPoint::Milestone(milestone) = branch.from {
            match behind.iter().position(|(_, reached)| *reached == milestone) {
                Some(place) => behind = &behind[place + 1..],
                // It never came there.
                None => return Vec::new(),
            }
        }
    }
    behind.iter().map(|(_, milestone)| *milestone).collect()
}

/// Runs so many times: fresh seeds of a sweep, in its order, and from the first rare moment on mostly branches behind
/// those. Each run is handed over on this thread, in an order that does not depend on the number of threads. Returns how
/// many fresh seeds were run.
pub fn guided(
    sweep: &Sweep,
    runs: u64,
    corpus: &mut Corpus,
    mut on_run: impl FnMut(SweepRun),
) -> u64 {
    let (mut fresh, mut done) = (sweep.seeds.start, 0);
    let is_over = || sweep.stop.load(Ordering::Relaxed);
    while done < runs && !is_over() {
        let left = usize::try_from(runs - done).unwrap_or(usize::MAX).min(ROUND);
        let mut planned = Vec::new();
        while planned.len() < left {
            let branch = if planned.len() % FRESH_OF == 0 { None } else { corpus.next_branch() };
            let next = branch.or_else(|| {
                let seed = fresh;
                fresh = (seed < sweep.seeds.end).then(|| seed + 1)?;
                Some(Planned { scenario: sweep.scenario_of(seed), recipe: Recipe::of_seed(seed) })
            });
            match next.or_else(|| corpus.next_branch()) {
                Some(next) => planned.push(next),
                None => break,
            }
        }
        if planned.is_empty() {
            break;
        }
        let mut failed = false;
        for run in run_all(sweep, &planned) {
            done += 1;
            corpus.add(run.scenario, &run.outcome);
            failed |= !run.outcome.expected;
            on_run(run);
        }
        if failed && sweep.until_failure {
            break;
        }
    }
    fresh - sweep.seeds.start
}

/// Runs a round on all threads; in its order, and without those that were stopped.
#[expect(clippy::disallowed_methods, reason = "runs share nothing, so they may run side by side")]
fn run_all(sweep: &Sweep, planned: &[Planned]) -> Vec<SweepRun> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..sweep.jobs.clamp(1, planned.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while !sweep.stop.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = planned.get(place) else { return };
                    if sender.send((place, run_one(sweep, one))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let runs: BTreeMap<usize, SweepRun> = receiver.into_iter().collect();
        runs.into_values().collect()
    })
}

fn run_one(sweep: &Sweep, planned: &Planned) -> SweepRun {
    let Planned { scenario, recipe } = planned;
    let config = RunConfig {
        branches: recipe.branches.clone(),
        sabotage: sweep.sabotage,
        ..RunConfig::new(recipe.seed)
    };
    SweepRun::of(*scenario, run_on_fresh_thread(&sweep.scenarios[*scenario], &config))
}
