//! No process of the system panics.

use super::{Check, Invariant};
use crate::{
    harness::check::{
        history::{EventKind, EventRef, Moment},
        model::Model,
    },
    host::sim::{Hardware, ProcessEnd},
};

/// Looks at how processes end.
pub struct NoPanic;

impl Invariant for NoPanic {
    fn title(&self) -> &'static str {
        "no-panic"
    }

    fn promise(&self) -> &'static str {
        "no process of the system panics"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Hardware(Hardware::Ended(ProcessEnd::Panicked { message })) => {
                Check::broken("assertions hold", format!("{at}: {message}"))
            }
            EventRef::Hardware(_) => Check::Held,
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, NoPanic};
    use crate::host::sim::ProcessEnd;

    #[test]
    fn other_ends_are_accepted_and_a_panic_is_refused() {
        let exited = ProcessEnd::Exited { reason: "fatal".into() };
        let history = History::of(NoPanic)
            .holds(process(1, 1), Hardware::Ended(ProcessEnd::PowerCut))
            .holds(process(1, 2), Hardware::Ended(exited));
        history
            .breaks(process(1, 3), Hardware::Ended(ProcessEnd::Panicked { message: "no".into() }));
    }
}
