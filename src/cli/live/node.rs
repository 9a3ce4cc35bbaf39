//! `node …`: one process of a cluster. It prints where it listens, and nothing else.

use super::{
    CliError, HOSTNAME, Outcome, coordination_config, folder::claim, journal::read_lines,
    mini::MiniNode, text,
};
use crate::{
    host::{
        Host, NodeAddress,
        live::{ExitReason, NodeConfig, run_node},
    },
    jobs::{
        hello::start_hello,
        journal::{Workload, run_client_node, serve_coordination, serve_journal},
    },
    system::rpc::{RpcService, RpcSystem},
};
use clap::{Args, Subcommand};
use std::{fmt::Display, path::PathBuf, time::Duration};

/// A process's role.
#[derive(Subcommand)]
pub enum Node {
    /// Greets.
    Hello(Place),
    /// The coordination server.
    Coordination(Place),
    /// A journal node, which leads when it is elected.
    Journal(Member),
    /// Sends a file's lines to the journal, and ends when all stand.
    Client(Client),
    #[command(flatten)]
    Mini(MiniNode),
}

/// Where a process runs.
#[derive(Args)]
pub struct Place {
    /// The node's name
    #[arg(long)]
    name: String,
    /// The folder that is its disk
    #[arg(long)]
    data: PathBuf,
    /// The port on which it listens; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// A process of a cluster.
#[derive(Args)]
pub struct Member {
    #[command(flatten)]
    place: Place,
    /// Where the coordination server listens
    #[arg(long)]
    coordination: NodeAddress,
}

/// A client of the journal.
#[derive(Args)]
pub struct Client {
    #[command(flatten)]
    member: Member,
    /// The file whose lines it sends
    #[arg(long)]
    input: PathBuf,
    /// Its number
    #[arg(long)]
    client: u32,
    /// Lines sent in one call
    #[arg(long)]
    batch: usize,
    /// The wait after each call
    #[arg(long, value_parser = text::parse_duration)]
    pause: Duration,
}

impl Node {
    /// Runs it to its end.
    pub fn run(self) -> Result<Outcome, CliError> {
        end_with_parent();
        match self {
            Node::Hello(place) => run(place, serve_hello),
            Node::Coordination(place) => run(place, async |host, port| {
                let Some(service) = bind(&host, port).await else { return };
                announce(service.address());
                serve_coordination(&service).await;
            }),
            Node::Journal(Member { place, coordination }) => run(place, async |host, port| {
                let Some(service) = bind(&host, port).await else { return };
                announce(service.address());
                serve_journal(service, coordination_config(coordination)).await;
            }),
            Node::Client(client) => client.run(),
            Node::Mini(node) => node.run(),
        }
    }
}

impl Client {
    fn run(self) -> Result<Outcome, CliError> {
        let Client { member: Member { place, coordination }, input, client, batch, pause } = self;
        let lines = read_lines(&input)?;
        let workload = Workload { client, lines, batch, pause };
        run(place, async |host, _| {
            run_client_node(host, coordination_config(coordination), workload).await;
        })
    }
}

async fn serve_hello(host: Host, port: u16) {
    let Some(service) = bind(&host, port).await else { return };
    match start_hello(&service) {
        Ok(server) => {
            announce(server.address());
            let end = server.termination().await;
            host.exit(&format!("the server has ended: {end:?}"));
        }
        Err(error) => host.exit(&error.to_string()),
    }
}

/// A service on a port; without one the process is told to exit.
pub async fn bind(host: &Host, port: u16) -> Option<RpcService> {
    match RpcSystem::load(host).bind(port).await {
        Ok(service) => Some(service),
        Err(error) => {
            host.exit(&format!("port {port}: {error}"));
            None
        }
    }
}

/// Tells the parent where this process listens.
pub fn announce(address: &impl Display) {
    text::say(&address.to_string());
}

/// Runs a process with a node in it, alone in its folder.
pub fn run(place: Place, main: impl AsyncFnOnce(Host, u16)) -> Result<Outcome, CliError> {
    let Place { name, data, port } = place;
    let _span = tracing::error_span!("process", name).entered();
    let _alone = claim(&data)?;
    let config = NodeConfig { name, hostname: HOSTNAME.to_string(), data, members: Vec::new() };
    // Why it ended otherwise, the host has put into the log.
    match run_node(config, async |host| main(host, port).await)? {
        ExitReason::Returned => Ok(Outcome::Passed),
        ExitReason::Exited { .. } | ExitReason::Panicked { .. } => Ok(Outcome::Stuck),
    }
}

/// Ends this process when its parent is gone, however that came: the pipe between them closes.
#[expect(clippy::disallowed_methods, reason = "must work though the node hangs")]
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(Outcome::Stuck as i32);
    });
}
