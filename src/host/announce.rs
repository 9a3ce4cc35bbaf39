//! Announced facts and the class of evidence that each of them is.

use std::{any::Any, fmt, hash::Hasher};

/// How far a fact can be trusted when a promise is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Seen on links, disks, clocks or processes.
    Hardware,
    /// Taken from a service's own synced log.
    Service,
    /// A node says so of itself.
    SelfReport,
}

/// Something that a node makes known with [`Host::announce`](super::Host::announce).
pub trait Fact: Any + fmt::Debug + Send + Sync {
    /// The class of evidence that this fact is.
    fn evidence(&self) -> Evidence;

    /// Feeds the whole fact into the run's digest.
    fn fold(&self, digest: &mut dyn Hasher);

    /// For the receiver's downcast.
    fn as_any(&self) -> &dyn Any;
}
