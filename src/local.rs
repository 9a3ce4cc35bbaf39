//! A whole cluster in one process of the live world: for a user's own tests, and for trying things out.
//!
//! Each role is a node of its own, on loopback TCP and in a folder of the real disk, just as if it were a process;
//! they share a tokio runtime, that of the caller.
//!
//! ```no_run
//! use wavetank::{jobs, local::{LocalCluster, LocalClusterConfig}};
//!
//! # async fn example(job: wavetank::system::graph::JobGraph) -> Result<(), Box<dyn std::error::Error>> {
//! let config = LocalClusterConfig { slots: 2, ..LocalClusterConfig::default() };
//! let cluster = LocalCluster::start(config, jobs::shipped().programs()).await?;
//! println!("http://{}", cluster.web_monitor());
//! let result = cluster.run(&job).await?;
//! println!("the job is {}", result.status);
//! cluster.stop().await;
//! # Ok(())
//! # }
//! ```

use crate::{
    adapters::{database::LiveDatabases, folder::ObjectStoreAddress},
    host::{
        Host, NodeAddress,
        live::{LOOPBACK, Node, NodeConfig},
    },
    jobs::{Job, common::JobSettings},
    system::{
        client::{JobClient, RestClient},
        cluster::{
            ClusterConfig, serve_coordination, serve_jobs, serve_log, serve_object_store,
            serve_tasks,
        },
        connector::{Input, part_lines, read_files, upload_text},
        dataflow::{ProgramError, Programs},
        graph::JobGraph,
        ids::JobId,
        leadership::LeaderGateway,
        protocol::{
            JobRefusal, JobResult, JobStatus, RESOURCE_MANAGER, ResourceManagerGateway,
            SubmitRefusal,
        },
        rpc::{RpcError, RpcService, RpcSystem},
        service::{
            Services,
            log::{LogRefusal, LogServerConfig},
            object_store::ObjectStoreRefusal,
        },
        task_executor::TaskConfig,
    },
};
use bytes::Bytes;
use serde_json::Map;
use std::{
    cell::RefCell,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// From look to look, until the cluster is there.
const LOOK: Duration = Duration::from_millis(5);

/// What a local cluster is made of.
#[derive(Clone, Debug)]
pub struct LocalClusterConfig {
    /// Task executors; 1.
    pub task_executors: u32,
    /// Slots of each of them; 4.
    pub slots: u32,
    /// The port of the web monitor, 0 for any free one; 0.
    pub rest_port: u16,
    /// How long a record may wait in a buffer that is not full; zero sends each with those at most that
    /// came with it, which costs throughput; 100 ms.
    pub buffer_timeout: Duration,
    /// The folder in which the nodes keep their data. It stays, and a cluster that is started in it again goes on
    /// with its jobs. `None` for a temporary one, which goes with the cluster.
    pub folder: Option<PathBuf>,
    /// Where objects are that are not to be in that folder: one that was [prepared](ObjectStoreAddress::prepare). `None`
    /// for a server of the cluster's own.
    pub object_store: Option<ObjectStoreAddress>,
    /// How long it may take until the cluster is there; 30 s.
    pub start_timeout: Duration,
}

impl Default for LocalClusterConfig {
    fn default() -> Self {
        LocalClusterConfig {
            task_executors: 1,
            slots: 4,
            rest_port: 0,
            buffer_timeout: TaskConfig::default().buffer_timeout,
            folder: None,
            object_store: None,
            start_timeout: Duration::from_secs(30),
        }
    }
}

/// Why there is no local cluster.
#[derive(Debug, thiserror::Error)]
pub enum LocalClusterError {
    /// A folder can't be made, or a port can't be had.
    #[error("the node {node}: {error}")]
    Node {
        /// The node.
        node: String,
        /// Why.
        error: io::Error,
    },
    /// It was not there in time.
    #[error("no cluster within {0:?}: {1}")]
    NotReady(Duration, String),
}

/// Why a local cluster did not run a job.
#[derive(Debug, thiserror::Error)]
pub enum LocalJobError {
    /// The cluster does not take the job.
    #[error("the job is refused: {0}")]
    Refused(#[from] SubmitRefusal),
    /// The cluster does not know the job any more.
    #[error("the job is lost: {0}")]
    Lost(#[from] JobRefusal),
    /// There is no such job.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Its text can't be stored, or its files can't be read.
    #[error("the text or the files: {0}")]
    Text(#[from] ObjectStoreRefusal),
    /// Its output can't be made, or read.
    #[error("the output: {0}")]
    Output(#[from] LogRefusal),
    /// It has ended, but not finished.
    #[error("the job is {}{}", .0.status, .0.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default())]
    NotFinished(JobResult),
}

/// A cluster in this process. Dropping it ends it at once.
pub struct LocalCluster {
    nodes: Nodes,
    config: ClusterConfig,
    object_store: ObjectStoreAddress,
    services: Services,
    client: JobClient,
    web_monitor: NodeAddress,
}

/// The nodes, and their folder if it goes with them.
struct Nodes {
    hosts: Vec<Host>,
    folder: PathBuf,
    is_temporary: bool,
}

impl LocalCluster {
    /// Starts it, and waits until its web monitor leads and knows all task executors. Jobs are made of
    /// `programs`.
    ///
    /// # Errors
    /// [`LocalClusterError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with its time and I/O drivers.
    pub async fn start(
        config: LocalClusterConfig,
        programs: Programs,
    ) -> Result<Self, LocalClusterError> {
        let mut nodes = Nodes::new(config.folder.as_deref());
        let coordination = nodes.serve("coordination", serve_coordination_of).await?;
        let object_store = match config.object_store.clone() {
            Some(elsewhere) => elsewhere,
            None => ObjectStoreAddress::Server(nodes.serve("blobs", serve_objects_of).await?),
        };
        let log = nodes.serve("log", serve_log_of).await?;
        let mut cluster = ClusterConfig::new(coordination, object_store.clone(), log);
        cluster.databases = Arc::new(LiveDatabases);
        cluster.web_monitor.port = config.rest_port;
        cluster.task_executor.slots = config.slots;
        cluster.task_executor.task.buffer_timeout = config.buffer_timeout;
        let (settings, of_jobs) = (cluster.clone(), programs.clone());
        let manage = move |service| async move {
            // A session cluster goes on until it is stopped.
            serve_jobs(service, settings, &of_jobs, |_| {}).await;
        };
        nodes.serve("job-manager", manage).await?;
        for number in 1..=config.task_executors {
            let (settings, programs) = (cluster.clone(), programs.clone());
            let work = move |service| async move {
                serve_tasks(service, 0, settings, &programs).await;
            };
            nodes.serve(&format!("task-executor-{number}"), work).await?;
        }
        let service = nodes.bind("client").await?;
        let services = cluster.services(&service);
        let client = JobClient::new(&service, &services.coordination);
        let web_monitor = nodes.ready(&service, &services, &config).await?;
        Ok(LocalCluster { nodes, config: cluster, object_store, services, client, web_monitor })
    }

    /// Where its objects are.
    pub fn object_store(&self) -> &ObjectStoreAddress {
        &self.object_store
    }

    /// How its nodes behave, and where its services listen.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Submits, watches and cancels jobs.
    pub fn client(&self) -> &JobClient {
        &self.client
    }

    /// The cluster's services: topics are made and read here.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Where its web monitor serves.
    pub fn web_monitor(&self) -> &NodeAddress {
        &self.web_monitor
    }

    /// Submits a job and waits for its end.
    ///
    /// # Errors
    /// [`LocalJobError`].
    pub async fn run(&self, job: &JobGraph) -> Result<JobResult, LocalJobError> {
        self.client.submit(job).await?;
        Ok(self.client.result(job.id).await?)
    }

    /// Runs a job of that text to its end; the records that it has committed, as text, partition by partition, or the
    /// lines of its files, file by file. A job that has not finished is an error.
    ///
    /// # Errors
    /// [`LocalJobError`].
    pub async fn run_text(
        &self,
        job: &Job,
        text: &str,
        settings: &JobSettings,
    ) -> Result<Vec<String>, LocalJobError> {
        let Services { objects, log, .. } = &self.services;
        let id = JobId(self.services.coordination.host().random_u128());
        let (name, output) = (Job::text_name(id), job.output_topic(id));
        let text = Bytes::copy_from_slice(text.as_bytes());
        let input = Input::Text(upload_text(&**objects, &name, &text).await?);
        if !job.writes_files() {
            log.create_topic_until_acknowledged(&output, settings.parallelism).await?;
        }
        let result = self.run(&job.graph(id, &input, &output, &Map::new(), settings)?).await?;
        if result.status != JobStatus::Finished {
            return Err(LocalJobError::NotFinished(result));
        }
        if job.writes_files() {
            let files = read_files(&**objects, &output).await?;
            let lines = files.iter().flat_map(|(_, content)| part_lines(content));
            return Ok(lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect());
        }
        let records = log.read_all_until_acknowledged(&output).await?;
        let text = |record: &Bytes| String::from_utf8_lossy(record).into_owned();
        Ok(records.iter().flatten().map(text).collect())
    }

    /// Ends every node. Jobs that have not ended stay in a folder that was given.
    pub async fn stop(self) {
        for host in &self.nodes.hosts {
            Node::stop(host);
            Node::ended(host).await;
        }
    }
}

async fn serve_coordination_of(service: RpcService) {
    serve_coordination(&service).await;
}

async fn serve_objects_of(service: RpcService) {
    serve_object_store(&service).await;
}

async fn serve_log_of(service: RpcService) {
    serve_log(&service, LogServerConfig::default()).await;
}

impl Nodes {
    fn new(folder: Option<&Path>) -> Self {
        let random = getrandom::u64().expect("the operating system has randomness");
        let temporary = || {
            std::env::temp_dir()
                .join(format!("wavetank-local-{}-{random:016x}", std::process::id()))
        };
        Nodes {
            hosts: Vec::new(),
            folder: folder.map_or_else(temporary, Path::to_path_buf),
            is_temporary: folder.is_none(),
        }
    }

    /// A node with an RPC service on a free port.
    async fn bind(&mut self, name: &str) -> Result<RpcService, LocalClusterError> {
        let failed = |error| LocalClusterError::Node { node: name.to_string(), error };
        let (hostname, data) = (LOOPBACK.to_string(), self.folder.join(name));
        let config = NodeConfig { name: name.to_string(), hostname, data, members: Vec::new() };
        let host = Node::start(config).map_err(failed)?;
        self.hosts.push(host.clone());
        RpcSystem::default().bind(&host, 0).await.map_err(failed)
    }

    /// A node that serves; where.
    async fn serve<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &str,
        main: impl FnOnce(RpcService) -> F,
    ) -> Result<NodeAddress, LocalClusterError> {
        let service = self.bind(name).await?;
        let address = service.address().clone();
        service.host().clone().spawn(main(service));
        Ok(address)
    }

    /// Waits until the cluster is there; where its web monitor serves.
    async fn ready(
        &self,
        service: &RpcService,
        services: &Services,
        config: &LocalClusterConfig,
    ) -> Result<NodeAddress, LocalClusterError> {
        let last = RefCell::new("no resource manager leads".to_string());
        let ready = async {
            // It is asked first, since a web monitor keeps for a while what it was told.
            registered(service, services, config.task_executors, &last).await;
            told(services, config.task_executors, &last).await
        };
        let ready = service.host().timeout(config.start_timeout, ready).await;
        ready.map_err(|_| LocalClusterError::NotReady(config.start_timeout, last.into_inner()))
    }
}

/// Waits until the resource manager knows so many task executors. What it waits for is noted.
async fn registered(
    service: &RpcService,
    services: &Services,
    task_executors: u32,
    last: &RefCell<String>,
) {
    let resource_manager: LeaderGateway<ResourceManagerGateway> =
        LeaderGateway::new(service, &services.coordination, RESOURCE_MANAGER);
    loop {
        let unanswered = |error: RpcError| last.replace(error.to_string());
        let known = resource_manager
            .call(ResourceManagerGateway::task_executors, |error| drop(unanswered(error)))
            .await
            .len();
        if known as u64 >= u64::from(task_executors) {
            return;
        }
        last.replace(format!("{known} of {task_executors} task executors are registered"));
        service.host().sleep(LOOK).await;
    }
}

/// Waits until a web monitor tells of so many task executors; where it serves.
async fn told(services: &Services, task_executors: u32, last: &RefCell<String>) -> NodeAddress {
    let rest = RestClient::new(&services.coordination);
    loop {
        if let Ok(monitor) = rest.leader().await {
            match rest.get(&monitor, "/overview").await {
                Ok(told) if told["taskmanagers"] == task_executors => return monitor,
                Ok(told) => last.replace(format!("the web monitor tells {told}")),
                Err(error) => last.replace(error.to_string()),
            };
        }
        services.coordination.host().sleep(LOOK).await;
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.hosts.iter().for_each(Node::stop);
        if self.is_temporary {
            // Whoever still writes there has ended; what can't be removed lies among temporary files.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
