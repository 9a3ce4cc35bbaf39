//! What the hardware says of clocks and of processes that stand still, for bounds on times.

use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
};
use std::{collections::BTreeMap, time::Duration};

/// A moment on a node, from which the time is counted that its process has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    time: Duration,
    stood: Duration,
}

/// How each node's time has passed.
#[derive(Default)]
pub struct Clocks {
    /// Since when a process stands still.
    still: BTreeMap<NodeId, Duration>,
    /// For how long processes have stood still before.
    stood: BTreeMap<NodeId, Duration>,
    /// When a process went on last.
    resumed: BTreeMap<NodeId, Duration>,
    /// The slowest and the fastest that a clock ever was, in millionths.
    drifts: BTreeMap<NodeId, (i64, i64)>,
    /// How far wall clocks were stepped, either way, all steps together.
    stepped: BTreeMap<NodeId, Duration>,
}

impl Clocks {
    /// Takes an event of the hardware in.
    pub fn observe(&mut self, at: Moment, event: &Hardware) {
        let node = at.process.0;
        match event {
            Hardware::Paused | Hardware::Stalled(true) => {
                self.still.entry(node).or_insert(at.time);
            }
            Hardware::Resumed
            | Hardware::Stalled(false)
            | Hardware::Booted
            | Hardware::Ended(_) => {
                if let Some(since) = self.still.remove(&node) {
                    *self.stood.entry(node).or_default() += at.time - since;
                }
                self.resumed.insert(node, at.time);
            }
            // Only its tasks wait, on a clock that goes on.
            Hardware::ThreadHeld { .. } => {}
            Hardware::Drift { per_million } => {
                let (slowest, fastest) = self.drifts.entry(node).or_default();
                (*slowest, *fastest) = ((*slowest).min(*per_million), (*fastest).max(*per_million));
            }
            Hardware::WallStepped { nanos } => {
                *self.stepped.entry(node).or_default() +=
                    Duration::from_nanos(nanos.unsigned_abs());
            }
        }
    }

    fn stood(&self, node: NodeId, now: Duration) -> Duration {
        let before = self.stood.get(&node).copied().unwrap_or_default();
        before + self.still.get(&node).map_or(Duration::ZERO, |since| now.saturating_sub(*since))
    }

    /// This moment on a node.
    pub fn mark(&self, node: NodeId, now: Duration) -> Mark {
        Mark { time: now, stood: self.stood(node, now) }
    }

    /// How long the node's process has run since then, in true time.
    pub fn ran(&self, node: NodeId, since: Mark, now: Duration) -> Duration {
        (now - since.time).saturating_sub(self.stood(node, now) - since.stood)
    }

    /// How long in true time a span of the node's clock may take.
    pub fn stretched(&self, node: NodeId, span: Duration) -> Duration {
        let slowest = self.drifts.get(&node).map_or(0, |(slowest, _)| *slowest);
        let rate = u32::try_from((1_000_000 + slowest).max(1)).unwrap_or(1_000_000);
        span.saturating_mul(1_000_000) / rate
    }

    /// How long in true time a span of any node's clock may take.
    pub fn stretched_most(&self, span: Duration) -> Duration {
        let nodes = self.drifts.keys().map(|node| self.stretched(*node, span));
        nodes.max().unwrap_or(span).max(span)
    }

    /// How long in true time a span of any node's clock takes at least.
    pub fn shrunk_most(&self, span: Duration) -> Duration {
        let nodes = self.drifts.keys().map(|node| self.shrunk(*node, span));
        nodes.min().unwrap_or(span).min(span)
    }

    /// How far any clock can have drifted from the truth by now.
    pub fn drifted_most(&self, now: Duration) -> Duration {
        let rates = self.drifts.values().flat_map(|(slowest, fastest)| [slowest, fastest]);
        let rate = rates.map(|rate| rate.unsigned_abs()).max().unwrap_or_default();
        now.saturating_mul(u32::try_from(rate).unwrap_or(u32::MAX)) / 1_000_000
    }

    /// How far any wall clock can be from the truth by now.
    pub fn wall_skew_most(&self, now: Duration) -> Duration {
        let stepped = self.stepped.values().max().copied().unwrap_or_default();
        stepped + self.drifted_most(now)
    }

    /// How long in true time a span of the node's clock takes at least.
    pub fn shrunk(&self, node: NodeId, span: Duration) -> Duration {
        let fastest = self.drifts.get(&node).map_or(0, |(_, fastest)| *fastest);
        let rate = u32::try_from((1_000_000 + fastest).max(1)).unwrap_or(u32::MAX);
        span.saturating_mul(1_000_000) / rate
    }

    /// Whether the node's clock has always run true.
    pub fn is_true(&self, node: NodeId) -> bool {
        self.drifts.get(&node).is_none_or(|drifts| *drifts == (0, 0))
    }

    /// Whether the node's process stands still, or did within this time.
    pub fn stood_within(&self, node: NodeId, span: Duration, now: Duration) -> bool {
        let resumed = self.resumed.get(&node).is_some_and(|at| now.saturating_sub(*at) < span);
        resumed || self.still.contains_key(&node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Moment {
        Moment::new(SECOND * seconds, (NodeId::for_tests(1), 1))
    }

    #[test]
    fn time_in_which_a_process_stands_still_does_not_count() {
        let (mut clocks, node) = (Clocks::default(), NodeId::for_tests(1));
        clocks.observe(at(1), &Hardware::Paused);
        clocks.observe(at(3), &Hardware::Resumed);
        let mark = clocks.mark(node, SECOND * 4);
        assert_eq!(clocks.ran(node, mark, SECOND * 6), SECOND * 2);
        clocks.observe(at(6), &Hardware::Paused);
        assert_eq!(clocks.ran(node, mark, SECOND * 9), SECOND * 2);
        assert!(clocks.stood_within(node, SECOND, SECOND * 9));
        clocks.observe(at(9), &Hardware::Resumed);
        assert_eq!(clocks.ran(node, mark, SECOND * 10), SECOND * 3);
        assert!(!clocks.stood_within(node, SECOND, SECOND * 10));
    }

    #[test]
    fn a_slow_clock_stretches_a_span() {
        let (mut clocks, node) = (Clocks::default(), NodeId::for_tests(1));
        assert!(clocks.is_true(node));
        clocks.observe(at(1), &Hardware::Drift { per_million: -500_000 });
        clocks.observe(at(2), &Hardware::Drift { per_million: 0 });
        assert_eq!(clocks.stretched(node, SECOND), SECOND * 2);
        assert!(!clocks.is_true(node));
    }

    #[test]
    fn a_wall_clock_is_off_by_its_steps_and_its_drift() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.wall_skew_most(SECOND * 9), Duration::ZERO);
        clocks.observe(at(1), &Hardware::WallStepped { nanos: -2_000_000_000 });
        clocks.observe(at(2), &Hardware::WallStepped { nanos: 1_000_000_000 });
        assert_eq!(clocks.wall_skew_most(SECOND * 9), SECOND * 3);
        clocks.observe(at(3), &Hardware::Drift { per_million: 250_000 });
        clocks.observe(at(4), &Hardware::Drift { per_million: -500_000 });
        assert_eq!(clocks.wall_skew_most(SECOND * 10), SECOND * 8);
        assert_eq!(clocks.shrunk_most(SECOND * 10), SECOND * 8);
        assert_eq!(clocks.stretched_most(SECOND * 10), SECOND * 20);
    }
}
