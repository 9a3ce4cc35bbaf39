//! The journal's oracle: every acknowledged line stands exactly once, in each client's order, and
//! nothing else does. What stands is judged on the coordination server's synced log.

use super::{
    super::{ENTRY_PREFIX, Entry, JournalEvent, entry_key},
    Model,
};
use std::{collections::BTreeMap, sync::Arc};
use wavetank::{
    harness::{
        check::{Check, Invariant},
        event::{EventKind, Moment, event_as},
    },
    host::Event,
    system::service::coordination::{Change, CoordinationEvent},
};

/// Knows what each client sends and follows what stands.
pub struct JournalExact {
    /// The lines of client 1, 2, …
    lines: Vec<Arc<Vec<String>>>,
    entries: u64,
    standing: BTreeMap<u32, u64>,
}

impl JournalExact {
    /// An oracle for clients that send these lines.
    pub fn new(lines: Vec<Arc<Vec<String>>>) -> Self {
        JournalExact { lines, entries: 0, standing: BTreeMap::new() }
    }

    fn sent(&self, client: u32, sequence: u64) -> Option<&str> {
        let lines = self.lines.get(usize::try_from(client).ok()?.checked_sub(1)?)?;
        lines.get(usize::try_from(sequence).ok()?.checked_sub(1)?).map(String::as_str)
    }

    fn judge_entry(&mut self, at: Moment, key: &str, value: &[u8]) -> Check {
        let expected = entry_key(self.entries);
        if key != expected {
            return Check::broken(
                format!("{expected} comes next"),
                format!("{at}: {key} is written"),
            );
        }
        let Ok(entry) = postcard::from_bytes::<Entry>(value) else {
            return Check::broken("an entry can be read", format!("{at}: {key} cannot"));
        };
        let standing = self.standing.get(&entry.client).copied().unwrap_or(0);
        if entry.sequence != standing + 1 {
            return Check::broken(
                format!("line {} of client {} comes next", standing + 1, entry.client),
                format!("{at}: {key} holds its line {}", entry.sequence),
            );
        }
        match self.sent(entry.client, entry.sequence) {
            Some(line) if line == entry.line => {}
            sent => {
                return Check::broken(
                    format!("line {} of client {} is {sent:?}", entry.sequence, entry.client),
                    format!("{at}: {key} holds {:?}", entry.line),
                );
            }
        }
        self.entries += 1;
        self.standing.insert(entry.client, entry.sequence);
        Check::Passed
    }

    fn on_coordination(&mut self, at: Moment, event: &CoordinationEvent) -> Check {
        match event {
            CoordinationEvent::Recovered { keys, .. } => {
                // Entries that were synced but not announced before a crash show only here.
                let known = entry_key(self.entries);
                let more = keys
                    .iter()
                    .filter(|(key, _, _)| key.starts_with(ENTRY_PREFIX) && *key >= known);
                more.fold(Check::Ignored, |check, (key, value, _)| {
                    check.and(self.judge_entry(at, key, value))
                })
            }
            CoordinationEvent::Committed { changes, .. } => {
                changes.iter().fold(Check::Ignored, |check, change| {
                    check.and(match change {
                        Change::Put { key, value, .. } if key.starts_with(ENTRY_PREFIX) => {
                            self.judge_entry(at, key, value)
                        }
                        Change::Delete { key } if key.starts_with(ENTRY_PREFIX) => {
                            Check::broken("entries stay", format!("{at}: {key} is removed"))
                        }
                        _ => Check::Ignored,
                    })
                })
            }
            _ => Check::Ignored,
        }
    }

    fn on_journal(&self, at: Moment, event: &JournalEvent) -> Check {
        let JournalEvent::Acknowledged { client, through } = event else { return Check::Ignored };
        let standing = self.standing.get(client).copied().unwrap_or(0);
        Check::that(*through <= standing, || {
            let before = format!("{standing} lines of client {client} stand");
            (before, format!("{at}: {through} are acknowledged"))
        })
    }
}

impl Invariant<Model> for JournalExact {
    fn title(&self) -> &'static str {
        "journal-exact"
    }

    fn promise(&self) -> &'static str {
        "every acknowledged line stands exactly once, in each client's order, and nothing else does"
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        vec![EventKind::of::<CoordinationEvent>(), EventKind::of::<JournalEvent>()]
    }

    fn observe(&mut self, at: Moment, event: &dyn Event, _: &Model) -> Check {
        match (event_as(event), event_as(event)) {
            (Some(event), _) => self.on_coordination(at, event),
            (_, Some(event)) => self.on_journal(at, event),
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank::{
        harness::check::{History, process},
        system::service::coordination::Revision,
    };

    fn committed(revision: u64, changes: Vec<Change>) -> CoordinationEvent {
        let conditions = Vec::new();
        CoordinationEvent::Committed { revision: Revision(revision), conditions, changes }
    }

    fn put(key: String, value: Vec<u8>) -> Change {
        Change::Put { key, value, lease: None }
    }

    fn oracle() -> History<JournalExact, Model> {
        let lines = |text: &str| Arc::new(text.lines().map(String::from).collect::<Vec<_>>());
        History::of(JournalExact::new(vec![lines("a\nb\nc"), lines("x\ny")]))
    }

    fn entry(position: u64, client: u32, sequence: u64, line: &str) -> Change {
        let entry = Entry { client, sequence, line: line.to_string() };
        put(entry_key(position), postcard::to_allocvec(&entry).unwrap())
    }

    fn standing() -> History<JournalExact, Model> {
        let first = vec![entry(0, 1, 1, "a"), entry(1, 2, 1, "x")];
        oracle()
            .holds(process(0, 1), committed(1, first))
            .holds(process(0, 1), committed(2, vec![entry(2, 1, 2, "b")]))
    }

    fn acknowledged(client: u32, through: u64) -> JournalEvent {
        JournalEvent::Acknowledged { client, through }
    }

    #[test]
    fn lines_in_each_client_s_order_are_accepted() {
        standing()
            .holds(process(5, 1), acknowledged(1, 2))
            .holds(process(0, 1), committed(3, vec![entry(3, 2, 2, "y")]));
    }

    #[test]
    fn a_gap_a_repeat_a_changed_line_and_an_overwrite_are_refused() {
        standing().breaks(process(0, 1), committed(3, vec![entry(4, 1, 3, "c")]));
        standing().breaks(process(0, 1), committed(3, vec![entry(3, 1, 2, "b")]));
        standing().breaks(process(0, 1), committed(3, vec![entry(3, 1, 3, "d")]));
        standing().breaks(process(0, 1), committed(3, vec![entry(2, 1, 2, "b")]));
        standing().breaks(process(0, 1), committed(3, vec![Change::Delete { key: entry_key(0) }]));
        standing().breaks(process(0, 1), committed(3, vec![entry(3, 3, 1, "?")]));
    }

    #[test]
    fn an_acknowledged_line_that_does_not_stand_is_refused() {
        standing().breaks(process(5, 1), acknowledged(1, 3));
        standing().breaks(process(5, 1), acknowledged(2, 2));
    }
}
