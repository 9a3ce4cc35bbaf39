//! L3: no durable write by an older leader after the first durable write of a newer one. Judged on
//! the coordination server's own log: taking the latch is a term's first write, and every write of a
//! store must stand under the guard of a term that holds its latch then.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        leadership::{ElectionPart, LeaderSessionId, latch_key, parse_election_key},
        protocol::{DISPATCHER, job_component},
        service::coordination::{Change, Compare, CoordinationEvent},
        store::{StoreKey, StoredPart},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};

/// Needs no memory: the model knows who holds each latch.
#[derive(Default)]
pub struct NoStaleWrite {
    /// Keys of somebody's own, and the component that alone writes each.
    keys: &'static [(&'static str, &'static str)],
}

impl NoStaleWrite {
    /// Judges besides the cluster's keys these, each with the component that alone writes it.
    pub fn with_keys(keys: &'static [(&'static str, &'static str)]) -> Self {
        NoStaleWrite { keys }
    }
}

/// The components of which one must write a key; none, when anybody may.
fn writers(change: &Change, keys: &[(&str, &str)]) -> Vec<String> {
    let (key, removes) = match change {
        Change::Put { key, .. } => (key, false),
        Change::Delete { key } => (key, true),
    };
    match parse_election_key(key) {
        Some((component, ElectionPart::Leader)) => return vec![component.to_string()],
        Some(_) => return Vec::new(),
        None => {}
    }
    if let Some((_, component)) = keys.iter().find(|(own, _)| own == key) {
        return vec![(*component).to_string()];
    }
    let Some(StoreKey { job, part }) = StoreKey::parse(key) else { return Vec::new() };
    match part {
        StoredPart::Graph | StoredPart::Result | StoredPart::Outcome => {
            vec![DISPATCHER.to_string()]
        }
        // A user's wish stands whoever leads.
        StoredPart::Cancellation => Vec::new(),
        _ if removes => vec![job_component(job), DISPATCHER.to_string()],
        _ => vec![job_component(job)],
    }
}

/// The term of a component under whose guard a write stands.
fn guard(conditions: &[Compare], component: &str) -> Option<LeaderSessionId> {
    let latch = latch_key(component);
    conditions.iter().find_map(|condition| match condition {
        Compare::Value { key, value } if *key == latch => LeaderSessionId::from_bytes(value),
        _ => None,
    })
}

impl ClusterInvariant for NoStaleWrite {
    fn title(&self) -> &'static str {
        "L3 no-stale-write"
    }

    fn promise(&self) -> &'static str {
        "no durable write by an older leader after the first durable write of a newer one"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let EventRef::Coordination(CoordinationEvent::Committed { revision, conditions, changes }) =
            seen
        else {
            return Check::Ignored;
        };
        let mut check = Check::Ignored;
        for change in changes {
            let writers = writers(change, self.keys);
            if writers.is_empty() {
                continue;
            }
            let guarded = writers
                .iter()
                .find_map(|component| guard(conditions, component).map(|term| (component, term)));
            check = match guarded {
                Some((component, term)) if model.latch(component) == Some(term) => Check::Passed,
                Some((component, term)) => {
                    return Check::broken(
                        format!("the latch of {component} is held by {:?}", model.latch(component)),
                        format!("{at}: revision {} is written by {term:?}", revision.0),
                    );
                }
                None => {
                    return Check::broken(
                        format!("only a term of {} may write it", writers.join(" or ")),
                        format!("{at}: revision {} is unguarded: {change:?}", revision.0),
                    );
                }
            };
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, NoStaleWrite};

    fn two_terms() -> History<NoStaleWrite> {
        History::new()
            .holds(process(0, 1), committed(1, vec![latch(1)]))
            .holds(process(0, 1), guarded(2, Some(1), vec![record(1)]))
            .holds(process(0, 1), committed(3, vec![latch(2)]))
    }

    #[test]
    fn each_term_writing_while_it_holds_the_latch_is_accepted() {
        two_terms().holds(process(0, 1), guarded(4, Some(2), vec![record(2)]));
    }

    #[test]
    fn a_write_under_the_guard_of_an_older_term_is_refused() {
        two_terms().breaks(process(0, 1), guarded(4, Some(1), vec![record(1)]));
    }

    #[test]
    fn a_write_without_a_guard_is_refused() {
        two_terms().breaks(process(0, 1), committed(4, vec![record(2)]));
    }

    #[test]
    fn a_key_of_somebody_s_own_is_judged_too() {
        const KEYS: &[(&str, &str)] = &[("/own/tail", COMPONENT)];
        let write = |term| guarded(4, term, vec![put("/own/tail".to_string(), Vec::new())]);
        let history = || {
            History::of(NoStaleWrite::with_keys(KEYS))
                .holds(process(0, 1), committed(1, vec![latch(2)]))
        };
        assert_eq!(history().holds(process(0, 1), write(Some(2))).last(), &Check::Passed);
        history().breaks(process(0, 1), write(Some(1)));
        history().breaks(process(0, 1), write(None));
    }
}
