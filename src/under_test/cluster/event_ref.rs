//! The cluster's kinds of events.

use crate::{
    harness::event,
    host::{Event, sim::Hardware},
    system::{
        client::ClientEvent,
        connector::{SinkEvent, SourceEvent},
        dataflow::WindowEvent,
        heartbeat::HeartbeatEvent,
        job_manager::JobEvent,
        leadership::LeadershipEvent,
        request_reply::FrontEndEvent,
        rpc::RpcEvent,
        service::{
            coordination::CoordinationEvent, database::DatabaseEvent, log::LogEvent,
            object_store::ObjectStoreEvent,
        },
        task_executor::{SlotEvent, TaskEvent},
    },
    under_test::cluster::{callers::CallerEvent, provider::ProviderEvent, rest_reader::RestEvent},
};
use std::any::TypeId;

macro_rules! event_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident($event:ty);)+) => {
        /// A kind of the cluster's events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind {
            $($(#[doc = $doc])+ $name,)+
        }

        /// An event of one of the cluster's kinds.
        #[derive(Clone, Copy, Debug)]
        pub enum EventRef<'a> {
            $($(#[doc = $doc])+ $name(&'a $event),)+
            /// Of another kind.
            Other,
        }

        impl<'a> EventRef<'a> {
            /// Finds out an event's kind; the busiest first.
            pub fn new(event: &'a dyn Event) -> Self {
                let any = event.as_any();
                let kind = any.type_id();
                $(if kind == TypeId::of::<$event>() {
                    return any.downcast_ref().map_or(EventRef::Other, EventRef::$name);
                })+
                EventRef::Other
            }
        }

        impl EventKind {
            /// Every kind, the busiest first.
            pub const ALL: &[EventKind] = &[$(EventKind::$name),+];

            /// The kind as the harness knows it.
            pub fn of_harness(self) -> event::EventKind {
                match self { $(EventKind::$name => event::EventKind::of::<$event>(),)+ }
            }
        }
    };
}

event_kinds! {
    /// Of the RPC layer.
    Rpc(RpcEvent);
    /// Of tasks.
    Task(TaskEvent);
    /// Of the coordination service and its clients.
    Coordination(CoordinationEvent);
    /// Of the log service.
    Log(LogEvent);
    /// Of the database server.
    Database(DatabaseEvent);
    /// Of the object store.
    ObjectStore(ObjectStoreEvent);
    /// Of dispatchers, resource managers and job masters.
    Job(JobEvent);
    /// Of the slots of task executors.
    Slot(SlotEvent);
    /// Of heartbeats.
    Heartbeat(HeartbeatEvent);
    /// Of election and retrieval.
    Leadership(LeadershipEvent);
    /// Of windows.
    Window(WindowEvent);
    /// Of sources of topics.
    Source(SourceEvent);
    /// Of exactly-once sinks.
    Sink(SinkEvent);
    /// Of the clients of job clusters.
    Client(ClientEvent);
    /// Of front ends.
    FrontEnd(FrontEndEvent);
    /// Of callers of services.
    Caller(CallerEvent);
    /// Of readers of REST.
    Rest(RestEvent);
    /// Of a provider of machines.
    Provider(ProviderEvent);
    /// Of the hardware.
    Hardware(Hardware);
}
