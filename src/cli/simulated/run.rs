//! `run`: one scenario, one seed.

use super::{
    CliError, Outcome, check::sizes, failure::tell, find_sabotage, find_scenario, parse_seed,
    virtual_time::VirtualTime,
};
use crate::{
    cli::{
        log,
        simulated::print::{check_writable, is_stdout, out, write_file, write_json, written},
    },
    harness::{
        check::Verdict,
        explore::{INPUT_BYTES_MAX, lines},
        language::read_file,
        report::{describe_run, state_changes},
        run::{RunBranch, RunConfig, RunOutcome, run_on_fresh_thread},
        scenario::Scenario,
        system::Systems,
    },
};
use bytes::Bytes;
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Runs one scenario with one seed.
#[derive(Args)]
pub struct Run {
    /// The scenario: a file, or a name as `cargo run -- list` prints it
    scenario: String,
    /// The plan seed: what the adversary and the workload draw; 0 if absent. With a branch, such as
    /// 7@leader-confirmed+3, it is the run of seed 7 up to the first time of that milestone, and then the third
    /// of its other ways to go on
    #[arg(long, value_name = "SEED[@MILESTONE+K]", default_value = "0", hide_default_value = true, value_parser = SeedArgument::parse, allow_hyphen_values = true)]
    seed: SeedArgument,
    /// The scheduling seed; derived from the plan seed if absent
    #[arg(long, value_name = "SEED", value_parser = parse_seed, allow_hyphen_values = true)]
    schedule: Option<u64>,
    /// A text whose lines take the place of the scenario's workload
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Write what came out, a line each: of a word count each word's count, as `sort | uniq -c` does
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Switch a known bug on
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
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

/// A seed, and branches of its run that are read once its system is known.
#[derive(Clone, Debug)]
struct SeedArgument {
    seed: u64,
    branches: Option<String>,
}

impl SeedArgument {
    fn parse(text: &str) -> Result<Self, String> {
        let (seed, branches) = match text.split_once('@') {
            Some((seed, branches)) => (seed, Some(branches.to_string())),
            None => (text, None),
        };
        Ok(SeedArgument { seed: parse_seed(seed)?, branches })
    }

    fn branches(&self, scenario: &Scenario) -> Result<Vec<RunBranch>, CliError> {
        let known = scenario.system.milestones();
        let read = |text: &String| RunBranch::parse_all(text, &known);
        let refused = |error| CliError::new(format!("--seed: {error}"));
        let branches = self.branches.as_ref().map(read).transpose().map_err(refused)?;
        Ok(branches.unwrap_or_default())
    }
}

impl Run {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        if let Some(filter) = &self.log {
            log::install(filter, VirtualTime)?;
        }
        let scenario = find_scenario(systems, &self.scenario)?;
        let sabotage = find_sabotage(systems, self.sabotage.as_deref())?;
        let input = self.input.as_ref().map(|path| read_lines(path, &scenario)).transpose()?;
        let config = RunConfig {
            schedule: self.schedule,
            branches: self.seed.branches(&scenario)?,
            sabotage,
            input: input.clone(),
            ..RunConfig::new(self.seed.seed)
        };
        check_writable(self.json.as_deref())?;
        check_writable(self.output.as_deref())?;
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
        if !config.branches.is_empty() && outcome.branched.is_none() {
            say("the run never came to where it was to branch: it is that of the seed itself");
        }
        let mut result = result_of(&outcome);
        let failed = result != Outcome::Passed;
        let told =
            (failed || self.save).then(|| tell(&scenario, &outcome, sabotage, input.clone()));
        if let Some(told) = &told {
            match &told.folder {
                Some(folder) if !failed && told.outcome == Outcome::Passed => {
                    say(&format!("kept in {}", folder.display()));
                }
                _ => say(&format!("\n{}", told.text)),
            }
            result = result.worse(told.outcome);
        }
        if let Some(compared) = &outcome.output.compared {
            say(compared.as_ref().unwrap_or_else(|difference| difference));
            if compared.is_err() {
                result = result.worse(Outcome::Violated);
            }
        }
        if let Some(path) = &self.output {
            let lines = outcome.output.lines.iter().map(|line| format!("{line}\n"));
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
        say(&describe_run(outcome, sizes(scenario, self.seed.seed).as_deref()));
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
    scenario.system.check_input(&lines).map_err(refused)?;
    Ok(Arc::new(lines))
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
        "branches": outcome.recipe().branches_as_text(),
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
