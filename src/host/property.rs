//! Properties in a line: what code says of itself, at the line where it is known.
//!
//! [`always!`](crate::always) must hold whenever it is evaluated, [`sometimes!`](crate::sometimes) must be
//! true at least once over many runs, and [`reachable!`](crate::reachable) marks a line that some run must
//! reach. Each declares a static [`Property`] that is known from the start of the program, so that one that
//! no run comes to is found missing.
//!
//! In simulation what is expected costs a count: only an `always!` that fails, a `sometimes!` that is true
//! and a `reachable!` are announced, as a [`PropertyEvent`]. None of them draws anything or waits, so a new
//! property changes nothing in a run but its digest. Live the first is an error in the log, and the others
//! are lines of the level `trace`; a process goes on in either case.

use super::Evidence;
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::OnceLock,
};

#[doc(hidden)]
pub use inventory;

/// Of the log lines that tell of properties live.
#[cfg(not(madsim))]
pub(in crate::host) const PROPERTY_TARGET: &str = "wavetank::property";

/// What is claimed of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropertyKind {
    /// The condition holds whenever it is evaluated.
    Always,
    /// The condition holds at least once over many runs.
    Sometimes,
    /// The line is reached at least once over many runs.
    Reachable,
}

impl PropertyKind {
    /// A word: the name of its macro.
    pub const fn name(self) -> &'static str {
        match self {
            PropertyKind::Always => "always",
            PropertyKind::Sometimes => "sometimes",
            PropertyKind::Reachable => "reachable",
        }
    }
}

impl fmt::Display for PropertyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A property, as its macro declares it. Two of one name and one kind are the same, wherever they stand.
#[derive(Clone, Copy)]
pub struct Property {
    kind: PropertyKind,
    name: &'static str,
    title: &'static str,
    claim: &'static str,
    module: &'static str,
    file: &'static str,
    line: u32,
}

/// What the registry is made of.
#[doc(hidden)]
pub struct RegisteredProperty(pub &'static Property);

inventory::collect!(RegisteredProperty);

impl Property {
    /// What the macros declare: the title is the kind and the name, `place` the module, file and line.
    ///
    /// # Panics
    /// When the name is not made of lower-case words with hyphens between; in a macro this is an error of
    /// compilation.
    #[doc(hidden)]
    pub const fn new(
        kind: PropertyKind,
        [name, title, claim]: [&'static str; 3],
        (module, file, line): (&'static str, &'static str, u32),
    ) -> Self {
        assert!(is_name(name), "a property is named by lower-case words with hyphens between");
        Property { kind, name, title, claim, module, file, line }
    }

    /// Every property of this program, by name, kind and place; whether anything evaluates it or not.
    pub fn all() -> &'static [&'static Property] {
        static ALL: OnceLock<Vec<&'static Property>> = OnceLock::new();
        ALL.get_or_init(|| {
            // The order of the registry is the linker's.
            let mut all: Vec<_> = inventory::iter::<RegisteredProperty>().map(|r| r.0).collect();
            all.sort_by_key(|one| (one.name, one.kind, one.module, one.file, one.line));
            all
        })
    }

    /// Whether what is counted under a title is a property: the others are invariants.
    pub fn is_title(title: &str) -> bool {
        Property::all().iter().any(|property| property.title == title)
    }

    /// The name by which scenarios know it.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What is claimed.
    pub const fn kind(&self) -> PropertyKind {
        self.kind
    }

    /// Its kind and its name: `always slots-never-negative`.
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// What is claimed, in a line: the condition as it is written.
    pub const fn claim(&self) -> &'static str {
        self.claim
    }

    /// The path of the module that declares it; its first word is the crate.
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// Where it stands: `src/system/rpc/calls.rs:41`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Whether a text is made of lower-case words, with one hyphen between two.
const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut inner) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'a'..=b'z' | b'0'..=b'9' => inner = true,
            b'-' if inner => inner = false,
            _ => return false,
        }
        at += 1;
    }
    inner
}

impl PartialEq for Property {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.kind) == (other.name, other.kind)
    }
}

impl Eq for Property {}

impl PartialOrd for Property {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Property {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.name, self.kind).cmp(&(other.name, other.kind))
    }
}

/// Without the place: a line that moves changes no digest.
impl Hash for Property {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.kind).hash(state);
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title)
    }
}

/// What a run must know of an evaluation: an `always!` that failed, a `sometimes!` that was true, or a
/// line that was reached.
#[derive(Clone, Debug, Hash)]
pub struct PropertyEvent {
    /// Which property.
    pub property: &'static Property,
    /// Whether it held; false only of an `always!`.
    pub held: bool,
    /// What the code says besides; empty if it says nothing.
    pub details: String,
}

crate::event!(PropertyEvent, |_| Evidence::SelfReport);

impl PropertyEvent {
    /// Whether it breaks a promise.
    pub fn is_violation(&self) -> bool {
        self.property.kind == PropertyKind::Always && !self.held
    }
}

/// Declares and registers a property where it is used, and gives a reference to it.
#[doc(hidden)]
#[macro_export]
macro_rules! declared_property {
    ($kind:ident, $word:literal, $name:literal, $claim:expr) => {{
        static PROPERTY: $crate::host::Property = $crate::host::Property::new(
            $crate::host::PropertyKind::$kind,
            [$name, concat!($word, " ", $name), $claim],
            (module_path!(), file!(), line!()),
        );
        $crate::host::property::inventory::submit! {
            $crate::host::property::RegisteredProperty(&PROPERTY)
        }
        &PROPERTY
    }};
}

/// Claims that a condition holds whenever this line is run.
///
/// Arguments: the [`Host`](crate::host::Host), a name of lower-case words with hyphens, the condition, and if wanted what
/// [`format!`] takes, which is evaluated only where the condition fails. The condition itself is evaluated
/// in both worlds, so it must do nothing but look. In simulation a failure is a violation,
/// `violated:slots-never-negative`; live it is an error in the log, and the process goes on.
///
/// As with [`Host::announce`](crate::host::Host::announce), the process may die at this line in simulation, so hold no lock that a
/// destructor takes.
///
/// ```
/// use wavetank::host::Host;
///
/// fn release(host: &Host, free: &mut usize, all: usize) {
///     *free += 1;
///     wavetank::always!(host, "free-slots-bounded", *free <= all, "free {free} of {all}");
/// }
/// ```
///
/// A name with other letters is refused:
///
/// ```compile_fail
/// # use wavetank::host::Host;
/// fn check(host: &Host) {
///     wavetank::always!(host, "Free slots", true);
/// }
/// ```
#[macro_export]
macro_rules! always {
    ($host:expr, $name:literal, $condition:expr $(,)?) => {
        $crate::always!(@ $host, $name, $condition, ::std::string::String::new())
    };
    ($host:expr, $name:literal, $condition:expr, $($details:tt)+) => {
        $crate::always!(@ $host, $name, $condition, ::std::format!($($details)+))
    };
    (@ $host:expr, $name:literal, $condition:expr, $details:expr) => {
        ($host).evaluate(
            $crate::declared_property!(
                Always,
                "always",
                $name,
                concat!("`", stringify!($condition), "` holds whenever it is evaluated")
            ),
            $condition,
            || $details,
        )
    };
}

/// Claims that a condition is true here at least once over many runs.
///
/// Arguments are those of [`always!`](crate::always); the details are evaluated where the condition is
/// true. In simulation each time that it is true is a milestone of this name, on which a fault can hang
/// (`on = { milestone = "retry-succeeds" }`), and a sweep tells those that no run reached. Live it is a line
/// of the level `trace`.
///
/// ```
/// use wavetank::host::Host;
///
/// fn answered(host: &Host, try_number: u32) {
///     wavetank::sometimes!(host, "retry-succeeds", try_number > 1);
/// }
/// ```
#[macro_export]
macro_rules! sometimes {
    ($host:expr, $name:literal, $condition:expr $(,)?) => {
        $crate::sometimes!(@ $host, $name, $condition, ::std::string::String::new())
    };
    ($host:expr, $name:literal, $condition:expr, $($details:tt)+) => {
        $crate::sometimes!(@ $host, $name, $condition, ::std::format!($($details)+))
    };
    (@ $host:expr, $name:literal, $condition:expr, $details:expr) => {
        ($host).evaluate(
            $crate::declared_property!(
                Sometimes,
                "sometimes",
                $name,
                concat!("`", stringify!($condition), "` is true at some time")
            ),
            $condition,
            || $details,
        )
    };
}

/// Claims that this line is reached at least once over many runs.
///
/// Arguments: the [`Host`](crate::host::Host), a name of lower-case words with hyphens, and if wanted what [`format!`] takes.
/// In simulation each time is a milestone of this name, as with [`sometimes!`](crate::sometimes).
///
/// ```
/// use wavetank::host::Host;
///
/// fn answer(host: &Host, round: u64, now: u64) {
///     if round != now {
///         wavetank::reachable!(host, "old-answer-ignored", "of round {round}");
///         return;
///     }
/// }
/// ```
#[macro_export]
macro_rules! reachable {
    ($host:expr, $name:literal $(,)?) => {
        $crate::reachable!(@ $host, $name, ::std::string::String::new())
    };
    ($host:expr, $name:literal, $($details:tt)+) => {
        $crate::reachable!(@ $host, $name, ::std::format!($($details)+))
    };
    (@ $host:expr, $name:literal, $details:expr) => {
        ($host).evaluate(
            $crate::declared_property!(
                Reachable,
                "reachable",
                $name,
                "its line is reached"
            ),
            true,
            || $details,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;

    #[test]
    fn names_are_lower_case_words_with_hyphens() {
        for name in ["retry-succeeds", "a", "c7-holds"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-", "a-", "-a", "a--b", "A", "a b", "a_b", "ä"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_property_is_known_before_it_is_evaluated() {
        fn never(host: &Host) {
            crate::reachable!(host, "test-never-reached");
        }
        let _: fn(&Host) = never;
        let all = Property::all();
        let found = all.iter().find(|one| one.name() == "test-never-reached").expect("registered");
        assert_eq!(
            (found.kind(), found.title()),
            (PropertyKind::Reachable, "reachable test-never-reached")
        );
        assert!(found.place().starts_with("src/host/property.rs:"), "{}", found.place());
        assert_eq!(found.module(), "wavetank::host::property::tests");
        assert!(all.is_sorted_by_key(|one| (one.name(), one.kind())));
    }

    #[test]
    fn what_a_property_is_does_not_depend_on_its_place() {
        let at =
            |line| Property::new(PropertyKind::Always, ["a", "always a", ""], ("m", "f", line));
        let hash = |property: Property| {
            let mut hasher = std::hash::DefaultHasher::new();
            property.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(
            (at(1), hash(at(1)), format!("{:?}", at(1))),
            (at(2), hash(at(2)), format!("{:?}", at(2)))
        );
    }
}
