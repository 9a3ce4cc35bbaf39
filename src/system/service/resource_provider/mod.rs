//! Where machines come from: whoever gives a cluster task executors when it needs them and takes them back. It
//! stands for YARN, Kubernetes and Mesos.
//!
//! A resource manager [attaches](ResourceProvider::attach) when its term begins, and learns which workers there are.
//! Each worker is a task executor under a name that the resource manager chose; it comes when it comes, or never,
//! and may vanish without a word. Only the latest term that attached is obeyed, and a name that was given back, or
//! refused, never comes again.
//!
//! Deliberately absent: how a machine is started. A provider's own code does that; what it must keep in mind is a
//! [`WorkerTable`]. Without a provider a cluster is *standalone*: it has the task executors that somebody starts.

mod api;
mod client;
mod table;

pub use api::{ProviderError, ProviderRefusal, ProviderSession, ResourceProvider, WorkerSpec};
pub use client::{ProviderConfig, ResourceProviderClient};
pub use table::WorkerTable;

use crate::{gateway, system::ids::ResourceId};

/// The name of a provider's endpoint.
pub const RESOURCE_PROVIDER: &str = "resource-provider";

gateway! {
    /// Speaks to a resource provider. Not fenced: each method says for which term it asks.
    pub gateway ResourceProviderGateway serves ResourceProviderHandler {
        /// A resource manager's term begins; answers the workers that there are or will be.
        ask attach(session: ProviderSession) -> Result<Vec<ResourceId>, ProviderRefusal>;
        /// Asks for a worker; `number` grows within a term.
        ask request_worker(session: ProviderSession, number: u64, worker: WorkerSpec) -> Result<(), ProviderRefusal>;
        /// Gives a worker back.
        ask release_worker(session: ProviderSession, worker: ResourceId) -> Result<(), ProviderRefusal>;
        /// The workers that there are or will be.
        ask workers(session: ProviderSession) -> Result<Vec<ResourceId>, ProviderRefusal>;
        /// The cluster has ended; `outcome` says how.
        ask deregister(outcome: String) -> Result<(), ProviderRefusal>;
    }
}
