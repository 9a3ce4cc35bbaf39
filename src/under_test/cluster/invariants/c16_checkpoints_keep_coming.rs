//! C16: a job that runs has its next checkpoint complete in time: the first from when it runs, after a restore as well, each
//! other one from the one before; an interval later, or the pause that it wants, and as much more as the scenario says
//! that one may take while its faults last. Where it says nothing nothing is refused: a service that gives no answer may
//! hold checkpoints up for as long. Judged on the master's word and its clock, by the job's durable graph.

use super::{Check, Clocks, ClusterInvariant, Mark};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{ids::JobId, job_manager::JobEvent, protocol::JobStatus},
    under_test::cluster::{EventKind, EventRef, Model, TimeBounds},
};
use std::{collections::BTreeMap, time::Duration};

struct Running {
    since: Mark,
    /// Until when another one must be complete, if the scenario bounds that.
    within: Duration,
    what: &'static str,
}

/// Remembers since when each job that runs has had no other checkpoint.
#[derive(Default)]
pub struct CheckpointsKeepComing {
    bounds: TimeBounds,
    clocks: Clocks,
    running: BTreeMap<((NodeId, u64), JobId), Running>,
}

impl CheckpointsKeepComing {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        CheckpointsKeepComing { bounds, ..Self::default() }
    }

    fn overdue(&self, now: Duration) -> Option<Check> {
        self.bounds.next_checkpoint?;
        let ran = |(process, _): &((NodeId, u64), JobId), running: &Running| {
            self.clocks.ran(process.0, running.since, now)
        };
        let late = |(of, running): &(&((NodeId, u64), JobId), &Running)| {
            ran(of, running) > self.clocks.stretched(of.0.0, running.within)
        };
        let (of, running) = self.running.iter().find(late)?;
        Some(Check::broken(
            format!("{:?} runs, and has another checkpoint within {:.1?}", of.1, running.within),
            format!(
                "{:.3}s: it has none, {:.1?} after {}",
                now.as_secs_f64(),
                ran(of, running),
                running.what
            ),
        ))
    }

    fn begin(&mut self, at: Moment, job: JobId, what: &'static str, model: &Model) {
        let Some(graph) = model.graph(job) else { return };
        let settings = graph.checkpoints;
        let wanted = Duration::from_millis(settings.interval_ms.max(settings.min_pause_ms));
        let within = wanted + self.bounds.next_checkpoint.unwrap_or_default();
        let since = self.clocks.mark(at.process.0, at.time);
        self.running.insert((at.process, job), Running { since, within, what });
    }

    fn observe_master(&mut self, at: Moment, event: &JobEvent, model: &Model) -> Check {
        match event {
            JobEvent::StatusChanged { job, status: JobStatus::Running, .. } => {
                self.begin(at, *job, "it began to run", model);
                Check::Ignored
            }
            // What does not run takes none.
            JobEvent::StatusChanged { job, .. } => {
                self.running.remove(&(at.process, *job));
                Check::Ignored
            }
            JobEvent::CheckpointCompleted { job, last, .. } => {
                if self.running.remove(&(at.process, *job)).is_none() {
                    return Check::Ignored;
                }
                if !last {
                    self.begin(at, *job, "the one before", model);
                }
                Check::Passed
            }
            _ => Check::Ignored,
        }
    }
}

impl ClusterInvariant for CheckpointsKeepComing {
    fn title(&self) -> &'static str {
        "C16 checkpoints-keep-coming"
    }

    fn promise(&self) -> &'static str {
        "a job that runs has another checkpoint complete in time, also while its faults last"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.running.retain(|(process, _), _| *process != at.process);
                }
                Check::Ignored
            }
            EventRef::Job(event) => {
                if let Some(overdue) = self.overdue(at.time) {
                    self.running.clear();
                    return overdue;
                }
                self.observe_master(at, event, model)
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
    use super::{super::testing_jobs::*, Check, CheckpointsKeepComing, Duration, TimeBounds};

    type Running = History<CheckpointsKeepComing>;

    /// An interval of two seconds, and one more.
    fn running_within(bound: Option<u64>, settings: CheckpointSettings) -> Running {
        let next_checkpoint = bound.map(Duration::from_secs);
        let bounds = TimeBounds { next_checkpoint, ..TimeBounds::default() };
        let settings = CheckpointSettings { interval_ms: 2_000, ..settings };
        let stored = committed(1, vec![graph_of(settings, RestartStrategy::None)]);
        History::of(CheckpointsKeepComing::new(bounds))
            .holds(process(0, 1), stored)
            .holds(process(1, 1), status(JobStatus::Running))
    }

    fn running() -> Running {
        running_within(Some(1), CheckpointSettings::default())
    }

    fn status(status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job: JOB, session: term(1), status }
    }

    fn ends(id: u64, last: bool) -> JobEvent {
        completed_as(id, last)
    }

    fn is_late(history: Running) -> bool {
        matches!(history.finish(Duration::from_secs(60)), Check::Broken { .. })
    }

    /// With the second that every event takes here just in time.
    const SOON: Duration = Duration::from_secs(2);

    #[test]
    fn one_after_the_other_in_time_is_accepted() {
        let ended = running()
            .after(SOON)
            .holds(process(1, 1), ends(1, false))
            .after(SOON)
            .holds(process(1, 1), ends(2, false))
            .after(SOON)
            .holds(process(1, 1), ends(3, true));
        assert!(!is_late(ended));
    }

    #[test]
    fn the_first_and_any_other_may_be_late() {
        let late = SOON + Duration::from_millis(1);
        running().after(late).breaks(process(1, 1), ends(1, false));
        let first = running().holds(process(1, 1), ends(1, false));
        first.after(late).breaks(process(1, 1), ends(2, false));
        assert!(is_late(running()));
        // One that comes to nothing is none.
        running().after(late).breaks(process(1, 1), aborted(1));
        // Nor does another process's help.
        assert!(is_late(running().holds(process(2, 1), ends(1, false))));
        let again = running()
            .holds(process(1, 1), status(JobStatus::Restarting))
            .after(late)
            .holds(process(1, 1), status(JobStatus::Running));
        again.after(late).breaks(process(1, 1), ends(2, false));
    }

    #[test]
    fn a_longer_pause_counts() {
        let paused = CheckpointSettings { min_pause_ms: 5_000, ..CheckpointSettings::default() };
        let later = Duration::from_secs(5);
        running_within(Some(1), paused).after(later).holds(process(1, 1), ends(1, false));
        let later = later + Duration::from_millis(1);
        running_within(Some(1), paused).after(later).breaks(process(1, 1), ends(1, false));
    }

    #[test]
    fn nothing_is_wanted_of_a_job_that_does_not_run_nor_where_nothing_is_said() {
        assert!(!is_late(running().holds(process(1, 1), status(JobStatus::Restarting))));
        assert!(!is_late(running().holds(process(1, 1), ended())));
        assert!(!is_late(running().holds(process(1, 1), Hardware::Paused)));
        assert!(!is_late(running_within(None, CheckpointSettings::default())));
    }
}
