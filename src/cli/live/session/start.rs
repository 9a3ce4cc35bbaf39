//! `start-cluster`: starts a cluster that goes on in the background.

use super::{
    connection::Connection,
    deployment::{Deployment, DeploymentResult},
    folder::ClusterFolder,
    launch::{Launch, Launched, Starting, TICK},
    object_store::ObjectStoreArgument,
    state::RunningCluster,
    supervisor::SizeArguments,
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::Size,
        text::{Narrator, parse_duration, say},
    },
    host::{Host, NodeAddress, live::LOOPBACK},
    system::{
        leadership::LeaderGateway,
        protocol::{RESOURCE_MANAGER, ResourceManagerGateway},
    },
};
use clap::Args;
use std::{io::ErrorKind, net::TcpListener, time::Duration};

/// A look at the cluster gives up after that, so that a supervisor that has ended is seen.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// The processes of a cluster that was killed may hold their ports for so long.
const PORT_PATIENCE: Duration = Duration::from_secs(2);

/// Start a cluster on this machine, which goes on in the background.
///
/// It consists of a coordination server, an object store, a log server, job managers and task executors, each a
/// process of its own on loopback TCP with a folder of its own, and a supervisor, which starts again what ends.
/// DIR/cluster.json tells where they listen, DIR/supervisor.log what they say. The command ends when the cluster
/// is ready: a web monitor leads, and knows all task executors.
///
/// A folder of a cluster that was stopped, or killed, starts again with its jobs and their data. One that was made
/// for a job of its own, and has not run it to its end, goes on with that and ends with it.
///
/// With --object-store there is no object store among its processes: all of them, and the commands that speak to the
/// cluster, work on that folder themselves. Savepoints that lie there are those of every cluster that is told the
/// same folder.
///
/// Exit codes: 0 it is ready, 2 it can't be started there or so, 3 it did not come up and is ended again, 130
/// interrupted, and ended again.
///
/// Try `cargo live start-cluster`, then `cargo live submit word-count --wait -- --input README.md`.
#[derive(Args)]
pub struct StartCluster {
    #[command(flatten)]
    size: SizeArguments,
    #[command(flatten)]
    object_store: ObjectStoreArgument,
    #[command(flatten)]
    folder: ClusterFolder,
    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = parse_duration)]
    within: Duration,
}

impl StartCluster {
    /// Does it.
    pub fn run(&self, log: &str) -> Result<Outcome, CliError> {
        let size = self.size.size();
        let ports = ports(size)?;
        let folder = ClusterFolder::new(&std::path::absolute(self.folder.path())?);
        let narrator = Narrator::new();
        self.folder.check()?;
        let ends_by_itself = Deployment::pending(&folder)?.is_some();
        wait_for_ports(&ports, &narrator, "--rest-port")?;
        let lock = folder.claim()?;
        self.object_store.settle(folder.path())?;
        let launch = Launch { folder: &folder, size, within: self.within, log };
        let launched = launch.run(lock, &narrator, async |host, starting| {
            until_ready(host, starting, size, ends_by_itself, &narrator).await
        })?;
        match launched {
            Launched::Ended(outcome) => Ok(outcome),
            Launched::Ready(Ready::Ended(result)) => {
                say(&format!("the cluster was started, and has ended: {}", result.told()));
                Ok(Outcome::Passed)
            }
            Launched::Ready(Ready::Leads { url, pid }) => {
                let seconds = narrator.elapsed().as_secs_f64();
                say(&url);
                say(&format!("the cluster is ready after {seconds:.1} s (pid {pid})"));
                Ok(Outcome::Passed)
            }
        }
    }
}

/// The ports that web monitors are to have.
fn ports(size: Size) -> Result<Vec<u16>, CliError> {
    if size.rest_port == 0 {
        return Ok(Vec::new());
    }
    let ports = (0..size.job_managers).map(|number| size.rest_port.checked_add(number));
    ports.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let Size { rest_port, job_managers, .. } = size;
        CliError::new(format!(
            "--rest-port {rest_port}: there are not {job_managers} ports from there on"
        ))
    })
}

/// Refuses ports that somebody has, and names the option that chooses them.
pub(super) fn wait_for_ports(
    ports: &[u16],
    narrator: &Narrator,
    option: &str,
) -> Result<(), CliError> {
    for port in ports {
        while let Err(error) = TcpListener::bind((LOOPBACK, *port)) {
            let taken = error.kind() == ErrorKind::AddrInUse;
            if taken && narrator.elapsed() < PORT_PATIENCE {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "nothing else is to be done meanwhile"
                )]
                std::thread::sleep(TICK);
                continue;
            }
            let why = if taken {
                "somebody listens there already".to_string()
            } else {
                error.to_string()
            };
            return Err(CliError::new(format!(
                "port {port}: {why}; {option} P names another one, and 0 takes any that is free"
            )));
        }
    }
    Ok(())
}

/// A cluster that has come up.
enum Ready {
    /// Its web monitor leads.
    Leads {
        /// Where that listens.
        url: String,
        /// Its supervisor.
        pid: u32,
    },
    /// It was there for a job, which has ended.
    Ended(DeploymentResult),
}

/// Waits until the cluster is ready, or has ended.
async fn until_ready(
    host: &Host,
    starting: &mut Starting<'_>,
    size: Size,
    ends_by_itself: bool,
    narrator: &Narrator,
) -> Result<Ready, CliError> {
    let mut clients = None;
    loop {
        if let Err(why) = starting.goes_on() {
            let result = DeploymentResult::read(starting.folder)?.filter(|_| ends_by_itself);
            return result.map(Ready::Ended).ok_or(why);
        }
        match (&clients, starting.running()?) {
            (None, Some(cluster)) => {
                clients = Some(Clients::new(host, starting.folder, &cluster).await?);
                starting.miss("no job manager leads yet");
            }
            (None, None) => {}
            (Some(clients), running) => {
                let look = clients.look(size, starting);
                let leader = host.timeout(LOOK_MAX, look).await.ok().flatten();
                let url = leader.map(|leader| format!("http://{leader}"));
                // What other commands read tells of it too.
                let told = running.map(|cluster| cluster.rest).unwrap_or_default();
                if let Some(url) = url.filter(|url| told.contains(url)) {
                    return Ok(Ready::Leads { url, pid: starting.pid() });
                }
            }
        }
        narrator.progress(starting.missing());
        host.sleep(TICK).await;
    }
}

/// Who is asked whether a cluster is ready.
struct Clients {
    connection: Connection,
    resource_manager: LeaderGateway<ResourceManagerGateway>,
}

impl Clients {
    async fn new(
        host: &Host,
        folder: &ClusterFolder,
        cluster: &RunningCluster,
    ) -> Result<Clients, CliError> {
        let connection = Connection::new(host, folder, cluster, LOOK_MAX).await?;
        let coordination = &connection.services.coordination;
        let resource_manager =
            LeaderGateway::new(&connection.service, coordination, RESOURCE_MANAGER);
        Ok(Clients { connection, resource_manager })
    }

    /// The leading web monitor, if it tells all task executors. The resource manager is asked before, since a
    /// web monitor keeps for a while what it was told.
    async fn look(&self, size: Size, starting: &mut Starting<'_>) -> Option<NodeAddress> {
        let Clients { connection, resource_manager } = self;
        let Ok(known) = resource_manager.gateway().await.task_executors().await else {
            resource_manager.forget_and_wait().await;
            return None;
        };
        let slots: u32 = known.iter().map(|executor| executor.slots).sum();
        let Size { slots: each, .. } = size;
        let task_executors = if size.on_demand { 0 } else { size.task_executors };
        starting
            .miss(&format!("{} of {task_executors} task executors are registered", known.len()));
        if known.len() < usize::from(task_executors) || slots < u32::from(task_executors) * each {
            return None;
        }
        starting.miss("no web monitor leads yet that tells all task executors");
        let leader = connection.rest.leader().await.ok()?;
        let overview = connection.rest.get(&leader, "/overview").await.ok()?;
        let known = overview["taskmanagers"].as_u64()?;
        (known >= task_executors.into()).then_some(leader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::live::cluster::Timeouts;

    #[test]
    fn each_web_monitor_has_a_port_of_its_own() {
        let timeouts = Timeouts::DEFAULT;
        let size = |job_managers, rest_port| {
            let (task_executors, on_demand, slots) = (1, false, 1);
            Size { job_managers, task_executors, on_demand, slots, rest_port, timeouts }
        };
        assert_eq!(ports(size(3, 8081)).expect("there are"), [8081, 8082, 8083]);
        assert!(ports(size(3, 0)).expect("any do").is_empty());
        let refused = ports(size(2, 65_535)).expect_err("there is one").to_string();
        assert!(refused.contains("--rest-port 65535"), "{refused}");
    }

    #[test]
    fn a_port_that_somebody_has_is_refused_with_what_to_do() {
        let taken = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
        let port = taken.local_addr().expect("it listens").port();
        let refused = wait_for_ports(&[port], &Narrator::new(), "--rest-port")
            .expect_err("it is taken")
            .to_string();
        assert!(refused.contains("listens there already; --rest-port P"), "{refused}");
    }
}
