//! The values of a fault's keys: how each is read and shown.

use super::actor::Actor;
use crate::{
    harness::scenario::{
        DurationRange, Field, NumberRange, ScenarioError, Share, SignedDurationRange, Subject, Term,
    },
    host::sim::{Applied, DiskOp, Unsynced},
};
use std::time::Duration;

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

impl Term for Unsynced {
    fn show(&self) -> Option<String> {
        let known = UNSYNCED.iter().find(|(_, known)| known == self);
        Some(known.expect("every one has a name").0.to_string())
    }
}

impl Term for Spares {
    fn show(&self) -> Option<String> {
        let known = SPARES.iter().find(|(_, known)| known == self);
        Some(known.expect("both have a name").0.to_string())
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

pub(super) const DELAY_SHAPES: &[(&str, DelayShape)] = &[
    ("uniform", DelayShape::Uniform),
    ("exponential", DelayShape::Exponential),
    ("bimodal", DelayShape::Bimodal),
    ("constant", DelayShape::Constant),
];

/// Whom damage to disks spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spares {
    /// Nodes whose disk alone holds what was promised.
    SoleCopies,
    /// Nobody.
    Nobody,
}

const SPARES: &[(&str, Spares)] =
    &[("sole-copies", Spares::SoleCopies), ("nobody", Spares::Nobody)];

/// What becomes of what was not synced.
pub(super) const UNSYNCED: &[(&str, Unsynced)] = &[
    ("drawn", Unsynced::Drawn),
    ("lost", Unsynced::Lost),
    ("torn", Unsynced::Torn),
    ("kept", Unsynced::Kept),
];

/// The kinds of disk operations that a fault can strike.
pub(super) const DISK_OPERATIONS: &[(&str, DiskOp)] = &[
    ("read", DiskOp::Read),
    ("write", DiskOp::Write),
    ("sync", DiskOp::Sync),
    ("metadata", DiskOp::Metadata),
    ("any", DiskOp::Any),
];

pub(super) const APPLIED: &[(&str, Applied)] =
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
    match is_service(actor) {
        true => Ok(actor),
        false => Err(field.expected("a server: \"coordination\", \"blobs\" or \"log\"")),
    }
}

/// Whether it is a server that keeps what the cluster has promised.
pub(super) fn is_service(actor: Actor) -> bool {
    matches!(actor, Actor::Coordination | Actor::Blobs | Actor::Log)
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

pub(super) fn unsynced(field: &Field, _: &Subject) -> Result<Unsynced, ScenarioError> {
    field.one_of(UNSYNCED, "list --faults")
}

pub(super) fn spares(field: &Field, _: &Subject) -> Result<Spares, ScenarioError> {
    field.one_of(SPARES, "list --faults")
}

/// The beginning of a file's path.
pub(super) fn path(field: &Field, _: &Subject) -> Result<String, ScenarioError> {
    field.text()
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
