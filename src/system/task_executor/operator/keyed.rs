//! Keyed state on the heap.

use super::error::TaskError;
use crate::system::graph::{KeyGroupRange, key_group};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// The entries of one key group.
#[derive(Default)]
struct KeyGroup {
    entries: BTreeMap<Bytes, Bytes>,
    /// What they encode to, until one of them changes.
    encoded: Option<Bytes>,
}

/// Values by key, kept by key group. Cloning gives another handle to the same state.
///
/// The interface is asynchronous so that a state that lies on a disk fits behind it.
#[derive(Clone)]
pub struct KeyedState {
    groups: Arc<Mutex<BTreeMap<u32, KeyGroup>>>,
    owned: KeyGroupRange,
    max_parallelism: u32,
}

impl KeyedState {
    /// No entries yet, for a subtask that owns these key groups out of `max_parallelism`.
    pub fn new(owned: KeyGroupRange, max_parallelism: u32) -> Self {
        KeyedState { groups: Arc::default(), owned, max_parallelism }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, KeyGroup>> {
        self.groups.lock().expect("no panic under this lock")
    }

    fn group(&self, key: &[u8]) -> Result<u32, TaskError> {
        let group = key_group(key, self.max_parallelism);
        if self.owned.contains(group) { Ok(group) } else { Err(TaskError::ForeignKey(group)) }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`TaskError::ForeignKey`] when another subtask owns the key; so for the other calls.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, TaskError> {
        let group = self.group(key)?;
        let groups = self.lock();
        Ok(groups.get(&group).and_then(|group| group.entries.get(key)).cloned())
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn put(&self, key: Bytes, value: Bytes) -> Result<(), TaskError> {
        let group = self.group(&key)?;
        let mut groups = self.lock();
        let group = groups.entry(group).or_default();
        group.encoded = None;
        // The key may be a slice of a whole buffer, which would live as long as the entry.
        match group.entries.get_mut(&key) {
            Some(old) => *old = value,
            None => {
                group.entries.insert(Bytes::copy_from_slice(&key), value);
            }
        }
        Ok(())
    }

    /// Removes a key and returns its value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn remove(&self, key: &[u8]) -> Result<Option<Bytes>, TaskError> {
        let place = self.group(key)?;
        let mut groups = self.lock();
        let Some(group) = groups.get_mut(&place) else { return Ok(None) };
        let removed = group.entries.remove(key);
        group.encoded = None;
        if group.entries.is_empty() {
            groups.remove(&place);
        }
        Ok(removed)
    }

    /// The key groups that hold anything, encoded, in order.
    pub(in crate::system::task_executor) fn snapshot(&self) -> Vec<(u32, Bytes)> {
        let mut groups = self.lock();
        let encoded = groups.iter_mut().map(|(number, group)| {
            let encoded = group.encoded.get_or_insert_with(|| {
                let entries = postcard::to_stdvec(&group.entries).expect("a map of bytes");
                Bytes::from(entries)
            });
            (*number, encoded.clone())
        });
        encoded.collect()
    }

    /// Takes over the owned ones of these key groups; the others belong to other subtasks.
    pub(in crate::system::task_executor) fn restore(
        &self,
        keyed: &[(u32, Bytes)],
    ) -> Result<(), TaskError> {
        let mut groups = self.lock();
        for (number, encoded) in keyed.iter().filter(|(group, _)| self.owned.contains(*group)) {
            let entries = postcard::from_bytes::<BTreeMap<Bytes, Bytes>>(encoded)
                .map_err(|error| TaskError::Restore(format!("key group {number}: {error}")))?;
            let misplaced =
                entries.keys().any(|key| key_group(key, self.max_parallelism) != *number);
            if misplaced {
                let text = format!("key group {number} holds keys of another group");
                return Err(TaskError::Restore(text));
            }
            let group = KeyGroup { entries, encoded: Some(encoded.clone()) };
            groups.insert(*number, group);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    fn key(number: u32) -> Bytes {
        Bytes::from(number.to_string())
    }

    fn state(subtask: u32, parallelism: u32) -> KeyedState {
        KeyedState::new(KeyGroupRange::of_subtask(subtask, parallelism, 16), 16)
    }

    #[test]
    fn what_is_put_is_found_until_it_is_removed() {
        block_on(async {
            let state = state(0, 1);
            assert_eq!(state.get(b"1").await, Ok(None));
            state.put(key(1), key(10)).await.unwrap();
            state.put(key(1), key(11)).await.unwrap();
            assert_eq!(state.get(b"1").await, Ok(Some(key(11))));
            assert_eq!(state.remove(b"1").await, Ok(Some(key(11))));
            assert_eq!((state.remove(b"1").await, state.snapshot().len()), (Ok(None), 0));
        });
    }

    #[test]
    fn a_snapshot_is_restored_by_key_groups_and_sees_later_changes() {
        block_on(async {
            let whole = state(0, 1);
            for number in 0..100 {
                whole.put(key(number), key(number)).await.unwrap();
            }
            let before = whole.snapshot();
            whole.put(key(7), key(8)).await.unwrap();
            let after = whole.snapshot();
            assert_ne!(before, after);
            let parts = [state(0, 3), state(1, 3), state(2, 3)];
            for part in &parts {
                part.restore(&after).unwrap();
            }
            for number in 0..100 {
                let mut found = Vec::new();
                for part in &parts {
                    found.extend(part.get(&key(number)).await.ok().flatten());
                }
                assert_eq!(found, [key(if number == 7 { 8 } else { number })]);
            }
            let joined: Vec<_> = parts.iter().flat_map(KeyedState::snapshot).collect();
            assert_eq!(joined, after);
        });
    }

    #[test]
    fn a_foreign_key_and_a_damaged_or_misplaced_group_are_refused() {
        block_on(async {
            let (first, second) = (state(0, 2), state(1, 2));
            let of_first = (0..).map(key).find(|key| first.group(key).is_ok()).unwrap();
            let refused = second.put(of_first.clone(), key(1)).await;
            assert!(matches!(refused, Err(TaskError::ForeignKey(_))));
            let damaged = first.restore(&[(0, Bytes::from_static(b"\x07x"))]);
            assert!(matches!(damaged, Err(TaskError::Restore(_))));
            first.put(of_first, key(1)).await.unwrap();
            let (group, encoded) = first.snapshot().remove(0);
            let moved = first.restore(&[((group + 1) % 8, encoded)]);
            assert!(matches!(moved, Err(TaskError::Restore(_))));
        });
    }
}
