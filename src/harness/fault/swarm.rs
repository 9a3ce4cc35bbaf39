//! Generates faults: first which kinds take part in a run and how strongly, then the faults.
//!
//! A word is chosen by the heaviest of (draw, word), so that a new kind, actor or milestone takes a few
//! places and leaves the others alone.

use super::{
    FAULT_KINDS,
    actor::Actor,
    kinds::FaultKind,
    links::LinkSpec,
    spec::{FaultSpec, Repeat},
    term::{DelayShape, Named, Spares},
    when::{Anchor, Edge, When},
};
use crate::{
    harness::{
        check::Milestone,
        scenario::{
            DurationRange, NumberRange, Share, SignedDurationRange, SubjectKind, SwarmSpec,
        },
    },
    host::{
        Draws, mix, name_hash,
        sim::{Applied, DiskOp, Unsynced},
    },
};
use std::time::Duration;

/// How the names of generated faults begin.
pub const SWARM_NAME: &str = "swarm-";

/// How often a generated fault comes again, ends on a milestone, or hangs on an earlier one.
const REPEATED_PER_MILLION: u32 = 200_000;
const UNTIL_PER_MILLION: u32 = 150_000;
const WITH_PER_MILLION: u32 = 150_000;
/// How often a key that may be absent is there.
const PRESENT_PER_MILLION: u32 = 500_000;
/// How often a fault of links strikes all links, and all messages.
const EVERYONE_PER_MILLION: u32 = 500_000;
/// The milestone that ends a fault is one of the first so many after its begin.
const UNTIL_NTH_MAX: u64 = 3;
/// A kind takes part with a weight from 1 to this.
const WEIGHT_MAX: u64 = 8;

const REPEAT: Repeat = Repeat {
    times: NumberRange { low: 2, high: 4 },
    every: DurationRange { low: Duration::from_millis(500), high: Duration::from_secs(8) },
};

/// What a value of a generated fault is drawn from.
pub(super) struct Wild<'a> {
    draws: Draws,
    /// How far into its range a value may reach, in a million.
    strength: u64,
    subject: SubjectKind,
    messages: &'a [String],
}

impl Wild<'_> {
    fn choose<T: Copy>(&mut self, items: impl IntoIterator<Item = (&'static str, T)>) -> T {
        let word = self.draws.next_u64();
        let weighed = items.into_iter().max_by_key(|(name, _)| mix(word, name_hash(name)));
        weighed.expect("every vocabulary has words").1
    }

    /// A range up to where the strength reaches.
    fn reach(&self, width: u64) -> u64 {
        let reached = u128::from(width) * u128::from(self.strength) / 1_000_000;
        u64::try_from(reached).expect("a part of the width")
    }
}

/// A value that can be generated.
pub(super) trait Generated: Sized {
    /// Within what a file's `example` says, as far as the strength reaches.
    fn generate(example: &str, wild: &mut Wild<'_>) -> Self;
}

/// What stands between the quotes of an example.
fn unquoted(example: &str) -> &str {
    example.trim_matches('"')
}

impl Generated for Share {
    fn generate(example: &str, wild: &mut Wild<'_>) -> Self {
        let range = Share::parse(unquoted(example)).expect("an example is sound");
        let reach = |width: i64| wild.reach(width.unsigned_abs()).cast_signed();
        match range.low < 0 {
            true => Share { low: -reach(range.low), high: reach(range.high) },
            false => Share { low: range.low, high: range.low + reach(range.high - range.low) },
        }
    }
}

impl Generated for SignedDurationRange {
    fn generate(example: &str, wild: &mut Wild<'_>) -> Self {
        let range = SignedDurationRange::parse(unquoted(example)).expect("an example is sound");
        let reach = |width: i64| wild.reach(width.unsigned_abs()).cast_signed();
        SignedDurationRange { low: -reach(range.low), high: reach(range.high) }
    }
}

impl Generated for DurationRange {
    fn generate(example: &str, wild: &mut Wild<'_>) -> Self {
        let range = DurationRange::parse(unquoted(example)).expect("an example is sound");
        let width = u64::try_from((range.high - range.low).as_nanos()).unwrap_or(u64::MAX);
        DurationRange { low: range.low, high: range.low + Duration::from_nanos(wild.reach(width)) }
    }
}

impl Generated for NumberRange {
    fn generate(example: &str, wild: &mut Wild<'_>) -> Self {
        let range = NumberRange::parse(unquoted(example)).expect("an example is sound");
        NumberRange { low: range.low, high: range.low + wild.reach(range.high - range.low) }
    }
}

impl Generated for Actor {
    fn generate(_: &str, wild: &mut Wild<'_>) -> Self {
        let subject = wild.subject;
        let known = Actor::NAMES.iter().filter(|(_, _, _, at)| at.contains(&subject));
        wild.choose(known.map(|(name, actor, _, _)| (*name, *actor)))
    }
}

macro_rules! words {
    ($($type:ident),+) => {$(
        impl Generated for $type {
            fn generate(_: &str, wild: &mut Wild<'_>) -> Self {
                wild.choose($type::WORDS.iter().copied())
            }
        }
    )+};
}

words!(DiskOp, DelayShape, Unsynced, Applied);

impl Generated for Spares {
    /// What nobody could survive is not made up.
    fn generate(_: &str, _: &mut Wild<'_>) -> Self {
        Spares::SoleCopies
    }
}

impl Generated for String {
    fn generate(example: &str, _: &mut Wild<'_>) -> Self {
        unquoted(example).to_string()
    }
}

impl<T: Generated> Generated for Option<T> {
    fn generate(example: &str, wild: &mut Wild<'_>) -> Self {
        let value = T::generate(example, wild);
        wild.draws.chance(PRESENT_PER_MILLION).then_some(value)
    }
}

impl Generated for LinkSpec {
    fn generate(example: &str, wild: &mut Wild<'_>) -> Self {
        let end = |wild: &mut Wild<'_>| match wild.draws.chance(EVERYONE_PER_MILLION) {
            true => Actor::Everyone,
            false => Actor::generate(example, wild),
        };
        let (from, to) = (end(wild), end(wild));
        let some = !wild.messages.is_empty() && !wild.draws.chance(EVERYONE_PER_MILLION);
        let message = some.then(|| {
            let word = wild.draws.next_u64();
            let heaviest = wild.messages.iter().max_by_key(|name| mix(word, name_hash(name)));
            heaviest.expect("there are some").clone()
        });
        LinkSpec { from, to, message }
    }
}

/// A kind that takes part in a run.
struct Partaker {
    name: &'static str,
    /// How often its faults come, against the others'.
    weight: u64,
    strength: u64,
}

/// The kinds that take part in the run of a plan seed; at least one.
fn partakers(swarm: &SwarmSpec, seed: u64) -> Vec<Partaker> {
    let share = swarm.kinds.draw(&mut Draws::new(seed, "swarm kinds", [0, 0]));
    let lawful = FAULT_KINDS.iter().filter(|kind| !swarm.without.iter().any(|w| w == kind.name));
    let mut drawn: Vec<(bool, u64, Partaker)> = lawful
        .map(|kind| {
            let mut draws = Draws::new(seed, "swarm kind", [name_hash(kind.name), 0]);
            let in_it = draws.chance(u32::try_from(share).unwrap_or(0));
            let (weight, strength) = (draws.between(1, WEIGHT_MAX), draws.between(1, 1_000_000));
            (in_it, draws.next_u64(), Partaker { name: kind.name, weight, strength })
        })
        .collect();
    if !drawn.iter().any(|(in_it, _, _)| *in_it)
        && let Some(lot) = drawn.iter_mut().max_by_key(|(_, lot, _)| *lot)
    {
        lot.0 = true;
    }
    drawn.into_iter().filter(|(in_it, _, _)| *in_it).map(|(_, _, partaker)| partaker).collect()
}

/// The faults of a plan seed with the place of each one's kind in [`FAULT_KINDS`]; what stands in
/// their ranges is still to be drawn.
pub(super) fn generate(
    swarm: &SwarmSpec,
    subject: SubjectKind,
    seed: u64,
) -> Vec<(FaultSpec, usize)> {
    let partakers = partakers(swarm, seed);
    let total: u64 = partakers.iter().map(|partaker| partaker.weight).sum();
    if total == 0 {
        return Vec::new();
    }
    let count = swarm.faults.draw(&mut Draws::new(seed, "swarm faults", [0, 0]));
    let mut faults: Vec<(FaultSpec, usize)> = Vec::new();
    for index in 0..count {
        let mut draws = Draws::new(seed, "swarm fault", [index, 0]);
        let mut lot = draws.below(total);
        let partaker = partakers.iter().find(|partaker| match lot.checked_sub(partaker.weight) {
            Some(rest) => {
                lot = rest;
                false
            }
            None => true,
        });
        let Partaker { name, strength, .. } = partaker.expect("the lot is below all weights");
        let (strength, messages) = (*strength, &swarm.messages[..]);
        let mut wild = Wild { draws, strength, subject, messages };
        let kind = kind(name, &mut wild);
        let fault = fault(kind, index, swarm, &mut wild, &mut faults);
        let place = FAULT_KINDS.iter().position(|kind| kind.name == *name);
        faults.push((fault, place.expect("partakers are kinds")));
    }
    faults
}

fn kind(name: &str, wild: &mut Wild<'_>) -> FaultKind {
    loop {
        match FaultKind::generate(name, wild) {
            // What can strike nothing is a draw wasted.
            FaultKind::Clock { drift: None, .. } => {}
            FaultKind::ServiceError { target, .. } if !target.is_service() => {}
            FaultKind::Replace { target } if target.is_service() => {}
            FaultKind::DiskError { target, .. }
            | FaultKind::DiskFull { target }
            | FaultKind::DiskSlow { target, .. }
            | FaultKind::DiskStall { target, .. }
                if !target.has_files() => {}
            kind => return kind,
        }
    }
}

fn fault(
    kind: FaultKind,
    index: u64,
    swarm: &SwarmSpec,
    wild: &mut Wild<'_>,
    earlier: &mut [(FaultSpec, usize)],
) -> FaultSpec {
    let share = u32::try_from(swarm.on_milestones.draw(&mut wild.draws)).unwrap_or(0);
    let when = match wild.draws.chance(share) {
        true => {
            let most = wild.draws.between(swarm.nth.low, swarm.nth.high);
            let nth = wild.draws.between(swarm.nth.low, most);
            When::On(anchor(NumberRange::only(nth), swarm.after, wild))
        }
        false => When::At(swarm.begin),
    };
    let with = wild.draws.chance(WITH_PER_MILLION);
    let other = wild.draws.below(index.max(1));
    let edge = if wild.draws.chance(PRESENT_PER_MILLION) { Edge::Start } else { Edge::End };
    let when = match earlier.get_mut(usize::try_from(other).expect("few faults")) {
        Some((of, _)) if with => {
            let fault = of.name.get_or_insert_with(|| format!("{SWARM_NAME}{}", other + 1)).clone();
            When::With { fault, edge, after: swarm.after }
        }
        _ => when,
    };
    let repeat = wild.draws.chance(REPEATED_PER_MILLION).then_some(REPEAT);
    let nth = NumberRange { low: 1, high: UNTIL_NTH_MAX };
    let until = anchor(nth, swarm.after, wild);
    let until = wild.draws.chance(UNTIL_PER_MILLION).then_some(until);
    FaultSpec {
        name: None,
        kind,
        when,
        lasts: swarm.lasts,
        until,
        repeat,
        chance: Share::ALWAYS,
        pick: None,
    }
}

fn anchor(nth: NumberRange, after: DurationRange, wild: &mut Wild<'_>) -> Anchor {
    let known = Milestone::known(wild.subject);
    let milestone = wild.choose(known.into_iter().map(|known| (known.name(), known)));
    // Half of what matters happens within the very step.
    let after = match wild.draws.chance(PRESENT_PER_MILLION) {
        true => DurationRange::only(Duration::ZERO),
        false => after,
    };
    Anchor::new(milestone, nth, after)
}
