//! The commands of the simulated world.

mod determinism;
mod explore;
mod failure;
mod interrupt;
mod keep;
mod list;
mod progress;
mod replay;
mod run;
mod sabotage;
mod speech;
mod virtual_time;

use super::{CliError, Outcome};
use crate::harness::scenario::{SCENARIOS, Scenario, discover};
use clap::{Parser, Subcommand};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Makes waves for a stream-processing cluster, from seeds.
///
/// One seed is one run. A run boots a cluster on simulated machines, does to it what the scenario's
/// faults say, heals it, and judges what it saw.
///
/// Exit codes: 0 all held, 1 an invariant broke, 2 a bad command, file or scenario, 3 no
/// convergence, 4 not deterministic.
#[derive(Parser)]
#[command(name = "wavetank", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one scenario with one seed: plan, leadership timeline, verdict.
    Run(run::Run),
    Explore(explore::Explore),
    /// Run a kept failure again, from its data.
    Replay(replay::Replay),
    /// Keep a failure for ever, as a regression that `cargo test` runs.
    Keep(keep::Keep),
    Sabotage(sabotage::Sabotages),
    /// List the scenarios, or the words that scenario files understand.
    List(list::List),
    /// Check that a seed is the same run in every process and build.
    Determinism(determinism::Determinism),
    /// Print a run's digest, or its whole trace.
    #[command(hide = true)]
    Digest(determinism::Digest),
    /// Check that a failure is the same run in this process.
    #[command(hide = true)]
    Confirm(failure::Confirm),
}

/// Does what the command line says.
pub fn run(arguments: Arguments) -> Result<Outcome, CliError> {
    match arguments.command {
        Command::Run(command) => command.run(),
        Command::Explore(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Keep(command) => command.run(),
        Command::Confirm(command) => command.run(),
        Command::Sabotage(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Determinism(command) => command.run(),
        Command::Digest(command) => command.run(),
    }
}

/// Finds a scenario by its file or by its name.
fn find_scenario(text: &str) -> Result<Arc<Scenario>, CliError> {
    let named = Path::new(SCENARIOS).join(format!("{text}.toml"));
    let path = if named.is_file() { named } else { PathBuf::from(text) };
    if !path.is_file() {
        let hint = "`wavetank list` names those there are";
        return Err(CliError::new(format!("there is no scenario {text:?}; {hint}")));
    }
    Ok(Arc::new(Scenario::load(&path)?))
}

/// The scenarios of these names, or all that are shipped.
fn find_scenarios(names: &[String]) -> Result<Vec<Arc<Scenario>>, CliError> {
    if !names.is_empty() {
        return names.iter().map(|name| find_scenario(name)).collect();
    }
    let paths = discover(Path::new(SCENARIOS))?;
    if paths.is_empty() {
        return Err(CliError::new(format!("no scenario under {SCENARIOS}/")));
    }
    paths.iter().map(|path| Ok(Arc::new(Scenario::load(path)?))).collect()
}

/// Reads `A..B`.
fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let expected = || format!("expected a range of seeds such as 0..100, found {text:?}");
    let (from, to) = text.split_once("..").ok_or_else(expected)?;
    let from: u64 = from.parse().map_err(|_| expected())?;
    let to: u64 = to.parse().map_err(|_| expected())?;
    if from >= to {
        return Err(format!("the range {text} is empty; the first seed must be below the second"));
    }
    Ok(from..to)
}

fn parse_sabotage(text: &str) -> Result<crate::host::Sabotage, String> {
    use crate::host::Sabotage;
    let found = Sabotage::ALL.iter().copied().find(|switch| switch.name() == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = Sabotage::ALL.iter().map(|switch| switch.name()).collect();
        format!("expected one of {}", known.join(", "))
    })
}
