//! How long a live cluster takes to start and to recover, and what its idle processes hold in memory. Everything is
//! on this machine, each role a process of its own.

use crate::measure::{Effort, median, row};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use wavetank::{
    host::{
        Host,
        live::{LOOPBACK, NodeConfig, run_node},
    },
    jobs::{common::JobSettings, word_count::word_count},
    system::{
        cluster::ClusterConfig,
        connector::{GeneratorParameters, Input},
        graph::{CheckpointSettings, JobGraph, RestartStrategy},
        ids::JobId,
        leadership::{LeaderFollower, LeaderGateway},
        protocol::{
            DISPATCHER, DispatcherGateway, ExecutionState, JobDetails, JobStatus, RESOURCE_MANAGER,
            ResourceManagerGateway,
        },
        rpc::RpcSystem,
        service::Services,
    },
};

/// Rounds of which the median is told, each with a new cluster.
const ROUNDS: usize = 5;
const EXECUTORS: usize = 3;
const PARALLELISM: u32 = 2;
/// From look to look.
const LOOK: Duration = Duration::from_millis(2);
/// An ask that is not answered by then is asked again.
const ASK_MAX: Duration = Duration::from_millis(200);
/// What has not come by then never will.
const NEVER: Duration = Duration::from_secs(60);

/// What is measured, and what is aimed at.
const FIGURES: [(&str, &str); 6] = [
    ("cluster started -> ready", "0.25 s"),
    ("job submitted -> all tasks running", "0.1 s"),
    ("executor killed (SIGKILL) -> all tasks running again", "0.3 s"),
    ("executor stopped (SIGSTOP) -> all tasks running again", "3.2 s"),
    ("leading job manager killed (SIGKILL) -> answered again", "2.8 s"),
    ("leading job manager told to end (SIGTERM) -> answered", "0.5 s"),
];

/// Prints the table.
pub fn live_recovery(effort: Effort) {
    let rounds = ROUNDS.min(effort.rounds);
    println!(
        "live recovery: medians of {rounds} rounds (least to most); 2 job managers with a lease of 3 s, renewed \
         every second; {EXECUTORS} executors that are lost after 3 s without a beat"
    );
    let mut seconds: [Vec<f64>; FIGURES.len()] = Default::default();
    let mut memory = BTreeMap::<String, Vec<f64>>::new();
    for number in 0..rounds {
        let round = Round::of(number);
        for (all, one) in seconds.iter_mut().zip(round.seconds) {
            all.push(one);
        }
        for (role, mib) in round.memory {
            memory.entry(role).or_default().push(mib);
        }
    }
    for ((what, aim), seconds) in FIGURES.iter().zip(&seconds) {
        let (least, most) = ends(seconds);
        row(what, format!("{:.3} s ({least:.3} to {most:.3}; aim {aim})", median(seconds)));
    }
    for (role, mib) in &memory {
        let (least, most) = ends(mib);
        let what = format!("resident memory, idle: {role}");
        row(&what, format!("{:.1} MiB ({least:.1} to {most:.1}; aim 10)", median(mib)));
    }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

/// What one cluster has shown.
struct Round {
    seconds: [f64; FIGURES.len()],
    /// In MiB, by roles.
    memory: Vec<(String, f64)>,
}

impl Round {
    fn of(number: usize) -> Round {
        let (cluster, ready) = Cluster::start(number);
        let config = NodeConfig {
            name: "client".to_string(),
            hostname: LOOPBACK.to_string(),
            data: cluster.data.join("bench"),
            members: Vec::new(),
        };
        let mut measured = None;
        let end = run_node(config, async |host| {
            let client = Client::new(&host, &cluster).await;
            measured = Some(client.round().await);
        });
        let (rest, memory) = measured.unwrap_or_else(|| panic!("the client ended: {end:?}"));
        let [submit, killed, stopped, failover, told] = rest;
        Round { seconds: [ready, submit, killed, stopped, failover, told], memory }
    }
}

/// A cluster in a folder of its own.
struct Cluster {
    data: PathBuf,
}

impl Cluster {
    /// Starts it; the seconds until it is ready.
    fn start(number: usize) -> (Cluster, f64) {
        let data = std::env::temp_dir()
            .join(format!("wavetank-live-recovery-{}-{number}", std::process::id()));
        let cluster = Cluster { data };
        let begun = Instant::now();
        let executors = EXECUTORS.to_string();
        cluster.command(&[
            "start-cluster",
            "--job-managers=2",
            "--executors",
            &executors,
            "--rest-port=0",
            "--session-timeout=3s",
            "--heartbeat-timeout=3s",
        ]);
        (cluster, begun.elapsed().as_secs_f64())
    }

    fn command(&self, arguments: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command.args(arguments).arg("--data").arg(&self.data).stdout(Stdio::null());
        assert!(command.status().expect("the binary runs").success(), "{arguments:?}");
    }

    /// What `cluster.json` says.
    fn file(&self) -> Value {
        let text = std::fs::read(self.data.join("cluster.json")).expect("it was started");
        serde_json::from_slice(&text).expect("it is whole at any time")
    }

    /// The processes that run, by name.
    fn processes(&self) -> BTreeMap<String, u64> {
        let file = self.file();
        let processes = file["processes"].as_object().expect("it runs");
        processes.iter().filter_map(|(name, id)| Some((name.clone(), id.as_u64()?))).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.command(&["stop-cluster"]);
        }
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Asks the cluster, and does things to its processes.
struct Client<'a> {
    host: Host,
    cluster: &'a Cluster,
    services: Services,
    dispatcher: LeaderGateway<DispatcherGateway>,
    resource_manager: LeaderGateway<ResourceManagerGateway>,
    leader: LeaderFollower,
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
            leader: LeaderFollower::new(coordination, DISPATCHER),
            services,
        }
    }

    async fn round(&self) -> ([f64; 5], Vec<(String, f64)>) {
        // What a start leaves to be done is done.
        self.host.sleep(Duration::from_secs(1)).await;
        let memory = self.memory();
        let job = job(JobId(self.host.random_u128()));
        let topic = self.services.log.create_topic_until_acknowledged("output", PARALLELISM);
        topic.await.expect("a new topic");
        let begun = Instant::now();
        let submitted = self.dispatcher.call(|gateway| gateway.submit_job(job.clone()), drop).await;
        submitted.expect("it is taken on");
        let mut details = self.until_running(job.id, None).await;
        let submit = begun.elapsed().as_secs_f64();
        let mut seconds = vec![submit];
        for signal in ["-KILL", "-STOP"] {
            let first = &details.vertices[0].subtasks[0];
            let executor = first.executor.as_ref().expect("it runs").to_string();
            let process = self.cluster.processes()[&executor];
            let begun = Instant::now();
            send(signal, process);
            details = self.until_running(job.id, Some(&details)).await;
            seconds.push(begun.elapsed().as_secs_f64());
            if signal == "-STOP" {
                send("-KILL", process);
            }
            self.until_whole(&executor, process).await;
        }
        for signal in ["-KILL", "-TERM"] {
            let (name, process) = self.leading().await;
            let begun = Instant::now();
            send(signal, process);
            // The one that is told to end may answer until it does.
            self.until_ended(process).await;
            self.dispatcher.call(DispatcherGateway::list_jobs, drop).await;
            seconds.push(begun.elapsed().as_secs_f64());
            self.until_whole(&name, process).await;
        }
        (seconds.try_into().expect("five were measured"), memory)
    }

    /// Waits until all tasks of a job run, after `before` in attempts of their own.
    async fn until_running(&self, job: JobId, before: Option<&JobDetails>) -> JobDetails {
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
    async fn until_whole(&self, name: &str, before: u64) {
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

    async fn until_ended(&self, process: u64) {
        self.in_time("a process ends", async || {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let runs = stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'));
            (!runs).then_some(())
        })
        .await;
    }

    async fn in_time<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
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

    /// The job manager whose dispatcher leads: the one that listens on its port.
    async fn leading(&self) -> (String, u64) {
        self.in_time("a dispatcher leads", async || {
            let leader = self.leader.observe().changed().await?;
            let address = leader.address.to_string();
            let port = address.split(['/', ':']).find_map(|word| word.parse::<u16>().ok())?;
            let mut processes = self.cluster.processes().into_iter();
            processes.find(|(name, id)| name.starts_with("job-manager") && listens(*id, port))
        })
        .await
    }

    /// What the processes hold.
    fn memory(&self) -> Vec<(String, f64)> {
        let role = |name: &str| {
            name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_string()
        };
        let processes = self.cluster.processes().into_iter();
        let mut all: Vec<_> = processes.map(|(name, id)| (role(&name), resident(id))).collect();
        let supervisor = self.cluster.file()["pid"].as_u64().expect("it runs");
        all.push(("supervisor".to_string(), resident(supervisor)));
        all
    }
}

/// A word count that outlasts every round.
fn job(id: JobId) -> JobGraph {
    let parameters =
        GeneratorParameters { records: 1_000_000_000, per_second: 100, words: 100, seed: 1 };
    let checkpoints = CheckpointSettings { interval_ms: 500, ..CheckpointSettings::default() };
    let restarts = RestartStrategy::FixedDelay { attempts: u32::MAX, delay_ms: 0 };
    let settings = JobSettings { parallelism: PARALLELISM, checkpoints, restarts };
    word_count(id, Input::Generator(parameters), "output", &settings).expect("sound")
}

fn epochs(details: &JobDetails) -> impl Iterator<Item = u64> {
    let subtasks = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
    subtasks.map(|subtask| subtask.epoch.unwrap_or_default())
}

fn send(signal: &str, process: u64) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.expect("there is a kill").success(), "no process {process}");
}

/// In MiB.
fn resident(process: u64) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
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
