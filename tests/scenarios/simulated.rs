//! One test case a scenario file, found at run time: its snapshot over five schedules, and some
//! seeds of it. `WAVETANK_SEEDS=1000..1500` sets the seeds. A regression must also still come to the
//! moments that it was kept for.

use crate::plans::ten_plans;
use libtest_mimic::{Arguments, Failed, Trial};
use std::{path::Path, process::ExitCode, sync::Arc};
use wavetank::harness::{
    explore::{REGRESSIONS, RunConfig, Staleness, run_on_fresh_thread, snapshot_runs},
    report::{failure_report, snapshot},
    scenario::{Scenario, discover},
};

const SEEDS: &str = "0..20";

pub fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let paths = discover(&folder).expect("the scenarios can be listed");
    let trials = paths.into_iter().map(|path| {
        let name = path.strip_prefix(&folder).expect("it was found there").with_extension("");
        Trial::test(name.display().to_string(), move || check(&path))
    });
    let plans = Trial::test("plans-of-the-swarm", || {
        review("swarm-plans", "What ten seeds make of the swarm.", &ten_plans());
        Ok(())
    });
    libtest_mimic::run(&arguments, trials.chain([plans]).collect()).exit_code()
}

/// Holds a text to the snapshot of that name.
fn review(name: &str, description: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => description,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

fn check(path: &Path) -> Result<(), Failed> {
    let scenario = Arc::new(Scenario::load(path)?);
    let outcomes = snapshot_runs(&scenario);
    let mut staleness = Staleness::default();
    for outcome in &outcomes {
        expected(outcome, &format!(" --schedule {}", outcome.schedule))?;
        staleness.add(outcome);
    }
    review(&scenario.name.replace('/', "__"), &scenario.description, &snapshot(&outcomes));
    let seeds = std::env::var("WAVETANK_SEEDS").unwrap_or_else(|_| SEEDS.to_string());
    let bounds =
        seeds.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to): (u64, u64) =
        bounds.ok_or(format!("WAVETANK_SEEDS: expected A..B, found {seeds:?}"))?;
    if from >= to {
        return Err(format!("WAVETANK_SEEDS: the range {seeds} is empty").into());
    }
    for seed in from..to {
        let outcome = run_on_fresh_thread(&scenario, &RunConfig::new(seed));
        expected(&outcome, "")?;
        staleness.add(&outcome);
    }
    // Elsewhere a fault that hardly ever comes is no mistake.
    let kept = scenario.name.starts_with(REGRESSIONS);
    match staleness.report(&scenario) {
        Some(stale) if kept || !scenario.reaches.is_empty() => Err(stale.into()),
        _ => Ok(()),
    }
}

fn expected(outcome: &wavetank::harness::explore::RunOutcome, more: &str) -> Result<(), Failed> {
    let command = format!("cargo run -- run {} --seed {}{more}", outcome.scenario, outcome.seed);
    match outcome.expected {
        true => Ok(()),
        false => Err(failure_report(outcome, &[("again", &command)]).into()),
    }
}
