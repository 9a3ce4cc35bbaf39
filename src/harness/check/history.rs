//! Facts as the checks see them.

use crate::{
    host::{
        Evidence, Fact,
        sim::{Hardware, NodeId, Stamp},
    },
    jobs::journal::JournalEvent,
    system::{
        event::RpcEvent, leadership::LeadershipEvent, service::coordination::CoordinationEvent,
    },
};
use std::{fmt, time::Duration};

/// A fact of one of the known families.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// Of the hardware.
    Hardware(&'a Hardware),
    /// Of the RPC floor.
    Rpc(&'a RpcEvent),
    /// Of the coordination service and its clients.
    Coordination(&'a CoordinationEvent),
    /// Of election and retrieval.
    Leadership(&'a LeadershipEvent),
    /// Of the journal.
    Journal(&'a JournalEvent),
    /// Of a family that no check looks at.
    Other,
}

impl<'a> Seen<'a> {
    /// Finds out a fact's family; the busiest first.
    pub fn new(fact: &'a dyn Fact) -> Self {
        let any = fact.as_any();
        if let Some(event) = any.downcast_ref() {
            Seen::Rpc(event)
        } else if let Some(event) = any.downcast_ref() {
            Seen::Coordination(event)
        } else if let Some(event) = any.downcast_ref() {
            Seen::Journal(event)
        } else if let Some(event) = any.downcast_ref() {
            Seen::Leadership(event)
        } else if let Some(event) = any.downcast_ref() {
            Seen::Hardware(event)
        } else {
            Seen::Other
        }
    }
}

/// A fact that the history keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Of the hardware.
    Hardware(Hardware),
    /// Of the coordination service and its clients.
    Coordination(CoordinationEvent),
    /// Of election and retrieval.
    Leadership(LeadershipEvent),
    /// Of the journal.
    Journal(JournalEvent),
}

impl Known {
    /// Keeps what changes the cluster's state; calls are too many and mean too little.
    pub fn keep(seen: Seen<'_>) -> Option<Self> {
        match seen {
            Seen::Hardware(event) => Some(Known::Hardware(event.clone())),
            Seen::Coordination(event) => Some(Known::Coordination(event.clone())),
            Seen::Leadership(event) => Some(Known::Leadership(event.clone())),
            Seen::Journal(event) => Some(Known::Journal(event.clone())),
            Seen::Rpc(_) | Seen::Other => None,
        }
    }

    /// The class of evidence that it is.
    pub fn evidence(&self) -> Evidence {
        match self {
            Known::Hardware(event) => event.evidence(),
            Known::Coordination(event) => event.evidence(),
            Known::Leadership(event) => event.evidence(),
            Known::Journal(event) => event.evidence(),
        }
    }
}

/// When and where a fact was announced, for the checks.
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
