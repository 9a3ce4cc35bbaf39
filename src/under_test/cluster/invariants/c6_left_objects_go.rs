//! C6: what a checkpoint leaves that came to nothing goes while its job runs, not only with it. An object that was written for
//! a checkpoint older than the newest complete one, and that no checkpoint with a pointer stands on, is gone before long,
//! as long as one master completes checkpoints: then the services answer. Which objects there are, what pointers stand and on
//! what they stand is by the services' own logs; that a checkpoint is complete, and that it is being copied, is the master's
//! word. Copies for savepoints are not judged, nor is what a master leaves that completes no checkpoint.

use super::{Check, ClusterInvariant, stored::StoredPart};
use crate::{
    harness::event::Moment,
    host::sim::NodeId,
    system::{
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        service::object_store::ObjectStoreEvent,
        store::{CompletedCheckpoint, StoreKey, object_prefix, pointer_prefix},
    },
    under_test::cluster::{EventKind, EventRef, Model, bounds::TimeBounds},
};
use std::collections::{BTreeMap, BTreeSet};

/// A node and its incarnation.
type Process = (NodeId, u64);

/// So many it completes meanwhile at least: one that stands still removes nothing.
const COMPLETED_MIN: u32 = 4;

/// Since when an object is left.
struct Left {
    since: Moment,
    /// Checkpoints that were completed since then.
    completed: u32,
}

/// Remembers what checkpoints stand on, and what is left.
#[derive(Default)]
pub struct LeftObjectsGo {
    bounds: TimeBounds,
    /// The objects that each checkpoint names whose metadata was stored.
    named: BTreeMap<(JobId, CheckpointId), BTreeSet<String>>,
    /// The checkpoints of which copies are made, or were.
    copied: BTreeSet<(JobId, CheckpointId)>,
    /// By the process of the master under which it was seen first.
    left: BTreeMap<(Process, JobId), BTreeMap<String, Left>>,
}

/// The checkpoint for which an object was written, by its name below its job's prefix; and whether it is a file that other
/// checkpoints may name.
fn written_for(name: &str) -> Option<(CheckpointId, bool)> {
    let (id, is_shared) = match name.strip_prefix("chk-") {
        Some(rest) => (rest.split('/').next()?, false),
        None => (name.strip_prefix("shared/")?.rsplit('-').next()?, true),
    };
    Some((CheckpointId(id.parse().ok()?), is_shared))
}

impl LeftObjectsGo {
    /// Nothing is left yet.
    pub fn new(bounds: TimeBounds) -> Self {
        LeftObjectsGo { bounds, ..LeftObjectsGo::default() }
    }

    /// The checkpoints of a job whose pointers stand.
    fn pointers(model: &Model, job: JobId) -> BTreeSet<CheckpointId> {
        let prefix = pointer_prefix(job);
        let keys = model.keys.range(prefix.clone()..).map(|(key, _)| key);
        let own =
            keys.take_while(|key| key.starts_with(&prefix)).filter_map(|key| StoreKey::parse(key));
        own.filter_map(|key| match key.part {
            StoredPart::Pointer(id) => Some(id),
            _ => None,
        })
        .collect()
    }

    /// The objects that nobody needs now that this checkpoint is complete.
    fn unneeded(&self, model: &Model, job: JobId, newest: CheckpointId) -> Vec<String> {
        let pointers = Self::pointers(model, job);
        let is_kept =
            |id: &CheckpointId| pointers.contains(id) || self.copied.contains(&(job, *id));
        let kept = self.named.iter().filter(|((of, id), _)| *of == job && is_kept(id));
        let kept: Vec<_> = kept.collect();
        // What it stands on was synced and its server died before it told: then nothing shows.
        if !kept.iter().any(|((_, id), _)| *id == newest) {
            return Vec::new();
        }
        let prefix = object_prefix(job);
        let all =
            model.objects.range(prefix.clone()..).take_while(|name| name.starts_with(&prefix));
        let is_left = |object: &&String| match written_for(&object[prefix.len()..]) {
            Some((of, _)) if of.0 >= newest.0 => false,
            Some((_, true)) => !kept.iter().any(|(_, named)| named.contains(*object)),
            Some((of, false)) => !is_kept(&of),
            None => false,
        };
        all.filter(is_left).cloned().collect()
    }

    fn completed(&mut self, at: Moment, job: JobId, newest: CheckpointId, model: &Model) -> Check {
        let (unneeded, bound) = (self.unneeded(model, job, newest), self.bounds.left_objects);
        let left = self.left.entry((at.process, job)).or_default();
        left.retain(|name, _| unneeded.contains(name));
        let mut check = Check::Passed;
        for name in unneeded {
            let known = left.entry(name.clone()).or_insert(Left { since: at, completed: 0 });
            known.completed += 1;
            let (since, completed) = (known.since, known.completed);
            let is_due = at.time.saturating_sub(since.time) > bound && completed > COMPLETED_MIN;
            check = check.and(Check::that(!is_due, || {
                let before = format!("{since}: {name} is needed no more");
                (before, format!("{at}: {newest:?} is complete, and it is still there"))
            }));
        }
        check
    }
}

impl ClusterInvariant for LeftObjectsGo {
    fn title(&self) -> &'static str {
        "C6 left-objects-go"
    }

    fn promise(&self) -> &'static str {
        "what checkpoints leave that came to nothing goes while the job runs"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::ObjectStore]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::ObjectStore(ObjectStoreEvent::Stored { name, content, .. }) => {
                let job = name.split('/').next().and_then(|job| job.parse().ok());
                if let (Some(job), true) = (job, name.ends_with("/metadata"))
                    && let Ok(checkpoint) = postcard::from_bytes::<CompletedCheckpoint>(&content.0)
                {
                    let parts = checkpoint.states.iter().map(|(_, state)| state);
                    let files = parts.flat_map(|state| &state.shared);
                    let files = files.map(|file| file.object.clone()).collect();
                    self.named.insert((job, checkpoint.id), files);
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::SavepointTriggered { job, checkpoint, .. }) => {
                self.copied.insert((*job, *checkpoint));
                Check::Ignored
            }
            // The last one may be copied before the job ends, and what is left then goes with it.
            EventRef::Job(JobEvent::CheckpointCompleted { last: true, .. }) => Check::Ignored,
            EventRef::Job(JobEvent::CheckpointCompleted { job, checkpoint, .. }) => {
                self.completed(at, *job, *checkpoint, model)
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, LeftObjectsGo};
    use crate::system::{
        graph::{SharedFile, StateHandle},
        store::CompletedCheckpoint,
    };
    use std::time::Duration;

    fn file(of: u64) -> String {
        format!("{JOB}/shared/00000000000000aa-0000000001-{of}")
    }

    /// A checkpoint that names these files, with its pointer, told as complete by the first process of a node.
    fn complete(history: History<LeftObjectsGo>, id: u64, files: &[u64]) -> History<LeftObjectsGo> {
        let shared = |of: &u64| SharedFile { object: file(*of), length: 1, is_new: *of == id };
        let object = format!("{JOB}/chk-{id}/0-0-1");
        let mut state = StateHandle::object(object.clone(), 1);
        state.shared = files.iter().map(shared).collect();
        let states = vec![(subtask(0), state)];
        let checkpoint =
            CompletedCheckpoint { id: CheckpointId(id), states, last: false, savepoint: None };
        let encoded = postcard::to_allocvec(&checkpoint).expect("it can be encoded");
        let mut changes = vec![pointer(id)];
        if id > 1 {
            changes.push(no_pointer(id - 1));
        }
        history
            .holds(process(2, 1), stored(object))
            .holds(process(2, 1), stored_with(metadata(id), encoded))
            .holds(process(0, 1), committed(id, changes))
    }

    fn gone(history: History<LeftObjectsGo>, id: u64) -> History<LeftObjectsGo> {
        let names = vec![format!("{JOB}/chk-{id}/0-0-1"), metadata(id)];
        history.holds(process(2, 1), ObjectStoreEvent::Deleted { names })
    }

    /// Completes checkpoints from 1 up to the one before `last`, removing each as the next one is complete.
    fn up_to(
        mut history: History<LeftObjectsGo>,
        last: u64,
        files: &[u64],
    ) -> History<LeftObjectsGo> {
        for id in 1..last {
            history = complete(history, id, files).holds(process(1, 1), completed(id));
            if id > 1 {
                history = gone(history, id - 1);
            }
            history = history.after(Duration::from_secs(5));
        }
        complete(history, last, files)
    }

    fn with(object: &str) -> History<LeftObjectsGo> {
        History::new().holds(process(2, 1), stored(object))
    }

    #[test]
    fn what_is_named_and_what_goes_in_time_is_accepted() {
        up_to(with(&file(0)), 9, &[0]).holds(process(1, 1), completed(9));
        let late = up_to(with(&format!("{JOB}/chk-0/0-0-1")), 3, &[]);
        let names = vec![format!("{JOB}/chk-0/0-0-1")];
        let late = late.holds(process(2, 1), ObjectStoreEvent::Deleted { names });
        late.after(Duration::from_secs(60)).holds(process(1, 1), completed(3));
    }

    #[test]
    fn a_part_and_a_file_of_a_checkpoint_that_came_to_nothing_are_refused_when_they_stay() {
        up_to(with(&format!("{JOB}/chk-0/0-0-1")), 5, &[]).breaks(process(1, 1), completed(5));
        up_to(with(&file(0)), 5, &[]).breaks(process(1, 1), completed(5));
        // Something else of the job is not of its checkpoints.
        up_to(with(&format!("{JOB}/sink-0/part-1")), 6, &[]).holds(process(1, 1), completed(6));
    }

    #[test]
    fn another_master_and_one_that_stood_still_have_their_time() {
        let left = up_to(with(&format!("{JOB}/chk-0/0-0-1")), 5, &[]);
        left.holds(process(4, 1), completed(5));
        let few = up_to(with(&format!("{JOB}/chk-0/0-0-1")), 3, &[]);
        few.after(Duration::from_secs(60)).holds(process(1, 1), completed(3));
    }

    #[test]
    fn a_checkpoint_that_is_copied_has_its_time() {
        let path = "savepoints/one".to_string();
        let then = crate::system::protocol::AfterSavepoint::GoOn;
        let triggered =
            JobEvent::SavepointTriggered { job: JOB, checkpoint: CheckpointId(0), path, then };
        let copied = with(&format!("{JOB}/chk-0/0-0-1")).holds(process(1, 1), triggered);
        up_to(copied, 6, &[]).holds(process(1, 1), completed(6));
    }
}
