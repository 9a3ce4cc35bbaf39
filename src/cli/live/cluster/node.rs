//! The processes of a cluster. Each says where it listens, and nothing else.

use super::{library::library, settings::cluster_config};
use crate::{
    cli::live::{
        CliError, Outcome,
        place::{Place, announce, run},
    },
    host::NodeAddress,
    system::cluster::{
        ClusterConfig, bind, serve_coordination, serve_jobs, serve_log, serve_object_store,
        serve_tasks,
    },
};
use clap::{Args, Subcommand};

/// A process's role.
#[derive(Subcommand)]
pub enum ClusterNode {
    /// The coordination server.
    Coordination(Place),
    /// The object store.
    Blobs(Place),
    /// The log server.
    Log(Place),
    /// A job manager; says where its web monitor listens.
    JobManager(JobManager),
    /// A task executor.
    TaskExecutor(TaskExecutor),
}

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
}

impl Servers {
    /// How a process of the cluster behaves.
    pub fn config(self) -> ClusterConfig {
        cluster_config(self.coordination, self.object_store, self.log_server)
    }
}

#[derive(Args)]
pub struct JobManager {
    #[command(flatten)]
    worker: Worker,
    /// The port of its web monitor; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    rest_port: u16,
}

#[derive(Args)]
pub struct TaskExecutor {
    #[command(flatten)]
    worker: Worker,
    /// How many slots it has
    #[arg(long)]
    slots: u32,
}

impl ClusterNode {
    /// Runs it to its end.
    pub fn run(self) -> Result<Outcome, CliError> {
        match self {
            ClusterNode::Coordination(place) => run(place, async |host, port| {
                let Some(service) = bind(&host, port).await else { return };
                announce(service.address());
                serve_coordination(&service).await;
            }),
            ClusterNode::Blobs(place) => run(place, async |host, port| {
                let Some(service) = bind(&host, port).await else { return };
                announce(service.address());
                serve_object_store(&service).await;
            }),
            ClusterNode::Log(place) => run(place, async |host, port| {
                let Some(service) = bind(&host, port).await else { return };
                announce(service.address());
                serve_log(&service).await;
            }),
            ClusterNode::JobManager(JobManager {
                worker: Worker { place, servers },
                rest_port,
            }) => run(place, async |host, port| {
                let Some(service) = bind(&host, port).await else { return };
                let mut config = servers.config();
                config.web_monitor.port = rest_port;
                serve_jobs(service, config, &library(), announce).await;
            }),
            ClusterNode::TaskExecutor(TaskExecutor {
                worker: Worker { place, servers },
                slots,
            }) => run(place, async |host, port| {
                let Some(service) = bind(&host, port).await else { return };
                let mut config = servers.config();
                config.task_executor.slots = slots;
                serve_tasks(service, 0, config, &library()).await;
            }),
        }
    }
}
