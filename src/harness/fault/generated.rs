//! Values that can be generated, and from what they are drawn.
//!
//! A word is chosen by the heaviest of (draw, word), so that a new kind, target or milestone takes a few
//! places and leaves the others alone.

use crate::{
    harness::{
        event::Milestone,
        language::{DurationRange, NumberRange, Share, SignedDurationRange},
        system::{Disk, OwnFault, Role, SystemSpec, Target, TargetWords},
    },
    host::{Draws, mix, name_hash},
};
use std::time::Duration;

/// The kind that strikes only servers that can answer with an injected error.
const SERVICE_ERROR: &str = "service-error";

/// The kind that strikes only disks that hold copies.
const DISK_SET_BACK: &str = "disk-set-back";

/// How often a key that may be absent is there.
pub const PRESENT_PER_MILLION: u32 = 500_000;
/// How often a fault of links strikes all links, and all messages.
pub const EVERYONE_PER_MILLION: u32 = 500_000;

/// What a value of a generated fault is drawn from.
pub struct FaultGenerator<'a> {
    pub draws: Draws,
    /// How far into its range a value may reach, in a million.
    pub strength: u64,
    pub vocabulary: &'a Vocabulary,
    pub messages: &'a [String],
}

/// What faults can name where a system runs.
pub struct Vocabulary {
    roles: &'static [Role],
    targets: Vec<TargetWords>,
    pub milestones: Vec<Milestone>,
    /// The kinds of calls that may be answered with an injected error.
    pub calls: Vec<&'static str>,
    /// The system's own kinds.
    pub own_faults: &'static [OwnFault],
}

impl Vocabulary {
    pub fn of(system: &SystemSpec) -> Self {
        let mut targets = system.targets();
        // Of a role without a node nobody is struck.
        let nodes = system.nodes();
        let is_there = |role: Role| {
            nodes.iter().find(|of| of.name == role.name()).is_none_or(|of| of.count.high > 0)
        };
        targets.retain(|words| words.target.role().is_none_or(is_there));
        // Where there are no places nobody is at one.
        targets.retain(|words| match words.target {
            Target::At(place, _) => system.placement().count(place).low > 0,
            _ => true,
        });
        // Which of several means little to a fault whose target is drawn, and of one node each name but
        // one.
        targets.retain(|words| match words.target {
            Target::Part(_) | Target::Random(_) => {
                words.target.role().is_none_or(|role| !Target::All(role).is_one(system))
            }
            _ => !words.is_numbered,
        });
        let roles = system.system().roles();
        // A property in another line must not draw other plans.
        let mut milestones = system.milestones();
        milestones.retain(|milestone| !milestone.is_property());
        let calls = calls(system, roles);
        Vocabulary { roles, targets, milestones, calls, own_faults: system.faults() }
    }

    /// Whether there are words for what a fault of that kind must name.
    pub fn knows(&self, kind: &str) -> bool {
        let has_copies = || self.roles.iter().any(|role| role.spec().disk == Disk::Copies);
        match kind {
            SERVICE_ERROR => !self.calls.is_empty(),
            DISK_SET_BACK => has_copies(),
            _ => true,
        }
    }

    /// Whether a target may mean a node whose role is so.
    pub fn may_be(&self, target: Target, is: impl Fn(Role) -> bool) -> bool {
        target.role().map_or_else(|| self.roles.iter().any(|role| is(*role)), &is)
    }
}

/// The kinds of calls on servers that can answer with an injected error.
fn calls(system: &SystemSpec, roles: &[Role]) -> Vec<&'static str> {
    let answering = roles.iter().filter(|role| role.spec().answers_errors);
    let gateways: Vec<&str> = answering.flat_map(|role| role.spec().serves).copied().collect();
    let kinds = system.messages().into_iter().flat_map(|group| group.kinds);
    let is_call = |kind: &&'static str| {
        let gateway = kind.split('.').next();
        gateway.is_some_and(|gateway| gateways.contains(&gateway)) && !kind.ends_with(".reply")
    };
    kinds.filter(is_call).collect()
}

impl FaultGenerator<'_> {
    pub fn choose<'n, T: Copy>(&mut self, items: impl IntoIterator<Item = (&'n str, T)>) -> T {
        let word = self.draws.next_u64();
        let weighed = items.into_iter().max_by_key(|(name, _)| mix(word, name_hash(name)));
        weighed.expect("every vocabulary has words").1
    }

    /// A target whose role is so.
    pub fn target_of(&mut self, is: impl Fn(Option<Role>) -> bool) -> Target {
        let known = self.vocabulary.targets.iter().filter(|words| is(words.target.role()));
        self.choose(known.map(|words| (words.name.as_str(), words.target)))
    }

    /// A range up to where the strength reaches.
    fn reach(&self, width: u64) -> u64 {
        let reached = u128::from(width) * u128::from(self.strength) / 1_000_000;
        u64::try_from(reached).expect("a part of the width")
    }
}

/// A value that can be generated.
pub trait Generated: Sized {
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
        generator.target_of(|_| true)
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
