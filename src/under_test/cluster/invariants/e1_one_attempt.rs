//! E1: each subtask has one attempt at a time as far as a master knows: it deploys anew only when every
//! attempt of its former epoch has ended, speaks only of attempts of its present epoch, and what has
//! ended stays so. A task says the same of itself: it begins once, anywhere, and its end is its last word.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{ExecutionAttemptId, ExecutionVertexId, JobId},
        job_manager::JobEvent,
        leadership::LeaderSessionId,
        protocol::ExecutionState,
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Process = (NodeId, u64);

/// What a master said of its present attempts: of each subtask the epoch, and how far it is.
struct Present {
    session: LeaderSessionId,
    states: BTreeMap<ExecutionVertexId, (u64, u32)>,
}

/// Remembers what masters and tasks said last.
#[derive(Default)]
pub struct OneAttempt {
    masters: BTreeMap<(Process, JobId), Present>,
    tasks: BTreeMap<ExecutionAttemptId, (Process, u32)>,
}

/// Where a state stands in the life of an attempt; its ends are one.
fn rank(state: ExecutionState) -> u32 {
    match state {
        ExecutionState::Created => 1,
        ExecutionState::Deploying => 2,
        ExecutionState::Initializing => 3,
        ExecutionState::Running => 4,
        ExecutionState::Canceling => 5,
        ExecutionState::Finished | ExecutionState::Canceled | ExecutionState::Failed => ENDED,
    }
}

const ENDED: u32 = 6;

impl ClusterInvariant for OneAttempt {
    fn title(&self) -> &'static str {
        "E1 one-attempt"
    }

    fn promise(&self) -> &'static str {
        "a subtask has one attempt at a time, and what has ended stays ended"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Task, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Task(TaskEvent::StateChanged { attempt, state, .. }) => {
                self.task_changed(at, *attempt, *state)
            }
            EventRef::Job(JobEvent::Scheduled { job, session, epoch, vertices, .. }) => {
                self.scheduled(at, (*job, *session), *epoch, vertices)
            }
            EventRef::Job(JobEvent::ExecutionChanged { attempt, state }) => {
                self.execution_changed(at, *attempt, *state)
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.masters.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl OneAttempt {
    fn scheduled(
        &mut self,
        at: Moment,
        (job, session): (JobId, LeaderSessionId),
        epoch: u64,
        vertices: &[ExecutionVertexId],
    ) -> Check {
        // What of a subtask has ended long ago is not heard of again.
        self.tasks.retain(|of, (_, rank)| {
            let replaced = of.job == job && vertices.contains(&of.vertex);
            !replaced || of.epoch + 100 > epoch || *rank < ENDED
        });
        let fresh = || Present { session, states: BTreeMap::new() };
        let present = self.masters.entry((at.process, job)).or_insert_with(fresh);
        if present.session != session {
            *present = fresh();
        }
        let mut alive = None;
        for vertex in vertices {
            let before = present.states.insert(*vertex, (epoch, 0));
            alive = alive.or(before.filter(|(_, rank)| *rank < ENDED).map(|of| (*vertex, of.0)));
        }
        Check::that(alive.is_none(), || {
            let now = format!("{at}: epoch {epoch} of {vertices:?} is scheduled");
            (format!("{alive:?} has not ended"), now)
        })
    }

    fn execution_changed(
        &mut self,
        at: Moment,
        attempt: ExecutionAttemptId,
        state: ExecutionState,
    ) -> Check {
        let now = format!("{at}: the master says that {attempt:?} is {state}");
        let present = self.masters.get_mut(&(at.process, attempt.job));
        let known = present.and_then(|present| present.states.get_mut(&attempt.vertex));
        let Some((epoch, before)) = known else {
            return Check::broken("it has scheduled nothing of that subtask", now);
        };
        if *epoch != attempt.epoch {
            return Check::broken(format!("its epoch is {epoch}"), now);
        }
        let before = std::mem::replace(before, rank(state));
        Check::that(before < rank(state), || ("it was so far or farther".to_string(), now))
    }

    fn task_changed(
        &mut self,
        at: Moment,
        attempt: ExecutionAttemptId,
        state: ExecutionState,
    ) -> Check {
        let before = self.tasks.insert(attempt, (at.process, rank(state)));
        let fits = match before {
            None => state == ExecutionState::Initializing,
            Some((process, before)) => process == at.process && before < rank(state),
        };
        Check::that(fits, || {
            (format!("it was at {before:?}"), format!("{at}: {attempt:?} is {state}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, OneAttempt};

    /// The graph of a job of one vertex with so many subtasks.
    fn execution(vertex: u32, epoch: u64, state: ExecutionState) -> JobEvent {
        JobEvent::ExecutionChanged { attempt: attempt(vertex, epoch), state }
    }

    fn task(epoch: u64, state: ExecutionState) -> TaskEvent {
        TaskEvent::StateChanged { attempt: attempt(0, epoch), state, reason: String::new() }
    }

    fn running() -> History<OneAttempt> {
        History::new()
            .holds(process(1, 1), scheduled(1, 1, None))
            .holds(process(1, 1), execution(0, 1, ExecutionState::Initializing))
            .holds(process(1, 1), execution(0, 1, ExecutionState::Running))
            .holds(process(3, 1), task(1, ExecutionState::Initializing))
            .holds(process(3, 1), task(1, ExecutionState::Running))
    }

    #[test]
    fn one_epoch_after_the_other_is_accepted() {
        running()
            .holds(process(3, 1), task(1, ExecutionState::Failed))
            .holds(process(1, 1), execution(0, 1, ExecutionState::Failed))
            .holds(process(1, 1), scheduled(1, 2, None))
            .holds(process(3, 1), task(2, ExecutionState::Initializing))
            .holds(process(1, 1), scheduled(2, 3, None))
            .holds(process(1, 1), ended())
            .holds(process(1, 2), scheduled(3, 4, None));
    }

    #[test]
    fn a_new_epoch_beside_a_living_attempt_is_refused() {
        running().breaks(process(1, 1), scheduled(1, 2, None));
    }

    #[test]
    fn a_new_epoch_while_an_attempt_was_never_heard_of_is_refused() {
        History::<OneAttempt>::new()
            .holds(process(1, 1), scheduled_of(1, 1, &[0, 1]))
            .holds(process(1, 1), execution(0, 1, ExecutionState::Canceled))
            .breaks(process(1, 1), scheduled_of(1, 2, &[0, 1]));
    }

    #[test]
    fn a_region_may_begin_anew_while_another_runs() {
        let two = || {
            History::<OneAttempt>::new()
                .holds(process(1, 1), scheduled_of(1, 1, &[0]))
                .holds(process(1, 1), scheduled_of(1, 2, &[1]))
                .holds(process(1, 1), execution(0, 1, ExecutionState::Running))
                .holds(process(1, 1), execution(1, 2, ExecutionState::Failed))
        };
        two()
            .holds(process(1, 1), scheduled_of(1, 3, &[1]))
            .holds(process(1, 1), execution(0, 1, ExecutionState::Failed));
        two().breaks(process(1, 1), scheduled_of(1, 3, &[0, 1]));
    }

    #[test]
    fn a_word_of_another_epoch_or_of_what_has_ended_is_refused() {
        running().breaks(process(1, 1), execution(0, 2, ExecutionState::Running));
        running().breaks(process(2, 1), execution(0, 1, ExecutionState::Failed));
        running()
            .holds(process(1, 1), execution(0, 1, ExecutionState::Finished))
            .breaks(process(1, 1), execution(0, 1, ExecutionState::Failed));
    }

    #[test]
    fn a_task_that_begins_twice_or_speaks_after_its_end_is_refused() {
        running().breaks(process(4, 1), task(1, ExecutionState::Initializing));
        running().breaks(process(3, 1), task(1, ExecutionState::Initializing));
        running()
            .holds(process(3, 1), task(1, ExecutionState::Canceled))
            .breaks(process(3, 1), task(1, ExecutionState::Failed));
        running().breaks(process(3, 1), task(2, ExecutionState::Running));
    }
}
