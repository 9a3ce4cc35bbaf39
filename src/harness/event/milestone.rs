//! Milestones: moments of a protocol that runs should reach, and on which faults hang. In other words
//! *sometimes* properties: over many runs each should come at least once.

use super::{
    kind::{EventKind, event_as},
    moment::Moment,
};
use crate::host::{Event, Property, PropertyEvent};
use std::{any::Any, cmp::Ordering, fmt};

/// A moment of a protocol, by its declaration. Two of one name are the same.
#[derive(Clone, Copy)]
pub struct Milestone(Source);

/// Who has declared a milestone.
#[derive(Clone, Copy)]
enum Source {
    /// A system, by the events that reach it.
    System(&'static MilestoneSpec),
    /// The line of code at which it comes.
    Line(&'static Property),
}

/// Whether something holds of an event and of the state right after it, which is a system's model.
pub type OfState = fn(&dyn Event, &dyn Any) -> bool;

/// The declaration of a milestone; [`milestones!`](crate::milestones) makes it.
pub struct MilestoneSpec {
    /// The name used in files.
    pub name: &'static str,
    /// What it means, in a line.
    pub description: &'static str,
    /// The kind of the events that reach it.
    pub kind: EventKind,
    /// Whether an event of that kind does.
    pub is: fn(Moment, &dyn Event) -> bool,
    /// What must hold besides, by the state right after the event, which is a system's model.
    pub besides: Option<OfState>,
    /// By what a trigger can choose among the events that do.
    pub asks: &'static [Ask],
}

/// Something that an event names, by which a trigger can choose.
pub struct Ask {
    /// The key in scenario files.
    pub key: &'static str,
    /// What it is, in words: "a checkpoint".
    pub what: &'static str,
    /// What is said of it.
    pub of: Answer,
    /// What may stand at the key.
    pub values: AskedValues,
}

/// Who says what a trigger asks.
#[derive(Clone, Copy)]
pub enum Answer {
    /// The event itself.
    Event(fn(&dyn Event) -> Option<String>),
    /// The state right after it, which is a system's model, together with it.
    State(fn(&dyn Event, &dyn Any) -> Option<String>),
}

/// What a trigger can ask for.
#[derive(Clone, Copy)]
pub enum AskedValues {
    /// A whole number.
    Number,
    /// One of some words.
    Words(&'static [&'static str]),
}

impl Ask {
    /// What is said of it at an event, by the model right after it.
    pub fn answer(&self, event: &dyn Event, model: &dyn Any) -> Option<String> {
        match self.of {
            Answer::Event(of) => of(event),
            Answer::State(of) => of(event, model),
        }
    }
}

impl Milestone {
    /// The milestone of a declaration.
    pub const fn new(spec: &'static MilestoneSpec) -> Self {
        Milestone(Source::System(spec))
    }

    /// That a property which must come at some time does.
    pub const fn of_property(property: &'static Property) -> Self {
        Milestone(Source::Line(property))
    }

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self.0 {
            Source::System(spec) => spec.name,
            Source::Line(property) => property.name(),
        }
    }

    /// What it means, in a line.
    pub fn description(self) -> &'static str {
        match self.0 {
            Source::System(spec) => spec.description,
            Source::Line(property) => property.claim(),
        }
    }

    /// Whether a line of code declares it, as a property.
    pub fn is_property(self) -> bool {
        matches!(self.0, Source::Line(_))
    }

    /// The kind of the events that reach it.
    pub fn kind(self) -> EventKind {
        match self.0 {
            Source::System(spec) => spec.kind,
            Source::Line(_) => EventKind::of::<PropertyEvent>(),
        }
    }

    /// By what a trigger can choose among the events that reach it.
    pub fn asks(self) -> &'static [Ask] {
        match self.0 {
            Source::System(spec) => spec.asks,
            Source::Line(_) => &[],
        }
    }

    /// Whether an event of its kind reaches it, by the model right after it.
    pub fn is_reached(self, at: Moment, event: &dyn Event, model: &dyn Any) -> bool {
        match self.0 {
            Source::System(spec) => {
                (spec.is)(at, event) && spec.besides.is_none_or(|holds| holds(event, model))
            }
            // One name may stand at several lines, of either kind.
            Source::Line(property) => event_as::<PropertyEvent>(event).is_some_and(|event| {
                event.property.name() == property.name() && !event.is_violation()
            }),
        }
    }
}

impl PartialEq for Milestone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Milestone {}

impl PartialOrd for Milestone {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Milestone {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl fmt::Debug for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Declares milestones, each by the events that reach it: its name, in brackets by what a trigger can choose
/// (constants of type [`Ask`]), a name for the [`Moment`], a pattern with a guard if need be, and what it
/// means. Lists them under a name.
///
/// ```
/// # use wavetank::host::Evidence;
/// # #[derive(Clone, Debug, Hash)]
/// # pub enum PingEvent { Answered { late: bool } }
/// # wavetank::event!(PingEvent, |_| Evidence::SelfReport);
/// # impl wavetank::harness::event::Reported for PingEvent { const KIND: &'static str = "ping"; }
/// wavetank::milestones! {
///     /// Of pings.
///     pub OF_PINGS: PingEvent {
///         "answered" = _, PingEvent::Answered { .. }, "A ping was answered.";
///         "answered-late" = at, PingEvent::Answered { late: true } if at.process.1 > 1, "Late, and by a restarted server.";
///     }
/// }
/// assert_eq!(OF_PINGS[0].name(), "answered");
/// ```
#[macro_export]
macro_rules! milestones {
    ($(
        $(#[$meta:meta])*
        $vis:vis $list:ident: $event:ty {
            $($name:literal $([$($ask:path),+])? = $at:pat_param, $pattern:pat $(if $guard:expr)?, $doc:literal;)+
        }
    )+) => {$(
        $(#[$meta])*
        $vis const $list: &[$crate::harness::event::Milestone] = &[$(
            $crate::harness::event::Milestone::new(const { &$crate::harness::event::MilestoneSpec {
                name: $name,
                description: $doc,
                kind: $crate::harness::event::EventKind::of::<$event>(),
                is: |at, event| {
                    let $at = at;
                    let event = $crate::harness::event::event_as::<$event>(event);
                    event.is_some_and(|event| match event {
                        $pattern $(if $guard)? => true,
                        #[allow(unreachable_patterns, reason = "a kind of one event")]
                        _ => false,
                    })
                },
                besides: None,
                asks: &[$($($ask),+)?],
            } }),
        )+];
    )+};
}
