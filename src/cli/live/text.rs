//! What a person types and reads.

use std::{
    cell::Cell,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// Reads a time such as `20ms`, `1.5s` or `2min`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time such as 20ms, 1.5s or 2min, found {text:?}");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        _ => return Err(expected()),
    };
    let number: f64 = number.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| expected())
}

/// Reads a number of bytes such as `4096`, `64KiB`, `64MiB` or `1GiB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let expected =
        || format!("expected a number of bytes such as 4096, 64MiB or 1GiB, found {text:?}");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(unit).ok_or_else(expected)
}

/// From a line of progress to the next, on a terminal and elsewhere.
const TERMINAL_PERIOD: Duration = Duration::from_millis(200);
const PLAIN_PERIOD: Duration = Duration::from_secs(1);
/// Takes the line away on which the cursor is.
const CLEAR: &str = "\r\x1b[K";

/// Tells a person what happens, each line with the time since the command began. On a terminal
/// progress is one line that is rewritten.
pub struct Narrator {
    began: Instant,
    terminal: bool,
    /// A line of progress stands on the terminal.
    shown: Cell<bool>,
    progress_due: Cell<Duration>,
}

impl Narrator {
    #[expect(clippy::disallowed_methods, reason = "how long a person waited is no part of a run")]
    pub fn new() -> Self {
        let (began, terminal) = (Instant::now(), std::io::stdout().is_terminal());
        let (shown, progress_due) = (Cell::new(false), Cell::new(PLAIN_PERIOD));
        Narrator { began, terminal, shown, progress_due }
    }

    /// The time since the command began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn timed(&self, line: &str) -> String {
        format!("{:>6.1} s  {line}", self.elapsed().as_secs_f64())
    }

    /// One line, with the time.
    pub fn say(&self, line: &str) {
        self.clear();
        say(&self.timed(line));
    }

    /// How far things are; most calls say nothing, so that there may be many.
    pub fn progress(&self, line: &str) {
        let now = self.elapsed();
        if now < self.progress_due.get() {
            return;
        }
        if !self.terminal {
            self.progress_due.set(now + PLAIN_PERIOD);
            return self.say(line);
        }
        self.progress_due.set(now + TERMINAL_PERIOD);
        self.shown.set(true);
        let mut out = std::io::stdout();
        let _ = write!(out, "{CLEAR}{}", self.timed(line)).and_then(|()| out.flush());
    }

    /// Takes the line of progress away, if one stands.
    pub fn clear(&self) {
        if self.shown.take() {
            let _ = write!(std::io::stdout(), "{CLEAR}");
        }
    }
}

/// One line on standard output.
pub fn say(line: &str) {
    // Whoever read it may have gone; the exit code still counts.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One line on standard error.
pub fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "wavetank: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_units() {
        assert_eq!(parse_duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2min"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("700us"), Ok(Duration::from_micros(700)));
    }

    #[test]
    fn a_wrong_time_is_refused_with_what_was_expected() {
        for text in ["", "20", "ms", "-1s", "1h", "NaNs", "1e30s"] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains("20ms"), "{error}");
        }
    }
}
