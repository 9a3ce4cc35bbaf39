//! `serve`: a service, on a cluster of processes that is there for it.

use super::{
    deployment::{read_json, write_json},
    folder::{ClusterFolder, SERVICE_FILE},
    object_store::{ObjectStoreArgument, ObjectStoreFile},
    start::wait_for_ports,
    state::{ClusterFile, ClusterState, StateOfCluster, read_text, write_text},
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::{ClusterEntrypoint, Member, Processes, Size, Timeouts, cluster_config},
        folder::DataFolder,
        supervised::{End, run_supervised},
        text::{Narrator, parse_bytes, parse_duration, say},
    },
    host::{Host, NodeAddress, millis},
    jobs::{Jobs, Service, common::JobSettings},
    system::{
        client::JobClient,
        cluster::ClusterConfig,
        graph::{CheckpointSettings, JobGraph, RestartStrategy},
        ids::JobId,
        protocol::{JobResult, JobStatus},
        request_reply::{Delivery, ServiceArguments},
        rpc::RpcSystem,
        service::{
            Services,
            log::{LogRefusal, Retention},
        },
    },
};
use clap::{Args, ValueEnum};
use futures::pin_mut;
use serde::{Deserialize, Serialize};
use std::{
    cell::Cell,
    path::{Path, PathBuf},
    time::Duration,
};

/// The pause after a failure, doubled up to a bound with each one more.
const RESTART_DELAY: Duration = Duration::from_millis(100);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(10);
/// A job that has not failed for so long is taken for sound.
const RESTART_RESET: Duration = Duration::from_secs(60);
/// An answer that takes longer is asked for again.
const ASK_MAX: Duration = Duration::from_millis(200);
/// Slots of each task executor.
const SLOTS: u32 = 4;
const MIB: u64 = 1024 * 1024;
/// What is kept at least of each partition: as much as goes at once.
const RETENTION_BYTES_MIN: u64 = MIB;
/// A front end that stands still for as long misses nothing.
const RETENTION_MIN: Duration = Duration::from_secs(10);
/// From look to look at the processes.
const TICK: Duration = Duration::from_millis(10);

/// Serve over HTTP what a job answers: cluster, topics, job and front ends, each a process of its own on loopback.
///
/// A front end takes a request (POST, with a body of JSON), puts it into a topic from which the job reads, and
/// answers with what the job puts into another. A request that has no response in time is answered 504, one that finds
/// no room for --timeout or too many waiting 429, one that the log refuses 503. What was answered 504 or 503 may be done
/// all the same. An Idempotency-Key is handed to the job: of those shipped, `account` does what has one once, however often
/// it is asked for. Processes that end are started again.
///
/// The service's requests, its state and the job stay in --data DIR; the same command on it goes on. `jobs`, `info`,
/// `cancel` and `stop-cluster` take that folder while it serves.
///
/// Exit codes: 0 it was told to end, by Ctrl-C or `stop-cluster`; 1 its job has failed or was canceled; 2 nothing
/// serves: no such service, a folder or a port that it can't have, too few slots, or processes that end again and
/// again; 130 it was told to end before it served.
///
/// Try `cargo live serve --job echo-result`, then `curl -d '{"amount": 5}' http://127.0.0.1:8080/`.
#[derive(Args)]
pub struct Serve {
    /// The service: a job of this binary from requests to responses
    #[arg(long, value_name = "NAME")]
    job: String,
    /// The port of the first front end; those of the others follow. 0 takes free ones
    #[arg(long, value_name = "P", default_value_t = 8080)]
    port: u16,
    /// Front ends
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    front_ends: u16,
    /// How many subtasks each vertex of the job has, unless its program says more
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    parallelism: u32,
    /// When a response can be read
    #[arg(long, value_enum, default_value_t = Guarantee::AtLeastOnce)]
    delivery: Guarantee,
    /// The time from checkpoint to checkpoint
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    checkpoint_interval: Duration,
    /// How long a request may wait for room, and then for its response
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    timeout: Duration,
    /// Requests in flight at each front end; more wait
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    capacity: u32,
    /// Of each partition of the two topics the oldest records go while so much is left without them: a number of bytes,
    /// or of KiB, MiB or GiB. What a checkpoint would read again stays
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_bytes)]
    retention_bytes: u64,
    /// How old records may become that no checkpoint would read again
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = parse_duration)]
    retention: Duration,
    /// What each partition of the topic of requests holds at most; further requests are answered 503
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_bytes)]
    requests_max: u64,
    /// Task executors, of 4 slots each
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    executors: u16,
    /// Where the processes keep their files; the same folder again goes on. A temporary one if absent, removed at the
    /// end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    object_store: ObjectStoreArgument,
}

/// What is promised of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Guarantee {
    /// At once. After a failure requests are done again; the first response stands. Only for services whose responses
    /// are a function of the requests before them on their path: others would tell what is forgotten
    AtLeastOnce,
    /// With the checkpoint that covers the request: it takes as long as that, and what was told stands
    ExactlyOnce,
}

/// What serves in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ServiceFile {
    format: u32,
    service: String,
    /// What the job was given, which it keeps.
    settings: ServedWith,
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    job: JobId,
}

/// What a job is given once and for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ServedWith {
    parallelism: u32,
    delivery: Delivery,
    checkpoint_interval_ms: u64,
}

impl ServedWith {
    /// As one types it.
    fn typed(&self) -> String {
        let delivery = match self.delivery {
            Delivery::AtLeastOnce => "at-least-once",
            Delivery::ExactlyOnce => "exactly-once",
        };
        format!(
            "--parallelism {} --delivery {delivery} --checkpoint-interval {}ms",
            self.parallelism, self.checkpoint_interval_ms
        )
    }
}

/// Of [`ServiceFile`].
const FORMAT: u32 = 1;

/// What is served.
struct Plan {
    id: JobId,
    graph: JobGraph,
    requests: String,
    responses: String,
}

impl Serve {
    /// Does it.
    pub fn run(&self, log: &str, jobs: &Jobs) -> Result<Outcome, CliError> {
        let service = jobs.service(&self.job)?;
        self.check()?;
        if let Some(data) = &self.data {
            ClusterFolder::new(data).check()?;
        }
        let narrator = Narrator::new();
        if self.port != 0 {
            let ports: Vec<u16> = (0..self.front_ends).map(|slot| self.port + slot).collect();
            wait_for_ports(&ports, &narrator, "--port")?;
        }
        let folder = DataFolder::open(self.data.as_deref(), "serve")?;
        self.object_store.settle(folder.path())?;
        let pid = Some(std::process::id());
        ClusterFile::write(folder.path(), ClusterState::Starting { pid })?;
        let has_served = Cell::new(false);
        let end = self.plan(service, folder.path()).and_then(|plan| {
            run_supervised(folder.path(), None, async |host: Host| {
                self.serve(&host, folder.path(), &plan, (log, &narrator), &has_served).await
            })
        });
        narrator.clear();
        let (why, outcome) = match end {
            Ok(End::Interrupted | End::Overdue) if has_served.get() => {
                ("it was told to end".to_string(), Ok(Outcome::Passed))
            }
            Ok(End::Interrupted | End::Overdue) => {
                ("it was told to end before it served".to_string(), Ok(Outcome::Interrupted))
            }
            Ok(End::Finished(JobResult { status, cause, .. })) => {
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                let status = status.name().to_lowercase();
                let told = format!("its job is {status}{cause}; another folder begins anew");
                (told, Ok(Outcome::Violated))
            }
            Err(error) => (error.to_string(), Err(error)),
        };
        ClusterFile::write(folder.path(), ClusterState::Ended { why: why.clone() })?;
        if outcome.is_ok() {
            say(&format!("{} serves no longer: {why}", self.job));
        }
        outcome
    }

    /// Refuses what can't be done.
    fn check(&self) -> Result<(), CliError> {
        for (option, time) in
            [("--checkpoint-interval", self.checkpoint_interval), ("--timeout", self.timeout)]
        {
            if time < Duration::from_millis(10) {
                return Err(CliError::new(format!("{option} must be 10ms at least")));
            }
        }
        // One that comes just behind a barrier waits for the next, and for what that takes.
        if self.delivery == Guarantee::ExactlyOnce && 2 * self.checkpoint_interval > self.timeout {
            return Err(CliError::new(format!(
                "--delivery exactly-once: a response comes with a checkpoint, every {:?} by --checkpoint-interval, and \
                 a request waits {:?} for it by --timeout, which must be twice as long at least",
                self.checkpoint_interval, self.timeout
            )));
        }
        if self.retention_bytes < RETENTION_BYTES_MIN || self.retention < RETENTION_MIN {
            return Err(CliError::new(format!(
                "--retention-bytes must be {} MiB at least and --retention {RETENTION_MIN:?}: responses go before their \
                 front end has read them",
                RETENTION_BYTES_MIN / MIB
            )));
        }
        if self.requests_max < self.retention_bytes.saturating_add(RETENTION_BYTES_MIN) {
            return Err(CliError::new(format!(
                "--requests-max must be {} MiB more than --retention-bytes at least: what retention is to keep \
                 would not fit",
                RETENTION_BYTES_MIN / MIB
            )));
        }
        let last = u32::from(self.port) + u32::from(self.front_ends) - 1;
        if self.port != 0 && last > u32::from(u16::MAX) {
            return Err(CliError::new(format!("--port {}: there is no port {last}", self.port)));
        }
        Ok(())
    }

    /// What serves in the folder: what did before, or a new job.
    fn plan(&self, service: &Service, folder: &Path) -> Result<Plan, CliError> {
        let settings = ServedWith {
            parallelism: self.parallelism,
            delivery: match self.delivery {
                Guarantee::AtLeastOnce => Delivery::AtLeastOnce,
                Guarantee::ExactlyOnce => Delivery::ExactlyOnce,
            },
            checkpoint_interval_ms: u64::try_from(self.checkpoint_interval.as_millis())?,
        };
        let path = folder.join(SERVICE_FILE);
        let kept: Option<ServiceFile> = read_json(&path)?;
        let wanted = |id| ServiceFile {
            format: FORMAT,
            service: self.job.clone(),
            settings: settings.clone(),
            job: id,
        };
        let file = match kept {
            Some(kept) if kept != wanted(kept.job) => {
                return Err(CliError::new(format!(
                    "{} serves {} with {}; choose another folder",
                    folder.display(),
                    kept.service,
                    kept.settings.typed()
                )));
            }
            Some(kept) => kept,
            None => {
                let random =
                    || u128::from(getrandom::u64().expect("the operating system has randomness"));
                wanted(JobId((random() << 64) | random()))
            }
        };
        let (requests, responses) =
            (format!("{}-requests", self.job), format!("{}-responses", self.job));
        let arguments =
            ServiceArguments::new(&requests, self.parallelism, &responses, settings.delivery);
        let checkpoints = CheckpointSettings {
            interval_ms: settings.checkpoint_interval_ms,
            ..CheckpointSettings::default()
        };
        let restarts =
            RestartStrategy::exponential(RESTART_DELAY, RESTART_DELAY_MAX, RESTART_RESET);
        let settings = JobSettings {
            parallelism: self.parallelism,
            checkpoints,
            restarts,
            ..JobSettings::default()
        };
        let graph = service.graph(file.job, &arguments, &settings)?;
        let (needed, slots) = (graph.required_slots(), u32::from(self.executors) * SLOTS);
        if needed > slots {
            return Err(CliError::new(format!(
                "{} needs {needed} slots, and there are {slots}; --executors N gives it more, {SLOTS} each",
                self.job
            )));
        }
        write_json(&path, &file)?;
        Ok(Plan { id: file.job, graph, requests, responses })
    }

    /// Serves for as long as the job goes on.
    async fn serve(
        &self,
        host: &Host,
        folder: &Path,
        plan: &Plan,
        (log, narrator): (&str, &Narrator),
        has_served: &Cell<bool>,
    ) -> Result<JobResult, CliError> {
        let mut processes = Processes::new(host, folder, log);
        let elsewhere = ObjectStoreFile::read(folder)?;
        let servers = processes.start_servers(elsewhere, narrator).await?;
        let mut config = cluster_config(servers.clone(), Timeouts::DEFAULT);
        config.task_executor.task.buffer_timeout = Duration::ZERO;
        processes.start_workers(&config, self.size(), &ClusterEntrypoint::Session);
        let service = RpcSystem::default().bind(host, 0).await?;
        let services = config.services(&service);
        processes.tended(narrator, self.topics(plan, &services)).await??;
        self.add_front_ends(plan, &config, &mut processes);
        let client = JobClient::new(&service, &services.coordination);
        let submitted = processes.tended(narrator, client.submit(&plan.graph)).await?;
        submitted.map_err(|refusal| {
            CliError::new(format!("the cluster does not take the job: {refusal}"))
        })?;
        let ended = client.result(plan.id);
        pin_mut!(ended);
        let mut state = StateOfCluster::new(folder, servers);
        loop {
            processes.tend(narrator)?;
            state.tell(&processes)?;
            if !has_served.get() {
                has_served.set(self.tell_urls(plan, &processes, &client, narrator).await);
            }
            if let Ok(ended) = host.timeout(TICK, ended.as_mut()).await {
                return ended.map_err(|why| CliError::new(format!("the job is lost: {why}")));
            }
        }
    }

    fn size(&self) -> Size {
        Size {
            job_managers: 1,
            task_executors: self.executors,
            on_demand: false,
            slots: SLOTS,
            rest_port: 0,
            timeouts: Timeouts::DEFAULT,
        }
    }

    fn add_front_ends(&self, plan: &Plan, config: &ClusterConfig, processes: &mut Processes) {
        for slot in 0..self.front_ends {
            let name = format!("front-end-{}", slot + 1);
            let mut member = processes.worker("front-end", name, config).draining();
            member.set("--slot", slot.to_string());
            member.set("--requests", &plan.requests);
            member.set("--responses", &plan.responses);
            member.set("--capacity", self.capacity.to_string());
            member.set("--timeout", format!("{}us", self.timeout.as_micros()));
            if self.port == 0 {
                member = member.keeping_port();
            } else {
                member.set("--port", (self.port + slot).to_string());
            }
            processes.add(member);
        }
    }

    /// Tells where the front ends are, once all of them and the job are there; whether that is so.
    async fn tell_urls(
        &self,
        plan: &Plan,
        processes: &Processes,
        client: &JobClient,
        narrator: &Narrator,
    ) -> bool {
        let front_ends: Vec<&NodeAddress> =
            processes.added().iter().filter_map(Member::address).collect();
        if front_ends.len() < usize::from(self.front_ends) {
            return false;
        }
        let details = client.host().timeout(ASK_MAX, client.details(plan.id)).await;
        let Ok(Ok(details)) = details else { return false };
        if details.status != JobStatus::Running {
            narrator.progress(&format!("the job is {}", details.status.name().to_lowercase()));
            return false;
        }
        narrator.clear();
        front_ends.iter().for_each(|at| say(&format!("http://{at}/")));
        say(&format!("{} serves; Ctrl-C ends it", self.job));
        true
    }

    /// How long requests and responses are kept.
    fn retention(&self) -> [Retention; 2] {
        let (bytes, age_ms) = (Some(self.retention_bytes), Some(millis(self.retention)));
        let responses = Retention { bytes, age_ms, ..Retention::default() };
        let bytes_max = Some(self.requests_max);
        [Retention { bytes_max, await_reader: true, ..responses }, responses]
    }

    /// Makes the topics, or gives those of a folder a partition for each front end.
    async fn topics(&self, plan: &Plan, services: &Services) -> Result<(), CliError> {
        let log = &services.log;
        let [of_requests, of_responses] = self.retention();
        for (topic, partitions, retention) in [
            (&plan.requests, self.parallelism, of_requests),
            (&plan.responses, self.front_ends.into(), of_responses),
        ] {
            let made = match log.create_topic_until_acknowledged(topic, partitions).await {
                Err(LogRefusal::TopicExists { partitions: known }) if known < partitions => {
                    log.add_partitions_until_acknowledged(topic, partitions).await
                }
                Err(LogRefusal::TopicExists { .. }) => Ok(()),
                made => made,
            };
            let kept = match made {
                Ok(()) => log.set_retention_until_acknowledged(topic, retention).await,
                refused => refused,
            };
            kept.map_err(|refusal| CliError::new(format!("topic {topic}: {refusal}")))?;
        }
        Ok(())
    }
}
