//! C13: a job starts again for its checkpoints only when more of them in a row have failed than it bears, and does so
//! then. One that takes too long while the job runs counts as failed at once. Judged on the word of its master, in one
//! term, by the job's durable graph.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{CheckpointId, JobId},
        job_manager::{AbortCause, JobEvent},
        leadership::LeaderSessionId,
        protocol::JobStatus,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Remembers how many have failed since one was complete, in each term.
#[derive(Default)]
pub struct FailuresInARowAreBorne {
    terms: BTreeMap<((NodeId, u64), JobId), Term>,
}

/// A master's count.
#[derive(Default)]
struct Term {
    session: Option<LeaderSessionId>,
    failed: u32,
    runs: bool,
    /// What took too long and is not counted yet.
    expired: Option<CheckpointId>,
}

impl FailuresInARowAreBorne {
    /// The count of a term; `None` stands for the present one.
    fn count(&mut self, at: Moment, job: JobId, session: Option<LeaderSessionId>) -> &mut u32 {
        let term = self.terms.entry((at.process, job)).or_default();
        if session.is_some() && term.session != session {
            (term.session, term.failed) = (session, 0);
        }
        &mut term.failed
    }

    /// Whether what took too long before has been counted.
    fn check_expired(&self, at: Moment, event: &JobEvent) -> Check {
        let (JobEvent::CheckpointTriggered { job, .. }
        | JobEvent::CheckpointCompleted { job, .. }
        | JobEvent::CheckpointAborted { job, .. }
        | JobEvent::StatusChanged { job, .. }) = event
        else {
            return Check::Ignored;
        };
        let expired = self.terms.get(&(at.process, *job)).and_then(|term| term.expired);
        expired.map_or(Check::Ignored, |expired| {
            let before = format!("{expired:?} of {job:?} took too long, and has not counted");
            Check::broken(before, format!("{at}: its master goes on"))
        })
    }

    /// Notes what the master says of a job that runs.
    fn note(&mut self, at: Moment, event: &JobEvent) {
        match event {
            JobEvent::StatusChanged { job, status, .. } => {
                let term = self.terms.entry((at.process, *job)).or_default();
                term.runs = *status == JobStatus::Running;
            }
            JobEvent::CheckpointAborted { job, checkpoint, cause: AbortCause::TooLong, .. } => {
                let term = self.terms.entry((at.process, *job)).or_default();
                // One that was being stored when its job began anew is no failure of its own.
                term.expired = term.runs.then_some(*checkpoint);
            }
            JobEvent::CheckpointFailureCounted { job, checkpoint, .. } => {
                let term = self.terms.entry((at.process, *job)).or_default();
                term.expired = term.expired.filter(|expired| expired != checkpoint);
            }
            _ => {}
        }
    }
}

impl ClusterInvariant for FailuresInARowAreBorne {
    fn title(&self) -> &'static str {
        "C13 failures-in-a-row-are-borne"
    }

    fn promise(&self) -> &'static str {
        "a job starts again when more checkpoints in a row have failed than it bears, and not sooner"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let EventRef::Job(event) = seen else { return self.judge(at, seen, model) };
        let counted = self.check_expired(at, event);
        self.note(at, event);
        counted.and(self.judge(at, seen, model))
    }
}

impl FailuresInARowAreBorne {
    fn judge(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let borne = |job: &JobId| model.graph(*job)?.checkpoints.tolerable_failures;
        match seen {
            EventRef::Job(JobEvent::CheckpointFailureCounted { job, session, .. }) => {
                let count = self.count(at, *job, Some(*session));
                *count += 1;
                let Some(borne) = borne(job) else { return Check::Ignored };
                Check::that(*count <= borne.saturating_add(1), || {
                    let before =
                        format!("the job bears {borne} in a row, and has not started again");
                    (before, format!("{at}: {count} have failed"))
                })
            }
            EventRef::Job(JobEvent::CheckpointCompleted { job, .. }) => {
                *self.count(at, *job, None) = 0;
                Check::Ignored
            }
            EventRef::Job(JobEvent::FailureCounted { job, session, attempts, .. })
                if attempts.is_empty() =>
            {
                let count = std::mem::take(self.count(at, *job, Some(*session)));
                let Some(borne) = borne(job) else {
                    let before = "the job bears all failures of checkpoints".to_string();
                    return Check::broken(before, format!("{at}: it starts again for {count}"));
                };
                Check::that(count > borne, || {
                    let before = format!("the job bears {borne} in a row");
                    (before, format!("{at}: it starts again for {count}"))
                })
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.terms.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, FailuresInARowAreBorne};

    /// A job that bears so many, of which these have failed.
    fn failed(tolerable_failures: Option<u32>, ids: &[u64]) -> History<FailuresInARowAreBorne> {
        let settings = CheckpointSettings { tolerable_failures, ..CheckpointSettings::default() };
        let stored = committed(1, vec![graph_of(settings, RestartStrategy::None)]);
        let history = History::new().holds(process(0, 1), stored);
        ids.iter().fold(history, |history, id| history.holds(process(1, 1), counted(*id)))
    }

    fn counted(id: u64) -> JobEvent {
        let (session, checkpoint, declined) = (term(1), CheckpointId(id), None);
        JobEvent::CheckpointFailureCounted { job: JOB, session, checkpoint, declined }
    }

    fn status(status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job: JOB, session: term(1), status }
    }

    fn starts_again(attempts: Vec<ExecutionAttemptId>) -> JobEvent {
        let (session, failures, all) = (term(1), 1, true);
        let cause = String::new();
        JobEvent::FailureCounted { job: JOB, session, failures, attempts, all, cause }
    }

    #[test]
    fn a_job_that_starts_again_sooner_than_it_must_is_refused() {
        failed(Some(1), &[1]).breaks(process(1, 1), starts_again(vec![]));
        failed(Some(1), &[1, 2]).holds(process(1, 1), starts_again(vec![]));
        failed(Some(1), &[1, 2])
            .holds(process(1, 1), starts_again(vec![]))
            .holds(process(1, 1), counted(3))
            .breaks(process(1, 1), starts_again(vec![]));
        failed(None, &[1, 2, 3]).breaks(process(1, 1), starts_again(vec![]));
        // A task has failed.
        failed(Some(1), &[1]).holds(process(1, 1), starts_again(vec![attempt(0, 1)]));
    }

    #[test]
    fn a_complete_one_between_them_ends_the_row() {
        failed(Some(1), &[1])
            .holds(process(1, 1), completed(2))
            .holds(process(1, 1), counted(3))
            .breaks(process(1, 1), starts_again(vec![]));
    }

    #[test]
    fn one_that_takes_too_long_and_does_not_count_is_refused() {
        let expired = |id| aborted_for(id, AbortCause::TooLong);
        let runs = || failed(Some(1), &[]).holds(process(1, 1), status(JobStatus::Running));
        let late = || runs().holds(process(1, 1), expired(1));
        late().breaks(process(1, 1), triggered(2, &[]));
        late().holds(process(1, 1), counted(1)).holds(process(1, 1), triggered(2, &[]));
        runs()
            .holds(process(1, 1), status(JobStatus::Restarting))
            .holds(process(1, 1), expired(1))
            .holds(process(1, 1), triggered(2, &[]));
    }

    #[test]
    fn a_job_that_bears_more_than_it_wants_is_refused() {
        failed(Some(1), &[1, 2]).breaks(process(1, 1), counted(3));
        failed(Some(1), &[1, 2])
            .holds(process(1, 1), completed(3))
            .holds(process(1, 1), counted(4));
    }
}
