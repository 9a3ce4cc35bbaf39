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
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

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

impl<T> Told<T> {
    /// Both, as old as the older one.
    pub fn with<U>(self, other: Told<U>) -> Told<(T, U)> {
        Told { value: (self.value, other.value), age_ms: self.age_ms.max(other.age_ms) }
    }
}

/// Why something can't be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// No leader is known.
    #[error("no {0} is known to lead at the moment")]
    NoLeader(&'static str),
    /// The leader gives no answer in time.
    #[error("the leading {component} gives no answer: {error}")]
    NoAnswer {
        /// Who is asked.
        component: &'static str,
        /// What became of the last try.
        error: RpcError,
        /// What it was asked may be done all the same, after any of the tries.
        in_doubt: bool,
    },
    /// Nobody has said whether a job is to end, and it may be.
    #[error("it is not known whether job {0} is to end, ask again: {1}")]
    InDoubt(JobId, RpcError),
    /// There is no such job, or it is past what is asked of it.
    #[error("{0}")]
    Refused(JobRefusal),
}

/// The tries to get an answer.
struct Tries {
    component: &'static str,
    /// When the last one began.
    asked: Instant,
    under_way: bool,
    in_doubt: bool,
    error: Option<RpcError>,
}

impl Tries {
    fn begin(&mut self, now: Instant) {
        (self.asked, self.under_way) = (now, true);
    }

    fn failed(&mut self, error: RpcError) {
        self.under_way = false;
        self.in_doubt |= error.is_maybe();
        self.error = Some(error);
    }

    /// There is no time for another.
    fn given_up(self) -> Untold {
        let Tries { component, under_way, in_doubt, error, .. } = self;
        match error.or(under_way.then_some(RpcError::Timeout)) {
            None => Untold::NoLeader(component),
            Some(error) => Untold::NoAnswer { component, error, in_doubt: in_doubt || under_way },
        }
    }
}

/// Asks the leaders of a cluster.
pub struct ClusterView {
    config: WebMonitorConfig,
    dispatcher: LeaderGateway<DispatcherGateway>,
    resource_manager: LeaderGateway<ResourceManagerGateway>,
    details: Cache<JobId, JobDetails>,
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
        // A refusal does not say how old it is, so none is kept.
        self.told(&self.details, job, DISPATCHER, &self.dispatcher, ask, |answer| answer).await
    }

    /// All jobs of which anything is known.
    ///
    /// # Errors
    /// [`Untold`].
    pub async fn jobs(&self) -> Result<Told<Vec<JobOverview>>, Untold> {
        let ask = |gateway: &DispatcherGateway| gateway.job_overviews();
        self.told(&self.overviews, (), DISPATCHER, &self.dispatcher, ask, Ok).await
    }

    /// The registered task executors.
    ///
    /// # Errors
    /// [`Untold`].
    pub async fn task_executors(&self) -> Result<Told<Vec<TaskExecutorOverview>>, Untold> {
        let ask = |gateway: &ResourceManagerGateway| gateway.task_executors();
        self.told(&self.executors, (), RESOURCE_MANAGER, &self.resource_manager, ask, Ok).await
    }

    /// Lets a job be ended. What is kept of it is out of date then, also where there is no answer.
    ///
    /// # Errors
    /// [`Untold`]; after [`Untold::InDoubt`] the job may be ended all the same.
    pub async fn cancel(&self, job: JobId) -> Result<(), Untold> {
        let ask = |gateway: &DispatcherGateway| gateway.cancel_job(job);
        let answered = self.ask(DISPATCHER, &self.dispatcher, ask).await;
        self.details.remove(&job);
        self.overviews.remove(&());
        match answered {
            Ok((_, answer)) => answer.map_err(Untold::Refused),
            Err(_) if self.host().sabotaged(sabotage::UNANSWERED_CANCELLATION_ACCEPTED) => Ok(()),
            Err(Untold::NoAnswer { error, in_doubt: true, .. }) => Err(Untold::InDoubt(job, error)),
            Err(untold) => Err(untold),
        }
    }

    /// What is kept if it is new enough, else what the leader says, else what is kept.
    async fn told<K: Ord + Clone, V: Clone, A: DeserializeOwned, G: Gateway + Clone>(
        &self,
        cache: &Cache<K, V>,
        key: K,
        component: &'static str,
        leader: &LeaderGateway<G>,
        ask: impl Fn(&G) -> Ask<A>,
        accept: impl FnOnce(A) -> Result<V, JobRefusal>,
    ) -> Result<Told<V>, Untold> {
        let kept = |no_older| {
            let found = cache.get(self.host().now(), &key, no_older);
            found.map(|(value, age)| Told { value, age_ms: self.age_ms(age) })
        };
        if let Some(told) = kept(self.given_again()) {
            return Ok(told);
        }
        match self.ask(component, leader, ask).await {
            Ok((asked, answer)) => {
                let value = accept(answer).map_err(Untold::Refused)?;
                cache.put(asked, key.clone(), value.clone());
                let age_ms = millis(self.host().now().saturating_since(asked));
                Ok(Told { value, age_ms })
            }
            Err(untold) => kept(self.config.stale_max).ok_or(untold),
        }
    }

    /// For how long an answer is given again without asking.
    fn given_again(&self) -> Duration {
        match self.host().sabotaged(sabotage::ANSWERS_NOT_ASKED_ANEW) {
            true => self.config.stale_max,
            false => self.config.refresh_interval,
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
        let (asked, under_way, in_doubt) = (self.host().now(), false, false);
        let tries = Mutex::new(Tries { component, asked, under_way, in_doubt, error: None });
        let now = || tries.lock().expect("no panic under this lock");
        let asking = leader.call(
            |gateway| {
                now().begin(self.host().now());
                ask(gateway)
            },
            |error| now().failed(error),
        );
        let answered = self.host().timeout(self.config.ask_timeout, asking).await;
        let tries = tries.into_inner().expect("no panic under this lock");
        match answered {
            Ok(value) => Ok((tries.asked, value)),
            Err(_) => Err(tries.given_up()),
        }
    }
}
