//! C18: a checkpoint ends in the term that began it, and is aborted only for a cause that holds then: its
//! time is over, a present attempt of its plan has declined it, a newer one is complete, its job fails or
//! ends, its pointer was in doubt, its job is to be canceled by what is kept. Terms, outcomes and failures
//! are the word of the master, declines that of tasks, cancellations the coordination server's. What the
//! object store refuses is not announced, nor is what a part names. How much time a checkpoint has is what
//! the job's durable graph says.

use super::{
    Check, Clocks, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobId},
        job_manager::{AbortCause, JobEvent},
        leadership::{LeaderSessionId, LeadershipEvent},
        protocol::{JobStatus, component_job},
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

type Process = (NodeId, u64);

/// Remembers what masters have begun, and what may end it.
#[derive(Default)]
pub struct AbortsHaveAPresentCause {
    clocks: Clocks,
    running: BTreeSet<(Process, JobId, LeaderSessionId)>,
    masters: BTreeMap<(Process, JobId), Master>,
    open: BTreeMap<(Process, JobId, CheckpointId), Open>,
    declined: BTreeSet<(ExecutionAttemptId, CheckpointId)>,
    canceled: BTreeSet<JobId>,
}

/// What the master of a job has said last.
#[derive(Default)]
struct Master {
    epochs: BTreeMap<ExecutionVertexId, u64>,
    status: Option<(JobStatus, Duration)>,
    failed: Option<(u32, Duration)>,
    complete: Option<(CheckpointId, Duration)>,
}

/// A checkpoint that has no outcome.
struct Open {
    session: LeaderSessionId,
    since: Moment,
    plan: Vec<ExecutionAttemptId>,
    /// Of the plan, those whose part is not there; with none it is being stored.
    waits_for: BTreeSet<ExecutionAttemptId>,
    in_doubt: bool,
}

impl ClusterInvariant for AbortsHaveAPresentCause {
    fn title(&self) -> &'static str {
        "C18 aborts-have-a-present-cause"
    }

    fn promise(&self) -> &'static str {
        "a checkpoint ends in the term that began it, and comes to nothing only for a cause that holds"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[
            EventKind::Coordination,
            EventKind::Leadership,
            EventKind::Job,
            EventKind::Task,
            EventKind::Hardware,
        ]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(event) => return self.observe_master(at, event, model),
            EventRef::Task(TaskEvent::CheckpointDeclined { attempt, checkpoint, .. }) => {
                self.declined.insert((*attempt, *checkpoint));
            }
            EventRef::Coordination(event) => {
                let is = Kept::Stored(StoredPart::Cancellation);
                let puts = moved(event, model).into_iter();
                let puts = puts.filter(|moved| moved.kept == is && moved.after.is_some());
                self.canceled.extend(puts.map(|moved| moved.job));
            }
            EventRef::Leadership(LeadershipEvent::ProcessStarted { component, session }) => {
                let job = component_job(component);
                self.running.extend(job.map(|job| (at.process, job, *session)));
            }
            EventRef::Leadership(LeadershipEvent::ProcessTerminated { component, session }) => {
                if let Some(job) = component_job(component) {
                    self.end_term(at.process, job, *session);
                }
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.running.retain(|(process, ..)| *process != at.process);
                    self.masters.retain(|(process, _), _| *process != at.process);
                    self.open.retain(|(process, ..), _| *process != at.process);
                }
            }
            _ => {}
        }
        Check::Ignored
    }
}

impl AbortsHaveAPresentCause {
    fn end_term(&mut self, process: Process, job: JobId, session: LeaderSessionId) {
        self.running.remove(&(process, job, session));
        self.masters.remove(&(process, job));
        self.open.retain(|_, open| open.session != session);
    }

    fn observe_master(&mut self, at: Moment, event: &JobEvent, model: &Model) -> Check {
        match event {
            JobEvent::CheckpointTriggered { job, session, checkpoint, plan } => {
                let waits_for = plan.iter().copied().collect();
                let (session, plan) = (*session, plan.clone());
                let open = Open { session, since: at, plan, waits_for, in_doubt: false };
                self.open.insert((at.process, *job, *checkpoint), open);
                let runs = self.running.contains(&(at.process, *job, session));
                return Check::that(runs, || {
                    let before = format!("{session:?} of {job:?} does not run in that process");
                    (before, format!("{at}: it begins {checkpoint:?}"))
                });
            }
            JobEvent::CheckpointAcknowledged { checkpoint, attempt } => {
                if let Some(open) = self.open.get_mut(&(at.process, attempt.job, *checkpoint)) {
                    open.waits_for.remove(attempt);
                }
            }
            JobEvent::PointerInDoubt { job, checkpoint } => {
                if let Some(open) = self.open.get_mut(&(at.process, *job, *checkpoint)) {
                    open.in_doubt = true;
                }
            }
            JobEvent::CheckpointCompleted { job, session, checkpoint, .. } => {
                self.master(at, *job).complete = Some((*checkpoint, at.time));
                let open = self.open.remove(&(at.process, *job, *checkpoint));
                return is_its_own(at, open.as_ref(), *session, *checkpoint, "complete");
            }
            JobEvent::CheckpointAborted { job, session, checkpoint, cause } => {
                let open = self.open.remove(&(at.process, *job, *checkpoint));
                let own = is_its_own(at, open.as_ref(), *session, *checkpoint, "aborted");
                let Some(open) = open else { return own };
                let timeout = model.graph(*job).map(|graph| graph.checkpoints.timeout_ms);
                let timeout = Duration::from_millis(timeout.unwrap_or_default());
                return own.and(self.abort(at, (*job, *checkpoint), &open, cause, timeout));
            }
            JobEvent::StatusChanged { job, status, .. } => {
                self.master(at, *job).status = Some((*status, at.time));
            }
            JobEvent::FailureCounted { job, failures, .. } => {
                self.master(at, *job).failed = Some((*failures, at.time));
            }
            JobEvent::Scheduled { job, epoch, vertices, .. } => {
                let epochs = vertices.iter().map(|vertex| (*vertex, *epoch));
                self.master(at, *job).epochs.extend(epochs);
            }
            _ => {}
        }
        Check::Ignored
    }

    fn master(&mut self, at: Moment, job: JobId) -> &mut Master {
        self.masters.entry((at.process, job)).or_default()
    }

    /// Whether the cause holds now.
    fn abort(
        &mut self,
        at: Moment,
        (job, checkpoint): (JobId, CheckpointId),
        open: &Open,
        cause: &AbortCause,
        timeout: Duration,
    ) -> Check {
        let least = self.clocks.shrunk(at.process.0, timeout);
        let is_canceled = self.canceled.contains(&job);
        let master = self.masters.entry((at.process, job)).or_default();
        let stored = open.waits_for.is_empty();
        // What is being stored when its job leaves `Running` is given up some time later.
        let now = |since: Duration| stored || since == at.time;
        let present = |attempt: &ExecutionAttemptId| {
            let epoch = master.epochs.get(&attempt.vertex);
            open.plan.contains(attempt) && epoch == Some(&attempt.epoch)
        };
        let holds = match cause {
            AbortCause::TooLong => at.time - open.since.time >= least,
            AbortCause::Declined { attempt, .. } => {
                present(attempt) && self.declined.contains(&(*attempt, checkpoint))
            }
            AbortCause::FileGone { attempt, .. } => present(attempt),
            AbortCause::Subsumed { by } => {
                by.0 > checkpoint.0 && master.complete == Some((*by, at.time))
            }
            AbortCause::Failure { failures, .. } => {
                master.failed.is_some_and(|(known, since)| known == *failures && now(since))
            }
            AbortCause::Ends { status, .. } => {
                ends(*status)
                    && master.status.is_some_and(|(known, since)| known == *status && now(since))
            }
            AbortCause::Refused { .. } => stored,
            AbortCause::Fenced => stored && open.in_doubt,
            AbortCause::Canceled => stored && is_canceled,
        };
        Check::that(holds, || {
            let Master { epochs, status, failed, complete } = &*master;
            let before = format!(
                "{}: {checkpoint:?} began; its master is {status:?}, has failed {failed:?}, has \
                 completed {complete:?}, deployed {epochs:?}",
                open.since
            );
            (before, format!("{at}: it is aborted, {cause:?}"))
        })
    }
}

/// Whether a job with that status takes no checkpoints any more.
fn ends(status: JobStatus) -> bool {
    !matches!(status, JobStatus::Created | JobStatus::Running | JobStatus::Restarting)
}

/// Whether that term of that process began it.
fn is_its_own(
    at: Moment,
    open: Option<&Open>,
    session: LeaderSessionId,
    checkpoint: CheckpointId,
    end: &str,
) -> Check {
    Check::that(open.is_some_and(|open| open.session == session), || {
        let before = open.map_or_else(
            || "that process has not begun it".to_string(),
            |open| format!("{}: {:?} began it", open.since, open.session),
        );
        (before, format!("{at}: {checkpoint:?} is {end} in {session:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, AbortsHaveAPresentCause};
    use std::time::Duration;

    type Tries = History<AbortsHaveAPresentCause>;

    fn status(status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job: JOB, session: term(1), status }
    }

    fn failed(failures: u32) -> JobEvent {
        let (session, attempts, all, cause) = (term(1), vec![], true, String::new());
        JobEvent::FailureCounted { job: JOB, session, failures, attempts, all, cause }
    }

    fn declines(epoch: u64, id: u64) -> TaskEvent {
        let (attempt, checkpoint) = (attempt(0, epoch), CheckpointId(id));
        TaskEvent::CheckpointDeclined { attempt, checkpoint, reason: String::new() }
    }

    fn declined(epoch: u64) -> AbortCause {
        AbortCause::Declined { attempt: attempt(0, epoch), why: String::new() }
    }

    fn failure(failures: u32) -> AbortCause {
        AbortCause::Failure { failures, why: String::new() }
    }

    fn ends(status: JobStatus) -> AbortCause {
        AbortCause::Ends { status, why: String::new() }
    }

    fn started(number: u128) -> LeadershipEvent {
        let (component, session) = (job_component(JOB), term(number));
        LeadershipEvent::ProcessStarted { component, session }
    }

    /// Two checkpoints of a term are under way.
    fn begun() -> Tries {
        let settings = CheckpointSettings { timeout_ms: 10_000, ..CheckpointSettings::default() };
        let kept = committed(1, vec![graph_of(settings, RestartStrategy::None)]);
        History::new()
            .holds(process(0, 1), kept)
            .holds(process(1, 1), started(1))
            .holds(process(1, 1), scheduled(1, 4, None))
            .holds(process(1, 1), triggered(3, &[attempt(0, 4)]))
            .holds(process(1, 1), triggered(5, &[attempt(0, 4)]))
    }

    fn stored() -> Tries {
        begun().holds(process(1, 1), acknowledged(3, attempt(0, 4)))
    }

    fn refused(history: Tries, cause: AbortCause) {
        history.breaks(process(1, 1), aborted_for(3, cause));
    }

    fn accepted(history: Tries, cause: AbortCause) {
        history.holds(process(1, 1), aborted_for(3, cause));
    }

    #[test]
    fn a_term_that_does_not_run_or_did_not_begin_it_is_refused() {
        begun().breaks(process(2, 1), triggered(6, &[]));
        begun().breaks(process(2, 1), completed(3));
        refused(begun().holds(process(1, 1), completed(3)), AbortCause::TooLong);
        let cause = AbortCause::FileGone { attempt: attempt(0, 4), file: String::new() };
        let (session, checkpoint) = (term(2), CheckpointId(3));
        let foreign = JobEvent::CheckpointAborted { job: JOB, session, checkpoint, cause };
        begun().holds(process(1, 1), started(2)).breaks(process(1, 1), foreign);
    }

    #[test]
    fn a_time_out_before_its_time_is_refused() {
        let drift = |per_million| Hardware::Drift { per_million };
        accepted(begun().after(Duration::from_secs(8)), AbortCause::TooLong);
        refused(begun().after(Duration::from_secs(7)), AbortCause::TooLong);
        let fast = begun().after(Duration::from_secs(5)).holds(process(1, 1), drift(500_000));
        accepted(fast, AbortCause::TooLong);
    }

    #[test]
    fn a_decline_of_another_checkpoint_or_attempt_is_refused() {
        let said = |epoch, id| begun().holds(process(2, 1), declines(epoch, id));
        accepted(said(4, 3), declined(4));
        refused(begun(), declined(4));
        refused(said(4, 5), declined(4));
        refused(said(2, 3), declined(2));
        refused(said(4, 3).holds(process(1, 1), scheduled(1, 7, None)), declined(4));
    }

    #[test]
    fn an_older_or_earlier_one_subsumes_nothing() {
        let by = |id| AbortCause::Subsumed { by: CheckpointId(id) };
        let complete = || begun().holds(process(1, 1), completed(5));
        accepted(complete().at_once(), by(5));
        refused(complete().at_once(), by(6));
        refused(complete(), by(5));
        refused(begun(), by(5));
        let older = begun().holds(process(1, 1), completed(3)).at_once();
        let older_one = AbortCause::Subsumed { by: CheckpointId(3) };
        older.breaks(process(1, 1), aborted_for(5, older_one));
    }

    #[test]
    fn a_failure_or_an_end_that_is_not_the_present_one_is_refused() {
        let fails = || begun().holds(process(1, 1), failed(2));
        accepted(fails().at_once(), failure(2));
        refused(fails().at_once(), failure(1));
        refused(fails(), failure(2));
        accepted(stored().holds(process(1, 1), failed(2)), failure(2));
        refused(stored(), failure(1));
        let is = |now| begun().holds(process(1, 1), status(now));
        accepted(is(JobStatus::Cancelling).at_once(), ends(JobStatus::Cancelling));
        refused(is(JobStatus::Cancelling).at_once(), ends(JobStatus::Failing));
        refused(is(JobStatus::Cancelling), ends(JobStatus::Cancelling));
        refused(is(JobStatus::Running).at_once(), ends(JobStatus::Running));
    }

    #[test]
    fn what_was_not_being_stored_is_neither_refused_fenced_nor_canceled() {
        let no = || AbortCause::Refused { why: String::new() };
        accepted(stored(), no());
        refused(begun(), no());
        let in_doubt = JobEvent::PointerInDoubt { job: JOB, checkpoint: CheckpointId(3) };
        accepted(stored().holds(process(1, 1), in_doubt), AbortCause::Fenced);
        refused(stored(), AbortCause::Fenced);
        let canceled = committed(2, vec![cancellation()]);
        accepted(stored().holds(process(0, 1), canceled), AbortCause::Canceled);
        refused(stored(), AbortCause::Canceled);
    }
}
