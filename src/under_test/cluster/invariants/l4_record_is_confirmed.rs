//! L4: what followers see as the leader is what a contender confirmed while it held the latch.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        leadership::{
            ElectionPart, LeaderInformation, LeaderSessionId, LeadershipEvent, latch_key,
            parse_election_key,
        },
        service::coordination::{Change, CoordinationEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeSet;

/// Remembers every leader record that was written.
#[derive(Default)]
pub struct RecordIsConfirmed {
    written: BTreeSet<(LeaderSessionId, String)>,
}

/// The component of which a key is the leader record.
fn component_of(key: &str) -> Option<&str> {
    let (component, part) = parse_election_key(key)?;
    (part == ElectionPart::Leader).then_some(component)
}

impl ClusterInvariant for RecordIsConfirmed {
    fn title(&self) -> &'static str {
        "L4 record-is-confirmed"
    }

    fn promise(&self) -> &'static str {
        "the leader record is what a contender confirmed while it held the latch"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Leadership]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Coordination(CoordinationEvent::Committed { changes, .. }) => {
                let mut check = Check::Ignored;
                for change in changes {
                    let Change::Put { key, value, .. } = change else { continue };
                    if let Some(component) = component_of(key) {
                        check = self.judge_record(at, model.latch(component), value);
                        if matches!(check, Check::Broken { .. }) {
                            return check;
                        }
                    }
                }
                check
            }
            // A record that was synced but not announced before a crash shows only here.
            EventRef::Coordination(CoordinationEvent::Recovered { keys, .. }) => {
                let mut check = Check::Ignored;
                for (key, value, _) in keys {
                    let Some(component) = component_of(key) else { continue };
                    let latch = keys.iter().find(|(key, _, _)| *key == latch_key(component));
                    let latch = latch.and_then(|(_, value, _)| LeaderSessionId::from_bytes(value));
                    check = self.judge_record(at, latch, value);
                    if matches!(check, Check::Broken { .. }) {
                        return check;
                    }
                }
                check
            }
            EventRef::Leadership(LeadershipEvent::LeaderNotified {
                leader: Some(leader), ..
            }) => match self.written.contains(&(leader.session, leader.address.to_string())) {
                true => Check::Passed,
                false => Check::broken(
                    "it was never written as the leader record",
                    format!("{at}: notified of {leader:?}"),
                ),
            },
            _ => Check::Ignored,
        }
    }
}

impl RecordIsConfirmed {
    fn judge_record(&mut self, at: Moment, latch: Option<LeaderSessionId>, value: &[u8]) -> Check {
        let Ok(leader) = postcard::from_bytes::<LeaderInformation>(value) else {
            return Check::broken(
                "a leader record names a term and an address",
                format!("{at}: it reads {value:?}"),
            );
        };
        self.written.insert((leader.session, leader.address.to_string()));
        match latch == Some(leader.session) {
            true => Check::Passed,
            false => Check::broken(
                format!("the latch is held by {latch:?}"),
                format!("{at}: the record names {:?}", leader.session),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, RecordIsConfirmed};

    fn published() -> History<RecordIsConfirmed> {
        History::new()
            .holds(process(0, 1), committed(1, vec![latch(1)]))
            .holds(process(0, 1), committed(2, vec![record(1)]))
    }

    fn notified(number: u128) -> LeadershipEvent {
        LeadershipEvent::LeaderNotified {
            component: component(),
            service: 1,
            leader: Some(leader(number)),
        }
    }

    #[test]
    fn a_record_of_the_latch_s_holder_is_accepted_also_when_read_late() {
        published()
            .holds(process(0, 1), committed(3, vec![latch(2)]))
            .holds(process(4, 1), notified(1));
    }

    #[test]
    fn a_record_of_another_term_is_refused() {
        published()
            .holds(process(0, 1), committed(3, vec![latch(2)]))
            .breaks(process(0, 1), committed(4, vec![record(1)]));
    }

    #[test]
    fn a_leader_that_nobody_wrote_is_refused() {
        published().breaks(process(4, 1), notified(2));
    }
}
