//! A fault as a seed has drawn it.

use super::{
    among::Among,
    form::Drawn,
    kinds::FaultKind,
    spec::FaultSpec,
    when::{TriggerCondition, When},
    window::Window,
};
use crate::{
    harness::language::{DurationRange, Share},
    host::Draws,
};
use std::{fmt, time::Duration};

/// A fault of a plan: it comes once, and nothing of it is left to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// By which other faults refer to it.
    pub name: Option<String>,
    /// What it does.
    pub kind: FaultKind<Drawn>,
    /// Whom its target may mean, by whom another fault struck; whomever if absent.
    pub among: Option<Among>,
    /// When it begins.
    pub when: When<Drawn>,
    /// How long it lasts at most.
    pub duration: Duration,
    /// A moment that ends it earlier.
    pub until: Option<TriggerCondition<Drawn>>,
    /// Between which times it begins, and whether it must strike.
    pub window: Window<Drawn>,
    /// Picks among several nodes when it fires.
    pub pick: u64,
}

impl PlannedFault {
    /// Draws them: each time that a fault of a file comes is one of its own.
    pub fn draw(spec: &FaultSpec, draws: &mut Draws) -> Vec<Self> {
        let mut drawn = Vec::new();
        let mut when = spec.when.draw(draws);
        let mut window = spec.window.draw(draws);
        let times = spec.repeat.map_or(1, |repeat| repeat.times.draw(draws));
        for time in 0..times {
            let duration = spec.duration.draw(draws);
            let pick = draws.next_u64();
            let kind = spec.kind.draw(draws);
            let until = spec.until.as_ref().map(|until| until.draw(draws));
            drawn.push(PlannedFault {
                // What refers to it means the first.
                name: spec.name.clone().filter(|_| time == 0),
                kind,
                among: spec.among.clone(),
                when: when.clone(),
                duration,
                until,
                window: window.clone(),
                pick: spec.pick.unwrap_or(pick),
            });
            let pause = spec.repeat.map_or(Duration::ZERO, |repeat| repeat.every.draw(draws));
            (when, window) = (when.later(pause), window.later(pause));
        }
        drawn
    }

    /// As a file says it: this fault is drawn from it, whatever the seed.
    pub fn to_spec(&self) -> FaultSpec {
        let PlannedFault { name, kind, among, when, duration, until, window, pick } = self;
        FaultSpec {
            name: name.clone(),
            kind: kind.to_ranges(),
            among: among.clone(),
            when: when.to_ranges(),
            duration: DurationRange::only(*duration),
            until: until.as_ref().map(TriggerCondition::to_ranges),
            window: window.to_ranges(),
            repeat: None,
            chance: Share::ALWAYS,
            pick: Some(*pick),
        }
    }

    /// The faults to which it refers by their names, and whether it comes to nothing without them.
    pub fn others(&self) -> impl Iterator<Item = (&str, bool)> {
        let when = self.when.other().map(|fault| (fault, true));
        when.into_iter().chain(self.among.iter().map(|among| (among.fault(), among.needs())))
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_spec().fmt(f)
    }
}

impl fmt::Display for FaultKind<Drawn> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ranges().fmt(f)
    }
}
