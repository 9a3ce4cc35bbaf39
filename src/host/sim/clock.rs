//! A node's clocks as a function of simulated time: drift for both, skew for the wall clock.

use crate::host::{Instant, WallTime};

/// Simulated nanoseconds since the run began.
pub(in crate::host) type Nanos = u64;

/// Wall time at which every run begins, 2026-01-01T00:00:00Z, in nanoseconds since 1970.
pub const WALL_ORIGIN_NANOS: u64 = 1_767_225_600_000_000_000;

/// The largest drift either way: a clock never stops and never goes backwards.
pub const DRIFT_PER_MILLION_MAX: i64 = 500_000;

/// The state of one node's clocks.
#[derive(Clone, Debug)]
pub(in crate::host) struct Clock {
    /// Simulated time at which `monotonic_base` was true.
    since: u64,
    monotonic_base: u64,
    drift_per_million: i64,
    /// Wall time less monotonic time.
    wall_offset: i128,
}

impl Clock {
    /// A true clock whose monotonic reading starts at `origin`.
    pub fn new(now: u64, origin: u64) -> Self {
        let wall_offset = i128::from(WALL_ORIGIN_NANOS) + i128::from(now) - i128::from(origin);
        Clock { since: now, monotonic_base: origin, drift_per_million: 0, wall_offset }
    }

    fn rate(&self) -> u128 {
        u128::try_from(1_000_000 + self.drift_per_million).expect("drift is bounded")
    }

    pub fn now(&self, sim: u64) -> Instant {
        let elapsed = u128::from(sim.saturating_sub(self.since));
        let advanced = elapsed * self.rate() / 1_000_000;
        Instant(
            self.monotonic_base + u64::try_from(advanced).expect("a run is shorter than 500 years"),
        )
    }

    pub fn wall(&self, sim: u64) -> WallTime {
        let wall = i128::from(self.now(sim).0) + self.wall_offset;
        WallTime(u64::try_from(wall.max(0)).unwrap_or(u64::MAX))
    }

    /// The first simulated time at which the monotonic clock reads `deadline` or later.
    pub fn when(&self, deadline: Instant) -> u64 {
        let ahead = u128::from(deadline.0.saturating_sub(self.monotonic_base));
        let elapsed = (ahead * 1_000_000).div_ceil(self.rate());
        self.since.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// From now on the clock gains this many parts in a million.
    pub fn set_drift(&mut self, sim: u64, per_million: i64) {
        assert!(per_million.abs() <= DRIFT_PER_MILLION_MAX, "drift out of bounds: {per_million}");
        self.monotonic_base = self.now(sim).0;
        self.since = sim;
        self.drift_per_million = per_million;
    }

    /// Steps the wall clock; the monotonic clock is not touched.
    pub fn step_wall(&mut self, nanos: i64) {
        self.wall_offset += i128::from(nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn monotonic_time_never_goes_back_and_deadlines_are_met(
            origin in 0..1_000_000_000_000_000u64,
            steps in prop::collection::vec((0..10_000_000_000u64, -500_000..=500_000i64), 1..20),
            ahead in 0..100_000_000_000u64,
        ) {
            let mut sim = 0;
            let mut clock = Clock::new(sim, origin);
            let mut last = clock.now(sim);
            for (wait, drift) in steps {
                sim += wait;
                prop_assert!(clock.now(sim) >= last);
                clock.set_drift(sim, drift);
                last = clock.now(sim);
                clock.step_wall(drift * 1000);
                prop_assert_eq!(clock.now(sim), last);

                let deadline = Instant(last.0 + ahead);
                let due = clock.when(deadline);
                prop_assert!(clock.now(due) >= deadline);
                prop_assert!(due == sim || clock.now(due - 1) < deadline);
            }
        }
    }

    #[test]
    fn drift_moves_both_clocks_and_a_step_only_the_wall() {
        let mut clock = Clock::new(0, 1_000);
        clock.set_drift(0, 100_000);
        assert_eq!(clock.now(1_000_000).0, 1_000 + 1_100_000);
        let wall = clock.wall(1_000_000).0;
        clock.step_wall(-500);
        assert_eq!(clock.wall(1_000_000).0, wall - 500);
        assert_eq!(clock.now(1_000_000).0, 1_000 + 1_100_000);
    }
}
