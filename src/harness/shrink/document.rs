//! A plan as the tables of its file, which is what shrinking works on.

use crate::harness::{
    language::{Setting, parse_duration},
    scenario::Scenario,
    system::{SystemSpec, Systems},
};
use std::{collections::BTreeSet, fmt, path::Path};

/// Tables whose keys say what a run must come to, or what is drawn: they stay as they are.
const FIXED_TABLES: [&str; 3] = ["converge", "meanwhile", "swarm"];
/// Keys of the beginning of a file that stay.
const FIXED_KEYS: [&str; 6] = ["system", "description", "expect", "seed", "reaches", "heal-at"];

/// The tables of faults.
pub(super) const FAULT: &str = "fault";

/// The tables of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document(toml::Table);

/// Where a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its table; empty for the beginning of the file.
    pub table: String,
    /// Which of the tables of that name, where there can be several.
    pub index: Option<usize>,
    /// The key.
    pub key: String,
}

/// How large a plan is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its faults.
    pub faults: usize,
    /// Nodes whose number a key says; of each role, where there are any.
    pub nodes: u64,
    /// The other keys that say how much there is of something, such as lines, and their values.
    pub sizes: Vec<(String, u64)>,
    /// The keys besides those that are not at their defaults.
    pub settings: usize,
}

impl Document {
    pub fn of(scenario: &Scenario) -> Self {
        Document(toml::from_str(&scenario.to_toml()).expect("what is written can be read"))
    }

    /// The scenario that it says, under the name of another; `None` when it says none.
    pub fn scenario(&self, systems: Systems, like: &Scenario) -> Option<Scenario> {
        let text = toml::to_string(&self.0).ok()?;
        let scenario = systems.parse(&text, Path::new("candidate.toml")).ok()?;
        Some(Scenario { name: like.name.clone(), ..scenario })
    }

    /// The value at a place.
    pub fn get(&self, place: &Place) -> Option<&toml::Value> {
        self.table(&place.table, place.index)?.get(&place.key)
    }

    /// The same with another value there, or with none.
    #[must_use]
    pub fn with(&self, place: &Place, value: Option<toml::Value>) -> Self {
        let mut changed = self.clone();
        if let Some(table) = changed.table_mut(&place.table, place.index) {
            match value {
                Some(value) => drop(table.insert(place.key.clone(), value)),
                None => drop(table.remove(&place.key)),
            }
        }
        changed
    }

    /// How many tables of a name there are.
    pub fn count(&self, name: &str) -> usize {
        self.0.get(name).and_then(toml::Value::as_array).map_or(0, Vec::len)
    }

    /// One of several tables of a name.
    pub fn one(&self, name: &str, index: usize) -> Option<&toml::Table> {
        self.table(name, Some(index))
    }

    /// The same without some of the tables of a name.
    #[must_use]
    pub fn without(&self, name: &str, gone: &BTreeSet<usize>) -> Self {
        let mut changed = self.clone();
        let kept = changed.0.get_mut(name).and_then(toml::Value::as_array_mut);
        if let Some(tables) = kept {
            let mut index = 0..;
            tables.retain(|_| !gone.contains(&index.next().expect("it has no end")));
            if tables.is_empty() {
                changed.0.remove(name);
            }
        }
        changed.drop_orphans();
        changed
    }

    /// The same with others in the place of one of the tables of a name.
    #[must_use]
    pub fn with_tables(&self, name: &str, index: usize, tables: Vec<toml::Table>) -> Self {
        let mut changed = self.clone();
        if let Some(all) = changed.0.get_mut(name).and_then(toml::Value::as_array_mut) {
            all.splice(index..=index, tables.into_iter().map(toml::Value::Table));
        }
        changed
    }

    /// Takes out the faults that hang on one that is not there, and lets go of it those that only spare its nodes.
    fn drop_orphans(&mut self) {
        let Some(faults) = self.0.get_mut(FAULT).and_then(toml::Value::as_array_mut) else {
            return;
        };
        loop {
            let name = |fault: &toml::Value| fault.get("name")?.as_str().map(str::to_string);
            let names: BTreeSet<String> = faults.iter().filter_map(name).collect();
            for fault in faults.iter_mut().filter_map(toml::Value::as_table_mut) {
                let spared = fault.get("nodes").and_then(|nodes| nodes.get("other-than"));
                let spared = spared.and_then(toml::Value::as_str);
                if spared.is_some_and(|spared| !names.contains(spared)) {
                    fault.remove("nodes");
                }
            }
            let before = faults.len();
            faults.retain(|fault| others(fault).iter().all(|other| names.contains(other)));
            if faults.len() == before {
                break;
            }
        }
        if faults.is_empty() {
            self.0.remove(FAULT);
        }
    }

    /// Every key that may be changed, with what is declared of it.
    pub fn settings(&self, system: &SystemSpec) -> Vec<(Place, Setting)> {
        let mut declared = Scenario::settings(system.system());
        declared.extend(system.declared());
        let mut found = Vec::new();
        for (name, value) in &self.0 {
            match value {
                toml::Value::Table(table) => {
                    found.extend(keys_of(name, None, table, &declared));
                }
                toml::Value::Array(tables) if name != FAULT => {
                    for (index, table) in tables.iter().enumerate() {
                        let table = table.as_table().into_iter();
                        let keys =
                            table.flat_map(|table| keys_of(name, Some(index), table, &declared));
                        found.extend(keys);
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The names of tables of which there can be several, faults aside.
    pub fn several(&self) -> Vec<String> {
        let several = self.0.iter().filter(|(name, value)| value.is_array() && *name != FAULT);
        let tables = several.filter(|(name, _)| !FIXED_KEYS.contains(&name.as_str()));
        tables.map(|(name, _)| name.clone()).collect()
    }

    /// How large it is.
    pub fn measure(&self, system: &SystemSpec) -> Measure {
        let of_nodes: Vec<_> = system.nodes().into_iter().filter_map(|nodes| nodes.key).collect();
        let mut measure =
            Measure { faults: self.count(FAULT), nodes: 0, sizes: Vec::new(), settings: 0 };
        for (place, setting) in self.settings(system) {
            let value = self.get(&place).expect("it was found there");
            let Some(size) = number(value).filter(|_| setting.least.is_some()) else {
                measure.settings += usize::from(!is_default(value, &setting));
                continue;
            };
            let counts_nodes =
                of_nodes.iter().any(|(table, key)| *table == place.table && *key == place.key);
            match counts_nodes {
                true => measure.nodes += size,
                false => measure.sizes.push((place.to_string(), size)),
            }
        }
        measure
    }

    fn table(&self, name: &str, index: Option<usize>) -> Option<&toml::Table> {
        match (name, index) {
            ("", _) => Some(&self.0),
            (name, None) => self.0.get(name)?.as_table(),
            (name, Some(index)) => self.0.get(name)?.as_array()?.get(index)?.as_table(),
        }
    }

    fn table_mut(&mut self, name: &str, index: Option<usize>) -> Option<&mut toml::Table> {
        match (name, index) {
            ("", _) => Some(&mut self.0),
            (name, None) => self.0.get_mut(name)?.as_table_mut(),
            (name, Some(index)) => {
                self.0.get_mut(name)?.as_array_mut()?.get_mut(index)?.as_table_mut()
            }
        }
    }
}

impl Measure {
    /// Whether it is smaller in something, and larger in nothing that counts more.
    pub fn is_less_than(&self, other: &Measure) -> bool {
        let order = |measure: &Measure| {
            let sizes: u64 = measure.sizes.iter().map(|(_, size)| *size).sum();
            (measure.faults, measure.nodes, sizes, measure.settings)
        };
        order(self) < order(other)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) if index > 0 => write!(f, "{} of {} {}", self.key, self.table, index + 1),
            _ => f.write_str(&self.key),
        }
    }
}

/// Of a table the keys that may be changed.
fn keys_of(
    name: &str,
    index: Option<usize>,
    table: &toml::Table,
    declared: &[Setting],
) -> Vec<(Place, Setting)> {
    if FIXED_TABLES.contains(&name) {
        return Vec::new();
    }
    let kind = table.get("name").and_then(toml::Value::as_str);
    let known = |key: &str| {
        let of_table = |setting: &&Setting| {
            setting.table.trim_matches(['[', ']']) == name && setting.key == key
        };
        let mut matching = declared.iter().filter(of_table);
        // A kind of job may have a key of that name of its own.
        let own = matching.clone().find(|setting| setting.only.is_some() && setting.only == kind);
        own.or_else(|| matching.find(|setting| setting.only.is_none())).cloned()
    };
    let keys = table.keys().filter(|key| *key != "name" && !FIXED_KEYS.contains(&key.as_str()));
    let place = |key: &String| Place { table: name.to_string(), index, key: key.clone() };
    keys.filter_map(|key| Some((place(key), known(key)?))).collect()
}

/// The faults without which one comes to nothing.
fn others(fault: &toml::Value) -> Vec<String> {
    let named = |key: &str, field: &str| fault.get(key)?.get(field)?.as_str().map(str::to_string);
    let places = [("with", "fault"), ("nodes", "same-as")];
    places.iter().filter_map(|(key, field)| named(key, field)).collect()
}

/// A whole number, as a number or a text.
pub(super) fn number(value: &toml::Value) -> Option<u64> {
    match value {
        toml::Value::Integer(number) => u64::try_from(*number).ok(),
        toml::Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The value that a file writes for what it gets without the key.
pub(super) fn default_of(setting: &Setting) -> Option<toml::Value> {
    let text = setting.default.as_ref()?;
    let table: toml::Table = toml::from_str(&format!("it = {text}")).ok()?;
    table.get("it").cloned()
}

/// Whether a value is what the key's absence means.
pub(super) fn is_default(value: &toml::Value, setting: &Setting) -> bool {
    let time = |value: &toml::Value| parse_duration(value.as_str()?);
    default_of(setting).is_some_and(|default| {
        let is_same = *value == default;
        is_same
            || number(value).is_some_and(|value| number(&default) == Some(value))
            || time(value).is_some_and(|value| time(&default) == Some(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
        [[job]]
        name = "a"
        [[job]]
        name = "b"
        [[fault]]
        name = "cut"
        [[fault]]
        name = "later"
        with = { fault = "cut", edge = "end" }
        [[fault]]
        name = "last"
        with = { fault = "later" }
        [[fault]]
        name = "elsewhere"
        nodes = { other-than = "cut" }
        [[fault]]
        name = "there"
        nodes = { same-as = "cut" }
    "#;

    fn plan() -> Document {
        Document(toml::from_str(PLAN).expect("it is TOML"))
    }

    fn names(document: &Document) -> Vec<&str> {
        let faults = (0..document.count(FAULT)).filter_map(|index| document.one(FAULT, index));
        faults.filter_map(|fault| fault.get("name")?.as_str()).collect()
    }

    #[test]
    fn what_hangs_on_a_fault_goes_with_it_and_what_spares_its_nodes_stays() {
        let without = plan().without(FAULT, &BTreeSet::from([0]));
        assert_eq!(names(&without), ["elsewhere"]);
        assert!(!without.one(FAULT, 0).expect("it is there").contains_key("nodes"));
        let without = plan().without(FAULT, &BTreeSet::from([1]));
        assert_eq!(names(&without), ["cut", "elsewhere", "there"]);
        assert_eq!(plan().without(FAULT, &(0..5).collect()).count(FAULT), 0);
    }

    #[test]
    fn others_take_the_place_of_a_fault() {
        let table = |name: &str| toml::Table::from_iter([("name".to_string(), name.into())]);
        let with = plan().with_tables(FAULT, 2, vec![table("x"), table("y")]);
        assert_eq!(names(&with), ["cut", "later", "x", "y", "elsewhere", "there"]);
    }

    #[test]
    fn keys_are_set_and_taken_away_and_tables_counted() {
        let place = |index| Place { table: FAULT.to_string(), index, key: "name".to_string() };
        let named = plan().with(&place(Some(1)), Some("other".into()));
        assert_eq!(named.get(&place(Some(1))), Some(&"other".into()));
        assert_eq!(named.with(&place(Some(1)), None).get(&place(Some(1))), None);
        assert_eq!(plan().get(&place(Some(9))), None);
        assert_eq!((plan().several(), plan().count("job")), (vec!["job".to_string()], 2));
        assert_eq!(number(&"12".into()), Some(12));
        assert_eq!(number(&toml::Value::Integer(-1)), None);
    }

    #[test]
    fn a_default_is_known_however_it_is_written() {
        let setting = |default: &str| Setting {
            table: "cluster",
            key: "pause",
            meaning: "",
            bounds: String::new(),
            default: Some(default.to_string()),
            only: None,
            least: None,
        };
        assert!(is_default(&"0s".into(), &setting("\"0ms\"")));
        assert!(is_default(&toml::Value::Integer(4), &setting("4")));
        assert!(is_default(&"4".into(), &setting("4")));
        assert!(!is_default(&"1s".into(), &setting("\"0ms\"")));
        assert!(!is_default(&"1s".into(), &Setting { default: None, ..setting("") }));
    }
}
