//! Tells of a run that failed: confirms it in a fresh process, keeps it in a folder, reports it.

use super::{CliError, Outcome, print::out, run::result_of};
use crate::{
    harness::{
        explore::{Aside, Failure, keep, save_evidence, save_report},
        language::{COLUMNS, cut},
        report::{Lost, failure_report, page},
        run::{Recipe, RunOutcome, SweepRun, in_common},
        scenario::Scenario,
        system::Systems,
    },
    host::Sabotage,
};
use bytes::Bytes;
use clap::Args;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Where failures are kept.
const FAILURES: &str = "failures";
/// Failures of a kind that a sweep keeps; of more it tells the seeds.
const KEPT_PER_KIND_MAX: usize = 100;
/// Kept failures that an error names.
const KEPT_SHOWN_MAX: usize = 5;

/// What there is to say of a run that failed.
pub struct FailureReport {
    /// The report.
    pub text: String,
    /// What that comes to.
    pub outcome: Outcome,
    /// Where the failure is kept.
    pub folder: Option<PathBuf>,
}

/// Keeps failures the moment they are found, so that whoever ends the command takes none away.
pub struct Keeper<'a> {
    scenarios: &'a [Arc<Scenario>],
    sabotage: Option<Sabotage>,
    /// How many of each kind were found.
    kinds: BTreeMap<String, usize>,
    /// Where each is kept, by its seed.
    folders: BTreeMap<Recipe, PathBuf>,
}

impl<'a> Keeper<'a> {
    /// Of runs of these scenarios with that switch on.
    pub fn new(scenarios: &'a [Arc<Scenario>], sabotage: Option<Sabotage>) -> Self {
        Keeper { scenarios, sabotage, kinds: BTreeMap::new(), folders: BTreeMap::new() }
    }

    /// Keeps a run if it did not end as its scenario expects; what a person is told of it.
    pub fn keep(&mut self, run: &SweepRun) -> Option<String> {
        let outcome = &run.outcome;
        if outcome.expected {
            return None;
        }
        let of_kind = self.kinds.entry(in_common(&outcome.verdict)).or_default();
        *of_kind += 1;
        let (recipe, scenario) = (outcome.recipe(), &outcome.scenario);
        let told =
            cut(&format!("failed  seed {recipe} of {scenario}: {}", outcome.verdict), COLUMNS);
        if *of_kind > KEPT_PER_KIND_MAX {
            return Some(format!("{told}\n        not kept: {KEPT_PER_KIND_MAX} of its kind are"));
        }
        let failure = Failure::of(&self.scenarios[run.scenario], outcome, self.sabotage, None);
        let kept = keep(Path::new(FAILURES), &failure, outcome);
        Some(match kept {
            Ok(folder) => {
                let again = format!("cargo run -- replay {}", folder.display());
                self.folders.insert(recipe, folder);
                format!("{told}\n        {again}")
            }
            Err(error) => format!("{told}\n        not kept: {error}"),
        })
    }

    /// Where the failure of a run is kept.
    pub fn folder(&self, recipe: &Recipe) -> Option<&PathBuf> {
        self.folders.get(recipe)
    }
}

/// Keeps a run, mostly one that did not end as its scenario expects, and tells of it. `input` is what it
/// read in place of the scenario's workload.
pub fn tell(
    scenario: &Arc<Scenario>,
    outcome: &RunOutcome,
    sabotage: Option<Sabotage>,
    input: Option<Arc<Vec<Bytes>>>,
) -> FailureReport {
    let failure = Failure::of(scenario, outcome, sabotage, input);
    let plain = failure_report(outcome, None, &[]);
    let folder = match keep(Path::new(FAILURES), &failure, outcome) {
        Ok(folder) => folder,
        // Whatever the disk says, nobody may miss that a run has failed.
        Err(error) => {
            let text = format!("{plain}\nthe run could not be kept: {error}");
            return FailureReport {
                text,
                outcome: result_of(outcome).worse(Outcome::BadInput),
                folder: None,
            };
        }
    };
    let (text, result) = match confirm(&folder, &failure, outcome) {
        Ok(Ok(text)) => (text, result_of(outcome)),
        Ok(Err(other)) => {
            let text = format!(
                "{plain}\nnot deterministic: a fresh process came to another run\n  \
                 here  {}\n  there {other}\nfind the cause before anything else: \
                 cargo run -- verify-determinism --help\nplan    {}",
                failure.record.digest,
                folder.join("plan.toml").display(),
            );
            (text, Outcome::NotDeterministic)
        }
        Err(error) => {
            let again = format!("cargo run -- replay {}", folder.display());
            let text =
                format!("{plain}\nnot run again in a fresh process: {error}\nagain   {again}");
            (text, result_of(outcome).worse(Outcome::BadInput))
        }
    };
    FailureReport { text, outcome: result, folder: Some(folder) }
}

/// Runs a failure once more in a fresh process, from a copy of its data, and puts what that writes for
/// people into its folder. Returns the report, or the other run to which the fresh process came.
fn confirm(
    folder: &Path,
    failure: &Failure,
    outcome: &RunOutcome,
) -> Result<Result<String, String>, CliError> {
    // What is kept already may have been cut down since.
    let copy = Aside::new(Path::new(FAILURES))?;
    failure.save(copy.path(), outcome)?;
    let confirmed = Command::new("/proc/self/exe")
        .arg("confirm")
        .args([copy.path(), folder])
        .output()
        .map_err(|error| CliError::new(format!("a fresh process: {error}")))?;
    let said = String::from_utf8_lossy(&confirmed.stdout).trim().to_string();
    match confirmed.status.code() {
        Some(code) if code == Outcome::Passed as i32 => {}
        Some(code) if code == Outcome::NotDeterministic as i32 => return Ok(Err(said)),
        _ => {
            let why = String::from_utf8_lossy(&confirmed.stderr);
            return Err(CliError::new(format!("{}: {}", confirmed.status, why.trim())));
        }
    }
    copy.move_evidence(folder)?;
    Ok(Ok(said))
}

/// Runs a failure from its data; prints its report, or the other digest to which it came.
#[derive(Args)]
pub struct Confirm {
    /// The folder
    folder: PathBuf,
    /// Where it is going to be
    place: PathBuf,
}

impl Confirm {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let failure = Failure::load(systems, &self.folder)?;
        let outcome = failure.traced();
        if let Some(other) = failure.other_run(&outcome) {
            out(&other);
            return Ok(Outcome::NotDeterministic);
        }
        let report = report_of(&outcome, None, &self.place, "", ", the same in a fresh process");
        save_evidence(&self.folder, &outcome)?;
        save_report(&self.folder, &report, &page_of(&outcome, None, &self.place))?;
        out(&report);
        Ok(Outcome::Passed)
    }
}

/// The report of a run whose failure is kept at a place; what follows the command that shows it again,
/// and what is known of its digest.
pub fn report_of(
    outcome: &RunOutcome,
    lost: Option<&Lost>,
    folder: &Path,
    more: &str,
    digest: &str,
) -> String {
    let plan = folder.join("plan.toml").display().to_string();
    let again = format!("cargo run -- replay {}{more}", folder.display());
    let digest = format!("{}{digest}", outcome.digest);
    let mut last = vec![("digest", digest.as_str()), ("plan", &plan), ("again", &again)];
    let nearest = lost.and_then(|lost| lost.nearest.as_ref()?.recipe().branches_as_text());
    let folder = folder.display();
    let beside = nearest.map(|branches| format!("cargo run -- diff {folder} {folder}@{branches}"));
    last.extend(beside.as_ref().map(|command| ("beside", command.as_str())));
    failure_report(outcome, lost, &last)
}

/// The same as a page.
pub fn page_of(outcome: &RunOutcome, lost: Option<&Lost>, folder: &Path) -> String {
    let again = format!("cargo run -- replay {}", folder.display());
    page(outcome, lost, &[("again", again)])
}

/// Reads the failure at a path that a user gave.
pub fn find_failure(systems: Systems, path: &Path) -> Result<Failure, CliError> {
    if path.exists() {
        return Ok(Failure::load(systems, path)?);
    }
    let kept = kept_failures();
    let hint = match &kept[..] {
        [] => format!("nothing is kept under {FAILURES}/ yet; `explore` and `run` keep what fails"),
        names => format!("under {FAILURES}/ there are {}", names.join(", ")),
    };
    Err(CliError::new(format!("there is no {}; {hint}", path.display())))
}

/// The names of some kept failures.
#[expect(clippy::disallowed_methods, reason = "failure folders are the user's own files")]
fn kept_failures() -> Vec<String> {
    let entries = std::fs::read_dir(FAILURES).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names.truncate(KEPT_SHOWN_MAX);
    names
}
