//! L4: what followers see as the leader is what a contender confirmed while it held the latch. Each is told of it once,
//! and a record that says what it should is not written again and again.

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
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// So often within a second a record may be written again as it stands: a leader whose write got no answer writes
/// once more. Whoever turns in a circle writes once a round trip.
const REWRITES_MAX: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

/// Remembers every leader record that was written, and when those were written again that stood.
#[derive(Default)]
pub struct RecordIsConfirmed {
    written: BTreeSet<(LeaderSessionId, String)>,
    rewritten: BTreeMap<String, VecDeque<Duration>>,
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
        "the leader record is what a contender confirmed while it held the latch, written and told of once"
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
                        if model.keys.get(key) == Some(value) {
                            check = check.and(self.written_again(at, component));
                        }
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
                leader: Some(leader),
                service,
                ..
            }) => {
                let now = || format!("{at}: notified of {leader:?}");
                let known = model.notified.get(&(at.process, *service));
                let known = known.and_then(|(_, known)| known.as_ref());
                let written = self.written.contains(&(leader.session, leader.address.to_string()));
                Check::that(written, || {
                    ("it was never written as the leader record".to_string(), now())
                })
                .and(Check::that(known != Some(leader), || {
                    ("this follower knows it already".to_string(), now())
                }))
            }
            _ => Check::Ignored,
        }
    }
}

impl RecordIsConfirmed {
    /// A record is written as it stands.
    fn written_again(&mut self, at: Moment, component: &str) -> Check {
        let times = self.rewritten.entry(component.to_string()).or_default();
        times.push_back(at.time);
        while times.front().is_some_and(|first| *first + SECOND < at.time) {
            times.pop_front();
        }
        let (count, since) = (times.len(), times[0].as_secs_f64());
        Check::that(count <= REWRITES_MAX, || {
            let before = format!("{since:.3}s: the record of {component} was written as it stood");
            (before, format!("{at}: it is for the {count}th time since"))
        })
    }

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
    use super::{super::testing::*, REWRITES_MAX, RecordIsConfirmed, SECOND};

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

    /// The record is written again as it stands, so many times in a moment.
    fn again(times: usize) -> History<RecordIsConfirmed> {
        let write = |history: History<_>, _| {
            history.at_once().holds(process(0, 1), committed(3, vec![record(1)]))
        };
        (0..times).fold(published(), write)
    }

    #[test]
    fn a_record_that_is_written_once_more_is_accepted_and_one_that_is_for_ever_refused() {
        let later = again(REWRITES_MAX).after(SECOND);
        later.holds(process(0, 1), committed(4, vec![record(1)]));
        again(REWRITES_MAX).at_once().breaks(process(0, 1), committed(4, vec![record(1)]));
    }

    #[test]
    fn a_follower_that_is_told_twice_of_a_leader_is_refused() {
        let unknown =
            LeadershipEvent::LeaderNotified { component: component(), service: 1, leader: None };
        let told = || published().holds(process(4, 1), notified(1));
        told().holds(process(5, 1), notified(1));
        told().holds(process(4, 1), unknown).holds(process(4, 1), notified(1));
        told().breaks(process(4, 1), notified(1));
    }

    #[test]
    fn a_leader_that_nobody_wrote_is_refused() {
        published().breaks(process(4, 1), notified(2));
    }
}
