//! D7: a cancellation is durable before anybody is told that it is acknowledged, stays so until the job
//! has a result, and that result is *canceled*. Judged on the coordination server's log.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        client::ClientEvent,
        ids::JobId,
        job_manager::JobEvent,
        protocol::JobStatus,
        store::{StoredResult, cancellation_key},
    },
    under_test::cluster::{EventKind, EventRef, Model, rest_reader::RestEvent},
};
use std::collections::BTreeMap;

/// Remembers the cancellations that were acknowledged of jobs without a result.
#[derive(Default)]
pub struct CanceledEndsCanceled {
    acknowledged: BTreeMap<JobId, Moment>,
}

impl ClusterInvariant for CanceledEndsCanceled {
    fn title(&self) -> &'static str {
        "D7 canceled-ends-canceled"
    }

    fn promise(&self) -> &'static str {
        "an acknowledged cancellation is durable, and its job ends as canceled"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Client, EventKind::Rest, EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::CancellationAcknowledged { job })
            | EventRef::Client(ClientEvent::Canceled { job })
            | EventRef::Rest(RestEvent::Accepted { job, .. }) => self.acknowledge(at, *job, model),
            EventRef::Coordination(event) if !self.acknowledged.is_empty() => {
                let mut check = Check::Ignored;
                for moved in moved(event, model) {
                    check = check.and(self.check(at, moved.job, moved.kept, moved.after));
                }
                check
            }
            _ => Check::Ignored,
        }
    }
}

impl CanceledEndsCanceled {
    fn acknowledge(&mut self, at: Moment, job: JobId, model: &Model) -> Check {
        let ended = model.terminal_status(job);
        if ended.is_none() {
            self.acknowledged.entry(job).or_insert(at);
        }
        let durable = model.keys.contains_key(&cancellation_key(job));
        Check::that(durable || ended == Some(JobStatus::Canceled), || {
            let ended = ended.map_or("has not ended".to_string(), |status| format!("is {status}"));
            let before = format!("no cancellation of {job:?} is durable, and it {ended}");
            (before, format!("{at}: its cancellation is acknowledged"))
        })
    }

    fn check(&mut self, at: Moment, job: JobId, kept: Kept, after: Option<&[u8]>) -> Check {
        let Some(since) = self.acknowledged.get(&job).copied() else { return Check::Ignored };
        let broken = |what: String| {
            Check::broken(
                format!("{since}: the cancellation of {job:?} was acknowledged"),
                format!("{at}: {what}"),
            )
        };
        match (kept, after) {
            (Kept::Stored(StoredPart::Cancellation), None) => {
                broken("it is gone, and there is no result".to_string())
            }
            (Kept::Stored(StoredPart::Result), Some(value)) => {
                self.acknowledged.remove(&job);
                let stored = postcard::from_bytes::<StoredResult>(value);
                match stored.map(|stored| stored.result.status) {
                    Ok(JobStatus::Canceled) => Check::Passed,
                    Ok(status) => broken(format!("the job is {status}")),
                    Err(error) => broken(format!("its result can't be read: {error}")),
                }
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, CanceledEndsCanceled, ClientEvent, RestEvent};

    fn acknowledged() -> JobEvent {
        JobEvent::CancellationAcknowledged { job: JOB }
    }

    fn canceled() -> History<CanceledEndsCanceled> {
        History::new()
            .holds(process(0, 1), committed(1, vec![graph(), cancellation()]))
            .holds(process(1, 1), acknowledged())
            .holds(process(9, 1), ClientEvent::Canceled { job: JOB })
    }

    fn no_cancellation() -> Change {
        Change::Delete { key: store::cancellation_key(JOB) }
    }

    #[test]
    fn a_job_that_ends_as_canceled_is_accepted() {
        canceled()
            .holds(process(0, 1), committed(2, vec![result(true, JobStatus::Canceled)]))
            .holds(process(0, 1), committed(3, vec![no_cancellation()]))
            .holds(process(9, 1), ClientEvent::Canceled { job: JOB });
    }

    #[test]
    fn one_that_is_not_durable_or_is_forgotten_is_refused() {
        let history = History::<CanceledEndsCanceled>::new;
        history().breaks(process(1, 1), acknowledged());
        history().breaks(process(9, 1), ClientEvent::Canceled { job: JOB });
        history().breaks(process(9, 1), RestEvent::Accepted { ask: 1, job: JOB });
        canceled().breaks(process(0, 1), committed(2, vec![no_cancellation()]));
        canceled().breaks(process(0, 2), recovered(2, vec![graph()]));
    }

    #[test]
    fn another_end_is_refused() {
        for status in [JobStatus::Finished, JobStatus::Failed] {
            canceled().breaks(process(0, 1), committed(2, vec![result(true, status)]));
        }
    }
}
