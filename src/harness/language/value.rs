//! The values of keys: how each is written, drawn and shown.

use super::{
    units::{DurationRange, NumberRange, Share, SignedDurationRange},
    write::Writer,
};
use crate::host::Draws;

/// A value of a key.
pub trait KeyValue: Sized + Clone {
    /// Draws it if it is a range; a drawn one is a range of one value.
    #[must_use]
    fn draw(&self, draws: &mut Draws) -> Self {
        let _ = draws;
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
    ($($range:ident),+) => {$(
        impl KeyValue for $range {
            fn draw(&self, draws: &mut Draws) -> Self {
                $range::only((*self).draw(draws))
            }

            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

ranges!(Share, DurationRange, SignedDurationRange);

impl KeyValue for NumberRange {
    fn draw(&self, draws: &mut Draws) -> Self {
        NumberRange::only((*self).draw(draws))
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
    fn show(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl KeyValue for Vec<String> {
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
    fn draw(&self, draws: &mut Draws) -> Self {
        self.as_ref().map(|term| term.draw(draws))
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
