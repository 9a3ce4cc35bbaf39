//! When processes are killed, and how fast lines are sent so that some are still on their way.

use std::{collections::VecDeque, ops::Range, time::Duration};

/// Between two kills the client makes about so many calls, and they take at least so long.
const CALLS_BETWEEN: u64 = 10;
const TIME_BETWEEN: Duration = Duration::from_millis(400);

/// The lines at which a kind of process is to be killed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strikes {
    due: VecDeque<u64>,
    /// Kills so far.
    pub done: u32,
}

impl Strikes {
    /// The leader: `count` kills that cut the lines still to be sent into equal parts.
    pub fn of_leaders(count: u32, lines: Range<u64>) -> Self {
        Strikes::spread(count, lines, 2)
    }

    /// The coordination server: half a part earlier, so that each can be told from the other.
    pub fn of_coordination(count: u32, lines: Range<u64>) -> Self {
        Strikes::spread(count, lines, 1)
    }

    /// Kills at odd or even halves of the parts.
    fn spread(count: u32, lines: Range<u64>, first_half: u64) -> Self {
        let halves = 2 * (u64::from(count) + 1);
        let length = lines.end.saturating_sub(lines.start);
        let at = |kill| lines.start + length * (2 * kill + first_half) / halves;
        Strikes { due: (0..u64::from(count)).map(at).collect(), done: 0 }
    }

    /// Whether a kill is due when so many lines stand.
    pub fn is_due(&self, lines: u64) -> bool {
        self.due.front().is_some_and(|at| *at <= lines)
    }

    /// Notes that the kill that was due is done.
    pub fn strike(&mut self) {
        self.due.pop_front();
        self.done += 1;
    }

    /// Kills that are still to come.
    pub fn left(&self) -> usize {
        self.due.len()
    }
}

/// How fast a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Lines sent in one call.
    pub batch: u64,
    /// The wait after each call.
    pub pause: Duration,
}

impl Pace {
    /// The pace asked for, or a slower one when the lines would all be sent before the last kill.
    pub fn with_kills(self, kills: u32, lines: u64) -> Pace {
        if kills == 0 {
            return self;
        }
        let part = (lines / (u64::from(kills) + 1)).max(1);
        let batch = self.batch.min((part / CALLS_BETWEEN).max(1));
        let calls = u32::try_from(part.div_ceil(batch)).unwrap_or(u32::MAX);
        Pace { batch, pause: self.pause.max(TIME_BETWEEN / calls) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { batch: 50, pause: Duration::from_millis(20) };

    #[test]
    fn kills_cut_the_lines_into_equal_parts_and_never_coincide() {
        assert_eq!(Strikes::of_leaders(3, 0..5000).due, [1250, 2500, 3750]);
        assert_eq!(Strikes::of_coordination(3, 0..5000).due, [625, 1875, 3125]);
        assert_eq!(Strikes::of_leaders(1, 100..300).due, [200]);
        assert!(Strikes::of_leaders(0, 0..300).due.is_empty());
    }

    #[test]
    fn a_kill_is_due_once_its_line_stands() {
        let mut strikes = Strikes::of_leaders(1, 0..10);
        assert!(!strikes.is_due(4) && strikes.is_due(5));
        strikes.strike();
        assert!(!strikes.is_due(10));
        assert_eq!((strikes.done, strikes.left()), (1, 0));
    }

    #[test]
    fn a_long_file_is_sent_as_asked_and_a_short_one_slower() {
        assert_eq!(PACE.with_kills(3, 5000), PACE);
        assert_eq!(PACE.with_kills(0, 6), PACE);
        let slow = Pace { batch: 15, pause: Duration::from_millis(40) };
        assert_eq!(PACE.with_kills(1, 300), slow);
        let slowest = Pace { batch: 1, pause: TIME_BETWEEN };
        assert_eq!(PACE.with_kills(5, 6), slowest);
    }
}
