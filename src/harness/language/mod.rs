//! The file language: tables read key by key, ranges that seeds draw from, mistakes with their places, and
//! settings declared once. It knows no scenario.

mod error;
mod file;
mod nearest;
mod read;
mod settings;
mod units;
mod value;
mod wrap;
mod write;

pub use error::{Mistakes, ScenarioError, printable, shown};
pub use file::{FILE_BYTES_MAX, read_file};
pub use nearest::{did_you_mean, nearest};
pub(in crate::harness) use read::line_starts;
pub use read::{Field, Reader};
pub use settings::{
    Bounds, Fixed, MaybeTime, Number, Setting, Settings, Time, fixed, maybe_count, maybe_number,
    maybe_part, maybe_time, number, numbers, part, time, words,
};
pub use units::{
    DurationRange, NumberRange, Share, SignedDurationRange, exact_duration, parse_duration, percent,
};
pub use value::KeyValue;
pub(in crate::harness) use value::no_range;
pub use wrap::{COLUMNS, cut, wrap};
pub use write::Writer;
