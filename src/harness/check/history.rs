//! Facts as the checks see them.

use crate::{
    host::{
        Evidence, Fact,
        sim::{Hardware, NodeId, Stamp},
    },
    jobs::journal::JournalEvent,
    system::{
        client::ClientEvent,
        connector::SinkEvent,
        event::{HeartbeatEvent, RpcEvent},
        job_manager::JobEvent,
        leadership::LeadershipEvent,
        service::{blobs::BlobEvent, coordination::CoordinationEvent, log::LogEvent},
        task_executor::{SlotEvent, TaskEvent},
    },
};
use std::{fmt, time::Duration};

macro_rules! families {
    ($($(#[doc = $doc:literal])+ $name:ident($event:ty) $kept:ident;)+) => {
        /// The families of facts that checks look at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Family {
            $($(#[doc = $doc])+ $name,)+
        }

        /// A fact of one of the known families.
        #[derive(Clone, Copy, Debug)]
        pub enum Seen<'a> {
            $($(#[doc = $doc])+ $name(&'a $event),)+
            /// Of a family that no check looks at.
            Other,
        }

        impl<'a> Seen<'a> {
            /// Finds out a fact's family; the busiest first.
            pub fn new(fact: &'a dyn Fact) -> Self {
                let any = fact.as_any();
                $(if let Some(event) = any.downcast_ref::<$event>() {
                    return Seen::$name(event);
                })+
                Seen::Other
            }

            /// The family; `None` of one that no check looks at.
            pub fn family(self) -> Option<Family> {
                match self {
                    $(Seen::$name(_) => Some(Family::$name),)+
                    Seen::Other => None,
                }
            }
        }

        /// A fact that the history keeps.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Known {
            $($(#[doc = $doc])+ $name($event),)+
        }

        impl Known {
            /// Keeps what changes the cluster's state; calls and buffers are too many and mean too
            /// little.
            pub fn keep(seen: Seen<'_>) -> Option<Self> {
                match seen {
                    $(Seen::$name(event) => {
                        families!(@keep $kept event).then(|| Known::$name(event.clone()))
                    })+
                    Seen::Other => None,
                }
            }

            /// The class of evidence that it is.
            pub fn evidence(&self) -> Evidence {
                match self {
                    $(Known::$name(event) => event.evidence(),)+
                }
            }
        }
    };
    (@keep always $event:ident) => { { let _ = $event; true } };
    (@keep never $event:ident) => { { let _ = $event; false } };
    (@keep hardware $event:ident) => { !matches!($event, Hardware::Stalled(_)) };
    (@keep tasks $event:ident) => { is_change_of_task($event) };
}

families! {
    /// Of the RPC floor.
    Rpc(RpcEvent) never;
    /// Of tasks.
    Task(TaskEvent) tasks;
    /// Of the coordination service and its clients.
    Coordination(CoordinationEvent) always;
    /// Of the log service.
    Log(LogEvent) never;
    /// Of the blob service.
    Blob(BlobEvent) never;
    /// Of dispatchers, resource managers and job masters.
    Job(JobEvent) always;
    /// Of the slots of task executors.
    Slot(SlotEvent) always;
    /// Of heartbeats.
    Heartbeat(HeartbeatEvent) always;
    /// Of election and retrieval.
    Leadership(LeadershipEvent) always;
    /// Of the journal.
    Journal(JournalEvent) always;
    /// Of exactly-once sinks.
    Sink(SinkEvent) always;
    /// Of the clients of job clusters.
    Client(ClientEvent) always;
    /// Of the hardware.
    Hardware(Hardware) hardware;
}

fn is_change_of_task(event: &TaskEvent) -> bool {
    !matches!(
        event,
        TaskEvent::BufferSent { .. }
            | TaskEvent::BufferReceived { .. }
            | TaskEvent::BarrierReceived { .. }
    )
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
