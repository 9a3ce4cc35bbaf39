//! C15: no job is without a master in silence. From when a term begins to read what is kept of its job the job has a
//! master again, or is said to be waiting and for what, or why it does not go on, within three seconds of its node's clock.
//! Judged on the process's own word: what it does not say nobody hears.

use super::{Check, Clocks, ClusterInvariant, Mark};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::JobId,
        job_manager::JobEvent,
        leadership::{LeaderSessionId, LeadershipEvent},
        protocol::job_component,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{collections::BTreeMap, time::Duration};

/// Two for a wait that is not worth a word, and one for what lies around it.
const WITHIN: Duration = Duration::from_secs(3);

type Term = ((NodeId, u64), JobId, LeaderSessionId);

/// Remembers the terms that have no master yet, and have not said why.
#[derive(Default)]
pub struct RecoverySaysWhy {
    clocks: Clocks,
    silent: BTreeMap<Term, Mark>,
}

impl RecoverySaysWhy {
    fn overdue(&self, now: Duration) -> Option<Check> {
        let late = |(term, since): &(&Term, &Mark)| {
            let node = term.0.0;
            self.clocks.ran(node, **since, now) > self.clocks.stretched(node, WITHIN)
        };
        let ((process, job, _), since) = self.silent.iter().find(late)?;
        let ran = self.clocks.ran(process.0, *since, now);
        Some(Check::broken(
            format!("{job:?} has a master, or says why not, within {WITHIN:?}"),
            format!("{:.3}s: nothing is said for {ran:.1?}", now.as_secs_f64()),
        ))
    }

    fn said(&mut self, at: Moment, of: JobId, term: LeaderSessionId) -> Check {
        match self.silent.remove(&(at.process, of, term)) {
            Some(_) => Check::Passed,
            None => Check::Ignored,
        }
    }
}

impl ClusterInvariant for RecoverySaysWhy {
    fn title(&self) -> &'static str {
        "C15 recovery-says-why"
    }

    fn promise(&self) -> &'static str {
        "a job that has no master yet says what it waits for, or why it does not go on"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Leadership, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        if let EventRef::Hardware(event) = seen {
            self.clocks.observe(at, event);
            if matches!(event, Hardware::Ended(_)) {
                self.silent.retain(|(process, ..), _| *process != at.process);
            }
            return Check::Ignored;
        }
        if let Some(overdue) = self.overdue(at.time) {
            self.silent.clear();
            return overdue;
        }
        match seen {
            EventRef::Job(JobEvent::RecoveryStarted { job, session }) => {
                let mark = self.clocks.mark(at.process.0, at.time);
                self.silent.insert((at.process, *job, *session), mark);
                Check::Ignored
            }
            EventRef::Job(
                JobEvent::RecoveryWaits { job, session, .. }
                | JobEvent::RecoveryFailed { job, session, .. }
                | JobEvent::StatusChanged { job, session, .. },
            ) => self.said(at, *job, *session),
            // A term that is over says nothing any more.
            EventRef::Leadership(LeadershipEvent::Revoked { component, session }) => {
                self.silent.retain(|(process, job, term), _| {
                    (*process, *term) != (at.process, *session) || job_component(*job) != *component
                });
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }

    fn finish(&mut self, end: Duration) -> Check {
        self.overdue(end).unwrap_or(Check::Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, Check, RecoverySaysWhy};
    use std::time::Duration;

    /// With the second that every event takes here just in time.
    const SOON: Duration = Duration::from_secs(2);

    fn begun() -> History<RecoverySaysWhy> {
        let begun = JobEvent::RecoveryStarted { job: JOB, session: term(1) };
        History::new().holds(process(1, 1), begun)
    }

    fn waits(session: u128) -> JobEvent {
        let (session, what) = (term(session), "the object store".to_string());
        JobEvent::RecoveryWaits { job: JOB, session, what }
    }

    fn failed() -> JobEvent {
        let (session, cause) = (term(1), "it is rotten".to_string());
        JobEvent::RecoveryFailed { job: JOB, session, cause }
    }

    fn status() -> JobEvent {
        let (session, status) = (term(1), JobStatus::Created);
        JobEvent::StatusChanged { job: JOB, session, status }
    }

    fn is_late(history: History<RecoverySaysWhy>) -> bool {
        matches!(history.finish(Duration::from_secs(60)), Check::Broken { .. })
    }

    #[test]
    fn a_master_or_a_word_of_why_there_is_none_is_accepted() {
        for said in [waits(1), failed(), status()] {
            let said = begun().after(SOON).holds(process(1, 1), said);
            assert!(!is_late(said));
        }
        assert!(!is_late(begun().holds(process(1, 1), ended())), "a process that is gone");
        let revoked = LeadershipEvent::Revoked { component: job_component(JOB), session: term(1) };
        assert!(!is_late(begun().holds(process(1, 1), revoked)), "a term that is over");
        let paused = begun().holds(process(1, 1), Hardware::Paused);
        assert!(!is_late(paused), "one that stands still");
    }

    #[test]
    fn silence_is_refused() {
        assert!(is_late(begun()));
        begun().after(SOON + Duration::from_millis(1)).breaks(process(1, 1), status());
        // Somebody else's word, and that of another term, is none of its own.
        assert!(is_late(begun().holds(process(2, 1), waits(1))));
        assert!(is_late(begun().holds(process(1, 1), waits(2))));
    }
}
