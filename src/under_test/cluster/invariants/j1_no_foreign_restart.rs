//! J1: while nothing befalls the cluster, a job whose own functions don't fail never restarts, whatever becomes
//! of the jobs beside it: a crash loop of one adds no restart to another. One thing is left to a job: a function that
//! never gives its thread back though it is canceled ends its task executor, and with it what else has a slot there.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{ids::JobId, job_manager::JobEvent, protocol::JobStatus, task_executor::SlotEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeSet;

/// Knows which jobs have no reason to restart.
#[derive(Default)]
pub struct NoForeignRestart {
    sound: BTreeSet<JobId>,
}

impl NoForeignRestart {
    /// Of the jobs of a run without faults those whose functions don't fail.
    pub fn new(sound: impl Iterator<Item = JobId>) -> Self {
        NoForeignRestart { sound: sound.collect() }
    }
}

impl ClusterInvariant for NoForeignRestart {
    fn title(&self) -> &'static str {
        "J1 no-foreign-restart"
    }

    fn promise(&self) -> &'static str {
        "a job that has no reason of its own never restarts, whatever becomes of the jobs beside it"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Slot]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        if let EventRef::Slot(SlotEvent::TaskStuck { .. }) = seen {
            let beside = model.slots.iter().filter(|((process, _), _)| *process == at.process);
            for (_, (job, _)) in beside {
                self.sound.remove(job);
            }
        }
        let EventRef::Job(JobEvent::StatusChanged { job, status, .. }) = seen else {
            return Check::Ignored;
        };
        if !self.sound.contains(job) {
            return Check::Ignored;
        }
        let foreign = matches!(status, JobStatus::Restarting | JobStatus::Failing);
        Check::that(!foreign, || {
            let before = format!("nothing befalls the cluster, and no function of {job:?} fails");
            (before, format!("{at}: {job:?} is {status}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NoForeignRestart};

    fn status(job: JobId, status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job, session: term(1), status }
    }

    fn history() -> History<NoForeignRestart> {
        History::of(NoForeignRestart::new([JOB].into_iter()))
            .holds(process(1, 1), status(JOB, JobStatus::Running))
            .holds(process(1, 1), status(JobId(9), JobStatus::Restarting))
    }

    #[test]
    fn who_is_beside_a_task_that_does_not_end_may_restart() {
        let stuck = || SlotEvent::TaskStuck {
            resource: ResourceId("a".to_string()),
            attempt: attempt(1, 1),
        };
        let held = SlotEvent::SlotAllocated {
            resource: ResourceId("a".to_string()),
            index: 0,
            job: JOB,
            allocation: AllocationId(1),
        };
        let beside = || history().holds(process(3, 1), held.clone());
        beside()
            .holds(process(3, 1), stuck())
            .holds(process(1, 1), status(JOB, JobStatus::Restarting));
        beside()
            .holds(process(4, 1), stuck())
            .breaks(process(1, 1), status(JOB, JobStatus::Restarting));
    }

    #[test]
    fn another_job_s_restart_is_accepted_and_one_of_a_sound_job_is_refused() {
        history().holds(process(1, 1), status(JOB, JobStatus::Finished));
        history().breaks(process(1, 1), status(JOB, JobStatus::Restarting));
        history().breaks(process(1, 1), status(JOB, JobStatus::Failing));
    }
}
