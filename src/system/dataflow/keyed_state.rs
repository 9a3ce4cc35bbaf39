//! State by key, on the heap or on a disk, and its timers, which are always in memory.

mod disk;

use super::{
    data::{Data, decode, encode},
    failure::Failure,
    operator::{OperatorContext, WrittenFile},
    time::Timestamp,
};
use crate::system::{
    graph::{KeyGroupRange, OperatorState, StateBackend, StateFile, key_group},
    ids::CheckpointId,
};
use bytes::Bytes;
use disk::DiskTable;
use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hash},
};

/// What keys are: they are compared, and spread by their encoding.
pub trait Key: Data + Eq + Hash {}

impl<K: Data + Eq + Hash> Key for K {}

/// Timers of one kind, by time and, at one time, by the encoding of their keys.
#[derive(Debug, Default)]
struct Timers<K> {
    by_time: BTreeMap<(Timestamp, Vec<u8>), K>,
}

/// What is kept of one key group.
type Group<K, S> = (Vec<(K, S)>, Vec<(Timestamp, K)>, Vec<(Timestamp, K)>);

/// The state of each key that a subtask owns, and the timers that were set for it.
pub(super) struct KeyedState<K, S> {
    table: Table<K, S>,
    event: Timers<K>,
    processing: Timers<K>,
    owned: KeyGroupRange,
    max_parallelism: u32,
}

/// Where the values are.
enum Table<K, S> {
    Heap(HeapTable<K, S>),
    Disk(Box<DiskTable>),
}

struct HeapTable<K, S> {
    entries: HashTable<(K, S)>,
    hasher: FixedState,
}

/// A key's state while its function is called.
pub(super) struct Slot<'a, K, S> {
    held: Held<'a, K, S>,
    timers: TimerService<'a, K>,
}

enum Held<'a, K, S> {
    Heap(hash_table::OccupiedEntry<'a, (K, S)>),
    Disk { key: K, state: S, table: &'a mut DiskTable },
}

/// Sets and deletes a key's timers.
pub(super) struct TimerService<'a, K> {
    event: &'a mut Timers<K>,
    processing: &'a mut Timers<K>,
}

impl<K: Key> Timers<K> {
    fn set(&mut self, time: Timestamp, key: &K) -> Result<(), Failure> {
        self.by_time.insert((time, encode(key)?), key.clone());
        Ok(())
    }

    fn delete(&mut self, time: Timestamp, key: &K) -> Result<(), Failure> {
        self.by_time.remove(&(time, encode(key)?));
        Ok(())
    }

    fn pop_until(&mut self, until: Timestamp) -> Option<(Timestamp, K)> {
        let first = self.by_time.first_entry()?;
        (first.key().0 <= until).then(|| {
            let ((time, _), key) = first.remove_entry();
            (time, key)
        })
    }

    fn first(&self) -> Option<Timestamp> {
        self.by_time.first_key_value().map(|((time, _), _)| *time)
    }
}

impl<K: Key> TimerService<'_, K> {
    fn of(&mut self, is_event: bool) -> &mut Timers<K> {
        if is_event { self.event } else { self.processing }
    }
}

impl<K: Key, S: Data> Slot<'_, K, S> {
    pub fn key(&self) -> &K {
        self.held.key()
    }

    pub fn state(&mut self) -> &mut S {
        match &mut self.held {
            Held::Heap(entry) => &mut entry.get_mut().1,
            Held::Disk { state, .. } => state,
        }
    }

    pub fn set_timer(&mut self, is_event: bool, time: Timestamp) -> Result<(), Failure> {
        let Slot { held, timers } = self;
        timers.of(is_event).set(time, held.key())
    }

    pub fn delete_timer(&mut self, is_event: bool, time: Timestamp) -> Result<(), Failure> {
        let Slot { held, timers } = self;
        timers.of(is_event).delete(time, held.key())
    }

    /// Keeps the state as it is now, or forgets it; timers stay.
    pub fn keep(self, is_cleared: bool) -> Result<(), Failure> {
        match (self.held, is_cleared) {
            (Held::Heap(entry), true) => drop(entry.remove()),
            (Held::Heap(_), false) => {}
            (Held::Disk { table, .. }, true) => table.delete()?,
            (Held::Disk { state, table, .. }, false) => table.put(&state)?,
        }
        Ok(())
    }
}

impl<K, S> Held<'_, K, S> {
    fn key(&self) -> &K {
        match self {
            Held::Heap(entry) => &entry.get().0,
            Held::Disk { key, .. } => key,
        }
    }
}

impl<K: Key, S: Data + Default> HeapTable<K, S> {
    fn new() -> Self {
        // The same in every process: nothing that is kept or emitted depends on it, but a run has to be equal.
        HeapTable { entries: HashTable::new(), hasher: FixedState::with_seed(0x5eed) }
    }

    fn entry(&mut self, key: K) -> hash_table::OccupiedEntry<'_, (K, S)> {
        let hash = self.hasher.hash_one(&key);
        let hasher = &self.hasher;
        let is_same = |(other, _): &(K, S)| *other == key;
        match self.entries.entry(hash, is_same, |(other, _)| hasher.hash_one(other)) {
            hash_table::Entry::Occupied(entry) => entry,
            hash_table::Entry::Vacant(entry) => entry.insert((key, S::default())),
        }
    }
}

impl<K: Key, S: Data + Default> KeyedState<K, S> {
    /// Nothing is kept yet of a subtask that owns these key groups out of `max_parallelism`.
    pub fn new(owned: KeyGroupRange, max_parallelism: u32) -> Self {
        KeyedState::of(Table::Heap(HeapTable::new()), owned, max_parallelism)
    }

    fn of(table: Table<K, S>, owned: KeyGroupRange, max_parallelism: u32) -> Self {
        let (event, processing) = (BTreeMap::new(), BTreeMap::new());
        KeyedState {
            table,
            event: Timers { by_time: event },
            processing: Timers { by_time: processing },
            owned,
            max_parallelism,
        }
    }

    /// What these states of former subtasks hold of what the subtask owns, kept as the job wants it.
    pub async fn open(
        context: &OperatorContext,
        states: &[OperatorState],
    ) -> Result<Self, Failure> {
        let (owned, max_parallelism) = (context.key_groups(), context.max_parallelism);
        let files: Vec<&StateFile> = states.iter().flat_map(|state| &state.files).collect();
        let mut opened = match context.state_backend {
            StateBackend::Memory | StateBackend::Heap => KeyedState::new(owned, max_parallelism),
            StateBackend::Disk { memory } => {
                let table = DiskTable::open(context, memory, &files).await?;
                KeyedState::of(Table::Disk(Box::new(table)), owned, max_parallelism)
            }
        };
        if let (Table::Heap(table), false) = (&mut opened.table, files.is_empty()) {
            let insert = |key: &[u8], value: &[u8]| {
                table.entry(decode(key)?).get_mut().1 = decode(value)?;
                Ok(())
            };
            DiskTable::read_all(context, &files, insert).await?;
        }
        for state in states {
            opened.restore(&state.keyed)?;
        }
        Ok(opened)
    }

    /// The state of a key, made when there is none.
    pub fn slot(&mut self, key: K) -> Result<Slot<'_, K, S>, Failure> {
        let max_parallelism = self.max_parallelism;
        let held = match &mut self.table {
            Table::Heap(table) => Held::Heap(table.entry(key)),
            Table::Disk(table) => {
                table.seek(&key, |encoded| key_group(encoded, max_parallelism))?;
                let state = table.get()?.unwrap_or_default();
                Held::Disk { key, state, table }
            }
        };
        let timers = TimerService { event: &mut self.event, processing: &mut self.processing };
        Ok(Slot { held, timers })
    }

    /// The disk, where the values are on one.
    pub fn disk(&mut self) -> Option<&mut DiskTable> {
        match &mut self.table {
            Table::Heap(_) => None,
            Table::Disk(table) => Some(table),
        }
    }

    /// Whether the values are on a disk.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.table, Table::Disk(_))
    }

    /// Whether there is work to do beside the records.
    pub fn has_work(&self) -> bool {
        match &self.table {
            Table::Heap(_) => false,
            Table::Disk(table) => table.has_work(),
        }
    }

    /// A key as the disk has it.
    pub fn encoded(&mut self, key: &K) -> Result<Vec<u8>, Failure> {
        let max_parallelism = self.max_parallelism;
        let table = self.disk().expect("only a disk asks");
        table.seek(key, |encoded| key_group(encoded, max_parallelism))?;
        Ok(table.key().to_vec())
    }

    /// The files of a snapshot; `None` while they are being written.
    pub fn written(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<Option<Vec<WrittenFile>>, Failure> {
        match self.disk() {
            None => Ok(Some(Vec::new())),
            Some(table) => table.written(checkpoint),
        }
    }

    /// Takes the next timer that is due.
    pub fn next_due(&mut self, is_event: bool, until: Timestamp) -> Option<(Timestamp, K)> {
        let timers = if is_event { &mut self.event } else { &mut self.processing };
        timers.pop_until(until)
    }

    /// The earliest timer.
    pub fn first_timer(&self, is_event: bool) -> Option<Timestamp> {
        if is_event { self.event.first() } else { self.processing.first() }
    }

    /// How many keys have a state.
    #[cfg(test)]
    fn len(&self) -> usize {
        match &self.table {
            Table::Heap(table) => table.entries.len(),
            Table::Disk(_) => unreachable!("no test counts those on a disk"),
        }
    }

    /// What is kept at a checkpoint, by key group; the same whatever happened before. What is on a disk is written there, in
    /// files.
    pub fn snapshot(&mut self, checkpoint: CheckpointId) -> Result<Vec<(u32, Bytes)>, Failure> {
        if let Some(table) = self.disk() {
            table.snapshot(checkpoint);
        }
        self.in_memory()
    }

    fn in_memory(&self) -> Result<Vec<(u32, Bytes)>, Failure> {
        let mut groups =
            BTreeMap::<u32, (BTreeMap<Vec<u8>, &(K, S)>, [Vec<(Timestamp, &K)>; 2])>::new();
        let entries = match &self.table {
            Table::Heap(table) => Some(&table.entries),
            Table::Disk(_) => None,
        };
        for entry in entries.into_iter().flatten() {
            let key = encode(&entry.0)?;
            groups.entry(self.group(&key)).or_default().0.insert(key, entry);
        }
        for (kind, timers) in [&self.event, &self.processing].into_iter().enumerate() {
            for ((time, encoded), key) in &timers.by_time {
                groups.entry(self.group(encoded)).or_default().1[kind].push((*time, key));
            }
        }
        let kept = groups.into_iter().map(|(group, (entries, [event, processing]))| {
            let entries: Vec<&(K, S)> = entries.into_values().collect();
            Ok((group, Bytes::from(encode(&(entries, event, processing))?)))
        });
        kept.collect()
    }

    fn group(&self, key: &[u8]) -> u32 {
        key_group(key, self.max_parallelism)
    }

    /// Takes over the owned ones of these key groups; the others belong to other subtasks.
    pub fn restore(&mut self, keyed: &[(u32, Bytes)]) -> Result<(), Failure> {
        let owned = self.owned;
        for (number, encoded) in keyed.iter().filter(|(group, _)| owned.contains(*group)) {
            let (entries, event, processing): Group<K, S> = decode(encoded)
                .map_err(|why| Failure(format!("the state of key group {number}: {why}")))?;
            for (key, state) in entries {
                self.check(*number, &key)?;
                let mut slot = self.slot(key)?;
                *slot.state() = state;
                slot.keep(false)?;
            }
            for (timers, kept) in [(&mut self.event, event), (&mut self.processing, processing)] {
                kept.into_iter().try_for_each(|(time, key)| timers.set(time, &key))?;
            }
        }
        Ok(())
    }

    fn check(&self, number: u32, key: &K) -> Result<(), Failure> {
        match self.group(&encode(key)?) {
            group if group == number => Ok(()),
            group => Err(Failure(format!("key group {number} holds a key of group {group}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(subtask: u32, parallelism: u32) -> KeyedState<String, u64> {
        KeyedState::new(KeyGroupRange::of_subtask(subtask, parallelism, 16), 16)
    }

    fn filled() -> KeyedState<String, u64> {
        let mut whole = state(0, 1);
        for number in 0..100 {
            let mut slot = whole.slot(number.to_string()).unwrap();
            *slot.state() = number;
            slot.set_timer(true, Timestamp(100 - i64::try_from(number).unwrap())).unwrap();
            slot.set_timer(false, Timestamp(7)).unwrap();
        }
        whole
    }

    #[test]
    fn a_state_is_kept_until_it_is_cleared() {
        let mut state = state(0, 1);
        *state.slot("a".to_string()).unwrap().state() += 2;
        assert_eq!(*state.slot("a".to_string()).unwrap().state(), 2);
        state.slot("a".to_string()).unwrap().keep(true).unwrap();
        assert_eq!((state.len(), *state.slot("a".to_string()).unwrap().state()), (0, 0));
    }

    #[test]
    fn timers_come_in_order_and_once() {
        let mut state = filled();
        state.slot("7".to_string()).unwrap().delete_timer(true, Timestamp(93)).unwrap();
        let mut slot = state.slot("9".to_string()).unwrap();
        slot.set_timer(true, Timestamp(91)).unwrap();
        let due: Vec<_> = std::iter::from_fn(|| state.next_due(true, Timestamp(95))).collect();
        assert!(due.is_sorted_by_key(|(time, _)| *time) && due.len() == 94, "{}", due.len());
        assert_eq!(state.first_timer(true), Some(Timestamp(96)));
        assert_eq!(state.first_timer(false), Some(Timestamp(7)));
    }

    #[test]
    fn a_snapshot_is_restored_by_key_groups_with_its_timers() {
        let whole = filled();
        let kept = whole.in_memory().unwrap();
        let mut parts = [state(0, 3), state(1, 3), state(2, 3)];
        parts.iter_mut().for_each(|part| part.restore(&kept).unwrap());
        assert_eq!(parts.iter().map(KeyedState::len).sum::<usize>(), 100);
        let joined: Vec<_> = parts.iter().flat_map(|part| part.in_memory().unwrap()).collect();
        assert_eq!(joined, kept);
        // In another order of insertion, the same bytes.
        let mut other = state(0, 1);
        for number in (0..100).rev() {
            *other.slot(number.to_string()).unwrap().state() = number;
        }
        let mut again = filled();
        while again.next_due(true, Timestamp::MAX).is_some() {}
        while again.next_due(false, Timestamp::MAX).is_some() {}
        assert_eq!(other.in_memory().unwrap(), again.in_memory().unwrap());
    }

    #[test]
    fn a_damaged_or_misplaced_group_is_refused() {
        let mut whole = state(0, 1);
        assert!(whole.restore(&[(0, Bytes::from_static(b"\x07x"))]).is_err());
        drop(whole.slot("a".to_string()).unwrap());
        let (group, encoded) = whole.in_memory().unwrap().remove(0);
        assert!(state(0, 1).restore(&[((group + 1) % 16, encoded)]).is_err());
    }
}
