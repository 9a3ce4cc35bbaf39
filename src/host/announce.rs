//! Announced events and the class of evidence that each of them is.

use std::{any::Any, fmt, hash::Hasher};

/// How far an event can be trusted when a promise is judged.
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
pub trait Event: Any + fmt::Debug + Send + Sync {
    /// The class of evidence that this event is.
    fn evidence(&self) -> Evidence;

    /// Feeds the whole event into the run's digest.
    fn fold(&self, digest: &mut dyn Hasher);

    /// For the receiver's downcast.
    fn as_any(&self) -> &dyn Any;

    /// A copy, for a history.
    fn kept(&self) -> Box<dyn Event>;

    /// The name of its type, without a path.
    fn type_name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.rsplit("::").next().expect("a text has a last part")
    }
}

/// Makes a type that is `Clone + Debug + Hash` an [`Event`]; the second argument maps a value to its evidence.
#[macro_export]
macro_rules! event {
    ($event:ty, $evidence:expr) => {
        impl $crate::host::Event for $event {
            fn evidence(&self) -> $crate::host::Evidence {
                let evidence: fn(&$event) -> $crate::host::Evidence = $evidence;
                evidence(self)
            }

            fn fold(&self, mut digest: &mut dyn std::hash::Hasher) {
                std::hash::Hash::hash(self, &mut digest);
            }

            fn as_any(&self) -> &dyn std::any::Any {
                self
            }

            fn kept(&self) -> Box<dyn $crate::host::Event> {
                Box::new(self.clone())
            }
        }
    };
}
