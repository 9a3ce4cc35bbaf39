//! Events as the checks see them.

use crate::{
    host::{
        Event, Evidence,
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

macro_rules! event_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident($event:ty) $kept:ident;)+) => {
        /// The kinds of events that checks look at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[doc = $doc])+ $name,)+
        }

        /// An event of one of the known kinds.
        #[derive(Clone, Copy, Debug)]
        pub enum EventRef<'a> {
            $($(#[doc = $doc])+ $name(&'a $event),)+
            /// Of a kind that no check looks at.
            Other,
        }

        impl<'a> EventRef<'a> {
            /// Finds out an event's kind; the busiest first.
            pub fn new(event: &'a dyn Event) -> Self {
                let any = event.as_any();
                $(if let Some(event) = any.downcast_ref::<$event>() {
                    return EventRef::$name(event);
                })+
                EventRef::Other
            }

            /// The kind; `None` of one that no check looks at.
            pub fn kind(self) -> Option<EventKind> {
                match self {
                    $(EventRef::$name(_) => Some(EventKind::$name),)+
                    EventRef::Other => None,
                }
            }
        }

        /// An event that the history keeps.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum KeptEvent {
            $($(#[doc = $doc])+ $name($event),)+
        }

        impl KeptEvent {
            /// Keeps what changes the cluster's state; calls and buffers are too many and mean too
            /// little.
            pub fn keep(seen: EventRef<'_>) -> Option<Self> {
                match seen {
                    $(EventRef::$name(event) => {
                        event_kinds!(@keep $kept event).then(|| KeptEvent::$name(event.clone()))
                    })+
                    EventRef::Other => None,
                }
            }

            /// The class of evidence that it is.
            pub fn evidence(&self) -> Evidence {
                match self {
                    $(KeptEvent::$name(event) => event.evidence(),)+
                }
            }
        }
    };
    (@keep always $event:ident) => { { let _ = $event; true } };
    (@keep never $event:ident) => { { let _ = $event; false } };
    (@keep hardware $event:ident) => { !matches!($event, Hardware::Stalled(_)) };
    (@keep tasks $event:ident) => { is_change_of_task($event) };
}

event_kinds! {
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
