//! The timers of a subtask's keys, which are always in memory.

use crate::system::dataflow::{
    data::{Key, encode},
    failure::Failure,
    time::Timestamp,
};
use std::collections::BTreeMap;

/// Timers of one kind, by time and, at one time, by the encoding of their keys.
#[derive(Debug, Default)]
pub struct Timers<K> {
    pub by_time: BTreeMap<(Timestamp, Vec<u8>), K>,
}

/// Sets and deletes a key's timers.
pub struct TimerService<'a, K> {
    pub event: &'a mut Timers<K>,
    pub processing: &'a mut Timers<K>,
}

impl<K: Key> Timers<K> {
    pub fn set(&mut self, time: Timestamp, key: &K) -> Result<(), Failure> {
        self.by_time.insert((time, encode(key)?), key.clone());
        Ok(())
    }

    pub fn delete(&mut self, time: Timestamp, key: &K) -> Result<(), Failure> {
        self.by_time.remove(&(time, encode(key)?));
        Ok(())
    }

    pub fn pop_until(&mut self, until: Timestamp) -> Option<(Timestamp, K)> {
        let first = self.by_time.first_entry()?;
        (first.key().0 <= until).then(|| {
            let ((time, _), key) = first.remove_entry();
            (time, key)
        })
    }

    pub fn first(&self) -> Option<Timestamp> {
        self.by_time.first_key_value().map(|((time, _), _)| *time)
    }
}

impl<K: Key> TimerService<'_, K> {
    pub fn of(&mut self, is_event: bool) -> &mut Timers<K> {
        if is_event { self.event } else { self.processing }
    }
}
