//! M8: a service that answers at least once has put its response to each request into the log before a checkpoint is
//! complete that covers it; so no failure loses one. Judged on the log server's own log: how far a group has read is told
//! when a checkpoint is complete (X7).

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::service::log::{GroupOffset, LogEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};

/// Holds what a group has read of one service's requests against the responses.
pub struct HandledIsAnswered {
    group: String,
}

impl HandledIsAnswered {
    /// Judges the service whose requests this group reads.
    pub fn new(group: &str) -> Self {
        HandledIsAnswered { group: group.to_string() }
    }
}

impl ClusterInvariant for HandledIsAnswered {
    fn title(&self) -> &'static str {
        "M8 handled-is-answered"
    }

    fn promise(&self) -> &'static str {
        "what a durable checkpoint of a service has handled has its response in the log"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Log]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let EventRef::Log(LogEvent::OffsetsCommitted { offsets }) = seen else {
            return Check::Ignored;
        };
        let mut check = Check::Ignored;
        for GroupOffset { group, topic, partition, offset } in offsets {
            if *group != self.group {
                continue;
            }
            check = Check::Passed;
            if let Some(id) = model.services.unanswered(topic, *partition, *offset) {
                return Check::broken(
                    format!("{id:?} of {topic}/{partition} has its response in the log"),
                    format!("{at}: all before {offset} is handled, and it has none"),
                );
            }
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, HandledIsAnswered};

    fn asked() -> History<HandledIsAnswered> {
        History::of(HandledIsAnswered::new(GROUP))
            .holds(process(1, 1), began(2))
            .holds(process(0, 1), requested(0, 1, 1))
    }

    #[test]
    fn what_is_handled_without_a_response_is_refused() {
        asked().holds(process(0, 1), handled(0, 0)).breaks(process(0, 1), handled(0, 1));
        asked().holds(process(0, 1), responded(0, 1)).holds(process(0, 1), handled(0, 1));
        asked().holds(process(0, 1), handled(1, 1));
    }
}
