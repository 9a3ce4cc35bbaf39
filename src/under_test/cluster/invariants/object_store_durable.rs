//! What the object store announced stands after every recovery, and a sealed prefix stays empty. Judged on
//! its synced log. What a call may have done that was handled and not announced is not held against it.

use super::{Check, ClusterInvariant, unannounced::Unannounced};
use crate::{
    harness::event::Moment,
    host::sim::Hardware,
    system::{rpc::RpcEvent, service::object_store::ObjectStoreEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Replays the log that was announced.
#[derive(Default)]
pub struct ObjectStoreDurable {
    objects: BTreeMap<String, (u64, u32)>,
    sealed: BTreeSet<String>,
    calls: Unannounced,
}

const PUT: &str = "BlobGateway.put";
const DELETE: &str = "BlobGateway.delete";
const SEAL: &str = "BlobGateway.seal";
const RENAME: &str = "BlobGateway.rename";

impl ClusterInvariant for ObjectStoreDurable {
    fn title(&self) -> &'static str {
        "object-store-durable"
    }

    fn promise(&self) -> &'static str {
        "every object, name and seal that the object store announced is there after a recovery"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::ObjectStore, EventKind::Rpc, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::HandlerStarted { kind, .. }) => {
                if kind.name().starts_with("BlobGateway.") {
                    self.calls.handled(*kind);
                }
                Check::Ignored
            }
            EventRef::Hardware(Hardware::Ended(_)) => self.calls.ended(at),
            EventRef::ObjectStore(ObjectStoreEvent::Recovered { objects, sealed }) => {
                let found = objects.iter().map(|(name, len, crc)| (name.clone(), (*len, *crc)));
                let (found, sealed) = (found.collect(), sealed.iter().cloned().collect());
                let judged = self.check(&found, &sealed);
                (self.objects, self.sealed) = (found, sealed);
                self.calls.recovered(at, judged)
            }
            EventRef::ObjectStore(event) => {
                self.calls.announced(at);
                self.apply(at, event)
            }
            _ => Check::Ignored,
        }
    }
}

fn is_under(sealed: &BTreeSet<String>, name: &str) -> bool {
    let above = name.match_indices('/').map(|(end, _)| &name[..end]).chain([name]);
    above.into_iter().any(|prefix| sealed.contains(prefix))
}

impl ObjectStoreDurable {
    fn apply(&mut self, at: Moment, event: &ObjectStoreEvent) -> Check {
        match event {
            ObjectStoreEvent::Stored { name, len, crc, .. } => {
                let before = self.objects.insert(name.clone(), (*len, *crc));
                let sealed = is_under(&self.sealed, name);
                Check::that(before.is_none() && !sealed, || {
                    let before = format!("there: {before:?}, sealed: {sealed}");
                    (before, format!("{at}: {name} is stored"))
                })
            }
            ObjectStoreEvent::Renamed { from, to, len, crc } => {
                self.renamed(at, from, to, (*len, *crc))
            }
            ObjectStoreEvent::Deleted { names } => self.remove(at, names),
            ObjectStoreEvent::Sealed { prefix, removed } => {
                self.sealed.insert(prefix.clone());
                let check = self.remove(at, removed);
                let below = format!("{prefix}/");
                let left = self.objects.range(below.clone()..).next().map(|(name, _)| name);
                let left = left.filter(|name| name.starts_with(&below));
                check.and(Check::that(left.is_none(), || {
                    (format!("{left:?} is left"), format!("{at}: {prefix} is sealed"))
                }))
            }
            ObjectStoreEvent::Recovered { .. } => Check::Ignored,
        }
    }

    fn renamed(&mut self, at: Moment, from: &str, to: &str, content: (u64, u32)) -> Check {
        let moved = self.objects.remove(from);
        let before = self.objects.insert(to.to_string(), content);
        let sealed = is_under(&self.sealed, to);
        Check::that(moved == Some(content) && before.is_none() && !sealed, || {
            let there = format!("{from} is {moved:?}; of {to} there: {before:?}, sealed: {sealed}");
            (there, format!("{at}: {from} is renamed to {to} with {content:?}"))
        })
    }

    fn remove(&mut self, at: Moment, names: &[String]) -> Check {
        let unknown = names.iter().filter(|name| self.objects.remove(*name).is_none()).min();
        Check::that(unknown.is_none(), || {
            ("it was not there".to_string(), format!("{at}: {unknown:?} is removed"))
        })
    }

    /// What was announced must be there; what was synced but not announced may be.
    fn check(
        &self,
        found: &BTreeMap<String, (u64, u32)>,
        sealed: &BTreeSet<String>,
    ) -> Option<(String, String)> {
        let may = |kinds: &[&str]| self.calls.may_have(kinds);
        // A rename that was not announced shows as a content that went from one name to another, or whose other name held
        // it already.
        let is_elsewhere = |name: &String, content: &(u64, u32)| {
            let elsewhere = |(other, of): (&String, &(u64, u32))| other != name && of == content;
            may(&[RENAME]) && found.iter().any(elsewhere)
        };
        let has_moved = |content: &(u64, u32)| {
            let gone = |(was, of): (&String, _)| of == content && found.get(was) != Some(content);
            may(&[RENAME]) && self.objects.iter().any(gone)
        };
        for (name, stored) in &self.objects {
            let sound = match found.get(name) {
                Some(kept) => kept == stored || may(&[DELETE, RENAME]) && may(&[PUT, RENAME]),
                None => may(&[DELETE, SEAL]) || is_elsewhere(name, stored),
            };
            if !sound {
                return Some((format!("{name} was stored"), format!("{:?}", found.get(name))));
            }
        }
        let mut new = found.iter().filter(|(name, _)| !self.objects.contains_key(*name));
        let unmade = new.find(|(_, content)| !may(&[PUT]) && !has_moved(content));
        if let Some((new, _)) = unmade {
            return Some((format!("{new} was removed, or never there"), new.clone()));
        }
        if let Some(lost) = self.sealed.difference(sealed).next() {
            return Some((format!("{lost} was sealed"), format!("{sealed:?}")));
        }
        if let Some(new) = sealed.difference(&self.sealed).next().filter(|_| !may(&[SEAL])) {
            return Some(("nobody sealed it".to_string(), new.clone()));
        }
        let late = found.keys().find(|name| is_under(sealed, name));
        late.map(|late| ("it is under a sealed prefix".to_string(), late.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ObjectStoreDurable};

    fn found(names: &[&str], sealed: &[&str]) -> ObjectStoreEvent {
        ObjectStoreEvent::Recovered {
            objects: names.iter().map(|name| (name.to_string(), 1, 1)).collect(),
            sealed: sealed.iter().map(ToString::to_string).collect(),
        }
    }

    fn deleted(name: &str) -> ObjectStoreEvent {
        ObjectStoreEvent::Deleted { names: vec![name.to_string()] }
    }

    fn sealed(prefix: &str, removed: &[&str]) -> ObjectStoreEvent {
        let removed = removed.iter().map(ToString::to_string).collect();
        ObjectStoreEvent::Sealed { prefix: prefix.to_string(), removed }
    }

    /// `a/1` and `b/1` are there, `a/2` is deleted, `c` is sealed.
    fn written() -> History<ObjectStoreDurable> {
        History::new()
            .holds(process(5, 1), found(&[], &[]))
            .holds(process(5, 1), called(super::DELETE))
            .holds(process(5, 1), stored("a/1"))
            .holds(process(5, 1), stored("a/2"))
            .holds(process(5, 1), stored("b/1"))
            .holds(process(5, 1), deleted("a/2"))
            .holds(process(5, 1), sealed("c", &[]))
    }

    #[test]
    fn all_that_was_announced_is_accepted() {
        written().holds(process(5, 2), found(&["a/1", "b/1"], &["c"]));
    }

    #[test]
    fn what_a_call_may_have_done_is_accepted() {
        written()
            .holds(process(5, 1), called(super::DELETE))
            .holds(process(5, 2), found(&["a/1"], &["c"]));
        written()
            .holds(process(5, 1), called(super::SEAL))
            .holds(process(5, 2), found(&["b/1"], &["a", "c"]));
        written()
            .holds(process(5, 1), called(super::PUT))
            .holds(process(5, 1), stored("b/2"))
            .holds(process(5, 2), found(&["a/1", "b/1", "b/2", "b/3"], &["c"]));
    }

    #[test]
    fn a_lost_changed_or_resurrected_object_is_refused() {
        written().breaks(process(5, 2), found(&["a/1"], &["c"]));
        written().breaks(process(5, 2), found(&["a/1", "a/2", "b/1"], &["c"]));
        let objects = vec![("a/1".to_string(), 1, 1), ("b/1".to_string(), 1, 2)];
        let changed = ObjectStoreEvent::Recovered { objects, sealed: vec!["c".to_string()] };
        written().breaks(process(5, 2), changed);
    }

    #[test]
    fn a_lost_seal_or_an_object_under_one_is_refused() {
        written().breaks(process(5, 2), found(&["a/1", "b/1"], &[]));
        written().breaks(process(5, 2), found(&["a/1", "b/1"], &["c", "d"]));
        written().breaks(process(5, 1), stored("c/1"));
        written().breaks(process(5, 1), sealed("a", &[]));
        let put = || written().holds(process(5, 1), called(super::PUT));
        put().breaks(process(5, 2), found(&["a/1", "b/1", "c/1"], &["c"]));
    }

    fn renamed(from: &str, to: &str) -> ObjectStoreEvent {
        ObjectStoreEvent::Renamed { from: from.to_string(), to: to.to_string(), len: 1, crc: 1 }
    }

    #[test]
    fn a_renamed_object_is_under_its_other_name_alone() {
        let moved = || written().holds(process(5, 1), renamed("b/1", "d"));
        moved().holds(process(5, 2), found(&["a/1", "d"], &["c"]));
        moved().breaks(process(5, 2), found(&["a/1", "b/1"], &["c"]));
        moved().breaks(process(5, 2), found(&["a/1", "b/1", "d"], &["c"]));
        moved().breaks(process(5, 1), renamed("b/1", "e"));
        written().breaks(process(5, 1), renamed("b/1", "a/1"));
        written().breaks(process(5, 1), renamed("b/1", "c/1"));
        let (from, to) = ("b/1".to_string(), "d".to_string());
        let other = ObjectStoreEvent::Renamed { from, to, len: 1, crc: 2 };
        written().breaks(process(5, 1), other);
    }

    #[test]
    fn a_rename_that_may_have_been_done_is_accepted_and_only_whole() {
        let asked = || written().holds(process(5, 1), called(super::RENAME));
        asked().holds(process(5, 2), found(&["a/1", "d"], &["c"]));
        asked().holds(process(5, 2), found(&["a/1", "b/1"], &["c"]));
        asked().holds(process(5, 2), found(&["a/1"], &["c"]));
        asked().breaks(process(5, 2), found(&["a/1", "b/1", "d"], &["c"]));
        asked().breaks(process(5, 2), found(&[], &["c"]));
    }

    #[test]
    fn a_object_stored_twice_or_removed_twice_is_refused() {
        written().breaks(process(5, 1), stored("a/1"));
        written().breaks(process(5, 1), deleted("a/2"));
    }
}
