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
use crate::jobs::{Job, Jobs};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsStr;
use tracing_subscriber::fmt::time::SystemTime;

/// The live cluster: each role a process of its own, on loopback TCP and in a
/// folder of the real disk.
///
/// A cluster that goes on in the background: `start-cluster`, then `submit`, `jobs`, `info`, `output` and `cancel`, at
/// last `stop-cluster`. `savepoint` keeps a job's state for its user, `stop --savepoint` ends it with one, and `submit
/// --from-savepoint` goes on from there, at any parallelism. They all mean the cluster in the folder wavetank-cluster,
/// unless --data names another one.
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

/// The job that the examples of help texts name.
const EXAMPLE: &str = "word-count";

#[derive(Subcommand)]
enum Command {
    Hello(hello::Hello),
    Mini(mini::Mini),
    StartCluster(session::StartCluster),
    Submit(session::Submit),
    Serve(session::Serve),
    Jobs(session::Jobs),
    Info(session::Info),
    Output(session::Output),
    Cancel(session::Cancel),
    Savepoint(session::Savepoint),
    Stop(session::Stop),
    CheckpointInfo(session::CheckpointInfo),
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
        let services = format!("Services of this binary:{}", jobs.listed_services());
        let command = command.mut_subcommand("serve", |serve| serve.after_help(services));
        let command = in_terms_of(command, jobs);
        Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// The same, with examples of a job that this binary has.
fn in_terms_of(command: clap::Command, jobs: &Jobs) -> clap::Command {
    let first = jobs.iter().next().map_or("JOB", Job::name).to_string();
    let of_jobs = |text: Option<&clap::builder::StyledStr>| {
        text.map(|text| text.to_string().replace(EXAMPLE, &first)).unwrap_or_default()
    };
    let long = of_jobs(command.get_long_about());
    command.long_about(long).mut_subcommands(|of| {
        let long = of_jobs(of.get_long_about());
        if long.is_empty() { of } else { of.long_about(long) }
    })
}

/// Commands that have moved away, and what to say to somebody who types one.
const MOVED: &[(&str, &str)] = &[(
    "journal",
    "`journal` is a crate of its own now, examples/journal; its README.md tells how it runs live",
)];

/// Commands of the other world.
const SIMULATED: &[&str] = &[
    "explore",
    "campaign",
    "run",
    "replay",
    "diff",
    "shrink",
    "query",
    "add-regression",
    "sabotage",
    "list",
    "milestones",
    "check",
    "new",
    "init",
    "verify-determinism",
    "coverage",
    "digest",
    "graph",
];

/// What to say to somebody whose first word is a command that has moved away, or is one of the other world.
pub fn moved(command: &OsStr) -> Option<CliError> {
    if let Some((_, told)) = MOVED.iter().find(|(moved, _)| command == *moved) {
        return Some(CliError::new(*told));
    }
    let simulated = SIMULATED.iter().find(|simulated| command == **simulated)?;
    Some(CliError::new(format!(
        "`{simulated}` is a command of the simulation, and this binary is the live one: it was built without `--cfg madsim`.\n  \
         The crate's .cargo/config.toml sets it:\n\n  \
         [build]\n  \
         rustflags = \"--cfg madsim\"\n  \
         rustdocflags = \"--cfg madsim\"\n\n  \
         RUSTFLAGS of the environment override it. `cargo run -- init --job` of wavetank writes a crate that has all it \
         needs"
    )))
}

/// Does what the command line says.
pub fn run(arguments: Arguments, jobs: &Jobs) -> Result<Outcome, CliError> {
    super::log::install(&arguments.log, SystemTime)?;
    match arguments.command {
        Command::Hello(command) => command.run(&arguments.log),
        Command::Mini(command) => command.run(&arguments.log, jobs),
        Command::StartCluster(command) => command.run(&arguments.log),
        Command::Submit(command) => command.run(&arguments.log, jobs),
        Command::Serve(command) => command.run(&arguments.log, jobs),
        Command::Jobs(command) => command.run(),
        Command::Info(command) => command.run(),
        Command::Output(command) => command.run(jobs),
        Command::Cancel(command) => command.run(),
        Command::Savepoint(command) => command.run(),
        Command::Stop(command) => command.run(),
        Command::CheckpointInfo(command) => command.run(),
        Command::StopCluster(command) => command.run(),
        Command::Supervisor(command) => command.run(&arguments.log),
        Command::Node(command) => command.run(jobs),
    }
}
