//! C12: a checkpoint waits for nobody for ever, whatever service gives no answer. Within its time-out
//! and a margin it is complete, or aborted, or its pointer is known to be in doubt and is being fenced;
//! once the job no longer runs, within a shorter time, since a failover or a cancellation waits for it.
//! Times are read on the master's clock, while its process runs. How long a doubt lasts is for the
//! coordination service, and in the end for the lease.

use super::{Check, Clocks, ClusterInvariant, Mark};
use crate::{
    harness::event::Moment,
    host::sim::NodeId,
    system::{
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        protocol::JobStatus,
    },
    under_test::cluster::{EventKind, EventRef, Model, TimeBounds},
};
use std::{collections::BTreeMap, time::Duration};

type Checkpoint = ((NodeId, u64), JobId, CheckpointId);

struct Open {
    since: Mark,
    /// How long it may still take from there.
    within: Duration,
    why: &'static str,
}

/// Remembers the checkpoints that are under way.
#[derive(Default)]
pub struct CheckpointEndsInTime {
    bounds: TimeBounds,
    clocks: Clocks,
    open: BTreeMap<Checkpoint, Open>,
}

impl CheckpointEndsInTime {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        CheckpointEndsInTime { bounds, ..Self::default() }
    }

    fn overdue(&self, now: Duration, of: impl Fn(&Checkpoint) -> bool) -> Option<Check> {
        let late = |(at, open): &(&Checkpoint, &Open)| {
            let node = at.0.0;
            self.clocks.ran(node, open.since, now) > self.clocks.stretched(node, open.within)
        };
        let ((_, job, checkpoint), open) = self.open.iter().filter(|(at, _)| of(at)).find(late)?;
        let now = now.as_secs_f64();
        Some(Check::broken(
            format!("{checkpoint:?} of {job:?} has {:.1?} {}", open.within, open.why),
            format!("{now:.3}s: it is neither complete nor aborted, nor is its pointer in doubt"),
        ))
    }

    fn end(&mut self, ended: impl Fn(&Checkpoint) -> bool) -> Check {
        let before = self.open.len();
        self.open.retain(|at, _| !ended(at));
        if self.open.len() < before { Check::Passed } else { Check::Ignored }
    }

    fn leave_running(&mut self, at: Moment, job: JobId) -> Check {
        let (node, within) = (at.process.0, self.bounds.failover);
        for ((process, of, _), open) in &mut self.open {
            if *process != at.process || *of != job {
                continue;
            }
            let ran = self.clocks.ran(node, open.since, at.time);
            if ran + within < open.within {
                open.since = self.clocks.mark(node, at.time);
                open.within = within;
                open.why = "once its job restarts or ends";
            }
        }
        Check::Ignored
    }
}

impl ClusterInvariant for CheckpointEndsInTime {
    fn title(&self) -> &'static str {
        "C12 checkpoint-ends-in-time"
    }

    fn promise(&self) -> &'static str {
        "a checkpoint ends, or is in doubt, within its time-out; neither failover nor end waits longer"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, crate::host::sim::Hardware::Ended(_)) {
                    self.end(|(process, ..)| *process == at.process);
                }
                Check::Ignored
            }
            EventRef::Job(event) => {
                if let Some(overdue) = self.overdue(at.time, |(of, ..)| *of == at.process) {
                    self.open.clear();
                    return overdue;
                }
                self.observe_master(at, event)
            }
            _ => Check::Ignored,
        }
    }

    fn finish(&mut self, end: Duration) -> Check {
        self.overdue(end, |_| true).unwrap_or(Check::Ignored)
    }
}

impl CheckpointEndsInTime {
    fn observe_master(&mut self, at: Moment, event: &JobEvent) -> Check {
        match event {
            JobEvent::CheckpointTriggered { job, checkpoint, .. } => {
                let since = self.clocks.mark(at.process.0, at.time);
                let within = self.bounds.checkpoint_timeout_of(*job) + self.bounds.checkpoint;
                let open = Open { since, within, why: "from its trigger" };
                self.open.insert((at.process, *job, *checkpoint), open);
                Check::Ignored
            }
            JobEvent::CheckpointCompleted { job, checkpoint, .. }
            | JobEvent::CheckpointAborted { job, checkpoint, .. }
            | JobEvent::PointerInDoubt { job, checkpoint } => {
                self.end(|open| *open == (at.process, *job, *checkpoint))
            }
            JobEvent::StatusChanged { job, status, .. } => match status {
                // Nothing of the term is heard any more.
                JobStatus::Suspended
                | JobStatus::Finished
                | JobStatus::Failed
                | JobStatus::Canceled => {
                    self.end(|(process, of, _)| *process == at.process && of == job);
                    Check::Ignored
                }
                JobStatus::Restarting | JobStatus::Failing | JobStatus::Cancelling => {
                    self.leave_running(at, *job)
                }
                JobStatus::Created | JobStatus::Running => Check::Ignored,
            },
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, Check, CheckpointEndsInTime, Duration, TimeBounds};

    fn bounds(seconds: u64) -> TimeBounds {
        let time = Duration::from_secs;
        TimeBounds { checkpoint_timeout: time(seconds), failover: time(2), ..TimeBounds::default() }
    }

    fn begun() -> History<CheckpointEndsInTime> {
        History::of(CheckpointEndsInTime::new(bounds(10)))
            .holds(process(1, 1), triggered(1, &[attempt(0, 1)]))
    }

    fn status(status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job: JOB, session: term(1), status }
    }

    fn in_doubt() -> JobEvent {
        JobEvent::PointerInDoubt { job: JOB, checkpoint: CheckpointId(1) }
    }

    fn is_late(history: History<CheckpointEndsInTime>, later: u64) -> bool {
        matches!(history.finish(Duration::from_secs(later)), Check::Broken { .. })
    }

    #[test]
    fn one_that_ends_or_is_in_doubt_in_time_is_accepted() {
        for end in [completed(1), aborted(1), in_doubt(), status(JobStatus::Suspended)] {
            assert!(!is_late(begun().holds(process(1, 1), end), 100));
        }
        assert!(!is_late(begun().holds(process(1, 1), ended()), 100));
        assert!(!is_late(begun(), 5));
    }

    #[test]
    fn one_that_takes_too_long_is_refused() {
        assert!(is_late(begun(), 20));
        let waiting = (0..12).fold(begun(), |history, _| history.holds(process(2, 1), aborted(9)));
        waiting.breaks(process(1, 1), aborted(9));
    }

    #[test]
    fn a_failover_gives_it_less_time() {
        assert!(is_late(begun().holds(process(1, 1), status(JobStatus::Restarting)), 5));
        assert!(!is_late(begun().holds(process(2, 1), status(JobStatus::Restarting)), 5));
    }

    #[test]
    fn a_pause_is_no_delay() {
        let paused = begun().holds(process(1, 1), Hardware::Paused);
        assert!(!is_late(paused, 100));
    }
}
