//! No process of the system panics.

use super::invariant::{Check, Invariant};
use crate::{
    harness::event::{EventKind, Moment, event_as},
    host::{
        Event,
        sim::{Hardware, ProcessEnd},
    },
};

/// Looks at how processes end.
pub struct NoPanic;

impl<M> Invariant<M> for NoPanic {
    fn title(&self) -> &'static str {
        "no-panic"
    }

    fn promise(&self) -> &'static str {
        "no process of the system panics"
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        vec![EventKind::of::<Hardware>()]
    }

    fn observe(&mut self, at: Moment, event: &dyn Event, _: &M) -> Check {
        match event_as(event) {
            Some(Hardware::Ended(ProcessEnd::Panicked { message })) => {
                Check::broken("assertions hold", format!("{at}: {message}"))
            }
            _ => Check::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::check::{History, Model, process};

    #[derive(Debug, Default)]
    struct Nothing;

    impl Model for Nothing {
        fn observe(&mut self, _: Moment, _: &dyn Event) {}
    }

    #[test]
    fn other_ends_are_accepted_and_a_panic_is_refused() {
        let exited = ProcessEnd::Exited { reason: "fatal".into() };
        let history = History::<_, Nothing>::of(NoPanic)
            .holds(process(1, 1), Hardware::Ended(ProcessEnd::PowerCut))
            .holds(process(1, 2), Hardware::Ended(exited));
        history
            .breaks(process(1, 3), Hardware::Ended(ProcessEnd::Panicked { message: "no".into() }));
    }
}
