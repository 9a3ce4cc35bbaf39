//! D6: no client is told that a job does not exist which was acknowledged and whose result was not
//! removed. Judged on what clients are told.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{client::ClientEvent, ids::JobId, job_manager::JobEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Remembers the jobs that were acknowledged and whose results were not removed.
#[derive(Default)]
pub struct AcknowledgedJobIsKnown {
    acknowledged: BTreeMap<JobId, Moment>,
}

impl ClusterInvariant for AcknowledgedJobIsKnown {
    fn title(&self) -> &'static str {
        "D6 acknowledged-job-is-known"
    }

    fn promise(&self) -> &'static str {
        "an acknowledged job is never said to be unknown before its result was removed"
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
            EventRef::Client(ClientEvent::ToldUnknown { job }) => {
                match self.acknowledged.get(job) {
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

    fn unknown() -> ClientEvent {
        ClientEvent::ToldUnknown { job: JOB }
    }

    fn acknowledged() -> History<AcknowledgedJobIsKnown> {
        History::new()
            .holds(process(1, 1), JobEvent::SubmissionAcknowledged { job: JOB })
            .holds(process(0, 1), committed(1, vec![result(false, JobStatus::Finished)]))
    }

    #[test]
    fn what_never_was_or_was_removed_may_be_unknown() {
        History::<AcknowledgedJobIsKnown>::new().holds(process(9, 1), unknown());
        let removed = Change::Delete { key: store::result_key(JOB) };
        acknowledged()
            .holds(process(0, 1), committed(2, vec![removed]))
            .holds(process(9, 1), unknown());
    }

    #[test]
    fn an_acknowledged_job_that_is_said_to_be_unknown_is_refused() {
        acknowledged().breaks(process(9, 1), unknown());
        History::<AcknowledgedJobIsKnown>::new()
            .holds(process(9, 1), ClientEvent::Submitted { job: JOB })
            .breaks(process(9, 2), unknown());
    }
}
