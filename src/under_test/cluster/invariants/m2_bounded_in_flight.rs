//! M2: a front end has no more requests in flight than it may.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::request_reply::{EventId, FrontEndEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Counts for itself, by process: how many there may be, and those that were announced.
#[derive(Default)]
pub struct BoundedInFlight {
    front_ends: BTreeMap<(NodeId, u64), (usize, BTreeSet<EventId>)>,
}

impl ClusterInvariant for BoundedInFlight {
    fn title(&self) -> &'static str {
        "M2 bounded-in-flight"
    }

    fn promise(&self) -> &'static str {
        "a front end has no more requests in flight than its capacity"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::FrontEnd, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let (id, told) = match seen {
            EventRef::FrontEnd(FrontEndEvent::Began { capacity, .. }) => {
                self.front_ends.insert(at.process, (*capacity, BTreeSet::new()));
                return Check::Ignored;
            }
            EventRef::FrontEnd(FrontEndEvent::RequestAccepted { id, in_flight }) => {
                (Ok(*id), *in_flight)
            }
            EventRef::FrontEnd(FrontEndEvent::RequestEnded { id, in_flight, .. }) => {
                (Err(*id), *in_flight)
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.front_ends.remove(&at.process);
                return Check::Ignored;
            }
            _ => return Check::Ignored,
        };
        let Some((capacity, waits)) = self.front_ends.get_mut(&at.process) else {
            return Check::broken(
                "a front end begins before it accepts".to_string(),
                format!("{at}: a request of one that has not begun"),
            );
        };
        match id {
            Ok(accepted) => drop(waits.insert(accepted)),
            Err(ended) => drop(waits.remove(&ended)),
        }
        // What is in the map and not announced yet counts, too.
        if told <= *capacity && waits.len() <= told {
            return Check::Passed;
        }
        Check::broken(
            format!("{capacity} may be in flight"),
            format!("{at}: {} are, and it says {told}", waits.len()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, BoundedInFlight};

    fn begun() -> History<BoundedInFlight> {
        History::new().holds(process(1, 1), began(2))
    }

    #[test]
    fn no_more_are_in_flight_than_may_be_nor_than_are_told() {
        let full =
            || begun().holds(process(1, 1), counted(1, 1)).holds(process(1, 1), counted(2, 2));
        full().breaks(process(1, 1), counted(3, 3));
        full().breaks(process(1, 1), counted(3, 2));
        full().holds(process(1, 1), ended(1)).holds(process(1, 1), counted(3, 2));
        History::<BoundedInFlight>::new().breaks(process(1, 1), counted(1, 1));
        begun().holds(process(1, 1), dead()).breaks(process(1, 1), counted(1, 1));
    }
}
