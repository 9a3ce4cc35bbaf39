//! The live world's commands.

mod folder;
mod hello;
mod journal;
mod member;
mod mini;
mod node;
mod observe;
mod process;
mod strike;
mod supervise;
mod supervised;
mod text;
mod verify;

use super::{CliError, Outcome};
use crate::{host::NodeAddress, system::service::coordination::CoordinationConfig};
use clap::{Parser, Subcommand};
use std::time::Duration;
use tracing_subscriber::fmt::time::SystemTime;

/// The live cluster: each role a process of its own, on loopback TCP and in a
/// folder of the real disk.
///
/// Exit codes: 0 all passed, 1 what was to be equal is not, 2 a bad command or file, 3 not finished.
///
/// Try `cargo live hello`, then `cargo live journal --input Cargo.lock --kill-leader 2`, then
/// `cargo live mini --input Cargo.lock --kill 3`.
#[derive(Parser)]
#[command(name = "cargo live", bin_name = "cargo live", version, max_term_width = 100)]
pub struct Arguments {
    /// Which tracing lines are printed on standard error, such as `info` or `wavetank=debug`
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Hello(hello::Hello),
    Journal(journal::Journal),
    Mini(mini::Mini),
    /// One process of a cluster, as the other commands start it.
    #[command(hide = true, subcommand)]
    Node(node::Node),
}

/// Does what the command line says.
pub fn run(arguments: Arguments) -> Result<Outcome, CliError> {
    super::log::install(&arguments.log, SystemTime)?;
    match arguments.command {
        Command::Hello(command) => command.run(&arguments.log),
        Command::Journal(command) => command.run(&arguments.log),
        Command::Mini(command) => command.run(&arguments.log),
        Command::Node(command) => command.run(),
    }
}

/// Where all nodes of a live cluster listen.
const HOSTNAME: &str = "127.0.0.1";

/// How a live cluster's nodes lean on the coordination server: a fail-over takes little more than
/// the session's time.
fn coordination_config(server: NodeAddress) -> CoordinationConfig {
    CoordinationConfig {
        session_timeout: Duration::from_secs(2),
        ..CoordinationConfig::new(server)
    }
}
