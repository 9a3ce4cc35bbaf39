//! E6: a task that ended well is never counted as failed. Its own word that it has finished holds until
//! its master gives its task executor up, or the task executor the slot: only then is what it produced
//! gone.

use super::{Check, Invariant};
use crate::{
    harness::check::{
        history::{Family, Moment, Seen},
        model::Model,
    },
    host::sim::{Hardware, NodeId},
    system::{
        ids::{AllocationId, ExecutionAttemptId, ResourceId},
        job_manager::JobEvent,
        task_executor::{SlotEvent, TaskEvent},
    },
};
use std::collections::{BTreeMap, BTreeSet};

struct Place {
    process: (NodeId, u64),
    resource: ResourceId,
    allocation: AllocationId,
}

/// Remembers where attempts run, and which have finished.
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

impl Invariant for FinishedIsNotFailed {
    fn title(&self) -> &'static str {
        "E6 finished-is-not-failed"
    }

    fn promise(&self) -> &'static str {
        "a task that ended well is never counted as failed"
    }

    fn families(&self) -> &'static [Family] {
        &[Family::Task, Family::Slot, Family::Job, Family::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: Seen<'_>, _: &Model) -> Check {
        match seen {
            Seen::Slot(SlotEvent::TaskAccepted { resource, attempt, allocation, .. }) => {
                let (process, resource) = (at.process, resource.clone());
                let allocation = *allocation;
                self.places.insert(*attempt, Place { process, resource, allocation });
                Check::Ignored
            }
            Seen::Task(TaskEvent::StateChanged { attempt, state: "finished", .. }) => {
                if self.places.contains_key(attempt) {
                    self.finished.insert(*attempt);
                }
                Check::Held
            }
            Seen::Slot(SlotEvent::SlotFreed { allocation, .. }) => {
                self.forget(|_, place| place.allocation == *allocation);
                Check::Ignored
            }
            Seen::Job(JobEvent::ExecutorLost { job, resource, .. }) => {
                self.forget(|attempt, place| attempt.job == *job && place.resource == *resource);
                Check::Ignored
            }
            Seen::Job(JobEvent::ExecutionChanged { attempt, state: "failed" }) => {
                Check::that(!self.finished.contains(attempt), || {
                    let before = format!("{attempt:?} has finished, and its executor is there");
                    (before, format!("{at}: its master counts it as failed"))
                })
            }
            Seen::Hardware(Hardware::Ended(_)) => {
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

    fn state(state: &'static str) -> TaskEvent {
        TaskEvent::StateChanged { attempt: attempt(0, 1), state, reason: String::new() }
    }

    fn known_as(state: &'static str) -> JobEvent {
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
        running().holds(process(3, 1), state("failed")).holds(process(1, 1), known_as("failed"));
        running().holds(process(1, 1), known_as("failed"));
        let finished = || running().holds(process(3, 1), state("finished"));
        finished().holds(process(1, 1), known_as("finished"));
        finished().holds(process(3, 1), ended()).holds(process(1, 1), known_as("failed"));
        let session = TaskExecutorSession(1);
        let lost = JobEvent::ExecutorLost { job: JOB, resource: resource(), session };
        finished().holds(process(1, 1), lost).holds(process(1, 1), known_as("failed"));
        let freed = SlotEvent::SlotFreed {
            resource: resource(),
            index: 0,
            allocation: AllocationId(1),
            unlisted: None,
        };
        finished().holds(process(3, 1), freed).holds(process(1, 1), known_as("failed"));
    }

    #[test]
    fn a_finished_task_that_counts_as_failed_is_refused() {
        running().holds(process(3, 1), state("finished")).breaks(process(1, 1), known_as("failed"));
    }
}
