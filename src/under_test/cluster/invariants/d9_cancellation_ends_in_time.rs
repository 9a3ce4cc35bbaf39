//! D9: a job whose cancellation was acknowledged has its result within a time, also while faults last. The
//! time begins anew when a leader of the job or of the dispatchers changes, a process of a leading node
//! stands still or ends, or the coordination server begins anew: what follows has to be taken over.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        ids::JobId,
        job_manager::JobEvent,
        leadership::latch_key,
        protocol::{DISPATCHER, job_component},
        service::coordination::{Change, CoordinationEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model, TimeBounds},
};
use std::{collections::BTreeMap, time::Duration};

/// Remembers the cancellations that have not come to their end, and since when.
#[derive(Default)]
pub struct CancellationEndsInTime {
    bounds: TimeBounds,
    open: BTreeMap<JobId, Duration>,
}

impl CancellationEndsInTime {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        CancellationEndsInTime { bounds, ..Self::default() }
    }

    fn check(&self, job: JobId, since: Duration, now: Duration) -> Check {
        let within = self.bounds.cancellation;
        Check::that(now.saturating_sub(since) <= within, || {
            let since = since.as_secs_f64();
            (
                format!("{since:.3}s: {job:?} is to be canceled, under leaders that stay"),
                format!("{:.3}s: it has not ended within {within:?}", now.as_secs_f64()),
            )
        })
    }

    fn begin_anew(&mut self, now: Duration) {
        self.open.values_mut().for_each(|since| *since = now);
    }
}

impl ClusterInvariant for CancellationEndsInTime {
    fn title(&self) -> &'static str {
        "D9 cancellation-ends-in-time"
    }

    fn promise(&self) -> &'static str {
        "an acknowledged cancellation comes to its end in time, also while faults last"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Coordination, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::CancellationAcknowledged { job }) => {
                if model.stored_result(*job).is_none() {
                    self.open.entry(*job).or_insert(at.time);
                }
                Check::Ignored
            }
            EventRef::Coordination(event) if !self.open.is_empty() => {
                let mut check = Check::Ignored;
                for moved in moved(event, model) {
                    match moved.kept {
                        Kept::Stored(StoredPart::Result) if moved.after.is_some() => {
                            if let Some(since) = self.open.remove(&moved.job) {
                                check = check.and(self.check(moved.job, since, at.time));
                            }
                        }
                        Kept::Latch => self.begin_anew(at.time),
                        _ => {}
                    }
                }
                if takes_over(event) {
                    self.begin_anew(at.time);
                }
                check
            }
            EventRef::Hardware(_) => {
                let leaders = self.open.keys().map(|job| model.leader(&job_component(*job)));
                let mut leaders = leaders.chain([model.leader(DISPATCHER)]).flatten();
                if leaders.any(|leader| leader == at.process.0) {
                    self.begin_anew(at.time);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }

    fn finish(&mut self, end: Duration) -> Check {
        let open = self.open.iter();
        open.map(|(job, since)| self.check(*job, *since, end)).fold(Check::Ignored, Check::and)
    }
}

/// Whether somebody else leads the dispatchers from here on, or the server is another.
fn takes_over(event: &CoordinationEvent) -> bool {
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
    use super::{super::testing_jobs::*, CancellationEndsInTime, Check, Duration, TimeBounds};

    fn canceled() -> History<CancellationEndsInTime> {
        let bounds = TimeBounds { cancellation: Duration::from_secs(5), ..TimeBounds::default() };
        History::of(CancellationEndsInTime::new(bounds))
            .holds(process(1, 1), JobEvent::CancellationAcknowledged { job: JOB })
    }

    fn ended_as(status: JobStatus) -> CoordinationEvent {
        committed(9, vec![result(true, status)])
    }

    fn later(history: History<CancellationEndsInTime>) -> History<CancellationEndsInTime> {
        (0..5).fold(history, |history, _| history.holds(process(5, 1), stored("object")))
    }

    #[test]
    fn an_end_in_time_is_accepted() {
        let ended = canceled().holds(process(0, 1), ended_as(JobStatus::Canceled));
        assert_eq!(ended.finish(Duration::from_secs(100)), Check::Ignored);
        later(canceled())
            .holds(process(0, 1), committed(1, vec![job_latch(2)]))
            .holds(process(0, 1), ended_as(JobStatus::Canceled));
    }

    #[test]
    fn a_late_end_or_none_is_refused() {
        later(canceled()).breaks(process(0, 1), ended_as(JobStatus::Canceled));
        let never = canceled().finish(Duration::from_secs(100));
        assert!(matches!(never, Check::Broken { .. }));
    }
}
