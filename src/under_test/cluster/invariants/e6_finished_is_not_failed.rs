//! E6: a task that runs, or ended well, is never counted as failed. That it was taken on, and its own word that it has
//! finished, hold until its master gives its task executor up, or the task executor the slot: only then is what it
//! produced gone.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::{
        ids::{AllocationId, ExecutionAttemptId, ResourceId},
        job_manager::JobEvent,
        protocol::ExecutionState,
        task_executor::{SlotEvent, TaskEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

struct Place {
    process: (NodeId, u64),
    resource: ResourceId,
    allocation: AllocationId,
}

/// Remembers where attempts run or have finished, and which have.
#[derive(Default)]
pub struct FinishedIsNotFailed {
    places: BTreeMap<ExecutionAttemptId, Place>,
    finished: BTreeSet<ExecutionAttemptId>,
}

impl FinishedIsNotFailed {
    fn forget(&mut self, gone: impl Fn(&ExecutionAttemptId, &Place) -> bool) {
        let finished = &mut self.finished;
        self.places.retain(|attempt, place| {
            let gone = gone(attempt, place);
            if gone {
                finished.remove(attempt);
            }
            !gone
        });
    }
}

impl ClusterInvariant for FinishedIsNotFailed {
    fn title(&self) -> &'static str {
        "E6 finished-is-not-failed"
    }

    fn promise(&self) -> &'static str {
        "a task that runs or ended well is never counted as failed"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Task, EventKind::Slot, EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Slot(SlotEvent::TaskAccepted { resource, attempt, allocation, .. }) => {
                let (process, resource) = (at.process, resource.clone());
                let allocation = *allocation;
                self.places.insert(*attempt, Place { process, resource, allocation });
                Check::Ignored
            }
            EventRef::Task(TaskEvent::StateChanged {
                attempt,
                state: ExecutionState::Finished,
                ..
            }) => {
                if self.places.contains_key(attempt) {
                    self.finished.insert(*attempt);
                }
                Check::Passed
            }
            EventRef::Task(TaskEvent::StateChanged {
                attempt,
                state: ExecutionState::Failed | ExecutionState::Canceled,
                ..
            }) => {
                self.forget(|of, _| of == attempt);
                Check::Ignored
            }
            EventRef::Slot(SlotEvent::SlotFreed { allocation, .. }) => {
                self.forget(|_, place| place.allocation == *allocation);
                Check::Ignored
            }
            EventRef::Job(JobEvent::ExecutorLost { job, resource, .. }) => {
                self.forget(|attempt, place| attempt.job == *job && place.resource == *resource);
                Check::Ignored
            }
            EventRef::Job(JobEvent::ExecutionChanged {
                attempt,
                state: ExecutionState::Failed,
            }) => Check::that(!self.places.contains_key(attempt), || {
                let does = if self.finished.contains(attempt) { "has finished" } else { "runs" };
                let before = format!("{attempt:?} {does}, and its executor is there");
                (before, format!("{at}: its master counts it as failed"))
            }),
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.forget(|_, place| place.process == at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, FinishedIsNotFailed};

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn state(state: ExecutionState) -> TaskEvent {
        TaskEvent::StateChanged { attempt: attempt(0, 1), state, reason: String::new() }
    }

    fn known_as(state: ExecutionState) -> JobEvent {
        JobEvent::ExecutionChanged { attempt: attempt(0, 1), state }
    }

    fn running() -> History<FinishedIsNotFailed> {
        History::new().holds(
            process(3, 1),
            SlotEvent::TaskAccepted {
                resource: resource(),
                attempt: attempt(0, 1),
                allocation: AllocationId(1),
                job_master: term(1),
            },
        )
    }

    #[test]
    fn what_failed_or_is_lost_may_fail() {
        running()
            .holds(process(3, 1), state(ExecutionState::Failed))
            .holds(process(1, 1), known_as(ExecutionState::Failed));
        running()
            .holds(process(3, 1), state(ExecutionState::Canceled))
            .holds(process(1, 1), known_as(ExecutionState::Failed));
        running()
            .holds(process(3, 1), ended())
            .holds(process(1, 1), known_as(ExecutionState::Failed));
        let finished = || running().holds(process(3, 1), state(ExecutionState::Finished));
        finished().holds(process(1, 1), known_as(ExecutionState::Finished));
        finished()
            .holds(process(3, 1), ended())
            .holds(process(1, 1), known_as(ExecutionState::Failed));
        let session = TaskExecutorSession(1);
        let connection = crate::system::heartbeat::HeartbeatSession(1);
        let lost = JobEvent::ExecutorLost {
            job: JOB,
            master: term(1),
            resource: resource(),
            session,
            connection,
            cause: LossCause::Told(connection),
        };
        finished()
            .holds(process(1, 1), lost)
            .holds(process(1, 1), known_as(ExecutionState::Failed));
        let freed = SlotEvent::SlotFreed {
            resource: resource(),
            index: 0,
            allocation: AllocationId(1),
            cause: FreeCause::NotTaken,
        };
        finished()
            .holds(process(3, 1), freed)
            .holds(process(1, 1), known_as(ExecutionState::Failed));
    }

    #[test]
    fn a_task_that_runs_and_counts_as_failed_is_refused() {
        running().breaks(process(1, 1), known_as(ExecutionState::Failed));
    }

    #[test]
    fn a_finished_task_that_counts_as_failed_is_refused() {
        running()
            .holds(process(3, 1), state(ExecutionState::Finished))
            .breaks(process(1, 1), known_as(ExecutionState::Failed));
    }
}
