//! Writes a scenario as a file that reads back as the very same, with every default spelled out, so
//! that a later change of a default does not change it.

use super::Scenario;
use crate::harness::language::{Writer, exact_duration};

/// The tables that say nothing about how large a run is.
const NO_SIZES: [&str; 4] = ["fault", "swarm", "converge", "meanwhile"];

/// A key and its value as they are shown.
type Size = (String, String);

/// The keys of a table whose drawn values are not what the file says.
fn drawn_in(was: Option<&toml::Table>, drawn: &toml::Table) -> Vec<Size> {
    let drawn = drawn
        .iter()
        .filter(|(key, value)| was.and_then(|was| was.get(*key)).is_some_and(|was| was != *value));
    let shown = |value: &toml::Value| value.as_str().map_or(value.to_string(), str::to_string);
    drawn.map(|(key, value)| (key.clone(), shown(value))).collect()
}

impl Scenario {
    /// What a seed draws from the ranges of the settings, by key; without those that are one value. Where a
    /// table comes several times, behind its name and number.
    pub fn sizes(&self, seed: u64) -> Vec<Size> {
        let table = |scenario: &Scenario| -> toml::Table {
            toml::from_str(&scenario.to_toml()).expect("what is written can be read")
        };
        let (ranges, drawn) = (table(self), table(&self.drawn(seed)));
        let mut sizes = Vec::new();
        for (name, value) in drawn.iter().filter(|(name, _)| !NO_SIZES.contains(&name.as_str())) {
            match (ranges.get(name), value) {
                (Some(toml::Value::Table(was)), toml::Value::Table(drawn)) => {
                    sizes.extend(drawn_in(Some(was), drawn));
                }
                (Some(toml::Value::Array(was)), toml::Value::Array(drawn)) => {
                    sizes.extend(drawn_of_several(name, was, drawn));
                }
                _ => {}
            }
        }
        sizes
    }

    /// The text of a file that reads back as this scenario, but for its name.
    pub fn to_toml(&self) -> String {
        self.to_toml_with_notes(&[])
    }

    /// The same with a comment in front of each fault, as far as there are notes.
    pub fn to_toml_with_notes(&self, notes: &[String]) -> String {
        let mut writer = Writer::default();
        let Scenario {
            name: _,
            description,
            system,
            latency,
            faults,
            swarm,
            heal_at,
            converge,
            expect,
            seed,
            reaches,
        } = self;
        writer.text("system", system.name());
        writer.text("description", description);
        writer.text("expect", expect);
        if let Some(seed) = seed {
            // As a text: TOML's integers end at 2^63.
            writer.text("seed", seed);
        }
        if !reaches.is_empty() {
            let names = reaches.iter().map(|milestone| format!("  \"{milestone}\",\n"));
            writer.raw("reaches", format!("[\n{}]", names.collect::<String>()));
        }
        writer.text("heal-at", exact_duration(*heal_at));
        system.write(&mut writer);
        writer.table("[network]");
        writer.text("latency", latency);
        converge.write(&mut writer);
        if let Some(swarm) = swarm {
            crate::harness::language::Settings::write(swarm, &mut writer);
        }
        for (index, fault) in faults.iter().enumerate() {
            writer.table("[[fault]]");
            if let Some(note) = notes.get(index) {
                writer.comment(note);
            }
            fault.write(&mut writer);
        }
        writer.finish()
    }
}

/// The same of a table that comes several times.
fn drawn_of_several(name: &str, was: &[toml::Value], drawn: &[toml::Value]) -> Vec<Size> {
    let (mut sizes, alone) = (Vec::new(), was.len() == 1);
    if was.len() != drawn.len() {
        sizes.push((format!("{name}s"), drawn.len().to_string()));
    }
    for (number, (was, drawn)) in (1..).zip(was.iter().zip(drawn)) {
        let Some(table) = drawn.as_table() else { continue };
        sizes.extend(drawn_in(was.as_table(), table).into_iter().map(|(key, value)| {
            let key = if alone { key } else { format!("{name} {number} {key}") };
            (key, value)
        }));
    }
    sizes
}
