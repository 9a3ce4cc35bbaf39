//! The processes of a cluster: one function for each role.
//!
//! A cluster is a coordination server, an object store, a log server, job managers and task executors.
//! Each role has two entry points: `run_…_node` binds a port and serves on it, `serve_…` serves on a
//! service that is bound already, for whoever has to know the address before. A process that can't
//! go on says why as it ends itself; whoever started it may start it again with the same disk.
//!
//! What jobs are made of comes from outside as [`Programs`]: the cluster runs programs and has none.

use super::{
    dataflow::Programs,
    graph::JobGraph,
    job_manager::{JobManagerConfig, JobManagerSettings, RunMode, serve_job_manager},
    protocol::ApplicationStatus,
    request_reply::{FrontEnd, FrontEndConfig, FrontEndError},
    rpc::{RpcConfig, RpcService, RpcSystem},
    sabotage,
    service::{
        Services,
        coordination::{CoordinationClient, CoordinationConfig, CoordinationServer},
        database::{DatabaseOpener, DatabaseServer, Databases, NoDatabases},
        log::{LogClient, LogConfig, LogRefusal, LogServer, LogServerConfig},
        object_store::{ObjectStoreServer, ObjectStores},
        resource_provider::{ProviderConfig, ResourceProvider, ResourceProviderClient},
    },
    task_executor::{TaskExecutorConfig, serve_task_executor},
    web_monitor::WebMonitorConfig,
};
use crate::host::{Host, NodeAddress};
use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

/// The port of a node's message socket, unless another is chosen: that of a Flink job manager.
pub const PORT: u16 = 6123;

/// How long a front end that ends waits for the responses to its requests.
pub const FRONT_END_DRAIN_MAX: Duration = Duration::from_secs(2);

/// How the nodes of a cluster behave, and where its services are.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// What the cluster is there for; [`RunMode::Session`].
    pub mode: RunMode,
    /// The RPC services of job managers and task executors.
    pub rpc: RpcConfig,
    /// The coordination service.
    pub coordination: CoordinationConfig,
    /// The object store: that of a server, or what stands in its place.
    pub object_store: Arc<dyn ObjectStores>,
    /// The log.
    pub log: LogConfig,
    /// The log's server.
    pub log_server: LogServerConfig,
    /// The databases that its processes reach; none.
    pub databases: Arc<dyn Databases>,
    /// Who gives the cluster machines; `None`: it has the task executors that somebody starts.
    pub provider: Option<ProviderConfig>,
    /// Job managers.
    pub job_manager: JobManagerConfig,
    /// Web monitors: each job manager has one.
    pub web_monitor: WebMonitorConfig,
    /// Task executors.
    pub task_executor: TaskExecutorConfig,
}

impl ClusterConfig {
    /// The defaults, with services at these addresses.
    pub fn new(
        coordination: NodeAddress,
        object_store: impl ObjectStores,
        log: NodeAddress,
    ) -> Self {
        ClusterConfig {
            mode: RunMode::Session,
            rpc: RpcConfig::default(),
            coordination: CoordinationConfig::new(coordination),
            object_store: Arc::new(object_store),
            log: LogConfig::new(log),
            log_server: LogServerConfig::default(),
            databases: Arc::new(NoDatabases),
            provider: None,
            job_manager: JobManagerConfig::default(),
            web_monitor: WebMonitorConfig::default(),
            task_executor: TaskExecutorConfig::default(),
        }
    }

    /// The services, as a process reaches them that has this RPC service: the one place that says which are the
    /// embedded ones.
    pub fn services(&self, service: &RpcService) -> Services {
        let coordination = self.coordination.clone();
        Services {
            coordination: Arc::new(CoordinationClient::new(service, coordination)),
            objects: self.object_store.open(service),
            log: Arc::new(LogClient::new(service, self.log.clone())),
            databases: DatabaseOpener::new(service, self.databases.clone()),
        }
    }
}

/// A service on a port, 0 for any free one; without one the process is told to exit.
pub async fn bind(host: &Host, port: u16) -> Option<RpcService> {
    bind_with(host, port, &RpcConfig::default()).await
}

/// The same with other settings.
pub async fn bind_with(host: &Host, port: u16, config: &RpcConfig) -> Option<RpcService> {
    let system = match RpcSystem::load(config) {
        Ok(system) => system,
        Err(error) => {
            host.exit(&error.to_string());
            return None;
        }
    };
    match system.bind(host, port).await {
        Ok(service) => Some(service),
        Err(error) => {
            host.exit(&format!("port {port}: {error}"));
            None
        }
    }
}

/// Runs the coordination server of a cluster. Returns only when it can't run.
pub async fn run_coordination_node(host: Host, port: u16) {
    let Some(service) = bind(&host, port).await else { return };
    serve_coordination(&service).await;
}

/// The same on a service that is bound already.
pub async fn serve_coordination(service: &RpcService) {
    let end = match CoordinationServer::start(service).await {
        Ok(server) => server.termination().await.err().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    service.host().exit(&format!("coordination server: {end}"));
}

/// Runs the object store of a cluster. Returns only when it can't run.
pub async fn run_object_store_node(host: Host, port: u16) {
    let Some(service) = bind(&host, port).await else { return };
    serve_object_store(&service).await;
}

/// The same on a service that is bound already.
pub async fn serve_object_store(service: &RpcService) {
    let end = match ObjectStoreServer::start(service).await {
        Ok(server) => server.termination().await.err().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    service.host().exit(&format!("object store: {end}"));
}

/// Runs the log server of a cluster. Returns only when it can't run.
pub async fn run_log_node(host: Host, port: u16, config: LogServerConfig) {
    let Some(service) = bind(&host, port).await else { return };
    serve_log(&service, config).await;
}

/// The same on a service that is bound already.
pub async fn serve_log(service: &RpcService, config: LogServerConfig) {
    let end = match LogServer::start(service, config).await {
        Ok(server) => server.termination().await.err().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    service.host().exit(&format!("log server: {end}"));
}

/// Runs a front end between a job and its clients. Returns only when it can't run; topics that are not there yet are
/// waited for. Once it listens `began` is told where. When it is `told_to_end` it takes no more connections, and ends once
/// those that are there are answered, or cuts them after [`FRONT_END_DRAIN_MAX`].
pub async fn run_front_end_node(
    host: Host,
    config: ClusterConfig,
    front_end: FrontEndConfig,
    began: impl FnOnce(&NodeAddress),
    told_to_end: impl Future<Output = ()>,
) {
    let Some(service) = bind_with(&host, 0, &config.rpc).await else { return };
    let log = config.services(&service).log;
    loop {
        let drawn = host.random_u64();
        let incarnation = if host.sabotaged(sabotage::EVENT_IDS_REUSED) { 1 } else { drawn };
        match FrontEnd::start(&log, incarnation, front_end.clone()).await {
            Ok(serves) => {
                began(serves.address());
                told_to_end.await;
                if !serves.drain(host.now() + FRONT_END_DRAIN_MAX).await {
                    tracing::warn!("requests were not answered in time, and are cut");
                }
                return;
            }
            Err(FrontEndError::Topic { refusal: LogRefusal::NoPartition, .. }) => {
                host.sleep(log.retry_delay()).await;
            }
            Err(error) => return host.exit(&format!("front end: {error}")),
        }
    }
}

/// Runs the database server of a simulation. Returns only when it can't run.
pub async fn run_database_node(host: Host, port: u16) {
    let Some(service) = bind(&host, port).await else { return };
    let end = match DatabaseServer::start(&service).await {
        Ok(server) => server.termination().await.err().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    service.host().exit(&format!("database server: {end}"));
}

/// Runs a job manager. Returns when it can't run, or when its cluster has done what it was there for.
pub async fn run_job_manager_node(
    host: Host,
    port: u16,
    config: ClusterConfig,
    programs: Programs,
) {
    let Some(service) = bind_with(&host, port, &config.rpc).await else { return };
    serve_jobs(service, config, &programs, |_| {}).await;
}

/// The same on a service that is bound already, for who wants to hear where the web monitor listens. Answers what
/// the cluster came to, if it ends of its own accord.
pub async fn serve_jobs(
    service: RpcService,
    config: ClusterConfig,
    programs: &Programs,
    web_monitor_listens: impl FnOnce(&NodeAddress),
) -> Option<ApplicationStatus> {
    serve_jobs_until(service, config, programs, web_monitor_listens, pending()).await
}

/// The same, but at most until it is `told_to_end`: it leads no more then, lets its job masters go, and whoever stands
/// by takes over at once.
pub async fn serve_jobs_until(
    service: RpcService,
    config: ClusterConfig,
    programs: &Programs,
    web_monitor_listens: impl FnOnce(&NodeAddress),
    told_to_end: impl Future<Output = ()>,
) -> Option<ApplicationStatus> {
    let services = config.services(&service);
    let programs = programs.clone();
    let check =
        Arc::new(move |job: &JobGraph| programs.accepts(job).map_err(|error| error.to_string()));
    let ClusterConfig { job_manager: config, web_monitor, mode, provider, .. } = config;
    let provider = provider.map(|config| -> Arc<dyn ResourceProvider> {
        Arc::new(ResourceProviderClient::new(&service, config))
    });
    let settings = JobManagerSettings { config, web_monitor, mode, provider, check };
    serve_job_manager(service, services, settings, web_monitor_listens, told_to_end).await
}

/// Runs a task executor, with its message socket and its data socket on these ports. Returns only
/// when it can't run.
pub async fn run_task_executor_node(
    host: Host,
    port: u16,
    data: u16,
    config: ClusterConfig,
    programs: Programs,
) {
    let Some(service) = bind_with(&host, port, &config.rpc).await else { return };
    serve_tasks(service, data, config, &programs).await;
}

/// The same on a service that is bound already.
pub async fn serve_tasks(
    service: RpcService,
    data: u16,
    config: ClusterConfig,
    programs: &Programs,
) {
    let services = config.services(&service);
    let programs = programs.clone();
    serve_task_executor(service, data, services, config.task_executor, programs).await;
}
