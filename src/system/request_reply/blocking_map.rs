//! A map with room for so many entries: who comes when it is full waits for room.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    future::poll_fn,
    sync::{Mutex, MutexGuard},
    task::{Poll, Waker},
};

/// The room of a map that is given none.
const CAPACITY_DEFAULT: usize = 32;

/// Why nothing was put into a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The map is full, and as many wait for room as may.
    #[error("the map is full, and {waiting} wait for room")]
    Full {
        /// How many.
        waiting: usize,
    },
    /// There is an entry of that key, which stays.
    #[error("there is an entry of that key")]
    Exists,
}

/// Entries by key, at most `capacity`. Room goes to who waits for it longest. All calls are one step each: of two that
/// remove an entry one has its value.
pub struct BlockingMap<K, V> {
    capacity: usize,
    waiting_max: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: BTreeMap<K, V>,
    /// The number of the next one that waits.
    next: u64,
    /// Who waits for room, who waits longest first.
    waiting: VecDeque<(u64, Waker)>,
    /// Those that waited and may put now.
    granted: BTreeSet<u64>,
}

impl<K: Ord, V> State<K, V> {
    fn has_room(&self, capacity: usize) -> bool {
        self.entries.len() + self.granted.len() < capacity
    }

    /// Gives what room there is to those that wait.
    fn grant(&mut self, capacity: usize) {
        while self.has_room(capacity)
            && let Some((number, waker)) = self.waiting.pop_front()
        {
            self.granted.insert(number);
            waker.wake();
        }
    }

    fn put(&mut self, key: K, value: V) -> Result<(), PutError> {
        match self.entries.entry(key) {
            Entry::Occupied(_) => Err(PutError::Exists),
            Entry::Vacant(place) => {
                place.insert(value);
                Ok(())
            }
        }
    }
}

/// Somebody who waits, until the drop.
struct Waiting<'a, K: Ord, V> {
    map: &'a BlockingMap<K, V>,
    number: Option<u64>,
}

impl<K: Ord, V> Drop for Waiting<'_, K, V> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.map.lock();
        state.waiting.retain(|(waiting, _)| *waiting != number);
        if state.granted.remove(&number) {
            state.grant(self.map.capacity);
        }
    }
}

impl<K: Ord, V> BlockingMap<K, V> {
    /// Without entries. A `capacity` of 0 is 32; at most `waiting_max` wait for room.
    pub fn new(capacity: usize, waiting_max: usize) -> Self {
        let state = State {
            entries: BTreeMap::new(),
            next: 0,
            waiting: VecDeque::new(),
            granted: BTreeSet::new(),
        };
        let capacity = if capacity == 0 { CAPACITY_DEFAULT } else { capacity };
        BlockingMap { capacity, waiting_max, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Puts an entry, as soon as there is room and nobody waits for longer. Dropped before, it puts nothing.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put(&self, key: K, value: V) -> Result<(), PutError> {
        let mut waiting = Waiting { map: self, number: None };
        let mut entry = Some((key, value));
        poll_fn(|cx| {
            let mut state = self.lock();
            let may_put = match waiting.number {
                Some(number) => state.granted.remove(&number),
                None => state.waiting.is_empty() && state.has_room(self.capacity),
            };
            if may_put {
                waiting.number = None;
                let (key, value) = entry.take().expect("it is put once");
                let put = state.put(key, value);
                // There may be room left: nothing was put, or more than one entry went.
                state.grant(self.capacity);
                assert!(state.entries.len() <= self.capacity, "no more than there is room for");
                return Poll::Ready(put);
            }
            match waiting.number {
                Some(number) => {
                    let place = state.waiting.iter_mut().find(|(of, _)| *of == number);
                    place.expect("it waits").1.clone_from(cx.waker());
                }
                None if state.waiting.len() >= self.waiting_max => {
                    return Poll::Ready(Err(PutError::Full { waiting: state.waiting.len() }));
                }
                None => {
                    state.next += 1;
                    let number = state.next;
                    state.waiting.push_back((number, cx.waker().clone()));
                    waiting.number = Some(number);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes an entry out; `None` when there is none.
    pub fn remove(&self, key: &K) -> Option<V> {
        let mut state = self.lock();
        let removed = state.entries.remove(key);
        state.grant(self.capacity);
        removed
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// How many wait for room.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn full() -> BlockingMap<u32, &'static str> {
        let map = BlockingMap::new(2, 2);
        for (key, value) in [(1, "a"), (2, "b")] {
            assert_eq!(map.put(key, value).now_or_never(), Some(Ok(())));
        }
        map
    }

    #[test]
    fn what_is_put_is_removed_once() {
        let map = full();
        assert_eq!((map.remove(&1), map.remove(&1), map.len()), (Some("a"), None, 1));
    }

    #[test]
    fn an_entry_is_never_replaced() {
        let map = full();
        map.remove(&2);
        assert_eq!(map.put(1, "z").now_or_never(), Some(Err(PutError::Exists)));
        assert_eq!(map.put(3, "c").now_or_never(), Some(Ok(())), "its room is free again");
        assert_eq!(map.remove(&1), Some("a"));
    }

    #[test]
    fn who_comes_when_it_is_full_waits_in_order_and_too_many_are_refused() {
        let map = full();
        let (mut first, mut second) = (Box::pin(map.put(3, "c")), Box::pin(map.put(4, "d")));
        assert_eq!(((&mut first).now_or_never(), (&mut second).now_or_never()), (None, None));
        let refused = Some(Err(PutError::Full { waiting: 2 }));
        assert_eq!(map.put(5, "e").now_or_never(), refused);
        map.remove(&1);
        assert_eq!((&mut second).now_or_never(), None, "the other one waits for longer");
        assert_eq!((&mut first).now_or_never(), Some(Ok(())));
        map.remove(&2);
        assert_eq!((&mut second).now_or_never(), Some(Ok(())));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn nobody_overtakes_who_was_given_room() {
        let map = full();
        let mut first = Box::pin(map.put(3, "c"));
        assert_eq!((&mut first).now_or_never(), None);
        map.remove(&1);
        let mut late = Box::pin(map.put(4, "d"));
        assert_eq!((&mut late).now_or_never(), None);
        assert_eq!((&mut first).now_or_never(), Some(Ok(())));
    }

    #[test]
    fn the_room_of_who_gives_up_goes_to_the_next() {
        let map = full();
        let (mut first, mut second) = (Box::pin(map.put(3, "c")), Box::pin(map.put(4, "d")));
        assert_eq!(((&mut first).now_or_never(), (&mut second).now_or_never()), (None, None));
        map.remove(&1);
        drop(first);
        assert_eq!((&mut second).now_or_never(), Some(Ok(())));
        // And of who waits without room.
        let (mut third, mut fourth) = (Box::pin(map.put(5, "e")), Box::pin(map.put(6, "f")));
        assert_eq!(((&mut third).now_or_never(), (&mut fourth).now_or_never()), (None, None));
        drop(third);
        map.remove(&2);
        assert_eq!((&mut fourth).now_or_never(), Some(Ok(())));
    }

    #[test]
    fn without_a_capacity_there_is_room_for_32() {
        let map = BlockingMap::new(0, 0);
        for key in 0..32 {
            assert_eq!(map.put(key, ()).now_or_never(), Some(Ok(())));
        }
        assert_eq!(map.put(32, ()).now_or_never(), Some(Err(PutError::Full { waiting: 0 })));
    }
}
