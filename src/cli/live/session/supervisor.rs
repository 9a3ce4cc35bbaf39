//! The process that goes on in the background and looks after a cluster's processes.

use super::{
    deployment::{Deployment, DeploymentMode, DeploymentResult},
    folder::ClusterFolder,
    object_store::ObjectStoreFile,
    state::{ClusterFile, ClusterState, StateOfCluster},
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::{
            ClusterEnd, ClusterEntrypoint, Processes, Size, TimeoutArguments, cluster_config,
            timeouts_again,
        },
        supervised::{End, run_supervised},
        text::{Narrator, say},
    },
    host::Host,
    system::{
        client::JobClient,
        rpc::{RpcService, RpcSystem},
        service::Services,
    },
};
use clap::Args;
use std::time::Duration;

/// From look to look at the processes.
const TICK: Duration = Duration::from_millis(50);

/// The size of a cluster, as one types it.
#[derive(Args, Clone, Debug)]
pub struct SizeArguments {
    /// Job managers: one leads, the others take over
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    job_managers: u16,
    /// Task executors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    executors: u16,
    /// Start task executors when jobs need them, --executors at most, and end those that are idle for 30 s
    #[arg(long)]
    on_demand: bool,
    /// Slots of each task executor: a job needs as many as its greatest parallelism
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    slots: u32,
    /// The port of the first job manager's web monitor, those of the others follow; 0 takes free ones
    #[arg(long, value_name = "P", default_value_t = 8081)]
    rest_port: u16,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

impl SizeArguments {
    /// What they come to.
    pub fn size(&self) -> Size {
        Size {
            job_managers: self.job_managers,
            task_executors: self.executors,
            on_demand: self.on_demand,
            slots: self.slots,
            rest_port: self.rest_port,
            timeouts: self.timeouts.timeouts(),
        }
    }
}

/// A size, to be typed once more.
pub fn size_again(size: Size) -> Vec<String> {
    let mut again = vec![
        format!("--job-managers={}", size.job_managers),
        format!("--executors={}", size.task_executors),
        format!("--slots={}", size.slots),
        format!("--rest-port={}", size.rest_port),
    ];
    let timeouts = timeouts_again(size.timeouts);
    again.extend(timeouts.map(|(option, value)| format!("{option}={value}")));
    again.extend(size.on_demand.then(|| "--on-demand".to_string()));
    again
}

/// Looks after the processes of a cluster until it is told to end, or has done what it was made for. Its standard input is the lock of the folder.
#[derive(Args)]
pub struct Supervisor {
    #[command(flatten)]
    size: SizeArguments,
    #[command(flatten)]
    folder: ClusterFolder,
}

impl Supervisor {
    /// Runs it to its end.
    pub fn run(&self, log: &str) -> Result<Outcome, CliError> {
        let (folder, narrator) = (self.folder.path(), Narrator::new());
        let pid = std::process::id();
        ClusterFile::write(folder, ClusterState::Starting { pid: Some(pid) })?;
        say(&format!("wavetank {}, supervisor pid {pid}", env!("CARGO_PKG_VERSION")));
        let end = run_supervised(folder, None, async |host| {
            supervise(&host, &self.folder, self.size.size(), log, &narrator).await
        });
        // Every process has ended by now.
        let (why, outcome) = match end {
            Ok(End::Interrupted) => ("it was stopped".to_string(), Outcome::Passed),
            Ok(End::Finished(result)) => (result.told(), Outcome::Passed),
            Ok(End::Overdue) => ("its time is over".to_string(), Outcome::Stuck),
            Err(error) => (error.to_string(), Outcome::Stuck),
        };
        narrator.say(&format!("the cluster has ended: {why}"));
        ClusterFile::write(folder, ClusterState::Ended { why })?;
        Ok(outcome)
    }
}

/// Starts what a cluster consists of and looks after it. Ends when the cluster has done what it is there for, or can't
/// go on.
async fn supervise(
    host: &Host,
    folder: &ClusterFolder,
    size: Size,
    log: &str,
    narrator: &Narrator,
) -> Result<DeploymentResult, CliError> {
    let deployment = Deployment::pending(folder)?;
    let mut processes = Processes::new(host, folder.path(), log);
    let elsewhere = ObjectStoreFile::read(folder.path())?;
    let servers = processes.start_servers(elsewhere, narrator).await?;
    let config = cluster_config(servers.clone(), size.timeouts);
    let service = RpcSystem::default().bind(host, 0).await?;
    let services = config.services(&service);
    let mut entrypoint = ClusterEntrypoint::Session;
    if let Some(deployment) = &deployment {
        processes.tended(narrator, deployment.prepare(folder, &services)).await??;
        entrypoint = deployment.entrypoint(folder);
        narrator.say(&format!("job {} has what it needs", deployment.job));
    }
    processes.provide(&service, &config, size)?;
    processes.start_workers(&config, size, &entrypoint);
    let mut state = StateOfCluster::new(folder.path(), servers);
    loop {
        processes.tend(narrator)?;
        if let (Some(deployment), Some(end)) = (&deployment, processes.end()?) {
            let ended = ended(deployment, end, &service, &services);
            let end = processes.tended(narrator, ended).await??;
            return deployment.write_result(folder, end);
        }
        state.tell(&processes)?;
        host.sleep(TICK).await;
    }
}

/// What a cluster came to, with what is kept of its job's end. A program may have failed without a job, and says why
/// itself.
async fn ended(
    deployment: &Deployment,
    end: ClusterEnd,
    service: &RpcService,
    services: &Services,
) -> Result<ClusterEnd, CliError> {
    if deployment.mode != DeploymentMode::PerJob {
        return Ok(end);
    }
    let client = JobClient::new(service, &services.coordination);
    let kept = client.kept_result(&services.coordination, deployment.job).await?;
    Ok(ClusterEnd { cause: kept.cause, ..end })
}
