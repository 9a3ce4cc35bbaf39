//! State by key on the heap. A snapshot of much is written while records come: what it holds stays as it is, and what
//! changes meanwhile stands above it (*copy on write*), until it is brought down again.

use super::{
    declared::Declared,
    entries::{Entries, Place},
    heap_entries::HeapEntries,
    written_key::write_key,
};
use crate::system::dataflow::{
    data::{Data, Key},
    failure::Failure,
    time::Timestamp,
};
use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table};
use std::hash::BuildHasher;

/// Each has 40,000 of ten million keys, and doubles within a few milliseconds.
const SHARDS: usize = 256;

/// The values of all keys of a subtask, and what it has of them under names.
pub(super) struct HeapTable<K, S> {
    /// Those that no snapshot being written has otherwise.
    kept: Shards<(K, S)>,
    /// What has become of keys since that snapshot; stands before what is kept.
    changed: Shards<(K, Option<S>)>,
    /// Nothing that is kept may change: a snapshot is being read from it.
    is_frozen: bool,
    /// What changes stands above it.
    goes_above: bool,
    /// The shard of what has changed, and the place in it, from which on the next to be brought down are looked for.
    settled: Option<(usize, usize)>,
    hasher: FixedState,
    pub of_states: HeapEntries,
    /// The key at hand, as it is written there.
    key: Vec<u8>,
}

/// A table in many, so that none takes long to grow.
struct Shards<T>(Vec<HashTable<T>>);

impl<T> Shards<T> {
    fn new() -> Self {
        Shards((0..SHARDS).map(|_| HashTable::new()).collect())
    }

    /// Which one has what has this hash. Other bits of it say where it stands there.
    fn place(hash: u64) -> usize {
        (hash >> 40) as usize % SHARDS
    }

    fn shard(&self, hash: u64) -> &HashTable<T> {
        &self.0[Self::place(hash)]
    }

    fn shard_mut(&mut self, hash: u64) -> &mut HashTable<T> {
        &mut self.0[Self::place(hash)]
    }

    fn len(&self) -> usize {
        self.0.iter().map(HashTable::len).sum()
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

/// The state of a key on the heap, made when there was none.
pub(super) struct HeapSlot<'a, K, S> {
    value: Slotted<'a, K, S>,
    of_states: &'a mut HeapEntries,
    /// The key as it is written there, once somebody has asked, and what tells an entry behind it.
    written: &'a mut Vec<u8>,
    /// The length of the key there.
    length: usize,
    max_parallelism: u32,
}

enum Slotted<'a, K, S> {
    Kept(hash_table::OccupiedEntry<'a, (K, S)>),
    Changed(hash_table::OccupiedEntry<'a, (K, Option<S>)>),
}

impl<K: Key, S: Data + Default> HeapTable<K, S> {
    pub fn new() -> Self {
        HeapTable {
            kept: Shards::new(),
            changed: Shards::new(),
            is_frozen: false,
            goes_above: false,
            settled: None,
            // The same in every process: nothing that is kept or emitted depends on it, but a run has to be equal.
            hasher: FixedState::with_seed(0x5eed),
            of_states: HeapEntries::default(),
            key: Vec::new(),
        }
    }

    pub fn slot(&mut self, key: K, max_parallelism: u32) -> HeapSlot<'_, K, S> {
        let HeapTable { kept, changed, hasher, of_states, key: written, .. } = self;
        let hash = hasher.hash_one(&key);
        let has_changed =
            |key: &K| changed.shard(hash).find(hash, |(other, _)| other == key).is_some();
        // Only while it is brought down is there something of a snapshot that is read no more.
        let goes_above = self.goes_above || self.settled.is_some() && has_changed(&key);
        let value = match goes_above {
            true => {
                let changed = changed.shard_mut(hash);
                Slotted::Changed(above(kept.shard(hash), changed, hash, hasher, key))
            }
            false => Slotted::Kept(entry(kept.shard_mut(hash), hash, hasher, key)),
        };
        written.clear();
        HeapSlot { value, of_states, written, length: 0, max_parallelism }
    }

    /// Keys and entries, about.
    pub fn len(&self) -> usize {
        self.kept.len() + self.changed.len() + self.of_states.len()
    }

    /// Everything stays as it is until [`thaw`](Self::thaw), and what changes stands above it, if it `goes_above`.
    pub fn freeze(&mut self, goes_above: bool) {
        while self.settle(usize::MAX) {}
        let is_free = !self.is_frozen && self.changed.len() == 0;
        assert!(is_free, "one snapshot is read at a time");
        self.is_frozen = true;
        self.goes_above = goes_above;
        self.of_states.freeze(goes_above);
    }

    /// What is kept may change again.
    pub fn thaw(&mut self) {
        self.is_frozen = false;
        self.goes_above = false;
        self.settled = (self.changed.len() > 0).then_some((0, 0));
        self.of_states.thaw();
    }

    /// Whether what has changed is to be brought down.
    pub fn has_changed(&self) -> bool {
        !self.is_frozen && (self.settled.is_some() || self.of_states.has_changed())
    }

    /// Brings some of it down; whether there is more.
    pub fn settle(&mut self, most: usize) -> bool {
        let mut left = most;
        while let Some((shard, place)) = self.settled.filter(|_| left > 0 && !self.is_frozen) {
            left -= 1;
            let Some(changed) = self.changed.0.get_mut(shard) else {
                self.settled = None;
                break;
            };
            if place == changed.num_buckets() {
                *changed = HashTable::new();
                self.settled = Some((shard + 1, 0));
                continue;
            }
            // Nothing is added to it by now, so that places stay what they are.
            self.settled = Some((shard, place + 1));
            if let Ok(found) = changed.get_bucket_entry(place) {
                let ((key, value), _) = found.remove();
                self.bring_down(key, value);
            }
        }
        self.of_states.settle(left);
        self.has_changed()
    }

    fn bring_down(&mut self, key: K, value: Option<S>) {
        let hash = self.hasher.hash_one(&key);
        let kept = self.kept.shard_mut(hash);
        match value {
            Some(value) => entry(kept, hash, &self.hasher, key).get_mut().1 = value,
            None => {
                if let Ok(kept) = kept.find_entry(hash, |(other, _)| *other == key) {
                    kept.remove();
                }
            }
        }
    }

    /// Calls a function for the keys and states in so many places from one on; where the next are, `None` behind the last.
    /// While it is frozen they stay where they are.
    pub fn each_of_some<E>(
        &self,
        (first, begin): (usize, usize),
        places: usize,
        mut each: impl FnMut(&K, &S) -> Result<(), E>,
    ) -> Result<Option<(usize, usize)>, E> {
        assert!(self.is_frozen, "nothing moves meanwhile");
        let mut left = places;
        for (shard, kept) in self.kept.0.iter().enumerate().skip(first) {
            // An empty one has places too.
            let all = if kept.is_empty() { 0 } else { kept.num_buckets() };
            let from = if shard == first { begin.min(all) } else { 0 };
            let to = from.saturating_add(left).min(all);
            let mut some = (from..to).filter_map(|place| kept.get_bucket(place));
            some.try_for_each(|(key, state)| each(key, state))?;
            left -= to - from;
            if to < all {
                return Ok(Some((shard, to)));
            }
        }
        Ok(None)
    }

    /// All keys and states, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&K, &S)> {
        let above = |key: &K| {
            let hash = self.hasher.hash_one(key);
            self.changed.shard(hash).find(hash, |(other, _)| other == key).is_some()
        };
        let kept = self.kept.iter().filter(move |(key, _)| !above(key));
        let changed = self.changed.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        kept.map(|(key, value)| (key, value)).chain(changed)
    }
}

/// The entry of a key, made when there is none.
fn entry<'a, K: Key, S: Default>(
    kept: &'a mut HashTable<(K, S)>,
    hash: u64,
    hasher: &FixedState,
    key: K,
) -> hash_table::OccupiedEntry<'a, (K, S)> {
    match kept.entry(hash, |(other, _)| *other == key, |(other, _)| hasher.hash_one(other)) {
        hash_table::Entry::Occupied(entry) => entry,
        hash_table::Entry::Vacant(entry) => entry.insert((key, S::default())),
    }
}

/// The entry of a key above what is kept, with a copy of that when there is none yet.
fn above<'a, K: Key, S: Data + Default>(
    kept: &HashTable<(K, S)>,
    changed: &'a mut HashTable<(K, Option<S>)>,
    hash: u64,
    hasher: &FixedState,
    key: K,
) -> hash_table::OccupiedEntry<'a, (K, Option<S>)> {
    let before = |key: &K| Some(kept.find(hash, |(other, _)| other == key)?.1.clone());
    // Nothing moves for a key that is there: places may be looked through at the moment.
    match changed.find_entry(hash, |(other, _)| *other == key) {
        Ok(mut entry) => {
            entry.get_mut().1.get_or_insert_default();
            entry
        }
        Err(absent) => {
            let state = before(&key).unwrap_or_default();
            let changed = absent.into_table();
            changed.insert_unique(hash, (key, Some(state)), |(other, _)| hasher.hash_one(other))
        }
    }
}

impl<K: Key, S: Data> HeapSlot<'_, K, S> {
    pub fn key(&self) -> &K {
        match &self.value {
            Slotted::Kept(entry) => &entry.get().0,
            Slotted::Changed(entry) => &entry.get().0,
        }
    }

    pub fn state(&mut self) -> &mut S {
        match &mut self.value {
            Slotted::Kept(entry) => &mut entry.get_mut().1,
            Slotted::Changed(entry) => {
                entry.get_mut().1.as_mut().expect("it was made with the slot")
            }
        }
    }

    pub fn clear(self) {
        match self.value {
            Slotted::Kept(entry) => drop(entry.remove()),
            Slotted::Changed(mut entry) => entry.get_mut().1 = None,
        }
    }

    /// What is kept of the key under a name.
    pub fn entries(&mut self, state: &Declared, now: Timestamp) -> Result<Entries<'_>, Failure> {
        if self.written.is_empty() {
            let key = match &self.value {
                Slotted::Kept(entry) => &entry.get().0,
                Slotted::Changed(entry) => &entry.get().0,
            };
            write_key(key, self.max_parallelism, self.written)?;
            self.length = self.written.len();
        }
        self.written.truncate(self.length);
        let place = Place::Heap { all: self.of_states, key: self.written };
        Entries::new(place, state, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeMap, ops::Bound};

    type Model = (BTreeMap<u8, u16>, BTreeMap<Vec<u8>, Vec<u8>>);

    /// What is read at the moment.
    fn now(table: &HeapTable<u8, u16>) -> Model {
        let entries = table.of_states.from(Bound::Unbounded);
        let entries = entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        (table.all().map(|(key, value)| (*key, *value)).collect(), entries)
    }

    proptest! {
        #[test]
        fn a_snapshot_holds_what_was_there_and_what_comes_is_not_lost(
            ops in prop::collection::vec((0..9_u8, any::<u8>(), any::<u16>()), 1..400),
        ) {
            let mut table = HeapTable::<u8, u16>::new();
            let mut model = Model::default();
            let mut frozen: Option<(Model, Model, (usize, usize))> = None;
            for (what, key, value) in ops {
                let entry = vec![0, 0, key % 16];
                match what {
                    0..=2 => {
                        *table.slot(key, 8).state() = value;
                        model.0.insert(key, value);
                    }
                    3 => {
                        let found = *table.slot(key, 8).state();
                        prop_assert_eq!(found, *model.0.entry(key).or_default());
                    }
                    4 => {
                        table.slot(key, 8).clear();
                        model.0.remove(&key);
                    }
                    5 => {
                        *table.of_states.value_mut(&entry) = value.to_be_bytes().to_vec();
                        model.1.insert(entry, value.to_be_bytes().to_vec());
                    }
                    6 => {
                        table.of_states.remove(&entry);
                        model.1.remove(&entry);
                    }
                    7 if frozen.is_none() => {
                        table.freeze(true);
                        frozen = Some((model.clone(), Model::default(), (0, 0)));
                    }
                    _ => {
                        table.settle(usize::from(key % 8));
                        let Some((expected, mut found, from)) = frozen.take() else { continue };
                        let places = 1 + usize::from(key % 8);
                        let next = table.each_of_some::<()>(from, places, |key, value| {
                            found.0.insert(*key, *value);
                            Ok(())
                        });
                        match next.expect("it does not fail") {
                            Some(next) => frozen = Some((expected, found, next)),
                            None => {
                                let entries = table.of_states.frozen(Bound::Unbounded);
                                let copied = |(key, value): (&[u8], &[u8])| (key.to_vec(), value.to_vec());
                                found.1.extend(entries.map(copied));
                                prop_assert_eq!(found, expected);
                                table.thaw();
                            }
                        }
                    }
                }
                prop_assert_eq!(now(&table), model.clone());
            }
            table.thaw();
            while table.settle(3) {}
            prop_assert!(table.changed.len() == 0 && !table.of_states.has_changed());
            prop_assert_eq!(now(&table), model);
        }
    }
}
