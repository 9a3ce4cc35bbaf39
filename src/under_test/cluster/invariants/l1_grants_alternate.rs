//! L1: per contender, grants and revokes alternate, and no term is granted twice.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::leadership::{LeaderSessionId, LeadershipEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Contender = ((NodeId, u64), String);

/// Follows each contender's term.
#[derive(Default)]
pub struct GrantsAlternate {
    leading: BTreeMap<Contender, LeaderSessionId>,
    granted: BTreeMap<LeaderSessionId, Moment>,
}

impl ClusterInvariant for GrantsAlternate {
    fn title(&self) -> &'static str {
        "L1 grants-alternate"
    }

    fn promise(&self) -> &'static str {
        "a contender's grants and revokes alternate, and no term is granted twice"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Leadership]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Leadership(LeadershipEvent::Granted { component, session }) => {
                if let Some(before) = self.granted.insert(*session, at) {
                    return Check::broken(
                        format!("{before}: granted {session:?}"),
                        format!("{at}: granted it again"),
                    );
                }
                match self.leading.insert((at.process, component.clone()), *session) {
                    None => Check::Passed,
                    Some(before) => Check::broken(
                        format!("{}: leads in {before:?}", self.granted[&before]),
                        format!("{at}: granted {session:?} without a revoke"),
                    ),
                }
            }
            EventRef::Leadership(LeadershipEvent::Revoked { component, session }) => {
                match self.leading.remove(&(at.process, component.clone())) {
                    Some(leading) if leading == *session => Check::Passed,
                    Some(leading) => Check::broken(
                        format!("leads in {leading:?}"),
                        format!("{at}: {session:?} revoked"),
                    ),
                    None => Check::broken("it does not lead", format!("{at}: {session:?} revoked")),
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.leading.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, GrantsAlternate};

    fn granted(number: u128) -> LeadershipEvent {
        LeadershipEvent::Granted { component: component(), session: term(number) }
    }

    fn revoked(number: u128) -> LeadershipEvent {
        LeadershipEvent::Revoked { component: component(), session: term(number) }
    }

    fn led() -> History<GrantsAlternate> {
        History::new()
            .holds(process(1, 1), granted(1))
            .holds(process(1, 1), revoked(1))
            .holds(process(1, 1), granted(2))
    }

    #[test]
    fn alternating_terms_and_a_crash_in_between_are_accepted() {
        led()
            .holds(process(1, 1), Hardware::Ended(crate::host::sim::ProcessEnd::Killed))
            .holds(process(1, 2), granted(3))
            .holds(process(2, 1), granted(4))
            .holds(process(1, 2), revoked(3));
    }

    #[test]
    fn a_grant_without_a_revoke_is_refused() {
        led().breaks(process(1, 1), granted(3));
    }

    #[test]
    fn a_term_granted_twice_is_refused() {
        led().breaks(process(2, 1), granted(1));
    }

    #[test]
    fn a_revoke_of_what_is_not_led_is_refused() {
        led().breaks(process(1, 1), revoked(1));
        led().breaks(process(2, 1), revoked(2));
    }
}
