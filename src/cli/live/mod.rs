//! The live world's commands.

use super::{CliError, Outcome};
use clap::Parser;

/// The cluster on loopback TCP and a real folder.
#[derive(Parser)]
pub struct Arguments {}

/// Does what the command line says.
pub fn run(_: Arguments) -> Result<Outcome, CliError> {
    Ok(Outcome::Held)
}
