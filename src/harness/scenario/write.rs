//! Writes a scenario as a file that reads back as the very same, with every default spelled out, so
//! that a later change of a default does not change it.

use super::{Scenario, SystemSpec, units::exact_duration};
use std::fmt::{Display, Write};

/// Writes TOML line by line.
#[derive(Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// Begins a table; `[name]`, or `[[name]]` of an array.
    pub fn table(&mut self, header: &str) {
        let _ = writeln!(self.text, "\n{header}");
    }

    /// Writes a line of comment for each line of `text`.
    pub fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.text, "# {line}");
        }
    }

    /// Writes a key with a text.
    pub fn text(&mut self, key: &str, value: impl Display) {
        let value = toml::Value::String(value.to_string());
        let _ = writeln!(self.text, "{key} = {value}");
    }

    /// Writes a key with a text if there is one.
    pub fn maybe(&mut self, key: &str, value: Option<&impl Display>) {
        value.into_iter().for_each(|value| self.text(key, value));
    }

    /// Writes a key with a value that is TOML already.
    pub fn raw(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }
}

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
            meanwhile,
            expect,
            seed,
            reaches,
        } = self;
        writer.text("system", system.kind().name());
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
        match system {
            SystemSpec::Journal(spec) => spec.write(&mut writer),
            SystemSpec::WordCount(spec) => spec.write(&mut writer),
        }
        writer.table("[network]");
        writer.text("latency", latency);
        converge.write(&mut writer);
        meanwhile.write(&mut writer);
        if let Some(swarm) = swarm {
            swarm.write(&mut writer);
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

#[cfg(test)]
mod tests {
    use crate::harness::{
        fault::FaultPlan,
        scenario::{SCENARIOS, Scenario, discover},
    };
    use std::path::Path;

    #[test]
    fn every_shipped_scenario_and_each_of_its_plans_reads_back() {
        let paths = discover(&Path::new(env!("CARGO_MANIFEST_DIR")).join(SCENARIOS)).unwrap();
        assert!(paths.len() > 30, "they were found");
        for path in paths {
            let scenario = Scenario::load(&path).unwrap();
            assert_eq!(Scenario::parse(&scenario.to_toml(), &path).unwrap(), scenario);
            for seed in [0, 1, u64::MAX] {
                let plan = FaultPlan::draw(&scenario, seed);
                let pinned = scenario.pinned(seed, plan.faults.iter());
                let read = Scenario::parse(&pinned.to_toml(), &path).unwrap();
                assert_eq!(read, pinned);
                let again = FaultPlan::draw(&read, 5);
                assert_eq!(again.faults, plan.faults, "whatever seed is asked for");
            }
        }
    }

    #[test]
    fn a_seed_says_what_it_draws_from_ranges_and_nothing_else() {
        let text = "description = \"A test.\"\nsystem = \"word-count\"\n[cluster]\nslots = 3\n\
                    task-executors = \"3..6\"\n[workload]\nskew = \"10%..90%\"\n";
        let scenario = Scenario::parse(text, Path::new("a.toml")).expect("it is sound");
        let keys = |seed| scenario.sizes(seed).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(1), ["task-executors", "skew"]);
        let executors = |seed| scenario.sizes(seed).swap_remove(0).1;
        let drawn: std::collections::BTreeSet<String> = (0..50).map(executors).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), ["3", "4", "5", "6"]);
        let plain = Scenario::parse("description = \"A test.\"", Path::new("a.toml"));
        assert_eq!(plain.expect("it is sound").sizes(1), Vec::new());
    }
}
