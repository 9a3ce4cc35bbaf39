//! `explore`: many seeds over the scenarios.

use super::{CliError, Outcome, find_scenarios, parse_sabotage, parse_seeds};
use crate::{
    cli::tank::run::result_of,
    harness::{
        explore::{RunOutcome, ScenarioTally, Sweep, add_counts, sweep},
        report::{describe_sweep, failure_report},
        sabotage,
    },
    host::Sabotage,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Failures that are reported in full.
const REPORTS_MAX: usize = 3;

/// Runs many seeds. Each seed draws one of the scenarios and is one run.
#[derive(Args)]
pub struct Explore {
    /// The scenarios, by file or name; all that are shipped if none is named
    scenarios: Vec<String>,
    /// The plan seeds
    #[arg(long, value_parser = parse_seeds, default_value = "0..100")]
    seeds: Range<u64>,
    /// Runs side by side; all cores if absent
    #[arg(long)]
    jobs: Option<usize>,
    /// End at the first run that does not end as its scenario expects
    #[arg(long)]
    until_failure: bool,
    /// Switch a known bug on
    #[arg(long, value_parser = parse_sabotage, value_name = "NAME")]
    sabotage: Option<Sabotage>,
}

impl Explore {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let plan = Sweep {
            scenarios: find_scenarios(&self.scenarios)?,
            seeds: self.seeds.clone(),
            jobs: self.jobs.unwrap_or(cores),
            sabotage: self.sabotage,
            until_failure: self.until_failure,
            stop: Arc::default(),
        };
        let progress = progress(self.seeds.end - self.seeds.start);
        let mut summary = Summary::default();
        sweep(&plan, |run| {
            summary.add(run.outcome);
            progress.set_message(format!("{} failed", summary.failures.len()));
            progress.inc(1);
        });
        progress.finish_and_clear();
        summary.print(self);
        Ok(summary.result())
    }
}

/// A bar on a terminal, nothing in a pipe: the table follows soon enough.
fn progress(runs: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{pos}/{len} runs  {wide_bar}  {msg}  {eta} left");
    bar.set_style(style.expect("a well-formed template"));
    bar
}

#[derive(Default)]
struct Summary {
    tallies: BTreeMap<String, ScenarioTally>,
    evaluations: BTreeMap<&'static str, u64>,
    milestones: BTreeMap<crate::harness::check::Milestone, u64>,
    /// By seed, so that the report does not depend on which run ended first.
    failures: BTreeMap<u64, RunOutcome>,
    sabotage_executions: u64,
}

impl Summary {
    fn add(&mut self, outcome: RunOutcome) {
        self.tallies.entry(outcome.scenario.clone()).or_default().add(&outcome);
        add_counts(&mut self.evaluations, &outcome.evaluations);
        add_counts(&mut self.milestones, &outcome.milestones);
        self.sabotage_executions += outcome.sabotage_executions;
        if !outcome.expected {
            self.failures.insert(outcome.seed, outcome);
        }
    }

    fn result(&self) -> Outcome {
        let results: Vec<Outcome> = self.failures.values().map(result_of).collect();
        match results.contains(&Outcome::Violated) {
            true => Outcome::Violated,
            false => results.into_iter().max().unwrap_or(Outcome::Held),
        }
    }

    fn print(&self, command: &Explore) {
        for outcome in self.failures.values().take(REPORTS_MAX) {
            let sabotage =
                command.sabotage.map_or(String::new(), |s| format!(" --sabotage {}", s.name()));
            let again =
                format!("cargo run -- run {} --seed {}{sabotage}", outcome.scenario, outcome.seed);
            println!("{}\n", failure_report(outcome, &[("again", &again)]));
        }
        println!("{}", describe_sweep(&self.tallies, &self.evaluations, &self.milestones));
        if let Some(switch) = command.sabotage {
            let wanted = sabotage::caught_by(switch);
            let verdicts = self.failures.values().map(|outcome| outcome.verdict.to_string());
            println!(
                "\nsabotage {}: its line ran {} times; expected verdict {}; verdicts {:?}",
                switch.name(),
                self.sabotage_executions,
                wanted.join(" or "),
                verdicts.take(5).collect::<Vec<_>>(),
            );
        }
        if let Some(seed) = self.failures.keys().next() {
            let before = seed - command.seeds.start + 1;
            println!(
                "\n{} runs failed; the first is run {before}, seed {seed}",
                self.failures.len()
            );
        }
    }
}
