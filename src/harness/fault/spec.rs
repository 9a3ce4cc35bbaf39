//! Faults as a scenario file asks for them, ranges included.

use super::{actor::Actor, words::FAULT_KINDS};
use crate::{
    harness::{
        check::Milestone,
        scenario::{
            DurationRange, Field, NumberRange, Reader, ScenarioError, Share, SignedDurationRange,
            Subject, SubjectKind, gateways, messages, nearest,
        },
    },
    host::sim::DiskOp,
};
use std::time::Duration;

/// Which links and messages a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The senders.
    pub from: Actor,
    /// The receivers.
    pub to: Actor,
    /// Only kinds that begin with this.
    pub message: Option<String>,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A share of the frames is lost.
    Loss(LinkSpec, Share),
    /// Frames take longer.
    Delay(LinkSpec, DurationRange),
    /// A share of the frames arrives twice.
    Duplicate(LinkSpec, Share),
    /// A share of the frames arrives damaged.
    Corrupt(LinkSpec, Share),
    /// Frames are kept back until the end.
    Hold(LinkSpec),
    /// One side can't reach the rest, nor be reached.
    Partition(Actor),
    /// Nothing passes from one to the other; the way back is open.
    OneWay(Actor, Actor),
    /// The process is killed; restarted at the end.
    Crash(Actor),
    /// The machine loses power; restarted at the end.
    PowerCut(Actor),
    /// The process stands still until the end.
    Pause(Actor),
    /// A share of the disk's operations of a kind fails with EIO until the end.
    DiskError(Actor, DiskOp, Share),
    /// The clock drifts until the end, or is stepped once.
    Clock(Actor, Option<Share>, Option<SignedDurationRange>),
}

/// The kinds of disk operations that a fault can strike.
pub const DISK_OPERATIONS: &[(&str, DiskOp)] = &[
    ("read", DiskOp::Read),
    ("write", DiskOp::Write),
    ("sync", DiskOp::Sync),
    ("metadata", DiskOp::Metadata),
    ("any", DiskOp::Any),
];

/// When a fault begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At a time since the run began.
    At(DurationRange),
    /// Some time after a milestone was reached for the n-th time.
    On {
        /// The milestone.
        milestone: Milestone,
        /// Which time, from 1.
        nth: NumberRange,
        /// How long after; zero is within the very step.
        after: DurationRange,
    },
}

/// How often a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// How many times in all.
    pub times: NumberRange,
    /// From one beginning to the next.
    pub every: DurationRange,
}

/// A fault of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpec {
    /// What it does.
    pub kind: FaultKind,
    /// When it begins.
    pub when: When,
    /// How long it lasts.
    pub lasts: DurationRange,
    /// Whether it comes again.
    pub repeat: Option<Repeat>,
    /// In which share of the runs it comes at all.
    pub chance: Share,
    /// Picks among several nodes when it fires; drawn if absent. Written into executed plans.
    pub pick: Option<u64>,
}

/// What the rest of a scenario says that its faults must fit.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What runs.
    pub subject: &'a Subject,
    /// What has not begun by then never does.
    pub faults_end: Duration,
}

fn links(table: &mut Reader, around: Surroundings<'_>) -> Result<LinkSpec, ScenarioError> {
    let actor = |field: &Field| Actor::read(field, around.subject);
    Ok(LinkSpec {
        from: table.take("from", actor)?.unwrap_or(Actor::Everyone),
        to: table.take("to", actor)?.unwrap_or(Actor::Everyone),
        message: table.take("message", |field| message(field, around.subject.kind()))?,
    })
}

/// Reads the beginning of a message's kind.
fn message(field: &Field, subject: SubjectKind) -> Result<String, ScenarioError> {
    let prefix = field.text()?;
    let known = messages(subject);
    if known.iter().any(|kind| kind.starts_with(&prefix)) {
        return Ok(prefix);
    }
    let gateways = gateways(subject);
    let words: Vec<&str> = known.into_iter().chain(gateways.iter().map(String::as_str)).collect();
    let near = nearest(&prefix, words);
    let error = field.refused(format!("no message of a {subject} begins with \"{prefix}\""));
    let error = match near[..] {
        [] => error,
        _ => {
            let near: Vec<String> = near.iter().take(3).map(|kind| format!("\"{kind}\"")).collect();
            error.with_help(format!("did you mean {}?", near.join(" or ")))
        }
    };
    Err(error.with_help("see `wavetank list --messages`"))
}

fn not_negative(field: &Field) -> Result<Share, ScenarioError> {
    let share = field.share()?;
    if share.low < 0 { Err(field.expected("a share that is not negative")) } else { Ok(share) }
}

fn share(table: &mut Reader) -> Result<Share, ScenarioError> {
    table.need("share", not_negative)
}

fn drift(field: &Field) -> Result<Share, ScenarioError> {
    let drift = field.share()?;
    let max = crate::host::sim::DRIFT_PER_MILLION_MAX;
    match drift.low >= -max && drift.high <= max {
        true => Ok(drift),
        false => Err(field.expected("a drift from -50% to 50%")),
    }
}

impl FaultSpec {
    /// Reads a `[[fault]]` table.
    ///
    /// # Errors
    /// With the place of the first mistake.
    pub fn read(mut table: Reader, around: Surroundings<'_>) -> Result<Self, ScenarioError> {
        let actor = |field: &Field| Actor::read(field, around.subject);
        let kinds: Vec<(&str, &str)> =
            FAULT_KINDS.iter().map(|kind| (kind.name, kind.name)).collect();
        let kind = table.need("kind", |field| field.one_of(&kinds, "list --faults"))?;
        let kind = match kind {
            "loss" => FaultKind::Loss(links(&mut table, around)?, share(&mut table)?),
            "delay" => FaultKind::Delay(
                links(&mut table, around)?,
                table.need("by", Field::duration_range)?,
            ),
            "duplicate" => FaultKind::Duplicate(links(&mut table, around)?, share(&mut table)?),
            "corrupt" => FaultKind::Corrupt(links(&mut table, around)?, share(&mut table)?),
            "hold" => FaultKind::Hold(links(&mut table, around)?),
            "partition" => FaultKind::Partition(table.need("isolate", actor)?),
            "one-way" => FaultKind::OneWay(table.need("from", actor)?, table.need("to", actor)?),
            "crash" => FaultKind::Crash(table.need("target", actor)?),
            "power-cut" => FaultKind::PowerCut(table.need("target", actor)?),
            "pause" => FaultKind::Pause(table.need("target", actor)?),
            "disk-error" => FaultKind::DiskError(
                table.need("target", actor)?,
                table.need("operation", |field| field.one_of(DISK_OPERATIONS, "list --faults"))?,
                share(&mut table)?,
            ),
            _ => {
                let target = table.need("target", actor)?;
                let drift = table.take("drift", drift)?;
                let step = table.take("step", Field::signed_duration_range)?;
                if drift.is_none() && step.is_none() {
                    return Err(table.error("a clock fault needs `drift` or `step`"));
                }
                FaultKind::Clock(target, drift, step)
            }
        };
        let when = When::read(&mut table, around)?;
        let lasts = table.need("lasts", Field::duration_range)?;
        let repeat = table.take("repeat", |field| {
            let mut repeat = field.table()?;
            let times = repeat.need("times", Field::number_range)?;
            let every = repeat.need("every", Field::duration_range)?;
            repeat.finish()?;
            Ok(Repeat { times, every })
        })?;
        let chance = table.take("chance", not_negative)?.unwrap_or(Share::ALWAYS);
        let pick = table.take("pick", Field::number)?;
        table.finish()?;
        Ok(FaultSpec { kind, when, lasts, repeat, chance, pick })
    }
}

impl When {
    fn read(table: &mut Reader, around: Surroundings<'_>) -> Result<Self, ScenarioError> {
        let at = table.take("at", |field| {
            let at = field.duration_range()?;
            if at.low < around.faults_end {
                return Ok(at);
            }
            let end = around.faults_end.as_secs_f64();
            let help = "from then on everything is healed, and no fault begins";
            Err(field.expected(&format!("a time before `faults-end` ({end}s)")).with_help(help))
        })?;
        let on = table.take("on", |field| {
            let mut on = field.table()?;
            let subject = around.subject.kind();
            let milestone = on.need("milestone", |field| Milestone::read(field, subject))?;
            let nth =
                on.take("nth", Field::number_range)?.unwrap_or(NumberRange { low: 1, high: 1 });
            let zero = DurationRange { low: Duration::ZERO, high: Duration::ZERO };
            let after = on.take("after", Field::duration_range)?.unwrap_or(zero);
            on.finish()?;
            Ok(When::On { milestone, nth, after })
        })?;
        match (at, on) {
            (Some(at), None) => Ok(When::At(at)),
            (None, Some(on)) => Ok(on),
            (Some(_), Some(_)) => {
                Err(table.error("a fault begins `at` a time or `on` a milestone, not both"))
            }
            (None, None) => Err(table.error("a fault needs `at` (a time) or `on` (a milestone)")),
        }
    }
}
