//! C2: a pointer becomes durable only when every attempt of its plan has acknowledged the checkpoint
//! and the object store has stored the state of each of them. The plan and the acknowledgements are the
//! master's word; the objects and the pointer are the services'.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        graph::StateBackend,
        ids::{CheckpointId, ExecutionAttemptId, JobId},
        job_manager::JobEvent,
        task_executor::state_object,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Checkpoint = (JobId, CheckpointId);

#[derive(Default)]
struct Plan {
    attempts: Vec<ExecutionAttemptId>,
    acknowledged: BTreeSet<ExecutionAttemptId>,
}

/// Remembers the plans of what is under way.
#[derive(Default)]
pub struct CompleteMeansAll {
    plans: BTreeMap<Checkpoint, Plan>,
}

impl ClusterInvariant for CompleteMeansAll {
    fn title(&self) -> &'static str {
        "C2 complete-means-all"
    }

    fn promise(&self) -> &'static str {
        "a checkpoint is complete only when every attempt of its plan has acknowledged it durably"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Coordination(event) => {
                let mut check = Check::Ignored;
                for moved in moved(event, model).iter().filter(|moved| moved.after.is_some()) {
                    if let Kept::Stored(StoredPart::Pointer(id)) = moved.kept {
                        check = check.and(self.check(at, (moved.job, id), model));
                    }
                }
                check
            }
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, plan, .. }) => {
                let plan = Plan { attempts: plan.clone(), acknowledged: BTreeSet::new() };
                self.plans.insert((*job, *checkpoint), plan);
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointAcknowledged { checkpoint, attempt }) => {
                if let Some(plan) = self.plans.get_mut(&(attempt.job, *checkpoint)) {
                    plan.acknowledged.insert(*attempt);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl CompleteMeansAll {
    fn check(&mut self, at: Moment, of: Checkpoint, model: &Model) -> Check {
        let (job, id) = of;
        let plan = self.plans.remove(&of);
        // What is older can't be completed any more; C1 says so.
        self.plans.retain(|(other, older), _| *other != job || older.0 > id.0);
        let now = || format!("{at}: {id:?} of {job:?} is durable");
        let Some(plan) = plan else { return Check::broken("nobody triggered it", now()) };
        let silent = plan.attempts.iter().find(|attempt| !plan.acknowledged.contains(attempt));
        if let Some(silent) = silent {
            return Check::broken(format!("{silent:?} has not acknowledged it"), now());
        }
        // The parts may be in the metadata itself.
        let in_objects =
            model.graph(job).is_none_or(|graph| graph.state_backend != StateBackend::Memory);
        let attempts = plan.attempts.iter().filter(|_| in_objects);
        let absent = attempts.map(|attempt| state_object(*attempt, id));
        match absent.filter(|name| !model.objects.contains(name)).min() {
            Some(absent) => Check::broken(format!("{absent} is not stored"), now()),
            None => Check::that(!plan.attempts.is_empty(), || ("its plan is empty".into(), now())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, CompleteMeansAll, state_object};

    fn object(vertex: u32) -> ObjectStoreEvent {
        stored(state_object(attempt(vertex, 1), CheckpointId(3)))
    }

    fn half() -> History<CompleteMeansAll> {
        History::new()
            .holds(process(1, 1), triggered(2, &[attempt(0, 1)]))
            .holds(process(1, 1), triggered(3, &[attempt(0, 1), attempt(1, 1)]))
            .holds(process(5, 1), object(0))
            .holds(process(1, 1), acknowledged(3, attempt(0, 1)))
    }

    #[test]
    fn a_whole_checkpoint_is_accepted() {
        let whole = || {
            half()
                .holds(process(5, 1), object(1))
                .holds(process(1, 1), acknowledged(3, attempt(1, 1)))
        };
        whole().holds(process(0, 1), committed(1, vec![pointer(3)]));
        whole().holds(process(0, 2), recovered(1, vec![pointer(3)]));
    }

    #[test]
    fn one_that_lacks_a_part_is_refused() {
        half()
            .holds(process(5, 1), object(1))
            .breaks(process(0, 1), committed(1, vec![pointer(3)]));
        half()
            .holds(process(1, 1), acknowledged(3, attempt(1, 1)))
            .breaks(process(0, 1), committed(1, vec![pointer(3)]));
    }

    #[test]
    fn one_that_nobody_triggered_is_refused() {
        half().breaks(process(0, 1), committed(1, vec![pointer(4)]));
        half().breaks(process(0, 2), recovered(1, vec![pointer(4)]));
    }
}
