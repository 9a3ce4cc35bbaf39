//! The commands. In simulation: `explore`, `run`, `replay`, `add-regression`, `new`, `init`, `check`, `list`,
//! `sabotage`, `verify-determinism`, `digest`, `graph`. Live: `hello`, `mini`, and those of a session cluster.

mod exit;
#[cfg(not(madsim))]
mod live;
mod log;
#[cfg(madsim)]
mod simulated;

use clap::Parser;
use std::process::ExitCode;

pub use exit::{CliError, Outcome};
#[cfg(madsim)]
pub use simulated::test_scenarios;

/// Reads the command line and does what it says.
#[cfg(madsim)]
pub fn main() -> ExitCode {
    simulated_main(crate::under_test::SYSTEMS)
}

/// The same for the systems of whoever calls: a crate with systems of its own has this for its `main`.
#[cfg(madsim)]
pub fn simulated_main(systems: crate::harness::system::Systems) -> ExitCode {
    if let Some(error) = simulated::renamed(&std::env::args().skip(1).collect::<Vec<_>>()) {
        eprintln!("wavetank: {error}");
        return Outcome::BadInput.into();
    }
    exit(simulated::run(simulated::Arguments::parse(), systems))
}

/// Reads the command line and does what it says.
#[cfg(not(madsim))]
pub fn main() -> ExitCode {
    if let Some(error) = std::env::args_os().nth(1).and_then(|command| live::moved(&command)) {
        return exit(Err(error));
    }
    exit(live::run(live::Arguments::parse()))
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
