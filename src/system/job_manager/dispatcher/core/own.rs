//! What a dispatcher does of its own accord: the job or the program for which its cluster is there, and the end of
//! the cluster with it.

use super::{DispatcherCore, Effect, Managed, purpose::Purpose};
use crate::system::{
    graph::JobGraph,
    ids::JobId,
    job_manager::{ApplicationError, event::JobEvent},
    protocol::{ApplicationStatus, JobResult, SubmitRefusal},
    sabotage,
    store::StoreError,
};

/// What becomes of a job that a program executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It goes on; `AnswerExecution`, or the answer to a submission that is refused.
    Waits,
    /// It had ended before.
    Ended(JobResult),
}

impl DispatcherCore {
    /// The term begins, and with it what is to be done anyway.
    pub(super) fn begin_own(&mut self) {
        if self.outcome.is_some() {
            self.cancel_what_is_left();
            return self.settle();
        }
        match self.purpose.clone() {
            Purpose::Session => {}
            Purpose::Job(job) => {
                let known = self.results.contains_key(&job.id) || self.jobs.contains_key(&job.id);
                if !known {
                    self.jobs.insert(job.id, Managed::Submitting);
                    self.does(Effect::StoreGraph((*job).clone()));
                }
                self.settle();
            }
            Purpose::Application(_) => {
                self.does(Effect::Announce(JobEvent::MainStarted { session: self.session }));
                self.does(Effect::RunMain);
            }
        }
    }

    /// The program executes its job, which is `sound` or is refused for a reason of its own. An earlier execution
    /// may have begun it.
    ///
    /// # Errors
    /// Why it is not taken, at once.
    pub fn on_execute(
        &mut self,
        job: JobGraph,
        sound: impl FnOnce(&JobGraph) -> Result<(), SubmitRefusal>,
    ) -> Result<Execution, SubmitRefusal> {
        let id = job.id;
        match self.take_on(job, sound) {
            Ok(()) | Err(SubmitRefusal::Duplicate) => Ok(Execution::Waits),
            Err(SubmitRefusal::Terminated(_))
                if !self.switches.on(sabotage::ENDED_JOB_FAILS_PROGRAM) =>
            {
                Ok(Execution::Ended(self.results[&id].result.clone()))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The program's main function has ended: first that is kept.
    pub fn on_main_ended(&mut self, ended: &Result<(), ApplicationError>) {
        // What ended because its term does goes on in the next one.
        let with_term = matches!(
            ended,
            Err(ApplicationError::Stopping | ApplicationError::Refused(SubmitRefusal::Stopping))
        );
        if self.stopping || with_term {
            return;
        }
        let status =
            ended.as_ref().map_or_else(ApplicationError::status, |()| ApplicationStatus::Succeeded);
        let cause = ended.as_ref().err().map(ToString::to_string);
        let session = self.session;
        self.does(Effect::Announce(JobEvent::MainEnded { session, status, cause }));
        if self.switches.on(sabotage::OUTCOME_NOT_KEPT) {
            return self.on_outcome_stored(status, Ok(()));
        }
        let Purpose::Application(job) = self.purpose else {
            unreachable!("a cluster without a program has none that ends");
        };
        self.does(Effect::StoreOutcome(job, status));
    }

    /// What the cluster comes to is durable, whoever leads next. A job that a program leaves behind is canceled; the
    /// cluster ends after it.
    pub fn on_outcome_stored(&mut self, status: ApplicationStatus, stored: Result<(), StoreError>) {
        match stored {
            Ok(()) if self.stopping => {}
            Ok(()) => {
                self.outcome = Some(status);
                self.cancel_what_is_left();
                self.settle();
            }
            Err(StoreError::NotLeader) => {}
            Err(error) => self.does(Effect::Exit(format!("the outcome can't be kept: {error}"))),
        }
    }

    /// The one job of the cluster can't be kept.
    pub(super) fn on_own_refused(&mut self, job: JobId, error: &StoreError) {
        match error {
            StoreError::TooLarge => {
                self.does(Effect::StoreOutcome(job, ApplicationStatus::Failed));
            }
            // There may be room later.
            error => self.does(Effect::Exit(format!("the job can't be kept: {error}"))),
        }
    }

    /// Cancels a job that goes on although the program has ended.
    pub(super) fn cancel_what_is_left(&mut self) {
        if self.outcome.is_none() {
            return;
        }
        let left: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in left {
            // One that is ending needs no more, and one whose graph is being stored is seen to then.
            let _ = self.on_cancel(job);
        }
    }

    pub(super) fn has_leftovers(&self) -> bool {
        self.results.values().any(|stored| stored.dirty)
    }

    /// Ends the cluster once it has done what it was there for, and nothing is left of its jobs but their results.
    pub(super) fn settle(&mut self) {
        if let Purpose::Job(job) = &self.purpose
            && let Some(ended) = self.results.get(&job.id)
        {
            self.outcome = Some(ApplicationStatus::of_job(ended.result.status));
        }
        let sabotaged = self.switches.on(sabotage::CLUSTER_ENDS_BEFORE_CLEANUP);
        let left = !self.jobs.is_empty() || self.has_leftovers() && !sabotaged;
        let Some(status) = self.outcome.filter(|_| !left && !self.ended && !self.stopping) else {
            return;
        };
        self.ended = true;
        self.end_as(status);
    }

    pub(super) fn end_as(&mut self, status: ApplicationStatus) {
        let session = self.session;
        self.does(Effect::Announce(JobEvent::ClusterEnds { session, status }));
        self.does(Effect::EndCluster(status));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            StoredJobs, StoredResult,
            tests::{ID, core_for, details, finished, graph, on, sound},
        },
        *,
    };
    use crate::{
        host::Instant,
        system::{protocol::JobStatus, store::Cancellation},
    };
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn per_job(stored: StoredJobs) -> DispatcherCore {
        core_for(Purpose::Job(Arc::new(graph(ID))), stored)
    }

    fn ended(dirty: bool) -> StoredJobs {
        let results = BTreeMap::from([(ID, StoredResult { dirty, result: finished() })]);
        StoredJobs { results, ..StoredJobs::default() }
    }

    /// What a call wants done beside announcements.
    fn done(effects: Vec<Effect>) -> Vec<Effect> {
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Announce(_))).collect()
    }

    fn begun(core: &mut DispatcherCore) -> Vec<Effect> {
        done(on(core, DispatcherCore::on_start).1)
    }

    /// What comes of the outcome once it is kept, or is not.
    fn kept(
        core: &mut DispatcherCore,
        status: ApplicationStatus,
        stored: Result<(), StoreError>,
    ) -> Vec<Effect> {
        on(core, |core| core.on_outcome_stored(status, stored)).1
    }

    /// What comes of the end of the job, its result and the removal of what it left.
    fn end(core: &mut DispatcherCore) -> [Vec<Effect>; 3] {
        let ended = on(core, |core| core.on_ended(Instant::ORIGIN, finished(), details())).1;
        let stored = on(core, |core| core.on_result_stored(ID, Ok(finished()))).1;
        let cleaned = on(core, |core| core.on_cleaned(ID, Ok(()))).1;
        [done(ended), done(stored), done(cleaned)]
    }

    #[test]
    fn a_cluster_of_a_job_runs_it_and_ends_once_nothing_is_left_of_it() {
        let mut core = per_job(StoredJobs::default());
        assert_eq!(begun(&mut core), [Effect::StoreGraph(graph(ID))]);
        assert_eq!(core.on_submit(graph(JobId(8)), sound), Err(SubmitRefusal::NotASession));
        let stored = done(on(&mut core, |core| core.on_graph_stored(graph(ID), Ok(()))).1);
        assert_eq!(stored, [Effect::Run(graph(ID)), Effect::AnswerSubmission(ID, Ok(()))]);
        let [ended, stored, cleaned] = end(&mut core);
        assert_eq!(ended, [Effect::StoreResult(ID, finished())]);
        assert_eq!(stored, [Effect::CleanUp(ID)]);
        assert_eq!(cleaned, [Effect::EndCluster(ApplicationStatus::Succeeded)]);
    }

    #[test]
    fn a_later_term_goes_on_where_the_job_is() {
        let running = StoredJobs { graphs: vec![graph(ID)], ..StoredJobs::default() };
        assert_eq!(begun(&mut per_job(running)), [Effect::Run(graph(ID))]);
        let mut dirty = per_job(ended(true));
        assert_eq!(begun(&mut dirty), [Effect::CleanUp(ID)]);
        let cleaned = done(on(&mut dirty, |core| core.on_cleaned(ID, Ok(()))).1);
        let end = [Effect::EndCluster(ApplicationStatus::Succeeded)];
        assert_eq!(cleaned, end);
        assert_eq!(begun(&mut per_job(ended(false))), end);
    }

    #[test]
    fn no_cluster_ends_with_a_term_and_no_session_cluster_at_all() {
        let mut core = per_job(ended(true));
        begun(&mut core);
        let stopped = done(on(&mut core, DispatcherCore::on_stop).1);
        let cleaned = done(on(&mut core, |core| core.on_cleaned(ID, Ok(()))).1);
        assert_eq!((stopped, cleaned), (vec![], vec![]));
        let mut session = core_for(Purpose::Session, ended(true));
        begun(&mut session);
        assert_eq!(done(on(&mut session, |core| core.on_cleaned(ID, Ok(()))).1), []);
    }

    #[test]
    fn a_program_s_job_is_taken_once_whatever_became_of_it() {
        let execute = |core: &mut DispatcherCore| on(core, |c| c.on_execute(graph(ID), sound)).0;
        let mut fresh = core_for(Purpose::Application(ID), StoredJobs::default());
        assert_eq!(begun(&mut fresh), [Effect::RunMain]);
        assert_eq!(fresh.on_submit(graph(ID), sound), Err(SubmitRefusal::NotASession));
        assert_eq!(execute(&mut fresh), Ok(Execution::Waits));
        on(&mut fresh, |core| core.on_graph_stored(graph(ID), Ok(())));
        let [_, stored, cleaned] = end(&mut fresh);
        assert_eq!(stored, [Effect::AnswerExecution(ID, finished()), Effect::CleanUp(ID)]);
        assert_eq!(cleaned, [], "the program goes on");
        let main_ended = done(on(&mut fresh, |core| core.on_main_ended(&Ok(()))).1);
        assert_eq!(main_ended, [Effect::StoreOutcome(ID, ApplicationStatus::Succeeded)]);
        let kept = done(kept(&mut fresh, ApplicationStatus::Succeeded, Ok(())));
        assert_eq!(kept, [Effect::EndCluster(ApplicationStatus::Succeeded)]);
        let running = StoredJobs { graphs: vec![graph(ID)], ..StoredJobs::default() };
        let mut going_on = core_for(Purpose::Application(ID), running);
        begun(&mut going_on);
        assert_eq!(execute(&mut going_on), Ok(Execution::Waits));
        let mut over = core_for(Purpose::Application(ID), ended(false));
        assert_eq!(begun(&mut over), [Effect::RunMain], "it is executed again all the same");
        assert_eq!(execute(&mut over), Ok(Execution::Ended(finished())));
    }

    #[test]
    fn a_program_that_ends_with_its_term_ends_nothing_else() {
        let mut core = core_for(Purpose::Application(ID), StoredJobs::default());
        begun(&mut core);
        on(&mut core, |core| core.on_execute(graph(ID), sound)).0.unwrap();
        let not_leader = Err(StoreError::NotLeader);
        let told = done(on(&mut core, |core| core.on_graph_stored(graph(ID), not_leader)).1);
        assert_eq!(told, [Effect::AnswerSubmission(ID, Err(SubmitRefusal::Stopping))]);
        for ended in [ApplicationError::Stopping, SubmitRefusal::Stopping.into()] {
            assert_eq!(done(on(&mut core, |core| core.on_main_ended(&Err(ended))).1), []);
        }
    }

    #[test]
    fn a_job_that_a_later_term_has_kept_is_left_to_it_and_one_that_is_too_large_ends_its_cluster() {
        let stored = |error| {
            let mut core = per_job(StoredJobs::default());
            begun(&mut core);
            done(on(&mut core, |core| core.on_graph_stored(graph(ID), Err(error))).1)
        };
        let left = stored(StoreError::Conflict("there".to_string()));
        assert_eq!(left, [Effect::AnswerSubmission(ID, Err(SubmitRefusal::Stopping))]);
        let ended = stored(StoreError::TooLarge);
        assert_eq!(ended, [Effect::StoreOutcome(ID, ApplicationStatus::Failed)]);
        let outcome = Some(ApplicationStatus::Failed);
        let mut next = per_job(StoredJobs { outcome, ..StoredJobs::default() });
        assert_eq!(begun(&mut next), [Effect::EndCluster(ApplicationStatus::Failed)]);
    }

    #[test]
    fn what_a_program_came_to_is_kept_whoever_leads_next() {
        let outcome = Some(ApplicationStatus::Failed);
        let end = [Effect::EndCluster(ApplicationStatus::Failed)];
        // Its job has finished, and it failed after it.
        let mut over = core_for(Purpose::Application(ID), StoredJobs { outcome, ..ended(false) });
        assert_eq!(begun(&mut over), end, "it is not executed again");
        let running = StoredJobs { graphs: vec![graph(ID)], outcome, ..StoredJobs::default() };
        let mut left = core_for(Purpose::Application(ID), running);
        assert_eq!(begun(&mut left), [Effect::Run(graph(ID)), Effect::RecordCancellation(ID)]);
        let mut dirty = core_for(Purpose::Application(ID), StoredJobs { outcome, ..ended(true) });
        assert_eq!(begun(&mut dirty), [Effect::CleanUp(ID)]);
        assert_eq!(done(on(&mut dirty, |core| core.on_cleaned(ID, Ok(()))).1), end);
    }

    #[test]
    fn an_outcome_that_is_not_kept_ends_nothing() {
        let ended = |before: fn(&mut DispatcherCore), stored| {
            let mut core = core_for(Purpose::Application(ID), StoredJobs::default());
            begun(&mut core);
            on(&mut core, |core| core.on_main_ended(&Ok(())));
            before(&mut core);
            done(kept(&mut core, ApplicationStatus::Failed, stored))
        };
        assert_eq!(ended(|_| (), Err(StoreError::NotLeader)), []);
        assert_eq!(ended(DispatcherCore::on_stop, Ok(())), [], "the next term finds it");
        let full = ended(|_| (), Err(StoreError::Full));
        assert!(matches!(full[..], [Effect::Exit(_)]), "{full:?}");
    }

    #[test]
    fn a_job_that_a_program_leaves_behind_is_canceled_before_the_cluster_ends() {
        let mut core = core_for(Purpose::Application(ID), StoredJobs::default());
        begun(&mut core);
        on(&mut core, |core| core.on_execute(graph(ID), sound)).0.unwrap();
        let failed = Err(ApplicationError::Program("it broke".to_string()));
        // Its graph is being stored.
        let main_ended = done(on(&mut core, |core| core.on_main_ended(&failed)).1);
        assert_eq!(main_ended, [Effect::StoreOutcome(ID, ApplicationStatus::Failed)]);
        assert_eq!(done(kept(&mut core, ApplicationStatus::Failed, Ok(()))), []);
        let stored = done(on(&mut core, |core| core.on_graph_stored(graph(ID), Ok(()))).1);
        assert!(stored.contains(&Effect::RecordCancellation(ID)), "{stored:?}");
        let recorded = Ok(Cancellation::Recorded);
        let told = done(on(&mut core, |core| core.on_cancellation_recorded(ID, recorded)).1);
        assert!(told.contains(&Effect::CancelMaster(ID)), "{told:?}");
        let canceled = JobResult { status: JobStatus::Canceled, cause: None };
        on(&mut core, |core| core.on_ended(Instant::ORIGIN, canceled.clone(), details()));
        on(&mut core, |core| core.on_result_stored(ID, Ok(canceled)));
        let cleaned = done(on(&mut core, |core| core.on_cleaned(ID, Ok(()))).1);
        assert_eq!(cleaned, [Effect::EndCluster(ApplicationStatus::Failed)]);
    }
}
