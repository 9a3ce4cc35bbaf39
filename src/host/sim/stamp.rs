//! Which machine, which incarnation of its process, and when.

use super::cause::EntryNumber;
use std::time::Duration;

/// A simulated machine, counted from 0 in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(in crate::host) u32);

impl NodeId {
    /// A node of a synthetic history.
    ///
    /// # Panics
    /// Beyond 32 bits.
    pub fn for_tests(index: usize) -> Self {
        NodeId(u32::try_from(index).expect("few nodes"))
    }

    /// A key for draws that are the node's own.
    pub fn key(self) -> u64 {
        u64::from(self.0)
    }

    pub(in crate::host) fn index(self) -> usize {
        self.0 as usize
    }

    /// A key for the directed link from this node to another.
    pub(in crate::host) fn link_key(self, to: NodeId) -> u64 {
        (u64::from(self.0) << 32) | u64::from(to.0)
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node-{}", self.0)
    }
}

/// When and where an event was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Simulated time since the run began.
    pub time: Duration,
    /// The node that announced it, or that it happened to.
    pub node: NodeId,
    /// The node's incarnation at that moment, from 1.
    pub incarnation: u64,
    /// The event's entry in the trace; `None` where nothing was announced.
    pub entry: Option<EntryNumber>,
    /// The entry that led to it; `None` for what the harness did.
    pub cause: Option<EntryNumber>,
}

impl Stamp {
    /// Of what is no entry of the trace.
    pub fn new(time: Duration, node: NodeId, incarnation: u64) -> Self {
        Stamp { time, node, incarnation, entry: None, cause: None }
    }
}
