//! `milestones`: which moments of the protocols are common, and a run for each rare one.

use super::{
    CliError, Outcome,
    explore::{counted, jobs, known_milestones},
    find_scenario, find_scenarios,
    interrupt::Interrupt,
    parse_jobs,
    print::{self, out},
    progress::Progress,
};
use crate::harness::{
    event::Milestone,
    run::{RunConfig, Sweep, SweepRun, run_on_fresh_thread, sweep},
    system::Systems,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// Where the table is, below a crate's folder.
pub const TABLE: &str = "snapshots/milestones.toml";
/// In so many runs each common milestone is required.
pub const REQUIRED_IN: u64 = 500;
/// A milestone is common if so many of those runs reach it on average: that none does would be one case in 10^8.
const COMMON_RUNS: u64 = 20;

/// Finds a run for each rare milestone, and writes them down
///
/// A milestone is a moment of a protocol that runs should come to, and on which faults can hang. Those that
/// nearly every sweep reaches are common: the tests require them of 500 runs. For each of the others the table
/// has a scenario and a seed that reach it. A row that still does so stays as it is; what code has moved is
/// found again.
#[derive(Args)]
pub struct Milestones {
    /// The runs among which they are looked for, from seed 0; 5000 if absent
    #[arg(long, value_name = "N", default_value_t = 5000, hide_default_value = true, value_parser = clap::value_parser!(u64).range(500..=10_000_000))]
    runs: u64,
    /// Runs side by side; all cores if absent
    #[arg(long, value_name = "N", value_parser = parse_jobs, allow_hyphen_values = true)]
    jobs: Option<NonZeroUsize>,
    /// Write nothing: run each row, and say which does not reach its milestone
    #[arg(long)]
    check: bool,
    /// The table; snapshots/milestones.toml if absent
    #[arg(long, value_name = "FILE", default_value = TABLE, hide_default_value = true)]
    table: PathBuf,
}

/// A run that reaches a milestone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pin {
    scenario: String,
    seed: u64,
}

/// Which milestones are common, and a run for each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Those that any 500 runs reach.
    pub common: BTreeSet<String>,
    /// Those that no run has reached.
    #[serde(default)]
    unreached: BTreeSet<String>,
    #[serde(default)]
    rare: BTreeMap<String, Pin>,
}

impl Table {
    /// Reads it; nothing is known where there is none.
    #[expect(clippy::disallowed_methods, reason = "a command reads files of its user")]
    pub fn read(file: &Path) -> Result<Self, CliError> {
        if !file.exists() {
            return Ok(Table::default());
        }
        let name = file.display();
        let text = fs::read_to_string(file)
            .map_err(|error| CliError::new(format!("{name} can't be read: {error}")))?;
        toml::from_str(&text).map_err(|error| CliError::new(format!("{name}: {error}")))
    }
}

/// What is known of a milestone after a sweep.
#[derive(Clone, Debug)]
struct Found {
    runs: u64,
    first: Pin,
}

impl Milestones {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let table = Table::read(&self.table)?;
        if self.check {
            return self.check(systems, &table);
        }
        let interrupt = Interrupt::listen()?;
        let plan = Sweep {
            jobs: jobs(self.jobs),
            stop: interrupt.stop().clone(),
            ..Sweep::new(find_scenarios(systems, &[])?, 0..self.runs)
        };
        let found = self.search(&plan);
        if interrupt.is_wanted() {
            out("interrupted: nothing is written");
            return Ok(Outcome::Interrupted);
        }
        let known = known_milestones(&plan);
        let new = self.table_of(systems, &table, &known, &found);
        let text = toml::to_string_pretty(&new).expect("a table of texts and numbers");
        print::write_file(&self.table, &format!("{HEAD}{text}"))?;
        out(&format!(
            "{} common, {} rare with a run each, {} not reached in {}",
            new.common.len(),
            new.rare.len(),
            new.unreached.len(),
            counted(self.runs, "run")
        ));
        new.unreached.iter().for_each(|name| out(&format!("  {name}")));
        Ok(if new.unreached.is_empty() { Outcome::Passed } else { Outcome::Violated })
    }

    fn search(&self, plan: &Sweep) -> BTreeMap<&'static str, Found> {
        let mut progress = Progress::start();
        let mut found: BTreeMap<&'static str, Found> = BTreeMap::new();
        let mut runs = 0;
        sweep(plan, |run: SweepRun| {
            runs += 1;
            let pin = Pin { scenario: run.outcome.scenario, seed: run.outcome.seed };
            for milestone in run.outcome.milestones.keys() {
                let new = || Found { runs: 0, first: pin.clone() };
                let found = found.entry(milestone.name()).or_insert_with(new);
                found.runs += 1;
                if pin.seed < found.first.seed {
                    found.first = pin.clone();
                }
            }
            progress.show(runs as f64 / self.runs as f64, || {
                format!("{runs}/{} runs, {} milestones", self.runs, found.len())
            });
        });
        progress.finish();
        found
    }

    fn table_of(
        &self,
        systems: Systems,
        old: &Table,
        known: &[Milestone],
        found: &BTreeMap<&'static str, Found>,
    ) -> Table {
        let mut new = Table::default();
        for name in known.iter().map(|milestone| milestone.name()) {
            let is_common = found
                .get(name)
                .is_some_and(|found| found.runs * REQUIRED_IN >= COMMON_RUNS * self.runs);
            if is_common {
                new.common.insert(name.to_string());
                continue;
            }
            let kept = old.rare.get(name).filter(|pin| reaches(systems, name, pin));
            match kept.or(found.get(name).map(|found| &found.first)) {
                Some(pin) => drop(new.rare.insert(name.to_string(), pin.clone())),
                None => drop(new.unreached.insert(name.to_string())),
            }
        }
        new
    }

    fn check(&self, systems: Systems, table: &Table) -> Result<Outcome, CliError> {
        let lost = table.rare.iter().filter(|(name, pin)| !reaches(systems, name, pin));
        let lost: Vec<String> = lost
            .map(|(name, Pin { scenario, seed })| format!("  {name}: {scenario}, seed {seed}"))
            .collect();
        if lost.is_empty() {
            out(&format!("{} rare milestones are reached", table.rare.len()));
            return Ok(Outcome::Passed);
        }
        let again = "`cargo run --release -- milestones` looks for other runs";
        out(&format!("not reached any more; {again}:\n{}", lost.join("\n")));
        Ok(Outcome::Violated)
    }
}

const HEAD: &str = "\
# Which milestones are common, so that any 500 runs must reach them, and a run for each of the others.
# Written by `cargo run --release -- milestones`.

";

/// Whether a run reaches a milestone; not if there is no such scenario any more.
fn reaches(systems: Systems, name: &str, pin: &Pin) -> bool {
    let Ok(scenario) = find_scenario(systems, &pin.scenario) else { return false };
    let outcome = run_on_fresh_thread(&scenario, &RunConfig::new(pin.seed));
    outcome.milestones.keys().any(|reached| reached.name() == name)
}
