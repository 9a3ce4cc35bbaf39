//! A cluster of processes on this machine, and a client that asks it and does things to its processes.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};
use wavetank::{
    host::{
        Host,
        live::{LOOPBACK, NodeConfig, run_node},
    },
    system::{
        cluster::ClusterConfig,
        ids::JobId,
        leadership::{LeaderFollower, LeaderGateway},
        protocol::{
            DISPATCHER, DispatcherGateway, ExecutionState, JobDetails, JobStatus, RESOURCE_MANAGER,
            ResourceManagerGateway,
        },
        rpc::{RpcService, RpcSystem},
        service::Services,
    },
};

/// Task executors of a cluster.
pub const EXECUTORS: usize = 3;
/// From look to look.
const LOOK: Duration = Duration::from_millis(2);
/// An ask that is not answered by then is asked again.
const ASK_MAX: Duration = Duration::from_millis(200);
/// What has not come by then never will.
const NEVER: Duration = Duration::from_secs(60);

/// A cluster in a folder of its own: two job managers with a lease of 3 s, and executors that are lost after 3 s
/// without a beat.
pub struct Cluster {
    data: PathBuf,
}

impl Cluster {
    /// Starts it, and returns when it is ready.
    pub fn start(name: &str) -> Cluster {
        let data = std::env::temp_dir().join(format!("wavetank-{name}-{}", std::process::id()));
        let cluster = Cluster { data };
        let executors = EXECUTORS.to_string();
        let started = cluster.command(&[
            "start-cluster",
            "--job-managers=2",
            "--executors",
            &executors,
            "--rest-port=0",
            "--session-timeout=3s",
            "--heartbeat-timeout=3s",
        ]);
        assert!(started, "no cluster");
        cluster
    }

    /// What a client of it does and finds, on a node of this process.
    pub fn with_client<T>(&self, work: impl AsyncFnOnce(Client<'_>) -> T) -> T {
        let config = NodeConfig {
            name: "client".to_string(),
            hostname: LOOPBACK.to_string(),
            data: self.data.join("bench"),
            members: Vec::new(),
        };
        let mut found = None;
        let end = run_node(config, async |host| {
            found = Some(work(Client::new(&host, self).await).await);
        });
        found.unwrap_or_else(|| panic!("the client ended: {end:?}"))
    }

    /// Whether a command on it has succeeded.
    fn command(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command.args(arguments).arg("--data").arg(&self.data).stdout(Stdio::null());
        command.status().expect("the binary runs").success()
    }

    /// What `cluster.json` says.
    pub fn file(&self) -> Value {
        let text = std::fs::read(self.data.join("cluster.json")).expect("it was started");
        serde_json::from_slice(&text).expect("it is whole at any time")
    }

    /// The processes that run, by name.
    pub fn processes(&self) -> BTreeMap<String, u64> {
        let file = self.file();
        let processes = file["processes"].as_object().expect("it runs");
        processes.iter().filter_map(|(name, id)| Some((name.clone(), id.as_u64()?))).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = self.command(&["stop-cluster"]);
        assert!(stopped || std::thread::panicking(), "the cluster does not stop");
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Asks the cluster, and does things to its processes.
pub struct Client<'a> {
    pub host: Host,
    pub cluster: &'a Cluster,
    pub service: RpcService,
    pub services: Services,
    pub dispatcher: LeaderGateway<DispatcherGateway>,
    resource_manager: LeaderGateway<ResourceManagerGateway>,
}

impl<'a> Client<'a> {
    async fn new(host: &Host, cluster: &'a Cluster) -> Self {
        let file = cluster.file();
        let address = |name: &str| {
            let text = file[name].as_str().expect("it runs");
            text.parse().expect("an address")
        };
        let config =
            ClusterConfig::new(address("coordination"), address("object-store"), address("log"));
        let service = RpcSystem::default().bind(host, 0).await.expect("a free port");
        let services = config.services(&service);
        let coordination = &services.coordination;
        let dispatcher = LeaderGateway::new(&service, coordination, DISPATCHER);
        let resource_manager = LeaderGateway::new(&service, coordination, RESOURCE_MANAGER);
        Client {
            host: host.clone(),
            cluster,
            dispatcher: dispatcher.with_times(ASK_MAX, LOOK),
            resource_manager: resource_manager.with_times(ASK_MAX, LOOK),
            services,
            service,
        }
    }

    /// Waits until all tasks of a job run, after `before` in attempts of their own.
    pub async fn until_running(&self, job: JobId, before: Option<&JobDetails>) -> JobDetails {
        let newest = before.and_then(|before| epochs(before).max()).unwrap_or_default();
        self.in_time("all tasks run", async || {
            let told = self.dispatcher.call(|gateway| gateway.job_details(job), drop).await;
            let details = told.ok()?;
            let mut subtasks = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
            let run = subtasks.all(|subtask| subtask.state == ExecutionState::Running);
            let are_new = before.is_none() || epochs(&details).all(|epoch| epoch > newest);
            (details.status == JobStatus::Running && run && are_new).then_some(details)
        })
        .await
    }

    /// Waits until a process has a successor, and all executors are registered.
    pub async fn until_whole(&self, name: &str, before: u64) {
        self.in_time("the cluster is whole", async || {
            let successor = self.cluster.processes().get(name).is_some_and(|now| *now != before);
            let known =
                self.resource_manager.call(ResourceManagerGateway::task_executors, drop).await;
            (successor && known.len() == EXECUTORS).then_some(())
        })
        .await;
        // Until everybody has heard of everybody.
        self.host.sleep(Duration::from_secs(1)).await;
    }

    pub async fn until_ended(&self, process: u64) {
        self.in_time("a process ends", async || {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let runs = stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'));
            (!runs).then_some(())
        })
        .await;
    }

    pub async fn in_time<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                self.host.sleep(LOOK).await;
            }
        };
        let seen = self.host.timeout(NEVER, looking).await;
        seen.unwrap_or_else(|_| panic!("{what}: never"))
    }
    /// The job manager that leads a component: the one that listens on its leader's port.
    pub async fn leading(&self, component: &LeaderFollower) -> (String, u64) {
        self.in_time("somebody leads", async || {
            let leader = component.observe().changed().await?;
            let address = leader.address.to_string();
            let port = address.split(['/', ':']).find_map(|word| word.parse::<u16>().ok())?;
            let mut processes = self.cluster.processes().into_iter();
            processes.find(|(name, id)| name.starts_with("job-manager") && listens(*id, port))
        })
        .await
    }
}

/// What `--NAME=NUMBER` says among the command's arguments, or a default.
pub fn option(name: &str, default: u64) -> u64 {
    let mut given = std::env::args().filter_map(|argument| {
        let value = argument.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=')?.to_string();
        Some(value.parse().unwrap_or_else(|_| panic!("--{name}={value}: a whole number")))
    });
    given.next_back().unwrap_or(default)
}

/// The role of a process of a name.
pub fn role(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
}

/// The epochs of a job's attempts.
pub fn epochs(details: &JobDetails) -> impl Iterator<Item = u64> {
    let subtasks = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
    subtasks.map(|subtask| subtask.epoch.unwrap_or_default())
}

pub fn send(signal: &str, process: u64) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.expect("there is a kill").success(), "no process {process}");
}

/// What a process holds, as `/proc` calls it, in MiB; `None` when it has gone.
pub fn memory(process: u64, what: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// Whether a process listens on a port.
fn listens(process: u64, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let of_port = format!(":{port:04X}");
    let sockets: Vec<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // In the state LISTEN.
        .filter(|words| words.len() > 9 && words[1].ends_with(&of_port) && words[3] == "0A")
        .map(|words| format!("socket:[{}]", words[9]))
        .collect();
    let Ok(open) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    let mut targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}
