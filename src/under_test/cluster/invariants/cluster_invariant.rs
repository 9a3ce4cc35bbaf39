//! What a promise of the cluster is.

use crate::{
    harness::{
        check::{Check, Invariant},
        event::{self, Moment},
    },
    host::Event,
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::time::Duration;

/// A promise of the cluster, or of a system that stands on its foundation: an
/// [`Invariant`] of every model that holds the cluster's.
pub trait ClusterInvariant: Send {
    /// Its code and its name, such as `L3 no-stale-write`; a name alone where there is no code.
    fn title(&self) -> &'static str;
    /// What is promised, in a line.
    fn promise(&self) -> &'static str;
    /// The kinds of events that it looks at; it is spared the others.
    fn event_kinds(&self) -> &'static [EventKind];
    /// Judges an event; `model` is the state before it.
    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check;
    /// Judges the whole run at its end.
    fn finish(&mut self, at: Duration) -> Check {
        let _ = at;
        Check::Ignored
    }
}

impl<M: AsRef<Model>, I: ClusterInvariant> Invariant<M> for I {
    fn title(&self) -> &'static str {
        ClusterInvariant::title(self)
    }

    fn promise(&self) -> &'static str {
        ClusterInvariant::promise(self)
    }

    fn event_kinds(&self) -> Vec<event::EventKind> {
        ClusterInvariant::event_kinds(self).iter().map(|kind| kind.of_harness()).collect()
    }

    fn observe(&mut self, at: Moment, event: &dyn Event, model: &M) -> Check {
        ClusterInvariant::observe(self, at, EventRef::new(event), model.as_ref())
    }

    fn finish(&mut self, at: Duration) -> Check {
        ClusterInvariant::finish(self, at)
    }
}
