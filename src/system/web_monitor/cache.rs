//! Answers that are kept for a while.

use crate::host::Instant;
use std::{collections::BTreeMap, sync::Mutex, time::Duration};

/// Values by key, each with when it was asked for. The oldest give way to new ones.
pub struct Cache<K, V> {
    values: Mutex<BTreeMap<K, (Instant, V)>>,
    most: usize,
}

impl<K: Ord + Clone, V: Clone> Cache<K, V> {
    /// Room for so many values.
    pub fn new(most: usize) -> Self {
        Cache { values: Mutex::new(BTreeMap::new()), most }
    }

    /// A value that was asked for no longer ago, and how long ago.
    pub fn get(&self, now: Instant, key: &K, no_older: Duration) -> Option<(V, Duration)> {
        let values = self.values.lock().expect("no panic under this lock");
        let (asked, value) = values.get(key)?;
        let age = now.saturating_since(*asked);
        (age <= no_older).then(|| (value.clone(), age))
    }

    /// Keeps what was asked for then. What was asked for later stays, whichever answer came first.
    pub fn put(&self, asked: Instant, key: K, value: V) {
        let mut values = self.values.lock().expect("no panic under this lock");
        if values.get(&key).is_some_and(|(known, _)| *known > asked) {
            return;
        }
        if values.len() >= self.most && !values.contains_key(&key) {
            let oldest = values.iter().min_by_key(|(_, (asked, _))| *asked);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.map(|key| values.remove(&key));
        }
        values.insert(key, (asked, value));
    }

    /// Forgets a value.
    pub fn remove(&self, key: &K) {
        self.values.lock().expect("no panic under this lock").remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    const LONG: Duration = Duration::from_millis(100);

    #[test]
    fn a_value_is_given_again_with_its_age_until_it_is_too_old() {
        let cache = Cache::new(9);
        cache.put(at(5), 'a', 1);
        assert_eq!(cache.get(at(5), &'a', LONG), Some((1, Duration::ZERO)));
        assert_eq!(cache.get(at(105), &'a', LONG), Some((1, LONG)));
        assert_eq!(cache.get(at(106), &'a', LONG), None);
        assert_eq!(cache.get(at(106), &'a', 2 * LONG), Some((1, Duration::from_millis(101))));
        cache.remove(&'a');
        assert_eq!(cache.get(at(5), &'a', LONG), None);
    }

    #[test]
    fn an_answer_that_comes_late_does_not_replace_that_of_a_later_question() {
        let cache = Cache::new(9);
        cache.put(at(7), 'a', 2);
        cache.put(at(5), 'a', 1);
        assert_eq!(cache.get(at(7), &'a', LONG), Some((2, Duration::ZERO)));
        cache.put(at(7), 'a', 3);
        assert_eq!(cache.get(at(7), &'a', LONG), Some((3, Duration::ZERO)));
    }

    #[test]
    fn where_there_is_no_room_the_oldest_goes() {
        let cache = Cache::new(2);
        for (asked, key) in [(5, 'a'), (4, 'b'), (6, 'c'), (7, 'c')] {
            cache.put(at(asked), key, 1);
        }
        let known = |key| cache.get(at(7), &key, LONG).is_some();
        assert!(known('a') && !known('b') && known('c'));
    }
}
