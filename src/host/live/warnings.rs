//! Warnings that a stranger can cause as often as he likes: of each kind one line in a while.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};
use tokio::time::Instant;

/// From line to line of one kind.
const PERIOD: Duration = Duration::from_secs(10);

/// What was told and what was held back.
#[derive(Default)]
pub(super) struct Warnings {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
}

struct Kind {
    told: Instant,
    held_back: u64,
}

impl Warnings {
    /// Whether a line of this kind is due now, and how many were held back since the last.
    pub fn due(&self, kind: &'static str) -> Option<u64> {
        self.due_at(kind, Instant::now())
    }

    fn due_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().expect("nothing panics here");
        match kinds.get_mut(kind) {
            Some(known) if now < known.told + PERIOD => {
                known.held_back += 1;
                None
            }
            known => {
                let held_back = known.map_or(0, |known| known.held_back);
                kinds.insert(kind, Kind { told: now, held_back: 0 });
                Some(held_back)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_a_line_a_period_tells_how_many_were_held_back() {
        let (warnings, start) = (Warnings::default(), Instant::now());
        assert_eq!(warnings.due_at("a", start), Some(0));
        assert_eq!(warnings.due_at("b", start), Some(0));
        for _ in 0..3 {
            assert_eq!(warnings.due_at("a", start + PERIOD / 2), None);
        }
        assert_eq!(warnings.due_at("a", start + PERIOD), Some(3));
        assert_eq!(warnings.due_at("a", start + PERIOD), None);
        assert_eq!(warnings.due_at("a", start + 2 * PERIOD), Some(1));
    }
}
