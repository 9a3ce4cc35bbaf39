//! Writes a scenario as a file that reads back as the very same, with every default spelled out, so
//! that a later change of a default does not change it.

use super::{Scenario, Subject, units::exact_duration};
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

impl Scenario {
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
            subject,
            latency,
            faults,
            swarm,
            faults_end,
            converge,
            meanwhile,
            expect,
            seed,
            reaches,
        } = self;
        writer.text("subject", subject.kind().name());
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
        writer.text("faults-end", exact_duration(*faults_end));
        match subject {
            Subject::Journal(spec) => spec.write(&mut writer),
            Subject::WordCount(spec) => spec.write(&mut writer),
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
}
