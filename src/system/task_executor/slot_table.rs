//! The slots of a task executor and who holds them.

use crate::system::{
    ids::{AllocationId, JobId},
    protocol::{SlotOffer, SlotReport, SlotStatus},
};

/// A held slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The job that holds it.
    pub job: JobId,
    /// The hold.
    pub allocation: AllocationId,
    /// Whether the job's master has taken it. An inactive slot is given back after a while.
    pub active: bool,
    /// The newest round of offers in which it was.
    pub round: u64,
    /// Grows whenever the slot is made active or inactive, so that an older timer means nothing.
    pub epoch: u64,
}

/// The slots, by index.
#[derive(Debug)]
pub struct SlotTable {
    slots: Vec<Option<Held>>,
    epochs: u64,
}

impl SlotTable {
    /// So many free slots.
    pub fn new(slots: u32) -> Self {
        SlotTable { slots: vec![None; slots as usize], epochs: 0 }
    }

    /// Who holds a slot; `None` when there is no such slot.
    pub fn get(&self, index: u32) -> Option<Option<Held>> {
        self.slots.get(index as usize).copied()
    }

    /// Holds a slot, inactive at first.
    pub fn hold(&mut self, index: u32, job: JobId, allocation: AllocationId) -> Held {
        self.epochs += 1;
        let held = Held { job, allocation, active: false, round: 0, epoch: self.epochs };
        self.slots[index as usize] = Some(held);
        held
    }

    /// The hold of that name.
    pub fn find(&self, allocation: AllocationId) -> Option<(u32, Held)> {
        let held = |slot: &Option<Held>| slot.is_some_and(|held| held.allocation == allocation);
        let index = self.slots.iter().position(held)?;
        Some((u32::try_from(index).expect("few slots"), self.slots[index]?))
    }

    fn held_mut(&mut self, allocation: AllocationId) -> Option<&mut Held> {
        self.slots.iter_mut().flatten().find(|held| held.allocation == allocation)
    }

    /// The job's master has taken the slot, or deploys into it. Says whether it was inactive.
    pub fn activate(&mut self, allocation: AllocationId) -> bool {
        self.set_active(allocation, true)
    }

    /// The job's master is gone. Says whether the slot was active.
    pub fn deactivate(&mut self, allocation: AllocationId) -> bool {
        self.set_active(allocation, false)
    }

    fn set_active(&mut self, allocation: AllocationId, active: bool) -> bool {
        let next = self.epochs + 1;
        let Some(held) = self.held_mut(allocation) else { return false };
        let changes = held.active != active;
        if changes {
            (held.active, held.epoch) = (active, next);
            self.epochs = next;
        }
        changes
    }

    /// Frees a slot; says which one it was.
    pub fn free(&mut self, allocation: AllocationId) -> Option<u32> {
        let (index, _) = self.find(allocation)?;
        self.slots[index as usize] = None;
        Some(index)
    }

    /// The holds of a job.
    pub fn of(&self, job: JobId) -> Vec<Held> {
        self.slots.iter().flatten().filter(|held| held.job == job).copied().collect()
    }

    /// The job's slots as they are offered in a round.
    pub fn offer(&mut self, job: JobId, round: u64) -> Vec<SlotOffer> {
        let mut offers = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(held) = slot.as_mut().filter(|held| held.job == job) {
                held.round = round;
                let index = u32::try_from(index).expect("few slots");
                offers.push(SlotOffer { index, allocation: held.allocation });
            }
        }
        offers
    }

    /// All slots.
    pub fn report(&self, version: u64) -> SlotReport {
        let status = |(index, slot): (usize, &Option<Held>)| SlotStatus {
            index: u32::try_from(index).expect("few slots"),
            allocation: slot.map(|held| (held.job, held.allocation)),
        };
        SlotReport { version, slots: self.slots.iter().enumerate().map(status).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(1);

    #[test]
    fn a_slot_is_held_activated_deactivated_and_freed() {
        let mut table = SlotTable::new(2);
        let first = table.hold(1, JOB, AllocationId(5));
        assert!(
            !first.active && table.activate(AllocationId(5)) && !table.activate(AllocationId(5))
        );
        let (index, held) = table.find(AllocationId(5)).unwrap();
        assert!(index == 1 && held.active && held.epoch > first.epoch);
        assert!(table.deactivate(AllocationId(5)));
        assert_eq!(table.offer(JOB, 3), [SlotOffer { index: 1, allocation: AllocationId(5) }]);
        assert_eq!(table.of(JOB)[0].round, 3);
        assert_eq!(table.free(AllocationId(5)), Some(1));
        assert_eq!((table.free(AllocationId(5)), table.of(JOB).len()), (None, 0));
        assert_eq!(table.get(2), None);
    }
}
