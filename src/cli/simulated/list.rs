//! `list`: what there is.

use super::{CliError, Outcome, shipped};
use crate::{
    cli::simulated::print::{note, out},
    harness::{
        fault::{COMMON_KEYS, FAULT_KINDS, FaultKey, FaultWords, fault_kinds},
        language::{Setting, wrap},
        scenario::Scenario,
        system::{AnySystem, Systems},
    },
    host::{Property, Sabotage},
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
    /// What the code claims of itself in a line: `always!`, `sometimes!` and `reachable!`
    #[arg(long, group = "what")]
    properties: bool,
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
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let mut result = Outcome::Passed;
        let mut rows = self.rows(systems, &mut result)?;
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
    fn rows(&self, systems: Systems, result: &mut Outcome) -> Result<Vec<Row>, CliError> {
        Ok(match self {
            List { faults: true, .. } => faults(systems),
            List { milestones: true, .. } => milestones(systems),
            List { targets: true, .. } => targets(systems),
            List { invariants: true, .. } => invariants(systems),
            List { properties: true, .. } => properties(systems),
            List { systems: true, .. } => all_systems(systems),
            List { messages: true, .. } => all_messages(systems),
            List { sabotages: true, .. } => sabotages(systems),
            _ => {
                let read = shipped()?.into_iter().map(|path| systems.load(&path));
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

/// A word and the names of the systems that know it.
struct Known {
    name: String,
    text: String,
    systems: Vec<&'static str>,
}

impl Known {
    /// What the systems know, each word once.
    fn all(
        systems: Systems,
        words: impl Fn(&dyn AnySystem) -> Vec<(String, String)>,
    ) -> Vec<Known> {
        let mut found: Vec<Known> = Vec::new();
        for system in systems.all() {
            for (name, text) in words(*system) {
                match found.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.systems.push(system.name()),
                    None => found.push(Known { name, text, systems: vec![system.name()] }),
                }
            }
        }
        found
    }

    /// As a row, with the only system in brackets where there are several.
    fn row(self, systems: Systems, key: &str) -> Row {
        let Known { name, text, systems: known } = self;
        let json = json!({ "name": name, key: text, "systems": known });
        let only = match known[..] {
            [one] if systems.all().len() > 1 => format!(" ({one})"),
            _ => String::new(),
        };
        match text.is_empty() {
            true => Row::new(format!("{name}{only}"), "", json),
            false => Row::new(name, format!("{text}{only}"), json),
        }
    }
}

fn of_scenario(scenario: &Scenario) -> Row {
    let (name, description) = (&scenario.name, &scenario.description);
    let system = scenario.system.name();
    let json = json!({ "name": name, "system": system, "description": description });
    Row::new(name, description, json)
}

fn faults(systems: Systems) -> Vec<Row> {
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
    let mut known: Vec<FaultWords> = FAULT_KINDS.to_vec();
    for kind in systems.all().iter().flat_map(|system| fault_kinds(*system)) {
        if !known.contains(&kind) {
            known.push(kind);
        }
    }
    let kinds = known.iter().map(|kind| row(kind.name, kind.does, kind.keys().collect()));
    let every = row("every kind", "The keys of all faults.", COMMON_KEYS.iter().collect());
    kinds.chain([every]).collect()
}

fn milestones(systems: Systems) -> Vec<Row> {
    let words = |system: &dyn AnySystem| {
        let milestones = system.milestones().into_iter();
        let text = |milestone: crate::harness::event::Milestone| {
            let asks: Vec<String> =
                milestone.asks().iter().map(|ask| format!("`{}`", ask.key)).collect();
            let asks = match &asks[..] {
                [] => String::new(),
                keys => format!(" Can be asked for {}.", keys.join(" and ")),
            };
            (milestone.name().to_string(), format!("{}{asks}", milestone.description()))
        };
        milestones.map(text).collect()
    };
    Known::all(systems, words).into_iter().map(|k| k.row(systems, "description")).collect()
}

fn targets(systems: Systems) -> Vec<Row> {
    let words = |system: &dyn AnySystem| {
        let name = |name: String, numbered| match numbered {
            true => format!("{}N", name.trim_end_matches('1')),
            false => name,
        };
        let targets = system.targets().into_iter();
        targets.map(|words| (name(words.name, words.is_numbered), words.meaning)).collect()
    };
    Known::all(systems, words).into_iter().map(|k| k.row(systems, "description")).collect()
}

fn invariants(systems: Systems) -> Vec<Row> {
    let words = |system: &dyn AnySystem| {
        let invariants = system.invariants().into_iter();
        invariants.map(|words| (words.title.to_string(), words.promise.to_string())).collect()
    };
    Known::all(systems, words).into_iter().map(|k| k.row(systems, "promise")).collect()
}

/// Every property of code that these systems run; one may stand at several places.
fn properties(systems: Systems) -> Vec<Row> {
    let row = |property: &&'static Property| {
        let (name, kind, place) = (property.name(), property.kind().name(), property.place());
        let of = |system: &&&dyn AnySystem| system.properties().contains(property);
        let known: Vec<&str> = systems.all().iter().filter(of).map(|one| one.name()).collect();
        if known.is_empty() {
            return None;
        }
        let (module, claim) = (property.module(), property.claim());
        let json = json!({
            "name": name, "kind": kind, "claim": claim, "module": module, "place": place,
            "systems": known,
        });
        Some(Row::new(name, format!("{kind}: {claim} ({}).", short(&place)), json))
    };
    Property::all().iter().filter_map(row).collect()
}

/// The file and its folder: a whole path is too wide for a column, and stands in the JSON.
fn short(place: &str) -> &str {
    place.rmatch_indices('/').nth(1).map_or(place, |(at, _)| &place[at + 1..])
}

/// A key's meaning, bounds and default.
fn setting(setting: &Setting) -> (String, Value) {
    let Setting { table, key, meaning, bounds, default, only, least: _ } = setting;
    let shown = default.as_deref().unwrap_or("none");
    let json = json!({
        "table": table, "key": key, "meaning": meaning, "bounds": bounds, "default": default,
        "only": only,
    });
    let of = only.map(|name| format!("Of {name}: ")).unwrap_or_default();
    (format!("{of}{meaning} {}; default {shown}.", capitalized(bounds)), json)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn all_systems(systems: Systems) -> Vec<Row> {
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
    let is_goal = |setting: &Setting| setting.table == "converge" && setting.key != "within";
    let of_system = |system: &&dyn AnySystem| {
        let goals = Scenario::settings(*system).into_iter().filter(is_goal);
        let settings = system.settings().into_iter().chain(goals).collect();
        row(system.name(), system.description(), settings)
    };
    let mut of_all = Scenario::settings(systems.default_system());
    of_all.retain(|setting| !is_goal(setting));
    let every = row("every system", "The keys of all scenarios.", of_all);
    systems.all().iter().map(of_system).chain([every]).collect()
}

fn all_messages(systems: Systems) -> Vec<Row> {
    let words = |system: &dyn AnySystem| {
        let groups = system.messages().into_iter();
        groups.flat_map(|group| group.kinds).map(|kind| (kind.to_string(), String::new())).collect()
    };
    Known::all(systems, words).into_iter().map(|k| k.row(systems, "description")).collect()
}

fn sabotages(systems: Systems) -> Vec<Row> {
    let row = |switch: Sabotage| {
        let (name, text) = (switch.name(), switch.description());
        let (published, caught) = (switch.published(), switch.caught_by());
        let json = json!({
            "name": name, "description": text, "published": published, "caught_by": caught,
        });
        let text = format!("{text} ({published}; caught by {})", caught.join(" or "));
        Row::new(name, text, json)
    };
    systems.sabotages().into_iter().map(row).collect()
}
