//! L6: in one contender, a term's process begins only after the former one's has ended wholly.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::leadership::{LeaderSessionId, LeadershipEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Follows the process of each contender.
#[derive(Default)]
pub struct TermsInSequence {
    running: BTreeMap<((NodeId, u64), String), (LeaderSessionId, Moment)>,
}

impl ClusterInvariant for TermsInSequence {
    fn title(&self) -> &'static str {
        "L6 terms-in-sequence"
    }

    fn promise(&self) -> &'static str {
        "a term's process begins only after the former one's has ended wholly"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Leadership]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Leadership(LeadershipEvent::ProcessStarted { component, session }) => {
                match self.running.insert((at.process, component.clone()), (*session, at)) {
                    None => Check::Passed,
                    Some((before, since)) => Check::broken(
                        format!("{since}: the process of {before:?} began and has not ended"),
                        format!("{at}: the process of {session:?} began"),
                    ),
                }
            }
            EventRef::Leadership(LeadershipEvent::ProcessTerminated { component, session }) => {
                match self.running.remove(&(at.process, component.clone())) {
                    Some((running, _)) if running == *session => Check::Passed,
                    running => Check::broken(
                        format!("the process that runs is {running:?}"),
                        format!("{at}: that of {session:?} ended"),
                    ),
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.running.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, TermsInSequence};

    fn started(number: u128) -> LeadershipEvent {
        LeadershipEvent::ProcessStarted { component: component(), session: term(number) }
    }

    fn ended(number: u128) -> LeadershipEvent {
        LeadershipEvent::ProcessTerminated { component: component(), session: term(number) }
    }

    fn running() -> History<TermsInSequence> {
        History::new().holds(process(1, 1), started(1))
    }

    #[test]
    fn one_after_the_other_is_accepted() {
        running()
            .holds(process(1, 1), ended(1))
            .holds(process(1, 1), started(2))
            .holds(process(2, 1), started(3));
    }

    #[test]
    fn a_second_process_beside_the_first_is_refused() {
        running().breaks(process(1, 1), started(2));
    }

    #[test]
    fn the_end_of_what_does_not_run_is_refused() {
        running().breaks(process(1, 1), ended(2));
    }
}
