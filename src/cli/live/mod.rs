//! The live world's commands.

mod cluster;
mod folder;
mod hello;
mod mini;
mod node;
mod place;
mod process;
mod programs;
mod session;
mod supervised;
mod text;

use super::{CliError, Outcome};
use crate::jobs::Jobs;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsStr;
use tracing_subscriber::fmt::time::SystemTime;

/// The live cluster: each role a process of its own, on loopback TCP and in a
/// folder of the real disk.
///
/// A cluster that goes on in the background: `start-cluster`, then `submit`, `jobs`, `info` and `cancel`, at last
/// `stop-cluster`. They all mean the cluster in the folder wavetank-cluster, unless --data names another one.
/// `submit --target` runs a job in a cluster of its own instead, which ends with it.
///
/// Exit codes: 0 all passed, 1 what was to be equal is not, or a job has not finished, 2 a bad command or file, 3
/// not finished, 130 interrupted; docs/exit-codes.md tells them command by command.
///
/// Try `cargo live start-cluster`, then `cargo live submit word-count --wait -- --input README.md`.
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
    Mini(mini::Mini),
    StartCluster(session::StartCluster),
    Submit(session::Submit),
    Jobs(session::Jobs),
    Info(session::Info),
    Cancel(session::Cancel),
    StopCluster(session::StopCluster),
    /// Looks after a cluster's processes, as `start-cluster` starts it.
    #[command(hide = true)]
    Supervisor(session::Supervisor),
    /// One process of a cluster, as the other commands start it.
    #[command(hide = true, subcommand)]
    Node(Box<node::Node>),
}

impl Arguments {
    /// Reads the command line of a binary with these jobs; what is wrong with it ends the process.
    pub fn of(jobs: &Jobs) -> Self {
        let listed = format!("Jobs of this binary:{}", jobs.listed());
        let command =
            Arguments::command().mut_subcommand("submit", |submit| submit.after_help(listed));
        Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// Commands that have moved away, and what to say to somebody who types one.
const MOVED: &[(&str, &str)] = &[(
    "journal",
    "`journal` is a crate of its own now, examples/journal; its README.md tells how it runs live",
)];

/// What to say to somebody whose first word is a command that has moved away.
pub fn moved(command: &OsStr) -> Option<CliError> {
    let (_, told) = MOVED.iter().find(|(moved, _)| command == *moved)?;
    Some(CliError::new(*told))
}

/// Does what the command line says.
pub fn run(arguments: Arguments, jobs: &Jobs) -> Result<Outcome, CliError> {
    super::log::install(&arguments.log, SystemTime)?;
    match arguments.command {
        Command::Hello(command) => command.run(&arguments.log),
        Command::Mini(command) => command.run(&arguments.log, jobs),
        Command::StartCluster(command) => command.run(&arguments.log),
        Command::Submit(command) => command.run(&arguments.log, jobs),
        Command::Jobs(command) => command.run(),
        Command::Info(command) => command.run(),
        Command::Cancel(command) => command.run(),
        Command::StopCluster(command) => command.run(),
        Command::Supervisor(command) => command.run(&arguments.log),
        Command::Node(command) => command.run(jobs),
    }
}
