//! D6: no client that asks after a job which was acknowledged, and whose result was not removed, is told
//! that it does not exist. Judged on what clients ask and are told.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    host::sim::NodeId,
    system::{client::ClientEvent, ids::JobId, job_manager::JobEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers the jobs that were acknowledged and whose results were not removed.
#[derive(Default)]
pub struct AcknowledgedJobIsKnown {
    acknowledged: BTreeMap<JobId, Moment>,
    /// The asks of each process that were sent before the job was acknowledged: what is unknown then may
    /// be known when the answer arrives.
    early: BTreeSet<((NodeId, u64), u64)>,
}

impl ClusterInvariant for AcknowledgedJobIsKnown {
    fn title(&self) -> &'static str {
        "D6 acknowledged-job-is-known"
    }

    fn promise(&self) -> &'static str {
        "who asks for an acknowledged job is never told that it is unknown before its result was removed"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Client, EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::SubmissionAcknowledged { job })
            | EventRef::Client(ClientEvent::Submitted { job }) => {
                self.acknowledged.entry(*job).or_insert(at);
                Check::Passed
            }
            EventRef::Client(ClientEvent::Asking { job, ask }) => {
                if !self.acknowledged.contains_key(job) {
                    self.early.insert((at.process, *ask));
                }
                Check::Ignored
            }
            EventRef::Client(ClientEvent::ToldUnknown { job, ask }) => {
                let early = self.early.contains(&(at.process, *ask));
                match self.acknowledged.get(job).filter(|_| !early) {
                    None => Check::Passed,
                    Some(since) => Check::broken(
                        format!("{since}: {job:?} was acknowledged"),
                        format!("{at}: a client is told that there is no such job"),
                    ),
                }
            }
            EventRef::Coordination(event) if !self.acknowledged.is_empty() => {
                let removed = moved(event, model).into_iter();
                for moved in removed
                    .filter(|m| m.kept == Kept::Stored(StoredPart::Result) && m.after.is_none())
                {
                    self.acknowledged.remove(&moved.job);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, AcknowledgedJobIsKnown, ClientEvent};

    fn asks(ask: u64) -> ClientEvent {
        ClientEvent::Asking { job: JOB, ask }
    }

    fn unknown(ask: u64) -> ClientEvent {
        ClientEvent::ToldUnknown { job: JOB, ask }
    }

    fn acknowledged() -> History<AcknowledgedJobIsKnown> {
        History::new()
            .holds(process(9, 1), asks(1))
            .holds(process(1, 1), JobEvent::SubmissionAcknowledged { job: JOB })
            .holds(process(0, 1), committed(1, vec![result(false, JobStatus::Finished)]))
    }

    #[test]
    fn what_never_was_or_was_removed_may_be_unknown() {
        let asked = || History::<AcknowledgedJobIsKnown>::new().holds(process(9, 1), asks(1));
        asked().holds(process(9, 1), unknown(1));
        let removed = Change::Delete { key: store::result_key(JOB) };
        acknowledged()
            .holds(process(0, 1), committed(2, vec![removed]))
            .holds(process(9, 1), asks(2))
            .holds(process(9, 1), unknown(2));
    }

    #[test]
    fn who_asked_before_the_acknowledgement_may_be_told_so_after_it() {
        acknowledged().holds(process(9, 1), unknown(1));
        // Another process has its own count.
        acknowledged().holds(process(9, 2), asks(1)).breaks(process(9, 2), unknown(1));
    }

    #[test]
    fn an_acknowledged_job_that_is_said_to_be_unknown_is_refused() {
        acknowledged().holds(process(9, 1), asks(2)).breaks(process(9, 1), unknown(2));
        History::<AcknowledgedJobIsKnown>::new()
            .holds(process(9, 1), ClientEvent::Submitted { job: JOB })
            .holds(process(9, 1), asks(1))
            .breaks(process(9, 1), unknown(1));
    }
}
