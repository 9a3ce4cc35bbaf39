//! W3: who cancels a job over REST and is told 202 was answered by a dispatcher that acknowledged it meanwhile, and
//! who is told 409 that the job has ended, has. Where that is not known the answer is 503; there is no other but 404.
//! Judged on what dispatchers acknowledge and on what is kept; that an acknowledged cancellation ends as one is D7.

use super::{Check, ClusterInvariant, rest_asks::RestAsks};
use crate::{
    harness::event::Moment,
    system::{ids::JobId, job_manager::JobEvent, store},
    under_test::cluster::{
        EventKind, EventRef, Model,
        rest_reader::{RestEvent, RestQuestion},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// Remembers when the cancellation of each job was acknowledged last.
#[derive(Default)]
pub struct RestCancelsAsItSays {
    asks: RestAsks,
    acknowledged: BTreeMap<JobId, Duration>,
}

impl ClusterInvariant for RestCancelsAsItSays {
    fn title(&self) -> &'static str {
        "W3 rest-cancels-as-it-says"
    }

    fn promise(&self) -> &'static str {
        "what a web monitor answers to a cancellation is what became of it, and 503 where nobody knows"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rest, EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        self.asks.observe(at, seen);
        match seen {
            EventRef::Job(JobEvent::CancellationAcknowledged { job }) => {
                self.acknowledged.insert(*job, at.time);
                Check::Ignored
            }
            EventRef::Rest(RestEvent::Accepted { ask, job }) => self.accepted(at, *ask, *job),
            EventRef::Rest(RestEvent::Refused {
                question: RestQuestion::Cancel(job),
                status,
                ..
            }) => refused(at, *job, *status, model),
            _ => Check::Ignored,
        }
    }
}

impl RestCancelsAsItSays {
    fn accepted(&self, at: Moment, ask: u64, job: JobId) -> Check {
        let asked = match self.asks.asked(at, ask) {
            Ok(asked) => asked,
            Err(never) => return never,
        };
        let acknowledged = self.acknowledged.get(&job);
        Check::that(acknowledged.is_some_and(|when| *when >= asked), || {
            let last = format!("a dispatcher acknowledged it last at {acknowledged:?}");
            (last, format!("{at}: {job:?} is told to end, asked at {asked:?}"))
        })
    }
}

fn refused(at: Moment, job: JobId, status: u16, model: &Model) -> Check {
    let kept = |key: String| model.keys.contains_key(&key);
    let ends = || {
        kept(store::result_key(job))
            || kept(store::final_key(job))
            || kept(store::cancellation_key(job))
    };
    let is_right = match status {
        // Whether there is such a job is W1's.
        404 | 503 => true,
        409 => ends(),
        _ => false,
    };
    Check::that(is_right, || {
        let how = if ends() { "comes to its end" } else { "goes on" };
        (format!("{job:?} {how}"), format!("{at}: its cancellation is answered {status}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, RestCancelsAsItSays, RestEvent, RestQuestion};

    const CANCEL: RestQuestion = RestQuestion::Cancel(JOB);
    const ACCEPTED: RestEvent = RestEvent::Accepted { ask: 1, job: JOB };

    fn answered(status: u16) -> RestEvent {
        RestEvent::Refused { ask: 1, question: CANCEL, status }
    }

    fn acknowledged(job: JobId) -> JobEvent {
        JobEvent::CancellationAcknowledged { job }
    }

    fn asked() -> History<RestCancelsAsItSays> {
        History::new()
            .holds(process(1, 1), acknowledged(JOB))
            .holds(process(9, 1), RestEvent::Asking { ask: 1, question: CANCEL })
    }

    #[test]
    fn what_a_dispatcher_acknowledged_meanwhile_is_accepted() {
        asked().holds(process(1, 1), acknowledged(JOB)).holds(process(9, 1), ACCEPTED);
    }

    #[test]
    fn what_nobody_acknowledged_or_somebody_did_before_is_refused() {
        asked().breaks(process(9, 1), ACCEPTED);
        asked().holds(process(1, 1), acknowledged(JobId(1))).breaks(process(9, 1), ACCEPTED);
        let other = RestEvent::Accepted { ask: 2, job: JOB };
        asked().holds(process(1, 1), acknowledged(JOB)).breaks(process(9, 1), other);
    }

    #[test]
    fn an_end_is_told_of_a_job_that_comes_to_one() {
        asked().breaks(process(9, 1), answered(409));
        for end in [result(true, JobStatus::Finished), last_checkpoint(3), cancellation()] {
            asked()
                .holds(process(0, 1), committed(1, vec![end]))
                .holds(process(9, 1), answered(409));
        }
    }

    #[test]
    fn what_nobody_knows_is_503() {
        asked().holds(process(9, 1), answered(503));
        for other in [200, 400, 500, 502, 504] {
            asked().breaks(process(9, 1), answered(other));
        }
    }
}
