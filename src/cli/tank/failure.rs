//! Tells of a run that failed: confirms it in a fresh process, keeps it in a folder, reports it.

use super::{CliError, Outcome, print::out, run::result_of};
use crate::{
    harness::{
        explore::{
            Failure, RunConfig, RunOutcome, place, run_on_fresh_thread, save_evidence, save_report,
        },
        report::failure_report,
        scenario::Scenario,
    },
    host::Sabotage,
};
use bytes::Bytes;
use clap::Args;
use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Where failures are kept.
const FAILURES: &str = "failures";
/// Kept failures that an error names.
const KEPT_SHOWN_MAX: usize = 5;

/// What there is to say of a run that failed.
pub struct Told {
    /// The report.
    pub text: String,
    /// What that comes to.
    pub outcome: Outcome,
    /// Where the failure is kept.
    pub folder: Option<PathBuf>,
}

/// Keeps a run that did not end as its scenario expects, and tells of it. `input` is what it read in
/// place of the scenario's workload.
pub fn tell(
    scenario: &Arc<Scenario>,
    outcome: &RunOutcome,
    sabotage: Option<Sabotage>,
    input: Option<Arc<Vec<Bytes>>>,
) -> Told {
    let failure = Failure::of(scenario, outcome, sabotage, input);
    let folder = place(Path::new(FAILURES), &failure);
    let plain = failure_report(outcome, &[]);
    match keep_folder(&folder, &failure, outcome) {
        Ok(Ok(text)) => Told { text, outcome: result_of(outcome), folder: Some(folder) },
        Ok(Err(other)) => {
            let text = format!(
                "{plain}\nnot deterministic: a fresh process came to another run\n  \
                 here  {}\n  there {other}\nfind the cause before anything else: \
                 cargo run -- determinism --help",
                failure.record.digest
            );
            Told { text, outcome: Outcome::NotDeterministic, folder: None }
        }
        // Whatever the disk says, nobody may miss that a run has failed.
        Err(error) => {
            let text = format!("{plain}\nthe failure could not be kept: {error}");
            Told { text, outcome: result_of(outcome), folder: None }
        }
    }
}

/// Makes the folder and returns the report; or the digest of the other run to which a fresh process
/// came.
#[expect(clippy::disallowed_methods, reason = "failure folders are the user's own files")]
fn keep_folder(
    folder: &Path,
    failure: &Failure,
    outcome: &RunOutcome,
) -> Result<Result<String, String>, CliError> {
    let at = |path: &Path, error: io::Error| CliError::new(format!("{}: {error}", path.display()));
    // Whole or not at all: it gets its name when everything is in it.
    let fresh = PathBuf::from(format!("{}.new", folder.display()));
    remove(&fresh)?;
    std::fs::create_dir_all(&fresh).map_err(|error| at(&fresh, error))?;
    failure.save(&fresh, outcome)?;
    let confirmed = Command::new("/proc/self/exe")
        .arg("confirm")
        .args([&fresh, folder])
        .output()
        .map_err(|error| CliError::new(format!("a fresh process: {error}")))?;
    let said = String::from_utf8_lossy(&confirmed.stdout).trim().to_string();
    match confirmed.status.code() {
        Some(code) if code == Outcome::Held as i32 => {}
        Some(code) if code == Outcome::NotDeterministic as i32 => {
            remove(&fresh)?;
            return Ok(Err(said));
        }
        _ => {
            let why = String::from_utf8_lossy(&confirmed.stderr);
            return Err(CliError::new(format!("the fresh process failed: {}", why.trim())));
        }
    }
    match folder.exists() {
        // The very same run is kept already, perhaps with a reader's notes and a plan cut down.
        true => remove(&fresh)?,
        false => std::fs::rename(&fresh, folder).map_err(|error| at(folder, error))?,
    }
    Ok(Ok(said))
}

fn remove(folder: &Path) -> Result<(), CliError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CliError::new(format!("{}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
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
    pub fn run(&self) -> Result<Outcome, CliError> {
        let failure = Failure::load(&self.folder)?;
        let config = RunConfig { trace: true, ..failure.config() };
        let outcome = run_on_fresh_thread(&failure.plan, &config);
        let digest = outcome.digest.to_string();
        if digest != failure.record.digest {
            out(&digest);
            return Ok(Outcome::NotDeterministic);
        }
        let report = report_of(&outcome, &self.place, "");
        save_evidence(&self.folder, &outcome)?;
        save_report(&self.folder, &report)?;
        out(&report);
        Ok(Outcome::Held)
    }
}

/// The report of a run whose failure is kept at a place.
pub fn report_of(outcome: &RunOutcome, folder: &Path, more: &str) -> String {
    let plan = folder.join("plan.toml").display().to_string();
    let again = format!("cargo run -- replay {}{more}", folder.display());
    let digest = format!("{}, the same in a fresh process", outcome.digest);
    failure_report(outcome, &[("digest", &digest), ("plan", &plan), ("again", &again)])
}

/// Reads the failure at a path that a user gave.
pub fn find_failure(path: &Path) -> Result<Failure, CliError> {
    if path.exists() {
        return Ok(Failure::load(path)?);
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
    names.sort();
    names.truncate(KEPT_SHOWN_MAX);
    names
}
