//! The server's state as a function of its records.

use super::limits::{KEYS_MAX, STORE_BYTES_MAX, entry_bytes};
use super::model::{
    Change, Compare, KeyPattern, KeyValue, Lease, LeaseEnd, LeaseId, Page, Range, Refusal,
    Revision, Transaction, Update,
};
use crate::system::service::durable::Durable;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

/// Removals that are remembered for watches; one that stands further back is told everything anew.
const REMOVALS_MAX: usize = 4096;

/// What the log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    Grant(Lease),
    EndLease { lease: LeaseId, end: LeaseEnd },
    Transact { changes: Vec<Change> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    value: Vec<u8>,
    version: u64,
    created: Revision,
    modified: Revision,
    lease: Option<LeaseId>,
}

/// Keys and leases after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Store {
    revision: Revision,
    keys: BTreeMap<String, Entry>,
    leases: BTreeMap<LeaseId, u64>,
    leases_granted: u64,
    removals: VecDeque<(Revision, String)>,
    /// Removals up to here are forgotten.
    removals_forgotten: Revision,
    /// What all keys count for.
    bytes: u64,
}

impl Durable for Store {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        let _removed = Store::apply(self, record);
    }
}

impl Store {
    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn leases(&self) -> impl Iterator<Item = Lease> {
        self.leases.iter().map(|(id, ttl_ms)| Lease { id: *id, ttl_ms: *ttl_ms })
    }

    pub fn lease(&self, id: LeaseId) -> Option<Lease> {
        self.leases.get(&id).map(|ttl_ms| Lease { id, ttl_ms: *ttl_ms })
    }

    /// The record that grants a new lease.
    pub fn grant(&self, ttl_ms: u64) -> Lease {
        Lease { id: LeaseId(self.leases_granted + 1), ttl_ms }
    }

    /// Whether a transaction may be made.
    pub fn check(&self, transaction: &Transaction) -> Result<(), Refusal> {
        for (index, compare) in transaction.compares.iter().enumerate() {
            let holds = match compare {
                Compare::Absent { key } => !self.keys.contains_key(key),
                Compare::Value { key, value } => {
                    self.keys.get(key).is_some_and(|entry| entry.value == *value)
                }
                Compare::Unchanged { key, since } => self.is_unchanged(key, *since),
            };
            if !holds {
                return Err(Refusal::Condition { index: index as u64 });
            }
        }
        for change in &transaction.changes {
            if let Change::Put { lease: Some(lease), .. } = change
                && !self.leases.contains_key(lease)
            {
                return Err(Refusal::LeaseOver(*lease));
            }
        }
        Ok(())
    }

    fn is_unchanged(&self, key: &str, since: Revision) -> bool {
        match self.keys.get(key) {
            Some(entry) => entry.modified <= since,
            // What was forgotten may have been this key.
            None if self.removals_forgotten > since => false,
            None => {
                let mut later =
                    self.removals.iter().rev().take_while(|(removed, _)| *removed > since);
                !later.any(|(_, removed)| removed == key)
            }
        }
    }

    /// Whether there is room for what a transaction writes. What only removes is never refused.
    pub fn check_room(&self, transaction: &Transaction) -> Result<(), Refusal> {
        let (mut keys, mut bytes) = (0, 0);
        for change in &transaction.changes {
            let Change::Put { key, value, .. } = change else { continue };
            let known = self.keys.get(key).map(|entry| entry_bytes(key, &entry.value));
            keys += usize::from(known.is_none());
            bytes += entry_bytes(key, value).saturating_sub(known.unwrap_or(0));
        }
        let (keys_max, bytes_max) = match transaction.leaves_room {
            true => (KEYS_MAX / 4 * 3, STORE_BYTES_MAX / 4 * 3),
            false => (KEYS_MAX, STORE_BYTES_MAX),
        };
        let too_many = keys > 0 && self.keys.len() + keys > keys_max;
        match too_many || bytes > 0 && self.bytes + bytes > bytes_max {
            true => Err(Refusal::Full),
            false => Ok(()),
        }
    }

    /// Applies a record; returns the keys that the end of a lease removed.
    pub fn apply(&mut self, record: &Record) -> Vec<String> {
        self.revision.0 += 1;
        match record {
            Record::Grant(lease) => {
                self.leases_granted = lease.id.0;
                self.leases.insert(lease.id, lease.ttl_ms);
                Vec::new()
            }
            Record::EndLease { lease, .. } => {
                self.leases.remove(lease);
                let of_lease = |(key, entry): (&String, &Entry)| {
                    (entry.lease == Some(*lease)).then(|| key.clone())
                };
                let removed: Vec<String> = self.keys.iter().filter_map(of_lease).collect();
                for key in &removed {
                    self.remove(key);
                }
                removed
            }
            Record::Transact { changes } => {
                for change in changes {
                    match change {
                        Change::Put { key, value, lease } => self.put(key, value, *lease),
                        Change::Delete { key } => self.remove(key),
                    }
                }
                Vec::new()
            }
        }
    }

    fn put(&mut self, key: &str, value: &[u8], lease: Option<LeaseId>) {
        let revision = self.revision;
        let known = self.keys.get(key).map_or(0, |entry| entry_bytes(key, &entry.value));
        self.bytes = self.bytes - known + entry_bytes(key, value);
        let entry = self.keys.entry(key.to_string()).or_insert_with(|| Entry {
            value: Vec::new(),
            version: 0,
            created: revision,
            modified: revision,
            lease,
        });
        entry.value = value.to_vec();
        entry.version += 1;
        entry.modified = revision;
        entry.lease = lease;
    }

    fn remove(&mut self, key: &str) {
        let Some(entry) = self.keys.remove(key) else { return };
        self.bytes -= entry_bytes(key, &entry.value);
        self.removals.push_back((self.revision, key.to_string()));
        if self.removals.len() > REMOVALS_MAX
            && let Some((revision, _)) = self.removals.pop_front()
        {
            self.removals_forgotten = revision;
        }
    }

    fn matching<'a>(
        &'a self,
        keys: &'a KeyPattern,
    ) -> impl Iterator<Item = (&'a String, &'a Entry)> {
        self.matching_behind(keys, None)
    }

    fn matching_behind<'a>(
        &'a self,
        keys: &'a KeyPattern,
        behind: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a String, &'a Entry)> {
        let common = keys.common();
        let first = match behind.filter(|behind| *behind >= &*common) {
            Some(behind) => Bound::Excluded(behind.to_string()),
            None => Bound::Included(common.to_string()),
        };
        let last = match keys {
            KeyPattern::Exact(key) => Bound::Included(key.as_str()),
            KeyPattern::Prefix(_) | KeyPattern::Children(_) => Bound::Unbounded,
        };
        let first = first.as_ref().map(String::as_str);
        let empty = matches!((&first, &last), (Bound::Excluded(a), Bound::Included(b)) if a >= b);
        let range = (!empty).then(|| self.keys.range::<str, _>((first, last)));
        let near = range.into_iter().flatten();
        let near = near.take_while(move |(key, _)| key.starts_with(&*common));
        near.filter(move |(key, _)| keys.matches(key))
    }

    /// The matching keys.
    pub fn range(&self, keys: &KeyPattern) -> Range {
        let keys = self.matching(keys).map(|(key, entry)| entry.shown(key)).collect();
        Range { revision: self.revision, keys }
    }

    /// The matching keys behind one: as many as fit in so many bytes, and at least one.
    pub fn page(&self, keys: &KeyPattern, after: Option<&str>, bytes_max: u64) -> Page {
        let mut page = Page { revision: self.revision, ..Page::default() };
        let mut bytes = 0;
        for (key, entry) in self.matching_behind(keys, after) {
            bytes += entry_bytes(key, &entry.value);
            if bytes > bytes_max && !page.keys.is_empty() {
                page.more = true;
                break;
            }
            page.keys.push(entry.shown(key));
        }
        page
    }

    /// What changed among the matching keys after a revision, or all there is; `None` when nothing did.
    pub fn update(&self, pattern: &KeyPattern, after: Option<Revision>) -> Option<Update> {
        // Who has seen more than there is followed a server whose disk was another.
        let followed = |after: &Revision| (self.removals_forgotten..=self.revision).contains(after);
        let (whole, after) = match after.filter(followed) {
            Some(after) => (false, after),
            None => (true, Revision::default()),
        };
        let news = |entry: &Entry| whole || entry.modified > after;
        let mut keys: Vec<KeyValue> = self
            .matching(pattern)
            .filter(|(_, entry)| news(entry))
            .map(|(key, entry)| entry.shown(key))
            .collect();
        keys.sort_by_key(|found| found.modified);
        let mut removed: Vec<String> = self
            .removals
            .iter()
            .rev()
            .take_while(|(revision, _)| *revision > after)
            .filter(|(_, key)| pattern.matches(key) && !self.keys.contains_key(key))
            .map(|(_, key)| key.clone())
            .collect();
        removed.sort();
        removed.dedup();
        let update = Update { revision: self.revision, whole, keys, removed };
        update.has_news().then_some(update)
    }
}

impl Entry {
    fn shown(&self, key: &str) -> KeyValue {
        KeyValue {
            key: key.to_string(),
            value: self.value.clone(),
            version: self.version,
            created: self.created,
            modified: self.modified,
            lease: self.lease,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::limits::VALUE_BYTES_MAX, *};
    use proptest::prelude::*;

    fn put(key: &str, value: u8, lease: Option<LeaseId>) -> Change {
        Change::Put { key: key.to_string(), value: vec![value], lease }
    }

    fn store(records: &[Record]) -> Store {
        let mut store = Store::default();
        for record in records {
            store.apply(record);
        }
        store
    }

    #[test]
    fn conditions_see_value_version_and_absence() {
        let store = store(&[
            Record::Transact { changes: vec![put("a", 1, None)] },
            Record::Transact { changes: vec![put("a", 2, None)] },
        ]);
        let check = |compare| store.check(&Transaction::new().when(compare));
        let key = || "a".to_string();
        assert_eq!(check(Compare::Value { key: key(), value: vec![2] }), Ok(()));
        let unchanged =
            |key: &str, since| Compare::Unchanged { key: key.to_string(), since: Revision(since) };
        assert_eq!(check(unchanged("a", 2)), Ok(()));
        assert_eq!(check(unchanged("b", 0)), Ok(()));
        assert_eq!(check(Compare::Absent { key: "b".into() }), Ok(()));
        let refused = Err(Refusal::Condition { index: 0 });
        assert_eq!(check(Compare::Value { key: key(), value: vec![1] }), refused);
        assert_eq!(check(unchanged("a", 1)), refused);
        assert_eq!(check(Compare::Absent { key: key() }), refused);
    }

    #[test]
    fn what_leaves_room_is_refused_where_what_can_not_be_put_off_is_not() {
        let mut store = Store::default();
        let (value, mut number) = (vec![0; VALUE_BYTES_MAX], 0);
        let writes = |number: usize| {
            let key = number.to_string();
            Transaction::new().then(Change::Put { key, value: value.clone(), lease: None })
        };
        while store.check_room(&writes(number).leaving_room()).is_ok() {
            store.apply(&Record::Transact { changes: writes(number).changes });
            number += 1;
        }
        assert!(store.bytes > STORE_BYTES_MAX / 4 * 3 - VALUE_BYTES_MAX as u64 * 2);
        assert_eq!(store.check_room(&writes(number)), Ok(()));
        assert_eq!(store.check_room(&writes(0).leaving_room()), Ok(()), "nothing grows");
    }

    #[test]
    fn keys_and_bytes_have_their_bounds_each() {
        let write =
            |key: String, bytes: usize| Change::Put { key, value: vec![0; bytes], lease: None };
        let some = (0..KEYS_MAX).map(|number| write(number.to_string(), 0));
        let full = store(&[Record::Transact { changes: some.collect() }]);
        assert_eq!(
            full.check_room(&Transaction::new().then(write("new".into(), 0))),
            Err(Refusal::Full)
        );
        let known = Transaction::new().then(write("7".into(), 1));
        assert_eq!(full.check_room(&known), Ok(()), "it is no new key");
        let all_but_two = 0..STORE_BYTES_MAX / VALUE_BYTES_MAX as u64 - 2;
        let some = all_but_two.map(|number| write(number.to_string(), VALUE_BYTES_MAX));
        let large = store(&[Record::Transact { changes: some.collect() }]);
        let most = |keys: usize| {
            (0..keys).fold(Transaction::new(), |all, key| {
                all.then(write(format!("new-{key}"), VALUE_BYTES_MAX))
            })
        };
        assert_eq!(large.check_room(&most(1)), Ok(()));
        assert_eq!(large.check_room(&most(3)), Err(Refusal::Full));
    }

    #[test]
    fn what_was_removed_is_not_what_never_was() {
        let delete = |key: &str| Change::Delete { key: key.to_string() };
        let mut store = store(&[
            Record::Grant(Lease { id: LeaseId(1), ttl_ms: 1000 }),
            Record::Transact { changes: vec![put("a", 1, None), put("b", 1, Some(LeaseId(1)))] },
            Record::Transact { changes: vec![delete("a")] },
            Record::EndLease { lease: LeaseId(1), end: LeaseEnd::Expired },
        ]);
        let unchanged = |store: &Store, key: &str, since| {
            let compare = Compare::Unchanged { key: key.to_string(), since: Revision(since) };
            store.check(&Transaction::new().when(compare)).is_ok()
        };
        for (key, removed) in [("a", 3), ("b", 4), ("never", 0)] {
            for since in 0..6 {
                assert_eq!(unchanged(&store, key, since), since >= removed, "{key} since {since}");
            }
        }
        store.apply(&Record::Transact { changes: vec![put("a", 1, None)] });
        assert!(!unchanged(&store, "a", 4) && unchanged(&store, "a", 5));
        // Once removals are forgotten, an old revision says nothing about any absent key.
        for number in 0..=REMOVALS_MAX {
            let key = format!("other-{number}");
            let changes = vec![put(&key, 1, None), delete(&key)];
            store.apply(&Record::Transact { changes });
        }
        assert!(!unchanged(&store, "never", 5) && unchanged(&store, "never", store.revision.0));
    }

    #[test]
    fn the_end_of_a_lease_takes_its_keys_and_no_others() {
        let (mine, other) = (LeaseId(1), LeaseId(2));
        let mut store = store(&[
            Record::Grant(Lease { id: mine, ttl_ms: 1000 }),
            Record::Grant(Lease { id: other, ttl_ms: 1000 }),
            Record::Transact {
                changes: vec![put("a", 1, Some(mine)), put("b", 1, Some(other)), put("c", 1, None)],
            },
            Record::Transact { changes: vec![put("c", 2, Some(mine)), put("a", 2, None)] },
        ]);
        let removed = store.apply(&Record::EndLease { lease: mine, end: LeaseEnd::Expired });
        assert_eq!(removed, ["c"]);
        let left: Vec<String> = store
            .range(&KeyPattern::Prefix(String::new()))
            .keys
            .into_iter()
            .map(|found| found.key)
            .collect();
        assert_eq!(left, ["a", "b"]);
        let late = Transaction::new().then(put("d", 1, Some(mine)));
        assert_eq!(store.check(&late), Err(Refusal::LeaseOver(mine)));
    }

    /// Keys that are near each other in every way that a pattern tells apart.
    const NEAR: [&str; 9] = ["", "/a", "a", "a.b", "a/", "a/b", "a/b/c", "a/c", "ab"];

    fn patterns() -> [KeyPattern; 6] {
        [
            KeyPattern::Exact("a".to_string()),
            KeyPattern::Prefix("a".to_string()),
            KeyPattern::Prefix("a/".to_string()),
            KeyPattern::Children("a".to_string()),
            KeyPattern::Children("a/b".to_string()),
            KeyPattern::Children(String::new()),
        ]
    }

    #[test]
    fn a_pattern_has_its_keys_and_no_others() {
        let changes = NEAR.iter().map(|key| put(key, 1, None)).collect();
        let mut store = store(&[Record::Transact { changes }]);
        let expected: [&[&str]; 6] = [
            &["a"],
            &["a", "a.b", "a/", "a/b", "a/b/c", "a/c", "ab"],
            &["a/", "a/b", "a/b/c", "a/c"],
            &["a/b", "a/c"],
            &["a/b/c"],
            &["/a"],
        ];
        let names = |keys: Vec<KeyValue>| -> Vec<String> {
            keys.into_iter().map(|found| found.key).collect()
        };
        for (pattern, expected) in patterns().iter().zip(expected) {
            assert_eq!(names(store.range(pattern).keys), expected, "{pattern:?}");
            let update = store.update(pattern, Some(Revision(0))).expect("its keys were written");
            assert_eq!(names(update.keys), expected, "{pattern:?}");
            assert_eq!(store.update(pattern, Some(Revision(1))), None, "{pattern:?}");
        }
        let delete = |key: &&str| Change::Delete { key: key.to_string() };
        store.apply(&Record::Transact { changes: NEAR.iter().map(delete).collect() });
        for (pattern, expected) in patterns().iter().zip(expected) {
            assert_eq!(store.range(pattern).keys, [], "{pattern:?}");
            let update = store.update(pattern, Some(Revision(1))).expect("its keys are gone");
            assert_eq!(update.keys, [], "{pattern:?}");
            assert_eq!(update.removed, expected, "{pattern:?}");
        }
    }

    #[test]
    fn who_has_seen_more_than_there_is_is_told_everything_anew() {
        let store = store(&[Record::Transact { changes: vec![put("a", 1, None)] }]);
        let pattern = KeyPattern::Exact("a".to_string());
        assert_eq!(store.update(&pattern, Some(Revision(1))), None);
        let update = store.update(&pattern, Some(Revision(2))).expect("all there is");
        assert!(update.whole);
        assert_eq!(update.keys.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Page by page one reads what one would at once, however few bytes a page holds.
        #[test]
        fn pages_make_up_the_range(
            pattern in prop::sample::select(patterns().to_vec()),
            lengths in prop::collection::vec(0..200usize, NEAR.len()),
            bytes_max in 1..2_000u64,
        ) {
            let value = |length: usize| vec![7; length];
            let changes = NEAR.iter().zip(&lengths).map(|(key, length)| Change::Put {
                key: (*key).to_string(),
                value: value(*length),
                lease: None,
            });
            let store = store(&[Record::Transact { changes: changes.collect() }]);
            let (mut found, mut after) = (Vec::<KeyValue>::new(), None);
            loop {
                let page = store.page(&pattern, after.as_deref(), bytes_max);
                prop_assert!(!page.more || !page.keys.is_empty());
                let held: u64 = page.keys.iter().map(|kv| entry_bytes(&kv.key, &kv.value)).sum();
                prop_assert!(page.keys.len() <= 1 || held <= bytes_max);
                after = page.keys.last().map(|last| last.key.clone()).or(after);
                found.extend(page.keys);
                if !page.more {
                    break;
                }
            }
            prop_assert_eq!(found, store.range(&pattern).keys);
        }

        /// A watcher that follows updates from any point on holds what a reader sees.
        #[test]
        fn updates_lead_to_the_present(
            pattern in prop::sample::select(patterns().to_vec()),
            writes in prop::collection::vec(
                (prop::sample::select(NEAR.to_vec()), any::<bool>(), 1..4usize),
                1..60,
            ),
        ) {
            let mut store = Store::default();
            let mut seen = None;
            let mut view: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            for (n, (key, deleted, look_every)) in writes.into_iter().enumerate() {
                let change = match deleted {
                    true => Change::Delete { key: key.to_string() },
                    false => put(key, u8::try_from(n).unwrap(), None),
                };
                store.apply(&Record::Transact { changes: vec![change] });
                if n % look_every != 0 {
                    continue;
                }
                if let Some(update) = store.update(&pattern, seen) {
                    if update.whole {
                        view.clear();
                    }
                    prop_assert!(update.keys.is_sorted_by_key(|found| found.modified));
                    view.extend(update.keys.into_iter().map(|found| (found.key, found.value)));
                    for key in update.removed {
                        view.remove(&key);
                    }
                    seen = Some(update.revision);
                }
                let read = store.range(&pattern).keys.into_iter();
                let read: BTreeMap<String, Vec<u8>> =
                    read.map(|found| (found.key, found.value)).collect();
                prop_assert_eq!(&view, &read);
            }
        }
    }
}
