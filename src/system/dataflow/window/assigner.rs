//! Which windows a record belongs to.

use super::super::time::{Timestamp, millis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A span of event time, from its start up to its end, which is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first instant in it.
    pub start: Timestamp,
    /// The first instant behind it.
    pub end: Timestamp,
}

impl Window {
    /// The last instant in it.
    pub fn max_timestamp(self) -> Timestamp {
        Timestamp(self.end.0.saturating_sub(1))
    }

    /// Whether they overlap, or one begins where the other ends.
    pub(super) fn touches(self, other: Window) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The least one that holds both.
    pub(super) fn cover(self, other: Window) -> Window {
        Window { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Which windows a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAssigner {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of so many milliseconds each, beginning so many apart.
    Sliding {
        size: i64,
        slide: i64,
    },
    Session {
        gap: i64,
    },
}

/// As whole milliseconds.
fn positive(duration: Duration) -> i64 {
    let millis = millis(duration);
    assert!(millis > 0, "a window of {duration:?}: it takes a millisecond at least");
    millis
}

impl WindowAssigner {
    /// Windows of one size, one after the other, aligned to the epoch.
    ///
    /// # Panics
    /// When it is less than a millisecond.
    pub fn tumbling(size: Duration) -> Self {
        WindowAssigner::sliding(size, size)
    }

    /// Windows of one size, of which one begins every `slide`, aligned to the epoch. A record belongs to several when
    /// they overlap, and to none when it falls between two.
    ///
    /// # Panics
    /// When one of them is less than a millisecond.
    pub fn sliding(size: Duration, slide: Duration) -> Self {
        WindowAssigner { kind: Kind::Sliding { size: positive(size), slide: positive(slide) } }
    }

    /// A window for as long as records of the key come no further apart than the gap; it ends a gap behind the last. One
    /// that comes just a gap behind belongs to it while it is kept.
    ///
    /// # Panics
    /// When it is less than a millisecond.
    pub fn session(gap: Duration) -> Self {
        WindowAssigner { kind: Kind::Session { gap: positive(gap) } }
    }

    /// Whether windows that touch become one.
    pub(super) fn merges(self) -> bool {
        matches!(self.kind, Kind::Session { .. })
    }

    /// The windows of a record of that time, the latest first.
    pub(super) fn assign(self, time: Timestamp) -> impl Iterator<Item = Window> {
        let (last, size, slide) = match self.kind {
            Kind::Sliding { size, slide } => {
                (time.0.saturating_sub(time.0.rem_euclid(slide)), size, slide)
            }
            Kind::Session { gap } => (time.0, gap, gap),
        };
        let window = move |start: i64| Window {
            start: Timestamp(start),
            end: Timestamp(start.saturating_add(size)),
        };
        let starts = std::iter::successors(Some(last), move |start| start.checked_sub(slide));
        starts.map(window).take_while(move |window| window.end > time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(assigner: WindowAssigner, time: i64) -> Vec<(i64, i64)> {
        assigner.assign(Timestamp(time)).map(|window| (window.start.0, window.end.0)).collect()
    }

    #[test]
    fn a_record_is_in_the_windows_around_it() {
        let ms = Duration::from_millis;
        assert_eq!(windows(WindowAssigner::tumbling(ms(10)), 19), [(10, 20)]);
        assert_eq!(windows(WindowAssigner::tumbling(ms(10)), 20), [(20, 30)]);
        assert_eq!(windows(WindowAssigner::tumbling(ms(10)), -1), [(-10, 0)], "before the epoch");
        let sliding = WindowAssigner::sliding(ms(10), ms(4));
        assert_eq!(windows(sliding, 9), [(8, 18), (4, 14), (0, 10)]);
        assert_eq!(windows(sliding, 11), [(8, 18), (4, 14)]);
        let apart = WindowAssigner::sliding(ms(2), ms(5));
        assert_eq!((windows(apart, 6), windows(apart, 8)), (vec![(5, 7)], vec![]));
        assert_eq!(windows(WindowAssigner::session(ms(7)), 5), [(5, 12)]);
    }

    #[test]
    fn windows_that_touch_are_known() {
        let window = |start, end| Window { start: Timestamp(start), end: Timestamp(end) };
        assert!(window(0, 5).touches(window(5, 9)) && window(5, 9).touches(window(0, 5)));
        assert!(window(0, 9).touches(window(3, 4)) && !window(0, 5).touches(window(6, 9)));
        assert_eq!(window(3, 5).cover(window(1, 4)), window(1, 5));
        assert_eq!(window(1, 4).max_timestamp(), Timestamp(3));
    }
}
