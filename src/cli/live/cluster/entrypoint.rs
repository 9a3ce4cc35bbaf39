//! The entry points of a cluster: what the process of a job manager is there for.

use super::{end::ClusterEnd, job_graph::read_job_graph, member::Member, worker::Worker};
use crate::{
    cli::live::{
        CliError, Outcome,
        place::{announce, run, told_to_end},
        programs::{Prepared, Unprepared, prepare},
    },
    host::{Host, NodeAddress},
    jobs::Jobs,
    system::{
        cluster::{ClusterConfig, bind, serve_jobs_until},
        dataflow::Programs,
        job_manager::{Application, ApplicationContext, ApplicationError, RunMode},
        protocol::ApplicationStatus,
        service::resource_provider::ProviderConfig,
    },
};
use clap::Args;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

/// The process of a job manager.
#[derive(Args)]
pub struct JobManager {
    #[command(flatten)]
    worker: Worker,
    /// The port of its web monitor; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    rest_port: u16,
    /// Who gives task executors when they are needed
    #[arg(long, value_name = "ADDRESS")]
    provider: Option<NodeAddress>,
    /// The slots of each that is asked for
    #[arg(long, value_name = "N", default_value_t = 1)]
    worker_slots: u32,
    /// How many are asked for at most
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers_max: usize,
    /// The graph of the one job for which the cluster is there
    #[arg(long, value_name = "FILE", conflicts_with = "program")]
    job: Option<PathBuf>,
    /// The program whose main function the cluster executes
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// The parallelism of the program's job
    #[arg(long, value_name = "N", default_value_t = 1, requires = "program")]
    parallelism: u32,
    /// Where the text lies that the program's arguments name
    #[arg(long, value_name = "FILE", requires = "program")]
    shipped: Option<PathBuf>,
    /// The program's own arguments
    #[arg(last = true, value_name = "ARGS", requires = "program")]
    arguments: Vec<String>,
}

/// A job manager that is told to end has so long to let go of what it leads.
const END_MAX: Duration = Duration::from_secs(2);

/// What the job managers of a cluster are there for, as each of their processes is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEntrypoint {
    /// The jobs that are submitted.
    Session,
    /// One job; the cluster ends with it.
    PerJob {
        /// Where its graph lies.
        graph: PathBuf,
    },
    /// One program, whose main function is executed by whoever leads; the cluster ends with it.
    Application(Program),
}

/// A program, to be executed on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its own arguments.
    pub arguments: Vec<String>,
    /// The parallelism of its job.
    pub parallelism: u32,
    /// Where the text lies that its arguments name.
    pub shipped: Option<PathBuf>,
}

impl JobManager {
    /// Runs it to its end: that of the cluster, unless it can't go on.
    pub fn run(self, jobs: &Jobs) -> Result<Outcome, CliError> {
        let JobManager { worker, rest_port, job, program, parallelism, shipped, arguments, .. } =
            self;
        let Worker { place, servers } = worker;
        let mut config = servers.config();
        config.web_monitor.port = rest_port;
        config.provider = self.provider.map(ProviderConfig::new);
        config.job_manager.workers.slots = self.worker_slots;
        config.job_manager.workers.workers_max = self.workers_max;
        let entrypoint = match (job, program) {
            (Some(graph), _) => ClusterEntrypoint::PerJob { graph },
            (None, Some(name)) => {
                let program = Program { name, arguments, parallelism, shipped };
                ClusterEntrypoint::Application(program)
            }
            (None, None) => ClusterEntrypoint::Session,
        };
        let cause = Cause::default();
        config.mode = entrypoint.mode(jobs, &cause)?;
        run(place, async |host, port| serve(host, port, config, &jobs.programs(), &cause).await)
    }
}

async fn serve(host: Host, port: u16, config: ClusterConfig, programs: &Programs, cause: &Cause) {
    let Some(service) = bind(&host, port).await else { return };
    let told_to_end = told_to_end_soon(&host);
    let ended = serve_jobs_until(service, config, programs, announce, told_to_end).await;
    match ended {
        Some(status) => {
            let cause = cause.last().filter(|_| status == ApplicationStatus::Failed);
            announce(&ClusterEnd { status, cause }.line());
        }
        // It has not done what it is there for, and is started again.
        None => host.exit("told to end"),
    }
}

/// Ready when a signal wants this process to end, which it has some time for.
async fn told_to_end_soon(host: &Host) {
    told_to_end().await;
    let late = host.clone();
    host.spawn(async move {
        late.sleep(END_MAX).await;
        late.exit("told to end, and not ready in time");
    });
}

impl ClusterEntrypoint {
    /// Tells a process that is to be a job manager what for.
    pub fn tell(&self, member: &mut Member) {
        match self {
            ClusterEntrypoint::Session => {}
            ClusterEntrypoint::PerJob { graph } => member.set("--job", graph),
            ClusterEntrypoint::Application(program) => {
                member.set("--program", &program.name);
                member.set("--parallelism", program.parallelism.to_string());
                if let Some(shipped) = &program.shipped {
                    member.set("--shipped", shipped);
                }
                member.pass(&program.arguments);
            }
        }
    }

    /// Whether the cluster ends by itself.
    pub fn ends(&self) -> bool {
        *self != ClusterEntrypoint::Session
    }

    fn mode(self, jobs: &Jobs, cause: &Cause) -> Result<RunMode, CliError> {
        match self {
            ClusterEntrypoint::Session => Ok(RunMode::Session),
            ClusterEntrypoint::PerJob { graph } => {
                Ok(RunMode::PerJob(Arc::new(read_job_graph(&graph)?)))
            }
            ClusterEntrypoint::Application(program) => {
                Ok(RunMode::Application(program.application(jobs, cause)?))
            }
        }
    }
}

impl Program {
    fn application(self, jobs: &Jobs, cause: &Cause) -> Result<Application, CliError> {
        let Program { name, arguments, parallelism, shipped } = self;
        let prepared = prepare(jobs, &name, &arguments, shipped.as_deref());
        let prepared = Arc::new(prepared.map_err(|error| match error {
            Unprepared::Refused(error) => error,
            Unprepared::Arguments(told) => CliError::new(told.to_string()),
        })?);
        let cause = cause.clone();
        Ok(Application::new(move |context| {
            let (prepared, cause) = (prepared.clone(), cause.clone());
            async move {
                let ended = execute(&context, &prepared, parallelism).await;
                if let Err(error) = &ended {
                    tracing::error!(%error, "the program has failed");
                }
                cause.note(ended.as_ref().err());
                ended
            }
        }))
    }
}

/// The main function of every program: it brings what its job needs, and executes it. What an earlier execution has
/// brought is brought once more, which changes nothing.
async fn execute(
    context: &ApplicationContext,
    prepared: &Prepared,
    parallelism: u32,
) -> Result<(), ApplicationError> {
    let (services, job) = (context.services(), context.job());
    let failed = |what: &str, why: String| ApplicationError::Program(format!("{what}: {why}"));
    let uploaded = prepared.upload(job, &*services.objects).await;
    uploaded.map_err(|refusal| failed("its text", refusal.to_string()))?;
    let created = prepared.create_topic(job, &*services.log, parallelism).await;
    created.map_err(|refusal| failed("its topic", refusal.to_string()))?;
    let graph = prepared.job(job, parallelism);
    context.execute(graph.map_err(|error| failed("its job", error.to_string()))?).await
}

/// Why the program's last execution has failed, if it has.
#[derive(Clone, Default)]
struct Cause(Arc<Mutex<Option<String>>>);

impl Cause {
    fn note(&self, error: Option<&ApplicationError>) {
        let cause = error.and_then(|error| match error {
            ApplicationError::Job(result) => result.cause.clone(),
            error => Some(error.to_string()),
        });
        *self.0.lock().expect("nobody panics with it") = cause;
    }

    fn last(&self) -> Option<String> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}
