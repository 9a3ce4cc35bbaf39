//! The switches of known bugs. Each is declared beside the code that it breaks and has one call site, at
//! the line that prevents the bug.

use serde::{Serialize, Serializer};
use std::{cmp::Ordering, fmt};

/// A known bug that can be shown on purpose in simulation. At most one is on in a run; one may be made of several.
#[derive(Clone, Copy)]
pub struct Sabotage {
    name: &'static str,
    description: &'static str,
    published: &'static str,
    caught_by: &'static [&'static str],
    parts: &'static [Sabotage],
}

impl Sabotage {
    /// A switch: the name used on the command line and in files, what it breaks in one line, the published
    /// bug of this shape (or `generic`), and the verdicts that count as catching it: names of
    /// invariants, or `stuck`.
    pub const fn new(
        name: &'static str,
        description: &'static str,
        published: &'static str,
        caught_by: &'static [&'static str],
    ) -> Self {
        Sabotage { name, description, published, caught_by, parts: &[] }
    }

    /// The same, and with it these are on: a bug that another mechanism masks is shown by switching both off.
    #[must_use]
    pub const fn made_of(self, parts: &'static [Sabotage]) -> Self {
        Sabotage { parts, ..self }
    }

    /// Those that are on with it.
    pub fn parts(self) -> &'static [Sabotage] {
        self.parts
    }

    /// Whether another is on where this one is.
    pub fn includes(self, other: Sabotage) -> bool {
        self == other || self.parts.contains(&other)
    }

    /// The name used on the command line and in files.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// What the switch breaks, in one line.
    pub fn description(self) -> &'static str {
        self.description
    }

    /// The published bug of this shape, or `generic`.
    pub fn published(self) -> &'static str {
        self.published
    }

    /// The verdicts that count as catching it: names of invariants, or `stuck`.
    pub fn caught_by(self) -> &'static [&'static str] {
        self.caught_by
    }
}

impl PartialEq for Sabotage {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Sabotage {}

impl PartialOrd for Sabotage {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sabotage {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}

impl fmt::Debug for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for Sabotage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// Declares known bugs and lists them all as `ALL`.
///
/// ```
/// wavetank::sabotages! {
///     /// An answer that was repeated is counted again.
///     REPEATS_COUNTED = "repeats-counted", "generic", ["exact"];
///     /// Who counts twice writes twice.
///     REPEATS_WRITTEN = "repeats-written", "generic", ["exact"];
///     /// The one masks the other: both at once.
///     REPEATS_STAND = "repeats-stand", "generic", ["exact"], of [REPEATS_COUNTED, REPEATS_WRITTEN];
/// }
/// assert_eq!(ALL[0].name(), "repeats-counted");
/// assert!(REPEATS_STAND.includes(REPEATS_COUNTED) && !REPEATS_COUNTED.includes(REPEATS_STAND));
/// assert_eq!(REPEATS_COUNTED.description(), "An answer that was repeated is counted again.");
/// ```
#[macro_export]
macro_rules! sabotages {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $published:literal, [$($check:literal),+]
        $(, of [$($part:ident),+])?;)+) => {
        $(
            $(#[doc = $doc])+
            pub const $name: $crate::host::Sabotage = $crate::host::Sabotage::new(
                $text,
                concat!($($doc),+).trim_ascii(),
                $published,
                &[$($check),+],
            )$(.made_of(&[$($part),+]))?;
        )+

        /// Every switch, in the order of the declaration.
        pub const ALL: &[$crate::host::Sabotage] = &[$($name),+];
    };
}
