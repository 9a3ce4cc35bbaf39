//! The slots that a job's master holds.

use crate::system::{
    ids::{AllocationId, ResourceId, SlotId},
    protocol::SlotOffer,
};
use std::collections::BTreeSet;

/// A slot that the master holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PooledSlot {
    /// The hold.
    pub allocation: AllocationId,
    /// The slot.
    pub slot: SlotId,
    /// The version of the task executor's report when it was offered.
    pub version: u64,
}

/// Holds as many slots as the job needs and refuses more. Each has a place, which it keeps for as long as it
/// is held, so that what runs in it has no reason to move.
#[derive(Debug, PartialEq, Eq)]
pub struct SlotPool {
    places: Vec<Option<PooledSlot>>,
    /// The places in the order in which they are filled.
    order: Vec<usize>,
}

impl SlotPool {
    /// An empty pool, with what each part of the job needs of its places: where there is not room for all, the
    /// first parts have theirs.
    pub fn new<'a>(needed: impl Iterator<Item = &'a BTreeSet<usize>>) -> Self {
        let mut order = Vec::new();
        for place in needed.flatten() {
            if !order.contains(place) {
                order.push(*place);
            }
        }
        SlotPool { places: vec![None; order.len()], order }
    }

    fn held(&self) -> impl Iterator<Item = &PooledSlot> {
        self.places.iter().flatten()
    }

    /// Takes of the offers what is still needed; what it holds already it takes again.
    pub fn offer(
        &mut self,
        resource: &ResourceId,
        version: u64,
        offers: Vec<SlotOffer>,
    ) -> Vec<AllocationId> {
        let mut accepted = Vec::new();
        for SlotOffer { index, allocation } in offers {
            let slot = SlotId { resource: resource.clone(), index };
            let known = self.places.iter_mut().flatten().find(|held| held.allocation == allocation);
            let fits = match known {
                Some(held) => {
                    held.version = held.version.max(version);
                    held.slot == slot
                }
                None => self.take(PooledSlot { allocation, slot, version }),
            };
            if fits {
                accepted.push(allocation);
            }
        }
        accepted
    }

    /// Gives a new slot the first place that is free; says whether there is one.
    fn take(&mut self, pooled: PooledSlot) -> bool {
        if self.held().any(|held| held.slot == pooled.slot) {
            return false;
        }
        let free = self.order.iter().find(|place| self.places[**place].is_none());
        if let Some(free) = free {
            self.places[*free] = Some(pooled);
        }
        free.is_some()
    }

    /// How many slots are held, and how many the job needs.
    pub fn fill(&self) -> (usize, usize) {
        (self.held().count(), self.places.len())
    }

    /// The slot of a place.
    pub fn at(&self, place: usize) -> Option<&PooledSlot> {
        self.places.get(place)?.as_ref()
    }

    /// Whether all of those places have slots.
    pub fn has_all(&self, places: &BTreeSet<usize>) -> bool {
        places.iter().all(|place| self.at(*place).is_some())
    }

    /// Whether that very hold is one of the job's.
    pub fn holds(&self, allocation: AllocationId) -> bool {
        self.held().any(|held| held.allocation == allocation)
    }

    /// The slots of one task executor.
    pub fn of(&self, resource: &ResourceId) -> Vec<AllocationId> {
        let of = self.held().filter(|held| held.slot.resource == *resource);
        of.map(|held| held.allocation).collect()
    }

    /// Those of a task executor that it should list in a report of this version and does not.
    pub fn missing(
        &self,
        resource: &ResourceId,
        version: u64,
        listed: &[AllocationId],
    ) -> Vec<AllocationId> {
        let listed: BTreeSet<_> = listed.iter().collect();
        let missing = self.held().filter(|held| {
            held.slot.resource == *resource
                && held.version <= version
                && !listed.contains(&held.allocation)
        });
        missing.map(|held| held.allocation).collect()
    }

    /// Forgets a slot; says which place it had, if it was held.
    pub fn release(&mut self, allocation: AllocationId) -> Option<usize> {
        let of = |place: &Option<PooledSlot>| {
            place.as_ref().is_some_and(|held| held.allocation == allocation)
        };
        let place = self.places.iter().position(of)?;
        self.places[place] = None;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(ids: &[(u32, u128)]) -> Vec<SlotOffer> {
        ids.iter()
            .map(|(index, id)| SlotOffer { index: *index, allocation: AllocationId(*id) })
            .collect()
    }

    fn ids(ids: &[u128]) -> Vec<AllocationId> {
        ids.iter().map(|id| AllocationId(*id)).collect()
    }

    /// A pool of parts that need one place each.
    fn pool(parts: usize) -> SlotPool {
        let needed: Vec<_> = (0..parts).map(|place| BTreeSet::from([place])).collect();
        SlotPool::new(needed.iter())
    }

    #[test]
    fn where_there_is_not_room_for_all_the_first_part_has_its_slots() {
        let needed = [BTreeSet::from([0, 2]), BTreeSet::from([1, 3])];
        let (mut pool, executor) = (SlotPool::new(needed.iter()), ResourceId("a".to_string()));
        pool.offer(&executor, 1, offers(&[(0, 1), (1, 2), (2, 3)]));
        assert!(pool.has_all(&needed[0]) && !pool.has_all(&needed[1]));
        assert_eq!(pool.fill(), (3, 4));
    }

    #[test]
    fn as_many_slots_as_are_needed_are_taken_and_a_repeated_offer_is_taken_again() {
        let (mut pool, executor) = (pool(2), ResourceId("a".to_string()));
        assert_eq!(pool.offer(&executor, 1, offers(&[(0, 1), (1, 2)])), ids(&[1, 2]));
        assert_eq!(pool.offer(&executor, 2, offers(&[(0, 1), (1, 2), (2, 3)])), ids(&[1, 2]));
        assert_eq!(pool.fill(), (2, 2));
        assert_eq!(pool.missing(&executor, 1, &[]), vec![], "an older report is ignored");
        assert_eq!(pool.missing(&executor, 2, &ids(&[2])), ids(&[1]));
    }

    #[test]
    fn one_slot_is_never_held_twice_and_each_keeps_its_place() {
        let (mut pool, executor) = (pool(2), ResourceId("a".to_string()));
        assert_eq!(pool.offer(&executor, 1, offers(&[(0, 1)])), ids(&[1]));
        assert_eq!(pool.offer(&executor, 2, offers(&[(0, 2)])), ids(&[]));
        assert_eq!(pool.offer(&executor, 2, offers(&[(1, 5)])), ids(&[5]));
        assert_eq!(pool.release(AllocationId(1)), Some(0));
        assert_eq!(pool.release(AllocationId(1)), None);
        assert!(!pool.has_all(&BTreeSet::from([0])) && pool.has_all(&BTreeSet::from([1])));
        assert_eq!(pool.offer(&executor, 3, offers(&[(0, 2)])), ids(&[2]));
        assert_eq!(pool.at(0).map(|held| held.allocation), Some(AllocationId(2)));
        assert_eq!(pool.at(1).map(|held| held.allocation), Some(AllocationId(5)));
    }
}
