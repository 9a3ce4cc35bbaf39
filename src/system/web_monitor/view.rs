//! What the leaders of a cluster say, asked and kept for a while.

use super::{WebMonitorConfig, cache::Cache};
use crate::{
    host::{Host, Instant, millis},
    system::{
        ids::JobId,
        leadership::LeaderGateway,
        protocol::{
            DISPATCHER, DispatcherGateway, JobDetails, JobOverview, JobRefusal, RESOURCE_MANAGER,
            ResourceManagerGateway, TaskExecutorOverview,
        },
        rpc::{Ask, Gateway, RpcError, RpcService},
        sabotage,
        service::coordination::Coordination,
    },
};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};

/// Jobs of which the details are kept.
const JOBS_KEPT: usize = 256;

/// Something that was told, and how long ago it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T> {
    /// What.
    pub value: T,
    /// Milliseconds since it was asked for.
    pub age_ms: u64,
}

/// Why something can't be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// No leader is known.
    #[error("no {0} is known to lead at the moment")]
    NoLeader(&'static str),
    /// The leader gives no answer in time.
    #[error("the leading {0} gives no answer: {1}")]
    NoAnswer(&'static str, RpcError),
    /// There is no such job, or it is past what is asked of it.
    #[error("{0}")]
    Refused(JobRefusal),
}

/// Asks the leaders of a cluster.
pub struct ClusterView {
    config: WebMonitorConfig,
    dispatcher: LeaderGateway<DispatcherGateway>,
    resource_manager: LeaderGateway<ResourceManagerGateway>,
    details: Cache<JobId, Result<JobDetails, JobRefusal>>,
    overviews: Cache<(), Vec<JobOverview>>,
    executors: Cache<(), Vec<TaskExecutorOverview>>,
}

impl ClusterView {
    /// A view that has seen nothing yet.
    pub fn new(
        service: &RpcService,
        coordination: &Arc<dyn Coordination>,
        config: WebMonitorConfig,
    ) -> Self {
        ClusterView {
            config,
            dispatcher: LeaderGateway::new(service, coordination, DISPATCHER),
            resource_manager: LeaderGateway::new(service, coordination, RESOURCE_MANAGER),
            details: Cache::new(JOBS_KEPT),
            overviews: Cache::new(1),
            executors: Cache::new(1),
        }
    }

    /// The process's host.
    pub fn host(&self) -> &Host {
        self.dispatcher.host()
    }

    /// The settings.
    pub fn config(&self) -> &WebMonitorConfig {
        &self.config
    }

    /// How far a job is.
    ///
    /// # Errors
    /// [`Untold`].
    pub async fn job(&self, job: JobId) -> Result<Told<JobDetails>, Untold> {
        let ask = |gateway: &DispatcherGateway| gateway.job_details(job);
        let told = self.told(&self.details, job, DISPATCHER, &self.dispatcher, ask).await?;
        let Told { value, age_ms } = told;
        value.map(|value| Told { value, age_ms }).map_err(Untold::Refused)
    }

    /// All jobs of which anything is known.
    ///
    /// # Errors
    /// [`Untold`].
    pub async fn jobs(&self) -> Result<Told<Vec<JobOverview>>, Untold> {
        let ask = |gateway: &DispatcherGateway| gateway.job_overviews();
        self.told(&self.overviews, (), DISPATCHER, &self.dispatcher, ask).await
    }

    /// The registered task executors.
    ///
    /// # Errors
    /// [`Untold`].
    pub async fn task_executors(&self) -> Result<Told<Vec<TaskExecutorOverview>>, Untold> {
        let ask = |gateway: &ResourceManagerGateway| gateway.task_executors();
        self.told(&self.executors, (), RESOURCE_MANAGER, &self.resource_manager, ask).await
    }

    /// Lets a job be ended. What is kept of it is out of date then.
    ///
    /// # Errors
    /// [`Untold`]; without an answer the job may be ended all the same.
    pub async fn cancel(&self, job: JobId) -> Result<(), Untold> {
        let ask = |gateway: &DispatcherGateway| gateway.cancel_job(job);
        let (_, answer) = self.ask(DISPATCHER, &self.dispatcher, ask).await?;
        self.details.remove(&job);
        self.overviews.remove(&());
        answer.map_err(Untold::Refused)
    }

    /// What is kept if it is new enough, else what the leader says, else what is kept.
    async fn told<K: Ord + Clone, V: DeserializeOwned + Clone, G: Gateway + Clone>(
        &self,
        cache: &Cache<K, V>,
        key: K,
        component: &'static str,
        leader: &LeaderGateway<G>,
        ask: impl Fn(&G) -> Ask<V>,
    ) -> Result<Told<V>, Untold> {
        let kept = |no_older| {
            let found = cache.get(self.host().now(), &key, no_older);
            found.map(|(value, age)| Told { value, age_ms: self.age_ms(age) })
        };
        if let Some(told) = kept(self.config.refresh_interval) {
            return Ok(told);
        }
        match self.ask(component, leader, ask).await {
            Ok((asked, value)) => {
                cache.put(asked, key.clone(), value.clone());
                let age_ms = millis(self.host().now().saturating_since(asked));
                Ok(Told { value, age_ms })
            }
            Err(untold) => kept(self.config.stale_max).ok_or(untold),
        }
    }

    fn age_ms(&self, age: Duration) -> u64 {
        match !age.is_zero() && self.host().sabotaged(sabotage::OLD_ANSWER_CALLED_FRESH) {
            true => 0,
            false => millis(age),
        }
    }

    /// Asks whoever leads until there is an answer, but not for long; with when it was asked.
    async fn ask<V: DeserializeOwned, G: Gateway + Clone>(
        &self,
        component: &'static str,
        leader: &LeaderGateway<G>,
        ask: impl Fn(&G) -> Ask<V>,
    ) -> Result<(Instant, V), Untold> {
        let mut untold = Untold::NoLeader(component);
        let mut asked = self.host().now();
        let asking = leader.call(
            |gateway| {
                asked = self.host().now();
                ask(gateway)
            },
            |error| untold = Untold::NoAnswer(component, error),
        );
        let answered = self.host().timeout(self.config.ask_timeout, asking).await;
        answered.map(|value| (asked, value)).map_err(|_| untold)
    }
}
