//! Asks a cluster over HTTP.

use crate::{
    host::{Host, NodeAddress},
    system::{
        http::{HttpClient, HttpClientLimits, HttpError, HttpRequest, HttpResponse, Method},
        ids::JobId,
        leadership::{LeaderAddress, LeaderFollower},
        protocol::{JobStatus, WEB_MONITOR},
        service::coordination::Coordination,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// How long it waits until a web monitor is known to lead.
const LEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Nobody is known to lead.
    #[error("no web monitor is known to lead")]
    NoLeader,
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The web monitor's own words.
    #[error("{status}: {why}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// Why.
        why: String,
    },
    /// The answer has another shape.
    #[error("the answer is not what was asked for: {0}")]
    Shape(#[from] serde_json::Error),
}

/// What a list of jobs says of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobTold {
    /// The job, in hexadecimal digits.
    jid: String,
    /// Its name; empty where nobody knows it any more.
    pub name: String,
    state: String,
}

impl JobTold {
    /// The job, if that is the name of one.
    pub fn job(&self) -> Option<JobId> {
        self.jid.parse().ok()
    }

    /// How far it is, if that is a word for it.
    pub fn status(&self) -> Option<JobStatus> {
        JobStatus::ALL.iter().copied().find(|status| status.name() == self.state)
    }
}

/// All jobs of which a web monitor knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobsTold {
    /// The jobs.
    pub jobs: Vec<JobTold>,
    /// Milliseconds since they were asked for, when it answered.
    #[serde(rename = "age-ms")]
    pub age_ms: u64,
}

/// Asks the leading web monitor, or another one by its address.
pub struct RestClient {
    host: Host,
    http: HttpClient,
    leader: LeaderFollower,
}

impl RestClient {
    /// A client that follows which web monitor leads.
    pub fn new(coordination: &Arc<dyn Coordination>) -> Self {
        let host = coordination.host().clone();
        let http = HttpClient::new(&host, HttpClientLimits::default());
        RestClient { host, http, leader: LeaderFollower::new(coordination, WEB_MONITOR) }
    }

    /// Where the leading web monitor is, as soon as one is known to lead.
    ///
    /// # Errors
    /// [`RestError::NoLeader`] after 5 s.
    pub async fn leader(&self) -> Result<NodeAddress, RestError> {
        match self.host.timeout(LEADER_TIMEOUT, self.leader.leader()).await {
            Ok(leader) => match leader.address {
                LeaderAddress::Http(node) => Ok(node),
                LeaderAddress::Rpc(_) => Err(RestError::NoLeader),
            },
            Err(_) => Err(RestError::NoLeader),
        }
    }

    /// What a web monitor tells under a path, such as `/overview`.
    ///
    /// # Errors
    /// [`RestError`].
    pub async fn get(&self, from: &NodeAddress, path: &str) -> Result<Value, RestError> {
        self.read(from, path).await
    }

    /// All jobs of which a web monitor knows.
    ///
    /// # Errors
    /// [`RestError`].
    pub async fn jobs(&self, from: &NodeAddress) -> Result<JobsTold, RestError> {
        self.read(from, "/jobs/overview").await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        from: &NodeAddress,
        path: &str,
    ) -> Result<T, RestError> {
        let answer = self.http.request(from, HttpRequest::get(path)).await?;
        Ok(accepted(answer)?.read_json()?)
    }

    /// Lets a job be ended; acknowledged when the request is durable.
    ///
    /// # Errors
    /// [`RestError`]; without an answer the job may be ended all the same.
    pub async fn cancel(&self, from: &NodeAddress, job: JobId) -> Result<(), RestError> {
        let request = HttpRequest::new(Method::PATCH, format!("/jobs/{job}"));
        accepted(self.http.request(from, request.with_query("mode", "cancel")).await?)?;
        Ok(())
    }
}

/// An answer that is no refusal.
fn accepted(answer: HttpResponse) -> Result<HttpResponse, RestError> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    if answer.status < 300 {
        return Ok(answer);
    }
    let told = answer.read_json::<Errors>().map(|told| told.errors.join("; "));
    Err(RestError::Refused { status: answer.status, why: told.unwrap_or_default() })
}
