//! A sweep as test cases: each a block of seeds, each seed a scenario that it draws. `WAVETANK_SWEEP=1000..1500` sets the
//! seeds.

use super::scenario_tests::{expected, seeds_asked_for};
use crate::harness::{
    run::{Sweep, sweep},
    scenario::{SCENARIOS, Scenario, discover},
    system::Systems,
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{error::Error, ops::Range, path::PathBuf, process::ExitCode, sync::Arc};

/// The seeds, unless others are asked for.
const SEEDS: &str = "0..60";
/// Seeds of a test case.
const BLOCK: u64 = 20;

/// Runs seeds of all scenarios of a crate's folder (its `CARGO_MANIFEST_DIR`), each the one that it draws, as `explore`
/// does; a block of seeds is a test case, so that whoever runs tests in parts, or again, can do so with a sweep. Takes the
/// arguments of a test binary. For a `[[test]]` with `harness = false`.
pub fn test_sweep(systems: Systems, crate_folder: &str) -> ExitCode {
    let arguments = Arguments::from_args();
    match trials(systems, crate_folder) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn trials(systems: Systems, crate_folder: &str) -> Result<Vec<Trial>, Box<dyn Error>> {
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
        Trial::test(name, move || run(scenarios, block))
    };
    Ok(blocks.map(trial).collect())
}

fn run(scenarios: Vec<Arc<Scenario>>, seeds: Range<u64>) -> Result<(), Failed> {
    let (jobs, sabotage, until_failure, stop) = (1, None, true, Arc::default());
    let mut outcome = Ok(());
    sweep(&Sweep { scenarios, seeds, jobs, sabotage, until_failure, stop }, |run| {
        if outcome.is_ok() {
            outcome = expected(&run.outcome, "");
        }
    });
    outcome
}
