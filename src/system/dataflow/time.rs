//! Time as records carry it.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// An instant of event time or processing time: milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before everything: the watermark of a stream of which nothing is known yet.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// Behind everything: the watermark of a stream that has ended.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Later by so much; the last there is if that is later than it.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_add(millis(by)))
    }

    /// Earlier by so much; the first there is if that is earlier than it.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_sub(millis(by)))
    }
}

/// As whole milliseconds, at most the largest there are.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Timestamp::MIN => f.write_str("the beginning"),
            Timestamp::MAX => f.write_str("the end"),
            Timestamp(millis) => write!(f, "{millis} ms"),
        }
    }
}

/// Whether watermarks come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WatermarkStatus {
    /// They do, or will: who reads several streams waits for them.
    Active,
    /// None comes for now, since no record does: nobody waits for them.
    Idle,
}
