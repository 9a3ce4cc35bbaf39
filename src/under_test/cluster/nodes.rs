//! The nodes of a cluster, those of its jobs aside.

use super::{
    provider::{ProviderSettings, ProviderState, run_machine_node, run_resource_provider_node},
    rest_reader::{RestReaderSettings, run_rest_reader_node},
    roles,
    settings::{ClusterSettings, Mode, ProgramBehaviour, heartbeat_timeout},
};
use crate::{
    harness::{
        language::Share,
        system::{Node, Role},
    },
    host::{Host, NodeAddress},
    jobs::common::{JobPlan, create_topics},
    system::{
        cluster::{
            ClusterConfig, PORT, bind_with, run_coordination_node, run_database_node, run_log_node,
            run_object_store_node, run_task_executor_node, serve_jobs,
        },
        dataflow::Programs,
        graph::JobGraph,
        heartbeat::HeartbeatConfig,
        ids::JobId,
        job_manager::{Application, ApplicationContext, ApplicationError, RunMode, WorkerSettings},
        service::{
            database::{DatabaseConfig, EmbeddedDatabase},
            resource_provider::ProviderConfig,
        },
    },
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

/// The port on which task executors listen for streams.
const DATA_PORT: u16 = 6122;

/// How the nodes of a cluster behave.
pub fn cluster_config(spec: &ClusterSettings) -> ClusterConfig {
    let address = |role: Role| NodeAddress::new(role.name().to_string(), PORT);
    let mut config = ClusterConfig::new(
        address(roles::COORDINATION),
        address(roles::OBJECT_STORE),
        address(roles::LOG),
    );
    config.databases = Arc::new(EmbeddedDatabase(DatabaseConfig::new(address(roles::DATABASE))));
    config.coordination.session_timeout = spec.session_timeout.one();
    let heartbeat = HeartbeatConfig {
        interval: spec.heartbeat.one(),
        timeout: heartbeat_timeout(spec),
        unreachable_threshold: Some(2),
    };
    config.job_manager.heartbeat = heartbeat;
    config.task_executor.heartbeat = heartbeat;
    if spec.on_demand == Share::ALWAYS {
        config.provider = Some(ProviderConfig::new(address(roles::RESOURCE_PROVIDER)));
        config.job_manager.workers = WorkerSettings {
            slots: spec.slots.one(),
            workers_max: spec.task_executors.one() as usize,
            registration_timeout: spec.machine_delay.one() + Duration::from_secs(10),
            idle_timeout: spec.machine_idle.one(),
            ..WorkerSettings::default()
        };
    }
    config.log_server.segment_bytes = spec.log_segment_bytes.one().into();
    config.log_server.memory_bytes = spec.log_memory_bytes.one().into();
    config.log_server.cache_bytes = config.log_server.memory_bytes;
    config.task_executor.slots = spec.slots.one();
    config.task_executor.task.buffer_timeout = spec.buffer_timeout.one();
    config.task_executor.cancellation_timeout = spec.cancellation_timeout.one();
    config.task_executor.task.service_time = spec.service_time.one();
    config
}

/// What a cluster is there for, and what its job needs before.
pub struct Purpose {
    mode: RunMode,
    prepared: Option<JobPlan>,
}

impl Purpose {
    /// A cluster whose first job has this plan, whose program behaves so.
    pub fn new(mode: Mode, plan: &JobPlan, behaves: ProgramBehaviour) -> Self {
        match mode {
            Mode::Session => Purpose { mode: RunMode::Session, prepared: None },
            Mode::PerJob => Purpose {
                mode: RunMode::PerJob(Arc::new(plan.job.clone())),
                prepared: Some(plan.clone()),
            },
            Mode::Application => {
                let (job, plan) = (plan.job.id, plan.clone());
                // What is amiss outside of the cluster passes, whoever executes the program.
                let fails = Arc::new(AtomicU32::new(behaves.fails));
                let main = move |context| {
                    execute_plan(context, plan.clone(), behaves.leaves_after, fails.clone())
                };
                let application = Application::new(main).with_job(job);
                Purpose { mode: RunMode::Application(application), prepared: None }
            }
        }
    }
}

/// A program: it makes its topics and executes its job.
async fn execute_plan(
    context: ApplicationContext,
    plan: JobPlan,
    leaves_after: Option<Duration>,
    fails: Arc<AtomicU32>,
) -> Result<(), ApplicationError> {
    let topics = create_topics(context.services(), &plan).await;
    topics.map_err(|error| ApplicationError::Program(error.to_string()))?;
    // The graph says nothing of the id under which its job runs.
    let graph = JobGraph { id: JobId(u128::MAX), ..plan.job };
    let host = context.services().coordination.host().clone();
    let executed = context.execute(graph);
    match leaves_after {
        None => executed.await?,
        Some(after) => host
            .timeout(after, executed)
            .await
            .unwrap_or(Err(ApplicationError::Program("it waits no longer".to_string())))?,
    }
    match fails.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
        Ok(_) => Err(ApplicationError::Program("what it tells is not taken".to_string())),
        Err(_) => Ok(()),
    }
}

/// A job manager, after what a deployer does before it starts one.
async fn run_prepared_job_manager(
    host: Host,
    config: ClusterConfig,
    programs: Programs,
    prepared: Option<JobPlan>,
) {
    let Some(service) = bind_with(&host, PORT, &config.rpc).await else { return };
    if let Some(plan) = prepared
        && let Err(error) = create_topics(&config.services(&service), &plan).await
    {
        return host.exit(&error.to_string());
    }
    serve_jobs(service, config, &programs, |_| {}).await;
}

/// A task executor, or a machine on which the provider has one run.
async fn run_executor(
    host: Host,
    provider: Option<NodeAddress>,
    config: ClusterConfig,
    programs: Programs,
) {
    match provider {
        Some(provider) => {
            run_machine_node(host, (PORT, DATA_PORT), provider, config, programs).await;
        }
        None => run_task_executor_node(host, PORT, DATA_PORT, config, programs).await,
    }
}

fn provider(spec: &ClusterSettings, seed: u64) -> Node {
    let state = ProviderState::new(ProviderSettings {
        seed,
        delay: spec.machine_delay.one(),
        twice: u32::try_from(spec.machines_twice.low).unwrap_or(0),
        machines: spec.task_executors.one() as usize,
    });
    // It stands for the outside world, which no restart undoes.
    let state = Arc::new(Mutex::new(state));
    Node::one(roles::RESOURCE_PROVIDER, move |host| {
        run_resource_provider_node(host, PORT, state.clone())
    })
}

/// The nodes of a cluster, which can run these programs, with a database server if its jobs use one; those of jobs
/// come on top.
pub fn nodes(
    spec: &ClusterSettings,
    config: &ClusterConfig,
    programs: &Programs,
    purpose: &Purpose,
    uses_database: bool,
    seed: u64,
) -> Vec<Node> {
    let log_server = config.log_server;
    let mut nodes = vec![
        Node::one(roles::COORDINATION, |host| run_coordination_node(host, PORT)),
        Node::one(roles::OBJECT_STORE, |host| run_object_store_node(host, PORT)),
        Node::one(roles::LOG, move |host| run_log_node(host, PORT, log_server)),
    ];
    for number in 1..=spec.job_managers.one() {
        let config = ClusterConfig { mode: purpose.mode.clone(), ..config.clone() };
        let (programs, prepared) = (programs.clone(), purpose.prepared.clone());
        let main = move |host| {
            run_prepared_job_manager(host, config.clone(), programs.clone(), prepared.clone())
        };
        nodes.push(Node::numbered(roles::JOB_MANAGER, number, main));
    }
    for number in 1..=spec.task_executors.one() {
        let (config, programs) = (config.clone(), programs.clone());
        let provider = config.provider.as_ref().map(|provider| provider.server.clone());
        let main =
            move |host| run_executor(host, provider.clone(), config.clone(), programs.clone());
        nodes.push(Node::numbered(roles::TASK_EXECUTOR, number, main));
    }
    if config.provider.is_some() {
        nodes.push(provider(spec, seed));
    }
    let monitors: Vec<NodeAddress> = (1..=spec.job_managers.one())
        .map(|number| roles::JOB_MANAGER.node_name(Some(number)))
        .map(|name| NodeAddress::new(name, config.web_monitor.port))
        .collect();
    if uses_database {
        nodes.push(Node::one(roles::DATABASE, |host| run_database_node(host, PORT)));
    }
    for number in 1..=spec.rest_readers.one() {
        let (config, monitors) = (config.clone(), monitors.clone());
        let cancels = spec.rest_cancels == Share::ALWAYS;
        let settings = RestReaderSettings { number, monitors, cancels };
        let main = move |host| run_rest_reader_node(host, config.clone(), settings.clone());
        nodes.push(Node::numbered(roles::REST_READER, number, main));
    }
    nodes
}
