//! `list`: what there is.

use super::{CliError, Outcome, shipped};
use crate::{
    cli::simulated::print::{note, out},
    harness::{
        check::{Milestone, invariants_of},
        fault::{COMMON_KEYS, FAULT_KINDS, FaultKey, Target},
        report::wrap,
        sabotage,
        scenario::{Scenario, Setting, SystemKind, messages},
    },
    host::Sabotage,
};
use clap::Args;
use serde_json::{Value, json};

/// Lists the scenarios, or the words that scenario files understand.
#[derive(Args)]
pub struct List {
    /// The kinds of faults, and the keys of each
    #[arg(long, group = "what")]
    faults: bool,
    /// The moments on which faults can hang
    #[arg(long, group = "what")]
    milestones: bool,
    /// Whom faults can strike
    #[arg(long, group = "what")]
    targets: bool,
    /// What is checked
    #[arg(long, group = "what")]
    invariants: bool,
    /// What can run, with every key of a scenario file
    #[arg(long, group = "what")]
    systems: bool,
    /// The kinds of messages that faults can pick out
    #[arg(long, group = "what")]
    messages: bool,
    /// The known bugs that can be switched on
    #[arg(long, group = "what")]
    sabotages: bool,
    /// Only what has each of these words in its name or its text
    words: Vec<String>,
    /// Print a JSON array of objects
    #[arg(long)]
    json: bool,
}

/// One thing that is listed, for people and for programs.
struct Row {
    name: String,
    text: String,
    /// Lines that belong to it: a name and a text.
    details: Vec<(String, String)>,
    json: Value,
}

impl Row {
    fn new(name: impl Into<String>, text: impl Into<String>, json: Value) -> Self {
        Row { name: name.into(), text: text.into(), details: Vec::new(), json }
    }

    fn mentions(&self, word: &str) -> bool {
        let details = self.details.iter().flat_map(|(name, text)| [name, text]);
        let word = word.to_lowercase();
        [&self.name, &self.text]
            .into_iter()
            .chain(details)
            .any(|text| text.to_lowercase().contains(&word))
    }
}

impl List {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        let mut result = Outcome::Passed;
        let mut rows = self.rows(&mut result)?;
        rows.retain(|row| self.words.iter().all(|word| row.mentions(word)));
        if rows.is_empty() && !self.words.is_empty() {
            return Err(CliError::new(format!(
                "nothing that is listed says {:?}",
                self.words.join(" ")
            )));
        }
        if self.json {
            let objects: Vec<Value> = rows.into_iter().map(|row| row.json).collect();
            out(&format!("{:#}", Value::Array(objects)));
        } else {
            out(&describe(&rows));
        }
        Ok(result)
    }

    /// What is listed. A scenario that can't be read is told and left out.
    fn rows(&self, result: &mut Outcome) -> Result<Vec<Row>, CliError> {
        Ok(match self {
            List { faults: true, .. } => faults(),
            List { milestones: true, .. } => milestones(),
            List { targets: true, .. } => targets(),
            List { invariants: true, .. } => invariants(),
            List { systems: true, .. } => jobs(),
            List { messages: true, .. } => all_messages(),
            List { sabotages: true, .. } => sabotages(),
            _ => {
                let read = shipped()?.into_iter().map(|path| Scenario::load(&path));
                let (mut rows, mut wrong) = (Vec::new(), Vec::new());
                read.for_each(|read| match read {
                    Ok(scenario) => rows.push(of_scenario(&scenario)),
                    Err(mistake) => wrong.push(mistake),
                });
                for mistake in wrong {
                    note(&format!("wavetank: {mistake}"));
                    *result = Outcome::BadInput;
                }
                rows
            }
        })
    }
}

/// Names in one column, texts in another; what belongs to a row stands under it.
fn describe(rows: &[Row]) -> String {
    let longest = |names: &mut dyn Iterator<Item = usize>| names.max().unwrap_or(0);
    let names = longest(&mut rows.iter().map(|row| row.name.chars().count())).min(30);
    let details = rows.iter().flat_map(|row| &row.details);
    let inner = longest(&mut details.map(|(name, _)| name.chars().count()));
    let mut lines = Vec::new();
    for row in rows {
        if row.text.is_empty() {
            lines.push(row.name.clone());
            continue;
        }
        let first = format!("{:<names$}  ", row.name);
        let (first, name) = match row.name.chars().count() > names {
            true => (" ".repeat(names + 2), Some(row.name.clone())),
            false => (first, None),
        };
        lines.extend(name);
        lines.push(wrap(&first, &row.text));
        let under = |(name, text): &(String, String)| wrap(&format!("    {name:<inner$}  "), text);
        lines.extend(row.details.iter().map(under));
    }
    lines.join("\n")
}

/// The systems in brackets, or nothing when it is all of them.
fn only_in(systems: &[SystemKind]) -> String {
    match systems {
        [one] => format!(" ({one})"),
        _ => String::new(),
    }
}

fn names(systems: &[SystemKind]) -> Vec<&'static str> {
    systems.iter().map(|system| system.name()).collect()
}

fn of_scenario(scenario: &Scenario) -> Row {
    let (name, description) = (&scenario.name, &scenario.description);
    let system = scenario.system.kind().name();
    let json = json!({ "name": name, "system": system, "description": description });
    Row::new(name, description, json)
}

fn faults() -> Vec<Row> {
    let json_key = |key: &FaultKey| {
        json!({
            "key": key.key, "needed": key.needed, "meaning": key.meaning, "example": key.example,
        })
    };
    let detail = |key: &FaultKey| {
        let needed = if key.needed { "" } else { "optional: " };
        (key.key.to_string(), format!("{needed}{}, such as {}", key.meaning, key.example))
    };
    let row = |name: &str, does: &str, keys: Vec<&FaultKey>| {
        let all: Vec<Value> = keys.iter().copied().map(json_key).collect();
        let json = json!({ "name": name, "does": does, "keys": all });
        Row { details: keys.iter().copied().map(detail).collect(), ..Row::new(name, does, json) }
    };
    let kinds = FAULT_KINDS.iter().map(|kind| row(kind.name, kind.does, kind.keys().collect()));
    let every = row("every kind", "The keys of all faults.", COMMON_KEYS.iter().collect());
    kinds.chain([every]).collect()
}

fn milestones() -> Vec<Row> {
    let row = |milestone: &Milestone| {
        let (name, systems) = (milestone.name(), milestone.systems());
        let text = milestone.description();
        let json = json!({ "name": name, "description": text, "systems": names(systems) });
        Row::new(name, format!("{text}{}", only_in(systems)), json)
    };
    Milestone::ALL.iter().map(row).collect()
}

fn targets() -> Vec<Row> {
    let row = |name: String, text: &str, systems: &[SystemKind]| {
        let json = json!({ "name": name, "description": text, "systems": names(systems) });
        Row::new(name, format!("{text}{}", only_in(systems)), json)
    };
    let fixed = Target::NAMES.iter().map(|(name, _, text, at)| row(name.to_string(), text, at));
    let numbered = Target::NUMBERED.iter();
    let numbered = numbered.map(|(prefix, _, text, at)| row(format!("{prefix}N"), text, at));
    fixed.chain(numbered).collect()
}

fn invariants() -> Vec<Row> {
    let mut found: Vec<(&str, &str, Vec<SystemKind>)> = Vec::new();
    for system in SystemKind::ALL {
        for invariant in invariants_of(*system) {
            match found.iter_mut().find(|(title, _, _)| *title == invariant.title()) {
                Some((_, _, systems)) => systems.push(*system),
                None => found.push((invariant.title(), invariant.promise(), vec![*system])),
            }
        }
    }
    let row = |(title, promise, systems): (&str, &str, Vec<SystemKind>)| {
        let json = json!({ "name": title, "promise": promise, "systems": names(&systems) });
        Row::new(title, format!("{promise}{}", only_in(&systems)), json)
    };
    found.into_iter().map(row).collect()
}

/// A key's meaning, bounds and default.
fn setting(setting: &Setting) -> (String, Value) {
    let Setting { table, key, meaning, bounds, default } = setting;
    let shown = default.as_deref().unwrap_or("none");
    let json = json!({
        "table": table, "key": key, "meaning": meaning, "bounds": bounds, "default": default,
    });
    (format!("{meaning} {}; default {shown}.", capitalized(bounds)), json)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn jobs() -> Vec<Row> {
    let row = |name: &str, text: &str, settings: Vec<Setting>| {
        let (mut details, mut keys) = (Vec::new(), Vec::new());
        let mut table = "";
        for one in &settings {
            if one.table != table {
                table = one.table;
                details.push((format!("[{table}]"), String::new()));
            }
            let (text, json) = setting(one);
            details.push((one.key.to_string(), text));
            keys.push(json);
        }
        let json = json!({ "name": name, "description": text, "keys": keys });
        Row { details, ..Row::new(name, text, json) }
    };
    let systems = SystemKind::ALL.iter();
    let systems = systems.map(|kind| row(kind.name(), kind.description(), kind.settings()));
    let every = row("every job", "The keys of all scenarios.", Scenario::settings());
    systems.chain([every]).collect()
}

fn all_messages() -> Vec<Row> {
    let mut found: Vec<(&str, Vec<SystemKind>)> = Vec::new();
    for system in SystemKind::ALL {
        for kind in messages(*system) {
            match found.iter_mut().find(|(name, _)| *name == kind) {
                Some((_, systems)) => systems.push(*system),
                None => found.push((kind, vec![*system])),
            }
        }
    }
    let row = |(name, systems): (&str, Vec<SystemKind>)| {
        let json = json!({ "name": name, "systems": names(&systems) });
        Row::new(format!("{name}{}", only_in(&systems)), "", json)
    };
    found.into_iter().map(row).collect()
}

fn sabotages() -> Vec<Row> {
    let row = |switch: &Sabotage| {
        let (name, text) = (switch.name(), switch.description());
        let (published, caught) = (switch.published(), sabotage::caught_by(*switch));
        let json = json!({
            "name": name, "description": text, "published": published, "caught_by": caught,
        });
        let text = format!("{text} ({published}; caught by {})", caught.join(" or "));
        Row::new(name, text, json)
    };
    Sabotage::ALL.iter().map(row).collect()
}
