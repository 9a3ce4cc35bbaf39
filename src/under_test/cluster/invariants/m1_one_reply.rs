//! M1: a request that is accepted is answered at most once. It has a name that no other has, it waits at one front end,
//! and whoever ends it first ends it for all; no two calls are given the answer of one request. That it is answered at all
//! while its front end lives is M3.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::request_reply::{EventId, FrontEndEvent},
    under_test::cluster::{EventKind, EventRef, Model, callers::CallerEvent, numbers::Numbers},
};
use std::collections::BTreeMap;

/// Remembers who waits for what.
#[derive(Default)]
pub struct OneReply {
    named: IdsByLife,
    waits: BTreeMap<EventId, (NodeId, u64)>,
    /// The requests whose answer was given to a call.
    given: IdsByLife,
}

/// Requests by the life of their front end: its slot, its incarnation.
#[derive(Default)]
struct IdsByLife(BTreeMap<(u32, u64), Numbers>);

impl IdsByLife {
    fn add(&mut self, id: EventId) -> bool {
        self.0.entry((id.slot, id.incarnation)).or_default().add(id.number)
    }
}

impl ClusterInvariant for OneReply {
    fn title(&self) -> &'static str {
        "M1 one-reply"
    }

    fn promise(&self) -> &'static str {
        "a request that is accepted is answered at most once"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::FrontEnd, EventKind::Caller, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::FrontEnd(FrontEndEvent::RequestAccepted { id, .. }) => {
                if !self.named.add(*id) {
                    return Check::broken(
                        format!("{id:?} was accepted before"),
                        format!("{at}: another one is accepted under its name"),
                    );
                }
                self.waits.insert(*id, at.process);
                Check::Passed
            }
            EventRef::FrontEnd(FrontEndEvent::RequestEnded { id, how, .. }) => {
                match self.waits.get(id) {
                    Some(process) if *process == at.process => {
                        self.waits.remove(id);
                        Check::Passed
                    }
                    _ => Check::broken(
                        format!("{id:?} does not wait here"),
                        format!("{at}: it ends: {how:?}"),
                    ),
                }
            }
            EventRef::Caller(CallerEvent::Answered { call, id: Some(id), .. }) => {
                Check::that(self.given.add(*id), || {
                    let promised = format!("the answer to {id:?} was given to no other call");
                    (promised, format!("{at}: it is given to call {call}"))
                })
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.waits.retain(|_, process| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, OneReply};

    #[test]
    fn a_request_ends_once_and_where_it_waits() {
        let accepted = || History::<OneReply>::new().holds(process(1, 1), accepted(1));
        accepted().holds(process(1, 1), ended(1)).breaks(process(1, 1), ended(1));
        accepted().breaks(process(2, 1), ended(1));
        accepted().breaks(process(1, 1), ended(2));
        accepted().breaks(process(1, 1), super::super::testing_services::accepted(1));
        accepted().holds(process(1, 1), dead()).breaks(process(1, 2), ended(1));
    }

    #[test]
    fn an_answer_is_given_to_one_call() {
        History::<OneReply>::new()
            .holds(process(3, 1), answered(1, 200, &response(1)))
            .holds(process(3, 1), answered(2, 200, &response(2)))
            .breaks(process(4, 1), answered(1, 200, &response(1)));
        History::<OneReply>::new()
            .holds(process(3, 1), answered_by_front_end(1, 504))
            .holds(process(3, 1), answered_by_front_end(2, 504));
    }
}
