//! The processes of a cluster. Each says where it listens; a job manager also, at last, what the cluster came to.

use super::{
    entrypoint::JobManager, front_end_runner::FrontEndRunner,
    task_manager_runner::TaskManagerRunner,
};
use crate::{
    cli::live::{
        CliError, Outcome,
        place::{Place, announce, run},
    },
    jobs::Jobs,
    system::{
        cluster::{bind, serve_coordination, serve_log, serve_object_store},
        service::log::LogServerConfig,
    },
};
use clap::Subcommand;

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
    TaskExecutor(TaskManagerRunner),
    /// A front end of a service; says where it listens for requests.
    FrontEnd(FrontEndRunner),
}

impl ClusterNode {
    /// Runs it to its end.
    pub fn run(self, jobs: &Jobs) -> Result<Outcome, CliError> {
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
                serve_log(&service, LogServerConfig::default()).await;
            }),
            ClusterNode::JobManager(job_manager) => job_manager.run(jobs),
            ClusterNode::TaskExecutor(runner) => runner.run(jobs),
            ClusterNode::FrontEnd(runner) => runner.run(),
        }
    }
}
