//! Histories for the tests of invariants: what each must accept, and what it must refuse.

use super::{
    invariant::{Check, Invariant},
    model::Model,
};
use crate::{
    harness::event::Moment,
    host::{Event, sim::NodeId},
};
use std::time::Duration;

/// A process of a node; nodes count from 0.
pub fn process(node: usize, incarnation: u64) -> (NodeId, u64) {
    (NodeId::for_tests(node), incarnation)
}

/// From an event to the next one.
const STEP: Duration = Duration::from_secs(1);

/// A history under construction; each event comes a second after the one before.
pub struct History<I, M> {
    invariant: I,
    model: M,
    time: Duration,
    last: Check,
}

impl<I: Invariant<M> + Default, M: Model> History<I, M> {
    /// One for an invariant in its first state.
    pub fn new() -> Self {
        Self::of(I::default())
    }
}

impl<I: Invariant<M> + Default, M: Model> Default for History<I, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Invariant<M>, M: Model> History<I, M> {
    /// One for an invariant.
    pub fn of(invariant: I) -> Self {
        let (model, time) = (M::default(), Duration::ZERO);
        History { invariant, model, time, last: Check::Ignored }
    }

    /// An event that the invariant must accept.
    ///
    /// # Panics
    /// When it refuses it.
    #[track_caller]
    #[allow(clippy::must_use_candidate, reason = "a history may end with what holds")]
    pub fn holds(mut self, process: (NodeId, u64), event: impl Event) -> Self {
        self.observe(process, &event);
        assert!(!matches!(self.last, Check::Broken { .. }), "{:?}", self.last);
        self
    }

    /// An event that the invariant must refuse.
    ///
    /// # Panics
    /// When it accepts it.
    #[track_caller]
    pub fn breaks(mut self, process: (NodeId, u64), event: impl Event) {
        self.observe(process, &event);
        let broken = matches!(self.last, Check::Broken { .. });
        assert!(broken, "{event:?} was accepted: {:?}", self.last);
    }

    /// Lets time pass, besides the second until the next event.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.time += time;
        self
    }

    /// Lets the next event come at the same moment as the last one.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.time -= STEP;
        self
    }

    /// What it made of the last event.
    pub fn last(&self) -> &Check {
        &self.last
    }

    /// Ends the history so long after its last event.
    pub fn finish(mut self, later: Duration) -> Check {
        self.invariant.finish(self.time + later)
    }

    fn observe(&mut self, process: (NodeId, u64), event: &dyn Event) {
        self.time += STEP;
        let at = Moment::new(self.time, process);
        // As in a run, an invariant is spared the kinds that it does not look at.
        let concerned = self.invariant.event_kinds().iter().any(|kind| kind.is(event));
        self.last = match concerned {
            true => self.invariant.observe(at, event, &self.model),
            false => Check::Ignored,
        };
        self.model.observe(at, event);
    }
}
