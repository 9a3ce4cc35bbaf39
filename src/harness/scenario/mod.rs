//! Scenarios: what runs, on what hardware, under which faults, and what must hold at the end.

mod read;
mod subject;
mod units;
mod write;

pub use read::{Field, Reader, ScenarioError};
pub use subject::{JournalSpec, Subject, SubjectKind, WordCountSpec};
pub use units::{
    DurationRange, NumberRange, Share, SignedDurationRange, exact_duration, parse_duration, percent,
};
pub use write::Writer;

use super::{
    check::{Expectation, Milestone},
    fault::{FaultSpec, PlannedFault},
};
use crate::host::sim::Delay;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A scenario, as its file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `subject/name`, from the file's place.
    pub name: String,
    /// What it shows, in a line.
    pub description: String,
    /// What runs.
    pub subject: Subject,
    /// Latency of every link.
    pub latency: DurationRange,
    /// The faults, in the order of the file.
    pub faults: Vec<FaultSpec>,
    /// How long faults may go on; what has not begun by then never does.
    pub faults_end: Duration,
    /// How long after that the cluster may take to converge.
    pub converge_within: Duration,
    /// What *held* means for this scenario.
    pub expect: Expectation,
    /// The plan seed of every run: another seed draws another schedule only. Of a kept plan.
    pub seed: Option<u64>,
    /// Milestones without which a run shows nothing; it is stale when none of its runs reaches one.
    pub reaches: Vec<Milestone>,
}

impl Scenario {
    /// Reads a scenario file; its name is taken from the last folder and the file's stem.
    ///
    /// # Errors
    /// [`ScenarioError`] with file, line, column, key and what was expected.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = read_to_string(path)?;
        Self::parse(&text, path)
    }

    /// Reads a scenario from a text that stands in for the file at `path`.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScenarioError> {
        let mut file = Reader::parse(text, path)?;
        let description = file.need("description", Field::text)?;
        let subject = Subject::read(&mut file)?;
        let mut network = file.table("network")?;
        let latency = network.take("latency", Field::duration_range)?.unwrap_or(DurationRange {
            low: Duration::from_micros(500),
            high: Duration::from_millis(2),
        });
        network.finish()?;
        let mut converge = file.table("converge")?;
        let converge_within =
            converge.take("within", Field::duration)?.unwrap_or(Duration::from_secs(60));
        converge.finish()?;
        let faults_end =
            file.take("faults-end", Field::duration)?.unwrap_or(Duration::from_secs(60));
        let expect = file.take("expect", Expectation::read)?.unwrap_or(Expectation::Held);
        let seed = file.take("seed", Field::number)?;
        let milestone = |field: &Field| field.read(&Milestone::known(), Milestone::parse);
        let reaches = file.take("reaches", |field| field.list(milestone))?.unwrap_or_default();
        let mut faults = Vec::new();
        for fault in file.tables("fault")? {
            faults.push(FaultSpec::read(fault, subject.kind())?);
        }
        file.finish()?;
        Ok(Scenario {
            name: name_of(path),
            description,
            subject,
            latency,
            faults,
            faults_end,
            converge_within,
            expect,
            seed,
            reaches,
        })
    }

    /// The scenario that draws just these faults, whatever seed is asked for.
    pub fn pinned<'a>(
        &self,
        seed: u64,
        faults: impl Iterator<Item = &'a PlannedFault>,
    ) -> Scenario {
        let faults = faults.map(PlannedFault::to_spec).collect();
        Scenario { faults, seed: Some(self.plan_seed(seed)), ..self.clone() }
    }

    /// The seed of everything but the schedule, in a run that asks for `seed`.
    pub fn plan_seed(&self, seed: u64) -> u64 {
        self.seed.unwrap_or(seed)
    }

    /// The base latency of all links.
    pub fn link_latency(&self) -> Delay {
        Delay::Uniform(self.latency.low, self.latency.high)
    }
}

#[expect(clippy::disallowed_methods, reason = "scenario files are the harness's own input")]
fn read_to_string(path: &Path) -> Result<String, ScenarioError> {
    std::fs::read_to_string(path).map_err(|error| ScenarioError::unreadable(path, &error))
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    // The file of a name is found under the folder of all scenarios.
    if folder == SCENARIOS { stem.to_string() } else { format!("{folder}/{stem}") }
}

/// The folder of all scenarios.
pub const SCENARIOS: &str = "scenarios";

/// Every scenario file under a folder, sorted by path.
///
/// # Errors
/// When a folder can't be listed.
#[expect(clippy::disallowed_methods, reason = "scenario files are the harness's own input")]
pub fn discover(folder: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let unreadable = |error: std::io::Error| ScenarioError::unreadable(folder, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            found.extend(discover(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
