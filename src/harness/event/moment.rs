//! When and where something happened.

use crate::host::sim::{EntryNumber, NodeId, Stamp};
use std::{fmt, time::Duration};

/// When and where an event was announced, for the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Simulated time since the run began.
    pub time: Duration,
    /// The process: node and incarnation.
    pub process: (NodeId, u64),
    /// Its entry in the trace; `None` where nothing was announced.
    pub entry: Option<EntryNumber>,
}

impl Moment {
    /// A moment at which nothing was announced.
    pub fn new(time: Duration, process: (NodeId, u64)) -> Self {
        Moment { time, process, entry: None }
    }
}

impl From<Stamp> for Moment {
    fn from(stamp: Stamp) -> Self {
        let Stamp { time, node, incarnation, entry, .. } = stamp;
        Moment { time, process: (node, incarnation), entry }
    }
}

/// Between these stands the number of an entry in a text that is not shown to anybody yet.
const MARKS: [char; 2] = ['\u{1}', '\u{2}'];

/// When and where, and unseen the entry, so that who is given a text with an event in it can look that up:
/// `without_entries` takes it out.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s {:?}/{}", self.time.as_secs_f64(), self.process.0, self.process.1)?;
        let [begins, ends] = MARKS;
        self.entry.map_or(Ok(()), |entry| write!(f, "{begins}{}{ends}", entry.get()))
    }
}

/// A text as people read it, and the entry of the first event in it that has one.
pub(in crate::harness) fn without_entries(text: &str) -> (String, Option<EntryNumber>) {
    let mut entry = None;
    let mut pieces = text.split(MARKS[0]);
    let mut shown = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let (number, rest) = piece.split_once(MARKS[1]).unwrap_or(("", piece));
        entry = entry.or_else(|| number.parse().ok().and_then(EntryNumber::new));
        shown += rest;
    }
    (shown, entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_carries_the_entry_of_its_event_unseen() {
        let mut at = Moment::new(Duration::from_millis(1500), (NodeId::for_tests(3), 2));
        let bare = format!("{at}: slot 1 is freed");
        assert_eq!(without_entries(&bare), (bare.clone(), None));
        at.entry = EntryNumber::new(77);
        let later = Moment { entry: EntryNumber::new(99), ..at };
        let (shown, entry) = without_entries(&format!("{at}: slot 1 is freed, and at {later}"));
        assert_eq!(shown, format!("{bare}, and at {}", bare.split_once(": ").expect("has it").0));
        assert_eq!(entry, EntryNumber::new(77));
        assert_eq!(without_entries("cut \u{1}12"), ("cut 12".to_string(), None));
    }
}
