//! Kinds of events: which types checks, histories and reports know.

use crate::host::{Event, Evidence};
use std::{any::TypeId, fmt, hash::Hasher};

/// An event as histories and reports show it. What a system announces and does not list is in the digest
/// and the trace of a run, and nowhere else.
pub trait Reported: Event + Sized {
    /// The kind's name.
    const KIND: &'static str;

    /// Whether the history keeps it: what changes the system's state. Calls and buffers are too many and
    /// mean too little.
    fn is_kept(&self) -> bool {
        true
    }

    /// It in a person's words, behind the name of its node; `None` for what says little.
    fn in_words(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }

    /// What it says of who leads, for the timeline of a report.
    fn leadership(&self) -> Option<Leadership> {
        None
    }

    /// What begins or ends with it, for the bars of a report's page.
    fn span(&self) -> Option<Span> {
        None
    }
}

/// The begin or the end of something that lasts, at the node that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// It begins.
    Began {
        /// Among which bars it stands: a page has colours for `attempt` and `checkpoint`.
        group: &'static str,
        /// What it is; nothing else of its group has the name while it lasts.
        key: String,
    },
    /// It ends.
    Ended {
        /// Among which bars it stands.
        group: &'static str,
        /// What it is.
        key: String,
        /// How, in a word or two.
        how: String,
    },
}

/// A step of an election, as the contender saw it. A term is known by a text of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Its node leads from here on.
    Granted {
        /// What it leads, short enough for a column.
        component: String,
        /// The term.
        term: String,
    },
    /// What it leads is known to be led by it.
    Confirmed {
        /// The term.
        term: String,
    },
    /// It leads no more.
    Revoked {
        /// The term.
        term: String,
    },
}

/// A type of events.
#[derive(Clone, Copy)]
pub struct EventKind {
    name: &'static str,
    id: TypeId,
    is_kept: fn(&dyn Event) -> bool,
    in_words: fn(&dyn Event) -> Option<String>,
    leadership: fn(&dyn Event) -> Option<Leadership>,
    span: fn(&dyn Event) -> Option<Span>,
}

/// An event as its type; `None` when it is of another.
pub fn event_as<T: Event>(event: &dyn Event) -> Option<&T> {
    event.as_any().downcast_ref()
}

impl EventKind {
    /// The kind of a type of events.
    pub const fn of<T: Reported>() -> Self {
        EventKind {
            name: T::KIND,
            id: TypeId::of::<T>(),
            is_kept: |event| event_as::<T>(event).is_some_and(T::is_kept),
            in_words: |event| event_as::<T>(event).and_then(T::in_words),
            leadership: |event| event_as::<T>(event).and_then(T::leadership),
            span: |event| event_as::<T>(event).and_then(T::span),
        }
    }

    /// The kind's name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether an event is of this kind.
    pub fn is(self, event: &dyn Event) -> bool {
        event.as_any().type_id() == self.id
    }

    /// A copy of an event of this kind, if histories keep it.
    pub fn keep(self, event: &dyn Event) -> Option<KeptEvent> {
        (self.is_kept)(event).then(|| KeptEvent { kind: self, event: event.kept() })
    }
}

impl PartialEq for EventKind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for EventKind {}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// An event that a history keeps.
pub struct KeptEvent {
    kind: EventKind,
    event: Box<dyn Event>,
}

impl KeptEvent {
    /// It as its type; `None` when it is of another.
    pub fn get<T: Event>(&self) -> Option<&T> {
        event_as(&*self.event)
    }

    /// Its kind.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The class of evidence that it is.
    pub fn evidence(&self) -> Evidence {
        self.event.evidence()
    }

    /// Feeds the whole event into a digest.
    pub fn fold(&self, digest: &mut dyn Hasher) {
        self.event.fold(digest);
    }

    /// It in a person's words; `None` for what says little.
    pub fn in_words(&self) -> Option<String> {
        (self.kind.in_words)(&*self.event)
    }

    /// What it says of who leads.
    pub fn leadership(&self) -> Option<Leadership> {
        (self.kind.leadership)(&*self.event)
    }

    /// What begins or ends with it.
    pub fn span(&self) -> Option<Span> {
        (self.kind.span)(&*self.event)
    }
}

impl Clone for KeptEvent {
    fn clone(&self) -> Self {
        KeptEvent { kind: self.kind, event: self.event.kept() }
    }
}

impl fmt::Debug for KeptEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.kind.name, self.event)
    }
}
