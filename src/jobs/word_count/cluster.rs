//! The processes of a cluster that runs a word count.

use super::{FailedAttempts, INPUT_TOPIC, OUTPUT_TOPIC, register};
use crate::{
    host::{Host, NodeAddress},
    system::{
        client::{ClientEvent, JobClient},
        connector,
        graph::JobGraph,
        job_manager::{JobManagerConfig, serve_job_manager},
        protocol::{JobRefusal, JobResult, SubmitRefusal},
        rpc::{RpcService, RpcSystem},
        service::{
            blobs::{BlobClient, BlobConfig, BlobServer},
            coordination::{CoordinationClient, CoordinationConfig},
            log::{LogClient, LogConfig, LogRefusal, LogServer},
        },
        task_executor::{OperatorRegistry, TaskExecutorConfig, serve_task_executor},
    },
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// The port of every node's message socket.
pub const PORT: u16 = 6123;

/// Records appended by one call at most.
const APPEND_RECORDS_MAX: usize = 512;
/// Bytes appended by one call at most, give or take a record.
const APPEND_BYTES_MAX: usize = 1024 * 1024;

/// How the nodes of a cluster behave, and where its services are.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The coordination service.
    pub coordination: CoordinationConfig,
    /// Job managers; the blob and the log server are named here.
    pub job_manager: JobManagerConfig,
    /// Task executors.
    pub task_executor: TaskExecutorConfig,
    /// What functions that fail on purpose remember.
    pub failed_attempts: FailedAttempts,
}

impl ClusterConfig {
    /// The defaults, with services at these addresses.
    pub fn new(coordination: NodeAddress, blobs: NodeAddress, log: NodeAddress) -> Self {
        ClusterConfig {
            coordination: CoordinationConfig::new(coordination),
            job_manager: JobManagerConfig::new(blobs, log),
            task_executor: TaskExecutorConfig::default(),
            failed_attempts: FailedAttempts::default(),
        }
    }

    /// A client of the blob server.
    pub fn blobs(&self, service: &RpcService) -> BlobClient {
        BlobClient::new(service, BlobConfig::new(self.job_manager.blobs.clone()))
    }

    /// A client of the log server.
    pub fn log(&self, service: &RpcService) -> LogClient {
        LogClient::new(service, LogConfig::new(self.job_manager.log.clone()))
    }

    /// A client of the coordination server.
    pub fn coordination(&self, service: &RpcService) -> CoordinationClient {
        CoordinationClient::new(service, self.coordination.clone())
    }

    /// What jobs may name: the word count's operators and the connectors.
    fn registry(&self, service: &RpcService) -> Arc<OperatorRegistry> {
        let connectors =
            connector::register(OperatorRegistry::new(), &self.log(service), &self.blobs(service));
        Arc::new(register(connectors, &self.failed_attempts))
    }
}

/// What a client wants done.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// The job.
    pub job: JobGraph,
    /// The partitions of the input topic.
    pub inputs: u32,
    /// The partitions of the output topic: the sink's parallelism.
    pub outputs: u32,
    /// When the job is to be canceled, after its submission.
    pub cancel_after: Option<Duration>,
}

/// The lines of each input partition: dealt out in turns.
pub fn partition_lines(lines: &[Bytes], partitions: u32) -> Vec<Vec<Bytes>> {
    let mut dealt = vec![Vec::new(); partitions as usize];
    for (line, partition) in lines.iter().zip((0..partitions as usize).cycle()) {
        dealt[partition].push(line.clone());
    }
    dealt
}

async fn bind(host: &Host, port: u16) -> Option<RpcService> {
    match RpcSystem::load(host).bind(port).await {
        Ok(service) => Some(service),
        Err(error) => {
            host.exit(&format!("port {port}: {error}"));
            None
        }
    }
}

/// Runs the blob server of a cluster. Returns only when it can't run.
pub async fn run_blob_node(host: Host, port: u16) {
    let Some(service) = bind(&host, port).await else { return };
    serve_blobs(&service).await;
}

/// The same on a service that is bound already.
pub async fn serve_blobs(service: &RpcService) {
    let end = match BlobServer::start(service).await {
        Ok(server) => server.termination().await.err().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    service.host().exit(&format!("blob server: {end}"));
}

/// Runs the log server of a cluster. Returns only when it can't run.
pub async fn run_log_node(host: Host, port: u16) {
    let Some(service) = bind(&host, port).await else { return };
    serve_log(&service).await;
}

/// The same on a service that is bound already.
pub async fn serve_log(service: &RpcService) {
    let end = match LogServer::start(service).await {
        Ok(server) => server.termination().await.err().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    service.host().exit(&format!("log server: {end}"));
}

/// Runs a job manager. Returns only when it can't run.
pub async fn run_job_manager_node(host: Host, port: u16, config: ClusterConfig) {
    let Some(service) = bind(&host, port).await else { return };
    serve_jobs(service, config).await;
}

/// The same on a service that is bound already; never returns.
pub async fn serve_jobs(service: RpcService, config: ClusterConfig) {
    let registry = config.registry(&service);
    let check =
        Arc::new(move |job: &JobGraph| registry.accepts(job).map_err(|error| error.to_string()));
    serve_job_manager(service, config.coordination, config.job_manager, check).await;
}

/// Runs a task executor, with its message socket and its data socket on these ports. Returns only
/// when it can't run.
pub async fn run_task_executor_node(host: Host, port: u16, data: u16, config: ClusterConfig) {
    let Some(service) = bind(&host, port).await else { return };
    serve_tasks(service, data, config).await;
}

/// The same on a service that is bound already.
pub async fn serve_tasks(service: RpcService, data: u16, config: ClusterConfig) {
    let (registry, blobs) = (config.registry(&service), config.blobs(&service));
    let ClusterConfig { coordination, task_executor, .. } = config;
    serve_task_executor(service, data, coordination, blobs, task_executor, registry).await;
}

/// Runs a client until its job has ended, and then for as long as its process lives.
pub async fn run_client_node(host: Host, config: ClusterConfig, plan: JobPlan) {
    let Some(service) = bind(&host, 0).await else { return };
    match run_job(&service, &config, &plan).await {
        Ok(_) => std::future::pending().await,
        Err(error) => give_up(&host, error.to_string()),
    }
}

/// Ends a client's process with an error.
fn give_up(host: &Host, reason: String) {
    host.announce(&ClientEvent::GaveUp { reason: reason.clone() });
    host.exit(&reason);
}

/// Why a client's job was not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// A topic can't be had.
    #[error("topic {topic}: {refusal}")]
    Topic {
        /// Its name.
        topic: String,
        /// Why.
        refusal: LogRefusal,
    },
    /// The cluster does not take the job.
    #[error("the job is refused: {0}")]
    Refused(SubmitRefusal),
    /// The cluster does not know the job any more.
    #[error("the job is lost: {0}")]
    Lost(JobRefusal),
}

/// Submits a job, once for its id, and waits for its end.
///
/// # Errors
/// [`ClientError`].
pub async fn run_job(
    service: &RpcService,
    config: &ClusterConfig,
    plan: &JobPlan,
) -> Result<JobResult, ClientError> {
    let log = config.log(service);
    for (topic, partitions) in [(INPUT_TOPIC, plan.inputs), (OUTPUT_TOPIC, plan.outputs)] {
        log.create_topic_until_acknowledged(topic, partitions)
            .await
            .map_err(|refusal| ClientError::Topic { topic: topic.to_string(), refusal })?;
    }
    let client = JobClient::new(service, &config.coordination(service));
    client.submit(&plan.job).await.map_err(ClientError::Refused)?;
    if let Some(after) = plan.cancel_after {
        service.host().sleep(after).await;
        // A job that has ended meanwhile need not be canceled.
        let _ = client.cancel(plan.job.id).await;
    }
    client.result(plan.job.id).await.map_err(ClientError::Lost)
}

/// Writes lines to the input topic, in batches of up to `batch` lines for each partition and a pause
/// between two, then stays for as long as its process lives. Begun anew, it goes on where it was.
pub async fn run_writer_node(
    host: Host,
    config: ClusterConfig,
    lines: Arc<Vec<Vec<Bytes>>>,
    batch: usize,
    pause: Duration,
) {
    let Some(service) = bind(&host, 0).await else { return };
    match write_lines(&service, &config, &lines, batch, pause).await {
        Ok(()) => std::future::pending().await,
        Err(refusal) => give_up(&host, format!("the input topic: {refusal}")),
    }
}

/// Writes the lines of each partition to the input topic, from where it ends now.
///
/// # Errors
/// What the log server refuses.
pub async fn write_lines(
    service: &RpcService,
    config: &ClusterConfig,
    lines: &[Vec<Bytes>],
    batch: usize,
    pause: Duration,
) -> Result<(), LogRefusal> {
    let log = config.log(service);
    let partitions = u32::try_from(lines.len()).expect("few partitions");
    log.create_topic_until_acknowledged(INPUT_TOPIC, partitions).await?;
    let mut next = log.end_offsets_until_acknowledged(INPUT_TOPIC).await?;
    while next.iter().zip(lines).any(|(next, lines)| *next < lines.len() as u64) {
        for (partition, lines) in lines.iter().enumerate() {
            append(&log, partition, lines, &mut next[partition], batch).await?;
        }
        service.host().sleep(pause).await;
    }
    Ok(())
}

async fn append(
    log: &LogClient,
    partition: usize,
    lines: &[Bytes],
    next: &mut u64,
    batch: usize,
) -> Result<(), LogRefusal> {
    let from = usize::try_from(*next).expect("no more than there are lines");
    let mut bytes = 0;
    let fits = |line: &&Bytes| {
        bytes += line.len();
        bytes <= APPEND_BYTES_MAX || bytes == line.len()
    };
    let taken = lines.get(from..).unwrap_or_default().iter();
    let records: Vec<Bytes> =
        taken.take(batch.min(APPEND_RECORDS_MAX)).take_while(fits).cloned().collect();
    if !records.is_empty() {
        let number = u32::try_from(partition).expect("few partitions");
        let producer = format!("writer-{partition}");
        *next =
            log.append_until_acknowledged(INPUT_TOPIC, number, &producer, *next, records).await?;
    }
    Ok(())
}
