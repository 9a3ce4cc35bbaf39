//! What a cluster is promised by whoever gives it machines.

use crate::system::{
    ids::ResourceId,
    leadership::LeaderSessionId,
    service::client::{ServiceClient, ServiceError, until_acknowledged},
};
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};

/// The term of a resource manager, to a provider: a fencing token with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProviderSession {
    /// Grows from term to term: the revision at which the term took its latch.
    pub number: u64,
    /// The term.
    pub term: LeaderSessionId,
}

/// A worker that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// The name under which its task executor registers.
    pub resource: ResourceId,
    /// How many slots it has.
    pub slots: u32,
}

/// Why a provider does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum ProviderRefusal {
    /// A later term has attached.
    #[error("a later resource manager has attached")]
    Superseded,
    /// A newer worker was asked for, or this one was given back.
    #[error("the request is outdated")]
    Outdated,
    /// There are no more machines.
    #[error("no more machines can be had")]
    Exhausted,
    /// The cluster has ended.
    #[error("the cluster has ended")]
    Ended,
}

/// Why a call on a provider has no value.
pub type ProviderError = ServiceError<ProviderRefusal>;

/// Gives a cluster task executors, and takes them back. Every call may be repeated.
pub trait ResourceProvider: ServiceClient {
    /// A resource manager's term begins: from here on only it is obeyed, and no earlier one may attach. Answers the
    /// workers that there are or will be, whoever asked for them.
    fn attach(
        &self,
        session: ProviderSession,
    ) -> BoxFuture<'_, Result<Vec<ResourceId>, ProviderError>>;

    /// Asks for a worker. `number` grows with each worker of a term: what arrives after a newer one is refused.
    fn request_worker(
        &self,
        session: ProviderSession,
        number: u64,
        worker: WorkerSpec,
    ) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// Gives a worker back, whether it has come or not.
    fn release_worker(
        &self,
        session: ProviderSession,
        worker: ResourceId,
    ) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// The workers that there are or will be.
    fn workers(
        &self,
        session: ProviderSession,
    ) -> BoxFuture<'_, Result<Vec<ResourceId>, ProviderError>>;

    /// The cluster has ended: no worker of it is needed any more. It needs no term: what a cluster came to is durable
    /// before anybody says so, and the same whoever does.
    fn deregister(&self, outcome: String) -> BoxFuture<'_, Result<(), ProviderError>>;
}

impl dyn ResourceProvider {
    /// The same as [`deregister`](ResourceProvider::deregister), until it is answered.
    pub async fn deregister_until_acknowledged(&self, outcome: &str) {
        // One that says that the cluster has ended knows it.
        let _ = until_acknowledged(self, || self.deregister(outcome.to_string()).boxed()).await;
    }
}
