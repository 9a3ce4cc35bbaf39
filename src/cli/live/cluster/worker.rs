//! What every process is told that works with the services.

use super::settings::{TimeoutArguments, cluster_config};
use crate::{cli::live::place::Place, host::NodeAddress, system::cluster::ClusterConfig};
use clap::Args;

/// A process that works with the services.
#[derive(Args)]
pub struct Worker {
    /// Where it runs.
    #[command(flatten)]
    pub place: Place,
    /// Where the servers listen.
    #[command(flatten)]
    pub servers: Servers,
}

/// Where the servers listen.
#[derive(Args)]
pub struct Servers {
    /// The coordination server
    #[arg(long)]
    coordination: NodeAddress,
    /// The object store
    #[arg(long)]
    object_store: NodeAddress,
    /// The log server
    #[arg(long)]
    log_server: NodeAddress,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

impl Servers {
    /// How a process of the cluster behaves.
    pub fn config(self) -> ClusterConfig {
        let timeouts = self.timeouts.timeouts();
        cluster_config(self.coordination, self.object_store, self.log_server, timeouts)
    }
}
