//! W5: once somebody was told over REST how a job has ended, nobody who asks later is told otherwise, under one and the
//! same leader of the dispatchers. Judged on what readers of REST are told.

use super::{Check, ClusterInvariant, rest_asks::RestAsks};
use crate::{
    harness::event::Moment,
    system::{
        ids::JobId,
        leadership::latch_key,
        protocol::{DISPATCHER, JobStatus},
        service::coordination::{Change, CoordinationEvent},
    },
    under_test::cluster::{
        EventKind, EventRef, Model, TimeBounds, plain,
        rest_reader::{RestEvent, ToldJob},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// An end that somebody was told.
#[derive(Clone, Copy, Debug)]
struct ToldEnd {
    status: JobStatus,
    /// Since when it may have been so.
    since: Duration,
    /// When it was told.
    at: Duration,
}

/// Remembers the ends that were told, and since when one dispatcher leads.
#[derive(Default)]
pub struct EndedIsNotToldToGoOn {
    bounds: TimeBounds,
    asks: RestAsks,
    leads_since: Duration,
    ends: BTreeMap<JobId, ToldEnd>,
}

impl EndedIsNotToldToGoOn {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        EndedIsNotToldToGoOn { bounds, ..Self::default() }
    }

    fn told(&mut self, at: Moment, since: Duration, told: &ToldJob) -> Check {
        let end = self.ends.get(&told.job).copied();
        // Who asked before, or of another leader, may know less.
        let end = end.filter(|end| end.at < since && end.since > self.leads_since);
        if plain::is_end(told.status) {
            let first = ToldEnd { status: told.status, since, at: at.time };
            let known = self.ends.entry(told.job).or_insert(first);
            if known.since <= self.leads_since {
                *known = first;
            }
        }
        match end {
            None => Check::Ignored,
            Some(ToldEnd { status, at: when, .. }) => Check::that(status == told.status, || {
                let ended = format!("{:?} was told at {when:?} to be {status}", told.job);
                (ended, format!("{at}: it is told to be {}, since {since:?} at most", told.status))
            }),
        }
    }
}

impl ClusterInvariant for EndedIsNotToldToGoOn {
    fn title(&self) -> &'static str {
        "W5 ended-is-not-told-to-go-on"
    }

    fn promise(&self) -> &'static str {
        "a job that was told over REST to have ended is never told otherwise under the same leader"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rest, EventKind::Coordination, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        self.asks.observe(at, seen);
        match seen {
            EventRef::Coordination(event) => {
                if may_change_leader(event) {
                    self.leads_since = at.time;
                }
                Check::Ignored
            }
            EventRef::Rest(RestEvent::Told { ask, age_ms, answer, .. }) => {
                let since = match self.asks.asked(at, *ask) {
                    Ok(asked) => self.asks.since(asked, *age_ms, self.bounds.session_timeout),
                    Err(never) => return never,
                };
                let jobs = answer.jobs().iter();
                jobs.map(|told| self.told(at, since, told)).fold(Check::Ignored, Check::and)
            }
            _ => Check::Ignored,
        }
    }
}

/// Whether another dispatcher may lead from here on.
fn may_change_leader(event: &CoordinationEvent) -> bool {
    let latch = latch_key(DISPATCHER);
    match event {
        CoordinationEvent::Recovered { .. } => true,
        CoordinationEvent::LeaseEnded { removed, .. } => removed.contains(&latch),
        CoordinationEvent::Committed { changes, .. } => changes.iter().any(|change| match change {
            Change::Put { key, .. } | Change::Delete { key } => *key == latch,
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, EndedIsNotToldToGoOn, RestEvent, ToldJob};
    use crate::under_test::cluster::rest_reader::{RestAnswer, RestQuestion};

    const READER: usize = 9;

    fn asks() -> RestEvent {
        RestEvent::Asking { ask: 1, question: RestQuestion::Jobs }
    }

    fn told(age_ms: u64, status: JobStatus) -> RestEvent {
        let answer = RestAnswer::Job(ToldJob { job: JOB, status, since: Vec::new() });
        RestEvent::Told { reader: 1, ask: 1, by_leader: true, age_ms, answer }
    }

    /// It is told to have finished at the second 3, and another reader asks at the second 4.
    fn finished() -> History<EndedIsNotToldToGoOn> {
        History::new()
            .holds(process(0, 1), committed(1, vec![latch(1)]))
            .holds(process(READER, 1), asks())
            .holds(process(READER, 1), told(100, JobStatus::Finished))
            .holds(process(8, 1), asks())
    }

    #[test]
    fn the_same_end_is_accepted_and_what_was_asked_before_it() {
        finished().holds(process(8, 1), told(100, JobStatus::Finished));
        finished().holds(process(8, 1), told(1_200, JobStatus::Running));
    }

    #[test]
    fn a_job_that_goes_on_or_ended_otherwise_is_refused() {
        for other in [JobStatus::Running, JobStatus::Created, JobStatus::Canceled] {
            finished().breaks(process(8, 1), told(100, other));
        }
    }

    #[test]
    fn another_leader_may_know_less() {
        finished()
            .holds(process(0, 1), committed(2, vec![latch(2)]))
            .holds(process(8, 1), asks())
            .holds(process(8, 1), told(100, JobStatus::Running))
            .holds(process(8, 1), asks())
            .holds(process(8, 1), told(100, JobStatus::Finished))
            .holds(process(8, 1), asks())
            .breaks(process(8, 1), told(100, JobStatus::Running));
    }
}
