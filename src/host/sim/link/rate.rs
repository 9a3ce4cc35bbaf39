//! A byte rate on links: on each of them frames leave one after the other.

use crate::host::sim::clock::Nanos;
use std::collections::BTreeMap;

const SECOND: u128 = 1_000_000_000;

/// No frame takes longer to leave, however slow the link: 36 years.
const TAKES_MAX: Nanos = 1 << 60;

/// When each directed link will have sent what waits on it.
#[derive(Default)]
pub(super) struct Lines {
    free_at: BTreeMap<u64, Nanos>,
}

impl Lines {
    /// When a frame that comes at `at` has left; `None` when it finds no room behind the others.
    ///
    /// A frame waits for `window / rate` at most before its own first byte leaves.
    pub fn pass(
        &mut self,
        link: u64,
        at: Nanos,
        bytes: u64,
        bytes_per_second: u64,
        window: u64,
    ) -> Option<Nanos> {
        let rate = u128::from(bytes_per_second.max(1));
        let begins = self.free_at.get(&link).map_or(at, |free_at| at.max(*free_at));
        let waiting = (u128::from(begins - at) * rate).div_ceil(SECOND);
        if waiting > 0 && waiting + u128::from(bytes) > u128::from(window) {
            return None;
        }
        let takes = (u128::from(bytes) * SECOND).div_ceil(rate);
        let takes = Nanos::try_from(takes).map_or(TAKES_MAX, |takes| takes.min(TAKES_MAX));
        // A link that is busy for longer than any run has no room for another.
        let left = begins.checked_add(takes).filter(|left| *left <= 4 * TAKES_MAX)?;
        self.free_at.insert(link, left);
        Some(left)
    }
}
