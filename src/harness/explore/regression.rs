//! What a kept plan must still do: hold, and come to the moments that it was kept for.

use crate::harness::{
    event::Milestone,
    fault::When,
    language::wrap,
    report::snapshot,
    run::{RunConfig, RunOutcome, run_on_fresh_thread},
    scenario::Scenario,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The seed of the runs that a snapshot tells of.
const SNAPSHOT_SEED: u64 = 1;
/// Schedules of that seed.
const SCHEDULES: u64 = 5;

/// The folder of kept plans, below that of all scenarios.
pub const REGRESSIONS: &str = "regressions";

/// The runs that a scenario's snapshot tells of.
pub fn snapshot_runs(scenario: &Arc<Scenario>) -> Vec<RunOutcome> {
    let run = |schedule| {
        let config = RunConfig { schedule: Some(schedule), ..RunConfig::new(SNAPSHOT_SEED) };
        run_on_fresh_thread(scenario, &config)
    };
    (0..SCHEDULES).map(run).collect()
}

/// The file of a snapshot, with the header that the snapshot tests give it.
pub fn snapshot_file(scenario: &Scenario, outcomes: &[RunOutcome]) -> String {
    let description = serde_json::Value::from(scenario.description.as_str());
    let source = "tests/scenarios/simulated.rs";
    let text = snapshot(outcomes);
    format!("---\nsource: {source}\ndescription: {description}\n---\n{}\n", text.trim_end())
}

/// What the runs of a kept plan came to, as far as it tells whether the plan is stale.
#[derive(Default)]
pub struct Staleness {
    runs: u64,
    reached: BTreeSet<Milestone>,
    /// Faults that hang on a milestone, in words, and whether one of the runs came to them.
    faults: BTreeMap<(Milestone, u64), bool>,
}

impl Staleness {
    /// Takes a run in.
    pub fn add(&mut self, outcome: &RunOutcome) {
        self.runs += 1;
        self.reached.extend(outcome.milestones.keys());
        for (index, fault) in outcome.plan.faults.iter().enumerate() {
            if let When::On(condition) = &fault.when {
                let came = outcome.executed.iter().any(|executed| executed.index == index);
                let moment = (condition.milestone, condition.nth);
                *self.faults.entry(moment).or_default() |= came;
            }
        }
    }

    /// The milestones that a scenario was kept for and that no run reached, each in words. A plan
    /// of which one is left shows nothing any more.
    pub fn missing(&self, scenario: &Scenario) -> Vec<String> {
        let unreached = scenario.reaches.iter().filter(|wanted| !self.reached.contains(wanted));
        let mut missing: Vec<String> =
            unreached.map(|m| format!("{m} is no longer reached")).collect();
        // A range of `nth` is a kept scenario, not a kept plan: one of its draws must come.
        let mut comes = BTreeMap::<Milestone, bool>::new();
        for ((milestone, _), came) in &self.faults {
            *comes.entry(*milestone).or_default() |= came;
        }
        for ((milestone, nth), came) in &self.faults {
            let wanted = if scenario.seed.is_some() { *came } else { comes[milestone] };
            if !wanted {
                missing.push(format!("{milestone} is no longer reached {nth} times"));
            }
        }
        missing
    }

    /// Why a kept plan is stale; `None` when it is not.
    pub fn report(&self, scenario: &Scenario) -> Option<String> {
        let missing = self.missing(scenario);
        (!missing.is_empty()).then(|| {
            let what = format!("in {} runs {}", self.runs, missing.join(", "));
            wrap("stale: ", &what)
        })
    }
}
