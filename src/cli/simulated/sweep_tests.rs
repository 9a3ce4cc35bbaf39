//! A sweep as test cases: each a block of seeds, each seed a scenario that it draws. `WAVETANK_SWEEP=1000..1500` sets the
//! seeds. Of enough of them each common milestone is required. `WAVETANK_FAIL_FAST=1` ends the process at the first run
//! that fails: who asks of hundreds of mutants only whether they are noticed pays for no run more.

use super::{
    milestones::{REQUIRED_IN, TABLE, Table},
    scenario_tests::{expected, seeds_asked_for},
};
use crate::harness::{
    run::{Sweep, sweep},
    scenario::{SCENARIOS, Scenario, discover},
    system::Systems,
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    collections::BTreeSet,
    env,
    error::Error,
    ops::Range,
    path::PathBuf,
    process::{self, ExitCode},
    sync::{Arc, Mutex},
};

/// The seeds, unless others are asked for.
const SEEDS: &str = "0..500";
/// Seeds of a test case.
const BLOCK: u64 = 20;

/// What a sweep has come to.
#[derive(Debug, Default)]
struct Swept {
    runs: u64,
    milestones: BTreeSet<&'static str>,
}

/// Runs seeds of all scenarios of a crate's folder (its `CARGO_MANIFEST_DIR`), each the one that it draws, as `explore`
/// does; a block of seeds is a test case, so that whoever runs tests in parts, or again, can do so with a sweep. If 500
/// or more were run, each milestone must have been reached that the crate's `snapshots/milestones.toml` calls common.
/// Takes the arguments of a test binary. For a `[[test]]` with `harness = false`.
pub fn test_sweep(systems: Systems, crate_folder: &str) -> ExitCode {
    let arguments = Arguments::from_args();
    let swept = Arc::new(Mutex::new(Swept::default()));
    let all = trials(systems, crate_folder, &swept).and_then(|trials| {
        let table = Table::read(&PathBuf::from(crate_folder).join(TABLE));
        Ok((trials, table.map_err(|error| error.to_string())?))
    });
    let (trials, table) = match all {
        Ok(all) => all,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    let swept = swept.lock().expect("no panic under this lock");
    let missed: Vec<&String> =
        table.common.iter().filter(|name| !swept.milestones.contains(name.as_str())).collect();
    if swept.runs >= REQUIRED_IN && !missed.is_empty() && !conclusion.has_failed() {
        eprintln!("common milestones that {} runs did not reach: {missed:?}", swept.runs);
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trials(
    systems: Systems,
    crate_folder: &str,
    swept: &Arc<Mutex<Swept>>,
) -> Result<Vec<Trial>, Box<dyn Error>> {
    let paths = discover(&PathBuf::from(crate_folder).join(SCENARIOS))?;
    let load = |path: &PathBuf| systems.load(path).map(Arc::new);
    let scenarios: Vec<Arc<Scenario>> = paths.iter().map(load).collect::<Result<_, _>>()?;
    if scenarios.is_empty() {
        return Err(format!("{crate_folder}: no scenario under {SCENARIOS}/").into());
    }
    let seeds = seeds_asked_for("WAVETANK_SWEEP", SEEDS)?;
    let blocks = seeds.clone().step_by(usize::try_from(BLOCK).expect("it is small"));
    let trial = |start: u64| {
        let block = start..(start + BLOCK).min(seeds.end);
        let (name, scenarios) = (format!("seeds/{block:?}"), scenarios.clone());
        let swept = swept.clone();
        Trial::test(name, move || run(scenarios, block, &swept))
    };
    Ok(blocks.map(trial).collect())
}

#[expect(clippy::disallowed_methods, reason = "what else is running has nothing to clean up")]
fn end_at_once() -> ! {
    process::exit(101)
}

fn run(
    scenarios: Vec<Arc<Scenario>>,
    seeds: Range<u64>,
    swept: &Mutex<Swept>,
) -> Result<(), Failed> {
    let mut outcome = Ok(());
    sweep(&Sweep { until_failure: true, ..Sweep::new(scenarios, seeds) }, |run| {
        let mut swept = swept.lock().expect("no panic under this lock");
        swept.runs += 1;
        swept.milestones.extend(run.outcome.milestones.keys().map(|of| of.name()));
        if outcome.is_ok() {
            outcome = expected(&run.outcome, "");
        }
        if let Err(failed) = &outcome
            && env::var_os("WAVETANK_FAIL_FAST").is_some()
        {
            eprintln!("{}", failed.message().unwrap_or_default());
            end_at_once();
        }
    });
    outcome
}
