//! What is going to happen, ordered by simulated time and then by when it was scheduled.

use std::{cmp::Ordering, collections::BinaryHeap};

/// A priority queue of actions by (time, order of scheduling).
pub(in crate::host) struct Queue<A> {
    heap: BinaryHeap<Scheduled<A>>,
    scheduled: u64,
}

struct Scheduled<A> {
    time: u64,
    order: u64,
    action: A,
}

impl<A> Queue<A> {
    pub fn new() -> Self {
        Queue { heap: BinaryHeap::new(), scheduled: 0 }
    }

    pub fn push(&mut self, time: u64, action: A) {
        self.scheduled += 1;
        self.heap.push(Scheduled { time, order: self.scheduled, action });
    }

    pub fn next_time(&self) -> Option<u64> {
        self.heap.peek().map(|first| first.time)
    }

    pub fn pop_due(&mut self, now: u64) -> Option<A> {
        if self.next_time()? > now {
            return None;
        }
        self.heap.pop().map(|first| first.action)
    }

    /// Takes out what is wanted, in the order in which it would have happened.
    pub fn remove_if(&mut self, wanted: impl Fn(&A) -> bool) -> Vec<A> {
        // The first to happen is the greatest.
        let all = std::mem::take(&mut self.heap).into_sorted_vec().into_iter().rev();
        let (removed, kept): (Vec<_>, Vec<_>) = all.partition(|next| wanted(&next.action));
        self.heap = kept.into();
        removed.into_iter().map(|next| next.action).collect()
    }
}

impl<A> Ord for Scheduled<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.order).cmp(&(self.time, self.order))
    }
}

impl<A> PartialOrd for Scheduled<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> PartialEq for Scheduled<A> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<A> Eq for Scheduled<A> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_leaves_the_rest_in_order() {
        let mut queue = Queue::new();
        for (time, number) in [(5, 3), (3, 1), (5, 4), (4, 2), (1, 0)] {
            queue.push(time, number);
        }
        assert_eq!(queue.remove_if(|number| number % 2 == 0), [0, 2, 4]);
        queue.push(5, 5);
        let left: Vec<_> = std::iter::from_fn(|| queue.pop_due(9)).collect();
        assert_eq!(left, [1, 3, 5]);
    }

    #[test]
    fn equal_times_leave_in_the_order_they_came() {
        let mut queue = Queue::new();
        for (time, name) in [(5, "c"), (3, "a"), (5, "d"), (4, "b")] {
            queue.push(time, name);
        }
        assert_eq!(queue.pop_due(2), None);
        let left: Vec<_> = std::iter::from_fn(|| queue.pop_due(9)).collect();
        assert_eq!(left, ["a", "b", "c", "d"]);
    }
}
