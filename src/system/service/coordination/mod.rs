//! The coordination service: keys with versions, compare-and-swap transactions, leases with
//! ephemeral keys, and watches.
//!
//! The server is one node with a disk: what it acknowledged survives power cuts. Leases expire by
//! the server's monotonic clock; after a restart every lease has its whole time again. A client
//! tells *suspended* (no contact, the lease may live) from *lost* (it has expired).
//!
//! Deliberately absent: replication. The server is the one thing of the cluster that is promised to
//! come back with its disk. A file of it that was changed by hand is refused (see `durable`). When the
//! whole folder is set back in time, the log server refuses: deployments draw epochs that were drawn
//! before, and its producers know a later generation (`Fenced`); so does the object store a checkpoint
//! that was stored before with other content (`Exists`) and a job that was cleaned up (`Sealed`). When
//! the folder is gone, nobody refuses: it is a new cluster, and a client's job is unknown to it.

mod api;
mod client;
mod limits;
mod model;
mod server;
mod session;
mod store;
mod watch;

pub use api::{Coordination, CoordinationError};
pub use client::{CoordinationClient, CoordinationConfig};
pub use limits::{
    CLIENT_LEASES_MAX, CLIENT_WATCHES_MAX, KEY_BYTES_MAX, PAGE_BYTES_MAX, STEPS_MAX,
    STORE_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX,
};
pub use model::{
    Change, Compare, KeyPattern, KeyValue, Lease, LeaseEnd, LeaseId, Range, Refusal, Revision,
    Transacted, Transaction, Update,
};
pub use server::{
    COORDINATION_ENDPOINT, CoordinationGateway, CoordinationHandler, CoordinationServer,
};
pub use session::{Session, SessionState};
pub use watch::Watch;

use serde::{Deserialize, Serialize};

/// An event of the coordination service: the server's are taken from its synced log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CoordinationEvent {
    /// The server is up with what its disk held.
    Recovered {
        /// The newest revision.
        revision: Revision,
        /// Every key, its value and the revision that wrote it.
        keys: Vec<(String, Vec<u8>, Revision)>,
    },
    /// A transaction's changes are durable.
    Committed {
        /// The revision that it made.
        revision: Revision,
        /// The conditions that held.
        conditions: Vec<Compare>,
        /// What it changed, in order.
        changes: Vec<Change>,
    },
    /// A lease began.
    LeaseGranted {
        /// The lease.
        lease: LeaseId,
    },
    /// A lease is over; its keys are gone.
    LeaseEnded {
        /// The lease.
        lease: LeaseId,
        /// Why.
        end: LeaseEnd,
        /// The revision that removed its keys.
        revision: Revision,
        /// The keys removed.
        removed: Vec<String>,
    },
    /// A watch has its next answer, which may be that nothing has changed.
    WatchUpdated {
        /// What it watches.
        keys: KeyPattern,
        /// The revision up to which it had been told everything; `None` when it was new.
        after: Option<Revision>,
        /// What it is told.
        update: Update,
    },
    /// A client has a lease.
    SessionConnected {
        /// The lease.
        lease: LeaseId,
    },
    /// A client has no contact; its lease may live.
    SessionSuspended {
        /// The lease.
        lease: LeaseId,
    },
    /// A client has contact again, within its lease.
    SessionReconnected {
        /// The lease.
        lease: LeaseId,
    },
    /// A client knows that its lease is over.
    SessionLost {
        /// The lease.
        lease: LeaseId,
    },
}

crate::event!(CoordinationEvent, |event| match event {
    CoordinationEvent::Recovered { .. }
    | CoordinationEvent::Committed { .. }
    | CoordinationEvent::LeaseGranted { .. }
    | CoordinationEvent::LeaseEnded { .. } => crate::host::Evidence::Service,
    CoordinationEvent::WatchUpdated { .. }
    | CoordinationEvent::SessionConnected { .. }
    | CoordinationEvent::SessionSuspended { .. }
    | CoordinationEvent::SessionReconnected { .. }
    | CoordinationEvent::SessionLost { .. } => crate::host::Evidence::SelfReport,
});
