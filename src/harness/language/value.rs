//! The values of keys: how each is written, drawn and shown.

use super::{
    units::{DurationRange, NumberRange, Share, SignedDurationRange},
    write::Writer,
};
use crate::host::Draws;
use std::time::Duration;

/// A value of a key.
pub trait KeyValue: Sized + Clone {
    /// What a seed draws from it: another type than a range, and the value itself where nothing is drawn.
    type Drawn: Clone;

    /// Draws it.
    fn draw(&self, draws: &mut Draws) -> Self::Drawn;

    /// The value from which nothing else than this is drawn.
    #[must_use]
    fn fixed(drawn: &Self::Drawn) -> Self;

    /// One end of a range, or all of it, as is drawn; a value that is no range stays.
    #[must_use]
    fn at_edge(&self, _: &mut Draws) -> Self {
        self.clone()
    }

    /// As a person reads it; `None` when it is absent.
    fn show(&self) -> Option<String>;

    /// Writes it under a key.
    fn write(&self, key: &str, writer: &mut Writer) {
        if let Some(text) = self.show() {
            writer.text(key, text);
        }
    }
}

macro_rules! ranges {
    ($($range:ident -> $drawn:ident),+) => {$(
        impl KeyValue for $range {
            type Drawn = $drawn;

            fn draw(&self, draws: &mut Draws) -> $drawn {
                (*self).draw(draws)
            }

            fn fixed(drawn: &$drawn) -> Self {
                $range::only(*drawn)
            }

            fn at_edge(&self, draws: &mut Draws) -> Self {
                end_of(draws, *self, $range::only(self.low), $range::only(self.high))
            }

            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

/// An end of a range in two of three draws.
fn end_of<T>(draws: &mut Draws, range: T, low: T, high: T) -> T {
    match draws.below(3) {
        0 => low,
        1 => high,
        _ => range,
    }
}

ranges!(Share -> i64, DurationRange -> Duration, SignedDurationRange -> i64);

/// The part of [`KeyValue`] of a value that is no range: it is what is drawn from it.
macro_rules! no_range {
    () => {
        type Drawn = Self;

        fn draw(&self, _: &mut $crate::host::Draws) -> Self {
            self.clone()
        }

        fn fixed(drawn: &Self) -> Self {
            drawn.clone()
        }
    };
}

pub(in crate::harness) use no_range;

impl KeyValue for NumberRange {
    type Drawn = u64;

    fn draw(&self, draws: &mut Draws) -> u64 {
        (*self).draw(draws)
    }

    fn fixed(drawn: &u64) -> Self {
        NumberRange::only(*drawn)
    }

    fn at_edge(&self, draws: &mut Draws) -> Self {
        end_of(draws, *self, NumberRange::only(self.low), NumberRange::only(self.high))
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn write(&self, key: &str, writer: &mut Writer) {
        // TOML's integers end at 2^63.
        match self.low == self.high && i64::try_from(self.low).is_ok() {
            true => writer.raw(key, self),
            false => writer.text(key, self),
        }
    }
}

impl KeyValue for String {
    no_range!();

    fn show(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl KeyValue for Vec<String> {
    no_range!();

    fn show(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.join(", "))
    }

    fn write(&self, key: &str, writer: &mut Writer) {
        if !self.is_empty() {
            let lines = self.iter().map(|word| format!("  \"{word}\",\n")).collect::<String>();
            writer.raw(key, format!("[\n{lines}]"));
        }
    }
}

impl<T: KeyValue> KeyValue for Option<T> {
    type Drawn = Option<T::Drawn>;

    fn draw(&self, draws: &mut Draws) -> Option<T::Drawn> {
        self.as_ref().map(|term| term.draw(draws))
    }

    fn fixed(drawn: &Option<T::Drawn>) -> Self {
        drawn.as_ref().map(T::fixed)
    }

    fn at_edge(&self, draws: &mut Draws) -> Self {
        self.as_ref().map(|term| term.at_edge(draws))
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(KeyValue::show)
    }

    fn write(&self, key: &str, writer: &mut Writer) {
        if let Some(term) = self {
            term.write(key, writer);
        }
    }
}
