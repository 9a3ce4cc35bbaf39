//! D1: a job that was acknowledged is never lost. Its graph is durable when the dispatcher says so, and
//! when a client is told so, and until its result is. Judged on the coordination server's log.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{client::ClientEvent, ids::JobId, job_manager::JobEvent, store},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Remembers the jobs that were acknowledged and have no result.
#[derive(Default)]
pub struct AcknowledgedJobKept {
    acknowledged: BTreeMap<JobId, Moment>,
}

impl ClusterInvariant for AcknowledgedJobKept {
    fn title(&self) -> &'static str {
        "D1 acknowledged-job-kept"
    }

    fn promise(&self) -> &'static str {
        "an acknowledged job's graph is durable until its result is"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Client, EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::SubmissionAcknowledged { job }) => {
                self.acknowledge(at, *job, "the dispatcher", model)
            }
            EventRef::Client(ClientEvent::Submitted { job }) => {
                self.acknowledge(at, *job, "the client", model)
            }
            EventRef::Coordination(event) if !self.acknowledged.is_empty() => {
                let moved = moved(event, model);
                for moved in moved
                    .iter()
                    .filter(|m| m.kept == Kept::Stored(StoredPart::Result) && m.after.is_some())
                {
                    self.acknowledged.remove(&moved.job);
                }
                let lost = moved.iter().find(|moved| {
                    let graph =
                        moved.kept == Kept::Stored(StoredPart::Graph) && moved.after.is_none();
                    graph && self.acknowledged.contains_key(&moved.job)
                });
                match lost {
                    None => Check::Ignored,
                    Some(lost) => Check::broken(
                        format!(
                            "{}: {:?} was acknowledged",
                            self.acknowledged[&lost.job], lost.job
                        ),
                        format!("{at}: its graph is gone and it has no result"),
                    ),
                }
            }
            _ => Check::Ignored,
        }
    }
}

impl AcknowledgedJobKept {
    fn acknowledge(&mut self, at: Moment, job: JobId, who: &str, model: &Model) -> Check {
        if model.keys.contains_key(&store::result_key(job)) {
            return Check::Passed;
        }
        self.acknowledged.entry(job).or_insert(at);
        Check::that(model.keys.contains_key(&store::graph_key(job)), || {
            let before = format!("neither a graph nor a result of {job:?} is durable");
            (before, format!("{at}: {who} holds it for taken on"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, AcknowledgedJobKept, ClientEvent};

    fn accepted() -> History<AcknowledgedJobKept> {
        History::new()
            .holds(process(0, 1), committed(1, vec![graph()]))
            .holds(process(1, 1), JobEvent::SubmissionAcknowledged { job: JOB })
            .holds(process(2, 1), ClientEvent::Submitted { job: JOB })
    }

    #[test]
    fn a_job_that_is_kept_until_it_has_a_result_is_accepted() {
        accepted()
            .holds(process(0, 2), recovered(1, vec![graph()]))
            .holds(process(0, 2), committed(2, vec![result(true, JobStatus::Finished)]))
            .holds(process(0, 2), committed(3, vec![no_graph()]))
            .holds(process(2, 1), ClientEvent::Submitted { job: JOB });
    }

    #[test]
    fn an_acknowledgement_of_what_is_not_durable_is_refused() {
        let history = History::<AcknowledgedJobKept>::new;
        history().breaks(process(1, 1), JobEvent::SubmissionAcknowledged { job: JOB });
        history().breaks(process(2, 1), ClientEvent::Submitted { job: JOB });
    }

    #[test]
    fn a_lost_graph_is_refused() {
        accepted().breaks(process(0, 1), committed(2, vec![no_graph()]));
        accepted().breaks(process(0, 2), recovered(1, vec![]));
    }
}
