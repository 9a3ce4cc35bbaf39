//! What a cluster is there for, and so when it ends.

use crate::system::{
    graph::JobGraph,
    ids::JobId,
    panic::panic_text,
    protocol::{ApplicationStatus, JobResult, JobStatus, SubmitRefusal},
    service::Services,
};
use futures::{FutureExt, future::BoxFuture};
use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a cluster is there for. A cluster never ends because somebody stops leading: whoever leads next goes on.
#[derive(Clone, Debug, Default)]
pub enum RunMode {
    /// It takes on what is submitted, and goes on until it is stopped.
    #[default]
    Session,
    /// It runs one job, which is fixed when it starts, and ends once nothing is left of it but its result.
    PerJob(Arc<JobGraph>),
    /// It executes the main function of a program where its dispatcher leads, and ends with it.
    Application(Application),
}

/// A program whose main function is executed on the cluster: it makes a job graph and
/// [executes](ApplicationContext::execute) it.
///
/// After a failover the next leader executes it once more, while its job goes on: it has to do the same again, and
/// must not mind what it finds done.
#[derive(Clone)]
pub struct Application {
    job: JobId,
    main: Arc<Main>,
}

type Main =
    dyn Fn(ApplicationContext) -> BoxFuture<'static, Result<(), ApplicationError>> + Send + Sync;

impl Application {
    /// The id under which every execution of a program runs its job, so that a later one finds it.
    pub const JOB: JobId = JobId(0);

    /// A program of this main function, whose job has the id [`Application::JOB`].
    pub fn new<F>(main: impl Fn(ApplicationContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), ApplicationError>> + Send + 'static,
    {
        Application { job: Self::JOB, main: Arc::new(move |context| main(context).boxed()) }
    }

    /// The same with another id of its job, where clusters share their services.
    #[must_use]
    pub fn with_job(self, job: JobId) -> Self {
        Application { job, ..self }
    }

    /// The id of its job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Executes the main function. What it may execute of jobs, `execute` does.
    pub(super) async fn run(
        self,
        services: Services,
        execute: Arc<Execute>,
    ) -> Result<(), ApplicationError> {
        let executed = Arc::<AtomicBool>::default();
        let context =
            ApplicationContext { job: self.job, services, execute, executed: executed.clone() };
        let main = AssertUnwindSafe(async { (self.main)(context).await });
        match main.catch_unwind().await {
            Ok(Ok(())) if !executed.load(Ordering::Relaxed) => Err(ApplicationError::NoJob),
            Ok(ended) => ended,
            Err(panic) => Err(ApplicationError::Panicked(panic_text(&*panic))),
        }
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("job", &self.job).finish_non_exhaustive()
    }
}

/// Runs a job to its end.
pub(super) type Execute =
    dyn Fn(JobGraph) -> BoxFuture<'static, Result<JobResult, ApplicationError>> + Send + Sync;

/// What a program's main function stands on.
pub struct ApplicationContext {
    job: JobId,
    services: Services,
    execute: Arc<Execute>,
    executed: Arc<AtomicBool>,
}

impl ApplicationContext {
    /// The services of the cluster: topics are made here.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The id that the program's job will have, whatever its graph says.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Executes the program's one job, and waits for its end. One that an earlier execution of the program began
    /// goes on, or has ended.
    ///
    /// # Errors
    /// Why it is not taken on, and what became of it if it has not finished; that the program has executed one
    /// already.
    pub async fn execute(&self, job: JobGraph) -> Result<(), ApplicationError> {
        if self.executed.swap(true, Ordering::Relaxed) {
            return Err(ApplicationError::SecondJob);
        }
        let result = (self.execute)(JobGraph { id: self.job, ..job }).await?;
        match result.status {
            JobStatus::Finished => Ok(()),
            _ => Err(ApplicationError::Job(result)),
        }
    }
}

/// Why a program has not succeeded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationError {
    /// Its job is refused.
    #[error("the job is refused: {0}")]
    Refused(#[from] SubmitRefusal),
    /// Its job has not finished.
    #[error("the job is {}{}", .0.status, .0.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default())]
    Job(JobResult),
    /// It has executed a job already.
    #[error("a program executes one job, and has executed it")]
    SecondJob,
    /// It has ended without a job.
    #[error("the program has executed no job")]
    NoJob,
    /// It says so itself.
    #[error("{0}")]
    Program(String),
    /// It panicked.
    #[error("the program panicked: {0}")]
    Panicked(String),
    /// The dispatcher under which it ran leads no more.
    #[error("the dispatcher is stopping")]
    Stopping,
}

impl ApplicationError {
    /// What its cluster comes to.
    pub fn status(&self) -> ApplicationStatus {
        match self {
            ApplicationError::Job(result) => ApplicationStatus::of_job(result.status),
            _ => ApplicationStatus::Failed,
        }
    }
}
