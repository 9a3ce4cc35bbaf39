//! Writes a scenario as a file that reads back as the very same, with every default spelled out, so
//! that a later change of a default does not change it.

use super::{JournalSpec, Scenario, Subject, WordCountSpec, units::exact_duration};
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
            faults_end,
            converge_within,
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
            Subject::Journal(spec) => write_journal(spec, &mut writer),
            Subject::WordCount(spec) => write_word_count(spec, &mut writer),
        }
        writer.table("[network]");
        writer.text("latency", latency);
        writer.table("[converge]");
        writer.text("within", exact_duration(*converge_within));
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

fn write_journal(spec: &JournalSpec, writer: &mut Writer) {
    let JournalSpec { journals, clients, session_timeout, lines, batch, pause } = spec;
    writer.table("[cluster]");
    writer.raw("journals", journals);
    writer.raw("clients", clients);
    writer.text("session-timeout", exact_duration(*session_timeout));
    writer.table("[workload]");
    writer.raw("lines", lines);
    writer.raw("batch", batch);
    writer.text("pause", exact_duration(*pause));
}

fn write_word_count(spec: &WordCountSpec, writer: &mut Writer) {
    let WordCountSpec {
        job_managers,
        task_executors,
        slots,
        session_timeout,
        heartbeat,
        parallelism,
        lines,
        line_words,
        words,
        lines_per_second,
        checkpoint_interval,
        checkpoint_timeout,
        service_time,
        buffer_timeout,
        restarts,
        restart_delay,
        cancel_after,
        fail_at,
        panic_at,
        fail_times,
        poisoned,
        slow_subtask,
        skew,
    } = spec;
    writer.table("[cluster]");
    writer.raw("job-managers", job_managers);
    writer.raw("task-executors", task_executors);
    writer.raw("slots", slots);
    writer.text("session-timeout", exact_duration(*session_timeout));
    writer.text("heartbeat", exact_duration(*heartbeat));
    writer.table("[workload]");
    writer.raw("parallelism", parallelism);
    writer.raw("lines", lines);
    writer.raw("line-words", line_words);
    writer.raw("words", words);
    writer.raw("lines-per-second", lines_per_second);
    writer.text("checkpoint-interval", exact_duration(*checkpoint_interval));
    writer.text("checkpoint-timeout", exact_duration(*checkpoint_timeout));
    writer.text("service-time", service_time);
    writer.text("buffer-timeout", exact_duration(*buffer_timeout));
    writer.raw("restarts", restarts);
    writer.text("restart-delay", exact_duration(*restart_delay));
    if let Some(after) = cancel_after {
        writer.text("cancel-after", after);
    }
    writer.maybe("fail-at", fail_at.as_ref());
    writer.maybe("panic-at", panic_at.as_ref());
    writer.raw("fail-times", fail_times);
    writer.maybe("poisoned", poisoned.as_ref());
    writer.maybe("slow-subtask", slow_subtask.as_ref());
    writer.maybe("skew", skew.as_ref());
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
