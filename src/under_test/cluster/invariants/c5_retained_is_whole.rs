//! C5: while a pointer is durable and its job has no result, the metadata and every state that the
//! checkpoint stands on are on the object store. Judged on the services' logs; which states those are is
//! the word of the master that triggered it.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, Moved, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        graph::StateBackend,
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        service::object_store::ObjectStoreEvent,
        store::CheckpointPointer,
        task_executor::state_object,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Checkpoint = (JobId, CheckpointId);

/// Remembers the states of each plan, and which objects durable pointers need.
#[derive(Default)]
pub struct RetainedIsWhole {
    plans: BTreeMap<Checkpoint, Vec<String>>,
    /// With the checkpoints that need them: several may share a file.
    needed: BTreeMap<String, BTreeSet<Checkpoint>>,
}

impl ClusterInvariant for RetainedIsWhole {
    fn title(&self) -> &'static str {
        "C5 retained-is-whole"
    }

    fn promise(&self) -> &'static str {
        "nothing that a durable pointer stands on is deleted before its job has ended"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Job, EventKind::ObjectStore]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, plan, .. }) => {
                let states = plan.iter().map(|attempt| state_object(*attempt, *checkpoint));
                self.plans.insert((*job, *checkpoint), states.collect());
                Check::Ignored
            }
            EventRef::Job(JobEvent::FilesNamed { attempt, checkpoint, files }) => {
                if let Some(names) = self.plans.get_mut(&(attempt.job, *checkpoint)) {
                    names.extend(files.iter().cloned());
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointAborted { job, checkpoint, .. }) => {
                self.plans.remove(&(*job, *checkpoint));
                Check::Ignored
            }
            EventRef::Coordination(event) => {
                let moved = moved(event, model);
                let checks = moved.iter().map(|moved| self.take(at, moved, model));
                checks.fold(Check::Ignored, Check::and)
            }
            EventRef::ObjectStore(ObjectStoreEvent::Deleted { names }) => {
                self.check(at, names.iter().find(|name| self.needed.contains_key(*name)))
            }
            EventRef::ObjectStore(ObjectStoreEvent::Sealed { removed, .. }) => {
                self.check(at, removed.iter().find(|name| self.needed.contains_key(*name)))
            }
            EventRef::ObjectStore(ObjectStoreEvent::Recovered { objects, .. }) => {
                let found: BTreeSet<&String> = objects.iter().map(|(name, _, _)| name).collect();
                self.check(at, self.needed.keys().find(|name| !found.contains(name)))
            }
            _ => Check::Ignored,
        }
    }
}

impl RetainedIsWhole {
    fn check(&self, at: Moment, lost: Option<&String>) -> Check {
        match lost {
            None => Check::Passed,
            Some(lost) => Check::broken(
                match self.needed.get(lost).and_then(BTreeSet::first) {
                    Some((_, checkpoint)) => {
                        format!("the durable pointer of {checkpoint:?} stands on it")
                    }
                    None => "a pointer stands on it that is durable now".to_string(),
                },
                format!("{at}: {lost} is gone"),
            ),
        }
    }

    fn take(&mut self, at: Moment, moved: &Moved<'_>, model: &Model) -> Check {
        let job = moved.job;
        match (moved.kept, moved.after) {
            (Kept::Stored(StoredPart::Result), Some(_)) => {
                self.plans.retain(|(of, _), _| *of != job);
                self.forget(|(of, _)| *of == job);
            }
            (Kept::Stored(StoredPart::Pointer(id)), None) => {
                self.forget(|of| *of == (job, id));
            }
            (Kept::Stored(StoredPart::Pointer(id)), Some(value)) => {
                return self.keep(at, (job, id), value, model);
            }
            _ => {}
        }
        Check::Ignored
    }

    fn forget(&mut self, gone: impl Fn(&Checkpoint) -> bool) {
        self.needed.retain(|_, by| {
            by.retain(|checkpoint| !gone(checkpoint));
            !by.is_empty()
        });
    }

    fn keep(&mut self, at: Moment, of: Checkpoint, value: &[u8], model: &Model) -> Check {
        let mut names = self.plans.remove(&of).unwrap_or_default();
        let is_inline =
            model.graph(of.0).is_some_and(|graph| graph.state_backend == StateBackend::Memory);
        if is_inline {
            // The parts are in the metadata.
            names.clear();
        }
        names.extend(postcard::from_bytes(value).ok().map(|p: CheckpointPointer| p.metadata));
        let lost = names.iter().find(|name| !model.objects.contains(*name)).cloned();
        for name in names {
            self.needed.entry(name).or_default().insert(of);
        }
        self.plans.retain(|(job, id), _| *job != of.0 || id.0 > of.1.0);
        self.check(at, lost.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, RetainedIsWhole, state_object};

    fn state(id: u64) -> String {
        state_object(attempt(0, 1), CheckpointId(id))
    }

    fn with(history: History<RetainedIsWhole>, id: u64) -> History<RetainedIsWhole> {
        history
            .holds(process(1, 1), triggered(id, &[attempt(0, 1)]))
            .holds(process(5, 1), stored(state(id)))
            .holds(process(5, 1), stored(metadata(id)))
    }

    fn durable() -> History<RetainedIsWhole> {
        with(with(History::new(), 3), 4).holds(process(0, 1), committed(1, vec![pointer(3)]))
    }

    fn deleted(names: &[String]) -> ObjectStoreEvent {
        ObjectStoreEvent::Deleted { names: names.to_vec() }
    }

    fn found(names: &[String]) -> ObjectStoreEvent {
        let objects = names.iter().map(|name| (name.clone(), 1, 1)).collect();
        ObjectStoreEvent::Recovered { objects, sealed: vec![] }
    }

    #[test]
    fn what_nobody_points_to_may_go() {
        durable()
            .holds(process(5, 2), found(&[state(3), metadata(3), state(4), metadata(4)]))
            .holds(process(0, 1), committed(2, vec![pointer(4), no_pointer(3)]))
            .holds(process(5, 2), deleted(&[state(3), metadata(3)]))
            .holds(process(0, 1), committed(3, vec![result(true, JobStatus::Failed)]))
            .holds(process(5, 2), deleted(&[state(4), metadata(4)]));
    }

    #[test]
    fn the_loss_of_what_a_pointer_stands_on_is_refused() {
        durable().breaks(process(5, 1), deleted(&[state(3)]));
        durable().breaks(process(5, 1), deleted(&[metadata(3)]));
        durable().breaks(process(5, 2), found(&[metadata(3)]));
        let sealed = ObjectStoreEvent::Sealed { prefix: JOB.to_string(), removed: vec![state(3)] };
        durable().breaks(process(5, 1), sealed);
    }

    #[test]
    fn a_pointer_whose_objects_are_gone_is_refused() {
        durable()
            .holds(process(5, 1), deleted(&[state(4)]))
            .breaks(process(0, 1), committed(2, vec![pointer(4)]));
    }

    #[test]
    fn a_file_that_two_checkpoints_share_stays_for_the_one_that_is_left() {
        let file = || format!("{JOB}/shared/f");
        let named = |id| JobEvent::FilesNamed {
            attempt: attempt(0, 1),
            checkpoint: CheckpointId(id),
            files: vec![file()],
        };
        let shared = || {
            with(
                with(History::new().holds(process(5, 1), stored(file())), 3)
                    .holds(process(1, 1), named(3)),
                4,
            )
            .holds(process(1, 1), named(4))
            .holds(process(0, 1), committed(1, vec![pointer(3)]))
            .holds(process(0, 1), committed(2, vec![pointer(4), no_pointer(3)]))
        };
        shared().breaks(process(5, 1), deleted(&[file()]));
        shared()
            .holds(process(0, 1), committed(3, vec![no_pointer(4)]))
            .holds(process(5, 1), deleted(&[file()]));
    }
}
