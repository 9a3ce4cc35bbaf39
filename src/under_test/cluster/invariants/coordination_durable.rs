//! What the coordination server acknowledged stands after every recovery. Judged on its synced log.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::service::coordination::{Change, CoordinationEvent, Revision},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Replays the log that was announced.
#[derive(Default)]
pub struct CoordinationDurable {
    revision: u64,
    keys: BTreeMap<String, (Vec<u8>, u64)>,
}

impl ClusterInvariant for CoordinationDurable {
    fn title(&self) -> &'static str {
        "coordination-durable"
    }

    fn promise(&self) -> &'static str {
        "every write that the coordination server announced is there after a recovery"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Coordination(CoordinationEvent::Committed { revision, changes, .. }) => {
                for change in changes {
                    match change {
                        Change::Put { key, value, .. } => {
                            self.keys.insert(key.clone(), (value.clone(), revision.0))
                        }
                        Change::Delete { key } => self.keys.remove(key),
                    };
                }
                self.move_to(at, revision.0)
            }
            EventRef::Coordination(CoordinationEvent::LeaseEnded { revision, removed, .. }) => {
                for key in removed {
                    self.keys.remove(key);
                }
                self.move_to(at, revision.0)
            }
            EventRef::Coordination(CoordinationEvent::Recovered { revision, keys }) => {
                self.check(at, revision.0, keys)
            }
            _ => Check::Ignored,
        }
    }
}

impl CoordinationDurable {
    fn move_to(&mut self, at: Moment, revision: u64) -> Check {
        let before = std::mem::replace(&mut self.revision, revision);
        match before < revision {
            true => Check::Passed,
            false => Check::broken(
                format!("revision {before} was written"),
                format!("{at}: revision {revision} is written"),
            ),
        }
    }

    /// What was announced must be there; what was synced but not yet announced may be.
    fn check(&mut self, at: Moment, revision: u64, found: &[(String, Vec<u8>, Revision)]) -> Check {
        let announced = self.revision;
        if revision < announced {
            return Check::broken(
                format!("revision {announced} was announced"),
                format!("{at}: recovered revision {revision}"),
            );
        }
        let found: BTreeMap<String, (Vec<u8>, u64)> = found
            .iter()
            .map(|(key, value, modified)| (key.clone(), (value.clone(), modified.0)))
            .collect();
        let unchanged = |(_, modified): &(Vec<u8>, u64)| *modified <= announced;
        for (key, (value, modified)) in &self.keys {
            let kept = found.get(key);
            // A key may be gone by a removal that was synced but not announced.
            if kept.is_none() && revision > announced || kept.is_some_and(|kept| !unchanged(kept)) {
                continue;
            }
            if kept != Some(&(value.clone(), *modified)) {
                return Check::broken(
                    format!("revision {modified} wrote {key}"),
                    format!("{at}: recovered {key} as of {:?}", kept.map(|(_, modified)| modified)),
                );
            }
        }
        let unknown =
            found.iter().find(|(key, kept)| unchanged(kept) && !self.keys.contains_key(*key));
        let resurrected = unknown.map(|(key, (_, modified))| (key.clone(), *modified));
        (self.revision, self.keys) = (revision, found);
        match resurrected {
            None => Check::Passed,
            Some((key, modified)) => Check::broken(
                format!("{key} was removed by revision {announced} at the latest"),
                format!("{at}: recovered it as of revision {modified}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, CoordinationDurable};

    fn recovered(revision: u64, keys: &[(&str, u8, u64)]) -> CoordinationEvent {
        let key = |(key, value, modified): &(&str, u8, u64)| {
            (key.to_string(), vec![*value], Revision(*modified))
        };
        CoordinationEvent::Recovered {
            revision: Revision(revision),
            keys: keys.iter().map(key).collect(),
        }
    }

    fn written() -> History<CoordinationDurable> {
        History::new()
            .holds(process(0, 1), recovered(0, &[]))
            .holds(
                process(0, 1),
                committed(1, vec![put("a".into(), vec![1]), put("b".into(), vec![1])]),
            )
            .holds(process(0, 1), committed(2, vec![Change::Delete { key: "b".into() }]))
    }

    #[test]
    fn all_that_was_announced_and_perhaps_more_is_accepted() {
        written().holds(process(0, 2), recovered(2, &[("a", 1, 1)]));
        written().holds(process(0, 2), recovered(4, &[("a", 9, 3), ("c", 1, 4)]));
        written().holds(process(0, 2), recovered(3, &[]));
    }

    #[test]
    fn a_lost_changed_or_resurrected_key_is_refused() {
        written().breaks(process(0, 2), recovered(1, &[("a", 1, 1), ("b", 1, 1)]));
        written().breaks(process(0, 2), recovered(2, &[]));
        written().breaks(process(0, 2), recovered(2, &[("a", 7, 1)]));
        written().breaks(process(0, 2), recovered(2, &[("a", 1, 1), ("b", 1, 1)]));
    }

    #[test]
    fn a_revision_written_twice_is_refused() {
        written().breaks(process(0, 1), committed(2, vec![]));
    }
}
