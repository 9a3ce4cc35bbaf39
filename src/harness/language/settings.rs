//! Keys with their meaning, bounds and default: declared once, for the reader and for those who ask.

use super::{
    error::{Mistakes, ScenarioError},
    read::{Field, Reader},
    units::{DurationRange, NumberRange, Share, parse_duration},
    value::KeyValue,
    write::Writer,
};
use std::{fmt, time::Duration};

/// A key of a scenario file, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The table in which it stands; empty for the file's beginning.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// What it means, in a line.
    pub meaning: &'static str,
    /// What may stand there.
    pub bounds: String,
    /// What a file would write to get what it gets without the key; `None` when that is nothing.
    pub default: Option<String>,
    /// The `name` of the table to which alone the key belongs; `None` where it needs none.
    pub only: Option<&'static str>,
    /// Of a key that says how much there is of something: the least that may stand there. Less is simpler.
    pub least: Option<u64>,
}

impl Setting {
    /// A key in words.
    pub fn new(
        table: &'static str,
        key: &'static str,
        meaning: &'static str,
        bounds: &impl Bounds,
    ) -> Self {
        let (least, default) = (bounds.least(), bounds.written());
        Setting { table, key, meaning, bounds: bounds.describe(), default, only: None, least }
    }
}

/// What may stand at a key, and what counts when the file says nothing.
pub trait Bounds {
    /// What is read.
    type Value: KeyValue;

    /// Reads a value and holds it to the bounds.
    ///
    /// # Errors
    /// When it is something else, or beyond them.
    fn read(&self, field: &Field) -> Result<Self::Value, ScenarioError>;

    /// What counts when the key is absent.
    fn default(&self) -> Self::Value;

    /// What stands in for a mistaken value while the rest of the file is read, so that one mistake is
    /// not told as many.
    fn stand_in(&self) -> Self::Value {
        self.default()
    }

    /// What may stand there, in words.
    fn describe(&self) -> String;

    /// The default as a file writes it.
    fn written(&self) -> Option<String>;

    /// The least value of a key that says how much there is of something.
    fn least(&self) -> Option<u64> {
        None
    }

    /// Takes a key from a table.
    ///
    /// # Errors
    /// When it is not within the bounds.
    fn take(&self, table: &mut Reader, key: &'static str) -> Result<Self::Value, ScenarioError> {
        Ok(table.take(key, |field| self.read(field))?.unwrap_or_else(|| self.default()))
    }
}

/// A whole number, or a range of them from which each seed draws.
pub struct Number {
    low: u32,
    high: u32,
    default: (u32, u32),
    is_size: bool,
}

impl Number {
    /// Of a key that says how much there is of something, so that a run with less of it is a simpler one: shrinking
    /// makes it less.
    #[must_use]
    pub const fn size(self) -> Self {
        Number { is_size: true, ..self }
    }
}

/// A whole number between two bounds, or a range within them.
pub const fn number(low: u32, high: u32, default: u32) -> Number {
    Number { low, high, default: (default, default), is_size: false }
}

/// A range of whole numbers between two bounds.
pub const fn numbers(low: u32, high: u32, default: (u32, u32)) -> Number {
    Number { low, high, default, is_size: false }
}

impl Bounds for Number {
    type Value = NumberRange;

    fn read(&self, field: &Field) -> Result<NumberRange, ScenarioError> {
        let bounds = u64::from(self.low)..=u64::from(self.high);
        let within =
            |range: &NumberRange| bounds.contains(&range.low) && bounds.contains(&range.high);
        field.read(&self.describe(), |text| NumberRange::parse(text).filter(within))
    }

    fn default(&self) -> NumberRange {
        NumberRange { low: self.default.0.into(), high: self.default.1.into() }
    }

    fn stand_in(&self) -> NumberRange {
        NumberRange::only(self.high.into())
    }

    fn describe(&self) -> String {
        format!("a whole number from {} to {}", self.low, self.high)
    }

    fn written(&self) -> Option<String> {
        let default = self.default();
        Some(match default.low == default.high {
            true => default.to_string(),
            false => format!("\"{default}\""),
        })
    }

    fn least(&self) -> Option<u64> {
        self.is_size.then_some(self.low.into())
    }
}

/// A duration, or a range of them from which each seed draws.
pub struct Time {
    low: &'static str,
    high: &'static str,
    default: &'static str,
}

/// A duration between two bounds, or a range within them.
pub const fn time(low: &'static str, high: &'static str, default: &'static str) -> Time {
    Time { low, high, default }
}

impl Bounds for Time {
    type Value = DurationRange;

    fn read(&self, field: &Field) -> Result<DurationRange, ScenarioError> {
        let within =
            |range: &DurationRange| own(self.low) <= range.low && range.high <= own(self.high);
        let what = format!("{}, such as \"2s\" or \"2s..5s\"", self.describe());
        field.read(&what, |text| DurationRange::parse(text).filter(within))
    }

    fn default(&self) -> DurationRange {
        DurationRange::parse(self.default).expect("a range of our own")
    }

    fn describe(&self) -> String {
        format!("a duration or a range, from {} to {}", self.low, self.high)
    }

    fn written(&self) -> Option<String> {
        Some(format!("\"{}\"", self.default))
    }
}

/// A fixed duration: it is the same in every run.
pub struct Fixed(Time);

/// A duration between two bounds that is the same in every run.
pub const fn fixed(low: &'static str, high: &'static str, default: &'static str) -> Fixed {
    Fixed(time(low, high, default))
}

impl Bounds for Fixed {
    type Value = DurationRange;

    fn read(&self, field: &Field) -> Result<DurationRange, ScenarioError> {
        let range = own(self.0.low)..=own(self.0.high);
        let within = |text: &str| parse_duration(text).filter(|time| range.contains(time));
        let what = format!("{}, such as \"{}\"", self.describe(), self.0.default);
        field.read(&what, within).map(DurationRange::only)
    }

    fn default(&self) -> DurationRange {
        self.0.default()
    }

    fn describe(&self) -> String {
        format!("a duration from {} to {}", self.0.low, self.0.high)
    }

    fn written(&self) -> Option<String> {
        self.0.written()
    }
}

/// A duration or a range of them, or nothing.
pub struct MaybeTime(Time);

/// A duration or a range of them between two bounds; nothing when absent.
pub const fn maybe_time(low: &'static str, high: &'static str) -> MaybeTime {
    MaybeTime(time(low, high, low))
}

impl Bounds for MaybeTime {
    type Value = Option<DurationRange>;

    fn read(&self, field: &Field) -> Result<Option<DurationRange>, ScenarioError> {
        self.0.read(field).map(Some)
    }

    fn default(&self) -> Option<DurationRange> {
        None
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn written(&self) -> Option<String> {
        None
    }
}

/// A share, or a range of shares.
pub struct Part {
    default: &'static str,
}

/// A share of something, from nothing to all of it.
pub const fn part(default: &'static str) -> Part {
    Part { default }
}

impl Bounds for Part {
    type Value = Share;

    fn read(&self, field: &Field) -> Result<Share, ScenarioError> {
        field.read(&self.describe(), |text| Share::parse(text).filter(|share| share.low >= 0))
    }

    fn default(&self) -> Share {
        Share::parse(self.default).expect("a share of our own")
    }

    fn describe(&self) -> String {
        "a share such as \"5%\" or a range such as \"5%..20%\"".to_string()
    }

    fn written(&self) -> Option<String> {
        Some(format!("\"{}\"", self.default))
    }
}

/// A list of words; empty when absent.
pub struct Words {
    what: &'static str,
    read: fn(&Field) -> Result<String, ScenarioError>,
}

/// A list of words, each read by `read`; empty when absent.
pub const fn words(what: &'static str, read: fn(&Field) -> Result<String, ScenarioError>) -> Words {
    Words { what, read }
}

impl Bounds for Words {
    type Value = Vec<String>;

    fn read(&self, field: &Field) -> Result<Vec<String>, ScenarioError> {
        field.list(self.read)
    }

    fn default(&self) -> Vec<String> {
        Vec::new()
    }

    fn describe(&self) -> String {
        format!("a list of {}", self.what)
    }

    fn written(&self) -> Option<String> {
        None
    }
}

/// A whole number or a range of them, or nothing.
pub struct MaybeCount {
    low: u64,
    high: u64,
}

/// A whole number or a range of them, from 1 on; nothing when absent.
pub const fn maybe_count(high: u64) -> MaybeCount {
    maybe_number(1, high)
}

/// A whole number within bounds or a range of them; nothing when absent.
pub const fn maybe_number(low: u64, high: u64) -> MaybeCount {
    MaybeCount { low, high }
}

impl Bounds for MaybeCount {
    type Value = Option<NumberRange>;

    fn read(&self, field: &Field) -> Result<Self::Value, ScenarioError> {
        let within = |range: &NumberRange| self.low <= range.low && range.high <= self.high;
        let what = format!("{}, such as \"3\" or \"3..8\"", self.describe());
        let text_or_number = field.number_range().ok().filter(within);
        text_or_number.map(Some).ok_or_else(|| field.expected(&what))
    }

    fn default(&self) -> Self::Value {
        None
    }

    fn describe(&self) -> String {
        format!("a whole number or a range, from {} to {}", self.low, self.high)
    }

    fn written(&self) -> Option<String> {
        None
    }
}

/// A share or a range of them, or nothing.
pub struct MaybePart;

/// A share that is not negative, or a range of them; nothing when absent.
pub const fn maybe_part() -> MaybePart {
    MaybePart
}

impl Bounds for MaybePart {
    type Value = Option<Share>;

    fn read(&self, field: &Field) -> Result<Self::Value, ScenarioError> {
        let share = field.share()?;
        if share.low < 0 { Err(field.expected(&self.describe())) } else { Ok(Some(share)) }
    }

    fn default(&self) -> Self::Value {
        None
    }

    fn describe(&self) -> String {
        "a share or a range, from 0% to 100%".to_string()
    }

    fn written(&self) -> Option<String> {
        None
    }
}

fn own(text: &str) -> Duration {
    parse_duration(text).expect("a duration of our own")
}

/// Declared keys with their values, as [`settings!`](crate::settings) makes them.
pub trait Settings: Clone + PartialEq + fmt::Debug + Send + Sync + Sized + 'static {
    /// Every key, in order.
    fn declared() -> Vec<Setting>;

    /// Reads what the file says; a key with a mistake, which is kept, gets a stand-in.
    fn read(file: &mut Reader, mistakes: &mut Mistakes) -> Self;

    /// Writes every key, in order.
    fn write(&self, writer: &mut Writer);

    /// Reads the keys from one table, whatever tables they are declared for: one of an array of tables.
    fn read_keys(table: &mut Reader, mistakes: &mut Mistakes) -> Self;

    /// Writes the keys without a table's header.
    fn write_keys(&self, writer: &mut Writer);

    /// The same with ranges of which a seed has drawn that only an end is left.
    #[must_use]
    fn at_edges(&self, seed: u64) -> Self;

    /// What a seed draws from the ranges; each key has a stream of its own.
    #[must_use]
    fn draw(&self, seed: u64) -> Self;
}

/// Declares what is read from tables of a scenario file: its fields, their keys, bounds, defaults and
/// meanings. The struct gets [`Settings`] and, where nothing is said, the defaults.
///
/// ```
/// use wavetank::harness::language::{DurationRange, NumberRange, number, time};
///
/// wavetank::settings! {
///     /// A cluster of pingers.
///     #[derive(Clone, Debug, PartialEq)]
///     PingSettings {
///         cluster {
///             "clients" clients: NumberRange = number(1, 64, 2).size(), "Clients.";
///         }
///         workload {
///             "pause" pause: DurationRange = time("0ms", "10m", "500ms"), "From ping to ping.";
///         }
///     }
/// }
/// assert_eq!(PingSettings::default().clients.one(), 2);
/// ```
#[macro_export]
macro_rules! settings {
    ($(#[$meta:meta])* $spec:ident {
        $($table:ident {
            $($key:literal $field:ident: $ty:ty = $bounds:expr, $meaning:literal;)+
        })+
    }) => {
        $(#[$meta])*
        pub struct $spec {
            $($(#[doc = $meaning] pub $field: $ty,)+)+
        }

        impl Default for $spec {
            fn default() -> Self {
                use $crate::harness::language::Bounds as _;
                $spec { $($($field: $bounds.default(),)+)+ }
            }
        }

        impl $crate::harness::language::Settings for $spec {
            fn declared() -> Vec<$crate::harness::language::Setting> {
                vec![$($($crate::harness::language::Setting::new(
                    stringify!($table), $key, $meaning, &$bounds,
                ),)+)+]
            }

            fn read(
                file: &mut $crate::harness::language::Reader,
                mistakes: &mut $crate::harness::language::Mistakes,
            ) -> Self {
                use $crate::harness::language::Bounds as _;
                $(
                    let mut $table = mistakes
                        .keep(file.table(stringify!($table)))
                        .unwrap_or_else(|| file.empty(stringify!($table)));
                    $(let $field = mistakes
                        .keep($bounds.take(&mut $table, $key))
                        .unwrap_or_else(|| $bounds.stand_in());)+
                    $table.finish(mistakes);
                )+
                $spec { $($($field,)+)+ }
            }

            fn read_keys(
                table: &mut $crate::harness::language::Reader,
                mistakes: &mut $crate::harness::language::Mistakes,
            ) -> Self {
                use $crate::harness::language::Bounds as _;
                $($(let $field = mistakes
                    .keep($bounds.take(table, $key))
                    .unwrap_or_else(|| $bounds.stand_in());)+)+
                $spec { $($($field,)+)+ }
            }

            fn write_keys(&self, writer: &mut $crate::harness::language::Writer) {
                use $crate::harness::language::KeyValue as _;
                $($(self.$field.write($key, writer);)+)+
            }

            fn write(&self, writer: &mut $crate::harness::language::Writer) {
                use $crate::harness::language::KeyValue as _;
                $(
                    writer.table(concat!("[", stringify!($table), "]"));
                    $(self.$field.write($key, writer);)+
                )+
            }

            fn at_edges(&self, seed: u64) -> Self {
                use $crate::harness::language::KeyValue as _;
                let draws = |key| {
                    $crate::host::Draws::new(seed, "edge", [$crate::host::name_hash(key), 0])
                };
                $spec { $($($field: self.$field.at_edge(&mut draws($key)),)+)+ }
            }

            fn draw(&self, seed: u64) -> Self {
                use $crate::harness::language::KeyValue;
                let draws = |key| {
                    $crate::host::Draws::new(seed, "setting", [$crate::host::name_hash(key), 0])
                };
                $spec { $($($field: KeyValue::fixed(&KeyValue::draw(&self.$field, &mut draws($key))),)+)+ }
            }
        }
    };
}
