//! Values as people write them: `1500ms`, `2s..5s`, `5%`.

use crate::host::Draws;
use std::{fmt, time::Duration};

/// Parses `250us`, `1500ms`, `2s`, `1.5s`, `10m`, `2h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let nanos_per_unit: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().ok()?;
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u64 = fraction.parse().ok()?;
    let nanos = whole.checked_mul(nanos_per_unit)?;
    let part = u128::from(fraction) * u128::from(nanos_per_unit) / u128::from(scale);
    Some(Duration::from_nanos(nanos.checked_add(u64::try_from(part).ok()?)?))
}

/// Writes a duration so that [`parse_duration`] reads back the very same.
pub fn exact_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, name) = match nanos {
        1_000_000_000.. => (1_000_000_000, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1_000.. => (1_000, "us"),
        1.. => (1, "ns"),
        0 => return "0s".to_string(),
    };
    let digits = unit.to_string().len() - 1;
    let (whole, rest) = (nanos / unit, nanos % unit);
    match rest {
        0 => format!("{whole}{name}"),
        rest => format!("{whole}.{}{name}", format!("{rest:0digits$}").trim_end_matches('0')),
    }
}

/// Writes parts of a million as a percentage that reads back as the very same.
pub fn percent(per_million: i64) -> String {
    let sign = if per_million < 0 { "-" } else { "" };
    let (whole, rest) = (per_million.unsigned_abs() / 10_000, per_million.unsigned_abs() % 10_000);
    match rest {
        0 => format!("{sign}{whole}%"),
        rest => format!("{sign}{whole}.{}%", format!("{rest:04}").trim_end_matches('0')),
    }
}

fn write_range<T: Copy + PartialEq>(
    f: &mut fmt::Formatter<'_>,
    low: T,
    high: T,
    one: impl Fn(T) -> String,
) -> fmt::Result {
    f.write_str(&one(low))?;
    if low == high { Ok(()) } else { write!(f, "..{}", one(high)) }
}

fn parse_range<T: Copy + PartialOrd>(
    text: &str,
    one: impl Fn(&str) -> Option<T>,
) -> Option<(T, T)> {
    let (low, high) = match text.split_once("..") {
        Some((low, high)) => (one(low.trim())?, one(high.trim())?),
        None => (one(text)?, one(text)?),
    };
    (low <= high).then_some((low, high))
}

/// A duration, or the bounds between which one is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationRange {
    /// The least.
    pub low: Duration,
    /// The greatest.
    pub high: Duration,
}

impl DurationRange {
    /// Parses `2s` or `2s..5s`.
    pub fn parse(text: &str) -> Option<Self> {
        parse_range(text, parse_duration).map(|(low, high)| DurationRange { low, high })
    }

    /// No time.
    pub const ZERO: Self = DurationRange { low: Duration::ZERO, high: Duration::ZERO };

    /// Just this one.
    pub fn only(duration: Duration) -> Self {
        DurationRange { low: duration, high: duration }
    }

    /// Draws one.
    pub fn draw(self, draws: &mut Draws) -> Duration {
        draws.duration(self.low, self.high)
    }

    /// The one value of a drawn range.
    pub fn one(self) -> Duration {
        debug_assert_eq!(self.low, self.high, "it was drawn");
        self.low
    }
}

impl fmt::Display for DurationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, self.low, self.high, exact_duration)
    }
}

/// A duration forwards or backwards, in nanoseconds, or the bounds of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedDurationRange {
    /// The least.
    pub low: i64,
    /// The greatest.
    pub high: i64,
}

impl SignedDurationRange {
    /// Parses `5s`, `-5s` or `-5s..5s`.
    pub fn parse(text: &str) -> Option<Self> {
        let one = |text: &str| {
            let (sign, rest) = match text.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            Some(sign * i64::try_from(parse_duration(rest)?.as_nanos()).ok()?)
        };
        parse_range(text, one).map(|(low, high)| SignedDurationRange { low, high })
    }

    /// Just this one.
    pub fn only(nanos: i64) -> Self {
        SignedDurationRange { low: nanos, high: nanos }
    }

    /// Draws one, in nanoseconds.
    pub fn draw(self, draws: &mut Draws) -> i64 {
        draw_signed(draws, self.low, self.high)
    }
}

impl fmt::Display for SignedDurationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, self.low, self.high, |nanos| {
            let sign = if nanos < 0 { "-" } else { "" };
            format!("{sign}{}", exact_duration(Duration::from_nanos(nanos.unsigned_abs())))
        })
    }
}

fn draw_signed(draws: &mut Draws, low: i64, high: i64) -> i64 {
    low.wrapping_add_unsigned(draws.between(0, high.abs_diff(low)))
}

/// A share or a rate in parts of a million, or the bounds of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The least.
    pub low: i64,
    /// The greatest.
    pub high: i64,
}

impl Share {
    /// All.
    pub const ALWAYS: Share = Share { low: 1_000_000, high: 1_000_000 };

    /// Of a drawn share of the runs: all of it or nothing, as the run of a seed falls. What is decided is decided the same
    /// again, whatever draws from it.
    #[must_use]
    pub fn decided(self, seed: u64, what: &str) -> Self {
        let share = u32::try_from(self.low).unwrap_or(0);
        let falls = Draws::new(seed, what, [0, 0]).chance(share);
        if falls { Share::ALWAYS } else { Share::only(0) }
    }

    /// Parses `5%`, `-10%..10%`, `0.5%`.
    pub fn parse(text: &str) -> Option<Self> {
        let one = |text: &str| {
            let (sign, rest) = match text.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            let percent = rest.strip_suffix('%')?;
            let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
            if fraction.len() > 4 || !fraction.chars().all(|c| c.is_ascii_digit()) {
                return None;
            }
            let whole: i64 = whole.parse().ok().filter(|whole| (0..=100).contains(whole))?;
            let fraction: i64 = format!("{fraction:0<4}").parse().ok()?;
            let per_million = whole * 10_000 + fraction;
            (per_million <= 1_000_000).then_some(sign * per_million)
        };
        parse_range(text, one).map(|(low, high)| Share { low, high })
    }

    /// Just this one.
    pub fn only(per_million: i64) -> Self {
        Share { low: per_million, high: per_million }
    }

    /// Draws one.
    pub fn draw(self, draws: &mut Draws) -> i64 {
        draw_signed(draws, self.low, self.high)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, self.low, self.high, percent)
    }
}

/// A whole number, or the bounds of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRange {
    /// The least.
    pub low: u64,
    /// The greatest.
    pub high: u64,
}

impl NumberRange {
    /// Parses `3` or `3..8`.
    pub fn parse(text: &str) -> Option<Self> {
        parse_range(text, |text| text.parse().ok()).map(|(low, high)| NumberRange { low, high })
    }

    /// Just this one.
    pub fn only(number: u64) -> Self {
        NumberRange { low: number, high: number }
    }

    /// Draws one.
    pub fn draw(self, draws: &mut Draws) -> u64 {
        draws.between(self.low, self.high)
    }

    /// The one value of a drawn range, as far as it goes.
    pub fn one(self) -> u32 {
        debug_assert_eq!(self.low, self.high, "it was drawn");
        u32::try_from(self.low).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, self.low, self.high, |number| number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_is_no_more_than_all() {
        assert_eq!(Share::parse("100%"), Some(Share::ALWAYS));
        for beyond in ["100.5%", "-100.0001%", "101%", "1%..100.1%"] {
            assert_eq!(Share::parse(beyond), None, "{beyond}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos: u32, seconds in 0..100_000u64, share in -1_000_000..=1_000_000i64) {
            for duration in [Duration::from_nanos(nanos.into()), Duration::new(seconds, nanos % 1_000_000_000)] {
                prop_assert_eq!(parse_duration(&exact_duration(duration)), Some(duration));
                let backwards = SignedDurationRange::only(-i64::try_from(duration.as_nanos()).unwrap());
                prop_assert_eq!(SignedDurationRange::parse(&backwards.to_string()), Some(backwards));
            }
            prop_assert_eq!(Share::parse(&percent(share)), Some(Share::only(share)));
            let range = Share { low: share.min(0), high: share.max(1) };
            prop_assert_eq!(Share::parse(&range.to_string()), Some(range));
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        let ms = Duration::from_millis;
        for (text, duration) in [
            ("1500ms", ms(1500)),
            ("2s", ms(2000)),
            ("1.5s", ms(1500)),
            ("2m", ms(120_000)),
            ("2h", ms(7_200_000)),
        ] {
            assert_eq!(parse_duration(text), Some(duration), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5 s", "5d", "1..2", "99999999999999999999s", "9999999h"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_and_shares_read_as_people_write_them() {
        let range = DurationRange::parse("1s..2s").unwrap();
        assert_eq!((range.low, range.high), (Duration::from_secs(1), Duration::from_secs(2)));
        assert_eq!(DurationRange::parse("2s..1s"), None);
        assert_eq!(Share::parse("5%"), Some(Share { low: 50_000, high: 50_000 }));
        assert_eq!(Share::parse("-0.5%..10%"), Some(Share { low: -5_000, high: 100_000 }));
        assert_eq!(Share::parse("101%"), None);
        assert_eq!(Share::parse("0.00001%"), None);
        assert_eq!(
            SignedDurationRange::parse("-1ms..2us"),
            Some(SignedDurationRange { low: -1_000_000, high: 2_000 })
        );
        assert_eq!(NumberRange::parse("3..8"), Some(NumberRange { low: 3, high: 8 }));
    }
}
