//! `node …`: one process of a cluster. It prints where it listens, and nothing else.

use super::{
    CliError, Outcome,
    cluster::ClusterNode,
    mini::MiniNode,
    place::{Place, announce, run},
};
use crate::{
    host::Host,
    jobs::{Jobs, hello::start_hello},
    system::cluster::bind,
};
use clap::Subcommand;

/// A process's role.
#[derive(Subcommand)]
pub enum Node {
    /// Greets.
    Hello(Place),
    #[command(flatten)]
    Cluster(ClusterNode),
    #[command(flatten)]
    Mini(MiniNode),
}

impl Node {
    /// Runs it to its end; a cluster's nodes run these jobs.
    pub fn run(self, jobs: &Jobs) -> Result<Outcome, CliError> {
        end_with_parent();
        match self {
            Node::Hello(place) => run(place, serve_hello),
            Node::Cluster(node) => node.run(jobs),
            Node::Mini(node) => node.run(),
        }
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

/// Ends this process when its parent is gone, however that came: the pipe between them closes.
#[expect(clippy::disallowed_methods, reason = "must work though the node hangs")]
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(Outcome::Stuck as i32);
    });
}
