//! `start-cluster`: starts a cluster that goes on in the background.

use super::{
    connection::Connection,
    folder::ClusterFolder,
    state::{ClusterFile, ClusterState, RunningCluster},
    stop::terminate,
    supervisor::SizeArguments,
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::Size,
        supervised::{End, run_supervised},
        text::{Narrator, parse_duration, say, warn},
    },
    host::{Host, NodeAddress, live::LOOPBACK},
    system::{
        leadership::LeaderGateway,
        protocol::{RESOURCE_MANAGER, ResourceManagerGateway},
    },
};
use clap::Args;
use std::{
    cell::RefCell,
    fs::File,
    io::ErrorKind,
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Child, Command},
    time::{Duration, Instant},
};

/// From look to look.
const TICK: Duration = Duration::from_millis(20);
/// A look at the cluster gives up after that, so that a supervisor that has ended is seen.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// The processes of a cluster that was killed may hold their ports for so long.
const PORT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a supervisor may take to end.
const END_MAX: Duration = Duration::from_secs(10);
/// Lines of the log that are shown where a cluster does not come up.
const LINES_SHOWN: usize = 20;

/// Start a cluster on this machine, which goes on in the background.
///
/// It consists of a coordination server, an object store, a log server, job managers and task executors, each a
/// process of its own on loopback TCP with a folder of its own, and a supervisor, which starts again what ends.
/// DIR/cluster.json tells where they listen, DIR/supervisor.log what they say. The command ends when the cluster
/// is ready: a web monitor leads, and knows all task executors.
///
/// A folder of a cluster that was stopped, or killed, starts again with its jobs and their data.
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
    folder: ClusterFolder,
    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = parse_duration)]
    within: Duration,
}

impl StartCluster {
    /// Does it.
    pub fn run(&self, log: &str) -> Result<Outcome, CliError> {
        let ports = ports(self.size.size())?;
        let folder = ClusterFolder::new(&std::path::absolute(self.folder.path())?);
        let narrator = Narrator::new();
        self.folder.check()?;
        wait_for_ports(&ports, &narrator)?;
        let lock = self.folder.claim()?;
        ClusterFile::write(folder.path(), ClusterState::Starting { pid: None })?;
        let mut supervisor = self.start(&folder, lock, log)?;
        let missing = RefCell::new("its servers do not listen yet".to_string());
        let end = run_supervised(folder.path(), Some(self.within), async |host| {
            let starting = Starting { folder: &folder, size: self.size.size(), missing: &missing };
            starting.wait(&host, &mut supervisor, &narrator).await
        });
        narrator.clear();
        let why = match end {
            Ok(End::Finished(url)) => {
                let seconds = narrator.elapsed().as_secs_f64();
                say(&url);
                say(&format!(
                    "the cluster is ready after {seconds:.1} s (pid {})",
                    supervisor.id()
                ));
                return Ok(Outcome::Passed);
            }
            Ok(End::Interrupted) => {
                self.end(&mut supervisor, "its start was interrupted")?;
                say("interrupted; every process is ended");
                return Ok(Outcome::Interrupted);
            }
            Ok(End::Overdue) => format!("within {:?}: {}", self.within, missing.borrow()),
            Err(error) => error.to_string(),
        };
        self.end(&mut supervisor, &format!("it did not come up: {why}"))?;
        let (shown, log) = (folder.last_lines(LINES_SHOWN), self.folder.log_file());
        let told =
            format!("the cluster did not come up: {why}; the last lines of {}:", log.display());
        warn(&shown.iter().fold(told, |told, line| format!("{told}\n  {line}")));
        Ok(Outcome::Stuck)
    }

    /// Ends what was begun, and leaves the reason.
    fn end(&self, supervisor: &mut Child, why: &str) -> Result<(), CliError> {
        end_supervisor(supervisor)?;
        // Unless the next one has started meanwhile.
        if let Ok(_lock) = self.folder.claim() {
            let state = ClusterState::Ended { why: why.to_string() };
            ClusterFile::write(self.folder.path(), state)?;
        }
        Ok(())
    }

    /// Starts the supervisor, which has the lock of the folder from its first instant until its end.
    fn start(&self, folder: &ClusterFolder, lock: File, log: &str) -> Result<Child, CliError> {
        let output = folder.new_log()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("wavetank").args(["supervisor", "--log", log, "--data"]).arg(folder.path());
        command.args(self.size.again());
        command.stdin(lock).stdout(output.try_clone()?).stderr(output);
        // A Ctrl-C, and the end of the terminal, are not for it.
        command.process_group(0);
        let started = command.spawn();
        started.map_err(|error| CliError::new(format!("no process could be started: {error}")))
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

/// Refuses ports that somebody has.
fn wait_for_ports(ports: &[u16], narrator: &Narrator) -> Result<(), CliError> {
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
                "port {port}: {why}; --rest-port P names another one, and 0 takes any that is free"
            )));
        }
    }
    Ok(())
}

/// Ends a supervisor and all its processes.
fn end_supervisor(supervisor: &mut Child) -> Result<(), CliError> {
    #[expect(clippy::disallowed_methods, reason = "how long a person waits is no part of a run")]
    let since = Instant::now();
    while supervisor.try_wait()?.is_none() {
        terminate(supervisor.id())?;
        if since.elapsed() > END_MAX {
            supervisor.kill()?;
            supervisor.wait()?;
            break;
        }
        #[expect(clippy::disallowed_methods, reason = "nothing else is to be done meanwhile")]
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// A cluster that is not ready yet.
struct Starting<'a> {
    folder: &'a ClusterFolder,
    size: Size,
    /// What is not there yet.
    missing: &'a RefCell<String>,
}

impl Starting<'_> {
    /// Waits until the cluster is ready, or its supervisor has ended. The URL of the leading web monitor.
    async fn wait(
        &self,
        host: &Host,
        supervisor: &mut Child,
        narrator: &Narrator,
    ) -> Result<String, CliError> {
        let mut connected = None;
        loop {
            if let Some(status) = supervisor.try_wait()? {
                return Err(CliError::new(self.ended(&status.to_string())));
            }
            match &connected {
                None => connected = self.connect(host, supervisor.id()).await?,
                Some((connection, resource_manager)) => {
                    let look = self.look(connection, resource_manager);
                    if let Ok(Some(leader)) = host.timeout(LOOK_MAX, look).await {
                        return Ok(format!("http://{leader}"));
                    }
                }
            }
            narrator.progress(&self.missing.borrow());
            host.sleep(TICK).await;
        }
    }

    /// Why the supervisor has ended, in its own words if it has left any.
    fn ended(&self, status: &str) -> String {
        match ClusterFile::read(self.folder.path()) {
            Ok(Some(ClusterFile { state: ClusterState::Ended { why }, .. })) => why,
            _ => format!("its supervisor has ended ({status})"),
        }
    }

    async fn connect(
        &self,
        host: &Host,
        pid: u32,
    ) -> Result<Option<(Connection, LeaderGateway<ResourceManagerGateway>)>, CliError> {
        let Some(file) = ClusterFile::read(self.folder.path())? else { return Ok(None) };
        match file.state {
            ClusterState::Running(cluster) if cluster.pid == pid => {
                Ok(Some(self.clients(host, &cluster).await?))
            }
            _ => Ok(None),
        }
    }

    async fn clients(
        &self,
        host: &Host,
        cluster: &RunningCluster,
    ) -> Result<(Connection, LeaderGateway<ResourceManagerGateway>), CliError> {
        let connection = Connection::new(host, cluster, LOOK_MAX).await?;
        let coordination = &connection.services.coordination;
        let resource_manager =
            LeaderGateway::new(&connection.service, coordination, RESOURCE_MANAGER);
        self.miss("no job manager leads yet");
        Ok((connection, resource_manager))
    }

    fn miss(&self, what: &str) {
        *self.missing.borrow_mut() = what.to_string();
    }

    /// The leading web monitor, if it tells all task executors. The resource manager is asked before, since a
    /// web monitor keeps for a while what it was told.
    async fn look(
        &self,
        connection: &Connection,
        resource_manager: &LeaderGateway<ResourceManagerGateway>,
    ) -> Option<NodeAddress> {
        let Ok(known) = resource_manager.gateway().await.task_executors().await else {
            resource_manager.forget_and_wait().await;
            return None;
        };
        let slots: u32 = known.iter().map(|executor| executor.slots).sum();
        let Size { task_executors, slots: each, .. } = self.size;
        self.miss(&format!("{} of {task_executors} task executors are registered", known.len()));
        if known.len() < usize::from(task_executors) || slots < u32::from(task_executors) * each {
            return None;
        }
        self.miss("no web monitor leads yet that tells all task executors");
        let leader = connection.rest.leader().await.ok()?;
        let overview = connection.rest.get(&leader, "/overview").await.ok()?;
        (overview["taskmanagers"] == task_executors).then_some(leader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_web_monitor_has_a_port_of_its_own() {
        let size =
            |job_managers, rest_port| Size { job_managers, task_executors: 1, slots: 1, rest_port };
        assert_eq!(ports(size(3, 8081)).expect("there are"), [8081, 8082, 8083]);
        assert!(ports(size(3, 0)).expect("any do").is_empty());
        let refused = ports(size(2, 65_535)).expect_err("there is one").to_string();
        assert!(refused.contains("--rest-port 65535"), "{refused}");
    }

    #[test]
    fn a_port_that_somebody_has_is_refused_with_what_to_do() {
        let taken = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
        let port = taken.local_addr().expect("it listens").port();
        let refused =
            wait_for_ports(&[port], &Narrator::new()).expect_err("it is taken").to_string();
        assert!(refused.contains("listens there already; --rest-port P"), "{refused}");
    }
}
