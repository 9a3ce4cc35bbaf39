//! The commands. In simulation: `explore`, `run`, `replay`, `add-regression`, `new`, `check`, `list`,
//! `sabotage`, `verify-determinism`, `digest`. Live: `hello`, `journal`, `mini`.

mod exit;
#[cfg(not(madsim))]
mod live;
mod log;
#[cfg(madsim)]
mod simulated;

#[cfg(not(madsim))]
use live as world;
#[cfg(madsim)]
use simulated as world;

use clap::Parser;
use std::process::ExitCode;

pub use exit::{CliError, Outcome};

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    #[cfg(madsim)]
    if let Some(error) = simulated::renamed(&std::env::args().skip(1).collect::<Vec<_>>()) {
        eprintln!("wavetank: {error}");
        return Outcome::BadInput.into();
    }
    let arguments = world::Arguments::parse();
    match world::run(arguments) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("wavetank: {error}");
            Outcome::BadInput.into()
        }
    }
}
