//! M5: responses that come late, twice, or to another life of a front end, harm nobody. A request that ends as answered
//! has a response in its front end's partition, behind where that life began to read; what is called late has ended here
//! before, and what is called foreign was never this life's. Of the responses in its partition a life leaves none out.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::{
        request_reply::{Ending, EventId, FrontEndEvent},
        service::log::LogEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model, numbers::Numbers, services::Services},
};
use std::collections::{BTreeMap, VecDeque};

/// A life of a front end.
struct Life {
    slot: u32,
    incarnation: u64,
    offset: u64,
    ended: Numbers,
    responses: String,
    /// Where it reads next.
    next: u64,
    /// What it has to read, by offset, up to where the log was looked at.
    unread: VecDeque<(u64, EventId)>,
    looked_to: u64,
}

impl Life {
    fn new(slot: u32, incarnation: u64, offset: u64, responses: &str) -> Self {
        let (ended, unread) = (Numbers::default(), VecDeque::new());
        let (responses, next, looked_to) = (responses.to_string(), offset, offset);
        Life { slot, incarnation, offset, ended, responses, next, unread, looked_to }
    }

    /// Whether a request has ended here.
    fn has_ended(&self, id: EventId) -> bool {
        self.is_own(id) && self.ended.has(id.number)
    }

    fn is_own(&self, id: EventId) -> bool {
        (id.slot, id.incarnation) == (self.slot, self.incarnation)
    }

    /// Takes in what stands in the log.
    fn look(&mut self, services: &Services) {
        self.unread.extend(services.responses_from(&self.responses, self.slot, self.looked_to));
        self.looked_to = self.unread.back().map_or(self.looked_to, |(offset, _)| offset + 1);
    }

    /// What is before that offset is not read.
    fn skip(&mut self, to: u64) {
        self.next = self.next.max(to);
        self.looked_to = self.looked_to.max(to);
        self.unread.retain(|(offset, _)| *offset >= to);
    }
}

/// Holds what front ends do with responses against the log.
#[derive(Default)]
pub struct LateResponsesHarmNobody {
    lives: BTreeMap<(NodeId, u64), Life>,
}

impl LateResponsesHarmNobody {
    fn judge(&mut self, at: Moment, event: &FrontEndEvent, services: &Services) -> Check {
        if let FrontEndEvent::Began { slot, incarnation, offset, responses, .. } = event {
            let life = Life::new(*slot, *incarnation, *offset, responses);
            self.lives.insert(at.process, life);
            return Check::Ignored;
        }
        let Some(life) = self.lives.get_mut(&at.process) else { return Check::Ignored };
        life.look(services);
        let broken =
            |promised: String, told: &str| Check::broken(promised, format!("{at}: {told}"));
        if let Some(id) = read(event) {
            match life.unread.front().copied() {
                Some((offset, of)) if of == id => {
                    life.unread.pop_front();
                    life.next = offset + 1;
                }
                // Judged below.
                None => {}
                Some((offset, of)) => {
                    return broken(
                        format!("the response at {offset}, to {of:?}, is read next"),
                        &format!("one to {id:?} is"),
                    );
                }
            }
        }
        match event {
            FrontEndEvent::ResponsesMissed { from, to } => {
                let start = services.start(&life.responses, life.slot);
                let (is_true, next) =
                    (*from < *to && *to <= start && *from >= life.next, life.next);
                life.skip(*to);
                Check::that(is_true, || {
                    let kept =
                        format!("responses are kept from {start} on, and {next} is read next");
                    (kept, format!("{at}: those from {from} to {to} are called missed"))
                })
            }
            FrontEndEvent::RequestEnded { id, how, .. } => {
                life.ended.add(id.number);
                let response = services.accepted(*id).and_then(|of| of.response.as_ref());
                let is_there = response.is_some_and(|placed| {
                    placed.partition == life.slot && placed.offset >= life.offset
                });
                match how {
                    Ending::Answered if !is_there => broken(
                        format!(
                            "{id:?} has a response in partition {} behind {}",
                            life.slot, life.offset
                        ),
                        "it is answered",
                    ),
                    Ending::Answered => Check::Passed,
                    _ => Check::Ignored,
                }
            }
            FrontEndEvent::LateResponse { id } if !life.has_ended(*id) => {
                broken(format!("{id:?} has not ended"), "a response to it is called late")
            }
            FrontEndEvent::ForeignResponse { id } if life.is_own(*id) => {
                broken(format!("{id:?} is of this life"), "a response to it is called foreign")
            }
            FrontEndEvent::LateResponse { .. } | FrontEndEvent::ForeignResponse { .. } => {
                Check::Passed
            }
            _ => Check::Ignored,
        }
    }
}

/// To what the response was that a front end has read.
fn read(event: &FrontEndEvent) -> Option<EventId> {
    match event {
        FrontEndEvent::RequestEnded { id, how: Ending::Answered, .. }
        | FrontEndEvent::LateResponse { id }
        | FrontEndEvent::ForeignResponse { id } => Some(*id),
        _ => None,
    }
}

impl ClusterInvariant for LateResponsesHarmNobody {
    fn title(&self) -> &'static str {
        "M5 late-responses-harm-nobody"
    }

    fn promise(&self) -> &'static str {
        "only a response to this life of a front end answers, and none that is due is called late"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::FrontEnd, EventKind::Log, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::FrontEnd(event) => return self.judge(at, event, &model.services),
            // A life may still read what is being removed.
            EventRef::Log(LogEvent::Trimmed { .. } | LogEvent::Recovered { .. }) => {
                self.lives.values_mut().for_each(|life| life.look(&model.services));
            }
            EventRef::Hardware(Hardware::Ended(_)) => drop(self.lives.remove(&at.process)),
            _ => {}
        }
        Check::Ignored
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, FrontEndEvent, LateResponsesHarmNobody};
    use crate::system::service::log::LogEvent;

    fn waiting() -> History<LateResponsesHarmNobody> {
        History::new().holds(process(1, 1), began(2)).holds(process(1, 1), accepted(1))
    }

    #[test]
    fn what_is_answered_has_its_response_where_this_life_reads() {
        waiting().breaks(process(1, 1), ended(1));
        waiting().holds(process(0, 1), responded(0, 1)).holds(process(1, 1), ended(1));
        // Elsewhere, or before this life began.
        waiting().holds(process(0, 1), responded(1, 1)).breaks(process(1, 1), ended(1));
        History::<LateResponsesHarmNobody>::new()
            .holds(process(1, 1), began_at(5))
            .holds(process(0, 1), responded(0, 1))
            .breaks(process(1, 1), ended(1));
    }

    #[test]
    fn late_is_what_has_ended_and_foreign_what_is_of_another_life() {
        let answered = || waiting().holds(process(0, 1), responded(0, 1));
        answered().breaks(process(1, 1), late(1));
        answered()
            .holds(process(1, 1), ended(1))
            .holds(process(0, 1), responded_next(0, 1))
            .holds(process(1, 1), late(1));
        answered().breaks(process(1, 1), foreign(1, LIFE));
        waiting()
            .holds(process(0, 1), responded_of(0, 1, LIFE + 1))
            .holds(process(1, 1), foreign(1, LIFE + 1));
    }

    #[test]
    fn what_was_removed_may_be_missed_and_nothing_else() {
        let two = || {
            waiting()
                .holds(process(1, 1), accepted(2))
                .holds(process(0, 1), responded(0, 1))
                .holds(process(0, 1), responded_next(0, 2))
        };
        let missed = |from, to| FrontEndEvent::ResponsesMissed { from, to };
        let trimmed = || {
            let topic = RESPONSES.to_string();
            two().holds(process(0, 1), LogEvent::Trimmed { topic, partition: 0, start: 1 })
        };
        trimmed().holds(process(1, 1), missed(0, 1)).holds(process(1, 1), ended(2));
        two().breaks(process(1, 1), missed(0, 1));
        trimmed().breaks(process(1, 1), missed(0, 2));
        trimmed().holds(process(1, 1), ended(1)).breaks(process(1, 1), missed(0, 1));
    }

    #[test]
    fn a_response_that_is_left_out_is_missed() {
        waiting()
            .holds(process(1, 1), accepted(2))
            .holds(process(0, 1), responded(0, 1))
            .holds(process(0, 1), responded_next(0, 2))
            .breaks(process(1, 1), ended(2));
    }
}
