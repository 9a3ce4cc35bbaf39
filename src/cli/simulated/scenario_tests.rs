//! The runner of scenario tests: one test case a scenario file, found at run time: its snapshot over five
//! schedules, and some seeds of it. `WAVETANK_SEEDS=1000..1500` sets the seeds. A regression must also still
//! come to the moments that it was kept for.

use crate::harness::{
    explore::{REGRESSIONS, Staleness, snapshot_runs},
    report::{failure_report, snapshot},
    run::{RunConfig, RunOutcome, run_on_fresh_thread},
    scenario::{SCENARIOS, Scenario, discover},
    system::Systems,
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// The seeds of each scenario, unless others are asked for.
const SEEDS: &str = "0..8";
/// Seeds of a kept plan that comes in none of those to its moments: it may be rare there.
const SEEDS_MORE: Range<u64> = 8..20;
/// The variable that asks for others.
const SEEDS_OF: &str = "WAVETANK_SEEDS";
/// Where the snapshots are, below the crate's folder.
const SNAPSHOTS: &str = "snapshots";

/// Runs every file under `scenarios/` of a crate's folder (its `CARGO_MANIFEST_DIR`) as a test case and holds it
/// to its snapshot under `snapshots/`; takes the arguments of a test binary. For a `[[test]]` with
/// `harness = false`.
pub fn test_scenarios(systems: Systems, crate_folder: &str) -> ExitCode {
    let arguments = Arguments::from_args();
    let root = PathBuf::from(crate_folder);
    let folder = root.join(SCENARIOS);
    let paths = match discover(&folder) {
        Ok(paths) => paths,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = paths.into_iter().map(|path| {
        let name = path.strip_prefix(&folder).unwrap_or(&path).with_extension("");
        let snapshots = root.join(SNAPSHOTS);
        Trial::test(name.display().to_string(), move || check(systems, &path, &snapshots))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Holds what the runs of a scenario have in common to its snapshot.
fn review(snapshots: &Path, scenario: &Scenario, text: &str) {
    insta::with_settings!({
        snapshot_path => snapshots,
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => &scenario.description,
    }, {
        insta::assert_snapshot!(scenario.name.replace('/', "__"), text);
    });
}

fn check(systems: Systems, path: &Path, snapshots: &Path) -> Result<(), Failed> {
    let scenario = Arc::new(systems.load(path)?);
    let outcomes = snapshot_runs(&scenario);
    let mut staleness = Staleness::default();
    for outcome in &outcomes {
        expected(outcome, &format!(" --schedule {}", outcome.schedule))?;
        staleness.add(outcome);
    }
    review(snapshots, &scenario, &snapshot(&outcomes));
    let mut run = |seed: u64| {
        let outcome = run_on_fresh_thread(&scenario, &RunConfig::new(seed));
        staleness.add(&outcome);
        expected(&outcome, "").map(|()| staleness.report(&scenario))
    };
    let mut stale = None;
    for seed in seeds_asked_for(SEEDS_OF, SEEDS)? {
        stale = run(seed)?;
    }
    // Elsewhere a fault that hardly ever comes is no mistake.
    let is_kept = scenario.name.starts_with(REGRESSIONS) || !scenario.reaches.is_empty();
    let more = if std::env::var_os(SEEDS_OF).is_none() { SEEDS_MORE } else { 0..0 };
    for seed in more.filter(|_| is_kept) {
        if stale.is_none() {
            break;
        }
        stale = run(seed)?;
    }
    match stale {
        Some(stale) if is_kept => Err(stale.into()),
        _ => Ok(()),
    }
}

/// The seeds that a variable of the environment asks for, as `A..B`.
pub(super) fn seeds_asked_for(variable: &str, default: &str) -> Result<Range<u64>, String> {
    let seeds = std::env::var(variable).unwrap_or_else(|_| default.to_string());
    let bounds =
        seeds.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to): (u64, u64) =
        bounds.ok_or(format!("{variable}: expected A..B, found {seeds:?}"))?;
    match from < to {
        true => Ok(from..to),
        false => Err(format!("{variable}: the range {seeds} is empty")),
    }
}

/// Refuses a run that did not end as its scenario expects, with the command that makes it again.
pub(super) fn expected(outcome: &RunOutcome, more: &str) -> Result<(), Failed> {
    let command = format!("cargo run -- run {} --seed {}{more}", outcome.scenario, outcome.seed);
    match outcome.expected {
        true => Ok(()),
        false => Err(failure_report(outcome, None, &[("again", &command)]).into()),
    }
}
