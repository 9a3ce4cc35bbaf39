//! State by key, on the heap, and its timers.

use super::{
    data::{Data, decode, encode},
    failure::Failure,
    time::Timestamp,
};
use crate::system::graph::{KeyGroupRange, key_group};
use bytes::Bytes;
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
    table: HashTable<(K, S)>,
    hasher: FixedState,
    event: Timers<K>,
    processing: Timers<K>,
    owned: KeyGroupRange,
    max_parallelism: u32,
}

/// A key's state while its function is called.
pub(super) struct Slot<'a, K, S> {
    entry: hash_table::OccupiedEntry<'a, (K, S)>,
    timers: TimerService<'a, K>,
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

impl<'a, K: Key, S> Slot<'a, K, S> {
    pub fn key(&self) -> &K {
        &self.entry.get().0
    }

    pub fn state(&mut self) -> &mut S {
        &mut self.entry.get_mut().1
    }

    pub fn set_timer(&mut self, is_event: bool, time: Timestamp) -> Result<(), Failure> {
        self.timers.of(is_event).set(time, &self.entry.get().0)
    }

    pub fn delete_timer(&mut self, is_event: bool, time: Timestamp) -> Result<(), Failure> {
        self.timers.of(is_event).delete(time, &self.entry.get().0)
    }

    /// Forgets the state; timers stay.
    pub fn clear(self) {
        self.entry.remove();
    }
}

impl<K: Key, S: Data + Default> KeyedState<K, S> {
    /// Nothing is kept yet of a subtask that owns these key groups out of `max_parallelism`.
    pub fn new(owned: KeyGroupRange, max_parallelism: u32) -> Self {
        KeyedState {
            table: HashTable::new(),
            // The same in every process: nothing that is kept or emitted depends on it, but a run has to be equal.
            hasher: FixedState::with_seed(0x5eed),
            event: Timers { by_time: BTreeMap::new() },
            processing: Timers { by_time: BTreeMap::new() },
            owned,
            max_parallelism,
        }
    }

    /// The state of a key, made when there is none.
    pub fn slot(&mut self, key: K) -> Slot<'_, K, S> {
        let hash = self.hasher.hash_one(&key);
        let hasher = &self.hasher;
        let found =
            self.table.entry(hash, |(other, _)| *other == key, |(other, _)| hasher.hash_one(other));
        let entry = match found {
            hash_table::Entry::Occupied(entry) => entry,
            hash_table::Entry::Vacant(entry) => entry.insert((key, S::default())),
        };
        let timers = TimerService { event: &mut self.event, processing: &mut self.processing };
        Slot { entry, timers }
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
        self.table.len()
    }

    /// What is kept, by key group; the same whatever happened before.
    pub fn snapshot(&self) -> Result<Vec<(u32, Bytes)>, Failure> {
        let mut groups =
            BTreeMap::<u32, (BTreeMap<Vec<u8>, &(K, S)>, [Vec<(Timestamp, &K)>; 2])>::new();
        for entry in &self.table {
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
                *self.slot(key).state() = state;
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
            let mut slot = whole.slot(number.to_string());
            *slot.state() = number;
            slot.set_timer(true, Timestamp(100 - i64::try_from(number).unwrap())).unwrap();
            slot.set_timer(false, Timestamp(7)).unwrap();
        }
        whole
    }

    #[test]
    fn a_state_is_kept_until_it_is_cleared() {
        let mut state = state(0, 1);
        *state.slot("a".to_string()).state() += 2;
        assert_eq!(*state.slot("a".to_string()).state(), 2);
        state.slot("a".to_string()).clear();
        assert_eq!((state.len(), *state.slot("a".to_string()).state()), (0, 0));
    }

    #[test]
    fn timers_come_in_order_and_once() {
        let mut state = filled();
        state.slot("7".to_string()).delete_timer(true, Timestamp(93)).unwrap();
        let mut slot = state.slot("9".to_string());
        slot.set_timer(true, Timestamp(91)).unwrap();
        let due: Vec<_> = std::iter::from_fn(|| state.next_due(true, Timestamp(95))).collect();
        assert!(due.is_sorted_by_key(|(time, _)| *time) && due.len() == 94, "{}", due.len());
        assert_eq!(state.first_timer(true), Some(Timestamp(96)));
        assert_eq!(state.first_timer(false), Some(Timestamp(7)));
    }

    #[test]
    fn a_snapshot_is_restored_by_key_groups_with_its_timers() {
        let whole = filled();
        let kept = whole.snapshot().unwrap();
        let mut parts = [state(0, 3), state(1, 3), state(2, 3)];
        parts.iter_mut().for_each(|part| part.restore(&kept).unwrap());
        assert_eq!(parts.iter().map(KeyedState::len).sum::<usize>(), 100);
        let joined: Vec<_> = parts.iter().flat_map(|part| part.snapshot().unwrap()).collect();
        assert_eq!(joined, kept);
        // In another order of insertion, the same bytes.
        let mut other = state(0, 1);
        for number in (0..100).rev() {
            *other.slot(number.to_string()).state() = number;
        }
        let mut again = filled();
        while again.next_due(true, Timestamp::MAX).is_some() {}
        while again.next_due(false, Timestamp::MAX).is_some() {}
        assert_eq!(other.snapshot().unwrap(), again.snapshot().unwrap());
    }

    #[test]
    fn a_damaged_or_misplaced_group_is_refused() {
        let mut whole = state(0, 1);
        assert!(whole.restore(&[(0, Bytes::from_static(b"\x07x"))]).is_err());
        whole.slot("a".to_string());
        let (group, encoded) = whole.snapshot().unwrap().remove(0);
        assert!(state(0, 1).restore(&[((group + 1) % 16, encoded)]).is_err());
    }
}
