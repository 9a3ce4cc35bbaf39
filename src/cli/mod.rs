//! The commands. In simulation: `explore`, `campaign`, `run`, `replay`, `add-regression`, `new`, `init`, `check`, `list`,
//! `milestones`, `sabotage`, `verify-determinism`, `digest`, `graph`. Live: `hello`, `mini`, and those of a session cluster.

mod exit;
#[cfg(not(madsim))]
mod live;
mod log;
#[cfg(madsim)]
mod simulated;

use crate::jobs::Jobs;
use std::process::ExitCode;

pub use exit::{CliError, Outcome};
#[cfg(madsim)]
pub use simulated::{test_scenarios, test_sweep};

/// Reads the command line and does what it says with these jobs: the whole `main` of a binary with jobs of its own, in
/// both worlds. In simulation they run in a cluster under test, as its scenarios say; live on clusters of processes, each
/// of which is this very binary.
///
/// # Panics
/// When there is no job.
#[cfg(madsim)]
pub fn main(jobs: impl Into<Jobs>) -> ExitCode {
    let jobs = jobs.into();
    simulated(crate::under_test::systems(&jobs), &jobs)
}

/// The same for the systems of whoever calls: a crate with systems of its own has this for its `main`.
#[cfg(madsim)]
pub fn simulated_main(systems: crate::harness::system::Systems) -> ExitCode {
    simulated(systems, &Jobs::default())
}

/// Runs every scenario of a crate with these jobs as a test case: its folder is `env!("CARGO_MANIFEST_DIR")`. For a
/// `[[test]]` with `harness = false`; [`test_scenarios`] tells more. Live there are none.
#[cfg(madsim)]
pub fn test_jobs(jobs: impl Into<Jobs>, crate_folder: &str) -> ExitCode {
    let jobs = jobs.into();
    match jobs.check() {
        Ok(()) => test_scenarios(crate::under_test::systems(&jobs), crate_folder),
        Err(error) => exit(Err(error.into())),
    }
}

/// Runs no scenario: they belong to the simulated world.
#[cfg(not(madsim))]
pub fn test_jobs(_: impl Into<Jobs>, _: &str) -> ExitCode {
    ExitCode::SUCCESS
}

#[cfg(madsim)]
fn simulated(systems: crate::harness::system::Systems, jobs: &Jobs) -> ExitCode {
    if let Some(error) = simulated::renamed(&std::env::args().skip(1).collect::<Vec<_>>()) {
        eprintln!("wavetank: {error}");
        return Outcome::BadInput.into();
    }
    exit(simulated::run(simulated::parse(jobs), systems, jobs))
}

/// Reads the command line and does what it says with these jobs: the whole `main` of a binary with jobs of its own, in
/// both worlds. In simulation they run in a cluster under test, as its scenarios say; live on clusters of processes, each
/// of which is this very binary.
#[cfg(not(madsim))]
pub fn main(jobs: impl Into<Jobs>) -> ExitCode {
    if let Some(error) = std::env::args_os().nth(1).and_then(|command| live::moved(&command)) {
        return exit(Err(error));
    }
    let jobs = jobs.into();
    exit(live::run(live::Arguments::of(&jobs), &jobs))
}

fn exit(result: Result<Outcome, CliError>) -> ExitCode {
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("wavetank: {error}");
            error.outcome().into()
        }
    }
}
