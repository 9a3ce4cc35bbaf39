//! Generates faults: first which kinds take part in a run and how strongly, then the faults.

use super::{
    form::Ranges,
    generated::{FaultGenerator, PRESENT_PER_MILLION, Vocabulary},
    kinds::{FaultKind, fault_kinds},
    links::LinkSpec,
    partition::PartitionSpec,
    spec::{FaultSpec, Repeat},
    swarm::SwarmSpec,
    targets::Targets,
    when::{Edge, TriggerCondition, When},
    window::Window,
    words::FaultWords,
};
use crate::{
    harness::{
        language::{DurationRange, NumberRange, Share},
        system::{Disk, Role, SystemSpec, Target},
    },
    host::{Draws, name_hash},
};
use std::time::Duration;

/// How the names of generated faults begin.
pub const SWARM_NAME: &str = "swarm-";

/// How often a generated fault comes again, ends on a milestone, or hangs on an earlier one.
const REPEATED_PER_MILLION: u32 = 200_000;
const UNTIL_PER_MILLION: u32 = 150_000;
const WITH_PER_MILLION: u32 = 150_000;
/// How often a fault is drawn anew that could strike nothing.
const TRIES_MAX: usize = 1000;
/// The milestone that ends a fault is one of the first so many after its begin.
const UNTIL_NTH_MAX: u64 = 3;
/// A kind takes part with a weight from 1 to this.
const WEIGHT_MAX: u64 = 8;

const REPEAT: Repeat = Repeat {
    times: NumberRange { low: 2, high: 4 },
    every: DurationRange { low: Duration::from_millis(500), high: Duration::from_secs(8) },
};

/// How long quiet periods last, and how often they come.
const QUIET: DurationRange =
    DurationRange { low: Duration::from_millis(1500), high: Duration::from_secs(5) };
const QUIET_REPEAT: Repeat = Repeat {
    times: NumberRange { low: 1, high: 3 },
    every: DurationRange { low: Duration::from_secs(5), high: Duration::from_secs(10) },
};

/// A kind that takes part in a run.
struct EnabledKind {
    name: &'static str,
    /// How often its faults come, against the others'.
    weight: u64,
    strength: u64,
}

/// The kinds that take part in the run of a plan seed; at least one.
fn enabled(
    swarm: &SwarmSpec,
    kinds: &[FaultWords],
    vocabulary: &Vocabulary,
    seed: u64,
) -> Vec<EnabledKind> {
    let share = swarm.kinds.draw(&mut Draws::new(seed, "swarm kinds", [0, 0]));
    let allowed = kinds.iter().filter(|kind| !swarm.without.iter().any(|w| w == kind.name));
    let allowed = allowed.filter(|kind| vocabulary.knows(kind.name));
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

/// The faults of a plan seed with the place of each one's kind in [`fault_kinds`]; what stands in
/// their ranges is still to be drawn.
pub fn generate(swarm: &SwarmSpec, system: &SystemSpec, seed: u64) -> Vec<(FaultSpec, usize)> {
    let kinds = fault_kinds(system.system());
    let vocabulary = Vocabulary::of(system);
    let enabled = enabled(swarm, &kinds, &vocabulary, seed);
    let total: u64 = enabled.iter().map(|kind| kind.weight).sum();
    if total == 0 {
        return Vec::new();
    }
    let (at_edges, earliest) = (swarm.is_at_edges(seed), swarm.earliest(seed));
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
        let mut generator = FaultGenerator { draws, strength, vocabulary: &vocabulary, messages };
        let kind = kind(name, &mut generator);
        let kind = if at_edges { kind.at_edges(&mut generator.draws) } else { kind };
        let mut fault = fault(kind, index, swarm, &mut generator, &mut faults);
        after_start_up(&mut fault, earliest);
        let place = kinds.iter().position(|kind| kind.name == *name);
        faults.push((fault, place.expect("what is enabled is a kind")));
    }
    let place = kinds.iter().position(|kind| kind.name == FaultKind::<Ranges>::Quiet {}.name());
    if let Some(place) = place.filter(|_| swarm.has_quiet(seed)) {
        faults.push((quiet(swarm), place));
    }
    faults
}

/// Some quiet periods, none of them in the first quarter of the time in which faults begin.
fn quiet(swarm: &SwarmSpec) -> FaultSpec {
    let DurationRange { low, high } = swarm.begin;
    FaultSpec {
        name: None,
        kind: FaultKind::Quiet {},
        among: None,
        when: When::At(DurationRange { low: low + (high - low) / 4, high }),
        duration: QUIET,
        until: None,
        window: Window::OPEN,
        repeat: Some(QUIET_REPEAT),
        chance: Share::ALWAYS,
        pick: None,
    }
}

/// Lets a fault begin no earlier than the system has started.
fn after_start_up(fault: &mut FaultSpec, earliest: Option<Duration>) {
    let Some(earliest) = earliest else { return };
    let later = |range: &mut DurationRange| {
        range.low = range.low.max(earliest);
        range.high = range.high.max(earliest);
    };
    if let When::At(at) = &mut fault.when {
        return later(at);
    }
    fault.window.not_before = Some(DurationRange::only(earliest));
    fault.window.no_later_than.iter_mut().for_each(later);
}

fn kind(name: &str, generator: &mut FaultGenerator<'_>) -> FaultKind {
    // What can strike nothing is a draw wasted, but a system may have nothing else.
    for _ in 0..TRIES_MAX {
        let kind = FaultKind::generate(name, generator);
        if can_strike(&kind, generator.vocabulary) {
            return kind;
        }
    }
    FaultKind::generate(name, generator)
}

fn can_strike(kind: &FaultKind, vocabulary: &Vocabulary) -> bool {
    let may_be = |targets: &Targets, is: fn(Role) -> bool| {
        targets.iter().any(|target| vocabulary.may_be(target, is))
    };
    let with_disk = |targets| may_be(targets, |role| role.spec().disk != Disk::Nothing);
    match kind {
        FaultKind::Clock { drift, .. } => drift.is_some(),
        FaultKind::ServiceError { target, call, .. } => {
            let answers = |role: Role| role.spec().answers_errors;
            let serves = |role: Role| call.as_ref().is_none_or(|call| serves_any(role, &call.0));
            let roles = || target.iter().map(Target::role);
            roles().all(|role| role.is_some_and(|role| answers(role) && serves(role)))
        }
        FaultKind::Loss { links, .. }
        | FaultKind::Delay { links, .. }
        | FaultKind::Reorder { links, .. }
        | FaultKind::Duplicate { links, .. }
        | FaultKind::Corrupt { links, .. }
        | FaultKind::CutShort { links, .. }
        | FaultKind::Hold { links, .. }
        | FaultKind::LoseOne { links, .. }
        | FaultKind::SlowLink { links, .. } => can_cross(links),
        FaultKind::Reset { from, to }
        | FaultKind::Partition {
            cut: PartitionSpec::Pair { from, to } | PartitionSpec::OneWay { from, to },
        } => can_cross(&LinkSpec::between(from.clone(), to.clone())),
        FaultKind::WipeDisk { target } => may_be(target, |role| role.spec().disk != Disk::OnlyCopy),
        FaultKind::DiskError { target, .. }
        | FaultKind::DiskFull { target, .. }
        | FaultKind::DiskSlow { target, .. }
        | FaultKind::DiskStall { target, .. } => with_disk(target),
        _ => true,
    }
}

/// Whether a role serves what such messages are for.
fn serves_any(role: Role, message: &str) -> bool {
    let mut gateways = role.spec().serves.iter().map(|gateway| format!("{gateway}."));
    gateways.any(|gateway| message.starts_with(&gateway) || gateway.starts_with(message))
}

/// Whether such messages can cross such links at all: one end serves what they are for.
fn can_cross(links: &LinkSpec) -> bool {
    let LinkSpec { from, to, message } = links;
    let may_serve = |targets: &Targets, serves: &dyn Fn(Role) -> bool| {
        targets.iter().any(|target| target.role().is_none_or(serves))
    };
    let any = |role: Role| !role.spec().serves.is_empty();
    match message.as_deref() {
        // Everybody may have streams.
        Some(message) if message.starts_with("stream.") => true,
        None => may_serve(from, &any) || may_serve(to, &any),
        Some(message) => {
            let serves = |role: Role| serves_any(role, message);
            // A beginning without it is that of answers too.
            may_serve(from, &serves) || !message.ends_with(".reply") && may_serve(to, &serves)
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
    let hangs = !matches!(when, When::At(_));
    let window =
        Window { no_later_than: hangs.then_some(swarm.latest), must_strike: true, ..Window::OPEN };
    let repeat = generator.draws.chance(REPEATED_PER_MILLION).then_some(REPEAT);
    let nth = NumberRange { low: 1, high: UNTIL_NTH_MAX };
    let until = condition(nth, swarm.after, generator);
    let until = generator.draws.chance(UNTIL_PER_MILLION).then_some(until);
    // What only happens at its begin has no end to draw.
    let lasts = !kind.is_momentary();
    FaultSpec {
        name: None,
        kind,
        among: None,
        when,
        duration: if lasts { swarm.duration } else { DurationRange::ZERO },
        until: until.filter(|_| lasts),
        window,
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
    let known = generator.vocabulary.milestones.iter();
    let milestone = generator.choose(known.map(|known| (known.name(), *known)));
    // Half of what matters happens within the very step.
    let after = match generator.draws.chance(PRESENT_PER_MILLION) {
        true => DurationRange::ZERO,
        false => after,
    };
    TriggerCondition::new(milestone, nth, after)
}
