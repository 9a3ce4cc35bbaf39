//! The two forms of a fault: as a file says it, with ranges, and as a seed has drawn it.

use crate::harness::language::{DurationRange, KeyValue, NumberRange, Share, SignedDurationRange};
use std::fmt;

/// Of which types the values of a fault are that may be ranges.
pub trait Form: Clone + fmt::Debug + PartialEq + Eq + 'static {
    /// A time.
    type Duration: Copy + fmt::Debug + PartialEq + Eq;
    /// A time forwards or backwards.
    type SignedDuration: Copy + fmt::Debug + PartialEq + Eq;
    /// A number.
    type Number: Copy + fmt::Debug + PartialEq + Eq;
    /// A share or a rate.
    type Share: Copy + fmt::Debug + PartialEq + Eq;
}

/// As a file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges;

impl Form for Ranges {
    type Duration = DurationRange;
    type SignedDuration = SignedDurationRange;
    type Number = NumberRange;
    type Share = Share;
}

/// As a seed has drawn it: times as [`Duration`](std::time::Duration)s, or in nanoseconds where they go
/// backwards too, shares in parts of a million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn;

impl Form for Drawn {
    type Duration = <DurationRange as KeyValue>::Drawn;
    type SignedDuration = <SignedDurationRange as KeyValue>::Drawn;
    type Number = <NumberRange as KeyValue>::Drawn;
    type Share = <Share as KeyValue>::Drawn;
}
