//! W4: since when a web monitor says that a job is something, its master said so then, by the web monitor's wall
//! clock: no later, and earlier by no more than the answer was under way. Judged on what readers of REST are told, with
//! what the clocks are off by.

use super::{Check, ClusterInvariant, rest_asks::RestAsks};
use crate::{
    harness::event::Moment,
    host::sim::WALL_ORIGIN_NANOS,
    system::{ids::JobId, job_manager::JobEvent, protocol::JobStatus},
    under_test::cluster::{
        EventKind, EventRef, Model, plain,
        rest_reader::{RestEvent, ToldJob},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// Times are told in whole milliseconds, made of three that are rounded.
const ROUNDED: Duration = Duration::from_millis(3);

/// Remembers when masters said what.
#[derive(Default)]
pub struct RestTellsTrueTimes {
    asks: RestAsks,
    said: BTreeMap<JobId, Vec<(JobStatus, Duration)>>,
}

impl ClusterInvariant for RestTellsTrueTimes {
    fn title(&self) -> &'static str {
        "W4 rest-tells-true-times"
    }

    fn promise(&self) -> &'static str {
        "since when a web monitor says that a job is something, it was, within what clocks are off by"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rest, EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        self.asks.observe(at, seen);
        match seen {
            EventRef::Job(JobEvent::StatusChanged { job, status, .. }) => {
                self.said.entry(*job).or_default().push((*status, at.time));
                Check::Ignored
            }
            EventRef::Rest(RestEvent::Told { ask, age_ms, answer, .. }) => {
                let under_way = match self.asks.asked(at, *ask) {
                    Ok(asked) => at.time - asked + self.asks.age_most(*age_ms),
                    Err(never) => return never,
                };
                let jobs = answer.jobs().iter();
                jobs.map(|told| self.told(at, under_way, told)).fold(Check::Ignored, Check::and)
            }
            _ => Check::Ignored,
        }
    }
}

/// A time that is told, since the run began.
fn since_origin(wall_ms: u64) -> Duration {
    Duration::from_millis(wall_ms).saturating_sub(Duration::from_nanos(WALL_ORIGIN_NANOS))
}

impl RestTellsTrueTimes {
    fn told(&self, at: Moment, under_way: Duration, told: &ToldJob) -> Check {
        // The clocks of a master, of a dispatcher and of a web monitor make up a time.
        let clocks = &self.asks.clocks;
        let drifted = clocks.drifted_most(at.time);
        let off = clocks.wall_skew_most(at.time) + drifted * 2 + ROUNDED;
        let said = self.said.get(&told.job).map(Vec::as_slice).unwrap_or_default();
        let mut check = Check::Ignored;
        for (status, wall_ms) in &told.since {
            let time = since_origin(*wall_ms);
            // What is kept of an end may be another than its master saw.
            let is = |of: JobStatus| match plain::is_end(*status) {
                true => plain::is_end(of),
                false => of == *status,
            };
            let then = |when: Duration| time <= when + off && time + under_way + off >= when;
            let was = said.iter().any(|(of, when)| is(*of) && then(*when));
            check = check.and(Check::that(was, || {
                let job = told.job;
                let when: Vec<_> = said.iter().filter(|(of, _)| is(*of)).collect();
                (
                    format!("masters said so of {job:?}: {when:?}"),
                    format!("{at}: it is told to be {status} since {time:?}, within {off:?}"),
                )
            }));
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing_jobs::*, RestEvent, RestTellsTrueTimes, ToldJob, WALL_ORIGIN_NANOS,
    };
    use crate::under_test::cluster::rest_reader::{RestAnswer, RestQuestion};

    const READER: usize = 9;

    /// It runs since the second 1, and somebody asks at the second 2 and is answered at the second 3.
    fn running() -> History<RestTellsTrueTimes> {
        let (session, status) = (term(1), JobStatus::Running);
        History::new()
            .holds(process(1, 1), JobEvent::StatusChanged { job: JOB, session, status })
            .holds(process(READER, 1), RestEvent::Asking { ask: 1, question: RestQuestion::Jobs })
    }

    fn since(status: JobStatus, millis: u64, age_ms: u64) -> RestEvent {
        let since = vec![(status, WALL_ORIGIN_NANOS / 1_000_000 + millis)];
        let answer = RestAnswer::Job(ToldJob { job: JOB, status, since });
        RestEvent::Told { reader: 1, ask: 1, by_leader: true, age_ms, answer }
    }

    #[test]
    fn a_time_that_is_true_but_for_the_answers_own_is_accepted() {
        let reader = process(READER, 1);
        running().holds(reader, since(JobStatus::Running, 1_000, 500));
        running().holds(reader, since(JobStatus::Running, 0, 0));
        let stepped = Hardware::WallStepped { nanos: 5_000_000_000 };
        running().holds(process(1, 1), stepped).holds(reader, since(JobStatus::Running, 6_000, 0));
        let (session, status) = (term(1), JobStatus::Failed);
        running()
            .holds(process(1, 1), JobEvent::StatusChanged { job: JOB, session, status })
            .holds(reader, since(JobStatus::Canceled, 3_000, 0));
    }

    #[test]
    fn a_time_that_is_not_is_refused() {
        let reader = process(READER, 1);
        running().breaks(reader, since(JobStatus::Running, 1_500, 500));
        running().breaks(reader, since(JobStatus::Restarting, 1_000, 500));
        running()
            .after(std::time::Duration::from_secs(9))
            .holds(reader, RestEvent::Asking { ask: 1, question: RestQuestion::Jobs })
            .breaks(reader, since(JobStatus::Running, 100_000, 0));
        let drift = Hardware::Drift { per_million: 1_000 };
        running().holds(process(1, 1), drift).breaks(reader, since(JobStatus::Running, 1_100, 0));
    }
}
