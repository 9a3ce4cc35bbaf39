//! What `cargo-gamma` lists and judges.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

/// Where mutants are made.
pub const FILES: &str = "src/system/**";

/// A change of the source.
#[derive(Clone, Deserialize)]
pub struct Mutant {
    /// Stays the same as long as the code does.
    pub id: String,
    /// From the folder.
    pub file: String,
    /// The first line is 1.
    pub line: usize,
    /// Where it ends.
    pub end_line: usize,
    /// The first column is 1.
    pub column: usize,
    /// The kind of change.
    pub mutator: String,
    /// The function, as a path.
    pub item_path: String,
    /// The text that stands there.
    pub original: String,
    /// The text in its place.
    pub replacement: String,
}

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A test failed.
    Failed,
    /// It did not end.
    TooLong,
    /// All tests passed.
    Survived,
    /// No test ran its line.
    Unreached,
}

impl Verdict {
    /// Whether something was amiss.
    pub fn is_noticed(self) -> bool {
        matches!(self, Verdict::Failed | Verdict::TooLong)
    }
}

/// Who judges.
#[derive(Clone, Copy)]
pub enum Oracle {
    /// The sweep of `tests/sweep`.
    Scenarios { runs: u64 },
    /// The unit tests of the library.
    Units,
}

/// The tool, at work in a folder.
pub struct Gamma {
    folder: PathBuf,
    jobs: usize,
}

#[derive(Deserialize)]
struct Report {
    files: BTreeMap<String, FileReport>,
}

#[derive(Deserialize)]
struct FileReport {
    mutants: Vec<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    id: String,
    status: String,
    status_reason: Option<String>,
}

impl Gamma {
    pub fn new(folder: &Path, jobs: usize) -> Result<Self> {
        let found = Command::new("cargo").args(["gamma", "--version"]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            bail!("there is no cargo-gamma here: cargo install cargo-gamma --locked");
        }
        Ok(Gamma { folder: folder.to_path_buf(), jobs })
    }

    /// All mutants.
    pub fn list(&self) -> Result<Vec<Mutant>> {
        let output = self.command(&["list", "mutants", "--json"]).output()?;
        if !output.status.success() {
            bail!("the mutants are not listed: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("the list of mutants")
    }

    /// Judges mutants; those that do not compile are left out. `again` takes what was judged before.
    pub fn judge(
        &self,
        ids: &[&str],
        by: Oracle,
        again: bool,
    ) -> Result<BTreeMap<String, Verdict>> {
        let name = match by {
            Oracle::Scenarios { .. } => "scenarios",
            Oracle::Units => "units",
        };
        let reports = self.folder.join("target/mutants").join(name);
        if !again {
            self.run(ids, by, &reports)?;
        }
        let path = reports.join("gamma-report.json");
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let report: Report = serde_json::from_slice(&text)?;
        let all = report.files.into_values().flat_map(|file| file.mutants);
        all.filter(|mutant| ids.contains(&&*mutant.id)).filter_map(verdict).collect()
    }

    fn run(&self, ids: &[&str], by: Oracle, reports: &Path) -> Result<()> {
        let mut command = self.command(&["run", "--memory", "off", "--no-relaunch"]);
        command.args(["--jobs", &self.jobs.to_string(), "--minimum-test-timeout", "240"]);
        command.arg("--artifact-dir").arg(std::path::absolute(reports)?);
        for id in ids {
            command.args(["--mutant", id]);
        }
        match by {
            Oracle::Scenarios { runs } => {
                command.args(["--include-test", "sweep", "--", "--test-threads", "1"]);
                command.env("WAVETANK_SWEEP", format!("0..{runs}"));
                command.env("WAVETANK_FAIL_FAST", "1");
            }
            Oracle::Units => {
                command.arg("--test-lib");
            }
        }
        // Its exit code tells of survivors, its report of everything.
        command.status().context("cargo gamma run")?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.folder).arg("gamma").args(arguments);
        command.args(["--no-config", "--file", FILES]);
        command
    }
}

fn verdict(mutant: Status) -> Option<Result<(String, Verdict)>> {
    // The report counts one that was ended among the survivors, and says why beside it.
    let is_ended = mutant.status_reason.is_some_and(|reason| reason.starts_with("timed out"));
    let verdict = match &*mutant.status {
        "Survived" if is_ended => Verdict::TooLong,
        "Killed" => Verdict::Failed,
        "Timeout" | "RuntimeError" => Verdict::TooLong,
        "Survived" => Verdict::Survived,
        "NoCoverage" => Verdict::Unreached,
        "CompileError" | "Ignored" | "Pending" => return None,
        other => return Some(Err(anyhow::anyhow!("mutant {}: {other}", mutant.id))),
    };
    Some(Ok((mutant.id, verdict)))
}
