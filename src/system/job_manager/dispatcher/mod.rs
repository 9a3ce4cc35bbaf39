//! The dispatcher of one term: takes jobs on, runs their masters, removes what they leave.

mod runner;

use super::{event::JobEvent, job_master::JobMasterServices};
use crate::{
    host::Host,
    system::{
        graph::JobGraph,
        ids::JobId,
        leadership::LeaderSession,
        protocol::{
            DispatcherGateway, DispatcherHandler, JobDetails, JobRefusal, JobResult, JobStatus,
            SubmitRefusal,
        },
        rpc::{Context, Reply, RpcEndpoint, RpcError, StopFuture},
        sabotage,
        scope::Scope,
        service::{coordination::Session, log::Log, object_store::ObjectStore},
        store::{Cancellation, JobStore, StoreError, StoredJobs, StoredResult, object_prefix},
    },
};
use futures::{FutureExt, future::join_all};
use runner::JobRunner;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Says whether every operator of a job is known; if not, which one is not.
pub type OperatorCheck = Arc<dyn Fn(&JobGraph) -> Result<(), String> + Send + Sync>;

/// What a dispatcher stands on.
#[derive(Clone)]
pub struct DispatcherServices {
    /// What the masters of its jobs stand on.
    pub masters: JobMasterServices,
    /// The log service.
    pub log: Arc<dyn Log>,
    /// The process's session, on whose lease its elections hang.
    pub session: Arc<Session>,
    /// Knows the registered operators.
    pub check: OperatorCheck,
}

/// A job that is not over.
enum Managed {
    /// Its graph is being stored.
    Submitting,
    /// It runs, or will.
    Running(Arc<JobRunner>, String),
    /// It has ended, and its result is being stored.
    Ending(Arc<JobRunner>, JobResult),
}

/// The endpoint of one term.
pub struct Dispatcher {
    services: DispatcherServices,
    term: LeaderSession,
    store: JobStore,
    jobs: BTreeMap<JobId, Managed>,
    /// Of all jobs that have ended.
    results: BTreeMap<JobId, StoredResult>,
    /// The runners of jobs that have ended, until they have stopped.
    ended: BTreeMap<JobId, Arc<JobRunner>>,
    /// Graphs that were stored before this term.
    recovered: Vec<JobGraph>,
    /// Jobs that users want to end, as it is kept.
    canceled: BTreeSet<JobId>,
    /// Its term ends: what comes to its end now is for the next one to find.
    stopping: bool,
    scope: Scope,
}

impl Dispatcher {
    /// Reads what is kept of jobs.
    ///
    /// # Errors
    /// When it can't be understood; a job that can't be read must not be forgotten.
    pub async fn recover(
        services: DispatcherServices,
        term: LeaderSession,
    ) -> Result<Self, StoreError> {
        let store = JobStore::new(&services.masters.coordination, term.clone());
        let StoredJobs { graphs, results, cancellations } = store.recover().await?;
        Ok(Dispatcher {
            services,
            term,
            store,
            jobs: BTreeMap::new(),
            results,
            ended: BTreeMap::new(),
            recovered: graphs,
            canceled: cancellations,
            stopping: false,
            scope: Scope::default(),
        })
    }

    fn may_submit(&self, host: &Host, job: &JobGraph) -> Result<(), SubmitRefusal> {
        if let Some(ended) = self.results.get(&job.id)
            && !host.sabotaged(sabotage::ENDED_JOB_TAKEN_ON_AGAIN)
        {
            return Err(SubmitRefusal::Terminated(ended.result.status));
        }
        match self.jobs.get(&job.id) {
            Some(Managed::Submitting) => return Err(SubmitRefusal::Submitting),
            Some(_) => return Err(SubmitRefusal::Duplicate),
            None => {}
        }
        if self.jobs.len() >= self.services.masters.config.jobs_max {
            return Err(SubmitRefusal::Busy);
        }
        job.validate()?;
        (self.services.check)(job).map_err(SubmitRefusal::UnknownOperator)
    }

    fn submit(
        &mut self,
        context: &mut Context<Self>,
        job: JobGraph,
        reply: Reply<Result<(), SubmitRefusal>>,
    ) {
        if let Err(refusal) = self.may_submit(context.host(), &job) {
            return reply.ok(Err(refusal));
        }
        let id = job.id;
        self.jobs.insert(id, Managed::Submitting);
        let reply = match context.host().sabotaged(sabotage::JOB_ACKNOWLEDGED_BEFORE_DURABLE) {
            true => {
                acknowledge(context, id, reply);
                None
            }
            false => Some(reply),
        };
        let store = self.store.clone();
        let work = self.scope.wrap(async move {
            let stored = store.put_graph(&job).await;
            (job, stored)
        });
        context.spawn_then(work, move |dispatcher, context, stored| {
            let Some((job, stored)) = stored else { return };
            let refusal = match stored {
                // A runner that began now would have nobody to stop it.
                Ok(()) if dispatcher.stopping => SubmitRefusal::Stopping,
                Ok(()) => {
                    dispatcher.run(context, job);
                    if let Some(reply) = reply {
                        acknowledge(context, id, reply);
                    }
                    return;
                }
                Err(StoreError::NotLeader) => SubmitRefusal::Stopping,
                Err(_) => SubmitRefusal::Duplicate,
            };
            dispatcher.jobs.remove(&id);
            if let Some(reply) = reply {
                reply.ok(Err(refusal));
            }
        });
    }

    fn run(&mut self, context: &mut Context<Self>, job: JobGraph) {
        let (id, name) = (job.id, job.name.clone());
        let services = &self.services;
        let (runner, ended) =
            JobRunner::start(context.service(), &services.masters, &services.session, job);
        self.jobs.insert(id, Managed::Running(Arc::new(runner), name));
        let work = self.scope.wrap(ended);
        context.spawn_then(work, move |dispatcher, context, ended| {
            if let Some(Ok(result)) = ended
                && !dispatcher.stopping
            {
                dispatcher.end(context, id, result);
            }
        });
    }

    /// A job has ended for good: first that is kept, then what it left is removed.
    fn end(&mut self, context: &mut Context<Self>, job: JobId, result: JobResult) {
        let Some(Managed::Running(runner, _)) = self.jobs.remove(&job) else {
            unreachable!("only a running job ends, and only once")
        };
        self.jobs.insert(job, Managed::Ending(runner.clone(), result.clone()));
        let store = self.store.clone();
        let work = self.scope.wrap(async move { store.create_dirty_result(job, result).await });
        context.spawn_then(work, move |dispatcher, context, stored| match stored {
            Some(Ok(result)) => {
                dispatcher.canceled.remove(&job);
                dispatcher.results.insert(job, StoredResult { dirty: true, result });
                dispatcher.jobs.remove(&job);
                dispatcher.ended.insert(job, runner);
                dispatcher.clean_up(context, job);
            }
            Some(Err(StoreError::NotLeader)) | None => {}
            Some(Err(error)) => context.host().exit(&format!("{job:?}: {error}")),
        });
    }

    /// Removes what a job left: the master, then pointers before what they point to, then the graph.
    fn clean_up(&mut self, context: &mut Context<Self>, job: JobId) {
        let runner = self.ended.get(&job).cloned();
        let result = self.results[&job].result.clone();
        context.host().announce(&JobEvent::CleanupStarted { job, result });
        let store = self.store.clone();
        let (objects, log) = (self.services.masters.objects.clone(), self.services.log.clone());
        let work = self.scope.wrap(async move {
            if let Some(runner) = runner {
                runner.stop().await;
            }
            remove_all(&store, &*objects, &*log, job).await
        });
        context.spawn_then(work, move |dispatcher, context, cleaned| match cleaned {
            Some(Ok(())) => {
                let known = dispatcher.results.get_mut(&job).expect("results stay");
                known.dirty = false;
                dispatcher.ended.remove(&job);
            }
            Some(Err(Unclean::Store(StoreError::NotLeader))) | None => {}
            Some(Err(error)) => context.host().exit(&format!("{job:?}: {error}")),
        });
    }

    /// The master of a job, or why there is none to ask.
    fn master(&self, job: JobId) -> Result<crate::system::protocol::JobMasterGateway, JobRefusal> {
        if let Some(ended) = self.results.get(&job) {
            return Err(JobRefusal::Terminated(ended.result.status));
        }
        match self.jobs.get(&job) {
            None => Err(JobRefusal::Unknown(job)),
            Some(Managed::Running(runner, _)) => runner.master().ok_or(JobRefusal::NoMaster),
            Some(Managed::Submitting) => Err(JobRefusal::NoMaster),
            Some(Managed::Ending(_, result)) => Err(JobRefusal::Terminated(result.status)),
        }
    }

    /// Makes a user's wish to end a job durable, says so, and sees to it that the job's master hears
    /// of it. The masters of later terms read it.
    fn cancel(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<(), JobRefusal>>,
    ) {
        let store = self.store.clone();
        let skips = context.host().sabotaged(sabotage::CANCELLATION_NOT_DURABLE);
        let work = self.scope.wrap(async move {
            match skips {
                true => Ok(Cancellation::Recorded),
                false => store.request_cancellation(job).await,
            }
        });
        context.spawn_then(work, move |dispatcher, context, recorded| match recorded {
            Some(Ok(Cancellation::Recorded)) => {
                context.host().announce(&JobEvent::CancellationAcknowledged { job });
                reply.ok(Ok(()));
                if dispatcher.canceled.insert(job) {
                    dispatcher.cancel_master(context, job);
                }
            }
            // Its result is kept, or will be once its last task has ended.
            Some(Ok(Cancellation::TooLate)) => {
                let status = match (dispatcher.results.get(&job), dispatcher.jobs.get(&job)) {
                    (Some(stored), _) => stored.result.status,
                    (None, Some(Managed::Ending(_, result))) => result.status,
                    // Its final checkpoint stands.
                    (None, _) => JobStatus::Finished,
                };
                reply.ok(Err(JobRefusal::Terminated(status)));
            }
            Some(Err(StoreError::NotLeader)) | None => reply.fail(RpcError::GoingAway),
            Some(Err(error)) => context.host().exit(&format!("{job:?}: {error}")),
        });
    }

    /// Tells the job's master to end it, until it has heard it or the job has ended.
    fn cancel_master(&mut self, context: &mut Context<Self>, job: JobId) {
        let Some(Managed::Running(runner, _)) = self.jobs.get(&job) else { return };
        let delay = self.services.masters.config.retry_delay;
        let again = move |context: &mut Context<Self>| {
            context.schedule(delay, move |dispatcher, context| {
                dispatcher.cancel_master(context, job);
            });
        };
        // One that is not there yet reads it in time, or is there when this looks again.
        let Some(master) = runner.master() else { return again(context) };
        let work = self.scope.wrap(master.cancel());
        context.spawn_then(work, move |_, context, canceled| match canceled {
            Some(Ok(())) | None => {}
            Some(Err(_)) => again(context),
        });
    }

    /// Answers that there is no such job if that is so. One that took its place may know more than a
    /// dispatcher whose term is over, so what is kept decides.
    fn answer_unknown<T: Serialize + Send + 'static>(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<T, JobRefusal>>,
    ) {
        let store = self.store.clone();
        let work = self.scope.wrap(async move { store.knows(job).await });
        context.spawn_then(work, move |_, _, known| match known {
            Some(false) => reply.ok(Err(JobRefusal::Unknown(job))),
            Some(true) | None => reply.fail(RpcError::GoingAway),
        });
    }

    /// What is known of a job without its master.
    fn details_without_master(&self, job: JobId) -> Result<JobDetails, JobRefusal> {
        let details = |name: &str, status: JobStatus, cause: Option<String>| JobDetails {
            job,
            name: name.to_string(),
            status,
            checkpoint: None,
            cause,
            failures: Vec::new(),
        };
        if let Some(StoredResult { result, .. }) = self.results.get(&job) {
            return Ok(details("", result.status, result.cause.clone()));
        }
        match self.jobs.get(&job) {
            None => Err(JobRefusal::Unknown(job)),
            Some(Managed::Submitting) => Ok(details("", JobStatus::Created, None)),
            Some(Managed::Running(_, name)) => Ok(details(name, JobStatus::Created, None)),
            Some(Managed::Ending(_, result)) => {
                Ok(details("", result.status, result.cause.clone()))
            }
        }
    }
}

fn acknowledge(context: &Context<Dispatcher>, job: JobId, reply: Reply<Result<(), SubmitRefusal>>) {
    context.host().announce(&JobEvent::SubmissionAcknowledged { job });
    reply.ok(Ok(()));
}

/// Why something of a job is left.
#[derive(Debug, thiserror::Error)]
enum Unclean {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Refused(String),
}

async fn remove_all(
    store: &JobStore,
    objects: &dyn ObjectStore,
    log: &dyn Log,
    job: JobId,
) -> Result<(), Unclean> {
    store.remove_checkpoints(job).await?;
    let sealed = objects.seal_until_acknowledged(&object_prefix(job)).await;
    sealed.map_err(|refusal| Unclean::Refused(refusal.to_string()))?;
    let closed = log.close_producers_until_acknowledged(&object_prefix(job)).await;
    closed.map_err(|refusal| Unclean::Refused(refusal.to_string()))?;
    store.remove_graph(job).await?;
    store.mark_clean(job).await?;
    Ok(())
}

impl RpcEndpoint for Dispatcher {
    type Gateway = DispatcherGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        let recovered = std::mem::take(&mut self.recovered);
        let jobs = recovered.iter().map(|job| job.id).collect();
        let session = self.term.session;
        context.host().announce(&JobEvent::DispatcherServing { session, jobs });
        for job in recovered {
            assert!(!self.results.contains_key(&job.id), "a job that has ended is not run");
            let id = job.id;
            self.run(context, job);
            if self.canceled.contains(&id) {
                self.cancel_master(context, id);
            }
        }
        let dirty = self.results.iter().filter(|(_, stored)| stored.dirty);
        for job in dirty.map(|(job, _)| *job).collect::<Vec<_>>() {
            self.clean_up(context, job);
        }
        Ok(())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        self.scope.close();
        self.stopping = true;
        // Every runner must stop, or it would go on competing for its job with nobody to tell.
        let mut runners: Vec<_> = std::mem::take(&mut self.ended).into_values().collect();
        for (job, managed) in std::mem::take(&mut self.jobs) {
            if let Managed::Running(runner, _) | Managed::Ending(runner, _) = managed {
                context.host().announce(&JobEvent::LocalCleanup { job });
                runners.push(runner);
            }
        }
        async move {
            join_all(runners.iter().map(|runner| runner.stop())).await;
            Ok(())
        }
        .boxed()
    }
}

impl DispatcherHandler for Dispatcher {
    fn submit_job(
        &mut self,
        context: &mut Context<Self>,
        job: JobGraph,
        reply: Reply<Result<(), SubmitRefusal>>,
    ) {
        self.submit(context, job, reply);
    }

    fn job_details(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<JobDetails, JobRefusal>>,
    ) {
        let master = match self.master(job) {
            Ok(master) => master,
            Err(JobRefusal::Unknown(job)) => return self.answer_unknown(context, job, reply),
            Err(_) => return reply.ok(self.details_without_master(job)),
        };
        let work = self.scope.wrap(master.details());
        context.spawn_then(work, move |dispatcher, context, details| match details {
            Some(Ok(details)) => reply.ok(Ok(details)),
            // It ended meanwhile, or this dispatcher does.
            Some(Err(_)) => match dispatcher.details_without_master(job) {
                Err(JobRefusal::Unknown(job)) => dispatcher.answer_unknown(context, job, reply),
                details => reply.ok(details),
            },
            None => reply.fail(RpcError::GoingAway),
        });
    }

    fn job_result(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<Option<JobResult>, JobRefusal>>,
    ) {
        // A result counts once it is kept.
        let ended = self.results.get(&job).map(|stored| stored.result.clone());
        match ended {
            None if !self.jobs.contains_key(&job) => self.answer_unknown(context, job, reply),
            ended => reply.ok(Ok(ended)),
        }
    }

    fn cancel_job(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<(), JobRefusal>>,
    ) {
        match self.master(job) {
            Err(JobRefusal::Unknown(job)) => self.answer_unknown(context, job, reply),
            Err(refusal @ JobRefusal::Terminated(_)) => reply.ok(Err(refusal)),
            // Its graph is not durable yet, so that it may come to nothing.
            Err(refusal) if matches!(self.jobs.get(&job), Some(Managed::Submitting)) => {
                reply.ok(Err(refusal));
            }
            Ok(_) | Err(_) => self.cancel(context, job, reply),
        }
    }

    fn list_jobs(&mut self, _: &mut Context<Self>, reply: Reply<Vec<JobId>>) {
        reply.ok(self.jobs.keys().copied().collect());
    }
}
