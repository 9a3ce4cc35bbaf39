//! What led to what: every entry of a run has the entry that led to it.
//!
//! A world has a cause at each instant. While a task is polled it is what the task was woken by; while
//! something due happens, the entry of that. What is sent, set or announced takes it along.

use serde::Serialize;
use std::{
    fmt,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The number of an entry in a run's digest and trace, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct EntryNumber(NonZeroU64);

impl EntryNumber {
    /// The entry of that number; `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(EntryNumber)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for EntryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for EntryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The entry that led to something, if any did; opaque outside `host`, and empty live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause(Option<EntryNumber>);

impl Cause {
    /// Nothing in the run led to it: the harness did it.
    pub(in crate::host) const NONE: Cause = Cause(None);

    /// That entry.
    pub(in crate::host) fn of(entry: Option<EntryNumber>) -> Self {
        Cause(entry)
    }

    /// The entry that led to it.
    pub(in crate::host) fn entry(self) -> Option<EntryNumber> {
        self.0
    }

    /// As a word; 0 for none.
    pub(in crate::host) fn word(self) -> u64 {
        self.0.map_or(0, EntryNumber::get)
    }

    pub(super) fn of_word(word: u64) -> Self {
        Cause(EntryNumber::new(word))
    }
}

impl From<EntryNumber> for Cause {
    fn from(entry: EntryNumber) -> Self {
        Cause(Some(entry))
    }
}

/// The cause of what happens in a world at this instant.
#[derive(Clone, Default)]
pub(in crate::host) struct CurrentCause {
    // A world lives on one thread: its order is that of the program.
    word: Arc<AtomicU64>,
}

impl CurrentCause {
    pub fn get(&self) -> Cause {
        Cause::of_word(self.word.load(Ordering::Relaxed))
    }

    /// From now on this is the cause, until whoever entered one before leaves it.
    pub fn set(&self, cause: Cause) {
        self.word.store(cause.word(), Ordering::Relaxed);
    }

    /// Lets this be the cause while the guard is held.
    #[must_use = "the former cause is back when it is dropped"]
    pub fn enter(&self, cause: Cause) -> Entered<'_> {
        let former = self.get();
        self.set(cause);
        Entered { current: self, former }
    }
}

/// Restores the former cause.
pub(in crate::host) struct Entered<'a> {
    current: &'a CurrentCause,
    former: Cause,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.current.set(self.former);
    }
}
