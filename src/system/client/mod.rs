//! Builds, submits and watches a job from outside the cluster.

mod rest;

pub use rest::{JobTold, JobsTold, RestClient, RestError};

use super::{
    graph::JobGraph,
    ids::JobId,
    leadership::LeaderGateway,
    protocol::{
        AfterSavepoint, DISPATCHER, DispatcherGateway, JobDetails, JobOverview, JobRefusal,
        JobResult, SavepointRequest, SavepointStatus, SubmitRefusal,
    },
    rpc::{Ask, RpcError, RpcService},
    service::coordination::Coordination,
    store::{StoreError, until_ended},
};
use crate::host::{Evidence, Host};
use serde::de::DeserializeOwned;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// An event of a client; a self-report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientEvent {
    /// The cluster has taken the job on.
    Submitted {
        /// The job.
        job: JobId,
    },
    /// The client begins to ask that the job is canceled.
    Canceling {
        /// The job.
        job: JobId,
    },
    /// The cluster has told the client that the job will end as canceled.
    Canceled {
        /// The job.
        job: JobId,
    },
    /// The client asks about a job, or asks something of it.
    Asking {
        /// The job.
        job: JobId,
        /// Counts the asks of this process.
        ask: u64,
    },
    /// The client begins to ask for a savepoint.
    SavepointWanted {
        /// The job.
        job: JobId,
        /// Where it is to lie.
        path: String,
        /// What becomes of the job.
        then: AfterSavepoint,
    },
    /// The cluster has told the client that a savepoint is whole.
    SavepointTold {
        /// The job.
        job: JobId,
        /// Where it lies.
        path: String,
        /// What becomes of the job.
        then: AfterSavepoint,
    },
    /// A job has ended as its client stopped it, which goes on with its savepoint as another one.
    GoesOn {
        /// The job.
        job: JobId,
        /// The other one, which is submitted next.
        next: JobId,
    },
    /// The cluster has told the client that there is no such job.
    ToldUnknown {
        /// The job.
        job: JobId,
        /// The ask that this answers.
        ask: u64,
    },
    /// The client gives up with an error, and its process with it.
    GaveUp {
        /// Why.
        reason: String,
    },
    /// The client knows what became of the job.
    Ended {
        /// The job.
        job: JobId,
        /// What became of it.
        result: JobResult,
    },
}

crate::event!(ClientEvent, |_| Evidence::SelfReport);

/// Why there is no savepoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavepointFailure {
    /// There is no job to take it of.
    #[error("{0}")]
    NoJob(JobRefusal),
    /// It could not be taken; the job goes on, unless it has ended otherwise.
    #[error("{0}")]
    Failed(String),
}

/// The pause between two looks at a job.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Speaks to whichever dispatcher leads. Every call is repeated until it is answered; drop the
/// future to give up.
pub struct JobClient {
    dispatcher: LeaderGateway<DispatcherGateway>,
    asks: AtomicU64,
}

impl JobClient {
    /// A client on this process's RPC service.
    pub fn new(service: &RpcService, coordination: &Arc<dyn Coordination>) -> Self {
        let dispatcher = LeaderGateway::new(service, coordination, DISPATCHER);
        JobClient { dispatcher, asks: AtomicU64::new(0) }
    }

    /// The host of its process.
    pub fn host(&self) -> &Host {
        self.dispatcher.host()
    }

    /// Hands a job over. A job that is there already under its id was handed over by an earlier try
    /// of this call: ids are drawn, not chosen.
    ///
    /// # Errors
    /// Why the cluster does not take it.
    pub async fn submit(&self, job: &JobGraph) -> Result<(), SubmitRefusal> {
        loop {
            let answer = match self.dispatcher.gateway().await.submit_job(job.clone()).await {
                // The answer is small, so it is the graph that fits in no message.
                Err(RpcError::TooLarge(_)) => Err(SubmitRefusal::TooLarge),
                Err(error) => {
                    tracing::debug!(%error, "the dispatcher gave no answer");
                    self.dispatcher.forget_and_wait().await;
                    continue;
                }
                Ok(answer) => answer,
            };
            match answer {
                Ok(()) | Err(SubmitRefusal::Duplicate | SubmitRefusal::Terminated(_)) => break,
                Err(SubmitRefusal::Stopping | SubmitRefusal::Busy | SubmitRefusal::Submitting) => {
                    self.host().sleep(RETRY_DELAY).await;
                }
                Err(refusal) => return Err(refusal),
            }
        }
        self.host().announce(&ClientEvent::Submitted { job: job.id });
        Ok(())
    }

    /// How far a job is.
    ///
    /// # Errors
    /// [`JobRefusal::Unknown`].
    pub async fn details(&self, job: JobId) -> Result<JobDetails, JobRefusal> {
        self.ask(job, |gateway| gateway.job_details(job)).await
    }

    /// What became of a job; waits for its end.
    ///
    /// # Errors
    /// [`JobRefusal::Unknown`].
    pub async fn result(&self, job: JobId) -> Result<JobResult, JobRefusal> {
        loop {
            if let Some(result) = self.ask(job, |gateway| gateway.job_result(job)).await? {
                let ended = ClientEvent::Ended { job, result: result.clone() };
                self.host().announce(&ended);
                return Ok(result);
            }
            self.host().sleep(RETRY_DELAY).await;
        }
    }

    /// What became of a job, as the coordination service keeps it; waits for its end. Where the cluster ends with
    /// the job nobody leads that could be asked.
    ///
    /// # Errors
    /// When what is kept can't be read.
    pub async fn kept_result(
        &self,
        coordination: &Arc<dyn Coordination>,
        job: JobId,
    ) -> Result<JobResult, StoreError> {
        let result = until_ended(coordination, job).await?;
        self.host().announce(&ClientEvent::Ended { job, result: result.clone() });
        Ok(result)
    }

    /// Lets a job be ended; its end is told by [`result`](Self::result). Acknowledged when the request is
    /// durable: the job then ends as canceled, whoever leads.
    ///
    /// # Errors
    /// [`JobRefusal::Unknown`], or that it has ended already, or has nothing left to do but to end.
    pub async fn cancel(&self, job: JobId) -> Result<(), JobRefusal> {
        self.host().announce(&ClientEvent::Canceling { job });
        loop {
            match self.ask(job, |gateway| gateway.cancel_job(job)).await {
                Err(JobRefusal::NoMaster) => self.host().sleep(RETRY_DELAY).await,
                Ok(()) => {
                    self.host().announce(&ClientEvent::Canceled { job });
                    return Ok(());
                }
                refusal => return refusal,
            }
        }
    }

    /// Waits for the end of a job that is stopped with a savepoint, after which another one goes on from there.
    ///
    /// # Errors
    /// [`JobRefusal::Unknown`].
    pub async fn until_stopped(&self, job: JobId, next: JobId) -> Result<(), JobRefusal> {
        while self.ask(job, |gateway| gateway.job_result(job)).await?.is_none() {
            self.host().sleep(RETRY_DELAY).await;
        }
        self.host().announce(&ClientEvent::GoesOn { job, next });
        Ok(())
    }

    /// Takes a savepoint of a job, and waits until it is whole. Where nobody can tell what became of it, it is asked for
    /// once more: its path stands for it.
    ///
    /// # Errors
    /// [`SavepointFailure`].
    pub async fn savepoint(
        &self,
        job: JobId,
        request: &SavepointRequest,
    ) -> Result<(), SavepointFailure> {
        let (path, then) = (request.path.clone(), request.then);
        self.host().announce(&ClientEvent::SavepointWanted { job, path: path.clone(), then });
        loop {
            match self.ask(job, |gateway| gateway.savepoint(job, request.clone())).await {
                Ok(SavepointStatus::Completed) => break,
                Ok(SavepointStatus::Failed(why)) => return Err(SavepointFailure::Failed(why)),
                Ok(SavepointStatus::InProgress) | Err(JobRefusal::NoMaster) => {
                    self.host().sleep(RETRY_DELAY).await;
                }
                Err(refusal) => return Err(SavepointFailure::NoJob(refusal)),
            }
        }
        self.host().announce(&ClientEvent::SavepointTold { job, path, then });
        Ok(())
    }

    /// All jobs of which anything is known: those that are not over, then the last ones that have ended.
    pub async fn overviews(&self) -> Vec<JobOverview> {
        self.call(DispatcherGateway::job_overviews).await
    }

    /// The jobs that are not over.
    pub async fn list(&self) -> Vec<JobId> {
        self.call(DispatcherGateway::list_jobs).await
    }

    /// Asks about a job, and announces each try and that there is no such job.
    async fn ask<T: DeserializeOwned>(
        &self,
        job: JobId,
        question: impl Fn(&DispatcherGateway) -> Ask<Result<T, JobRefusal>>,
    ) -> Result<T, JobRefusal> {
        let mut ask = 0;
        let asking = |gateway: &DispatcherGateway| {
            ask = self.asks.fetch_add(1, Ordering::Relaxed) + 1;
            self.host().announce(&ClientEvent::Asking { job, ask });
            question(gateway)
        };
        let answer = self.call(asking).await;
        if let Err(JobRefusal::Unknown(job)) = answer {
            self.host().announce(&ClientEvent::ToldUnknown { job, ask });
        }
        answer
    }

    async fn call<T: DeserializeOwned>(&self, call: impl FnMut(&DispatcherGateway) -> Ask<T>) -> T {
        let unanswered = |error| tracing::debug!(%error, "the dispatcher gave no answer");
        self.dispatcher.call(call, unanswered).await
    }
}
