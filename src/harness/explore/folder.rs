//! A failure as a folder: what makes the run again, and what a person reads of it.
//!
//! `plan.toml` is a scenario whose faults are just those that were drawn, so it means the same after
//! the scenario, or the way in which plans are drawn, has changed. `failure.json` says which schedule
//! and switch belong to it and how the run ended; `input.txt` is the text that it was given, if any.
//! The rest is for people and is never read: `report.txt`, `history.txt`, `trace.jsonl` and
//! `fates.jsonl`, the frames that did not plainly arrive.

use super::run::{RunConfig, RunOutcome};
use crate::{
    harness::{
        check::Milestone,
        report::{came_to, history},
        scenario::{Scenario, ScenarioError},
    },
    host::Sabotage,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;

/// The form of `failure.json` that this build writes and reads.
const FORMAT: u64 = 1;

const PLAN: &str = "plan.toml";
const RECORD: &str = "failure.json";
const INPUT: &str = "input.txt";

/// Why a folder can't be read or written.
#[derive(Debug, Error)]
pub enum FolderError {
    /// A file of it can't be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file is missing.
    #[error("{path} is missing: this is no failure folder, or half of one")]
    Missing {
        /// The file.
        path: String,
    },
    /// `failure.json` is damaged.
    #[error("{path}: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// `failure.json` was written by a newer build.
    #[error("{path} has format {found}, this build reads format {FORMAT}: use a newer build")]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
    },
    /// `plan.toml` is no scenario.
    #[error("{0}")]
    Plan(#[from] ScenarioError),
}

/// A fault of the plan and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// The plan's words.
    pub planned: String,
    /// When it began, in simulated nanoseconds; absent when it never came to it.
    pub began: Option<u64>,
    /// When it was lifted.
    pub ended: Option<u64>,
    /// How many frames its rules on links were for.
    #[serde(default)]
    pub met: Option<u64>,
    /// Whom it struck, by actor.
    pub struck: BTreeMap<String, Vec<String>>,
}

/// `failure.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The form of this record.
    pub format: u64,
    /// The scenario's name.
    pub scenario: String,
    /// The seed that was asked for.
    pub seed: u64,
    /// The scheduling seed.
    pub schedule: u64,
    /// The switch that was on.
    pub sabotage: Option<Sabotage>,
    /// How the run ended.
    pub verdict: String,
    /// The first broken promise, in words.
    pub violation: Option<String>,
    /// The run's digest.
    pub digest: String,
    /// The plan's faults, in its order.
    pub faults: Vec<FaultRecord>,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<String, u64>,
}

/// What is needed to run a failure again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The plan as a scenario.
    pub plan: Arc<Scenario>,
    /// What is known of the run.
    pub record: FailureRecord,
    /// Lines in place of the plan's workload.
    pub input: Option<Arc<Vec<Bytes>>>,
}

impl Failure {
    /// A run that did not end as it should.
    pub fn of(
        scenario: &Scenario,
        outcome: &RunOutcome,
        sabotage: Option<Sabotage>,
        input: Option<Arc<Vec<Bytes>>>,
    ) -> Self {
        let plan = scenario.pinned(outcome.seed, outcome.plan.faults.iter());
        let faults = (0..).zip(&outcome.plan.faults).map(|(index, fault)| {
            let came = outcome.executed.iter().find(|executed| executed.index == index);
            let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).ok();
            let struck = came.iter().flat_map(|came| &came.resolved);
            FaultRecord {
                planned: fault.to_string(),
                began: came.and_then(|came| nanos(came.began)),
                ended: came.and_then(|came| came.ended.and_then(nanos)),
                met: came.and_then(|came| came.met),
                struck: struck.map(|(actor, nodes)| (actor.to_string(), nodes.clone())).collect(),
            }
        });
        let milestones = outcome.milestones.iter();
        let record = FailureRecord {
            format: FORMAT,
            scenario: outcome.scenario.clone(),
            seed: outcome.seed,
            schedule: outcome.schedule,
            sabotage,
            verdict: outcome.verdict.to_string(),
            violation: outcome.violations.first().map(ToString::to_string),
            digest: outcome.digest.to_string(),
            faults: faults.collect(),
            milestones: milestones.map(|(reached, count)| (reached.to_string(), *count)).collect(),
        };
        Failure { plan: Arc::new(plan), record, input }
    }

    /// The run as it was.
    pub fn config(&self) -> RunConfig {
        RunConfig {
            schedule: Some(self.record.schedule),
            sabotage: self.record.sabotage,
            input: self.input.clone(),
            ..RunConfig::new(self.record.seed)
        }
    }

    /// The plan without the faults that never came to it, and with the milestones that the run
    /// reached.
    pub fn kept_plan(&self) -> Scenario {
        let came = |index: &usize| {
            self.record.faults.get(*index).is_some_and(|fault| fault.began.is_some())
        };
        let faults = self.plan.faults.iter().enumerate();
        let faults = faults.filter(|(index, _)| came(index)).map(|(_, fault)| fault.clone());
        let reached = self.record.milestones.keys().filter_map(|name| Milestone::parse(name));
        let mut reaches: Vec<Milestone> = reached.collect();
        reaches.sort();
        Scenario { faults: faults.collect(), reaches, ..(*self.plan).clone() }
    }

    /// What stands above the plan: where it comes from, and how it is run when it has been edited.
    fn head(&self) -> String {
        let FailureRecord { scenario, seed, schedule, verdict, sabotage, .. } = &self.record;
        let switch = sabotage.map(|switch| format!(" --sabotage {}", switch.name()));
        let switch = switch.unwrap_or_default();
        let verdict = verdict.split(',').next().unwrap_or_default();
        format!(
            "# {verdict} in {scenario}, seed {seed}. After a change of this plan:\n\
             # cargo run -- run PATH/plan.toml --seed {seed} --schedule {schedule}{switch}\n"
        )
    }

    /// A name for its folder: what broke, where, under which seed.
    pub fn name(&self) -> String {
        let verdict = self.record.verdict.split(',').next().unwrap_or_default();
        let what = verdict.strip_prefix("violated:").unwrap_or(verdict);
        let scenario = self.record.scenario.replace('/', "-");
        format!("{what}-{scenario}-{}", self.record.seed)
    }

    /// Reads a folder; also understands the path of one of its files.
    ///
    /// # Errors
    /// [`FolderError`], naming the file.
    pub fn load(path: &Path) -> Result<Self, FolderError> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let record_path = folder.join(RECORD);
        let record = parse_record(&read(&record_path)?, &record_path)?;
        let plan_path = folder.join(PLAN);
        let text = String::from_utf8_lossy(&read(&plan_path)?).into_owned();
        let mut plan = Scenario::parse(&text, &plan_path)?;
        plan.name = record.scenario.clone();
        let input_path = folder.join(INPUT);
        let input = match input_path.exists() {
            true => Some(Arc::new(lines(Bytes::from(read(&input_path)?)))),
            false => None,
        };
        Ok(Failure { plan: Arc::new(plan), record, input })
    }

    /// Writes what is needed to run it again into an empty folder.
    ///
    /// # Errors
    /// [`FolderError`], naming the file.
    pub fn save(&self, folder: &Path, outcome: &RunOutcome) -> Result<(), FolderError> {
        let notes: Vec<String> =
            (0..outcome.plan.faults.len()).map(|index| came_to(outcome, index)).collect();
        let text = format!("{}{}", self.head(), self.plan.to_toml_with_notes(&notes));
        write(&folder.join(PLAN), text.as_bytes())?;
        let record = serde_json::to_string_pretty(&self.record).expect("it has string keys only");
        write(&folder.join(RECORD), format!("{record}\n").as_bytes())?;
        if let Some(input) = &self.input {
            let text: Vec<u8> = input.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
            write(&folder.join(INPUT), &text)?;
        }
        Ok(())
    }
}

/// Writes what people read of a run whose trace was kept: trace, fates and history.
///
/// # Errors
/// [`FolderError`], naming the file.
pub fn save_evidence(folder: &Path, outcome: &RunOutcome) -> Result<(), FolderError> {
    let mut trace = String::new();
    for line in &outcome.trace {
        let entry = serde_json::json!({ "ns": line.time, "entry": line.text });
        let _ = writeln!(trace, "{entry}");
    }
    write(&folder.join("trace.jsonl"), trace.as_bytes())?;
    let mut fates = String::new();
    for fate in &outcome.fates {
        let (from, to) = (&outcome.nodes[&fate.from], &outcome.nodes[&fate.to]);
        let kind = format!("{:?}", fate.kind);
        let entry = serde_json::json!({
            "ns": fate.time, "from": from, "to": to, "message": kind, "ordinal": fate.ordinal,
            "fate": fate.fate,
        });
        let _ = writeln!(fates, "{entry}");
    }
    write(&folder.join("fates.jsonl"), fates.as_bytes())?;
    let history = history(outcome).join("\n");
    write(&folder.join("history.txt"), format!("{history}\n").as_bytes())
}

/// Writes the report.
///
/// # Errors
/// [`FolderError`], naming the file.
pub fn save_report(folder: &Path, report: &str) -> Result<(), FolderError> {
    write(&folder.join("report.txt"), format!("{report}\n").as_bytes())
}

/// The lines of a text; a last empty one is none.
pub fn lines(text: Bytes) -> Vec<Bytes> {
    let mut lines: Vec<Bytes> =
        text.split(|byte| *byte == b'\n').map(|line| text.slice_ref(line)).collect();
    if lines.last().is_some_and(Bytes::is_empty) {
        lines.pop();
    }
    lines
}

fn parse_record(text: &[u8], path: &Path) -> Result<FailureRecord, FolderError> {
    let path = path.display().to_string();
    let damaged = |error: serde_json::Error| FolderError::Damaged {
        path: path.clone(),
        reason: format!("damaged or cut short: {error}"),
    };
    let value: serde_json::Value = serde_json::from_slice(text).map_err(damaged)?;
    if let Some(found) = value["format"].as_u64()
        && found > FORMAT
    {
        return Err(FolderError::Newer { path, found });
    }
    serde_json::from_value(value).map_err(damaged)
}

#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn read(path: &Path) -> Result<Vec<u8>, FolderError> {
    std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FolderError::Missing { path: path.display().to_string() },
        _ => FolderError::Io { path: path.display().to_string(), error },
    })
}

#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn write(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    std::fs::write(path, bytes)
        .map_err(|error| FolderError::Io { path: path.display().to_string(), error })
}

/// A place for a failure under a folder: that of the very same run if it is kept already, else its
/// name or one that nothing else has.
pub fn place(failures: &Path, failure: &Failure) -> PathBuf {
    let same = |path: &Path| {
        Failure::load(path).is_ok_and(|there| there.record.digest == failure.record.digest)
    };
    let name = failure.name();
    let numbered = (2..).map(|number| failures.join(format!("{name}-{number}")));
    std::iter::once(failures.join(&name))
        .chain(numbered)
        .find(|path| !path.exists() || same(path))
        .expect("some number is free")
}
