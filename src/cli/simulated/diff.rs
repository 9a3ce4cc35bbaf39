//! `diff`: two runs from the first event that differs.

use super::{CliError, Outcome, failure::find_failure, find_scenario, parse_seed, print::out};
use crate::harness::{
    report::difference,
    run::{RunBranch, RunConfig, RunOutcome, run_on_fresh_thread},
    scenario::Scenario,
    system::Systems,
};
use clap::Args;
use std::path::Path;

/// Tells two runs apart, from the first event that differs
///
/// A run is a failure folder, or a scenario and a seed. Behind an @ stands from where on it goes another way
/// than it did, and which: `shrink` tells of the nearest run that passes like this. What is told: up to when
/// the runs are the same, what each does next, and the changes of state and the milestones that only one has.
#[derive(Args)]
pub struct Diff {
    /// FOLDER or SCENARIO:SEED, maybe with @MILESTONE+K or @#ENTRY+K
    first: String,
    /// The other one; the first without its sabotage if absent
    second: Option<String>,
    /// Entries that are told of each behind the last that is the same; 12 if absent
    #[arg(
        long,
        value_name = "N",
        hide_default_value = true,
        default_value_t = 12,
        allow_hyphen_values = true
    )]
    entries: usize,
}

impl Diff {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let first = traced(systems, &self.first, false)?;
        let second = match &self.second {
            Some(second) => traced(systems, second, false)?,
            None => traced(systems, &self.first, true)?,
        };
        match difference(&first, &second, self.entries) {
            Some(lines) => {
                lines.iter().for_each(|line| out(line));
                Ok(Outcome::Violated)
            }
            None => {
                out(&format!("the very same run: digest {}", first.digest));
                Ok(Outcome::Passed)
            }
        }
    }
}

/// The run that a person means, with its trace.
fn traced(systems: Systems, text: &str, without_sabotage: bool) -> Result<RunOutcome, CliError> {
    let (what, branches) = match text.split_once('@') {
        // A folder's own name may have one.
        _ if Path::new(text).exists() => (text, None),
        Some((what, branches)) => (what, Some(branches)),
        None => (text, None),
    };
    let of = |scenario: &Scenario| {
        let known = scenario.system.milestones();
        let read = branches.map(|branches| RunBranch::parse_all(branches, &known)).transpose();
        read.map_err(|error| CliError::new(format!("{text}: {error}")))
    };
    let (plan, config) = match what.rsplit_once(':').filter(|_| !Path::new(what).exists()) {
        Some((scenario, seed)) => {
            let scenario = find_scenario(systems, scenario)?;
            let seed =
                parse_seed(seed).map_err(|error| CliError::new(format!("{text}: {error}")))?;
            let branches = of(&scenario)?.unwrap_or_default();
            (scenario, RunConfig { branches, ..RunConfig::new(seed) })
        }
        None => {
            let failure = find_failure(systems, Path::new(what))?;
            let branches = of(&failure.plan)?.unwrap_or_else(|| failure.branches.clone());
            (failure.plan.clone(), RunConfig { branches, ..failure.config() })
        }
    };
    if without_sabotage && config.sabotage.is_none() {
        let what = "there is no sabotage to leave off: name the other run";
        return Err(CliError::new(format!("{text}: {what}")));
    }
    let sabotage = config.sabotage.filter(|_| !without_sabotage);
    let run = run_on_fresh_thread(&plan, &RunConfig { trace: true, sabotage, ..config });
    if !run.branches.is_empty() && run.branched.is_none() {
        return Err(CliError::new(format!("{text}: the run never comes to where it is to branch")));
    }
    Ok(run)
}
