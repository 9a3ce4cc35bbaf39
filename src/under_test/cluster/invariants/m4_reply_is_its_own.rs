//! M4: what a caller is told is the answer to what it has asked. The request that its answer names was accepted by the
//! front end that it asked, after it had asked; it stands in the log with the caller's own path, key and body; and the
//! answer is the first response to it there, status and body. What does not say whom it answers is no service's answer.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::request_reply::{EventId, ServiceRequest},
    under_test::cluster::{
        EventKind, EventRef, Model,
        callers::{Asked, CallerEvent},
        services::Services,
    },
};

/// With what front ends answer themselves what callers ask: too many wait, the log refuses it, no response in time.
const OF_FRONT_ENDS: [u16; 3] = [429, 503, 504];

/// Looks at each answer.
#[derive(Default)]
pub struct ReplyIsItsOwn;

impl ReplyIsItsOwn {
    fn judge(
        at: Moment,
        (call, status, id, body): (u64, u16, Option<EventId>, &[u8]),
        services: &Services,
    ) -> Check {
        let broken = |promised: String| {
            let told = String::from_utf8_lossy(body);
            Check::broken(promised, format!("{at}: call {call} is answered {status} {told}"))
        };
        // Only the service's own answers say whom they answer.
        let Some(id) = id else {
            return match OF_FRONT_ENDS.contains(&status) {
                true => Check::Ignored,
                false => {
                    broken("an answer of the service says which request it answers".to_string())
                }
            };
        };
        let Some(of) = services.call(at.process, call) else {
            return broken(format!("call {call} was made"));
        };
        let accepted = services.accepted(id).filter(|of_id| of_id.is_after(of));
        let Some(accepted) = accepted.filter(|_| id.slot == of.slot) else {
            return broken(format!(
                "the answer is to what front end {} has accepted since it was asked",
                of.slot
            ));
        };
        let Some(ServiceRequest { key, path, body: sent, .. }) = &accepted.request else {
            return broken(format!("{id:?} stands in the log"));
        };
        let Asked { path: its_path, key: its_key, body: its_body } = &of.asked;
        if (path, key, sent) != (its_path, its_key, its_body) {
            return broken(format!("{id:?} stands in the log as what was asked: {:?}", of.asked));
        }
        match accepted.response.as_ref().map(|placed| &placed.response) {
            None => broken(format!("a response to {id:?} stands in the log")),
            Some(response) if (response.status, &*response.body) == (status, body) => Check::Passed,
            Some(response) => broken(format!(
                "the first response to {id:?} in the log: {} {}",
                response.status,
                String::from_utf8_lossy(&response.body)
            )),
        }
    }
}

impl ClusterInvariant for ReplyIsItsOwn {
    fn title(&self) -> &'static str {
        "M4 reply-is-its-own"
    }

    fn promise(&self) -> &'static str {
        "a caller is told the first response in the log to what it has asked itself"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Caller]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Caller(CallerEvent::Answered { call, status, id, body, .. }) => {
                Self::judge(at, (*call, *status, *id, body), &model.services)
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, ReplyIsItsOwn};

    /// A call is made, accepted and answered in the log.
    fn answerable() -> History<ReplyIsItsOwn> {
        History::new()
            .holds(process(1, 1), began(2))
            .holds(process(3, 1), asking(1))
            .holds(process(1, 1), accepted(1))
            .holds(process(0, 1), requested(0, 1, 1))
            .holds(process(0, 1), responded(0, 1))
    }

    #[test]
    fn the_first_response_in_the_log_is_the_answer() {
        answerable().holds(process(3, 1), answered(1, 200, &response(1)));
        answerable().breaks(process(3, 1), answered(1, 201, &response(1)));
        answerable().breaks(process(3, 1), answered(2, 200, &response(1)));
        answerable().holds(process(3, 1), answered_by_front_end(1, 504));
        answerable().breaks(process(3, 1), answered_by_front_end(1, 200));
    }

    #[test]
    fn what_is_not_in_the_log_or_another_ones_is_no_answer() {
        answerable().breaks(process(3, 1), answered(1, 200, &response(2)));
        let unanswered = History::<ReplyIsItsOwn>::new()
            .holds(process(1, 1), began(2))
            .holds(process(3, 1), asking(1))
            .holds(process(1, 1), accepted(1));
        unanswered.breaks(process(3, 1), answered(1, 200, &response(1)));
        // The body of another call stands there.
        History::<ReplyIsItsOwn>::new()
            .holds(process(1, 1), began(2))
            .holds(process(3, 1), asking(1))
            .holds(process(1, 1), accepted(1))
            .holds(process(0, 1), requested(0, 1, 2))
            .holds(process(0, 1), responded(0, 1))
            .breaks(process(3, 1), answered(1, 200, &response(1)));
        // It was accepted before it was asked.
        History::<ReplyIsItsOwn>::new()
            .holds(process(1, 1), began(2))
            .holds(process(1, 1), accepted(1))
            .holds(process(3, 1), asking(1))
            .holds(process(0, 1), requested(0, 1, 1))
            .holds(process(0, 1), responded(0, 1))
            .breaks(process(3, 1), answered(1, 200, &response(1)));
    }
}
