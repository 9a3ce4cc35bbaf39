//! S10: a provider of machines obeys the latest term of a resource manager that attached: the word of an earlier one
//! takes nothing over, however long it was on its way. The order of terms is that in which they took the latch, by
//! the coordination server's own log, in which a term can also be found that was written just before the server
//! died, and told to nobody.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        leadership::{LeaderSessionId, epoch_key, latch_key},
        protocol::RESOURCE_MANAGER,
        service::coordination::{Change, CoordinationEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model, provider::ProviderEvent},
};

/// Remembers the terms in order.
#[derive(Default)]
pub struct LatestManagerIsObeyed {
    terms: Vec<LeaderSessionId>,
    /// The number of the latest one that attached, from 0.
    attached: Option<usize>,
}

impl ClusterInvariant for LatestManagerIsObeyed {
    fn title(&self) -> &'static str {
        "S10 latest-manager-is-obeyed"
    }

    fn promise(&self) -> &'static str {
        "a provider of machines obeys no earlier term of a resource manager once a later one has attached"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Provider]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Coordination(CoordinationEvent::Committed { changes, .. }) => {
                let latch = latch_key(RESOURCE_MANAGER);
                self.terms.extend(changes.iter().filter_map(|change| match change {
                    Change::Put { key, value, .. } if *key == latch => {
                        LeaderSessionId::from_bytes(value)
                    }
                    _ => None,
                }));
                Check::Ignored
            }
            EventRef::Coordination(CoordinationEvent::Recovered { keys, .. }) => {
                let epoch = epoch_key(RESOURCE_MANAGER);
                let newest = keys.iter().find(|(key, _, _)| *key == epoch);
                let newest = newest.and_then(|(_, value, _)| LeaderSessionId::from_bytes(value));
                self.terms.extend(newest.filter(|term| !self.terms.contains(term)));
                Check::Ignored
            }
            EventRef::Provider(ProviderEvent::Attached { term }) => {
                let Some(number) = self.terms.iter().position(|of| of == term) else {
                    let before = "no such term took the latch".to_string();
                    return Check::broken(before, format!("{at}: the provider obeys {term:?}"));
                };
                let latest = self.attached.map_or(number, |attached| attached.max(number));
                self.attached = Some(latest);
                Check::that(latest == number, || {
                    let before = format!("{:?} took the latch after {term:?}", self.terms[latest]);
                    (before, format!("{at}: the provider obeys {term:?} again"))
                })
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, LatestManagerIsObeyed, ProviderEvent, RESOURCE_MANAGER};

    fn took_latch(revision: u64, number: u128) -> CoordinationEvent {
        committed(revision, vec![put(latch_key(RESOURCE_MANAGER), term(number).to_bytes())])
    }

    fn attached(number: u128) -> ProviderEvent {
        ProviderEvent::Attached { term: term(number) }
    }

    fn two_terms() -> History<LatestManagerIsObeyed> {
        History::new()
            .holds(process(0, 1), took_latch(1, 9))
            .holds(process(7, 1), attached(9))
            .holds(process(0, 1), took_latch(2, 4))
            .holds(process(7, 1), attached(9))
            .holds(process(7, 1), attached(4))
    }

    #[test]
    fn terms_one_after_the_other_are_accepted_and_an_earlier_one_afterwards_is_refused() {
        two_terms().holds(process(7, 1), attached(4));
        two_terms().breaks(process(7, 1), attached(9));
    }

    #[test]
    fn a_term_that_never_led_is_refused() {
        two_terms().breaks(process(7, 1), attached(5));
    }

    #[test]
    fn a_term_that_is_found_after_the_server_died_is_the_latest_one() {
        let recovered = |number: u128| CoordinationEvent::Recovered {
            revision: Revision(3),
            keys: vec![(epoch_key(RESOURCE_MANAGER), term(number).to_bytes(), Revision(3))],
        };
        let found = |number| two_terms().holds(process(0, 2), recovered(number));
        found(5).holds(process(7, 1), attached(5));
        found(5).holds(process(7, 1), attached(5)).breaks(process(7, 1), attached(4));
        found(4).breaks(process(7, 1), attached(5));
    }
}
