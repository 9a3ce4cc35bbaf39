//! The values of a fault's keys: how each is read, written, drawn and shown.

use super::actor::Actor;
use crate::{
    harness::scenario::{
        DurationRange, Field, NumberRange, ScenarioError, Share, SignedDurationRange, Subject,
        Writer,
    },
    host::{
        Draws,
        sim::{Applied, DiskOp},
    },
};
use std::time::Duration;

/// A value of a key.
pub(super) trait Term: Sized + Clone {
    /// Draws it if it is a range; a drawn one is a range of one value.
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

impl Term for Share {
    fn draw(&self, draws: &mut Draws) -> Self {
        Share::only((*self).draw(draws))
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Term for DurationRange {
    fn draw(&self, draws: &mut Draws) -> Self {
        DurationRange::only((*self).draw(draws))
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Term for SignedDurationRange {
    fn draw(&self, draws: &mut Draws) -> Self {
        SignedDurationRange::only((*self).draw(draws))
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Term for NumberRange {
    fn draw(&self, draws: &mut Draws) -> Self {
        NumberRange::only((*self).draw(draws))
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Term for Actor {
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Term for DiskOp {
    fn show(&self) -> Option<String> {
        let known = DISK_OPERATIONS.iter().find(|(_, known)| known == self);
        Some(known.expect("every operation has a name").0.to_string())
    }
}

impl Term for DelayShape {
    fn show(&self) -> Option<String> {
        let known = DELAY_SHAPES.iter().find(|(_, known)| known == self);
        Some(known.expect("every shape has a name").0.to_string())
    }
}

impl Term for Applied {
    fn show(&self) -> Option<String> {
        let known = APPLIED.iter().find(|(_, known)| known == self);
        Some(known.expect("each has a name").0.to_string())
    }
}

impl<T: Term> Term for Option<T> {
    fn draw(&self, draws: &mut Draws) -> Self {
        self.as_ref().map(|term| term.draw(draws))
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(Term::show)
    }
}

/// How delays are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayShape {
    /// Uniform from nothing to the most.
    Uniform,
    /// Exponential with this mean.
    Exponential,
    /// One frame in twenty takes that long, the others nothing.
    Bimodal,
    /// The same for all frames from one node to another, drawn uniformly for each pair.
    Constant,
}

const DELAY_SHAPES: &[(&str, DelayShape)] = &[
    ("uniform", DelayShape::Uniform),
    ("exponential", DelayShape::Exponential),
    ("bimodal", DelayShape::Bimodal),
    ("constant", DelayShape::Constant),
];

/// The kinds of disk operations that a fault can strike.
const DISK_OPERATIONS: &[(&str, DiskOp)] = &[
    ("read", DiskOp::Read),
    ("write", DiskOp::Write),
    ("sync", DiskOp::Sync),
    ("metadata", DiskOp::Metadata),
    ("any", DiskOp::Any),
];

const APPLIED: &[(&str, Applied)] =
    &[("yes", Applied::Yes), ("no", Applied::No), ("either", Applied::Either)];

/// A turn of a slow node.
pub(super) const SLICE: DurationRange =
    DurationRange { low: Duration::from_millis(10), high: Duration::from_millis(50) };

pub(super) fn applied(field: &Field, _: &Subject) -> Result<Applied, ScenarioError> {
    field.one_of(APPLIED, "list --faults")
}

/// A server that keeps what the cluster has promised.
pub(super) fn service(field: &Field, subject: &Subject) -> Result<Actor, ScenarioError> {
    let actor = Actor::read(field, subject)?;
    match actor {
        Actor::Coordination | Actor::Blobs | Actor::Log => Ok(actor),
        _ => Err(field.expected("a server: \"coordination\", \"blobs\" or \"log\"")),
    }
}

pub(super) fn actor(field: &Field, subject: &Subject) -> Result<Actor, ScenarioError> {
    Actor::read(field, subject)
}

pub(super) fn operation(field: &Field, _: &Subject) -> Result<DiskOp, ScenarioError> {
    field.one_of(DISK_OPERATIONS, "list --faults")
}

pub(super) fn delay_shape(field: &Field, _: &Subject) -> Result<DelayShape, ScenarioError> {
    field.one_of(DELAY_SHAPES, "list --faults")
}

/// A share that is not negative.
pub(super) fn part(field: &Field, _: &Subject) -> Result<Share, ScenarioError> {
    let share = field.share()?;
    if share.low < 0 { Err(field.expected("a share that is not negative")) } else { Ok(share) }
}

pub(super) fn drift(field: &Field, _: &Subject) -> Result<Share, ScenarioError> {
    let drift = field.share()?;
    let max = crate::host::sim::DRIFT_PER_MILLION_MAX;
    match drift.low >= -max && drift.high <= max {
        true => Ok(drift),
        false => Err(field.expected("a drift from -50% to 50%")),
    }
}

pub(super) fn span(field: &Field, _: &Subject) -> Result<DurationRange, ScenarioError> {
    field.duration_range()
}

pub(super) fn signed(field: &Field, _: &Subject) -> Result<SignedDurationRange, ScenarioError> {
    field.signed_duration_range()
}

/// A number that counts from 1.
pub(super) fn count(field: &Field, _: &Subject) -> Result<NumberRange, ScenarioError> {
    let count = field.number_range()?;
    if count.low == 0 { Err(field.expected("a number that counts from 1")) } else { Ok(count) }
}
