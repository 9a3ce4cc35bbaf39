//! `replay`: a kept failure once more.

use super::{
    CliError, Outcome,
    failure::{find_failure, report_of},
    print::out,
    run::result_of,
    virtual_time::VirtualTime,
};
use crate::{
    cli::log,
    harness::{
        explore::{Failure, RunConfig, RunOutcome, Staleness, run_on_fresh_thread},
        report::{state_changes, wrap},
        scenario::Scenario,
    },
};
use clap::Args;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Runs a kept failure again, from its data.
///
/// As long as the code is the same it is the very same run, and its report. After a change of the
/// code the plan is tried under many schedules: in how many of them does it fail, and does it still
/// come to the moments that it was made of? If not, it is stale and shows nothing.
#[derive(Args)]
pub struct Replay {
    /// The failure folder, or a file in it
    path: PathBuf,
    /// Schedules to try if the code has changed; 20 if absent
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    schedules: u64,
    /// Run just this schedule
    #[arg(long, value_name = "N")]
    schedule: Option<u64>,
    /// Leave the sabotage off with which the failure was found
    #[arg(long)]
    no_sabotage: bool,
    /// Print every change of the cluster's state
    #[arg(long)]
    history: bool,
    /// Print tracing lines with node and virtual time, such as wavetank=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Replay {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        if let Some(filter) = &self.log {
            log::install(filter, VirtualTime)?;
        }
        let failure = find_failure(&self.path)?;
        let mut config = failure.config();
        if self.no_sabotage {
            config.sabotage = None;
        }
        out(&headline(&failure, &config));
        let same = RunConfig { schedule: self.schedule.or(config.schedule), ..config.clone() };
        let outcome = run_on_fresh_thread(&failure.plan, &same);
        let very_same = outcome.digest.to_string() == failure.record.digest;
        if very_same {
            out(&format!("the very same run: digest {}\n", outcome.digest));
        }
        if very_same || self.schedule.is_some() {
            return Ok(self.tell(&outcome));
        }
        match self.no_sabotage {
            true => out("without the switch it is another run\n"),
            false => out("the code or the plan has changed: it is another run now\n"),
        }
        self.try_schedules(&failure, &config)
    }

    /// Tells of one run.
    fn tell(&self, outcome: &RunOutcome) -> Outcome {
        if self.history {
            state_changes(outcome).iter().for_each(|line| out(line));
            out("");
        }
        if outcome.expected {
            out(&wrap("verdict: ", &outcome.verdict.to_string()));
        } else {
            let more = self.schedule.map(|schedule| format!(" --schedule {schedule}"));
            out(&report_of(outcome, &self.folder(), &more.unwrap_or_default()));
        }
        result_of(outcome)
    }

    fn folder(&self) -> PathBuf {
        match self.path.is_dir() {
            true => self.path.clone(),
            false => self.path.parent().unwrap_or(&self.path).to_path_buf(),
        }
    }

    fn try_schedules(&self, failure: &Failure, config: &RunConfig) -> Result<Outcome, CliError> {
        let plan: Arc<Scenario> = Arc::new(failure.kept_plan());
        let (mut verdicts, mut staleness) = (BTreeMap::<String, u64>::new(), Staleness::default());
        let mut first = None;
        for schedule in 0..self.schedules {
            let config = RunConfig { schedule: Some(schedule), ..config.clone() };
            let outcome = run_on_fresh_thread(&plan, &config);
            let verdict = outcome.verdict.to_string();
            let short = verdict.split(',').next().unwrap_or_default().to_string();
            *verdicts.entry(short).or_default() += 1;
            staleness.add(&outcome);
            if !outcome.expected && first.is_none() {
                first = Some((schedule, outcome));
            }
        }
        for (verdict, count) in &verdicts {
            out(&format!("  {verdict:<24} {count} of {}", self.schedules));
        }
        out("");
        if let Some((schedule, outcome)) = first {
            let more = format!(" --schedule {schedule}");
            out(&report_of(&outcome, &self.folder(), &more));
            return Ok(result_of(&outcome));
        }
        if let Some(stale) = staleness.report(&plan) {
            out(&stale);
            out("the plan no longer leads to the moment that it was kept for");
            return Ok(Outcome::BadInput);
        }
        out(&format!("held: mended, or rarer than one of {} schedules", self.schedules));
        Ok(Outcome::Held)
    }
}

fn headline(failure: &Failure, config: &RunConfig) -> String {
    let record = &failure.record;
    let switch = match (record.sabotage, config.sabotage) {
        (Some(switch), None) => format!(" (without the sabotage {})", switch.name()),
        (Some(switch), Some(_)) => format!(" (sabotage {})", switch.name()),
        (None, _) => String::new(),
    };
    let verdict = record.verdict.split(',').next().unwrap_or_default();
    wrap("", &format!("{verdict} in {}, seed {}{switch}", record.scenario, record.seed))
}
