//! The switches of known bugs. Each is declared beside the code that it breaks and has one call site, at
//! the line that prevents the bug.

use serde::{Serialize, Serializer};
use std::{cmp::Ordering, fmt};

/// A known bug that can be shown on purpose in simulation. At most one is on in a run.
#[derive(Clone, Copy)]
pub struct Sabotage {
    name: &'static str,
    description: &'static str,
    published: &'static str,
    caught_by: &'static [&'static str],
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
        Sabotage { name, description, published, caught_by }
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
/// }
/// assert_eq!(ALL[0].name(), "repeats-counted");
/// assert_eq!(REPEATS_COUNTED.description(), "An answer that was repeated is counted again.");
/// ```
#[macro_export]
macro_rules! sabotages {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $published:literal, [$($check:literal),+];)+) => {
        $(
            $(#[doc = $doc])+
            pub const $name: $crate::host::Sabotage = $crate::host::Sabotage::new(
                $text,
                concat!($($doc),+).trim_ascii(),
                $published,
                &[$($check),+],
            );
        )+

        /// Every switch, in the order of the declaration.
        pub const ALL: &[$crate::host::Sabotage] = &[$($name),+];
    };
}
