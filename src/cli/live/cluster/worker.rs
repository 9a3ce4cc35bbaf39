//! What every process is told that works with the services.

use super::settings::{Servers, TimeoutArguments, cluster_config};
use crate::{
    adapters::folder::ObjectStoreAddress, cli::live::place::Place, host::NodeAddress,
    system::cluster::ClusterConfig,
};
use clap::Args;

/// A process that works with the services.
#[derive(Args)]
pub struct Worker {
    /// Where it runs.
    #[command(flatten)]
    pub place: Place,
    /// Where the services are.
    #[command(flatten)]
    pub servers: ServersArguments,
}

/// Where the services are, as one types it.
#[derive(Args)]
pub struct ServersArguments {
    /// The coordination server
    #[arg(long)]
    coordination: NodeAddress,
    /// The object store: a server, or the URL of a folder
    #[arg(long)]
    object_store: ObjectStoreAddress,
    /// The log server
    #[arg(long)]
    log_server: NodeAddress,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

impl ServersArguments {
    /// How a process of the cluster behaves.
    pub fn config(self) -> ClusterConfig {
        let ServersArguments { coordination, object_store, log_server: log, timeouts } = self;
        cluster_config(Servers { coordination, object_store, log }, timeouts.timeouts())
    }
}
