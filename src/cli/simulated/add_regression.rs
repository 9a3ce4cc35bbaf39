//! `add-regression`: a failure becomes a regression test.

use super::{
    CliError, Outcome,
    failure::find_failure,
    print::{out, write_new},
    run::result_of,
};
use crate::harness::{
    event::Milestone,
    explore::{Failure, REGRESSIONS, Staleness, short_verdict, snapshot_file, snapshot_runs},
    run::RunOutcome,
    scenario::SCENARIOS,
    system::Systems,
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Makes a regression test of a failure: its plan becomes scenarios/regressions/NAME.toml.
///
/// The plan holds just the faults that came to it, with every number as it was drawn, and the
/// milestones that the run reached. `cargo test` runs it under many schedules and fails if an
/// invariant breaks, or if the plan no longer comes to those moments (stale). Faults that came to
/// nothing are left out; a plan that was cut down by hand stays as it is.
#[derive(Args)]
pub struct AddRegression {
    /// The failure folder
    path: PathBuf,
    /// The regression's name: lower-case words with hyphens, saying what was wrong
    name: String,
    /// What it shows, in a sentence
    #[arg(long)]
    description: Option<String>,
}

impl AddRegression {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        check_name(&self.name)?;
        if self.description.as_ref().is_some_and(|text| text.contains(char::is_control)) {
            let what = "expected a text of one line without control characters";
            return Err(CliError::new(format!("--description: {what}")));
        }
        let failure = find_failure(systems, &self.path)?;
        if !Path::new(SCENARIOS).is_dir() {
            let why = "there is no such folder here; run from the root of the repository";
            return Err(CliError::new(format!("{SCENARIOS}/: {why}")));
        }
        if failure.input.is_some() {
            let why = "it read a text of its own, and a scenario draws its lines";
            return Err(CliError::new(format!("{}: {why}", self.path.display())));
        }
        let path = Path::new(SCENARIOS).join(REGRESSIONS).join(format!("{}.toml", self.name));
        let snapshot = Path::new("snapshots").join(format!("{REGRESSIONS}__{}.snap", self.name));
        if let Some(there) = [&path, &snapshot].into_iter().find(|path| path.exists()) {
            return Err(CliError::new(format!("{} is there already", there.display())));
        }
        let mut plan = failure.kept_plan(&snapshot_runs(&failure.plan));
        plan.name = format!("{REGRESSIONS}/{}", self.name);
        let found = found(&failure);
        plan.description = self.description.clone().unwrap_or_else(|| format!("Found as {found}."));
        let outcomes = snapshot_runs(&Arc::new(plan.clone()));
        let result = outcomes.iter().map(result_of).fold(Outcome::Passed, Outcome::worse);
        let mut staleness = Staleness::default();
        outcomes.iter().for_each(|outcome| staleness.add(outcome));
        if result == Outcome::Passed {
            // What only the bug reached is not missed once it is mended.
            plan.reaches.retain(|wanted| reached(&outcomes, *wanted));
            if let Some(stale) = staleness.report(&plan) {
                let why =
                    "nothing was written: without the bug the plan does not come to its moments";
                return Err(CliError::new(format!("{why}\n{stale}")));
            }
        }
        write_new(&path, &format!("# {found}\n{}", plan.to_toml()))?;
        out(&path.display().to_string());
        if result == Outcome::Passed {
            write_new(&snapshot, &snapshot_file(&plan, &outcomes))?;
            out(&snapshot.display().to_string());
            out(&format!(
                "\nit passes on this code under {} schedules; see that both",
                outcomes.len()
            ));
            out("files say what you mean, and commit them");
        } else {
            let failed = outcomes.iter().filter(|outcome| !outcome.expected).count();
            out(&format!(
                "\nit still fails under {failed} of {} schedules: `cargo test` is",
                outcomes.len()
            ));
            out("red until the bug is mended; the first green run writes");
            out(&format!("snapshots/{REGRESSIONS}__{}.snap.new", self.name));
        }
        out(&format!("\nagain   cargo test --test scenarios -- {REGRESSIONS}/{}", self.name));
        Ok(result)
    }
}

fn reached(outcomes: &[RunOutcome], wanted: Milestone) -> bool {
    outcomes.iter().any(|outcome| outcome.milestones.contains_key(&wanted))
}

fn check_name(name: &str) -> Result<(), CliError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !name.is_empty() && name.chars().all(allowed) {
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
    let verdict = short_verdict(&record.verdict);
    let switch = record.sabotage.as_ref().map(|switch| format!(" with --sabotage {switch}"));
    let (scenario, seed) = (&record.scenario, record.recipe());
    format!("{verdict} in {scenario}, seed {seed}{}", switch.unwrap_or_default())
}
