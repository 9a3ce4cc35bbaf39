//! Ticks of a node's monotonic clock.

use super::{
    clock::Instant,
    imp::{Node, task::Sleep},
};
use std::time::Duration;

/// A ticker made by [`Host::interval`](super::Host::interval). Ticks that were missed are skipped, not made up for.
pub struct Interval {
    node: Node,
    period: Duration,
    next: Instant,
}

impl Interval {
    pub(in crate::host) fn new(node: Node, period: Duration) -> Self {
        assert!(!period.is_zero(), "an interval needs a period");
        let next = node.now() + period;
        Interval { node, period, next }
    }

    /// Waits for the next tick.
    pub async fn tick(&mut self) {
        Sleep::new(self.node.clone(), self.next).await;
        self.next = self.node.now().next_tick(self.next, self.period);
    }
}
