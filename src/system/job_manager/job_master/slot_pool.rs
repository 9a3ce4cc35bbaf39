//! The slots that a job's master holds.

use crate::system::{
    ids::{AllocationId, ResourceId, SlotId},
    protocol::SlotOffer,
};
use std::collections::{BTreeMap, BTreeSet};

/// A slot that the master holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PooledSlot {
    /// The slot.
    pub slot: SlotId,
    /// The version of the task executor's report when it was offered.
    pub version: u64,
}

/// Holds as many slots as the job needs and refuses more.
#[derive(Debug)]
pub struct SlotPool {
    required: usize,
    slots: BTreeMap<AllocationId, PooledSlot>,
}

impl SlotPool {
    /// An empty pool for a job that needs so many slots.
    pub fn new(required: u32) -> Self {
        SlotPool { required: required as usize, slots: BTreeMap::new() }
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
            let known = self.slots.get(&allocation).map(|pooled| pooled.slot == slot);
            let fits = match known {
                Some(same) => same,
                None => self.slots.len() < self.required && !self.holds_slot(&slot),
            };
            if fits {
                let pooled = self.slots.entry(allocation).or_insert(PooledSlot { slot, version });
                pooled.version = pooled.version.max(version);
                accepted.push(allocation);
            }
        }
        accepted
    }

    fn holds_slot(&self, slot: &SlotId) -> bool {
        self.slots.values().any(|pooled| pooled.slot == *slot)
    }

    /// Whether the job has all the slots that it needs.
    pub fn is_full(&self) -> bool {
        self.slots.len() == self.required
    }

    /// How many slots are held, and how many the job needs.
    pub fn fill(&self) -> (usize, usize) {
        (self.slots.len(), self.required)
    }

    /// The slots, in the order of their places, so that the same ones are used in the same way.
    pub fn in_order(&self) -> Vec<(AllocationId, SlotId)> {
        let mut slots: Vec<_> =
            self.slots.iter().map(|(id, pooled)| (*id, pooled.slot.clone())).collect();
        slots.sort_by(|a, b| a.1.cmp(&b.1));
        slots
    }

    /// The slots of one task executor.
    pub fn of(&self, resource: &ResourceId) -> Vec<AllocationId> {
        let of = self.slots.iter().filter(|(_, pooled)| pooled.slot.resource == *resource);
        of.map(|(allocation, _)| *allocation).collect()
    }

    /// Those of a task executor that it should list in a report of this version and does not.
    pub fn missing(
        &self,
        resource: &ResourceId,
        version: u64,
        listed: &[AllocationId],
    ) -> Vec<AllocationId> {
        let listed: BTreeSet<_> = listed.iter().collect();
        let missing = self.slots.iter().filter(|(allocation, pooled)| {
            pooled.slot.resource == *resource
                && pooled.version <= version
                && !listed.contains(allocation)
        });
        missing.map(|(allocation, _)| *allocation).collect()
    }

    /// Forgets a slot; says whether it was held.
    pub fn release(&mut self, allocation: AllocationId) -> bool {
        self.slots.remove(&allocation).is_some()
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

    #[test]
    fn as_many_slots_as_are_needed_are_taken_and_a_repeated_offer_is_taken_again() {
        let (mut pool, executor) = (SlotPool::new(2), ResourceId("a".to_string()));
        assert_eq!(pool.offer(&executor, 1, offers(&[(0, 1), (1, 2)])), ids(&[1, 2]));
        assert_eq!(pool.offer(&executor, 2, offers(&[(0, 1), (1, 2), (2, 3)])), ids(&[1, 2]));
        assert!(pool.is_full());
        assert_eq!(pool.missing(&executor, 1, &[]), vec![], "an older report is ignored");
        assert_eq!(pool.missing(&executor, 2, &ids(&[2])), ids(&[1]));
    }

    #[test]
    fn one_slot_is_never_held_twice() {
        let (mut pool, executor) = (SlotPool::new(2), ResourceId("a".to_string()));
        assert_eq!(pool.offer(&executor, 1, offers(&[(0, 1)])), ids(&[1]));
        assert_eq!(pool.offer(&executor, 2, offers(&[(0, 2)])), ids(&[]));
        assert!(pool.release(AllocationId(1)) && !pool.release(AllocationId(1)));
        assert_eq!(pool.offer(&executor, 3, offers(&[(0, 2)])), ids(&[2]));
    }
}
