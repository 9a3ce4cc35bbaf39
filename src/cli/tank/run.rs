//! `run`: one scenario, one seed.

use super::{
    CliError, Outcome, failure::tell, find_scenario, parse_sabotage, virtual_time::VirtualTime,
};
use crate::{
    cli::{
        log,
        tank::print::{check_writable, is_stdout, out, write_file, write_json},
    },
    harness::{
        check::Verdict,
        explore::{Output, RunConfig, RunOutcome, lines, run_on_fresh_thread},
        report::{describe_run, state_changes},
        scenario::Subject,
    },
    host::Sabotage,
    jobs::word_count::words,
};
use bytes::Bytes;
use clap::Args;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// Runs one scenario with one seed.
#[derive(Args)]
pub struct Run {
    /// The scenario: a file, or a name as `wavetank list` prints it
    scenario: String,
    /// The plan seed: what the adversary and the workload draw
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The scheduling seed; derived from the plan seed if absent
    #[arg(long)]
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
    /// Keep the run as a folder under failures/ even if it ends as expected: its history, its trace
    /// and the fates of its frames
    #[arg(long)]
    keep: bool,
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
        let input = self.input.as_ref().map(read_lines).transpose()?;
        if let (Subject::Journal(_), Some(path)) = (&scenario.subject, &self.counts) {
            let what = "a journal counts no words; choose a scenario of subject \"word-count\"";
            return Err(CliError::new(format!("{}: {what}", path.display())));
        }
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
        let mut result = result_of(&outcome);
        let to_stdout = is_stdout(self.json.as_ref());
        if !to_stdout {
            if self.history {
                state_changes(&outcome).iter().for_each(|line| out(line));
                out("");
            }
            if self.milestones {
                for (milestone, count) in &outcome.milestones {
                    out(&format!("{count:>7}  {milestone}"));
                }
                out("");
            }
            out(&describe_run(&outcome));
            if result != Outcome::Held {
                let told = tell(&scenario, &outcome, self.sabotage, input.clone());
                out(&format!("\n{}", told.text));
                result = result.worse(told.outcome);
            } else if self.keep {
                let told = tell(&scenario, &outcome, self.sabotage, input.clone());
                match &told.folder {
                    Some(folder) => out(&format!("kept in {}", folder.display())),
                    None => out(&told.text),
                }
                result = result.worse(told.outcome);
            }
        }
        if let Some(input) = input {
            let compared = compare(&outcome.output, &input);
            if !to_stdout {
                out(compared.as_ref().unwrap_or_else(|difference| difference));
            }
            if compared.is_err() {
                result = result.worse(Outcome::Violated);
            }
        }
        if let (Some(path), Output::Counts(counts)) = (&self.counts, &outcome.output) {
            let lines = counts.iter().map(|(word, count)| format!("{count:>7} {word}\n"));
            write_file(path, &lines.collect::<String>())?;
        }
        if let Some(path) = &self.json {
            write_json(path, &json(&outcome, wall))?;
        }
        Ok(result)
    }
}

/// The exit code of a run.
pub fn result_of(outcome: &RunOutcome) -> Outcome {
    match (&outcome.verdict, outcome.expected) {
        (_, true) => Outcome::Held,
        (Verdict::Stuck { .. }, false) => Outcome::Stuck,
        (Verdict::Violated(_) | Verdict::Held, false) => Outcome::Violated,
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a person waited is no part of a run")]
pub fn wall_clock() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the user's own file")]
fn read_lines(path: &PathBuf) -> Result<Arc<Vec<Bytes>>, CliError> {
    let text = std::fs::read(path)
        .map_err(|error| CliError::new(format!("{}: {error}", path.display())))?;
    Ok(Arc::new(lines(Bytes::from(text))))
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
                    Err(format!("{summary}: {word:?} stands {count} times, counted {found} times"))
                }
            }
        }
    }
}

fn json(outcome: &RunOutcome, wall: Duration) -> serde_json::Value {
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
        "violations": violations.collect::<Vec<_>>(),
        "trace_digest": outcome.digest.to_string(),
        "simulated_seconds": outcome.simulated.as_secs_f64(),
        "wall_seconds": wall.as_secs_f64(),
        "messages": outcome.messages,
        "milestones": milestones.collect::<std::collections::BTreeMap<_, _>>(),
    })
}
