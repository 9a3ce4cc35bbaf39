//! What a cluster leans on: coordination, an object store, a log, databases for results, and whoever gives it
//! machines. Each is a
//! trait, which says what a process is promised; the rest of the system names the traits alone. Beside each
//! stands an embedded server, hosted on a node of its own, and the client of it that implements the trait;
//! only machines and, live, databases and folders of objects come from outside (`adapters`).
//!
//! A call on a service ends in one of four ways: it is *done*, and then durable; it is *refused*, and then
//! nothing was done; it is *not done*, since it never reached the service; or its outcome is
//! **indeterminate**: it was done, or it was not, or it will be, however late. Whoever gives up a call by
//! dropping its future knows no more than that.
//!
//! An embedded server writes checksummed records, answers and announces a write only after its sync, and
//! stops on corruption or a failed sync.

pub mod coordination;
pub mod database;
pub mod log;
pub mod object_store;
pub mod resource_provider;

mod backlog;
mod batch;
mod client;
mod connection;
mod durable;

pub use client::{ServiceClient, ServiceError};

use coordination::Coordination;
use database::DatabaseOpener;
use log::Log;
use object_store::ObjectStore;
use std::sync::Arc;

/// The services of a cluster, as a process of it reaches them. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Keys, leases, watches.
    pub coordination: Arc<dyn Coordination>,
    /// The files of checkpoints, and those that sinks write.
    pub objects: Arc<dyn ObjectStore>,
    /// Topics, which sources read and sinks write.
    pub log: Arc<dyn Log>,
    /// Databases, to which sinks write: none of the cluster's own.
    pub databases: DatabaseOpener,
}
