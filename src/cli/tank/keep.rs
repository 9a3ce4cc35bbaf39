//! `keep`: a failure becomes a regression test.

use super::{CliError, Outcome, failure::find_failure, print::out};
use crate::harness::{
    check::Milestone,
    explore::{Failure, REGRESSIONS, RunOutcome, snapshot_file, snapshot_runs},
    scenario::SCENARIOS,
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Keeps a failure for ever: its plan becomes scenarios/regressions/NAME.toml.
///
/// The plan holds just the faults that came to it, with every number as it was drawn, and the
/// milestones that the run reached. `cargo test` runs it under many schedules and fails if an
/// invariant breaks, or if the plan no longer comes to those moments (stale).
#[derive(Args)]
pub struct Keep {
    /// The failure folder
    path: PathBuf,
    /// The regression's name: lower-case words with hyphens, saying what was wrong
    name: String,
    /// What it shows, in a sentence
    #[arg(long)]
    description: Option<String>,
}

impl Keep {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        check_name(&self.name)?;
        let failure = find_failure(&self.path)?;
        if !Path::new(SCENARIOS).is_dir() {
            let why = "there is no such folder here; run from the root of the repository";
            return Err(CliError::new(format!("{SCENARIOS}/: {why}")));
        }
        if failure.input.is_some() {
            let why = "it read a text of its own, and a scenario draws its lines";
            return Err(CliError::new(format!("{}: {why}", self.path.display())));
        }
        let path = Path::new(SCENARIOS).join(REGRESSIONS).join(format!("{}.toml", self.name));
        if path.exists() {
            return Err(CliError::new(format!("{} is there already", path.display())));
        }
        let mut plan = failure.kept_plan();
        plan.name = format!("{REGRESSIONS}/{}", self.name);
        let found = found(&failure);
        plan.description = self.description.clone().unwrap_or_else(|| format!("Found as {found}."));
        let plan_for_runs = Arc::new(plan.clone());
        let outcomes = snapshot_runs(&plan_for_runs);
        let holds = outcomes.iter().all(|outcome| outcome.expected);
        if holds {
            // What only the bug reached is not missed once it is mended.
            plan.reaches.retain(|wanted| reached(&outcomes, *wanted));
        }
        write(&path, &format!("# {found}\n{}", plan.to_toml()))?;
        out(&path.display().to_string());
        if holds {
            let snapshot = format!("{REGRESSIONS}__{}.snap", self.name);
            let snapshot = Path::new("snapshots").join(snapshot);
            write(&snapshot, &snapshot_file(&plan, &outcomes))?;
            out(&snapshot.display().to_string());
            out(&format!(
                "\nit holds on this code under {} schedules; see that both",
                outcomes.len()
            ));
            out("files say what you mean, and commit them");
        } else {
            out("\nit still fails: `cargo test` is red until the bug is mended; the first");
            out(&format!("green run writes snapshots/{REGRESSIONS}__{}.snap.new", self.name));
        }
        out(&format!("\nagain   cargo test --test scenarios -- {REGRESSIONS}/{}", self.name));
        Ok(Outcome::Held)
    }
}

fn reached(outcomes: &[RunOutcome], wanted: Milestone) -> bool {
    outcomes.iter().any(|outcome| outcome.milestones.contains_key(&wanted))
}

fn check_name(name: &str) -> Result<(), CliError> {
    let lawful = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !name.is_empty() && name.chars().all(lawful) {
        true => Ok(()),
        false => {
            let expected = "expected lower-case letters, digits and hyphens";
            Err(CliError::new(format!("{name:?}: {expected}, such as late-append")))
        }
    }
}

/// Where a failure comes from, on one line.
fn found(failure: &Failure) -> String {
    let record = &failure.record;
    let verdict = record.verdict.split(',').next().unwrap_or_default();
    let switch = record.sabotage.map(|switch| format!(" with --sabotage {}", switch.name()));
    let (scenario, seed) = (&record.scenario, record.seed);
    format!("{verdict} in {scenario}, seed {seed}{}", switch.unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "the user's own repository")]
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| CliError::new(format!("{}: {error}", path.display())))
}
