//! The processes of one cluster, and who looks after them.

use super::{
    end::ClusterEnd,
    entrypoint::ClusterEntrypoint,
    member::Member,
    provider::LocalProcessProvider,
    settings::{Servers, Timeouts, timeouts_again, timeouts_of},
};
use crate::{
    adapters::folder::ObjectStoreAddress,
    cli::live::{CliError, text::Narrator},
    host::{Host, NodeAddress},
    system::{cluster::ClusterConfig, rpc::RpcService},
};
use futures::pin_mut;
use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

/// From look to look at the processes.
const TICK: Duration = Duration::from_millis(10);
const COORDINATION: &str = "coordination";
const OBJECT_STORE: &str = "blobs";
const LOG: &str = "log";
const JOB_MANAGER: &str = "job-manager";
const TASK_EXECUTOR: &str = "task-executor";

/// How many processes a cluster has beside its servers, and how they are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Job managers.
    pub job_managers: u16,
    /// Task executors; on demand so many at most.
    pub task_executors: u16,
    /// Task executors are started when jobs need them, and ended when they are idle.
    pub on_demand: bool,
    /// The slots of each task executor.
    pub slots: u32,
    /// The port of the first job manager's web monitor; those of the others follow. 0 takes free ones.
    pub rest_port: u16,
    /// After how long one is taken for lost.
    pub timeouts: Timeouts,
}

/// The processes of a cluster: servers, job managers, task executors, and what its owner adds.
pub struct Processes {
    host: Host,
    folder: PathBuf,
    log: String,
    servers: Vec<Member>,
    job_managers: Vec<Member>,
    task_executors: Vec<Member>,
    others: Vec<Member>,
    on_demand: Option<OnDemand>,
}

/// Task executors that come and go.
struct OnDemand {
    provider: LocalProcessProvider,
    config: ClusterConfig,
}

/// How long processes have to end what they have begun, once the cluster is ended.
const ENDING_MAX: Duration = Duration::from_secs(3);

impl Drop for Processes {
    /// Ends all. What is under way is answered first; then job managers give up what they lead, or whoever starts the
    /// cluster again would wait until their terms have run out.
    fn drop(&mut self) {
        self.others.retain(Member::drains);
        let mut others = std::mem::take(&mut self.others);
        end_all(&self.host, &mut others);
        drop(others);
        end_all(&self.host, &mut self.job_managers);
    }
}

/// Asks members to end, and gives them some time for it.
fn end_all(host: &Host, members: &mut [Member]) {
    for member in &mut *members {
        // The process id of one that has ended may be another's.
        if member.is_running() {
            member.terminate();
        }
    }
    let until = host.now() + ENDING_MAX;
    while members.iter_mut().any(Member::is_running) && host.now() < until {
        #[expect(clippy::disallowed_methods, reason = "nothing else is to be done meanwhile")]
        std::thread::sleep(TICK);
    }
}

impl Processes {
    /// None yet. They will have folders in `folder`, and print the tracing lines that `log` lets pass.
    pub fn new(host: &Host, folder: &Path, log: &str) -> Self {
        Processes {
            host: host.clone(),
            folder: folder.to_path_buf(),
            log: log.to_string(),
            servers: Vec::new(),
            job_managers: Vec::new(),
            task_executors: Vec::new(),
            others: Vec::new(),
            on_demand: None,
        }
    }

    /// Has task executors started as whoever serves on this service is asked for them; before the workers.
    pub fn provide(
        &mut self,
        service: &RpcService,
        config: &ClusterConfig,
        size: Size,
    ) -> Result<(), CliError> {
        if size.on_demand {
            let provider = LocalProcessProvider::start(service, size.task_executors.into())?;
            self.on_demand = Some(OnDemand { provider, config: config.clone() });
        }
        Ok(())
    }

    /// Starts all servers, and waits until they listen. Objects that are elsewhere need none.
    pub async fn start_servers(
        &mut self,
        elsewhere: Option<ObjectStoreAddress>,
        narrator: &Narrator,
    ) -> Result<Servers, CliError> {
        if let Some(object_store) = elsewhere {
            let [coordination, log] = self.start([COORDINATION, LOG], narrator).await?;
            return Ok(Servers { coordination, object_store, log });
        }
        let [coordination, objects, log] =
            self.start([COORDINATION, OBJECT_STORE, LOG], narrator).await?;
        Ok(Servers { coordination, object_store: ObjectStoreAddress::Server(objects), log })
    }

    /// Starts servers and waits until they listen; where, is theirs from then on.
    pub async fn start<const N: usize>(
        &mut self,
        names: [&str; N],
        narrator: &Narrator,
    ) -> Result<[NodeAddress; N], CliError> {
        self.servers =
            names.iter().map(|name| self.member(name, name.to_string()).keeping_port()).collect();
        loop {
            self.tend(narrator)?;
            let addresses = self.servers.iter().filter_map(|server| server.address().cloned());
            if let Ok(addresses) = addresses.collect::<Vec<_>>().try_into() {
                return Ok(addresses);
            }
            self.host.sleep(TICK).await;
        }
    }

    fn member(&self, role: &str, name: String) -> Member {
        Member::new(role, name, &self.folder, &self.log, self.host.now())
    }

    /// A process that is to work with the services; it starts once it was added.
    pub fn worker(&self, role: &str, name: String, config: &ClusterConfig) -> Member {
        let mut member = self.member(role, name);
        member.set("--coordination", config.coordination.server.to_string());
        member.set("--object-store", config.object_store.to_string());
        member.set("--log-server", config.log.server.to_string());
        for (option, value) in timeouts_again(timeouts_of(config)) {
            member.set(option, value);
        }
        member
    }

    /// Starts job managers and task executors.
    pub fn start_workers(
        &mut self,
        config: &ClusterConfig,
        size: Size,
        entrypoint: &ClusterEntrypoint,
    ) {
        self.start_job_managers(config, size, entrypoint);
        self.start_task_executors(config, size);
    }

    fn start_job_managers(
        &mut self,
        config: &ClusterConfig,
        size: Size,
        entrypoint: &ClusterEntrypoint,
    ) {
        for number in 1..=size.job_managers {
            let mut member = self.worker(JOB_MANAGER, format!("{JOB_MANAGER}-{number}"), config);
            let port = match size.rest_port {
                0 => 0,
                first => first.saturating_add(number - 1),
            };
            member.set("--rest-port", port.to_string());
            if let Some(on_demand) = &self.on_demand {
                member.set("--provider", on_demand.provider.address().to_string());
                member.set("--worker-slots", size.slots.to_string());
                member.set("--workers-max", size.task_executors.to_string());
            }
            entrypoint.tell(&mut member);
            if entrypoint.ends() {
                member = member.finishing();
            }
            self.job_managers.push(member);
        }
    }

    fn start_task_executors(&mut self, config: &ClusterConfig, size: Size) {
        let standing = if size.on_demand { 0 } else { size.task_executors };
        for number in 1..=standing {
            let name = format!("{TASK_EXECUTOR}-{number}");
            self.task_executors.push(self.task_executor(name, config, size.slots));
        }
    }

    /// The process of a task executor.
    fn task_executor(&self, name: String, config: &ClusterConfig, slots: u32) -> Member {
        let mut member = self.worker(TASK_EXECUTOR, name, config);
        member.set("--slots", slots.to_string());
        let buffer_timeout = config.task_executor.task.buffer_timeout.as_micros();
        member.set("--buffer-timeout", format!("{buffer_timeout}us"));
        member
    }

    /// Starts the task executors that were asked for, and ends those that were given back.
    fn follow_demand(&mut self) {
        let Some(on_demand) = &self.on_demand else { return };
        let ended = self.task_executors.iter().filter(|member| member.has_finished());
        ended.for_each(|member| on_demand.provider.lose(member.name()));
        let wanted = on_demand.provider.wanted();
        let is_wanted =
            |member: &Member| wanted.iter().any(|spec| spec.resource.0 == member.name());
        // Dropped, a process is killed.
        self.task_executors.retain(is_wanted);
        for spec in &wanted {
            let name = &spec.resource.0;
            if !self.task_executors.iter().any(|member| member.name() == name) {
                let member = self.task_executor(name.clone(), &on_demand.config, spec.slots);
                self.task_executors.push(member.living_once());
            }
        }
    }

    /// Adds one more process.
    pub fn add(&mut self, member: Member) {
        self.others.push(member);
    }

    /// Servers, job managers and task executors.
    pub fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.servers.iter_mut().chain(&mut self.job_managers).chain(&mut self.task_executors)
    }

    /// What the cluster came to, once all its job managers have ended with it. They all say the same.
    pub fn end(&self) -> Result<Option<ClusterEnd>, CliError> {
        if self.job_managers.is_empty() || !self.job_managers.iter().all(Member::has_finished) {
            return Ok(None);
        }
        let line = self.job_managers.iter().find_map(Member::last_line);
        let line = line.ok_or_else(|| CliError::new("no job manager has said what it came to"))?;
        Ok(Some(ClusterEnd::parse(line)?))
    }

    /// What was added, in that order.
    pub fn added(&self) -> &[Member] {
        &self.others
    }

    /// The process ids of all that run, by their names.
    pub fn ids(&self) -> BTreeMap<String, u32> {
        let workers = self.job_managers.iter().chain(&self.task_executors);
        let members = self.servers.iter().chain(workers).chain(&self.others);
        members.filter_map(|member| Some((member.name().to_string(), member.id()?))).collect()
    }

    /// Where the web monitors of job managers that run listen.
    pub fn web_monitors(&self) -> Vec<NodeAddress> {
        self.job_managers.iter().filter_map(|member| member.address().cloned()).collect()
    }

    /// Looks after every process: starts what is to be started.
    pub fn tend(&mut self, narrator: &Narrator) -> Result<(), CliError> {
        self.follow_demand();
        let now = self.host.now();
        let others = self.others.iter_mut();
        let workers = self.job_managers.iter_mut().chain(&mut self.task_executors).chain(others);
        for member in self.servers.iter_mut().chain(workers) {
            member.tend(now, narrator)?;
        }
        Ok(())
    }

    /// Waits for `work` while the processes are looked after.
    pub async fn tended<T>(
        &mut self,
        narrator: &Narrator,
        work: impl Future<Output = T>,
    ) -> Result<T, CliError> {
        pin_mut!(work);
        loop {
            self.tend(narrator)?;
            if let Ok(done) = self.host.timeout(TICK, work.as_mut()).await {
                return Ok(done);
            }
        }
    }
}
