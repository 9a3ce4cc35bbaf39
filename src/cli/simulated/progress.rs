//! How far a command has come, on standard error: a bar on a terminal, else a line now and then.

use super::{print, run::wall_clock};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// How often the bar changes.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The length of the bar.
const WHOLE: u64 = 1000;

/// What is shown while a command works.
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    shown: Instant,
}

impl Progress {
    /// Begins.
    pub fn start() -> Self {
        let bar = ProgressBar::with_draw_target(Some(WHOLE), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_bar} {msg}");
        bar.set_style(style.expect("a well-formed template"));
        Progress { bar, began: wall_clock(), shown: wall_clock() }
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Shows that this share of the whole is done, in these words, and the time that is left; not
    /// more often than a person can read.
    pub fn show(&mut self, share: f64, words: impl FnOnce() -> String) {
        let every = if self.bar.is_hidden() { LINE_EVERY } else { BAR_EVERY };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = wall_clock();
        let text = match time_left(share, self.elapsed()) {
            Some(left) => format!("{}, {} left", words(), clock(left)),
            None => words(),
        };
        if self.bar.is_hidden() {
            print::note(&format!("wavetank: {text}"));
        } else {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
            self.bar.set_position((share.clamp(0.0, 1.0) * WHOLE as f64) as u64);
            self.bar.set_message(text);
        }
    }

    /// Lets something be written while the bar is out of the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Ends; the bar is gone. Returns how long it took.
    pub fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.began.elapsed()
    }
}

fn time_left(share: f64, elapsed: Duration) -> Option<Duration> {
    let left = elapsed.as_secs_f64() * (1.0 - share) / share;
    Duration::try_from_secs_f64(left).ok().filter(|_| share > 0.0)
}

/// A duration as `8s`, `1m12s` or `2h05m`.
pub fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_what_is_done() {
        let seconds = Duration::from_secs;
        assert_eq!(time_left(0.25, seconds(10)), Some(seconds(30)));
        assert_eq!(time_left(1.0, seconds(10)), Some(seconds(0)));
        assert_eq!(time_left(0.0, seconds(10)), None);
        assert_eq!(time_left(0.0, seconds(0)), None);
        assert_eq!([8, 72, 7500].map(|s| clock(seconds(s))), ["8s", "1m12s", "2h05m"]);
    }
}
