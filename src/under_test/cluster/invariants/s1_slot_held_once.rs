//! S1: a slot is held once at a time, and a hold is one slot of one task executor, ever. Judged on what
//! task executors say of their slots.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{ids::AllocationId, task_executor::SlotEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Remembers where each hold was made; the model knows who holds the slots.
#[derive(Default)]
pub struct SlotHeldOnce {
    made: BTreeMap<AllocationId, Moment>,
}

impl ClusterInvariant for SlotHeldOnce {
    fn title(&self) -> &'static str {
        "S1 slot-held-once"
    }

    fn promise(&self) -> &'static str {
        "a slot has one hold at a time, and a hold is made once, for one slot"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Slot]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Slot(SlotEvent::SlotAllocated { index, allocation, .. }) => {
                let now = || format!("{at}: slot {index} is held by {allocation:?}");
                let held = model.slots.get(&(at.process, *index));
                let made = self.made.insert(*allocation, at);
                Check::that(held.is_none(), || (format!("it is held by {held:?}"), now())).and(
                    Check::that(made.is_none(), || {
                        (format!("{allocation:?} was made before: {made:?}"), now())
                    }),
                )
            }
            EventRef::Slot(SlotEvent::SlotFreed { index, allocation, .. }) => {
                let held = model.slots.get(&(at.process, *index)).map(|(_, held)| *held);
                Check::that(held == Some(*allocation), || {
                    let held = held.map_or("nobody".to_string(), |held| format!("{held:?}"));
                    let before = format!("slot {index} is held by {held}");
                    (before, format!("{at}: {allocation:?} is freed"))
                })
            }
            EventRef::Slot(SlotEvent::SlotActivated { allocation, .. }) => {
                let mut held = model.slots.iter().filter(|((of, _), _)| *of == at.process);
                Check::that(held.any(|(_, (_, held))| held == allocation), || {
                    ("nobody holds it".to_string(), format!("{at}: {allocation:?} is active"))
                })
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, SlotHeldOnce};

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn held(index: u32, number: u128) -> SlotEvent {
        let allocation = AllocationId(number);
        SlotEvent::SlotAllocated { resource: resource(), index, job: JOB, allocation }
    }

    fn freed(index: u32, number: u128) -> SlotEvent {
        SlotEvent::SlotFreed {
            resource: resource(),
            index,
            allocation: AllocationId(number),
            cause: FreeCause::NotTaken,
        }
    }

    fn activated(number: u128) -> SlotEvent {
        SlotEvent::SlotActivated { resource: resource(), allocation: AllocationId(number) }
    }

    fn one() -> History<SlotHeldOnce> {
        History::new().holds(process(3, 1), held(0, 1))
    }

    #[test]
    fn one_hold_after_the_other_is_accepted() {
        one()
            .holds(process(3, 1), activated(1))
            .holds(process(3, 1), held(1, 2))
            .holds(process(3, 1), freed(0, 1))
            .holds(process(3, 1), held(0, 3))
            .holds(process(3, 1), ended())
            .holds(process(3, 2), held(0, 4));
    }

    #[test]
    fn two_holds_on_one_slot_are_refused() {
        one().breaks(process(3, 1), held(0, 2));
    }

    #[test]
    fn one_hold_made_twice_is_refused() {
        one().breaks(process(3, 1), held(1, 1));
        one().breaks(process(4, 1), held(0, 1));
        one().holds(process(3, 1), freed(0, 1)).breaks(process(3, 1), held(0, 1));
    }

    #[test]
    fn freeing_or_activating_what_is_not_held_is_refused() {
        one().breaks(process(3, 1), freed(0, 2));
        one().breaks(process(3, 1), activated(2));
        one().breaks(process(4, 1), activated(1));
    }
}
