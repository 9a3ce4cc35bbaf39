//! Faults as a scenario file asks for them, ranges included.

use super::{
    among::Among,
    kinds::{FaultKind, fault_kinds},
    values::{part, period},
    when::{Surroundings, TriggerCondition, When},
    window::Window,
};
use crate::harness::language::{
    DurationRange, Field, Mistakes, NumberRange, Reader, ScenarioError, Share, Writer,
    exact_duration,
};
use std::{fmt, time::Duration};

/// How often a fault comes in one run at most.
const TIMES_MAX: u64 = 1000;

/// How often a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// How many times in all.
    pub times: NumberRange,
    /// From one beginning to the next.
    pub every: DurationRange,
}

impl Repeat {
    fn read(field: &Field) -> Result<Self, ScenarioError> {
        let mut repeat = field.table()?;
        let times = repeat.need("times", |field| {
            let times = field.number_range()?;
            let most = format!("at most {TIMES_MAX} times");
            if times.high <= TIMES_MAX { Ok(times) } else { Err(field.expected(&most)) }
        })?;
        let every = repeat.need("every", period)?;
        repeat.refuse_others()?;
        Ok(Repeat { times, every })
    }
}

/// A fault of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpec {
    /// By which other faults refer to it.
    pub name: Option<String>,
    /// What it does.
    pub kind: FaultKind,
    /// Whom its target may mean, by whom another fault struck; whomever if absent.
    pub among: Option<Among>,
    /// When it begins.
    pub when: When,
    /// How long it lasts at most.
    pub duration: DurationRange,
    /// A moment that ends it earlier.
    pub until: Option<TriggerCondition>,
    /// Between which times it begins, and whether it must strike.
    pub window: Window,
    /// Whether it comes again.
    pub repeat: Option<Repeat>,
    /// The probability that it comes at all.
    pub chance: Share,
    /// Picks among several nodes when it fires; drawn if absent. Written into kept plans.
    pub pick: Option<u64>,
}

impl FaultSpec {
    /// Reads a `[[fault]]` table; nothing if there are mistakes, which are kept.
    pub fn read(
        mut table: Reader,
        around: Surroundings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let known = fault_kinds(around.system.system());
        let kinds: Vec<(&str, &str)> = known.iter().map(|kind| (kind.name, kind.name)).collect();
        // What else may stand there depends on it.
        let kind =
            mistakes.keep(table.need("kind", |field| field.one_of(&kinds, "list --faults")))?;
        let kind = FaultKind::read(kind, &mut table, around.system, mistakes);
        let name = mistakes.keep(table.take("name", Field::text));
        let when = When::read(&mut table, around, mistakes);
        let among = mistakes.keep(table.take("nodes", Among::read));
        let duration = match kind.as_ref().is_some_and(FaultKind::is_momentary) {
            true => mistakes.keep(table.take("duration", Field::duration_range)),
            false => mistakes.keep(table.need("duration", Field::duration_range)).map(Some),
        };
        let until =
            mistakes.keep(table.take("until", |field| TriggerCondition::read(field, around)));
        // Which keys belong there depends on what it hangs on.
        let hangs = !matches!(when, Some(When::At(_)));
        let window = Window::read(&mut table, hangs, around.heal_at, mistakes);
        let repeat = mistakes.keep(table.take("repeat", Repeat::read));
        let chance = mistakes.keep(table.take("chance", |field| part(field, around.system)));
        let pick = mistakes.keep(table.take("pick", Field::number));
        if let Some(why) = kind.as_ref().and_then(|kind| kind.strikes_nothing(around.system)) {
            let _: Option<()> = mistakes.keep(Err(table.error(why)));
        }
        let bound = among.as_ref().is_some_and(Option::is_some);
        if let Some(kind) = kind.as_ref().filter(|kind| bound && !kind.has_target()) {
            let why = format!("`nodes` bounds a `target`, and this {} has none", kind.name());
            let _: Option<()> = mistakes.keep(Err(table.error(&why)));
        }
        table.finish(mistakes);
        Some(FaultSpec {
            kind: kind?,
            among: among?,
            name: name?,
            when: when?,
            duration: duration?.unwrap_or(DurationRange::ZERO),
            until: until?,
            window: window?,
            repeat: repeat?,
            chance: chance?.unwrap_or(Share::ALWAYS),
            pick: pick?,
        })
    }

    /// Writes the keys of a `[[fault]]` table that reads back as this fault.
    pub fn write(&self, writer: &mut Writer) {
        let FaultSpec { name, kind, among, when, duration, until, window, repeat, chance, pick } =
            self;
        if let Some(name) = name {
            writer.text("name", name);
        }
        kind.write(writer);
        if let Some(among) = among {
            writer.raw("nodes", among.to_toml());
        }
        when.write(writer);
        if !self.is_at_once() {
            writer.text("duration", duration);
        }
        if let Some(until) = until {
            writer.raw("until", until.to_toml());
        }
        window.write(writer);
        if let Some(Repeat { times, every }) = repeat {
            writer.raw("repeat", format!("{{ times = \"{times}\", every = \"{every}\" }}"));
        }
        if *chance != Share::ALWAYS {
            writer.text("chance", chance);
        }
        if let Some(pick) = pick {
            writer.text("pick", pick);
        }
    }

    /// Whether it only happens at its begin, and says nothing of how long it lasts.
    fn is_at_once(&self) -> bool {
        self.duration == DurationRange::ZERO && self.kind.is_momentary()
    }

    /// The faults to which it refers by their names.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.when.other().into_iter().chain(self.among.iter().map(Among::fault))
    }
}

/// To the millisecond, unless it is shorter.
fn rounded(range: DurationRange) -> String {
    let one = |duration: Duration| match duration.as_millis() {
        0 => exact_duration(duration),
        millis => exact_duration(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))),
    };
    match range.low == range.high {
        true => one(range.low),
        false => format!("{}..{}", one(range.low), one(range.high)),
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (key, value) in self.terms() {
            match key {
                "probability" | "share" | "target" | "from" | "links" | "cut" | "operation" => {
                    write!(f, " {value}")?;
                }
                "to" => write!(f, " -> {value}")?,
                "shape" if value == "uniform" => {}
                "shape" => write!(f, " {value}")?,
                "file" => write!(f, " {key} {value}")?,
                _ => {
                    let (sign, size) = match value.strip_prefix('-') {
                        Some(size) if !value.contains("..") => ("-", size),
                        _ => ("", value.as_str()),
                    };
                    let size = DurationRange::parse(size).map_or(size.to_string(), rounded);
                    write!(f, " {key} {sign}{size}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for TriggerCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.milestone, self.nth)?;
        for (key, value) in &self.asked {
            match *key {
                "of" => write!(f, " of {value}")?,
                key => write!(f, " of {key} {value}")?,
            }
        }
        if let Some(node) = self.node {
            write!(f, " at {node}")?;
        }
        if self.after.high.is_zero() { Ok(()) } else { write!(f, " + {}", rounded(self.after)) }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::At(at) => write!(f, "at {}", rounded(*at)),
            When::On(condition) => write!(f, "on {condition}"),
            When::OnAfter { condition, fault, edge, .. } => {
                write!(f, "on {condition}, counted from the {edge} of {fault}")
            }
            When::With { fault, edge, after } => {
                write!(f, "with the {edge} of {fault}")?;
                if after.high.is_zero() { Ok(()) } else { write!(f, " + {}", rounded(*after)) }
            }
        }
    }
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        write!(f, "{}", self.kind)?;
        if let Some(among) = &self.among {
            write!(f, ", {among},")?;
        }
        write!(f, " {}", self.when)?;
        if !self.is_at_once() {
            write!(f, ", for {}", rounded(self.duration))?;
        }
        if let Some(until) = &self.until {
            write!(f, " or until {until}")?;
        }
        let Window { not_before, no_later_than, .. } = self.window;
        if let Some(time) = not_before {
            write!(f, ", not before {}", rounded(time))?;
        }
        match no_later_than {
            Some(time) => write!(f, ", at the latest at {}", rounded(time)),
            None => Ok(()),
        }
    }
}
