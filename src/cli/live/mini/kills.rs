//! Which process is killed when, and how fast the text is read so that the job outlasts that.

use super::watch::Seen;
use crate::host::{Draws, Instant};
use std::time::Duration;

/// From when the job runs again to the next kill.
const DELAY_MIN: Duration = Duration::from_millis(500);
const DELAY_MAX: Duration = Duration::from_millis(2500);
/// The text lasts so much longer than the kills need.
const MARGIN: Duration = Duration::from_secs(1);
/// A paced source takes about a step in this time.
const STEP: Duration = Duration::from_millis(100);
/// Looks at the job after a kill that may still show what was before it.
const STALE_LOOKS: u64 = 2;

/// Kills drawn from a seed. Each waits until the job has been seen running since the last.
pub struct Kills {
    draws: Draws,
    wanted: u32,
    done: u32,
    /// The look at the job from which on it counts.
    look: u64,
    due: Option<Instant>,
}

impl Kills {
    /// So many kills.
    pub fn new(wanted: u32, seed: u64) -> Self {
        let draws = Draws::new(seed, "kills", [0, 0]);
        Kills { draws, wanted, done: 0, look: 0, due: None }
    }

    /// Kills so far, and those that were wanted.
    pub fn counts(&self) -> (u32, u32) {
        (self.done, self.wanted)
    }

    /// Whether somebody is to be killed now.
    pub fn is_due(&mut self, seen: &Seen, now: Instant) -> bool {
        if self.done >= self.wanted {
            return false;
        }
        if self.due.is_none() && seen.is_running() && seen.looks >= self.look {
            self.due = Some(now + self.draws.duration(DELAY_MIN, DELAY_MAX));
        }
        self.due.is_some_and(|due| due <= now)
    }

    /// Whom of so many.
    pub fn pick(&mut self, candidates: usize) -> usize {
        usize::try_from(self.draws.below(candidates as u64)).unwrap_or(0)
    }

    /// Notes that the kill that was due is done.
    pub fn strike(&mut self, seen: &Seen) {
        self.done += 1;
        (self.due, self.look) = (None, seen.looks + STALE_LOOKS);
    }
}

/// How fast each source reads, or each partition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Lines in one step at most.
    pub lines: u32,
    /// From step to step.
    pub pause: Duration,
}

impl Pace {
    /// As fast as it goes; with kills so slowly that as many lines in each source outlast them.
    pub fn new(kills: u32, lines: usize) -> Pace {
        if kills == 0 {
            return Pace { lines: 256, pause: Duration::ZERO };
        }
        let time = DELAY_MAX * kills + MARGIN;
        let lines = u32::try_from(lines.max(1)).unwrap_or(u32::MAX);
        let steps = u32::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(u32::MAX);
        let each = (lines / steps).max(1);
        Pace { lines: each, pause: time / lines.div_ceil(each) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_outlasts_its_kills_whatever_its_length() {
        assert_eq!(Pace::new(0, 10).pause, Duration::ZERO);
        for (kills, lines) in [(1, 0), (1, 1), (5, 70), (5, 5_000), (100, 1_000_000)] {
            let Pace { lines: each, pause } = Pace::new(kills, lines);
            let steps = u32::try_from(lines).expect("few").div_ceil(each).max(1);
            let needed = DELAY_MAX * kills;
            assert!(pause * steps >= needed, "{kills} kills, {lines} lines: {pause:?} × {steps}");
            assert!(pause * steps <= needed + 2 * MARGIN);
        }
    }
}
