//! When and where something happened.

use crate::host::sim::{NodeId, Stamp};
use std::{fmt, time::Duration};

/// When and where an event was announced, for the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Simulated time since the run began.
    pub time: Duration,
    /// The process: node and incarnation.
    pub process: (NodeId, u64),
}

impl From<Stamp> for Moment {
    fn from(stamp: Stamp) -> Self {
        Moment { time: stamp.time, process: (stamp.node, stamp.incarnation) }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s {:?}/{}", self.time.as_secs_f64(), self.process.0, self.process.1)
    }
}
