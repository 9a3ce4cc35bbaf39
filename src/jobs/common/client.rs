//! The client of a job: creates the topics, submits the job and waits for its end.

use super::Topics;
use crate::{
    host::Host,
    system::{
        client::{ClientEvent, JobClient, SavepointFailure},
        cluster::{ClusterConfig, bind},
        graph::{JobGraph, SavepointSource},
        ids::JobId,
        protocol::{AfterSavepoint, JobRefusal, JobResult, SavepointRequest, SubmitRefusal},
        rpc::RpcService,
        service::{
            Services,
            log::{Log, LogRefusal, Retention},
        },
    },
};
use futures::future::Either;
use std::{convert::Infallible, future::Future, sync::Mutex, time::Duration};

/// What a client wants done.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// The job.
    pub job: JobGraph,
    /// Its topics.
    pub topics: Topics,
    /// The partitions of the input topic.
    pub inputs: u32,
    /// The partitions of the output topic: the sink's parallelism.
    pub outputs: u32,
    /// When the job is to be canceled, after its submission.
    pub cancel_after: Option<Duration>,
    /// When a job without end is canceled.
    pub cancel_at: Option<AllPutOut>,
    /// What its client does with savepoints of it.
    pub course: JobCourse,
    /// Who hands the job over.
    pub submission: Submission,
}

/// What a client does with savepoints of its job; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct JobCourse {
    /// As what the job goes on, one after the other.
    pub next: Vec<NextJob>,
    /// When the last of them is drained, after its submission.
    pub drain_after: Option<Duration>,
    /// From savepoint to savepoint that are taken of it while it goes on; `None`: none.
    pub savepoint_every: Option<Duration>,
}

/// As what a job goes on that is stopped with a savepoint.
#[derive(Clone, Debug)]
pub struct NextJob {
    /// When it is stopped, after its submission.
    pub after: Duration,
    /// What goes on from the savepoint.
    pub job: JobGraph,
}

/// So many records in a topic are all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllPutOut {
    /// The topic, which may come to be only later.
    pub topic: String,
    /// How many.
    pub records: u64,
}

/// Who hands a job over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Its client.
    ByClient,
    /// Nobody: the cluster is there for it, and its client waits for what becomes of it.
    WithCluster,
}

/// The line at a client's console that asks that its job is canceled.
pub const CANCEL: &str = "cancel";
/// The line that submits the very same job once more.
pub const SUBMIT: &str = "submit";

/// Runs a client until its job has ended, and then for as long as its process lives; all the while it does
/// what its console says.
pub async fn run_client_node(host: Host, config: ClusterConfig, plan: JobPlan) {
    let Some(service) = bind(&host, 0).await else { return };
    let services = config.services(&service);
    let work = async {
        run_job(&service, &services, &plan).await?;
        std::future::pending::<Result<(), ClientError>>().await
    };
    let console = serve_console(&service, &services, &plan);
    let (work, console) = (std::pin::pin!(work), std::pin::pin!(console));
    let ended = match futures::future::select(work, console).await {
        Either::Left((ended, _)) | Either::Right((ended, _)) => ended,
    };
    if let Err(error) = ended {
        give_up(&host, error.to_string());
    }
}

/// Does what is entered at the console, a client of its own for each line.
async fn serve_console(
    service: &RpcService,
    services: &Services,
    plan: &JobPlan,
) -> Result<(), ClientError> {
    loop {
        let line = service.host().next_line().await;
        let client = JobClient::new(service, &services.coordination);
        match line.as_str() {
            // A job that is not there yet, or has ended meanwhile, need not be canceled.
            CANCEL => drop(client.cancel(plan.job.id).await),
            SUBMIT => {
                create_topics(services, plan).await?;
                match client.submit(&plan.job).await {
                    Ok(()) | Err(SubmitRefusal::NotASession) => {}
                    Err(refusal) => return Err(ClientError::Refused(refusal)),
                }
            }
            line => tracing::warn!(line, "nobody knows what that means"),
        }
    }
}

/// Ends a client's process with an error.
pub(super) fn give_up(host: &Host, reason: String) {
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
    /// What is kept of the job's end can't be read.
    #[error("the job's result: {0}")]
    Unreadable(String),
}

/// Submits a job, once for its id, and waits for its end.
///
/// # Errors
/// [`ClientError`].
pub async fn run_job(
    service: &RpcService,
    services: &Services,
    plan: &JobPlan,
) -> Result<JobResult, ClientError> {
    let client = JobClient::new(service, &services.coordination);
    if plan.submission == Submission::WithCluster {
        return follow_job(&client, services, plan).await;
    }
    create_topics(services, plan).await?;
    client.submit(&plan.job).await.map_err(ClientError::Refused)?;
    let present = Mutex::new(plan.job.id);
    let ended = async {
        let ended = follow_course(&client, plan, &present);
        let savepoints = take_savepoints(&client, plan, &present);
        let (ended, savepoints) = (std::pin::pin!(ended), std::pin::pin!(savepoints));
        match futures::future::select(ended, savepoints).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        }
    };
    until_ended(ended, &client, services, plan, &present).await
}

/// Where savepoints of clients lie.
pub const SAVEPOINTS: &str = "savepoints";
/// Tries to stop a job with a savepoint, after which it goes on as it is.
const STOPS_MAX: u32 = 8;
/// The pause between two of them.
const STOP_PAUSE: Duration = Duration::from_secs(1);

fn present_job(present: &Mutex<JobId>) -> JobId {
    *present.lock().expect("no panic under this lock")
}

/// Lets a job go on as one after the other of its course, and waits for the end of the last.
async fn follow_course(
    client: &JobClient,
    plan: &JobPlan,
    present: &Mutex<JobId>,
) -> Result<JobResult, ClientError> {
    for next in &plan.course.next {
        client.host().sleep(next.after).await;
        let Some(path) = stop(client, present_job(present), next.job.id).await? else { break };
        let savepoint = Some(SavepointSource { path, may_leave_state: false });
        let job = JobGraph { savepoint, ..next.job.clone() };
        client.submit(&job).await.map_err(ClientError::Refused)?;
        *present.lock().expect("no panic under this lock") = job.id;
    }
    let job = present_job(present);
    if let Some(after) = plan.course.drain_after {
        client.host().sleep(after).await;
        let path = format!("{SAVEPOINTS}/{job}-drained");
        // It may have ended by itself.
        let _ = client
            .savepoint(
                job,
                &SavepointRequest { path, then: AfterSavepoint::Drain, checkpoint: None },
            )
            .await;
    }
    client.result(job).await.map_err(ClientError::Lost)
}

/// Stops a job with a savepoint; where that lies. `None`: it has ended by itself, or goes on.
async fn stop(client: &JobClient, job: JobId, next: JobId) -> Result<Option<String>, ClientError> {
    for number in 0..STOPS_MAX {
        let path = format!("{SAVEPOINTS}/{job}-{number}");
        let request =
            SavepointRequest { path: path.clone(), then: AfterSavepoint::Stop, checkpoint: None };
        match client.savepoint(job, &request).await {
            Ok(()) => {
                client.until_stopped(job, next).await.map_err(ClientError::Lost)?;
                return Ok(Some(path));
            }
            // A former life of this client may have stopped it with a later try.
            Err(SavepointFailure::NoJob(JobRefusal::Terminated(_))) => {}
            Err(SavepointFailure::NoJob(refusal)) => return Err(ClientError::Lost(refusal)),
            Err(SavepointFailure::Failed(why)) => {
                tracing::info!(%job, why, "the job is not stopped");
                client.host().sleep(STOP_PAUSE).await;
            }
        }
    }
    Ok(None)
}

/// Takes savepoints of whatever job goes on.
async fn take_savepoints(client: &JobClient, plan: &JobPlan, present: &Mutex<JobId>) -> Infallible {
    let Some(every) = plan.course.savepoint_every else { return std::future::pending().await };
    for number in 0_u64.. {
        client.host().sleep(every).await;
        let job = present_job(present);
        let path = format!("{SAVEPOINTS}/{job}-at-{number}");
        let request = SavepointRequest { path, then: AfterSavepoint::GoOn, checkpoint: None };
        // The job may end or restart meanwhile.
        let _ = client.savepoint(job, &request).await;
    }
    unreachable!("a client lives for fewer savepoints")
}

/// Waits for the job's end, which is canceled when that is due.
async fn until_ended(
    ended: impl Future<Output = Result<JobResult, ClientError>>,
    client: &JobClient,
    services: &Services,
    plan: &JobPlan,
    present: &Mutex<JobId>,
) -> Result<JobResult, ClientError> {
    let canceled = cancel(client, services, plan, present);
    let (ended, canceled) = (std::pin::pin!(ended), std::pin::pin!(canceled));
    match futures::future::select(ended, canceled).await {
        Either::Left((result, _)) => result,
        Either::Right((error, _)) => Err(error),
    }
}

/// Cancels the job when that is due, and is there until whoever waits for the job's end has it. Ends with an error.
async fn cancel(
    client: &JobClient,
    services: &Services,
    plan: &JobPlan,
    present: &Mutex<JobId>,
) -> ClientError {
    let host = client.host();
    let in_time = async {
        match plan.cancel_after {
            Some(after) => host.sleep(after).await,
            None => std::future::pending().await,
        }
        Ok(())
    };
    let at_all = async {
        match &plan.cancel_at {
            Some(all) => all.wait(services).await,
            None => std::future::pending().await,
        }
    };
    let (in_time, at_all) = (std::pin::pin!(in_time), std::pin::pin!(at_all));
    let due = match futures::future::select(in_time, at_all).await {
        Either::Left((due, _)) | Either::Right((due, _)) => due,
    };
    if let Err(error) = due {
        return error;
    }
    // A job that has ended meanwhile need not be canceled, but what goes on from it.
    loop {
        let job = present_job(present);
        if client.cancel(job).await.is_ok() {
            return std::future::pending().await;
        }
        while present_job(present) == job {
            host.sleep(STOP_PAUSE).await;
        }
    }
}

/// From look to look at what was put out.
const LOOK: Duration = Duration::from_millis(200);

impl AllPutOut {
    /// Waits until they are there.
    async fn wait(&self, services: &Services) -> Result<(), ClientError> {
        let AllPutOut { topic, records } = self;
        loop {
            let found = match services.log.end_offsets_until_acknowledged(topic).await {
                Ok(ends) => ends.iter().sum::<u64>(),
                Err(LogRefusal::NoPartition) => 0,
                Err(refusal) => return Err(ClientError::Topic { topic: topic.clone(), refusal }),
            };
            if found >= *records {
                return Ok(());
            }
            services.log.host().sleep(LOOK).await;
        }
    }
}

/// Waits for the end of a job whose cluster may be gone by then.
async fn follow_job(
    client: &JobClient,
    services: &Services,
    plan: &JobPlan,
) -> Result<JobResult, ClientError> {
    let ended = async {
        let result = client.kept_result(&services.coordination, plan.job.id).await;
        result.map_err(|error| ClientError::Unreadable(error.to_string()))
    };
    until_ended(ended, client, services, plan, &Mutex::new(plan.job.id)).await
}

/// Makes a topic, if it is not there with so many partitions at least: some may have been added since.
pub(super) async fn create_topic(
    log: &dyn Log,
    topic: &str,
    partitions: u32,
) -> Result<(), LogRefusal> {
    match log.create_topic_until_acknowledged(topic, partitions).await {
        Err(LogRefusal::TopicExists { partitions: known }) if known >= partitions => Ok(()),
        created => created,
    }
}

/// Makes the topics of a job, if they are not there.
///
/// # Errors
/// [`ClientError::Topic`].
pub async fn create_topics(services: &Services, plan: &JobPlan) -> Result<(), ClientError> {
    let Topics { input, output, retention } = &plan.topics;
    let counted = [(input, plan.inputs), (output, plan.outputs)];
    for ((topic, partitions), retention) in counted.into_iter().zip(retention) {
        let created = async {
            create_topic(&*services.log, topic, partitions).await?;
            if *retention == Retention::default() {
                return Ok(());
            }
            services.log.set_retention_until_acknowledged(topic, *retention).await
        };
        let created = created.await;
        created.map_err(|refusal| ClientError::Topic { topic: topic.clone(), refusal })?;
    }
    Ok(())
}
