//! What a person types and reads.

use std::{
    io::Write,
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

/// Tells a person what happens, each line with the time since the command began.
pub struct Narrator {
    began: Instant,
}

impl Narrator {
    #[expect(clippy::disallowed_methods, reason = "how long a person waited is no part of a run")]
    pub fn new() -> Self {
        Narrator { began: Instant::now() }
    }

    /// The time since the command began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// One line, with the time.
    pub fn say(&self, line: &str) {
        say(&format!("{:>6.1} s  {line}", self.elapsed().as_secs_f64()));
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
