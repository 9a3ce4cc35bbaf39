//! The client of a word count: creates the topics, submits the job and waits for its end.

use super::Topics;
use crate::{
    host::Host,
    system::{
        client::{ClientEvent, JobClient},
        cluster::{ClusterConfig, bind},
        graph::JobGraph,
        protocol::{JobRefusal, JobResult, SubmitRefusal},
        rpc::RpcService,
        service::{Services, log::LogRefusal},
    },
};
use std::time::Duration;

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
}

/// Runs a client until its job has ended, and then for as long as its process lives.
pub async fn run_client_node(host: Host, config: ClusterConfig, plan: JobPlan) {
    let Some(service) = bind(&host, 0).await else { return };
    match run_job(&service, &config.services(&service), &plan).await {
        Ok(_) => std::future::pending().await,
        Err(error) => give_up(&host, error.to_string()),
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
    let Topics { input, output } = &plan.topics;
    for (topic, partitions) in [(input, plan.inputs), (output, plan.outputs)] {
        let created = services.log.create_topic_until_acknowledged(topic, partitions).await;
        created.map_err(|refusal| ClientError::Topic { topic: topic.clone(), refusal })?;
    }
    let client = JobClient::new(service, &services.coordination);
    client.submit(&plan.job).await.map_err(ClientError::Refused)?;
    if let Some(after) = plan.cancel_after {
        service.host().sleep(after).await;
        // A job that has ended meanwhile need not be canceled.
        let _ = client.cancel(plan.job.id).await;
    }
    client.result(plan.job.id).await.map_err(ClientError::Lost)
}
