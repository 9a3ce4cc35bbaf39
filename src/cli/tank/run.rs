//! `run`: one scenario, one seed.

use super::{CliError, Outcome, find_scenario, parse_sabotage, virtual_time::VirtualTime};
use crate::{
    cli::log,
    harness::{
        check::Verdict,
        explore::{RunConfig, RunOutcome, run_on_fresh_thread},
        report::{describe_run, failure_report, state_changes},
    },
    host::Sabotage,
};
use clap::Args;
use std::{path::PathBuf, sync::Arc, time::Duration};

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
    /// A text whose lines one client sends in place of the scenario's workload
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Switch a known bug on
    #[arg(long, value_parser = parse_sabotage, value_name = "NAME")]
    sabotage: Option<Sabotage>,
    /// Print every change of the cluster's state
    #[arg(long)]
    history: bool,
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
        let config = RunConfig {
            seed: self.seed,
            schedule: self.schedule,
            sabotage: self.sabotage,
            trace: false,
            input: input.clone(),
        };
        let began = wall_clock();
        let outcome = run_on_fresh_thread(&scenario, &config);
        let wall = began.elapsed();
        let mut result = result_of(&outcome);
        let to_stdout = self.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
        if !to_stdout {
            if self.history {
                state_changes(&outcome, usize::MAX).iter().for_each(|line| println!("{line}"));
                println!();
            }
            println!("{}", describe_run(&outcome));
            if result != Outcome::Held {
                println!("\n{}", failure_report(&outcome, &self.command()));
            }
        }
        if let Some(input) = input {
            let equal = outcome.journal.iter().map(|entry| &entry.line).eq(input.iter());
            if !to_stdout {
                let verdict = if equal { "equals" } else { "DIFFERS FROM" };
                println!(
                    "the journal ({} lines) {verdict} the input ({} lines)",
                    outcome.journal.len(),
                    input.len()
                );
            }
            if !equal {
                result = result.max(Outcome::Violated);
            }
        }
        if let Some(path) = &self.json {
            write_json(path, &json(&outcome, wall))?;
        }
        Ok(result)
    }

    fn command(&self) -> String {
        let mut command = format!("cargo run -- run {} --seed {}", self.scenario, self.seed);
        if let Some(schedule) = self.schedule {
            command += &format!(" --schedule {schedule}");
        }
        if let Some(input) = &self.input {
            command += &format!(" --input {}", input.display());
        }
        if let Some(sabotage) = self.sabotage {
            command += &format!(" --sabotage {}", sabotage.name());
        }
        command
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
fn read_lines(path: &PathBuf) -> Result<Arc<Vec<String>>, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::new(format!("{}: {error}", path.display())))?;
    Ok(Arc::new(text.lines().map(String::from).collect()))
}

/// Writes a JSON value to a file, or to standard output for `-`.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
pub fn write_json(path: &PathBuf, value: &serde_json::Value) -> Result<(), CliError> {
    let text = format!("{value:#}\n");
    if path.as_os_str() == "-" {
        print!("{text}");
        return Ok(());
    }
    std::fs::write(path, text)
        .map_err(|error| CliError::new(format!("{}: {error}", path.display())))
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
