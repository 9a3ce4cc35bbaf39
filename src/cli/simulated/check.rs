//! `check`: reads scenarios and explains their mistakes, without running them.

use super::{CliError, Outcome, find_path, parse_seed, shipped};
use crate::{
    cli::simulated::print::out,
    harness::{
        fault::FaultSpec,
        language::{NumberRange, wrap},
        scenario::{FaultPlan, Scenario, lints},
        system::{Nodes, Systems},
    },
};
use clap::Args;
use std::path::{Path, PathBuf};

/// Reads scenario files and explains every mistake with its line, without running anything.
#[derive(Args)]
pub struct Check {
    /// Files or names of scenarios; all that are shipped if none is named
    #[arg(value_name = "FILE")]
    scenarios: Vec<String>,
    /// Print the faults that this seed draws
    #[arg(long, value_name = "SEED", value_parser = parse_seed, allow_hyphen_values = true)]
    plan: Option<u64>,
}

impl Check {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let paths: Vec<Result<PathBuf, CliError>> = match &self.scenarios[..] {
            [] => shipped()?.into_iter().map(Ok).collect(),
            named => named.iter().map(|name| find_path(name)).collect(),
        };
        let mut wrong = 0;
        for path in &paths {
            let sound = match path {
                Ok(path) => self.check(systems, path),
                Err(error) => {
                    out(&format!("error: {error}\n"));
                    false
                }
            };
            wrong += usize::from(!sound);
        }
        if wrong == 0 {
            return Ok(Outcome::Passed);
        }
        out(&format!("{wrong} of {} can't be read", scenarios(paths.len())));
        Ok(Outcome::BadInput)
    }

    /// Whether a file is sound; says so, or why not.
    fn check(&self, systems: Systems, path: &Path) -> bool {
        let scenario = match systems.load_all(path) {
            Ok(scenario) => scenario,
            Err(mistakes) => {
                mistakes.iter().for_each(|mistake| out(&format!("{}\n", mistake.explain())));
                return false;
            }
        };
        out(&wrap("ok  ", &format!("{}: {}", scenario.name, describe(&scenario))));
        for lint in lints(&scenario) {
            out(&wrap("    note: ", &lint));
        }
        if let Some(seed) = self.plan {
            out(&describe_plan(&scenario, seed));
        }
        true
    }
}

fn scenarios(count: usize) -> String {
    format!("{count} scenario{}", if count == 1 { "" } else { "s" })
}

/// What runs and what may befall it, in a line.
fn describe(scenario: &Scenario) -> String {
    let nodes = scenario.system.nodes();
    let sum = |end: fn(&Nodes) -> u64| nodes.iter().map(end).sum::<u64>();
    let nodes = NumberRange { low: sum(|n| n.count.low), high: sum(|n| n.count.high) };
    let swarm = scenario.swarm.as_ref().map(|swarm| format!("{} faults of a swarm", swarm.faults));
    let faults = match scenario.faults.len() {
        0 if swarm.is_some() => String::new(),
        0 => "no faults".to_string(),
        1 => format!("1 fault, {}", how_often(&scenario.faults)),
        all => format!("{all} faults, {}", how_often(&scenario.faults)),
    };
    let faults: Vec<String> =
        [faults].into_iter().filter(|text| !text.is_empty()).chain(swarm).collect();
    format!("{} on {nodes} nodes, {}", scenario.system.name(), faults.join(", and "))
}

/// How often faults can come in one run, all together.
fn how_often(faults: &[FaultSpec]) -> String {
    let (mut fewest, mut most) = (0_u64, 0_u64);
    for fault in faults {
        let times = fault.repeat.map_or((1, 1), |repeat| (repeat.times.low, repeat.times.high));
        if fault.chance.low == 1_000_000 {
            fewest = fewest.saturating_add(times.0);
        }
        if fault.chance.high > 0 {
            most = most.saturating_add(times.1);
        }
    }
    let times = |count| if count == 1 { "once".to_string() } else { format!("{count} times") };
    if fewest == most { times(most) } else { format!("{fewest} to {}", times(most)) }
}

fn describe_plan(scenario: &Scenario, seed: u64) -> String {
    let plan = FaultPlan::draw(scenario, seed);
    let sizes = sizes(scenario, seed).map_or(String::new(), |sizes| {
        format!("{}\n", wrap(&format!("    seed {seed} draws "), &sizes))
    });
    if plan.faults.is_empty() {
        return format!("{sizes}    seed {seed} draws no fault");
    }
    let lines = plan.faults.iter().map(|fault| format!("\n      {fault}")).collect::<String>();
    format!("{sizes}    seed {seed} draws{lines}")
}

/// What a seed draws from the ranges of the settings, in a line.
pub fn sizes(scenario: &Scenario, seed: u64) -> Option<String> {
    let sizes = scenario.sizes(seed);
    let shown: Vec<String> = sizes.iter().map(|(key, value)| format!("{key} {value}")).collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}
