//! When and where something happened.

use crate::host::sim::{EntryNumber, NodeId, Stamp};
use std::{fmt, time::Duration};

/// When and where an event was announced, for the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Simulated time since the run began.
    pub time: Duration,
    /// The process: node and incarnation.
    pub process: (NodeId, u64),
    /// Its entry in the trace; `None` where nothing was announced.
    pub entry: Option<EntryNumber>,
}

impl Moment {
    /// A moment at which nothing was announced.
    pub fn new(time: Duration, process: (NodeId, u64)) -> Self {
        Moment { time, process, entry: None }
    }
}

impl From<Stamp> for Moment {
    fn from(stamp: Stamp) -> Self {
        let Stamp { time, node, incarnation, entry, .. } = stamp;
        Moment { time, process: (node, incarnation), entry }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s {:?}/{}", self.time.as_secs_f64(), self.process.0, self.process.1)
    }
}
