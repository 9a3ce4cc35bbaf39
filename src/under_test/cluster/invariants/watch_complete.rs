//! What a watch is told: every change of its keys up to the revision that it is told of, as the
//! coordination server wrote them, and no other key. Judged by the server's synced log.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::service::coordination::{Change, CoordinationEvent, KeyPattern, Revision, Update},
    under_test::cluster::{EventKind, EventRef, Model, plain},
};
use std::collections::BTreeMap;

/// What became of a key, by revision: its value, or that it was removed.
type Life = BTreeMap<Revision, Option<Vec<u8>>>;

/// Remembers every write and removal.
#[derive(Default)]
pub struct WatchComplete {
    lives: BTreeMap<String, Life>,
}

impl ClusterInvariant for WatchComplete {
    fn title(&self) -> &'static str {
        "watch-complete"
    }

    fn promise(&self) -> &'static str {
        "a watch is told of every change of its keys, as it was written, and of no other key"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Coordination(CoordinationEvent::Committed { revision, changes, .. }) => {
                for change in changes {
                    let value = match change {
                        Change::Put { value, .. } => Some(value.clone()),
                        Change::Delete { .. } => None,
                    };
                    self.set(change.key(), *revision, value);
                }
                Check::Ignored
            }
            EventRef::Coordination(CoordinationEvent::LeaseEnded { revision, removed, .. }) => {
                removed.iter().for_each(|key| self.set(key, *revision, None));
                Check::Ignored
            }
            EventRef::Coordination(CoordinationEvent::Recovered { revision, keys }) => {
                self.recover(*revision, keys);
                Check::Ignored
            }
            EventRef::Coordination(CoordinationEvent::WatchUpdated { keys, after, update }) => {
                self.judge(keys, *after, update).map_or(Check::Passed, |(before, now)| {
                    Check::broken(before, format!("{at}: a watch of {keys:?} is told {now}"))
                })
            }
            _ => Check::Ignored,
        }
    }
}

impl WatchComplete {
    fn set(&mut self, key: &str, revision: Revision, value: Option<Vec<u8>>) {
        let life = self.lives.entry(key.to_string()).or_default();
        // To remove what is not there changes nothing.
        if value.is_some() || stands(life, revision).1.is_some() {
            life.insert(revision, value);
        }
    }

    /// What was synced but not announced shows in what is there, and in what is not.
    fn recover(&mut self, revision: Revision, found: &[(String, Vec<u8>, Revision)]) {
        let there: BTreeMap<&String, Revision> =
            found.iter().map(|(key, _, modified)| (key, *modified)).collect();
        let gone = self.lives.keys().filter(|key| !there.contains_key(key));
        for key in gone.cloned().collect::<Vec<_>>() {
            self.set(&key, revision, None);
        }
        for (key, value, modified) in found {
            self.set(key, *modified, Some(value.clone()));
        }
    }

    /// What is wrong with an update: what was so before, and what is told now.
    fn judge(
        &self,
        keys: &KeyPattern,
        after: Option<Revision>,
        update: &Update,
    ) -> Option<(String, String)> {
        let Revision(at) = update.revision;
        if let Some(Revision(after)) = after.filter(|after| after.0 > at) {
            let before = format!("it was told of everything up to revision {after}");
            return Some((before, format!("of revision {at}")));
        }
        let mut told = update.keys.iter().map(|found| &found.key).chain(&update.removed);
        if let Some(key) = told.find(|key| !plain::matches(keys, key)) {
            return Some((format!("{key:?} is none of its keys"), format!("of {key:?}")));
        }
        for found in &update.keys {
            let stands = self.lives.get(&found.key).map(|life| stands(life, update.revision));
            if stands != Some((found.modified, Some(&found.value))) {
                let before = format!("revision {at} has another {:?}, or none", found.key);
                return Some((before, format!("of one that revision {} wrote", found.modified.0)));
            }
        }
        let life_of = |key: &String| Some(stands(self.lives.get(key)?, update.revision));
        let there = |key: &&String| life_of(key).is_some_and(|(_, value)| value.is_some());
        if let Some(key) = update.removed.iter().find(there) {
            let before = format!("revision {at} has {key:?}");
            return Some((before, "that it is removed".to_string()));
        }
        self.left_out(keys, after, update)
    }

    /// The first change of a matching key of which an update says nothing.
    fn left_out(
        &self,
        keys: &KeyPattern,
        after: Option<Revision>,
        update: &Update,
    ) -> Option<(String, String)> {
        let (KeyPattern::Exact(common) | KeyPattern::Prefix(common) | KeyPattern::Children(common)) =
            keys;
        let near = self.lives.range(common.clone()..);
        let near = near.take_while(|(key, _)| key.starts_with(common));
        for (key, life) in near.filter(|(key, _)| plain::matches(keys, key)) {
            let (changed, value) = stands(life, update.revision);
            let whole = update.whole || after.is_none();
            let told = match value {
                Some(_) => update.keys.iter().any(|found| found.key == *key),
                // Who is told everything anew need not be told what is gone.
                None => whole || update.removed.contains(key),
            };
            if !told && (whole || after.is_none_or(|after| changed.0 > after.0)) {
                let what = value.map_or("removed", |_| "wrote");
                let before = format!("revision {} {what} {key:?}", changed.0);
                return Some((before, format!("of revision {} without it", update.revision.0)));
            }
        }
        None
    }
}

/// What a key was at a revision, and since when.
fn stands(life: &Life, at: Revision) -> (Revision, Option<&Vec<u8>>) {
    let last = life.range(..=at).next_back();
    last.map_or((Revision::default(), None), |(revision, value)| (*revision, value.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, WatchComplete};

    fn key(key: &str, value: u8, modified: u64) -> KeyValue {
        let (created, modified) = (Revision(1), Revision(modified));
        let key = key.to_string();
        KeyValue { key, value: vec![value], version: 1, created, modified, lease: None }
    }

    fn told(keys: KeyPattern, after: Option<u64>, update: Update) -> CoordinationEvent {
        CoordinationEvent::WatchUpdated { keys, after: after.map(Revision), update }
    }

    fn update(revision: u64, keys: &[KeyValue], removed: &[&str]) -> Update {
        let removed = removed.iter().map(ToString::to_string).collect();
        Update { revision: Revision(revision), whole: false, keys: keys.to_vec(), removed }
    }

    fn whole(revision: u64, keys: &[KeyValue]) -> Update {
        Update { whole: true, ..update(revision, keys, &[]) }
    }

    fn children() -> KeyPattern {
        KeyPattern::Children("a".to_string())
    }

    fn exact() -> KeyPattern {
        KeyPattern::Exact("a".to_string())
    }

    /// Revision 1 writes all, 2 writes `a/b` again, 3 removes `a/c` and 4 the key with a lease.
    fn written() -> History<WatchComplete> {
        let all = ["a", "ab", "a/b", "a/b/c", "a/c", "a/d"];
        let all = all.iter().map(|key| put((*key).to_string(), vec![1])).collect();
        let gone = Change::Delete { key: "a/c".into() };
        let ended = CoordinationEvent::LeaseEnded {
            lease: LeaseId(1),
            end: LeaseEnd::Expired,
            revision: Revision(4),
            removed: vec!["a/d".to_string()],
        };
        History::new()
            .holds(process(0, 1), committed(1, all))
            .holds(process(0, 1), committed(2, vec![put("a/b".into(), vec![2])]))
            .holds(process(0, 1), committed(3, vec![gone]))
            .holds(process(0, 1), ended)
    }

    fn is_told(keys: KeyPattern, after: Option<u64>, update: Update) -> History<WatchComplete> {
        written().holds(process(3, 1), told(keys, after, update))
    }

    fn is_refused(keys: KeyPattern, after: Option<u64>, update: Update) {
        written().breaks(process(3, 1), told(keys, after, update));
    }

    #[test]
    fn all_changes_since_are_accepted_and_superseded_values_may_be_missing() {
        is_told(exact(), None, whole(1, &[key("a", 1, 1)]));
        is_told(exact(), Some(1), update(4, &[], &[]));
        is_told(children(), None, whole(4, &[key("a/b", 2, 2)]));
        is_told(children(), Some(1), update(4, &[key("a/b", 2, 2)], &["a/c", "a/d"]));
        is_told(children(), Some(2), update(3, &[], &["a/c"]));
        // The server has gone on while the answer was on its way.
        is_told(children(), Some(1), update(2, &[key("a/b", 2, 2)], &[]));
        // What was there and gone in between may be told.
        is_told(children(), Some(2), update(4, &[], &["a/c", "a/d", "a/never"]));
        let prefix = KeyPattern::Prefix("a/b".to_string());
        is_told(prefix, None, whole(4, &[key("a/b/c", 1, 1), key("a/b", 2, 2)]));
    }

    #[test]
    fn to_remove_what_is_not_there_is_no_change() {
        let again = || Change::Delete { key: "a/c".into() };
        written()
            .holds(process(0, 1), committed(5, vec![again()]))
            .holds(process(3, 1), told(children(), Some(4), update(5, &[], &[])))
            .holds(process(0, 1), committed(6, vec![put("a/c".into(), vec![3])]))
            .holds(process(0, 1), committed(7, vec![again()]))
            .breaks(process(3, 1), told(children(), Some(6), update(7, &[], &[])));
    }

    #[test]
    fn what_was_durable_but_unannounced_is_accepted_after_a_recovery() {
        let found = |key: &str, value, at| (key.to_string(), vec![value], Revision(at));
        let keys = vec![found("a", 1, 1), found("a/b", 2, 2), found("a/e", 1, 6)];
        let recovered = CoordinationEvent::Recovered { revision: Revision(7), keys };
        let again = || written().holds(process(0, 2), recovered.clone());
        let news = update(7, &[key("a/e", 1, 6)], &[]);
        again().holds(process(3, 1), told(children(), Some(4), news));
        again().breaks(process(3, 1), told(children(), Some(4), update(7, &[], &[])));
        let deep = KeyPattern::Children("a/b".to_string());
        again().holds(process(3, 1), told(deep.clone(), Some(4), update(7, &[], &["a/b/c"])));
        again().breaks(process(3, 1), told(deep, Some(4), update(7, &[], &[])));
    }

    #[test]
    fn a_key_outside_the_watch_is_refused() {
        is_refused(exact(), None, whole(4, &[key("a", 1, 1), key("ab", 1, 1)]));
        is_refused(exact(), Some(2), update(4, &[], &["a/c"]));
        is_refused(children(), None, whole(4, &[key("a", 1, 1), key("a/b", 2, 2)]));
        is_refused(children(), None, whole(4, &[key("a/b", 2, 2), key("a/b/c", 1, 1)]));
        let prefix = KeyPattern::Prefix("a/".to_string());
        is_refused(prefix, Some(0), update(1, &[key("ab", 1, 1)], &[]));
    }

    #[test]
    fn a_change_that_is_left_out_is_refused() {
        is_refused(exact(), None, whole(1, &[]));
        is_refused(children(), Some(1), update(4, &[], &["a/c", "a/d"]));
        is_refused(children(), Some(1), update(4, &[key("a/b", 2, 2)], &["a/c"]));
        is_refused(children(), Some(2), update(4, &[], &[]));
    }

    #[test]
    fn another_value_or_an_older_revision_is_refused() {
        is_refused(children(), None, whole(4, &[key("a/b", 1, 1)]));
        is_refused(children(), None, whole(4, &[key("a/b", 1, 2)]));
        is_refused(children(), None, whole(4, &[key("a/b", 2, 2), key("a/c", 1, 1)]));
        is_refused(children(), Some(2), update(2, &[], &["a/b"]));
        is_refused(exact(), Some(4), update(3, &[], &[]));
    }
}
