//! M7: where nothing goes wrong every request is answered by its service: none waits in vain for its response or for room,
//! none is refused, and no connection ends.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::request_reply::{Ending, FrontEndEvent},
    under_test::cluster::{EventKind, EventRef, Model, callers::CallerEvent},
};

/// For runs without faults.
#[derive(Default)]
pub struct AnsweredInQuiet;

impl ClusterInvariant for AnsweredInQuiet {
    fn title(&self) -> &'static str {
        "M7 answered-in-quiet"
    }

    fn promise(&self) -> &'static str {
        "without faults every request is answered by its service"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::FrontEnd, EventKind::Caller]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let broken = |what: String| {
            Check::broken("nothing goes wrong here".to_string(), format!("{at}: {what}"))
        };
        match seen {
            EventRef::FrontEnd(FrontEndEvent::RequestEnded { id, how, .. }) => match how {
                Ending::Answered => Check::Passed,
                other => broken(format!("{id:?} ends: {other:?}")),
            },
            EventRef::FrontEnd(FrontEndEvent::TurnedAway { waiting }) => {
                broken(format!("a request is turned away while {waiting} wait"))
            }
            // Until its front end is there a caller finds nobody.
            EventRef::Caller(CallerEvent::Unanswered { call, is_indeterminate: true, .. }) => {
                broken(format!("call {call} gets no answer"))
            }
            EventRef::Caller(CallerEvent::Answered { call, status, id: None, .. }) => {
                broken(format!("call {call} is answered {status}, and not by the service"))
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, AnsweredInQuiet};

    #[test]
    fn only_answers_are_accepted() {
        let history = History::<AnsweredInQuiet>::new;
        history().holds(process(1, 1), accepted(1)).holds(process(1, 1), ended(1));
        history().breaks(process(1, 1), timed_out(1));
        history().breaks(process(1, 1), turned_away());
        history().breaks(process(3, 1), unanswered(1));
        history().breaks(process(3, 1), answered_by_front_end(1, 200));
    }
}
