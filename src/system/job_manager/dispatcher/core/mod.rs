//! What a dispatcher decides: values in, effects out. No I/O, no clock and no randomness.

mod overviews;
mod own;
mod purpose;
#[cfg(test)]
mod tests;

use crate::{
    host::{Instant, Switches, millis},
    system::{
        graph::JobGraph,
        ids::JobId,
        job_manager::event::JobEvent,
        leadership::LeaderSessionId,
        protocol::{
            ApplicationStatus, JobDetails, JobRefusal, JobResult, JobStatus, SubmitRefusal,
        },
        sabotage,
        store::{Cancellation, StoreError, StoredJobs, StoredResult},
    },
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use overviews::merged;
pub use own::Execution;
pub use purpose::Purpose;

/// Jobs that ended and of which more is known than their result, at most.
const ARCHIVE_MAX: usize = 64;

/// Something to be done, in the order in which it was decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Announces an event.
    Announce(JobEvent),
    /// Keeps the graph of a new job; `on_graph_stored`.
    StoreGraph(JobGraph),
    /// Answers whoever submitted a job.
    AnswerSubmission(JobId, Result<(), SubmitRefusal>),
    /// Competes for a job, and runs its master when it leads; `on_ended`.
    Run(JobGraph),
    /// Keeps what became of a job; `on_result_stored`.
    StoreResult(JobId, JobResult),
    /// Ends a job's master here, then removes what the job left; `on_cleaned`.
    CleanUp(JobId),
    /// Tries after a while again to remove what a job left; `on_clean_again`.
    CleanUpLater(JobId),
    /// Makes it durable that a user wants a job to end; `on_cancellation_recorded`.
    RecordCancellation(JobId),
    /// Answers whoever wants a job to end.
    AnswerCancellation(JobId, Result<(), JobRefusal>),
    /// Tells whoever wants a job to end that somebody else leads now.
    FailCancellation(JobId),
    /// Tells a job's master to end it, until it has heard it or the job has ended.
    CancelMaster(JobId),
    /// Executes the program's main function; `on_main_ended`.
    RunMain,
    /// Keeps what the program came to, or a cluster whose job can't be kept; `on_outcome_stored`.
    StoreOutcome(JobId, ApplicationStatus),
    /// Tells the program what became of its job.
    AnswerExecution(JobId, JobResult),
    /// The cluster has done what it was there for: ends this process, and what belongs to the cluster.
    EndCluster(ApplicationStatus),
    /// What is kept is damaged: the process must not go on.
    Exit(String),
}

/// How far a job is that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Managed {
    /// Its graph is being stored.
    Submitting,
    /// It runs, or will; its name.
    Running(String),
    /// It has ended, and its result is being stored.
    Ending(JobResult),
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing here; what is kept decides, since one that took this one's place may know more.
    Nothing,
    /// A master may be asked.
    Running,
    /// All that can be said without one.
    Told(Box<JobDetails>),
}

/// The state of one term.
pub struct DispatcherCore {
    session: LeaderSessionId,
    jobs_max: usize,
    switches: Switches,
    jobs: BTreeMap<JobId, Managed>,
    /// Of all jobs that have ended.
    results: BTreeMap<JobId, StoredResult>,
    /// Jobs that users want to end, as it is kept.
    canceled: BTreeSet<JobId>,
    /// Graphs that were stored before this term.
    recovered: Vec<JobGraph>,
    /// What was last known of jobs that ended in this term, those that ended last at the end.
    archive: VecDeque<(Instant, JobDetails)>,
    /// What there is to do of its own accord.
    purpose: Purpose,
    /// What the cluster comes to once nothing is left of its jobs but their results. It is durable.
    outcome: Option<ApplicationStatus>,
    /// Its cluster ends, and nothing begins any more.
    ended: bool,
    /// Its term ends: what comes to its end now is for the next one to find.
    stopping: bool,
    effects: Vec<Effect>,
}

fn created(job: JobId, name: &str) -> JobDetails {
    JobDetails::bare(job, name, JobStatus::Created, None)
}

impl DispatcherCore {
    /// One that goes on with what is kept.
    pub fn new(
        session: LeaderSessionId,
        jobs_max: usize,
        stored: StoredJobs,
        purpose: Purpose,
        switches: Switches,
    ) -> Self {
        let StoredJobs { graphs, results, mut cancellations, outcome } = stored;
        cancellations.retain(|job| !results.contains_key(job));
        DispatcherCore {
            session,
            jobs_max,
            switches,
            jobs: BTreeMap::new(),
            results,
            canceled: cancellations,
            recovered: graphs,
            archive: VecDeque::new(),
            purpose,
            outcome,
            ended: false,
            stopping: false,
            effects: Vec::new(),
        }
    }

    /// What is to be done since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn does(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The term begins: jobs that have no result run, and what those have left that have one is removed.
    pub fn on_start(&mut self) {
        let recovered = std::mem::take(&mut self.recovered);
        let (session, jobs) = (self.session, recovered.iter().map(|job| job.id).collect());
        self.does(Effect::Announce(JobEvent::DispatcherServing { session, jobs }));
        for job in recovered {
            assert!(!self.results.contains_key(&job.id), "a job that has ended is not run");
            let id = job.id;
            if self.switches.on(sabotage::RECOVERED_JOBS_NOT_RUN) {
                continue;
            }
            self.run(job);
            if self.canceled.contains(&id) {
                self.does(Effect::CancelMaster(id));
            }
        }
        let dirty = self.results.iter().filter(|(_, stored)| stored.dirty);
        for job in dirty.map(|(job, _)| *job).collect::<Vec<_>>() {
            self.clean_up(job);
        }
        self.begin_own();
    }

    /// The term ends, and every runner with it.
    pub fn on_stop(&mut self) {
        if self.switches.on(sabotage::CLUSTER_ENDS_WITH_A_TERM) {
            self.end_as(ApplicationStatus::Failed);
        }
        self.stopping = true;
        for (job, managed) in std::mem::take(&mut self.jobs) {
            if matches!(managed, Managed::Running(_) | Managed::Ending(_)) {
                self.does(Effect::Announce(JobEvent::LocalCleanup { job }));
            }
        }
    }

    /// Refuses a job that is known, whatever else may be said of it.
    fn check_is_new(&self, job: JobId) -> Result<(), SubmitRefusal> {
        if self.stopping || self.ended {
            return Err(SubmitRefusal::Stopping);
        }
        if let Some(ended) = self.results.get(&job)
            && !self.switches.on(sabotage::ENDED_JOB_TAKEN_ON_AGAIN)
        {
            return Err(SubmitRefusal::Terminated(ended.result.status));
        }
        match self.jobs.get(&job) {
            Some(Managed::Submitting) if self.switches.on(sabotage::SUBMITTING_TAKEN_FOR_NEW) => {
                Ok(())
            }
            Some(Managed::Submitting) => Err(SubmitRefusal::Submitting),
            Some(_) => Err(SubmitRefusal::Duplicate),
            None => Ok(()),
        }
    }

    /// Whether a job of that id was taken on, or is being taken on.
    pub fn is_taken_on(&self, job: JobId) -> bool {
        self.check_is_new(job).is_err()
    }

    /// Somebody hands a job over, which is `sound` or is refused for a reason of its own. Answered by an effect.
    ///
    /// # Errors
    /// Why it is not taken, at once.
    pub fn on_submit(
        &mut self,
        job: JobGraph,
        sound: impl FnOnce(&JobGraph) -> Result<(), SubmitRefusal>,
    ) -> Result<(), SubmitRefusal> {
        if !matches!(self.purpose, Purpose::Session) {
            return Err(SubmitRefusal::NotASession);
        }
        self.take_on(job, sound)
    }

    /// The same, whoever hands it over.
    fn take_on(
        &mut self,
        job: JobGraph,
        sound: impl FnOnce(&JobGraph) -> Result<(), SubmitRefusal>,
    ) -> Result<(), SubmitRefusal> {
        self.check_is_new(job.id)?;
        sound(&job)?;
        if self.jobs.len() >= self.jobs_max {
            return Err(SubmitRefusal::Busy);
        }
        self.jobs.insert(job.id, Managed::Submitting);
        if self.switches.on(sabotage::JOB_ACKNOWLEDGED_BEFORE_DURABLE) {
            self.acknowledge(job.id);
        }
        self.does(Effect::StoreGraph(job));
        Ok(())
    }

    fn acknowledge(&mut self, job: JobId) {
        self.does(Effect::Announce(JobEvent::SubmissionAcknowledged { job }));
        self.does(Effect::AnswerSubmission(job, Ok(())));
    }

    /// A graph is durable, or is not.
    pub fn on_graph_stored(&mut self, job: JobGraph, stored: Result<(), StoreError>) {
        let id = job.id;
        let refusal = match stored {
            // A runner that began now would have nobody to stop it.
            Ok(()) if self.stopping => SubmitRefusal::Stopping,
            Ok(()) => {
                self.run(job);
                self.acknowledge(id);
                return self.cancel_what_is_left();
            }
            Err(StoreError::NotLeader) => SubmitRefusal::Stopping,
            // It was not there when this term began, and only a later one may hand it over beside it.
            Err(StoreError::Conflict(_)) if !matches!(self.purpose, Purpose::Session) => {
                SubmitRefusal::Stopping
            }
            Err(error) if matches!(self.purpose, Purpose::Job(_)) => {
                self.jobs.remove(&id);
                return self.on_own_refused(id, &error);
            }
            Err(StoreError::TooLarge) => SubmitRefusal::TooLarge,
            Err(StoreError::Full) => SubmitRefusal::Full,
            Err(StoreError::Canceled | StoreError::Conflict(_) | StoreError::Corrupt { .. }) => {
                SubmitRefusal::Duplicate
            }
        };
        self.jobs.remove(&id);
        self.does(Effect::AnswerSubmission(id, Err(refusal)));
    }

    fn run(&mut self, job: JobGraph) {
        self.jobs.insert(job.id, Managed::Running(job.name.clone()));
        self.does(Effect::Run(job));
    }

    /// A job has ended for good: first that is kept, then what it left is removed.
    pub fn on_ended(&mut self, now: Instant, result: JobResult, details: JobDetails) {
        if self.stopping {
            return;
        }
        let job = details.job;
        assert!(result.status.is_globally_terminal(), "{job:?} has ended for good");
        let before = self.jobs.insert(job, Managed::Ending(result.clone()));
        assert!(matches!(before, Some(Managed::Running(_))), "a job ends once");
        if self.archive.len() == ARCHIVE_MAX {
            self.archive.pop_front();
        }
        self.archive.push_back((now, details));
        self.does(Effect::StoreResult(job, result));
    }

    /// What became of a job is durable: as it is kept, or why it is not.
    pub fn on_result_stored(&mut self, job: JobId, stored: Result<JobResult, StoreError>) {
        match stored {
            Ok(result) => {
                self.canceled.remove(&job);
                // What is kept wins over what its master saw: a job that a user wanted to end has not failed.
                let told = self.archive.iter_mut().find(|(_, details)| details.job == job);
                if let Some((_, details)) = told.filter(|(_, told)| told.status != result.status) {
                    details.ended_as(&result);
                }
                self.results.insert(job, StoredResult { dirty: true, result: result.clone() });
                self.jobs.remove(&job);
                if matches!(self.purpose, Purpose::Application(_)) {
                    self.does(Effect::AnswerExecution(job, result));
                }
                self.clean_up(job);
            }
            Err(StoreError::NotLeader) => {}
            Err(error) => self.does(Effect::Exit(format!("{job:?}: {error}"))),
        }
    }

    fn clean_up(&mut self, job: JobId) {
        let result = self.results[&job].result.clone();
        self.does(Effect::Announce(JobEvent::CleanupStarted { job, result }));
        self.does(Effect::CleanUp(job));
    }

    /// Nothing is left of a job but its result, or its removal was refused.
    pub fn on_cleaned(&mut self, job: JobId, cleaned: Result<(), StoreError>) {
        match cleaned {
            Ok(()) => {
                self.results.get_mut(&job).expect("results stay").dirty = false;
                self.settle();
            }
            Err(StoreError::NotLeader) => {}
            // It stays dirty, and holds nothing else up.
            Err(error) => {
                let cause = error.to_string();
                self.does(Effect::Announce(JobEvent::CleanupRefused { job, cause }));
                self.does(Effect::CleanUpLater(job));
            }
        }
    }

    /// What a job left may be removed now.
    pub fn on_clean_again(&mut self, job: JobId) {
        if !self.stopping {
            self.clean_up(job);
        }
    }

    /// A user wants a job to end: answered by an effect, or the refusal at once. `Unknown` is to be looked up.
    ///
    /// # Errors
    /// Why that can't be, or can't be yet.
    pub fn on_cancel(&mut self, job: JobId) -> Result<(), JobRefusal> {
        if let Some(ended) = self.results.get(&job) {
            return Err(JobRefusal::Terminated(ended.result.status));
        }
        match self.jobs.get(&job) {
            None => return Err(JobRefusal::Unknown(job)),
            // How it ends may be decided by a cancellation that is being recorded.
            Some(Managed::Ending(result)) if result.status == JobStatus::Failed => {
                return Err(JobRefusal::NoMaster);
            }
            Some(Managed::Ending(result)) => return Err(JobRefusal::Terminated(result.status)),
            // Its graph is not durable yet, so that it may come to nothing.
            Some(Managed::Submitting) => return Err(JobRefusal::NoMaster),
            Some(Managed::Running(_)) => {}
        }
        if self.switches.on(sabotage::CANCELLATION_NOT_DURABLE) {
            self.on_cancellation_recorded(job, Ok(Cancellation::Recorded));
        } else {
            self.does(Effect::RecordCancellation(job));
        }
        Ok(())
    }

    /// A user's wish to end a job is durable, or came too late.
    pub fn on_cancellation_recorded(
        &mut self,
        job: JobId,
        recorded: Result<Cancellation, StoreError>,
    ) {
        match recorded {
            Ok(Cancellation::Recorded) => {
                self.does(Effect::Announce(JobEvent::CancellationAcknowledged { job }));
                self.does(Effect::AnswerCancellation(job, Ok(())));
                // It may have ended while the answer was on its way.
                if self.jobs.contains_key(&job) && self.canceled.insert(job) {
                    self.does(Effect::CancelMaster(job));
                    if self.switches.on(sabotage::REMOVED_BEFORE_THE_END) {
                        self.does(Effect::CleanUp(job));
                    }
                }
            }
            // Its result is kept, or will be once its last task has ended.
            Ok(Cancellation::TooLate) => {
                let status = match (self.results.get(&job), self.jobs.get(&job)) {
                    (Some(stored), _) => stored.result.status,
                    (None, Some(Managed::Ending(result))) => result.status,
                    // Its final checkpoint stands.
                    (None, _) => JobStatus::Finished,
                };
                let refusal = JobRefusal::Terminated(status);
                self.does(Effect::AnswerCancellation(job, Err(refusal)));
            }
            // Whoever leads now is asked next.
            Err(StoreError::NotLeader) => self.does(Effect::FailCancellation(job)),
            Err(error) => self.does(Effect::Exit(format!("{job:?}: {error}"))),
        }
    }

    /// Whether a job's master is to be told that the job must end.
    pub fn is_to_be_canceled(&self, job: JobId) -> bool {
        self.canceled.contains(&job) && matches!(self.jobs.get(&job), Some(Managed::Running(_)))
    }

    /// What is known of a job.
    pub fn known(&self, now: Instant, job: JobId) -> Known {
        match self.jobs.get(&job) {
            Some(Managed::Running(_)) => Known::Running,
            _ => {
                let told = self.details_without_master(now, job).map(Box::new);
                told.map_or(Known::Nothing, Known::Told)
            }
        }
    }

    /// What can be said of a job without its master.
    pub fn details_without_master(&self, now: Instant, job: JobId) -> Option<JobDetails> {
        let result = match (self.results.get(&job), self.jobs.get(&job)) {
            (Some(stored), _) => &stored.result,
            (None, Some(Managed::Ending(ending))) => {
                let bare = || JobDetails::bare(job, "", ending.status, ending.cause.clone());
                let last = self.archived(now, job).unwrap_or_else(bare);
                return Some(last.before_its_failure());
            }
            (None, Some(Managed::Submitting)) => return Some(created(job, "")),
            (None, Some(Managed::Running(name))) => return Some(created(job, name)),
            (None, None) => return None,
        };
        let bare = || JobDetails::bare(job, "", result.status, result.cause.clone());
        Some(self.archived(now, job).unwrap_or_else(bare))
    }

    /// What the last master of a job that ended in this term knew.
    fn archived(&self, now: Instant, job: JobId) -> Option<JobDetails> {
        let (at, details) = self.archive.iter().find(|(_, details)| details.job == job)?;
        Some(details.clone().later(millis(now.saturating_since(*at))))
    }

    /// What became of a job, once that is kept; `None` of one that nobody here knows.
    pub fn result(&self, job: JobId) -> Option<Option<JobResult>> {
        match self.results.get(&job) {
            Some(stored) => Some(Some(stored.result.clone())),
            None => self.jobs.contains_key(&job).then_some(None),
        }
    }

    /// The jobs that are not over.
    pub fn jobs(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    /// What holds after every call.
    pub fn check_invariants(&self) {
        let left = self.ended && (!self.jobs.is_empty() || self.has_leftovers());
        assert!(!left, "a cluster that ends has jobs, or leaves something of them");
        let goes_on = |managed: &Managed| !matches!(managed, Managed::Submitting);
        let some = self.jobs.values().any(goes_on);
        assert!(!(self.stopping && some), "a dispatcher that stops runs nothing");
        let wanted = self.canceled.iter().find(|job| self.results.contains_key(job));
        assert!(wanted.is_none(), "{wanted:?} is to end, and has");
    }
}
