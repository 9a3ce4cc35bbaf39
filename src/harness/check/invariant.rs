//! Promises that are judged at every event.

use super::model::{AnyModel, model_as};
use crate::{
    harness::event::{EventKind, Moment, without_entries},
    host::{Event, sim::EntryNumber},
};
use std::{fmt, time::Duration};

/// What an invariant makes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The event does not concern it.
    Ignored,
    /// The event concerns it, and it holds.
    Passed,
    /// It is broken: these two events are in conflict.
    Broken {
        /// The earlier event, or what was promised.
        before: String,
        /// The event that breaks it.
        now: String,
    },
}

impl Check {
    /// Broken, with the two events in conflict.
    pub fn broken(before: impl Into<String>, now: impl Into<String>) -> Self {
        Check::Broken { before: before.into(), now: now.into() }
    }

    /// The first of two that is broken; held when any of them is.
    pub fn and(self, other: Check) -> Check {
        match (self, other) {
            (broken @ Check::Broken { .. }, _) | (_, broken @ Check::Broken { .. }) => broken,
            (Check::Ignored, Check::Ignored) => Check::Ignored,
            _ => Check::Passed,
        }
    }

    /// Passed if it is so, else broken with the two events in conflict.
    pub fn that(holds: bool, conflict: impl FnOnce() -> (String, String)) -> Check {
        match holds {
            true => Check::Passed,
            false => {
                let (before, now) = conflict();
                Check::Broken { before, now }
            }
        }
    }
}

/// A promise that is judged at every event, against a system's [`Model`](super::Model).
pub trait Invariant<M>: Send {
    /// Its code and its name, such as `L3 no-stale-write`; a name alone where there is no code.
    fn title(&self) -> &'static str;
    /// The first word of the title, by which scenarios name it: `L3`.
    fn name(&self) -> &'static str {
        self.title().split(' ').next().expect("a text has a first part")
    }
    /// What is promised, in a line.
    fn promise(&self) -> &'static str;
    /// The kinds of events that it looks at; it is spared the others.
    fn event_kinds(&self) -> Vec<EventKind>;
    /// Judges an event of one of its kinds; `model` is the state before it.
    fn observe(&mut self, at: Moment, event: &dyn Event, model: &M) -> Check;
    /// Judges the whole run at its end.
    fn finish(&mut self, at: Duration) -> Check {
        let _ = at;
        Check::Ignored
    }
}

/// An invariant whatever its model.
pub(in crate::harness) trait AnyInvariant: Send {
    fn title(&self) -> &'static str;
    fn name(&self) -> &'static str;
    fn promise(&self) -> &'static str;
    fn event_kinds(&self) -> Vec<EventKind>;
    fn observe(&mut self, at: Moment, event: &dyn Event, model: &dyn AnyModel) -> Check;
    fn finish(&mut self, at: Duration) -> Check;
}

impl<M: 'static> AnyInvariant for Box<dyn Invariant<M>> {
    fn title(&self) -> &'static str {
        (**self).title()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn promise(&self) -> &'static str {
        (**self).promise()
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        (**self).event_kinds()
    }

    fn observe(&mut self, at: Moment, event: &dyn Event, model: &dyn AnyModel) -> Check {
        (**self).observe(at, event, model_as(model))
    }

    fn finish(&mut self, at: Duration) -> Check {
        (**self).finish(at)
    }
}

/// A model's invariants, whatever the model.
pub(in crate::harness) fn any_invariants<M: 'static>(
    invariants: Vec<Box<dyn Invariant<M>>>,
) -> Vec<Box<dyn AnyInvariant>> {
    invariants.into_iter().map(|i| Box::new(i) as Box<dyn AnyInvariant>).collect()
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// Its code and its name.
    pub title: &'static str,
    /// What it promises.
    pub promise: &'static str,
    /// When and where.
    pub at: Moment,
    /// The earlier event, or what was promised.
    pub before: String,
    /// The entry of the earlier event, if it is one.
    pub before_entry: Option<EntryNumber>,
    /// The event that broke it.
    pub now: String,
}

impl Violation {
    /// Of a rule and its promise, by two texts in which events may stand.
    pub(in crate::harness) fn new(
        [invariant, title, promise]: [&'static str; 3],
        at: Moment,
        before: &str,
        now: &str,
    ) -> Self {
        let (before, before_entry) = without_entries(before);
        let (now, _) = without_entries(now);
        Violation { invariant, title, promise, at, before, before_entry, now }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3}s: {}", self.title, self.at.time.as_secs_f64(), self.promise)
    }
}
