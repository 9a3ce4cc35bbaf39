//! Generates faults: first which kinds take part in a run and how strongly, then the faults.
//!
//! A word is chosen by the heaviest of (draw, word), so that a new kind, target or milestone takes a few
//! places and leaves the others alone.

use super::{
    FAULT_KINDS,
    kinds::FaultKind,
    links::LinkSpec,
    spec::{FaultSpec, Repeat},
    target::Target,
    term::{DelayShape, Named, Tolerates},
    when::{Edge, TriggerCondition, When},
};
use crate::{
    harness::{
        check::Milestone,
        scenario::{DurationRange, NumberRange, Share, SignedDurationRange, SwarmSpec, SystemKind},
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
pub(super) struct FaultGenerator<'a> {
    draws: Draws,
    /// How far into its range a value may reach, in a million.
    strength: u64,
    system: SystemKind,
    messages: &'a [String],
}

impl FaultGenerator<'_> {
    pub(super) fn choose<T: Copy>(
        &mut self,
        items: impl IntoIterator<Item = (&'static str, T)>,
    ) -> T {
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
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self;
}

/// What stands between the quotes of an example.
fn unquoted(example: &str) -> &str {
    example.trim_matches('"')
}

impl Generated for Share {
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let range = Share::parse(unquoted(example)).expect("an example is sound");
        let reach = |width: i64| generator.reach(width.unsigned_abs()).cast_signed();
        match range.low < 0 {
            true => Share { low: -reach(range.low), high: reach(range.high) },
            false => Share { low: range.low, high: range.low + reach(range.high - range.low) },
        }
    }
}

impl Generated for SignedDurationRange {
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let range = SignedDurationRange::parse(unquoted(example)).expect("an example is sound");
        let reach = |width: i64| generator.reach(width.unsigned_abs()).cast_signed();
        SignedDurationRange { low: -reach(range.low), high: reach(range.high) }
    }
}

impl Generated for DurationRange {
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let range = DurationRange::parse(unquoted(example)).expect("an example is sound");
        let width = u64::try_from((range.high - range.low).as_nanos()).unwrap_or(u64::MAX);
        DurationRange {
            low: range.low,
            high: range.low + Duration::from_nanos(generator.reach(width)),
        }
    }
}

impl Generated for NumberRange {
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let range = NumberRange::parse(unquoted(example)).expect("an example is sound");
        NumberRange { low: range.low, high: range.low + generator.reach(range.high - range.low) }
    }
}

impl Generated for Target {
    fn generate(_: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let system = generator.system;
        let known = Target::NAMES.iter().filter(|(_, _, _, at)| at.contains(&system));
        generator.choose(known.map(|(name, target, _, _)| (*name, *target)))
    }
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

impl Generated for String {
    fn generate(example: &str, _: &mut FaultGenerator<'_>) -> Self {
        unquoted(example).to_string()
    }
}

impl<T: Generated> Generated for Option<T> {
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let value = T::generate(example, generator);
        generator.draws.chance(PRESENT_PER_MILLION).then_some(value)
    }
}

impl Generated for LinkSpec {
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let end =
            |generator: &mut FaultGenerator<'_>| match generator.draws.chance(EVERYONE_PER_MILLION)
            {
                true => Target::Everyone,
                false => Target::generate(example, generator),
            };
        let (from, to) = (end(generator), end(generator));
        let some = !generator.messages.is_empty() && !generator.draws.chance(EVERYONE_PER_MILLION);
        let message = some.then(|| {
            let word = generator.draws.next_u64();
            let heaviest = generator.messages.iter().max_by_key(|name| mix(word, name_hash(name)));
            heaviest.expect("there are some").clone()
        });
        LinkSpec { from, to, message }
    }
}

/// A kind that takes part in a run.
struct EnabledKind {
    name: &'static str,
    /// How often its faults come, against the others'.
    weight: u64,
    strength: u64,
}

/// The kinds that take part in the run of a plan seed; at least one.
fn enabled(swarm: &SwarmSpec, seed: u64) -> Vec<EnabledKind> {
    let share = swarm.kinds.draw(&mut Draws::new(seed, "swarm kinds", [0, 0]));
    let allowed = FAULT_KINDS.iter().filter(|kind| !swarm.without.iter().any(|w| w == kind.name));
    let mut drawn: Vec<(bool, u64, EnabledKind)> = allowed
        .map(|kind| {
            let mut draws = Draws::new(seed, "swarm kind", [name_hash(kind.name), 0]);
            let in_it = draws.chance(u32::try_from(share).unwrap_or(0));
            let (weight, strength) = (draws.between(1, WEIGHT_MAX), draws.between(1, 1_000_000));
            (in_it, draws.next_u64(), EnabledKind { name: kind.name, weight, strength })
        })
        .collect();
    if !drawn.iter().any(|(in_it, _, _)| *in_it)
        && let Some(lot) = drawn.iter_mut().max_by_key(|(_, lot, _)| *lot)
    {
        lot.0 = true;
    }
    drawn.into_iter().filter(|(in_it, _, _)| *in_it).map(|(_, _, kind)| kind).collect()
}

/// The faults of a plan seed with the place of each one's kind in [`FAULT_KINDS`]; what stands in
/// their ranges is still to be drawn.
pub(super) fn generate(
    swarm: &SwarmSpec,
    system: SystemKind,
    seed: u64,
) -> Vec<(FaultSpec, usize)> {
    let enabled = enabled(swarm, seed);
    let total: u64 = enabled.iter().map(|kind| kind.weight).sum();
    if total == 0 {
        return Vec::new();
    }
    let count = swarm.faults.draw(&mut Draws::new(seed, "swarm faults", [0, 0]));
    let mut faults: Vec<(FaultSpec, usize)> = Vec::new();
    for index in 0..count {
        let mut draws = Draws::new(seed, "swarm fault", [index, 0]);
        let mut lot = draws.below(total);
        let chosen = enabled.iter().find(|kind| match lot.checked_sub(kind.weight) {
            Some(rest) => {
                lot = rest;
                false
            }
            None => true,
        });
        let EnabledKind { name, strength, .. } = chosen.expect("the lot is below all weights");
        let (strength, messages) = (*strength, &swarm.messages[..]);
        let mut generator = FaultGenerator { draws, strength, system, messages };
        let kind = kind(name, &mut generator);
        let fault = fault(kind, index, swarm, &mut generator, &mut faults);
        let place = FAULT_KINDS.iter().position(|kind| kind.name == *name);
        faults.push((fault, place.expect("what is enabled is a kind")));
    }
    faults
}

fn kind(name: &str, generator: &mut FaultGenerator<'_>) -> FaultKind {
    loop {
        match FaultKind::generate(name, generator) {
            // What can strike nothing is a draw wasted.
            FaultKind::Clock { drift: None, .. } => {}
            FaultKind::ServiceError { target, .. } if !target.is_service() => {}
            FaultKind::WipeDisk { target } if target.is_service() => {}
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
    generator: &mut FaultGenerator<'_>,
    earlier: &mut [(FaultSpec, usize)],
) -> FaultSpec {
    let share = u32::try_from(swarm.on_milestones.draw(&mut generator.draws)).unwrap_or(0);
    let when = match generator.draws.chance(share) {
        true => {
            let most = generator.draws.between(swarm.nth.low, swarm.nth.high);
            let nth = generator.draws.between(swarm.nth.low, most);
            When::On(condition(NumberRange::only(nth), swarm.after, generator))
        }
        false => When::At(swarm.begin),
    };
    let with = generator.draws.chance(WITH_PER_MILLION);
    let other = generator.draws.below(index.max(1));
    let edge = if generator.draws.chance(PRESENT_PER_MILLION) { Edge::Start } else { Edge::End };
    let when = match earlier.get_mut(usize::try_from(other).expect("few faults")) {
        Some((of, _)) if with => {
            let fault = of.name.get_or_insert_with(|| format!("{SWARM_NAME}{}", other + 1)).clone();
            When::With { fault, edge, after: swarm.after }
        }
        _ => when,
    };
    let repeat = generator.draws.chance(REPEATED_PER_MILLION).then_some(REPEAT);
    let nth = NumberRange { low: 1, high: UNTIL_NTH_MAX };
    let until = condition(nth, swarm.after, generator);
    let until = generator.draws.chance(UNTIL_PER_MILLION).then_some(until);
    FaultSpec {
        name: None,
        kind,
        when,
        duration: swarm.duration,
        until,
        repeat,
        chance: Share::ALWAYS,
        pick: None,
    }
}

fn condition(
    nth: NumberRange,
    after: DurationRange,
    generator: &mut FaultGenerator<'_>,
) -> TriggerCondition {
    let known = Milestone::known(generator.system);
    let milestone = generator.choose(known.into_iter().map(|known| (known.name(), known)));
    // Half of what matters happens within the very step.
    let after = match generator.draws.chance(PRESENT_PER_MILLION) {
        true => DurationRange::only(Duration::ZERO),
        false => after,
    };
    TriggerCondition::new(milestone, nth, after)
}
