//! C9: no more checkpoints of a job are under way at once than it wants, and between the end of one and the begin of
//! the next lies the least pause that it wants, on its master's clock. Judged on the master's word by the job's
//! durable graph. A savepoint need not keep the pause: somebody waits for it. That checkpoints keep completing is a goal.

use super::{Check, ClusterInvariant};
use crate::{
    harness::{check::Clocks, event::Moment},
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        protocol::JobStatus,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The checkpoints of one master.
#[derive(Default)]
struct Term {
    under_way: BTreeSet<CheckpointId>,
    /// The checkpoint that is the newest savepoint.
    savepoint: Option<CheckpointId>,
    last_end: Option<Duration>,
}

/// Remembers what is under way.
#[derive(Default)]
pub struct CheckpointsKeepTheirDistance {
    clocks: Clocks,
    terms: BTreeMap<((NodeId, u64), JobId), Term>,
}

impl ClusterInvariant for CheckpointsKeepTheirDistance {
    fn title(&self) -> &'static str {
        "C9 checkpoints-keep-their-distance"
    }

    fn promise(&self) -> &'static str {
        "no more checkpoints are under way at once, nor follow each other sooner, than a job wants"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::SavepointTriggered { job, checkpoint, .. }) => {
                let term = self.terms.entry((at.process, *job)).or_default();
                term.savepoint = Some(*checkpoint);
            }
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, .. }) => {
                return self.begins(at, *job, *checkpoint, model);
            }
            EventRef::Job(
                JobEvent::CheckpointCompleted { job, checkpoint, .. }
                | JobEvent::CheckpointAborted { job, checkpoint, .. },
            ) => {
                let term = self.terms.entry((at.process, *job)).or_default();
                term.under_way.remove(checkpoint);
                term.last_end = Some(at.time);
            }
            // A term begins, or what was under way in it comes to nothing with it.
            EventRef::Job(JobEvent::StatusChanged {
                job,
                status: JobStatus::Created | JobStatus::Suspended,
                ..
            }) => {
                self.terms.remove(&(at.process, *job));
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.terms.retain(|(process, _), _| *process != at.process);
                }
            }
            _ => {}
        }
        Check::Ignored
    }
}

impl CheckpointsKeepTheirDistance {
    fn begins(&mut self, at: Moment, job: JobId, id: CheckpointId, model: &Model) -> Check {
        let term = self.terms.entry((at.process, job)).or_default();
        term.under_way.insert(id);
        let Some(graph) = model.graph(job) else { return Check::Ignored };
        let (count, most) = (term.under_way.len(), graph.checkpoints.max_concurrent);
        let pause = Duration::from_millis(graph.checkpoints.min_pause_ms);
        let least = self.clocks.shrunk(at.process.0, pause);
        let keeps_distance = term.savepoint != Some(id);
        let waited = term.last_end.filter(|_| keeps_distance).map(|end| at.time - end);
        Check::that(count <= most as usize, || {
            (format!("{most} may be under way"), format!("{at}: {id:?} begins as number {count}"))
        })
        .and(Check::that(waited.is_none_or(|waited| waited >= least), || {
            let promise = format!("{least:?} pass between the end of one and the next");
            let waited = waited.unwrap_or_default();
            (promise, format!("{at}: {id:?} begins {waited:?} after the last one's end"))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, CheckpointsKeepTheirDistance};
    use crate::system::protocol::AfterSavepoint;
    use std::time::Duration;

    type Terms = History<CheckpointsKeepTheirDistance>;

    fn kept(settings: CheckpointSettings) -> Terms {
        let stored = committed(1, vec![graph_of(settings, RestartStrategy::None)]);
        History::new().holds(process(0, 1), stored)
    }

    fn begins(id: u64) -> JobEvent {
        triggered(id, &[])
    }

    fn ends(id: u64) -> JobEvent {
        completed(id)
    }

    #[test]
    fn more_at_once_than_a_job_wants_are_refused() {
        let two = CheckpointSettings { max_concurrent: 2, ..CheckpointSettings::default() };
        let both = || kept(two).holds(process(1, 1), begins(1)).holds(process(1, 1), begins(2));
        both().breaks(process(1, 1), begins(3));
        both().holds(process(1, 1), ends(1)).holds(process(1, 1), begins(3));
        let session = term(2);
        let status = JobStatus::Suspended;
        both()
            .holds(process(1, 1), JobEvent::StatusChanged { job: JOB, session, status })
            .holds(process(1, 1), begins(3));
    }

    #[test]
    fn a_pause_that_is_too_short_is_refused() {
        let paused = CheckpointSettings { min_pause_ms: 3_000, ..CheckpointSettings::default() };
        let ended = || kept(paused).holds(process(1, 1), begins(1)).holds(process(1, 1), ends(1));
        ended().after(Duration::from_millis(2_000)).holds(process(1, 1), begins(2));
        ended().after(Duration::from_millis(1_999)).breaks(process(1, 1), begins(2));
    }

    #[test]
    fn a_savepoint_need_not_keep_the_pause_but_what_follows_it_must() {
        let pause = CheckpointSettings { min_pause_ms: 3_000, ..CheckpointSettings::default() };
        let savepoint = |id| JobEvent::SavepointTriggered {
            job: JOB,
            checkpoint: CheckpointId(id),
            path: "savepoints/one".to_string(),
            then: AfterSavepoint::GoOn,
        };
        let taken = || {
            kept(pause)
                .holds(process(1, 1), begins(1))
                .holds(process(1, 1), ends(1))
                .holds(process(1, 1), savepoint(2))
                .holds(process(1, 1), begins(2))
        };
        taken().holds(process(1, 1), ends(2)).breaks(process(1, 1), begins(3));
    }
}
