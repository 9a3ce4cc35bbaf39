//! `run`: one scenario, one seed.

use super::{
    CliError, Outcome, check::sizes, failure::tell, find_scenario, parse_sabotage, parse_seed,
    virtual_time::VirtualTime,
};
use crate::{
    cli::{
        log,
        simulated::print::{check_writable, is_stdout, out, write_file, write_json, written},
    },
    harness::{
        check::Verdict,
        explore::{INPUT_BYTES_MAX, Output, RunConfig, RunOutcome, lines, run_on_fresh_thread},
        report::{cut, describe_run, state_changes},
        scenario::{Scenario, SystemSpec, read_file},
    },
    host::{MESSAGE_BYTES_MAX, Sabotage},
    jobs::word_count::words,
    system::task_executor::RECORD_BYTES_MAX,
};
use bytes::Bytes;
use clap::Args;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The most bytes of a line of a text: a line is a record, and so is a word with its count.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX - 32;
/// Letters of a word in an error.
const WORD_SHOWN_MAX: usize = 40;

/// Runs one scenario with one seed.
#[derive(Args)]
pub struct Run {
    /// The scenario: a file, or a name as `wavetank list` prints it
    scenario: String,
    /// The plan seed: what the adversary and the workload draw; 0 if absent
    #[arg(long, value_name = "SEED", default_value_t = 0, hide_default_value = true, value_parser = parse_seed, allow_hyphen_values = true)]
    seed: u64,
    /// The scheduling seed; derived from the plan seed if absent
    #[arg(long, value_name = "SEED", value_parser = parse_seed, allow_hyphen_values = true)]
    schedule: Option<u64>,
    /// A text whose lines take the place of the scenario's workload
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Write each word's count, as `sort | uniq -c` does, sorted by word
    #[arg(long, value_name = "FILE")]
    counts: Option<PathBuf>,
    /// Switch a known bug on
    #[arg(long, value_parser = parse_sabotage, value_name = "NAME")]
    sabotage: Option<Sabotage>,
    /// Print every change of the cluster's state
    #[arg(long)]
    history: bool,
    /// Print how often each milestone was reached, to choose `nth` by
    #[arg(long)]
    milestones: bool,
    /// Save the run as a folder under failures/ even if it ends as expected: its history, its trace
    /// and the fates of its frames
    #[arg(long)]
    save: bool,
    /// Print tracing lines with node and virtual time, such as wavetank=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Write one JSON object to FILE, or to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl Run {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        if let Some(filter) = &self.log {
            log::install(filter, VirtualTime)?;
        }
        let scenario = find_scenario(&self.scenario)?;
        if let (SystemSpec::Journal(_), Some(_)) = (&scenario.system, &self.counts) {
            let what = "is a journal, which counts no words; `wavetank list` names the word counts";
            return Err(CliError::new(format!("--counts: {} {what}", scenario.name)));
        }
        let input = self.input.as_ref().map(|path| read_lines(path, &scenario)).transpose()?;
        let config = RunConfig {
            schedule: self.schedule,
            sabotage: self.sabotage,
            input: input.clone(),
            ..RunConfig::new(self.seed)
        };
        check_writable(self.json.as_deref())?;
        check_writable(self.counts.as_deref())?;
        let began = wall_clock();
        let outcome = run_on_fresh_thread(&scenario, &config);
        let wall = began.elapsed();
        // With a report on standard output nothing else may be said there.
        let say = |text: &str| {
            if !is_stdout(self.json.as_ref()) {
                out(text);
            }
        };
        self.describe(&scenario, &outcome, &say);
        let mut result = result_of(&outcome);
        let failed = result != Outcome::Passed;
        let told =
            (failed || self.save).then(|| tell(&scenario, &outcome, self.sabotage, input.clone()));
        if let Some(told) = &told {
            match &told.folder {
                Some(folder) if !failed && told.outcome == Outcome::Passed => {
                    say(&format!("kept in {}", folder.display()));
                }
                _ => say(&format!("\n{}", told.text)),
            }
            result = result.worse(told.outcome);
        }
        if let Some(input) = &input {
            let compared = compare(&outcome.output, input);
            say(compared.as_ref().unwrap_or_else(|difference| difference));
            if compared.is_err() {
                result = result.worse(Outcome::Violated);
            }
        }
        if let (Some(path), Output::Counts(counts)) = (&self.counts, &outcome.output) {
            let lines = counts.iter().map(|(word, count)| format!("{count:>7} {word}\n"));
            result = result.worse(written(write_file(path, &lines.collect::<String>())));
        }
        if let Some(path) = &self.json {
            let folder = told.as_ref().and_then(|told| told.folder.as_deref());
            result = result.worse(written(write_json(path, &json(&outcome, wall, folder))));
        }
        Ok(result)
    }

    /// What a person asked to read of the run, and its plan and verdict.
    fn describe(&self, scenario: &Scenario, outcome: &RunOutcome, say: &impl Fn(&str)) {
        if self.history {
            state_changes(outcome).iter().for_each(|line| say(line));
            say("");
        }
        if self.milestones {
            for (milestone, count) in &outcome.milestones {
                say(&format!("{count:>7}  {milestone}"));
            }
            say("");
        }
        say(&describe_run(outcome, sizes(scenario, self.seed).as_deref()));
    }
}

/// The exit code of a run.
pub fn result_of(outcome: &RunOutcome) -> Outcome {
    match (&outcome.verdict, outcome.expected) {
        (_, true) => Outcome::Passed,
        (Verdict::Stuck { .. }, false) => Outcome::Stuck,
        (Verdict::Violated(_) | Verdict::Passed, false) => Outcome::Violated,
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a person waited is no part of a run")]
pub fn wall_clock() -> std::time::Instant {
    std::time::Instant::now()
}

/// Reads the lines of a text that a scenario's cluster can take.
fn read_lines(path: &Path, scenario: &Scenario) -> Result<Arc<Vec<Bytes>>, CliError> {
    let refused = |what: String| CliError::new(format!("{}: {what}", path.display()));
    let text = read_file(path, INPUT_BYTES_MAX).map_err(|error| refused(error.to_string()))?;
    let lines = lines(Bytes::from(text));
    if let SystemSpec::WordCount(spec) = &scenario.system
        && let Some(poisoned) = spec.poisoned
        && poisoned.high > lines.len() as u64
    {
        let (name, line, all) = (&scenario.name, poisoned.high, lines.len());
        return Err(refused(format!("{name} poisons line {line}, and it has {all} lines")));
    }
    let longest = line_bytes_max(&scenario.system);
    match (1..).zip(&lines).find(|(_, line)| line.len() > longest) {
        Some((number, line)) => {
            let bytes = line.len();
            Err(refused(format!("line {number} has {bytes} bytes; a line may have {longest}")))
        }
        None => Ok(Arc::new(lines)),
    }
}

/// The most bytes of a line: so that a batch of lines fits a message, and a word a record.
fn line_bytes_max(system: &SystemSpec) -> usize {
    match system {
        SystemSpec::Journal(spec) => {
            let lines = usize::try_from(spec.batch.high).unwrap_or(usize::MAX);
            (MESSAGE_BYTES_MAX / 2 / lines).min(LINE_BYTES_MAX)
        }
        SystemSpec::WordCount(_) => LINE_BYTES_MAX,
    }
}

/// Compares what came out with what the input comes to, counted apart from the operators.
fn compare(output: &Output, input: &[Bytes]) -> Result<String, String> {
    match output {
        Output::Journal(entries) => {
            let lines = || input.iter().map(|line| String::from_utf8_lossy(line));
            let equal = entries.iter().map(|entry| entry.line.as_str()).eq(lines());
            let verdict = if equal { "equals" } else { "DIFFERS FROM" };
            let (stand, all) = (entries.len(), input.len());
            let text = format!("the journal ({stand} lines) {verdict} the input ({all} lines)");
            if equal { Ok(text) } else { Err(text) }
        }
        Output::Counts(counts) => {
            let mut expected = BTreeMap::<String, u64>::new();
            for word in input.iter().flat_map(|line| words(line)) {
                *expected.entry(String::from_utf8_lossy(word).into_owned()).or_default() += 1;
            }
            let all = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
            let summary = format!("{} of {} words counted", all(counts), all(&expected));
            let differs = |(word, count): &(&String, &u64)| counts.get(*word) != Some(count);
            match expected.iter().find(differs) {
                None if counts.len() == expected.len() => {
                    Ok(format!("{summary}, {} different: equal to the input's", counts.len()))
                }
                None => Err(format!("{summary}: words were counted that the input has not")),
                Some((word, count)) => {
                    let found = counts.get(word).copied().unwrap_or(0);
                    let word = cut(word, WORD_SHOWN_MAX);
                    Err(format!("{summary}: {word:?} stands {count} times, counted {found} times"))
                }
            }
        }
    }
}

fn json(outcome: &RunOutcome, wall: Duration, folder: Option<&Path>) -> serde_json::Value {
    let violations = outcome.violations.iter().map(|violation| {
        serde_json::json!({
            "invariant": violation.invariant,
            "promise": violation.promise,
            "simulated_seconds": violation.at.time.as_secs_f64(),
            "before": violation.before,
            "now": violation.now,
        })
    });
    let milestones = outcome.milestones.iter().map(|(milestone, count)| (milestone.name(), *count));
    serde_json::json!({
        "scenario": outcome.scenario,
        "seed": outcome.seed,
        "schedule": outcome.schedule,
        "verdict": outcome.verdict.to_string(),
        "expected": outcome.expected,
        "folder": folder,
        "violations": violations.collect::<Vec<_>>(),
        "trace_digest": outcome.digest.to_string(),
        "simulated_seconds": outcome.simulated.as_secs_f64(),
        "wall_seconds": wall.as_secs_f64(),
        "messages": outcome.messages,
        "milestones": milestones.collect::<std::collections::BTreeMap<_, _>>(),
    })
}
