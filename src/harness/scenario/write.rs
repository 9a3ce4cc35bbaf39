//! Writes a scenario as a file that reads back as the very same, with every default spelled out, so
//! that a later change of a default does not change it.

use super::Scenario;
use crate::harness::language::{Writer, exact_duration};

/// The tables whose ranges say how large a run is.
const SIZES: [&str; 3] = ["cluster", "workload", "network"];

impl Scenario {
    /// What a seed draws from the ranges of the settings, by key; without those that are one value.
    pub fn sizes(&self, seed: u64) -> Vec<(String, String)> {
        let table = |scenario: &Scenario| -> toml::Table {
            toml::from_str(&scenario.to_toml()).expect("what is written can be read")
        };
        let (ranges, drawn) = (table(self), table(&self.drawn(seed)));
        let of_table = |name: &str| {
            let keys = drawn.get(name).and_then(toml::Value::as_table).into_iter().flatten();
            let was = ranges.get(name).and_then(toml::Value::as_table);
            let drawn = keys.filter(move |(key, value)| {
                was.and_then(|was| was.get(*key)).is_some_and(|was| was != *value)
            });
            let shown =
                |value: &toml::Value| value.as_str().map_or(value.to_string(), str::to_string);
            drawn.map(|(key, value)| (key.clone(), shown(value))).collect::<Vec<_>>()
        };
        SIZES.iter().flat_map(|name| of_table(name)).collect()
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
