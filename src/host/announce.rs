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

/// Makes a type a [`Fact`]; the second argument maps a value to its evidence.
#[macro_export]
macro_rules! fact {
    ($fact:ty, $evidence:expr) => {
        impl $crate::host::Fact for $fact {
            fn evidence(&self) -> $crate::host::Evidence {
                let evidence: fn(&$fact) -> $crate::host::Evidence = $evidence;
                evidence(self)
            }

            fn fold(&self, mut digest: &mut dyn std::hash::Hasher) {
                std::hash::Hash::hash(self, &mut digest);
            }

            fn as_any(&self) -> &dyn std::any::Any {
                self
            }
        }
    };
}
