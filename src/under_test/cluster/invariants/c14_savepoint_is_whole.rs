//! C14: where a savepoint's metadata lies on the object store, there lie all its parts, then and from then on: it is
//! its user's, and nothing that a cluster does removes it. A client is told of none that is not so, and a master that is to
//! drain its job does not end it without the savepoint. Judged on the object store's log; how many parts a job's savepoint
//! has is by the job's graph, as it is kept.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::NodeId,
    system::{
        client::ClientEvent,
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        protocol::{AfterSavepoint, JobStatus},
        service::object_store::ObjectStoreEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model, plain},
};
use std::collections::{BTreeMap, BTreeSet};

/// A node and its incarnation.
type Process = (NodeId, u64);

/// Remembers which parts each savepoint has.
#[derive(Default)]
pub struct SavepointIsWhole {
    /// By path: the job, and how many subtasks it has.
    wanted: BTreeMap<String, (JobId, usize)>,
    /// By path of those whose metadata is there: the parts. Where two masters have copied a checkpoint each, and both
    /// wholly, it does not show of which the metadata is, and one of the two stays.
    whole: BTreeMap<String, Vec<BTreeSet<String>>>,
    /// With which savepoint a master is to end its job once that has been drained.
    drains: BTreeMap<(Process, JobId), String>,
    /// Of which checkpoint each master makes a savepoint, and whether that is complete.
    taken: BTreeMap<(Process, String), (JobId, CheckpointId, bool)>,
    /// The jobs that have ended, as their masters know it.
    ended: BTreeSet<JobId>,
}

/// The path of the savepoint whose metadata has that name.
fn path_of(name: &str) -> Option<&str> {
    name.strip_suffix("/_metadata")
}

impl ClusterInvariant for SavepointIsWhole {
    fn title(&self) -> &'static str {
        "C14 savepoint-is-whole"
    }

    fn promise(&self) -> &'static str {
        "a savepoint has all its parts from the moment on at which it is one, and keeps them"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::ObjectStore, EventKind::Client]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::SavepointTriggered { job, checkpoint, path, .. }) => {
                self.taken.insert((at.process, path.clone()), (*job, *checkpoint, false));
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointCompleted { job, checkpoint, .. }) => {
                for ((process, _), (of, id, is_complete)) in &mut self.taken {
                    *is_complete |= (*process, *of, *id) == (at.process, *job, *checkpoint);
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::SavepointFailed { job, path, why }) => {
                let taken = self.taken.remove(&(at.process, path.clone()));
                let may_fail =
                    !taken.is_some_and(|(.., is_complete)| is_complete) || self.ended.contains(job);
                Check::that(may_fail, || {
                    let before = format!("the checkpoint of which {path} is made is complete");
                    (before, format!("{at}: it comes to nothing: {why}"))
                })
            }
            EventRef::Job(JobEvent::StatusChanged { job, status, .. })
                if plain::is_end(*status) =>
            {
                self.ended.insert(*job);
                if *status != JobStatus::Finished {
                    return Check::Ignored;
                }
                let Some(path) = self.drains.get(&(at.process, *job)) else {
                    return Check::Ignored;
                };
                Check::that(self.whole.contains_key(path), || {
                    let before = format!("{job:?} is drained, and {path} is not whole");
                    (before, format!("{at}: it is Finished"))
                })
            }
            EventRef::Job(JobEvent::SavepointRequested { job, path, then, .. }) => {
                if *then == AfterSavepoint::Drain {
                    self.drains.insert((at.process, *job), path.clone());
                }
                if let Some(graph) = model.graph(*job) {
                    self.wanted.insert(path.clone(), (*job, graph.subtasks() as usize));
                }
                Check::Ignored
            }
            EventRef::ObjectStore(ObjectStoreEvent::Stored { name, .. }) => {
                path_of(name).map_or(Check::Ignored, |path| self.stored(at, path, model))
            }
            EventRef::ObjectStore(
                ObjectStoreEvent::Deleted { names }
                | ObjectStoreEvent::Sealed { removed: names, .. },
            ) => self.removed(at, names.iter()),
            EventRef::ObjectStore(ObjectStoreEvent::Recovered { objects, .. }) => {
                let found: BTreeSet<&String> = objects.iter().map(|(name, ..)| name).collect();
                let gone = model.objects.iter().filter(|name| !found.contains(name));
                let check = self.removed(at, gone);
                // What was synced but not announced before a crash shows only here.
                let new = objects.iter().filter_map(|(name, ..)| path_of(name));
                for path in new.filter(|path| !self.whole.contains_key(*path)).collect::<Vec<_>>() {
                    let own = found.range(format!("{path}/")..);
                    let own = own.take_while(|name| name.starts_with(path));
                    let own = own.map(|name| (*name).clone()).collect();
                    self.whole.insert(path.to_string(), vec![own]);
                }
                check
            }
            EventRef::Client(ClientEvent::SavepointTold { path, .. }) => {
                Check::that(self.whole.contains_key(path), || {
                    let before = format!("no metadata lies under {path}");
                    (before, format!("{at}: a client is told that it is whole"))
                })
            }
            _ => Check::Ignored,
        }
    }
}

impl SavepointIsWhole {
    fn stored(&mut self, at: Moment, path: &str, model: &Model) -> Check {
        let prefix = format!("{path}/chk-");
        let mut parts = BTreeMap::<&str, BTreeSet<String>>::new();
        let all = model.objects.range(prefix.clone()..);
        for name in all.take_while(|name| name.starts_with(&prefix)) {
            let checkpoint = name[prefix.len()..].split('/').next().unwrap_or_default();
            parts.entry(checkpoint).or_default().insert(name.clone());
        }
        // Its user may have put it there.
        let Some((job, count)) = self.wanted.get(path) else { return Check::Ignored };
        let whole: Vec<_> = parts.into_values().filter(|parts| parts.len() == *count).collect();
        match whole.is_empty() {
            false => {
                self.whole.insert(path.to_string(), whole);
                Check::Passed
            }
            true => Check::broken(
                format!("{job:?} has {count} subtasks"),
                format!("{at}: the metadata of {path} is there, and not the parts of all"),
            ),
        }
    }

    fn removed<'a>(&mut self, at: Moment, names: impl Iterator<Item = &'a String>) -> Check {
        for name in names {
            let mut is_gone = path_of(name).is_some_and(|path| self.whole.contains_key(path));
            for copies in self.whole.values_mut() {
                copies.retain(|parts| !parts.contains(name));
                is_gone |= copies.is_empty();
            }
            if is_gone {
                let removed = format!("{at}: {name} is removed");
                return Check::broken("a savepoint is its user's", removed);
            }
        }
        Check::Ignored
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ClientEvent, ObjectStoreEvent, SavepointIsWhole};
    use crate::system::{
        graph::{CheckpointSettings, RestartStrategy},
        leadership::LeaderSessionId,
        protocol::AfterSavepoint,
    };

    const PATH: &str = "savepoints/one";

    fn stored(name: &str) -> ObjectStoreEvent {
        super::super::testing_jobs::stored(format!("{PATH}/{name}"))
    }

    fn deleted(name: &str) -> ObjectStoreEvent {
        ObjectStoreEvent::Deleted { names: vec![format!("{PATH}/{name}")] }
    }

    fn told() -> ClientEvent {
        let (path, then) = (PATH.to_string(), AfterSavepoint::GoOn);
        ClientEvent::SavepointTold { job: JOB, path, then }
    }

    /// A job of two subtasks, of which a savepoint is wanted.
    fn wanted() -> History<SavepointIsWhole> {
        let (path, then) = (PATH.to_string(), AfterSavepoint::GoOn);
        let session = LeaderSessionId(1);
        let requested = JobEvent::SavepointRequested { job: JOB, session, path, then };
        let graph = graph_of_subtasks(2, CheckpointSettings::default(), RestartStrategy::None);
        History::new()
            .holds(process(0, 1), committed(1, vec![graph]))
            .holds(process(1, 1), requested)
    }

    fn whole() -> History<SavepointIsWhole> {
        wanted()
            .holds(process(2, 1), stored("chk-3/0-0"))
            .holds(process(2, 1), stored("chk-4/0-0"))
            .holds(process(2, 1), stored("chk-4/0-1"))
            .holds(process(2, 1), stored("_metadata"))
    }

    #[test]
    fn metadata_behind_all_parts_is_accepted_and_what_is_left_beside_may_go() {
        whole().holds(process(5, 1), told()).holds(process(2, 1), deleted("chk-3/0-0"));
        let both = || {
            wanted()
                .holds(process(2, 1), stored("chk-3/0-0"))
                .holds(process(2, 1), stored("chk-3/0-1"))
                .holds(process(2, 1), stored("chk-4/0-0"))
                .holds(process(2, 1), stored("chk-4/0-1"))
                .holds(process(2, 1), stored("_metadata"))
                .holds(process(2, 1), deleted("chk-3/0-0"))
        };
        both().breaks(process(2, 1), deleted("chk-4/0-0"));
    }

    #[test]
    fn metadata_before_the_last_part_is_refused() {
        wanted()
            .holds(process(2, 1), stored("chk-4/0-0"))
            .breaks(process(2, 1), stored("_metadata"));
    }

    #[test]
    fn a_drained_job_without_its_savepoint_is_refused() {
        let session = LeaderSessionId(1);
        let then = AfterSavepoint::Drain;
        let requested =
            || JobEvent::SavepointRequested { job: JOB, session, path: PATH.to_string(), then };
        let finished =
            || JobEvent::StatusChanged { job: JOB, session, status: JobStatus::Finished };
        whole().holds(process(1, 1), requested()).holds(process(1, 1), finished());
        wanted().holds(process(1, 1), finished());
        wanted().holds(process(1, 1), requested()).breaks(process(1, 1), finished());
    }

    #[test]
    fn a_savepoint_whose_checkpoint_is_complete_is_not_lost_while_its_job_goes_on() {
        let path = || PATH.to_string();
        let checkpoint = CheckpointId(4);
        let then = AfterSavepoint::GoOn;
        let triggered =
            || JobEvent::SavepointTriggered { job: JOB, checkpoint, path: path(), then };
        let completed = || completed(checkpoint.0);
        let failed = || JobEvent::SavepointFailed { job: JOB, path: path(), why: "x".to_string() };
        let session = LeaderSessionId(1);
        let ended = || JobEvent::StatusChanged { job: JOB, session, status: JobStatus::Canceled };
        let taken = || wanted().holds(process(1, 1), triggered());
        taken().holds(process(1, 1), failed());
        taken().holds(process(1, 1), completed()).breaks(process(1, 1), failed());
        taken()
            .holds(process(1, 1), completed())
            .holds(process(1, 1), ended())
            .holds(process(1, 1), failed());
    }

    #[test]
    fn a_part_that_goes_and_the_word_of_none_are_refused() {
        whole().breaks(process(2, 1), deleted("chk-4/0-1"));
        whole().breaks(process(2, 1), deleted("_metadata"));
        wanted().breaks(process(5, 1), told());
    }
}
