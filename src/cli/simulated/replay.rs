//! `replay`: a kept failure once more.

use super::{
    CliError, Outcome,
    failure::{find_failure, report_of},
    parse_length, parse_seed,
    print::out,
    run::result_of,
    virtual_time::VirtualTime,
};
use crate::{
    cli::log,
    harness::{
        explore::{Failure, Staleness, folder_of, short_verdict},
        language::{printable, wrap},
        report::{changes_until, node_at, nodes_like, state_changes},
        run::{RunConfig, RunOutcome, run_on_fresh_thread},
        scenario::Scenario,
        system::Systems,
    },
};
use clap::Args;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

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
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = 20, allow_hyphen_values = true, value_parser = clap::value_parser!(u64).range(1..))]
    schedules: u64,
    /// Run just this schedule
    #[arg(long, value_name = "SEED", value_parser = parse_seed, allow_hyphen_values = true)]
    schedule: Option<u64>,
    /// Leave the sabotage off with which the failure was found
    #[arg(long)]
    no_sabotage: bool,
    /// Print every change of the cluster's state
    #[arg(long)]
    history: bool,
    /// Tell of the run as it was then, such as 12.3s: with --show where nodes stood, with --history what had changed;
    /// its end if absent
    #[arg(long, value_name = "TIME", value_parser = parse_length, allow_hyphen_values = true)]
    until: Option<Duration>,
    /// Tell where a node stands, or all of a role: what it leads, the last changes of its state, messages on their
    /// way, its files and its last steps
    #[arg(long, value_name = "NODE")]
    show: Option<String>,
    /// Print tracing lines with node and virtual time, such as wavetank=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Replay {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        if let Some(filter) = &self.log {
            log::install(filter, VirtualTime)?;
        }
        let failure = find_failure(systems, &self.path)?;
        let mut config = failure.config();
        if self.no_sabotage {
            config.sabotage = None;
        }
        out(&headline(&failure, &config));
        let schedule = self.schedule.or(config.schedule);
        // Its report says what led to the failure.
        let same = RunConfig { schedule, trace: true, ..config.clone() };
        let outcome = run_on_fresh_thread(&failure.plan, &same);
        let digest = outcome.digest.to_string();
        if self.until.is_some() || self.show.is_some() {
            self.show(&outcome)?;
        }
        match failure.other_run(&outcome) {
            None => {
                out(&format!("the very same run: digest {digest}\n"));
                // The one that was kept ran in another process.
                return Ok(self.tell(&outcome, self.schedule, ", the same in a fresh process"));
            }
            Some(_) if digest == failure.record.digest => {
                let (was, is) = (printable(&failure.record.verdict), outcome.verdict.to_string());
                out(&wrap(
                    "",
                    &format!(
                        "the very same run, but it is judged otherwise: {was} when it was kept, {is} now"
                    ),
                ));
                out("");
                return Ok(self.tell(&outcome, self.schedule, ", judged otherwise"));
            }
            Some(_) if self.schedule.is_some() => {
                return Ok(self.tell(&outcome, self.schedule, ""));
            }
            Some(_) if self.no_sabotage => out("without the switch it is another run\n"),
            Some(_) => out("the code or the plan has changed: it is another run now\n"),
        }
        self.try_schedules(&failure, &config, outcome)
    }

    /// Tells of a moment of the run.
    fn show(&self, outcome: &RunOutcome) -> Result<(), CliError> {
        let until = self.until.unwrap_or(outcome.simulated);
        if self.history {
            changes_until(outcome, until).iter().for_each(|line| out(line));
            out("");
        }
        let Some(name) = &self.show else { return Ok(()) };
        let nodes = nodes_like(outcome, name);
        if nodes.is_empty() {
            let known: Vec<&str> = outcome.nodes.values().map(String::as_str).collect();
            let what = format!("there is no node or role {name:?}; there are {}", known.join(", "));
            return Err(CliError::new(what));
        }
        for node in nodes {
            node_at(outcome, node, until).iter().for_each(|line| out(line));
            out("");
        }
        Ok(())
    }

    /// Tells of one run; `digest` is what is known of its digest.
    fn tell(&self, outcome: &RunOutcome, schedule: Option<u64>, digest: &str) -> Outcome {
        if self.history && self.until.is_none() {
            state_changes(outcome).iter().for_each(|line| out(line));
            out("");
        }
        if outcome.expected {
            out(&wrap("verdict: ", &outcome.verdict.to_string()));
        } else {
            let mut more =
                schedule.map_or(String::new(), |schedule| format!(" --schedule {schedule}"));
            if self.no_sabotage {
                more += " --no-sabotage";
            }
            out(&report_of(outcome, None, &folder_of(&self.path), &more, digest));
        }
        result_of(outcome)
    }

    fn try_schedules(
        &self,
        failure: &Failure,
        config: &RunConfig,
        outcome: RunOutcome,
    ) -> Result<Outcome, CliError> {
        let plan: Arc<Scenario> = Arc::new(failure.kept_plan(&[outcome]));
        let (mut verdicts, mut staleness) = (BTreeMap::<String, u64>::new(), Staleness::default());
        let recorded = printable(short_verdict(&failure.record.verdict));
        let recorded = recorded.as_str();
        let mut failed: Option<(u64, RunOutcome)> = None;
        for schedule in 0..self.schedules {
            let config = RunConfig { schedule: Some(schedule), ..config.clone() };
            let outcome = run_on_fresh_thread(&plan, &config);
            let verdict = outcome.verdict.to_string();
            let as_recorded = short_verdict(&verdict) == recorded;
            *verdicts.entry(short_verdict(&verdict).to_string()).or_default() += 1;
            staleness.add(&outcome);
            // The first, or better the first that fails as the one that was kept.
            let is_better = match &failed {
                None => true,
                Some((_, there)) => {
                    as_recorded && short_verdict(&there.verdict.to_string()) != recorded
                }
            };
            if !outcome.expected && is_better {
                failed = Some((schedule, outcome));
            }
        }
        for (verdict, count) in &verdicts {
            let kept = if verdict == recorded { ", as it was kept" } else { "" };
            out(&format!("  {verdict:<24} {count} of {}{kept}", self.schedules));
        }
        if !verdicts.contains_key(recorded) {
            out(&format!("  {recorded:<24} 0 of {}, as it was kept", self.schedules));
        }
        out("");
        if let Some((schedule, outcome)) = failed {
            return Ok(self.tell(&outcome, Some(schedule), ""));
        }
        if let Some(stale) = staleness.report(&plan) {
            out(&stale);
            out("the plan no longer leads to the moment that it was kept for");
            return Ok(Outcome::BadInput);
        }
        out(&format!("passed: mended, or rarer than one of {} schedules", self.schedules));
        Ok(Outcome::Passed)
    }
}

fn headline(failure: &Failure, config: &RunConfig) -> String {
    let record = &failure.record;
    let switch = match (&record.sabotage, config.sabotage) {
        (Some(switch), None) => format!(" (without the sabotage {switch})"),
        (Some(switch), Some(_)) => format!(" (sabotage {switch})"),
        (None, _) => String::new(),
    };
    let verdict = short_verdict(&record.verdict);
    wrap(
        "",
        &printable(&format!("{verdict} in {}, seed {}{switch}", record.scenario, record.recipe())),
    )
}
