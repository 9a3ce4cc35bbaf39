//! A plan: a scenario's faults with everything drawn that a seed draws.
//!
//! A plan depends on the scenario and the seed alone, never on the code under test.

use super::{
    actor::Actor,
    spec::{FaultKind, FaultSpec, LinkSpec, When},
    write::operation_name,
};
use crate::{
    harness::{
        check::Milestone,
        scenario::{DurationRange, NumberRange, Scenario, Share, SignedDurationRange, percent},
    },
    host::{Draws, sim::DiskOp},
};
use std::{fmt, time::Duration};

/// What a planned fault does, with its numbers drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannedKind {
    /// Frames lost, in a million.
    Loss(LinkSpec, u32),
    /// Frames delayed by up to this.
    Delay(LinkSpec, Duration),
    /// Frames repeated, in a million.
    Duplicate(LinkSpec, u32),
    /// Frames damaged, in a million.
    Corrupt(LinkSpec, u32),
    /// Frames kept back.
    Hold(LinkSpec),
    /// Cut off both ways.
    Partition(Actor),
    /// Cut off one way.
    OneWay(Actor, Actor),
    /// Process killed.
    Crash(Actor),
    /// Power lost.
    PowerCut(Actor),
    /// Process paused.
    Pause(Actor),
    /// Disk operations that fail, in a million.
    DiskError(Actor, DiskOp, u32),
    /// Clock drifting, in parts of a million.
    Drift(Actor, i64),
    /// Wall clock stepped, in nanoseconds.
    Step(Actor, i64),
}

/// When a planned fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedWhen {
    /// At a time since the run began.
    At(Duration),
    /// After a milestone.
    On(Milestone, u64, Duration),
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// What it does.
    pub kind: PlannedKind,
    /// When it begins.
    pub when: PlannedWhen,
    /// How long it lasts.
    pub lasts: Duration,
    /// Picks among several nodes when the fault fires.
    pub pick: u64,
}

impl PlannedFault {
    /// The fault of a scenario file that draws just this.
    pub fn to_spec(&self) -> FaultSpec {
        let share = |per_million: u32| Share::only(i64::from(per_million));
        let kind = match &self.kind {
            PlannedKind::Loss(links, lost) => FaultKind::Loss(links.clone(), share(*lost)),
            PlannedKind::Delay(links, by) => {
                FaultKind::Delay(links.clone(), DurationRange::only(*by))
            }
            PlannedKind::Duplicate(links, doubled) => {
                FaultKind::Duplicate(links.clone(), share(*doubled))
            }
            PlannedKind::Corrupt(links, damaged) => {
                FaultKind::Corrupt(links.clone(), share(*damaged))
            }
            PlannedKind::Hold(links) => FaultKind::Hold(links.clone()),
            PlannedKind::Partition(isolate) => FaultKind::Partition(*isolate),
            PlannedKind::OneWay(from, to) => FaultKind::OneWay(*from, *to),
            PlannedKind::Crash(target) => FaultKind::Crash(*target),
            PlannedKind::PowerCut(target) => FaultKind::PowerCut(*target),
            PlannedKind::Pause(target) => FaultKind::Pause(*target),
            PlannedKind::DiskError(target, operation, failed) => {
                FaultKind::DiskError(*target, *operation, share(*failed))
            }
            PlannedKind::Drift(target, drift) => {
                FaultKind::Clock(*target, Some(Share::only(*drift)), None)
            }
            PlannedKind::Step(target, nanos) => {
                FaultKind::Clock(*target, None, Some(SignedDurationRange::only(*nanos)))
            }
        };
        let when = match self.when {
            PlannedWhen::At(at) => When::At(DurationRange::only(at)),
            PlannedWhen::On(milestone, nth, after) => When::On {
                milestone,
                nth: NumberRange::only(nth),
                after: DurationRange::only(after),
            },
        };
        FaultSpec {
            kind,
            when,
            lasts: DurationRange::only(self.lasts),
            repeat: None,
            chance: Share::ALWAYS,
            pick: Some(self.pick),
        }
    }
}

/// All faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// In the order of the scenario's file, repetitions in place.
    pub faults: Vec<PlannedFault>,
}

impl FaultPlan {
    /// Draws a scenario's plan. Each fault has a stream of its own, so that adding one to the file
    /// leaves the others as they were.
    pub fn draw(scenario: &Scenario, seed: u64) -> Self {
        let mut faults = Vec::new();
        for (index, spec) in scenario.faults.iter().enumerate() {
            let mut chance = Draws::new(seed, "chance", [index as u64, 0]);
            let share = u32::try_from(spec.chance.draw(&mut chance)).unwrap_or(0);
            if chance.chance(share) {
                let mut draws = Draws::new(seed, "plan", [index as u64, 0]);
                draw_fault(spec, &mut draws, &mut faults);
            }
        }
        FaultPlan { faults }
    }
}

fn draw_fault(spec: &FaultSpec, draws: &mut Draws, faults: &mut Vec<PlannedFault>) {
    let mut when = match &spec.when {
        When::At(at) => PlannedWhen::At(at.draw(draws)),
        When::On { milestone, nth, after } => {
            PlannedWhen::On(*milestone, nth.draw(draws), after.draw(draws))
        }
    };
    let times = spec.repeat.map_or(1, |repeat| repeat.times.draw(draws));
    for _ in 0..times {
        let lasts = spec.lasts.draw(draws);
        let drawn = draws.next_u64();
        let pick = spec.pick.unwrap_or(drawn);
        for kind in draw_kinds(&spec.kind, draws) {
            faults.push(PlannedFault { kind, when, lasts, pick });
        }
        let pause = spec.repeat.map_or(Duration::ZERO, |repeat| repeat.every.draw(draws));
        when = match when {
            PlannedWhen::At(at) => PlannedWhen::At(at + pause),
            PlannedWhen::On(milestone, nth, after) => {
                PlannedWhen::On(milestone, nth, after + pause)
            }
        };
    }
}

fn draw_kinds(kind: &FaultKind, draws: &mut Draws) -> Vec<PlannedKind> {
    let mut share = |share: &Share| u32::try_from(share.draw(draws)).expect("read as not negative");
    let planned = match kind {
        FaultKind::Loss(links, lost) => PlannedKind::Loss(links.clone(), share(lost)),
        FaultKind::Delay(links, by) => PlannedKind::Delay(links.clone(), by.draw(draws)),
        FaultKind::Duplicate(links, doubled) => {
            PlannedKind::Duplicate(links.clone(), share(doubled))
        }
        FaultKind::Corrupt(links, damaged) => PlannedKind::Corrupt(links.clone(), share(damaged)),
        FaultKind::Hold(links) => PlannedKind::Hold(links.clone()),
        FaultKind::Partition(isolate) => PlannedKind::Partition(*isolate),
        FaultKind::OneWay(from, to) => PlannedKind::OneWay(*from, *to),
        FaultKind::Crash(target) => PlannedKind::Crash(*target),
        FaultKind::PowerCut(target) => PlannedKind::PowerCut(*target),
        FaultKind::Pause(target) => PlannedKind::Pause(*target),
        FaultKind::DiskError(target, operation, failed) => {
            PlannedKind::DiskError(*target, *operation, share(failed))
        }
        FaultKind::Clock(target, drift, step) => {
            let drift = drift.map(|drift| PlannedKind::Drift(*target, drift.draw(draws)));
            let step = step.map(|step| PlannedKind::Step(*target, step.draw(draws)));
            return drift.into_iter().chain(step).collect();
        }
    };
    vec![planned]
}

/// A duration to the millisecond.
fn rounded(duration: Duration) -> impl fmt::Display {
    let millis = duration.as_millis();
    match (millis / 1000, millis % 1000) {
        (0, millis) if millis > 0 => format!("{millis}ms"),
        (seconds, 0) => format!("{seconds}s"),
        (seconds, millis) => format!("{seconds}.{}s", format!("{millis:03}").trim_end_matches('0')),
    }
}

impl fmt::Display for PlannedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlannedKind::Loss(links, share) => {
                write!(f, "loss {} {links}", percent(i64::from(*share)))
            }
            PlannedKind::Delay(links, by) => write!(f, "delay up to {} {links}", rounded(*by)),
            PlannedKind::Duplicate(links, share) => {
                write!(f, "duplicate {} {links}", percent(i64::from(*share)))
            }
            PlannedKind::Corrupt(links, share) => {
                write!(f, "corrupt {} {links}", percent(i64::from(*share)))
            }
            PlannedKind::Hold(links) => write!(f, "hold {links}"),
            PlannedKind::Partition(isolate) => write!(f, "partition {isolate}"),
            PlannedKind::OneWay(from, to) => write!(f, "one-way {from} -> {to}"),
            PlannedKind::Crash(target) => write!(f, "crash {target}"),
            PlannedKind::PowerCut(target) => write!(f, "power-cut {target}"),
            PlannedKind::Pause(target) => write!(f, "pause {target}"),
            PlannedKind::DiskError(target, operation, share) => {
                let operation = operation_name(*operation);
                write!(f, "disk-error {} of {operation} on {target}", percent(i64::from(*share)))
            }
            PlannedKind::Drift(target, drift) => {
                write!(f, "clock {target} drift {}", percent(*drift))
            }
            PlannedKind::Step(target, nanos) => {
                let sign = if *nanos < 0 { "-" } else { "" };
                write!(
                    f,
                    "clock {target} step {sign}{}",
                    rounded(Duration::from_nanos(nanos.unsigned_abs()))
                )
            }
        }
    }
}

impl fmt::Display for LinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)?;
        match &self.message {
            Some(message) => write!(f, " {message}*"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PlannedWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlannedWhen::At(at) => write!(f, "at {}", rounded(*at)),
            PlannedWhen::On(milestone, nth, after) => {
                write!(f, "on {milestone} #{nth}")?;
                if after.is_zero() { Ok(()) } else { write!(f, " + {}", rounded(*after)) }
            }
        }
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, for {}", self.kind, self.when, rounded(self.lasts))
    }
}
