//! The units of a node's two clocks.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// A reading of one node's monotonic clock, in nanoseconds since an origin that only it knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub(in crate::host) u64);

impl Instant {
    /// The clock's origin: nothing of a host is earlier.
    pub const ORIGIN: Instant = Instant(0);

    /// The time from `earlier` to `self`, zero when `earlier` is later.
    pub fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The first tick after `self` of a ticker that was due at `last`: those that were missed are skipped.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn next_tick(self, last: Instant, period: Duration) -> Instant {
        let behind = self.saturating_since(last).as_nanos() / period.as_nanos();
        last + period * u32::try_from(behind + 1).unwrap_or(u32::MAX)
    }

    /// Nanoseconds since the clock's origin.
    pub fn as_nanos(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// A reading of one node's wall clock, in nanoseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WallTime(pub(in crate::host) u64);

impl WallTime {
    /// Milliseconds since 1970-01-01 UTC.
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// Whole milliseconds of a duration, as a message or a file has them.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time was over before the future was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time is over")]
pub struct Elapsed;
