//! The values of a fault's keys: how each is read and shown.

use super::{
    generated::{FaultGenerator, Generated},
    links,
    targets::Targets,
};
use crate::{
    harness::{
        language::{
            DurationRange, Field, KeyValue, NumberRange, ScenarioError, Share, SignedDurationRange,
            no_range,
        },
        system::{OwnFault, Role, SystemSpec},
    },
    host::sim::{Applied, DiskOp, Unsynced},
};
use std::time::Duration;

/// A value that is one of a few words.
pub(super) trait Named: Copy + PartialEq + 'static {
    /// The words and what they mean.
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! named {
    ($($type:ident { $($word:literal = $variant:ident),+ })+) => {$(
        impl Named for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$variant)),+];
        }

        impl $crate::harness::language::KeyValue for $type {
            $crate::harness::language::no_range!();

            fn show(&self) -> Option<String> {
                let known = Self::WORDS.iter().find(|(_, known)| known == self);
                Some(known.expect("each has a word").0.to_string())
            }
        }
    )+};
}

pub(super) use named;

named! {
    DelayShape {
        "uniform" = Uniform, "exponential" = Exponential, "bimodal" = Bimodal,
        "constant" = Constant
    }
    Tolerates { "copies" = Copies, "nothing" = Nothing }
    Unsynced { "drawn" = Drawn, "lost" = Lost, "torn" = Torn, "kept" = Kept }
    DiskOp {
        "read" = Read, "write" = Write, "sync" = Sync, "metadata" = Metadata, "any" = Any
    }
    Applied { "yes" = Yes, "no" = No, "either" = Either }
}

macro_rules! words {
    ($($type:ident),+) => {$(
        impl Generated for $type {
            fn generate(_: &str, generator: &mut FaultGenerator<'_>) -> Self {
                generator.choose($type::WORDS.iter().copied())
            }
        }
    )+};
}

words!(DiskOp, DelayShape, Unsynced, Applied);

impl Generated for Tolerates {
    /// What nobody could survive is not generated.
    fn generate(_: &str, _: &mut FaultGenerator<'_>) -> Self {
        Tolerates::Copies
    }
}

/// Reads one of a value's words.
pub(super) fn word<T: Named>(field: &Field, _: &SystemSpec) -> Result<T, ScenarioError> {
    field.one_of(T::WORDS, "list --faults")
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

/// What damage the fault stops at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerates {
    /// It damages copies and never the only one of what was promised, so all of that survives.
    Copies,
    /// It damages anything: no promise is left but that nothing damaged is ever served.
    Nothing,
}

/// A turn of a slow node.
pub(super) const SLICE: DurationRange =
    DurationRange { low: Duration::from_millis(10), high: Duration::from_millis(50) };

/// A server that can answer with an injected error.
pub(super) fn service(field: &Field, system: &SystemSpec) -> Result<Targets, ScenarioError> {
    let targets = Targets::read(field, system)?;
    let answers = |role: &Role| role.spec().answers_errors;
    if targets.iter().all(|target| target.role().as_ref().is_some_and(answers)) {
        return Ok(targets);
    }
    let known = system.system().roles().iter().filter(|role| answers(role));
    let known: Vec<String> = known.map(|role| format!("\"{role}\"")).collect();
    Err(match &known[..] {
        [] => field.refused(format!("no server of a {} answers injected errors", system.name())),
        _ => field.expected(&format!("a server: {}", known.join(" or "))),
    })
}

pub(super) fn target(field: &Field, system: &SystemSpec) -> Result<Targets, ScenarioError> {
    Targets::read(field, system)
}

/// A target that a system's own fault can strike.
pub(super) fn struck_by(
    fault: &OwnFault,
    field: &Field,
    system: &SystemSpec,
) -> Result<Targets, ScenarioError> {
    let targets = Targets::read(field, system)?;
    let wrong = targets.iter().find(|target| !fault.strikes(target.role()));
    match (wrong, fault.of_role()) {
        (Some(wrong), Some(role)) => Err(field
            .refused(format!("{wrong} is no {role}, and \"{}\" strikes only those", fault.name()))),
        _ => Ok(targets),
    }
}

/// The beginning of a kind of call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPrefix(pub String);

impl KeyValue for CallPrefix {
    no_range!();

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

impl Generated for CallPrefix {
    /// One kind of call on a server that can answer with an injected error.
    fn generate(_: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let calls = generator.vocabulary.calls.iter().map(|call| (*call, *call));
        CallPrefix(generator.choose(calls).to_string())
    }
}

pub(super) fn call(field: &Field, system: &SystemSpec) -> Result<CallPrefix, ScenarioError> {
    links::message(field, system).map(CallPrefix)
}

/// The beginning of a file's path.
pub(super) fn path(field: &Field, _: &SystemSpec) -> Result<String, ScenarioError> {
    field.text()
}

/// A share that is not negative.
pub(super) fn part(field: &Field, _: &SystemSpec) -> Result<Share, ScenarioError> {
    let share = field.share()?;
    if share.low < 0 { Err(field.expected("a share that is not negative")) } else { Ok(share) }
}

pub(super) fn drift(field: &Field, _: &SystemSpec) -> Result<Share, ScenarioError> {
    let drift = field.share()?;
    let max = crate::host::sim::DRIFT_PER_MILLION_MAX;
    match drift.low >= -max && drift.high <= max {
        true => Ok(drift),
        false => Err(field.expected("a drift from -50% to 50%")),
    }
}

pub(super) fn span(field: &Field, _: &SystemSpec) -> Result<DurationRange, ScenarioError> {
    field.duration_range()
}

/// From one time to the next: at once would be without end.
pub(super) fn period(field: &Field) -> Result<DurationRange, ScenarioError> {
    let period = field.duration_range()?;
    match period.low.is_zero() {
        true => Err(field.expected("a duration above 0s")),
        false => Ok(period),
    }
}

/// The same as a key of a kind.
pub(super) fn every(field: &Field, _: &SystemSpec) -> Result<DurationRange, ScenarioError> {
    period(field)
}

pub(super) fn signed(field: &Field, _: &SystemSpec) -> Result<SignedDurationRange, ScenarioError> {
    field.signed_duration_range()
}

/// How much room.
pub(super) fn room(field: &Field, _: &SystemSpec) -> Result<NumberRange, ScenarioError> {
    field.number_range()
}

/// How many bits flip at once at most: each is drawn, and stands in the trace.
const BITS_MAX: u64 = 10_000;

/// How many bits.
pub(super) fn bits(field: &Field, system: &SystemSpec) -> Result<NumberRange, ScenarioError> {
    let bits = count(field, system)?;
    match bits.high <= BITS_MAX {
        true => Ok(bits),
        false => Err(field.expected(&format!("at most {BITS_MAX} bits"))),
    }
}

/// A number that counts from 1.
pub(super) fn count(field: &Field, _: &SystemSpec) -> Result<NumberRange, ScenarioError> {
    let count = field.number_range()?;
    if count.low == 0 { Err(field.expected("a number that counts from 1")) } else { Ok(count) }
}
