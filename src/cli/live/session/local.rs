//! A job that is run by a cluster in the command's own process.

use super::{
    connection::Connection,
    folder::ClusterFolder,
    state::{ClusterFile, ClusterState, RunningCluster},
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::Size,
        folder::DataFolder,
        supervised::{End, run_supervised},
        text::say,
    },
    host::Host,
    jobs::Jobs,
    local::{LocalCluster, LocalClusterConfig},
};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// Starts a cluster in this process that can run these jobs, does `work` as its client, and ends it. Without a folder it leaves nothing.
pub fn with_local_cluster(
    jobs: &Jobs,
    data: Option<&Path>,
    size: Size,
    within: Duration,
    work: impl AsyncFnOnce(Connection) -> Result<Outcome, CliError>,
) -> Result<Outcome, CliError> {
    if let Some(data) = data {
        ClusterFolder::new(data).check()?;
    }
    let kept = DataFolder::open(data, "local")?;
    let folder = ClusterFolder::new(kept.path());
    ClusterFile::write(folder.path(), ClusterState::Starting { pid: Some(std::process::id()) })?;
    let end = run_supervised(folder.path(), None, async |host| {
        run(&host, jobs, &folder, size, within, work).await
    });
    let why = match &end {
        Ok(End::Finished(_)) => "its command has ended",
        Ok(End::Interrupted | End::Overdue) => "its command was interrupted",
        Err(_) => "its command has failed",
    };
    ClusterFile::write(folder.path(), ClusterState::Ended { why: why.to_string() })?;
    Ok(match end? {
        End::Finished(outcome) => outcome,
        End::Interrupted | End::Overdue => {
            say("interrupted; the cluster is ended");
            Outcome::Interrupted
        }
    })
}

async fn run(
    host: &Host,
    jobs: &Jobs,
    folder: &ClusterFolder,
    size: Size,
    within: Duration,
    work: impl AsyncFnOnce(Connection) -> Result<Outcome, CliError>,
) -> Result<Outcome, CliError> {
    let config = LocalClusterConfig {
        task_executors: size.task_executors.into(),
        slots: size.slots,
        rest_port: size.rest_port,
        folder: Some(folder.path().to_path_buf()),
        start_timeout: within,
        ..LocalClusterConfig::default()
    };
    let cluster = LocalCluster::start(config, jobs.programs()).await;
    let cluster = cluster.map_err(|error| CliError::stuck(error.to_string()))?;
    let running = running(&cluster);
    ClusterFile::write(folder.path(), ClusterState::Running(running.clone()))?;
    let outcome = work(Connection::new(host, folder, &running, within).await?).await?;
    cluster.stop().await;
    Ok(outcome)
}

/// What other commands are to know of it while it runs.
fn running(cluster: &LocalCluster) -> RunningCluster {
    let config = cluster.config();
    RunningCluster {
        pid: std::process::id(),
        coordination: config.coordination.server.clone(),
        object_store: cluster.object_store().clone(),
        log: config.log.server.clone(),
        rest: vec![format!("http://{}", cluster.web_monitor())],
        processes: BTreeMap::new(),
    }
}
