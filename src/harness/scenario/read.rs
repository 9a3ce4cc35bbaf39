//! Reads scenario files.

use super::{Converge, Expectation, HEAL_AT, LATENCY, Scenario};
use crate::harness::{
    fault::{self, FaultSpec, SWARM_NAME, Surroundings, SwarmSpec},
    language::{
        Bounds, DurationRange, FILE_BYTES_MAX, Field, Mistakes, Reader, ScenarioError, line_starts,
        printable, read_file, shown,
    },
    system::{SystemSpec, Systems},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

impl Systems {
    /// Reads a scenario file; its name is taken from the last folder and the file's stem.
    ///
    /// # Errors
    /// [`ScenarioError`] with file, line, column, key and what was expected.
    pub fn load(self, path: &Path) -> Result<Scenario, ScenarioError> {
        self.load_all(path).map_err(first)
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// Every mistake, in the order of the file; of each fault and each key the first.
    pub fn load_all(self, path: &Path) -> Result<Scenario, Vec<ScenarioError>> {
        let text = read_to_string(path).map_err(|mistake| vec![mistake])?;
        self.parse_all(&text, path)
    }

    /// Reads a scenario from a text that stands in for the file at `path`.
    ///
    /// # Errors
    /// As [`Systems::load`].
    pub fn parse(self, text: &str, path: &Path) -> Result<Scenario, ScenarioError> {
        self.parse_all(text, path).map_err(first)
    }

    /// Reads a scenario from a text that stands in for the file at `path`.
    ///
    /// # Errors
    /// As [`Systems::load_all`].
    pub fn parse_all(self, text: &str, path: &Path) -> Result<Scenario, Vec<ScenarioError>> {
        let mut file = Reader::parse(text, path).map_err(|mistake| vec![mistake])?;
        let mut mistakes = Mistakes::default();
        let description = mistakes.keep(file.need("description", Field::text));
        let named = file.has("system");
        let system = SystemSpec::read(&mut file, self, &mut mistakes);
        let latency = mistakes.keep(file.table("network")).and_then(|mut network| {
            let latency = mistakes.keep(LATENCY.take(&mut network, "latency"));
            network.finish(&mut mistakes);
            latency
        });
        let converge =
            Converge::read(&mut file, system.as_ref().map(SystemSpec::system), &mut mistakes);
        let heal_at = mistakes.keep(HEAL_AT.take(&mut file, "heal-at")).map(DurationRange::one);
        let swarm = SwarmSpec::of(&mut file, system.as_ref(), &mut mistakes);
        let seed = mistakes.keep(file.take("seed", Field::number));
        let (mut expect, mut reaches, mut faults) = (None, None, Vec::new());
        if let Some(system) = &system {
            let milestone = |field: &Field| fault::milestone(field, system);
            reaches = mistakes.keep(file.take("reaches", |field| field.list(milestone)));
            let read = |field: &Field| Expectation::read(field, system);
            expect = mistakes.keep(file.take("expect", read));
            // One mistake is not to be told as many.
            let heal_at = heal_at.unwrap_or(Duration::MAX);
            let around = Surroundings { system, heal_at };
            let tables = mistakes.keep(file.tables("fault")).unwrap_or_default();
            let places: Vec<ScenarioError> = tables.iter().map(|table| table.error("")).collect();
            let read: Vec<Option<FaultSpec>> = tables
                .into_iter()
                .map(|table| FaultSpec::read(table, around, &mut mistakes))
                .collect();
            let swarms = swarm.is_some();
            for (place, message) in places.into_iter().zip(wrong_names(&read, swarms)) {
                if let Some(message) = message {
                    let _: Option<()> = mistakes.keep(Err(ScenarioError { message, ..place }));
                }
            }
            faults = read.into_iter().flatten().collect();
        } else {
            // Whether they are sound depends on the system.
            file.skip(&["expect", "reaches", "fault"]);
        }
        file.finish(&mut mistakes);
        if !named {
            let default = self.default_system().name();
            mistakes.hint(format!("there is no `system`, so it is read as a {default}"));
        }
        let whole = || {
            Some(Scenario {
                name: name_of(path),
                description: description?,
                system: system?,
                latency: latency?,
                faults,
                swarm,
                heal_at: heal_at?,
                converge,
                expect: expect?.unwrap_or(Expectation::Passed),
                seed: seed?,
                reaches: reaches?.unwrap_or_default(),
            })
        };
        mistakes.or(whole())
    }
}

fn first(mistakes: Vec<ScenarioError>) -> ScenarioError {
    mistakes.into_iter().next().expect("a refusal tells a mistake")
}

/// What is wrong with the names by which faults refer to each other, for each fault.
fn wrong_names(faults: &[Option<FaultSpec>], swarms: bool) -> Vec<Option<String>> {
    let name = |fault: &Option<FaultSpec>| fault.as_ref().and_then(|fault| fault.name.clone());
    let names: Vec<Option<String>> = faults.iter().map(name).collect();
    let mut firsts = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(name) = name {
            firsts.entry(name.as_str()).or_insert(index);
        }
    }
    let other = |index: usize| faults[index].as_ref().and_then(|fault| fault.when.other());
    let all_read = faults.iter().all(Option::is_some);
    let wrong = |index: usize| {
        let own = names[index].as_deref();
        if let Some(own) = own
            && firsts[own] < index
        {
            return Some(format!("there is another fault of the name \"{}\"", shown(own)));
        }
        if own.is_some_and(|own| swarms && own.starts_with(SWARM_NAME)) {
            return Some(format!("names that begin with \"{SWARM_NAME}\" are those of `[swarm]`"));
        }
        let among = faults[index].as_ref().and_then(|fault| fault.among.as_ref());
        let of = |name: &str| faults[*firsts.get(name)?].as_ref();
        if let Some(bounding) = among.and_then(|among| of(among.fault()))
            && !bounding.kind.has_target()
        {
            let kind = bounding.kind.name();
            return Some(format!(
                "`nodes` names a fault with a `target`, and this {kind} has none"
            ));
        }
        let mut others = faults[index].iter().flat_map(FaultSpec::others);
        others.find_map(|other| {
            if own.is_some_and(|own| own == other) {
                return Some(format!("a fault can't refer to itself, \"{}\"", shown(other)));
            }
            // The name of a fault that could not be read is not known.
            let known = firsts.contains_key(other);
            (!known && all_read).then(|| format!("no fault has the `name` \"{}\"", shown(other)))
        })
    };
    let mut told: Vec<Option<String>> = (0..faults.len()).map(wrong).collect();
    for ring in rings(faults.len(), |index| firsts.get(other(index)?).copied()) {
        let names: Vec<String> = ring.iter().filter_map(|index| names[*index].clone()).collect();
        let names = names.iter().map(|name| format!("\"{}\"", shown(name))).collect::<Vec<_>>();
        let what = format!("{} wait for each other, so that none of them begins", names.join(", "));
        if ring.len() > 1 {
            told[ring[0]].get_or_insert(what);
        }
    }
    told
}

/// The rings among things of which each leads to one other at most, each from its least member on.
fn rings(count: usize, next: impl Fn(usize) -> Option<usize>) -> Vec<Vec<usize>> {
    // By which walk a thing was come to first.
    let mut walks: Vec<Option<usize>> = vec![None; count];
    let mut found = Vec::new();
    for start in 0..count {
        let mut at = Some(start);
        while let Some(here) = at.filter(|here| walks[*here].is_none()) {
            walks[here] = Some(start);
            at = next(here);
        }
        // Come back to a thing of this very walk: the ring goes through it.
        if let Some(here) = at.filter(|here| walks[*here] == Some(start)) {
            let mut ring = vec![here];
            let mut at = next(here).expect("it leads on");
            while at != here {
                ring.push(at);
                at = next(at).expect("it leads on");
            }
            let least = ring.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(at, _)| at);
            ring.rotate_left(least);
            found.push(ring);
        }
    }
    found
}

fn read_to_string(path: &Path) -> Result<String, ScenarioError> {
    let bytes = read_file(path, FILE_BYTES_MAX);
    let bytes = bytes.map_err(|error| ScenarioError::unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(error.as_bytes());
        let what = "the file is not UTF-8 from here on".to_string();
        ScenarioError::at(path, &text, &line_starts(&text), error.utf8_error().valid_up_to(), what)
    })
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    // The file of a name is found under the folder of all scenarios.
    if folder.is_empty() || folder == SCENARIOS {
        printable(&stem)
    } else {
        printable(&format!("{folder}/{stem}"))
    }
}

/// The folder of all scenarios.
pub const SCENARIOS: &str = "scenarios";

/// Every scenario file under a folder, sorted by path. A link to a folder, which may lead back, is not
/// followed.
///
/// # Errors
/// When a folder can't be listed.
#[expect(clippy::disallowed_methods, reason = "scenario files are the harness's own input")]
pub fn discover(folder: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let unreadable = |error: std::io::Error| ScenarioError::unreadable(folder, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        if kind.is_dir() {
            found.extend(discover(&path)?);
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
