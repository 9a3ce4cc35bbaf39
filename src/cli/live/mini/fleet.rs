//! A cluster that counts words, as processes: starts them, kills some, reads the output.

use super::{
    CliError,
    kept::KeptRun,
    kills::{Kills, Pace},
    origin::Origin,
    watch::Watch,
};
use crate::{
    cli::live::{
        cluster::{ClusterEntrypoint, Member, Processes, Size, Timeouts, cluster_config},
        text::Narrator,
    },
    host::Host,
    jobs::word_count::topics,
    system::{
        client::JobClient,
        cluster::ClusterConfig,
        protocol::{JobResult, JobStatus},
        rpc::RpcSystem,
        service::log::{Log, LogClient, LogConfig, LogRefusal},
    },
};
use bytes::Bytes;
use std::time::Duration;

const SIZE: Size = Size {
    job_managers: 3,
    task_executors: 4,
    on_demand: false,
    slots: 2,
    rest_port: 0,
    timeouts: Timeouts::DEFAULT,
};
const TICK: Duration = Duration::from_millis(10);

/// What is to be run.
pub struct Plan {
    /// The folder's run.
    pub kept: KeptRun,
    /// Words in the text.
    pub words: u64,
    /// How fast the text is read.
    pub pace: Pace,
    /// Which tracing lines the processes print.
    pub log: String,
}

/// What came of it.
pub struct Report {
    /// What became of the job.
    pub result: JobResult,
    /// The committed output, by partition.
    pub output: Vec<Vec<Bytes>>,
    /// Kills that were done, and wanted.
    pub kills: (u32, u32),
}

/// The processes of one cluster, and who watches over them.
pub struct Fleet<'a> {
    host: Host,
    plan: &'a Plan,
    narrator: &'a Narrator,
    watch: Watch,
    /// Beside the cluster's the client, which ends with the job, and maybe a writer.
    processes: Processes,
    kills: Kills,
    told: Option<JobStatus>,
}

impl<'a> Fleet<'a> {
    /// A cluster that is not there yet.
    pub fn new(
        host: &Host,
        plan: &'a Plan,
        narrator: &'a Narrator,
        watch: Watch,
        kills: Kills,
    ) -> Self {
        Fleet {
            host: host.clone(),
            plan,
            narrator,
            watch,
            processes: Processes::new(host, plan.kept.folder(), &plan.log),
            kills,
            told: None,
        }
    }

    /// Runs the job to its end and reads the output.
    pub async fn run(mut self) -> Result<Report, CliError> {
        let servers = self.processes.start_servers(None, self.narrator).await?;
        let service = RpcSystem::default().bind(&self.host, 0).await?;
        let config = cluster_config(servers, SIZE.timeouts);
        let services = config.services(&service);
        let job = self.plan.kept.job();
        self.start_others(&config);
        let observed = JobClient::new(&service, &services.coordination);
        self.watch.start(&self.host, observed, services.log.clone(), job);
        while !self.processes.added()[0].has_finished() {
            self.processes.tend(self.narrator)?;
            self.tell();
            self.strike();
            self.host.sleep(TICK).await;
        }
        let client = JobClient::new(&service, &services.coordination);
        let result = self.processes.tended(self.narrator, client.result(job)).await??;
        self.narrator
            .say(&format!("the job is {}; reading its output", result.status).to_lowercase());
        let output = self.processes.tended(self.narrator, read_output(&*services.log)).await??;
        Ok(Report { result, output, kills: self.kills.counts() })
    }

    /// Reads the output of a job that has finished, which takes no more than the log server.
    pub async fn read_again(mut self) -> Result<Report, CliError> {
        let [log] = self.processes.start(["log"], self.narrator).await?;
        let service = RpcSystem::default().bind(&self.host, 0).await?;
        let log = LogClient::new(&service, LogConfig::new(log));
        let output = self.processes.tended(self.narrator, read_output(&log)).await??;
        let result = JobResult { status: JobStatus::Finished, cause: None };
        Ok(Report { result, output, kills: (0, 0) })
    }

    fn start_others(&mut self, config: &ClusterConfig) {
        self.processes.start_workers(config, SIZE, &ClusterEntrypoint::Session);
        self.add_loader("submit", "client", config);
        if self.plan.kept.from() == Origin::Log {
            self.add_loader("writer", "writer", config);
        }
    }

    fn add_loader(&mut self, role: &str, name: &str, config: &ClusterConfig) {
        let mut member = self.processes.worker(role, name.to_string(), config).finishing();
        member.set("--run", self.plan.kept.folder());
        member.set("--lines", self.plan.pace.lines.to_string());
        member.set("--pause", format!("{}us", self.plan.pace.pause.as_micros()));
        self.processes.add(member);
    }

    /// Says how far the job is.
    fn tell(&mut self) {
        let (seen, now) = (self.watch.seen(), self.host.now());
        if seen.status != self.told
            && let Some(status) = seen.status
        {
            let failure = match (&seen.failure, status) {
                (Some(failure), JobStatus::Restarting | JobStatus::Failing) => {
                    match failure.times {
                        1 => format!(": {}", failure.cause),
                        times => format!(", for the {times}th time: {}", failure.cause),
                    }
                }
                _ => String::new(),
            };
            // What repeats is told when it has come twice as often.
            let times = seen.failure.as_ref().map_or(1, |failure| failure.times);
            if times.is_power_of_two() || status.is_globally_terminal() {
                self.narrator.say(&(format!("the job is {status}").to_lowercase() + &failure));
            }
            self.told = seen.status;
        }
        let stale = if seen.is_stale(now) { " (no job manager answers)" } else { "" };
        self.narrator.progress(&(seen.text(self.plan.words) + stale));
    }

    /// Kills somebody if it is time to.
    fn strike(&mut self) {
        let (seen, now) = (self.watch.seen(), self.host.now());
        if !self.kills.is_due(&seen, now) {
            return;
        }
        let mut candidates: Vec<&mut Member> = self.processes.members_mut().collect();
        let picked = self.kills.pick(candidates.len());
        let member = &mut candidates[picked];
        // One that does not run is left for the next tick to draw anew.
        if let Some(id) = member.kill(now) {
            let at = seen.checkpoint.map_or(0, |checkpoint| checkpoint.0);
            let text = format!("killed {} (pid {id}) after checkpoint {at}", member.name());
            self.narrator.say(&text);
            self.kills.strike(&seen);
        }
    }
}

/// All that is committed, by partition.
async fn read_output(log: &dyn Log) -> Result<Vec<Vec<Bytes>>, LogRefusal> {
    log.read_all_until_acknowledged(&topics(1).output).await
}
