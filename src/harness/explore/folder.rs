//! A failure as a folder: what makes the run again, and what a person reads of it.
//!
//! `plan.toml` is a scenario whose faults are just those that were drawn, so it means the same after
//! the scenario, or the way in which plans are drawn, has changed. `failure.json` says which schedule
//! and switch belong to it and how the run ended; `input.txt` is the text that it was given, if any.
//! The rest is for people and is never read: `report.txt`, `report.html`, `history.txt`, `trace.jsonl` and
//! `fates.jsonl`, the frames that did not plainly arrive.
//!
//! Each fault of the plan has a name that `failure.json` knows, so that
//! a plan that somebody cuts down still fits.

use crate::{
    harness::{
        check::Verdict,
        event::Milestone,
        fault::{FaultSpec, PlannedFault},
        language::{FILE_BYTES_MAX, ScenarioError, read_file},
        report::{came_to, history},
        run::{RunBranch, RunConfig, RunOutcome, run_on_fresh_thread},
        scenario::Scenario,
        system::Systems,
    },
    host::Sabotage,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;

/// The most bytes of a text that takes the place of a workload.
pub const INPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

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
    /// The fault's `name` in the plan; empty in the records of older builds.
    #[serde(default)]
    pub name: String,
    /// The plan's words.
    pub planned: String,
    /// When it began, in simulated nanoseconds; absent when it never came to it.
    pub began: Option<u64>,
    /// When it was lifted.
    pub ended: Option<u64>,
    /// How many frames its rules on links were for.
    #[serde(default)]
    pub met: Option<u64>,
    /// Whom it struck, by target.
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
    /// From where on it went another way than the seeds say, as a `Recipe` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<String>,
    /// The name of the switch that was on.
    pub sabotage: Option<String>,
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
    /// From where on it went another way than the seeds say.
    pub branches: Vec<RunBranch>,
    /// The switch that was on.
    pub sabotage: Option<Sabotage>,
    /// Lines in place of the plan's workload.
    pub input: Option<Arc<Vec<Bytes>>>,
}

impl FolderError {
    pub(super) fn of(path: &Path, error: io::Error) -> Self {
        FolderError::Io { path: path.display().to_string(), error }
    }
}

impl FailureRecord {
    /// The seed, and the branch of its run if it was one.
    pub fn recipe(&self) -> String {
        let branches = self.branches.as_ref().map(|branches| format!("@{branches}"));
        format!("{}{}", self.seed, branches.unwrap_or_default())
    }

    /// Reads that of a folder.
    ///
    /// # Errors
    /// [`FolderError`], naming the file.
    pub fn load(folder: &Path) -> Result<Self, FolderError> {
        let path = folder.join(RECORD);
        parse_record(&read(&path, FILE_BYTES_MAX)?, &path)
    }
}

impl Failure {
    /// A run that did not end as it should.
    pub fn of(
        scenario: &Scenario,
        outcome: &RunOutcome,
        sabotage: Option<Sabotage>,
        input: Option<Arc<Vec<Bytes>>>,
    ) -> Self {
        let named = with_names(&outcome.plan.faults);
        let plan = scenario.pinned(outcome.seed, named.iter());
        let faults = (0..).zip(&named).map(|(index, fault)| {
            let came = outcome.executed.iter().find(|executed| executed.index == index);
            let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).ok();
            let struck = came.iter().flat_map(|came| &came.resolved);
            FaultRecord {
                name: fault.name.clone().unwrap_or_default(),
                planned: fault.to_string(),
                began: came.and_then(|came| nanos(came.began)),
                ended: came.and_then(|came| came.ended.and_then(nanos)),
                met: came.and_then(|came| came.met),
                struck: struck.map(|(target, nodes)| (target.to_string(), nodes.clone())).collect(),
            }
        });
        let milestones = outcome.milestones.iter();
        let record = FailureRecord {
            format: FORMAT,
            scenario: outcome.scenario.clone(),
            seed: outcome.seed,
            schedule: outcome.schedule,
            branches: outcome.recipe().branches_as_text(),
            sabotage: sabotage.map(|switch| switch.name().to_string()),
            verdict: outcome.verdict.to_string(),
            violation: outcome.violations.first().map(ToString::to_string),
            digest: outcome.digest.to_string(),
            faults: faults.collect(),
            milestones: milestones.map(|(reached, count)| (reached.to_string(), *count)).collect(),
        };
        Failure {
            plan: Arc::new(plan),
            record,
            branches: outcome.branches.clone(),
            sabotage,
            input,
        }
    }

    /// By what a run differs from the one that was kept, in its digest or its verdict; `None` when it is
    /// that run.
    pub fn other_run(&self, run: &RunOutcome) -> Option<String> {
        let (digest, verdict) = (run.digest.to_string(), run.verdict.to_string());
        match (digest == self.record.digest, verdict == self.record.verdict) {
            (false, _) => Some(digest),
            (true, false) => Some(format!("{digest}, but it is judged as {verdict}")),
            (true, true) => None,
        }
    }

    /// Whether a run ended as the one that was kept, whatever one that is stuck waits for.
    pub fn is_verdict(&self, verdict: &Verdict) -> bool {
        short_verdict(&verdict.to_string()) == short_verdict(&self.record.verdict)
    }

    /// The run as it was.
    pub fn config(&self) -> RunConfig {
        RunConfig {
            schedule: Some(self.record.schedule),
            branches: self.branches.clone(),
            sabotage: self.sabotage,
            input: self.input.clone(),
            ..RunConfig::new(self.record.seed)
        }
    }

    /// The run as it was, with its trace.
    pub fn traced(&self) -> RunOutcome {
        run_on_fresh_thread(&self.plan, &RunConfig { trace: true, ..self.config() })
    }

    /// The plan without the faults that came neither to the run that was kept nor to any of these runs of
    /// the plan, and with the milestones that the kept run reached. What somebody has put into it since,
    /// or changed the name of, stays.
    pub fn kept_plan(&self, runs: &[RunOutcome]) -> Scenario {
        let came_now = |index: usize| {
            runs.iter().any(|run| run.executed.iter().any(|executed| executed.index == index))
        };
        let never_came = |fault: &FaultSpec| {
            let recorded = |record: &&FaultRecord| {
                fault.name.as_ref().is_some_and(|name| *name == record.name)
            };
            self.record.faults.iter().find(recorded).is_some_and(|record| record.began.is_none())
        };
        let faults = self.plan.faults.iter().enumerate();
        let faults = faults.filter(|(index, fault)| came_now(*index) || !never_came(fault));
        let faults: Vec<FaultSpec> = faults.map(|(_, fault)| fault.clone()).collect();
        let known = self.plan.system.milestones();
        let named = |name: &String| known.iter().copied().find(|known| known.name() == name);
        let reached = self.record.milestones.keys().filter_map(named);
        let mut reaches: Vec<Milestone> = reached.collect();
        reaches.sort();
        Scenario { faults, reaches, ..(*self.plan).clone() }
    }

    /// What stands above the plan: where it comes from, and how it is run when it has been edited.
    fn head(&self) -> String {
        let FailureRecord { scenario, schedule, verdict, sabotage, .. } = &self.record;
        let seed = self.record.recipe();
        let switch = sabotage.as_ref().map(|switch| format!(" --sabotage {switch}"));
        let switch = switch.unwrap_or_default();
        let verdict = short_verdict(verdict);
        format!(
            "# {verdict} in {scenario}, seed {seed}. After a change of this plan:\n\
             # cargo run -- run PATH/plan.toml --seed {seed} --schedule {schedule}{switch}\n"
        )
    }

    /// A name for its folder: what broke, where, under which seed.
    pub fn name(&self) -> String {
        let verdict = short_verdict(&self.record.verdict);
        let what = verdict.strip_prefix("violated:").unwrap_or(verdict);
        let scenario = self.record.scenario.replace('/', "-");
        format!("{what}-{scenario}-{}", self.record.recipe())
    }

    /// Reads a folder; also understands the path of one of its files.
    ///
    /// # Errors
    /// [`FolderError`], naming the file.
    pub fn load(systems: Systems, path: &Path) -> Result<Self, FolderError> {
        let folder = folder_of(path);
        let record = FailureRecord::load(&folder)?;
        let sabotage = switch(&record, systems, &folder.join(RECORD))?;
        let plan_path = folder.join(PLAN);
        let text = String::from_utf8_lossy(&read(&plan_path, FILE_BYTES_MAX)?).into_owned();
        let mut plan = systems.parse(&text, &plan_path)?;
        plan.name = record.scenario.clone();
        let input_path = folder.join(INPUT);
        let input = match input_path.exists() {
            true => Some(Arc::new(lines(Bytes::from(read(&input_path, INPUT_BYTES_MAX)?)))),
            false => None,
        };
        let known = plan.system.milestones();
        let branches = record.branches.as_ref().map(|text| RunBranch::parse_all(text, &known));
        let branches = branches.transpose().map_err(|reason| {
            let path = folder.join(RECORD).display().to_string();
            FolderError::Damaged { path, reason }
        })?;
        Ok(Failure {
            plan: Arc::new(plan),
            record,
            branches: branches.unwrap_or_default(),
            sabotage,
            input,
        })
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

/// A verdict without what a stuck run waits for.
pub fn short_verdict(verdict: &str) -> &str {
    verdict.split(',').next().unwrap_or_default()
}

/// The folder that a path to it, or to a file in it, means.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.to_path_buf(),
        false => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        },
    }
}

/// The faults of a plan, each with a name: it stays the fault's when others are taken out.
fn with_names(faults: &[PlannedFault]) -> Vec<PlannedFault> {
    let taken: BTreeSet<&str> = faults.iter().filter_map(|fault| fault.name.as_deref()).collect();
    let mut free = (1..).map(|number| format!("fault-{number}"));
    let mut named = |fault: &PlannedFault| {
        let name = fault.name.clone();
        let name = name.or_else(|| free.find(|name| !taken.contains(name.as_str())));
        PlannedFault { name, ..fault.clone() }
    };
    faults.iter().map(&mut named).collect()
}

/// Writes what people read of a run whose trace was kept: trace, fates and history.
///
/// # Errors
/// [`FolderError`], naming the file.
pub fn save_evidence(folder: &Path, outcome: &RunOutcome) -> Result<(), FolderError> {
    let mut trace = String::new();
    for line in &outcome.trace {
        let line = serde_json::to_string(line).expect("it has string keys only");
        let _ = writeln!(trace, "{line}");
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

/// Writes the report and its page.
///
/// # Errors
/// [`FolderError`], naming the file.
pub fn save_report(folder: &Path, report: &str, page: &str) -> Result<(), FolderError> {
    write(&folder.join("report.txt"), format!("{report}\n").as_bytes())?;
    write(&folder.join("report.html"), page.as_bytes())
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

/// The known bug that a record names.
fn switch(
    record: &FailureRecord,
    systems: Systems,
    path: &Path,
) -> Result<Option<Sabotage>, FolderError> {
    let Some(name) = &record.sabotage else { return Ok(None) };
    systems.sabotage(name).map(Some).map_err(|near| FolderError::Damaged {
        path: path.display().to_string(),
        reason: format!(
            "this build has no known bug {name:?} to switch on{near}; see `cargo run -- list --sabotages`"
        ),
    })
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

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FolderError> {
    read_file(path, bytes_max).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FolderError::Missing { path: path.display().to_string() },
        _ => FolderError::of(path, error),
    })
}

/// Writes a file that is on the disk when this returns.
#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn write(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let written = std::fs::File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| FolderError::of(path, error))
}
