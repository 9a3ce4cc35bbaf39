//! The dispatcher of one term: takes jobs on, runs their masters, removes what they leave.
//!
//! What it decides is in its [`core`]; this endpoint turns messages and answers into calls of it, and its effects
//! into writes, answers and runners.

mod copy;
mod core;
mod main_function;
mod runner;

use self::core::{DispatcherCore, Effect, Known, Purpose, merged};
use super::{ApplicationError, RunMode, job_master::JobMasterServices, operator_check::check_job};
use crate::host::Instant;
use crate::system::{
    graph::JobGraph,
    ids::JobId,
    leadership::{LeaderSession, LeaderSessionId},
    protocol::{
        ApplicationStatus, DispatcherGateway, DispatcherHandler, JobDetails, JobOverview,
        JobRefusal, JobResult, JobStatus, SavepointRequest, SavepointStatus, SubmitRefusal,
    },
    rpc::{Context, Reply, RpcEndpoint, RpcError, StopFuture},
    sabotage, savepoint,
    scope::Scope,
    service::{
        coordination::{LeaseId, Session},
        database::DatabaseOpener,
        log::Log,
        object_store::ObjectStore,
    },
    store::{JobStore, StoreError, object_prefix},
    watch::WatchSender,
};
use futures::{FutureExt, channel::oneshot, future::join_all};
use runner::JobRunner;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};

/// The pause before a refused cleanup is tried again.
const CLEANUP_PAUSE: Duration = Duration::from_secs(10);

/// What a dispatcher stands on.
#[derive(Clone)]
pub struct DispatcherServices {
    /// What the masters of its jobs stand on.
    pub masters: JobMasterServices,
    /// The log service.
    pub log: Arc<dyn Log>,
    /// Databases, for the program of the cluster.
    pub databases: DatabaseOpener,
    /// The process's session, on whose lease its elections hang.
    pub session: Arc<Session>,
    /// What the cluster is there for.
    pub mode: RunMode,
    /// Told once the cluster has done it, and what it came to.
    pub outcome: Arc<WatchSender<Option<ApplicationStatus>>>,
}

impl DispatcherServices {
    fn purpose(&self) -> Purpose {
        match &self.mode {
            RunMode::Session => Purpose::Session,
            RunMode::PerJob(job) => Purpose::Job(job.clone()),
            RunMode::Application(application) => Purpose::Application(application.job()),
        }
    }
}

/// The endpoint of one term.
pub struct Dispatcher {
    services: DispatcherServices,
    core: DispatcherCore,
    store: JobStore,
    session: LeaderSessionId,
    /// Of jobs that are not over, and of those that are, until nothing is left of them.
    runners: BTreeMap<JobId, Arc<JobRunner>>,
    /// Who waits until a job is taken on.
    submitting: BTreeMap<JobId, Reply<Result<(), SubmitRefusal>>>,
    /// Who waits until it is durable that a job must end, in the order in which they are answered.
    canceling: BTreeMap<JobId, VecDeque<Reply<Result<(), JobRefusal>>>>,
    /// The program that waits for the end of its job.
    executing: Option<oneshot::Sender<Result<JobResult, ApplicationError>>>,
    /// Paths to which checkpoints of jobs are being copied that can't go on.
    copying: BTreeSet<String>,
    /// The lease on which the term hangs; with its end by this node's clock the term is over.
    lease: Option<LeaseId>,
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
        let client = &services.masters.coordination;
        let store = JobStore::new(client, term.clone());
        let purpose = services.purpose();
        let stored = store.recover(purpose.job()).await?;
        let (jobs_max, switches) = (services.masters.config.jobs_max, client.host().switches());
        Ok(Dispatcher {
            core: DispatcherCore::new(term.session, jobs_max, stored, purpose, switches),
            lease: services.session.state().lease(),
            services,
            session: term.session,
            store,
            runners: BTreeMap::new(),
            submitting: BTreeMap::new(),
            canceling: BTreeMap::new(),
            executing: None,
            copying: BTreeSet::new(),
            scope: Scope::default(),
        })
    }

    /// Lets the core decide, and does what it wants done.
    fn decide<T>(
        &mut self,
        context: &mut Context<Self>,
        decide: impl FnOnce(&mut DispatcherCore, Instant) -> T,
    ) -> T {
        let decided = decide(&mut self.core, context.host().now());
        for effect in self.core.take_effects() {
            self.perform(context, effect);
        }
        decided
    }

    fn perform(&mut self, context: &mut Context<Self>, effect: Effect) {
        match effect {
            Effect::Announce(event) => context.host().announce(&event),
            Effect::StoreGraph(job) => self.store_graph(context, job),
            Effect::AnswerSubmission(job, answer) => {
                if let Some(reply) = self.submitting.remove(&job) {
                    reply.ok(answer);
                } else if let Err(refusal) = answer {
                    self.answer_execution(Err(refusal.into()));
                }
            }
            Effect::Run(job) => self.run(context, job),
            Effect::StoreResult(job, result) => self.store_result(context, job, result),
            Effect::CleanUp(job) => self.clean_up(context, job),
            Effect::CleanUpLater(job) => {
                context.schedule(CLEANUP_PAUSE, move |dispatcher, context| {
                    dispatcher.decide(context, |core, _| core.on_clean_again(job));
                });
            }
            Effect::RecordCancellation(job) => self.record_cancellation(context, job),
            Effect::AnswerCancellation(job, answer) => {
                if let Some(reply) = self.next_canceling(job) {
                    reply.ok(answer);
                }
            }
            Effect::FailCancellation(job) => {
                if let Some(reply) = self.next_canceling(job) {
                    reply.fail(RpcError::GoingAway);
                }
            }
            Effect::CancelMaster(job) => self.cancel_master(context, job),
            Effect::StoreOutcome(job, status) => self.store_outcome(context, job, status),
            Effect::RunMain => self.run_main(context),
            Effect::AnswerExecution(_, result) => self.answer_execution(Ok(result)),
            Effect::EndCluster(status) => self.services.outcome.set(Some(status)),
            Effect::Exit(why) => context.host().exit(&why),
        }
    }

    /// Tells what is known here, unless another dispatcher may know better: a process that stood still and goes on
    /// is asked before it learns that its term is over.
    fn tell<T: Serialize>(&self, reply: Reply<T>, known: T) {
        match self.services.session.state().lease() {
            Some(lease) if Some(lease) == self.lease => reply.ok(known),
            _ => reply.fail(RpcError::GoingAway),
        }
    }

    /// Whoever has waited longest of those that want a job to end.
    fn next_canceling(&mut self, job: JobId) -> Option<Reply<Result<(), JobRefusal>>> {
        let next = self.canceling.get_mut(&job).and_then(VecDeque::pop_front);
        self.canceling.retain(|_, waiting| !waiting.is_empty());
        next
    }

    /// Does a piece of work beside the main thread, unless the term ends, and lets the core decide on what it
    /// came to.
    fn work<T: Send + 'static>(
        &self,
        context: &Context<Self>,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(&mut DispatcherCore, Instant, T) + Send + 'static,
    ) {
        context.spawn_then(self.scope.wrap(work), move |dispatcher, context, output| {
            if let Some(output) = output {
                dispatcher.decide(context, |core, now| then(core, now, output));
            }
        });
    }

    fn take_on(
        &mut self,
        context: &mut Context<Self>,
        job: JobGraph,
        reply: Reply<Result<(), SubmitRefusal>>,
    ) {
        let id = job.id;
        let check = self.services.masters.check.clone();
        let taken = self.core.on_submit(job, |job| check_job(job, &check));
        match taken {
            Ok(()) => drop(self.submitting.insert(id, reply)),
            Err(refusal) => reply.ok(Err(refusal)),
        }
        self.decide(context, |_, _| ());
    }

    fn store_graph(&self, context: &Context<Self>, job: JobGraph) {
        let store = self.store.clone();
        let put = async move {
            let stored = store.put_graph(&job).await;
            (job, stored)
        };
        self.work(context, put, |core, _, (job, stored)| core.on_graph_stored(job, stored));
    }

    fn run(&mut self, context: &Context<Self>, job: JobGraph) {
        let (id, services) = (job.id, &self.services);
        let (runner, ended) =
            JobRunner::start(context.service(), &services.masters, &services.session, job);
        self.runners.insert(id, Arc::new(runner));
        self.work(context, ended, move |core, now, ended| {
            if let Ok((result, details)) = ended {
                core.on_ended(now, result, *details);
            }
        });
    }

    fn store_result(&self, context: &Context<Self>, job: JobId, result: JobResult) {
        let store = self.store.clone();
        let graph_first = context.host().sabotaged(sabotage::RESULT_KEPT_AFTER_THE_GRAPH);
        let pointers_first = context.host().sabotaged(sabotage::POINTERS_GO_BEFORE_RESULT);
        let create = async move {
            if graph_first {
                store.remove_graph(job).await?;
            }
            if pointers_first {
                store.remove_checkpoints(job).await?;
            }
            store.create_dirty_result(job, result).await
        };
        self.work(context, create, move |core, _, stored| core.on_result_stored(job, stored));
    }

    fn store_outcome(&self, context: &Context<Self>, job: JobId, status: ApplicationStatus) {
        let store = self.store.clone();
        let put = async move { store.put_outcome(job, status).await };
        self.work(context, put, move |core, _, stored| core.on_outcome_stored(status, stored));
    }

    /// Removes what a job left: the master, then pointers before what they point to, then the graph.
    fn clean_up(&self, context: &Context<Self>, job: JobId) {
        let (store, runner) = (self.store.clone(), self.runners.get(&job).cloned());
        let (objects, log) = (self.services.masters.objects.clone(), self.services.log.clone());
        let remove = self.scope.wrap(async move {
            if let Some(runner) = runner {
                runner.stop().await;
            }
            remove_all(&store, &*objects, &*log, job).await
        });
        context.spawn_then(remove, move |dispatcher, context, cleaned| {
            let Some(cleaned) = cleaned else { return };
            if cleaned.is_ok() {
                dispatcher.runners.remove(&job);
            }
            dispatcher.decide(context, |core, _| core.on_cleaned(job, cleaned));
        });
    }

    fn record_cancellation(&self, context: &Context<Self>, job: JobId) {
        let store = self.store.clone();
        let record = async move { store.request_cancellation(job).await };
        self.work(context, record, move |core, _, recorded| {
            core.on_cancellation_recorded(job, recorded);
        });
    }

    /// Tells the job's master to end it, until it has heard it or the job has ended.
    fn cancel_master(&mut self, context: &mut Context<Self>, job: JobId) {
        if !self.core.is_to_be_canceled(job) {
            return;
        }
        let delay = self.services.masters.config.retry_delay;
        let again = move |context: &mut Context<Self>| {
            context.schedule(delay, move |dispatcher, context| {
                dispatcher.cancel_master(context, job);
            });
        };
        // One that is not there yet reads it in time, or is there when this looks again.
        let master = self.runners.get(&job).and_then(|runner| runner.master());
        let Some(master) = master else { return again(context) };
        context.spawn_then(self.scope.wrap(master.cancel()), move |_, context, canceled| {
            if let Some(Err(_)) = canceled {
                again(context);
            }
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

    /// Of a job that has ended the object store knows whether it has left a savepoint.
    fn answer_about_ended(
        &mut self,
        context: &mut Context<Self>,
        status: JobStatus,
        request: SavepointRequest,
        reply: Reply<Result<SavepointStatus, JobRefusal>>,
    ) {
        let objects = self.services.masters.objects.clone();
        let look = async move { savepoint::is_complete(&*objects, &request.path).await };
        context.spawn_then(self.scope.wrap(look), move |dispatcher, _, found| match found {
            Some(Ok(true)) => dispatcher.tell(reply, Ok(SavepointStatus::Completed)),
            Some(_) => dispatcher.tell(reply, Err(JobRefusal::Terminated(status))),
            None => reply.fail(RpcError::GoingAway),
        });
    }

    fn answer_without_master(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<JobDetails, JobRefusal>>,
    ) {
        match self.core.details_without_master(context.host().now(), job) {
            Some(mut details) => {
                let trouble = self.runners.get(&job).and_then(|runner| runner.trouble());
                details.cause = details.cause.or(trouble);
                self.tell(reply, Ok(details));
            }
            None => self.answer_unknown(context, job, reply),
        }
    }
}

async fn remove_all(
    store: &JobStore,
    objects: &dyn ObjectStore,
    log: &dyn Log,
    job: JobId,
) -> Result<(), StoreError> {
    let objects_first = objects.host().sabotaged(sabotage::OBJECTS_GO_BEFORE_POINTERS);
    if !objects_first {
        store.remove_checkpoints(job).await?;
    }
    let sealed = objects.seal_until_acknowledged(&object_prefix(job)).await;
    sealed.map_err(|refusal| StoreError::Conflict(refusal.to_string()))?;
    if objects_first {
        store.remove_checkpoints(job).await?;
    }
    let closed = log.close_producers_until_acknowledged(&object_prefix(job)).await;
    closed.map_err(|refusal| StoreError::Conflict(refusal.to_string()))?;
    store.remove_graph(job).await?;
    store.mark_clean(job).await?;
    Ok(())
}

impl RpcEndpoint for Dispatcher {
    type Gateway = DispatcherGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.decide(context, |core, _| core.on_start());
        Ok(())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        self.scope.close();
        self.decide(context, |core, _| core.on_stop());
        self.executing = None;
        let submitting = std::mem::take(&mut self.submitting).into_values();
        submitting.for_each(|reply| reply.fail(RpcError::GoingAway));
        let canceling = std::mem::take(&mut self.canceling).into_values().flatten();
        canceling.for_each(|reply| reply.fail(RpcError::GoingAway));
        // Every runner must stop, or it would go on competing for its job with nobody to tell.
        let runners = std::mem::take(&mut self.runners);
        let (host, objects) = (context.host(), self.services.masters.objects.clone());
        let keeps = !runners.is_empty() && host.sabotaged(sabotage::RUNNERS_KEPT_AT_A_REVOKE);
        let cleans = !runners.is_empty() && host.sabotaged(sabotage::CLEANED_UP_AT_A_STOP);
        async move {
            if !keeps {
                join_all(runners.values().map(|runner| runner.stop())).await;
            }
            for job in runners.keys().filter(|_| cleans) {
                let _ = objects.seal_until_acknowledged(&object_prefix(*job)).await;
            }
            Ok(())
        }
        .boxed()
    }

    fn check_invariants(&self) {
        self.core.check_invariants();
    }
}

impl DispatcherHandler for Dispatcher {
    fn submit_job(
        &mut self,
        context: &mut Context<Self>,
        job: JobGraph,
        reply: Reply<Result<(), SubmitRefusal>>,
    ) {
        let Some(source) = job.savepoint.clone().filter(|_| !self.core.is_taken_on(job.id)) else {
            return self.take_on(context, job, reply);
        };
        // It is refused now if its savepoint can't be read, before anything of it is kept.
        let objects = self.services.masters.objects.clone();
        let look = async move {
            match savepoint::read_for(&*objects, &source, &job).await {
                Ok(_) => Ok(job),
                Err(error) => {
                    Err(SubmitRefusal::Savepoint { path: source.path, why: error.to_string() })
                }
            }
        };
        context.spawn_then(self.scope.wrap(look), move |dispatcher, context, fits| match fits {
            Some(Ok(job)) => dispatcher.take_on(context, job, reply),
            Some(Err(refusal)) => reply.ok(Err(refusal)),
            None => reply.fail(RpcError::GoingAway),
        });
    }

    fn job_details(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<JobDetails, JobRefusal>>,
    ) {
        let master = self.runners.get(&job).and_then(|runner| runner.master());
        let master = match (self.core.known(context.host().now(), job), master) {
            (Known::Nothing, _) => return self.answer_unknown(context, job, reply),
            (Known::Told(details), _) => return self.tell(reply, Ok(*details)),
            (Known::Running, None) => return self.answer_without_master(context, job, reply),
            (Known::Running, Some(master)) => master,
        };
        let work = self.scope.wrap(master.details());
        context.spawn_then(work, move |dispatcher, context, details| match details {
            Some(Ok(details)) => dispatcher.tell(reply, Ok(details)),
            // It ended meanwhile, or this dispatcher does.
            Some(Err(_)) => dispatcher.answer_without_master(context, job, reply),
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
        match self.core.result(job) {
            None => self.answer_unknown(context, job, reply),
            Some(result) => self.tell(reply, Ok(result)),
        }
    }

    fn cancel_job(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        reply: Reply<Result<(), JobRefusal>>,
    ) {
        match self.core.on_cancel(job) {
            Ok(()) => self.canceling.entry(job).or_default().push_back(reply),
            Err(JobRefusal::Unknown(job)) => self.answer_unknown(context, job, reply),
            Err(refusal) => reply.ok(Err(refusal)),
        }
        self.decide(context, |_, _| ());
    }

    fn savepoint(
        &mut self,
        context: &mut Context<Self>,
        job: JobId,
        request: SavepointRequest,
        reply: Reply<Result<SavepointStatus, JobRefusal>>,
    ) {
        let runner = self.runners.get(&job).cloned();
        let master = runner.as_ref().and_then(|runner| runner.master());
        match (self.core.known(context.host().now(), job), master) {
            (Known::Nothing, _) => self.answer_unknown(context, job, reply),
            (Known::Told(details), _) if details.status.is_globally_terminal() => {
                self.answer_about_ended(context, details.status, request, reply);
            }
            (Known::Running, None) => match (request.checkpoint, runner) {
                (Some(id), Some(runner)) => {
                    self.copy_checkpoint(context, id, &runner, request, reply);
                }
                // Whoever waited for its master would wait for ever.
                (None, Some(runner)) if runner.refusal().is_some() => {
                    let why = runner.refusal().unwrap_or_default();
                    self.tell(reply, Ok(SavepointStatus::Failed(why)));
                }
                _ => self.tell(reply, Err(JobRefusal::NoMaster)),
            },
            (Known::Told(_), _) => self.tell(reply, Err(JobRefusal::NoMaster)),
            (Known::Running, Some(master)) => {
                let ask = self.scope.wrap(master.savepoint(request));
                context.spawn_then(ask, move |dispatcher, _, status| match status {
                    Some(Ok(status)) => dispatcher.tell(reply, Ok(status)),
                    // It ended meanwhile, or this dispatcher does.
                    Some(Err(_)) => dispatcher.tell(reply, Err(JobRefusal::NoMaster)),
                    None => reply.fail(RpcError::GoingAway),
                });
            }
        }
    }

    fn job_overviews(&mut self, context: &mut Context<Self>, reply: Reply<Vec<JobOverview>>) {
        let known = self.core.overviews(context.host().now());
        let masters = self.runners.values().filter_map(|runner| runner.master());
        let ask = self.scope.wrap(join_all(masters.map(|master| master.overview())));
        context.spawn_then(ask, move |dispatcher, _, told| {
            dispatcher.tell(reply, merged(known, told.into_iter().flatten().flatten()));
        });
    }

    fn list_jobs(&mut self, _: &mut Context<Self>, reply: Reply<Vec<JobId>>) {
        self.tell(reply, self.core.jobs());
    }
}
