//! Objects that nobody needs any more, until they are removed: one call at a time, apart from everything else, so that a
//! checkpoint never waits for one and a service that removes nothing has no more to do with every checkpoint.

use std::collections::{BTreeSet, VecDeque};

/// Objects in one call.
const BATCH: usize = 256;
/// Objects that wait at most. What comes on top is left to the end of the job, when everything of it is removed.
const WAITING_MAX: usize = 16_384;

/// What is to be removed.
#[derive(Debug, Default)]
pub struct Removals {
    waiting: VecDeque<String>,
    under_way: Vec<String>,
    /// All of these: what is asked for once more is asked for once.
    known: BTreeSet<String>,
    /// How many were left to the end of the job.
    left: u64,
}

impl Removals {
    /// More that nobody needs; what is to be removed now, if anything is.
    pub fn add(&mut self, objects: Vec<String>) -> Option<Vec<String>> {
        for object in objects {
            if self.waiting.len() == WAITING_MAX {
                self.left += u64::from(!self.known.contains(&object));
            } else if self.known.insert(object.clone()) {
                self.waiting.push_back(object);
            }
        }
        self.next()
    }

    /// What was under way is removed, or never will be; what comes next.
    pub fn on_removed(&mut self) -> Option<Vec<String>> {
        for object in self.under_way.drain(..) {
            self.known.remove(&object);
        }
        self.next()
    }

    fn next(&mut self) -> Option<Vec<String>> {
        if !self.under_way.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let batch = self.waiting.len().min(BATCH);
        self.under_way = self.waiting.drain(..batch).collect();
        Some(self.under_way.clone())
    }

    /// How many were left to the end of the job since this was last asked.
    pub fn take_left(&mut self) -> u64 {
        std::mem::take(&mut self.left)
    }

    /// All that is not removed yet.
    pub fn all(&self) -> Vec<String> {
        self.under_way.iter().chain(&self.waiting).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: std::ops::Range<usize>) -> Vec<String> {
        of.map(|number| format!("{number}")).collect()
    }

    #[test]
    fn one_call_is_under_way_at_a_time_and_takes_all_that_has_come_meanwhile() {
        let mut removals = Removals::default();
        assert_eq!(removals.add(vec![]), None);
        assert_eq!(removals.add(names(0..2)), Some(names(0..2)));
        assert_eq!(removals.add(names(2..3)), None);
        assert_eq!(removals.add(names(3..5)), None);
        assert_eq!(removals.add(names(0..5)), None);
        assert_eq!(removals.all(), names(0..5), "what is known is not asked for twice");
        assert_eq!(removals.on_removed(), Some(names(2..5)));
        assert_eq!(removals.on_removed(), None);
        assert_eq!(removals.add(names(5..6)), Some(names(5..6)), "it goes on");
    }

    #[test]
    fn a_call_has_a_bound_and_so_has_what_waits() {
        let mut removals = Removals::default();
        assert_eq!(removals.add(names(0..1)), Some(names(0..1)));
        removals.add(names(1..WAITING_MAX));
        assert_eq!(removals.take_left(), 0);
        removals.add(names(WAITING_MAX..WAITING_MAX + 9));
        assert_eq!((removals.take_left(), removals.take_left()), (8, 0));
        assert_eq!(removals.all().len(), 1 + WAITING_MAX);
        assert_eq!(removals.on_removed(), Some(names(1..1 + BATCH)));
        removals.add(names(0..1));
        removals.add(names(WAITING_MAX + 9..WAITING_MAX + 18));
        assert_eq!(removals.take_left(), 0, "there is room again");
    }
}
