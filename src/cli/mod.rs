//! The commands. In the tank: `explore`, `run`, `replay`, `keep`, `new`, `check`, `list`, `sabotage`,
//! `determinism`. Live: `hello`, `journal`, `mini`.

mod exit;
#[cfg(live)]
mod live;
mod log;
#[cfg(madsim)]
mod tank;

#[cfg(live)]
use live as world;
#[cfg(madsim)]
use tank as world;

use clap::Parser;
use std::process::ExitCode;

pub use exit::{CliError, Outcome};

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = world::Arguments::parse();
    match world::run(arguments) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("wavetank: {error}");
            Outcome::BadInput.into()
        }
    }
}
