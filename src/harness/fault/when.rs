//! When a fault begins.

use super::{spec::Surroundings, target::Target};
use crate::{
    harness::{
        check::{Leadership, Milestone},
        scenario::{
            DurationRange, Field, Mistakes, NumberRange, Reader, ScenarioError, Term, Writer,
            exact_duration,
        },
    },
    host::Draws,
};
use std::fmt;

/// When a fault begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At a time since the run began.
    At(DurationRange),
    /// Some time after a milestone.
    On(TriggerCondition),
    /// Some time after a milestone, counted from a while after another fault began or ended for the
    /// first time.
    OnAfter {
        /// The milestone.
        condition: TriggerCondition,
        /// The other fault's name.
        fault: String,
        /// Its beginning or its end.
        edge: Edge,
        /// How long after it the counting begins.
        after: DurationRange,
    },
    /// Some time after another fault began or ended for the first time.
    With {
        /// The other fault's name.
        fault: String,
        /// Its beginning or its end.
        edge: Edge,
        /// How long after.
        after: DurationRange,
    },
}

/// A moment of the protocol on which a fault hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerCondition {
    /// The milestone.
    pub milestone: Milestone,
    /// Which time, from 1, among those that match.
    pub nth: NumberRange,
    /// How long after; zero is within the very step.
    pub after: DurationRange,
    /// Only where this node says so.
    pub node: Option<Target>,
    /// Only of the checkpoint of this number.
    pub checkpoint: Option<u64>,
    /// Only of the job's attempt of this number.
    pub attempt: Option<u64>,
    /// Only of the leadership of this.
    pub of: Option<Leadership>,
}

/// The beginning or the end of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// When it begins.
    Start,
    /// When it has been lifted.
    End,
}

const EDGES: &[(&str, Edge)] = &[("start", Edge::Start), ("end", Edge::End)];

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EDGES.iter().find(|(_, edge)| edge == self).expect("both have a name").0)
    }
}

const LEADERSHIPS: &[(&str, Leadership)] = &[
    ("dispatcher", Leadership::Dispatcher),
    ("resource-manager", Leadership::ResourceManager),
    ("job", Leadership::Job),
    ("journal", Leadership::Journal),
];

impl fmt::Display for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = LEADERSHIPS.iter().find(|(_, of)| of == self);
        f.write_str(known.expect("each has a name").0)
    }
}

const NOW: DurationRange =
    DurationRange { low: std::time::Duration::ZERO, high: std::time::Duration::ZERO };

impl TriggerCondition {
    /// The n-th time that a milestone is reached.
    pub fn new(milestone: Milestone, nth: NumberRange, after: DurationRange) -> Self {
        TriggerCondition {
            milestone,
            nth,
            after,
            node: None,
            checkpoint: None,
            attempt: None,
            of: None,
        }
    }

    pub(super) fn read(field: &Field, around: Surroundings<'_>) -> Result<Self, ScenarioError> {
        let mut on = field.table_of("milestone", "leader-granted")?;
        let system = around.system;
        let milestone = on.need("milestone", |field| Milestone::read(field, system.kind()))?;
        let nth = on.take("nth", Field::number_range)?.unwrap_or(NumberRange::only(1));
        let after = on.take("after", Field::duration_range)?.unwrap_or(NOW);
        let node = on.take("node", |field| Target::read(field, system))?;
        let number = |has: bool, what: &'static str| {
            move |field: &Field| match has {
                true => field.number(),
                false => Err(field
                    .refused(format!("`{milestone}` has no number of {what}"))
                    .with_help("see `wavetank list --milestones`")),
            }
        };
        let checkpoint =
            on.take("checkpoint", number(milestone.has_checkpoint(), "a checkpoint"))?;
        let attempt = on.take("attempt", number(milestone.has_attempt(), "an attempt"))?;
        let of = on.take("of", |field| {
            if milestone.has_component() {
                return field.one_of(LEADERSHIPS, "list --faults");
            }
            let what = format!("`{milestone}` is of no leadership");
            Err(field.refused(what).with_help("see `wavetank list --milestones`"))
        })?;
        on.refuse_others()?;
        Ok(TriggerCondition { milestone, nth, after, node, checkpoint, attempt, of })
    }

    pub(super) fn to_toml(&self) -> String {
        let TriggerCondition { milestone, nth, after, node, checkpoint, attempt, of } = self;
        let mut text = format!("milestone = \"{milestone}\", nth = \"{nth}\", after = \"{after}\"");
        if let Some(node) = node {
            text += &format!(", node = \"{node}\"");
        }
        if let Some(checkpoint) = checkpoint {
            text += &format!(", checkpoint = {checkpoint}");
        }
        if let Some(attempt) = attempt {
            text += &format!(", attempt = {attempt}");
        }
        if let Some(of) = of {
            text += &format!(", of = \"{of}\"");
        }
        format!("{{ {text} }}")
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> Self {
        TriggerCondition {
            nth: Term::draw(&self.nth, draws),
            after: Term::draw(&self.after, draws),
            ..self.clone()
        }
    }

    /// The same moment, later.
    fn later(&self, by: std::time::Duration) -> Self {
        TriggerCondition { after: DurationRange::only(self.after.low + by), ..self.clone() }
    }
}

impl When {
    /// Reads `at`, `on` and `with`; nothing if there are mistakes, which are kept.
    pub(super) fn read(
        table: &mut Reader,
        around: Surroundings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let at = mistakes.keep(table.take("at", |field| at(field, around)));
        let on = mistakes.keep(table.take("on", |field| TriggerCondition::read(field, around)));
        let with = mistakes.keep(table.take("with", |field| {
            let mut with = field.table_of("fault", "first-cut")?;
            let fault = with.need("fault", Field::text)?;
            let edge = with.take("edge", |field| field.one_of(EDGES, "list --faults"))?;
            let after = with.take("after", Field::duration_range)?.unwrap_or(NOW);
            with.refuse_others()?;
            Ok(When::With { fault, edge: edge.unwrap_or(Edge::Start), after })
        }));
        let read = match (at?, on?, with?) {
            (Some(at), None, None) => Ok(When::At(at)),
            (None, Some(condition), None) => Ok(When::On(condition)),
            (None, None, Some(with)) => Ok(with),
            (None, Some(condition), Some(When::With { fault, edge, after })) => {
                Ok(When::OnAfter { condition, fault, edge, after })
            }
            (None, None, None) => Err(table.error(
                "a fault needs `at` (a time), `on` (a milestone) or `with` (another fault)",
            )),
            _ => Err(table.error(
                "a fault that begins `at` a time hangs neither `on` a milestone nor `with` another \
                 fault",
            )),
        };
        mistakes.keep(read)
    }

    /// The fault with whose beginning or end it begins, or begins to count.
    pub fn other(&self) -> Option<&str> {
        match self {
            When::At(_) | When::On(_) => None,
            When::With { fault, .. } | When::OnAfter { fault, .. } => Some(fault),
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            When::At(at) => writer.text("at", at),
            When::On(condition) => writer.raw("on", condition.to_toml()),
            When::With { fault, edge, after } => writer.raw("with", with(fault, *edge, *after)),
            When::OnAfter { condition, fault, edge, after } => {
                writer.raw("on", condition.to_toml());
                writer.raw("with", with(fault, *edge, *after));
            }
        }
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> Self {
        match self {
            When::At(at) => When::At(Term::draw(at, draws)),
            When::On(condition) => When::On(condition.draw(draws)),
            When::With { fault, edge, after } => {
                When::With { fault: fault.clone(), edge: *edge, after: Term::draw(after, draws) }
            }
            When::OnAfter { condition, fault, edge, after } => When::OnAfter {
                condition: condition.draw(draws),
                fault: fault.clone(),
                edge: *edge,
                after: Term::draw(after, draws),
            },
        }
    }

    /// The same, later.
    pub(super) fn later(&self, by: std::time::Duration) -> Self {
        match self {
            When::At(at) => When::At(DurationRange::only(at.low + by)),
            When::On(condition) => When::On(condition.later(by)),
            When::With { fault, edge, after } => When::With {
                fault: fault.clone(),
                edge: *edge,
                after: DurationRange::only(after.low + by),
            },
            When::OnAfter { condition, fault, edge, after } => When::OnAfter {
                condition: condition.later(by),
                fault: fault.clone(),
                edge: *edge,
                after: *after,
            },
        }
    }
}

fn with(fault: &str, edge: Edge, after: DurationRange) -> String {
    let fault = toml::Value::String(fault.to_string());
    format!("{{ fault = {fault}, edge = \"{edge}\", after = \"{after}\" }}")
}

fn at(field: &Field, around: Surroundings<'_>) -> Result<DurationRange, ScenarioError> {
    let at = field.duration_range()?;
    if at.low < around.heal_at {
        return Ok(at);
    }
    let end = exact_duration(around.heal_at);
    let help = "from then on everything is healed, and no fault begins";
    Err(field.expected(&format!("a time before `heal-at` ({end})")).with_help(help))
}
