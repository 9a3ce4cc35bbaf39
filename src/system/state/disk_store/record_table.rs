//! Records in memory: those that were written and are in no run yet, and those that are only known.
//!
//! They lie one behind the other in one piece of memory, each behind a head, and a hash table of their places finds
//! them. Their order is made when somebody asks for it: places are added to sorted lists of which each is at least
//! twice as long as the next, so that much asking costs little.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::{cmp::Ordering, hash::BuildHasher};

/// Flags, bytes left behind the value, length of the key, length of the value.
const HEAD: usize = 8;
const WRITTEN: u8 = 1;
const ABSENT: u8 = 2;
const REPLACED: u8 = 4;

/// Where a record is.
pub(super) type Place = u32;

/// The hash of a key, the same in every process.
pub(super) fn hash(key: &[u8]) -> u64 {
    FixedState::with_seed(0x5eed).hash_one(key)
}

/// A table of records.
#[derive(Default)]
pub(super) struct RecordTable {
    arena: Vec<u8>,
    slots: HashTable<Place>,
    written: usize,
    /// Bytes of the arena that were once in use.
    touched: usize,
    sorted: Vec<Vec<Place>>,
    /// Up to where records are in the sorted lists.
    sorted_to: usize,
}

impl RecordTable {
    /// An empty one with room for so many bytes and records.
    pub fn new(bytes: usize, records: usize) -> Self {
        RecordTable {
            arena: Vec::with_capacity(bytes),
            slots: HashTable::with_capacity(records),
            ..RecordTable::default()
        }
    }

    /// Gives back memory that it has no use for, since nothing is added any more.
    pub fn give_back(&mut self) {
        if self.arena.len() < self.touched.max(self.arena.capacity()) / 2 {
            self.arena.shrink_to_fit();
            self.touched = 0;
        }
    }

    /// Without its records, but with their memory.
    pub fn emptied(mut self) -> Self {
        let touched = self.touched.max(self.arena.len());
        self.arena.clear();
        self.slots.clear();
        RecordTable { arena: self.arena, slots: self.slots, touched, ..RecordTable::default() }
    }

    /// Records that are to become part of a run.
    pub fn written(&self) -> usize {
        self.written
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn bytes(&self) -> usize {
        let sorted: usize = self.sorted.iter().map(|list| list.capacity() * 4).sum();
        self.arena.len() + self.slots.allocation_size() + sorted
    }

    /// The same, with memory that is only kept.
    pub fn held_bytes(&self) -> usize {
        self.bytes() + self.touched.saturating_sub(self.arena.len())
    }

    /// The bytes that a record takes.
    pub fn size(key: &[u8], value: Option<&[u8]>) -> usize {
        HEAD + key.len() + value.map_or(0, <[u8]>::len).next_multiple_of(4)
    }

    fn head(&self, place: Place) -> (u8, usize, usize, usize) {
        let at = place as usize;
        let head = &self.arena[at..at + HEAD];
        let key = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let value = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        (head[0], usize::from(head[1]), key, value)
    }

    pub fn key(&self, place: Place) -> &[u8] {
        let at = place as usize;
        let length = usize::from(u16::from_le_bytes([self.arena[at + 2], self.arena[at + 3]]));
        &self.arena[at + HEAD..at + HEAD + length]
    }

    /// `None` when it is known that there is none.
    pub fn value(&self, place: Place) -> Option<&[u8]> {
        let (flags, _, key, value) = self.head(place);
        let begin = place as usize + HEAD + key;
        (flags & ABSENT == 0).then(|| &self.arena[begin..begin + value])
    }

    pub fn is_written(&self, place: Place) -> bool {
        self.arena[place as usize] & (WRITTEN | REPLACED) == WRITTEN
    }

    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        self.slots.find(hash, |place| self.key(*place) == key).copied()
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>, flags: u8) -> Place {
        let place = u32::try_from(self.arena.len()).expect("a table has less than 4 GiB");
        let absent = if value.is_none() { ABSENT } else { 0 };
        let value = value.unwrap_or_default();
        let slack = value.len().next_multiple_of(4) - value.len();
        self.arena.extend_from_slice(&[flags | absent, slack as u8]);
        let length = u16::try_from(key.len()).expect("keys are short");
        self.arena.extend_from_slice(&length.to_le_bytes());
        let length = u32::try_from(value.len()).expect("values are bounded");
        self.arena.extend_from_slice(&length.to_le_bytes());
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        self.arena.extend_from_slice(&[0; 4][..slack]);
        place
    }

    /// Adds a record whose key is not there.
    pub fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        value: Option<&[u8]>,
        is_written: bool,
    ) -> Place {
        debug_assert!(self.find(hash, key).is_none(), "it is there");
        let place = self.push(key, value, if is_written { WRITTEN } else { 0 });
        self.written += usize::from(is_written);
        let arena = &self.arena;
        self.slots.insert_unique(hash, place, |place| {
            let at = *place as usize;
            let length = usize::from(u16::from_le_bytes([arena[at + 2], arena[at + 3]]));
            self::hash(&arena[at + HEAD..at + HEAD + length])
        });
        place
    }

    /// Writes a record that is there.
    pub fn write(&mut self, hash: u64, place: Place, value: Option<&[u8]>) {
        let (flags, slack, key_length, old) = self.head(place);
        self.written += usize::from(flags & WRITTEN == 0);
        let length = value.map_or(0, <[u8]>::len);
        let at = place as usize;
        if let Some(slack) = (old + slack).checked_sub(length).and_then(|it| u8::try_from(it).ok())
        {
            let absent = if value.is_none() { ABSENT } else { 0 };
            self.arena[at] = WRITTEN | absent;
            self.arena[at + 1] = slack;
            self.arena[at + 4..at + HEAD].copy_from_slice(&(length as u32).to_le_bytes());
            let begin = at + HEAD + key_length;
            self.arena[begin..begin + length].copy_from_slice(value.unwrap_or_default());
            return;
        }
        self.arena[at] |= REPLACED;
        let key = self.key(place).to_vec();
        let new = self.push(&key, value, WRITTEN);
        let slot = self.slots.find_mut(hash, |other| *other == place);
        *slot.expect("it is there") = new;
    }

    /// The place behind a record's.
    fn next(&self, at: usize) -> usize {
        let (_, slack, key, value) = self.head(at as Place);
        at + HEAD + key + value + slack
    }

    fn compare(&self, one: Place, other: Place) -> Ordering {
        self.key(one).cmp(self.key(other))
    }

    /// The places of all written records in the order of their keys.
    pub fn written_in_order(&self) -> Vec<Place> {
        let mut places = Vec::with_capacity(self.written);
        let mut at = 0;
        while at < self.arena.len() {
            if self.is_written(at as Place) {
                places.push(at as Place);
            }
            at = self.next(at);
        }
        debug_assert_eq!(places.len(), self.written, "each is counted once");
        // Much is in order by itself, since batches are read in order: a sort that merges is fast.
        places.sort_by(|one, other| self.compare(*one, *other));
        places
    }

    /// Makes the sorted lists complete.
    pub fn sort(&mut self) {
        if self.sorted_to == self.arena.len() {
            return;
        }
        let (mut at, mut list) = (self.sorted_to, Vec::new());
        while at < self.arena.len() {
            list.push(at as Place);
            at = self.next(at);
        }
        self.sorted_to = at;
        let mut lists = std::mem::take(&mut self.sorted);
        list.sort_by(|one, other| self.compare(*one, *other));
        while let Some(longer) = lists.pop_if(|last| last.len() < 2 * list.len()) {
            list = self.merge(&longer, &list);
        }
        lists.push(list);
        self.sorted = lists;
    }

    fn merge(&self, one: &[Place], other: &[Place]) -> Vec<Place> {
        let is_alive = |place: &Place| self.arena[*place as usize] & REPLACED == 0;
        let mut merged = Vec::with_capacity(one.len() + other.len());
        let mut one = one.iter().copied().filter(is_alive).peekable();
        let mut other = other.iter().copied().filter(is_alive).peekable();
        while let (Some(left), Some(right)) = (one.peek(), other.peek()) {
            let from_one = self.compare(*left, *right).is_lt();
            merged.extend(if from_one { one.next() } else { other.next() });
        }
        merged.extend(one);
        merged.extend(other);
        merged
    }

    /// The first written record at or behind a key, after [`sort`](Self::sort); with `after`, behind it.
    pub fn seek(&self, key: &[u8], after: bool) -> Option<Place> {
        debug_assert_eq!(self.sorted_to, self.arena.len(), "it is sorted");
        let before = |place: &Place| match self.key(*place).cmp(key) {
            Ordering::Less => true,
            Ordering::Equal => after,
            Ordering::Greater => false,
        };
        let first = |list: &Vec<Place>| {
            let behind = &list[list.partition_point(before)..];
            behind.iter().copied().find(|place| self.is_written(*place))
        };
        self.sorted.iter().filter_map(first).min_by(|one, other| self.compare(*one, *other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map_in_order(
            ops in prop::collection::vec(
                (0..60_u8, prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), any::<u8>()), 1..200),
        ) {
            let mut table = RecordTable::default();
            let mut model = BTreeMap::<Vec<u8>, (Option<Vec<u8>>, bool)>::new();
            for (key, value, what) in ops {
                let key = vec![key / 10; usize::from(key % 10)];
                let found = table.find(hash(&key), &key);
                let is_written = what % 3 > 0;
                match found {
                    Some(place) if is_written => table.write(hash(&key), place, value.as_deref()),
                    Some(_) => continue,
                    None => {
                        table.insert(hash(&key), &key, value.as_deref(), is_written);
                    }
                }
                model.insert(key.clone(), (value, is_written));
                let place = table.find(hash(&key), &key).unwrap();
                prop_assert_eq!(&table.value(place).map(<[u8]>::to_vec), &model[&key].0);
                if what % 7 == 0 {
                    table.sort();
                    let next = model.range(key.clone()..).filter(|(_, (_, is))| *is);
                    let found = table.seek(&key, false).map(|place| table.key(place).to_vec());
                    prop_assert_eq!(found, next.map(|(key, _)| key.clone()).next());
                }
            }
            let written: Vec<_> = table.written_in_order();
            let found: Vec<_> = written
                .iter()
                .map(|place| (table.key(*place).to_vec(), table.value(*place).map(<[u8]>::to_vec)))
                .collect();
            let expected = model.into_iter().filter(|(_, (_, is))| *is);
            let expected: Vec<_> = expected.map(|(key, (value, _))| (key, value)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
