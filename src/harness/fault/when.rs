//! When a fault begins.

use super::form::{Drawn, Form, Ranges};
use crate::{
    harness::{
        event::{Ask, AskedValues, Milestone},
        language::{
            DurationRange, Field, Mistakes, NumberRange, Reader, ScenarioError, Writer,
            exact_duration,
        },
        system::{SystemSpec, Target},
    },
    host::Draws,
};
use std::{fmt, time::Duration};

/// What the rest of a scenario says that its faults must fit.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What runs.
    pub system: &'a SystemSpec,
    /// What has not begun by then never does.
    pub heal_at: Duration,
}

/// When a fault begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When<F: Form = Ranges> {
    /// At a time since the run began.
    At(F::Duration),
    /// Some time after a milestone.
    On(TriggerCondition<F>),
    /// Some time after a milestone, counted from a while after another fault began or ended for the
    /// first time.
    OnAfter {
        /// The milestone.
        condition: TriggerCondition<F>,
        /// The other fault's name.
        fault: String,
        /// Its beginning or its end.
        edge: Edge,
        /// How long after it the counting begins.
        after: F::Duration,
    },
    /// Some time after another fault began or ended for the first time.
    With {
        /// The other fault's name.
        fault: String,
        /// Its beginning or its end.
        edge: Edge,
        /// How long after.
        after: F::Duration,
    },
}

/// A moment of the protocol on which a fault hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerCondition<F: Form = Ranges> {
    /// The milestone.
    pub milestone: Milestone,
    /// Which time, from 1, among those that match.
    pub nth: F::Number,
    /// How long after; zero is within the very step.
    pub after: F::Duration,
    /// Only where this node says so.
    pub node: Option<Target>,
    /// Only of events that say this: keys of the milestone's [`Ask`]s and values.
    pub asked: Vec<(&'static str, String)>,
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

impl TriggerCondition {
    /// The n-th time that a milestone is reached.
    pub fn new(milestone: Milestone, nth: NumberRange, after: DurationRange) -> Self {
        TriggerCondition { milestone, nth, after, node: None, asked: Vec::new() }
    }

    pub(super) fn read(field: &Field, around: Surroundings<'_>) -> Result<Self, ScenarioError> {
        let mut on = field.table_of("milestone", "leader-granted")?;
        let system = around.system;
        let milestone = on.need("milestone", |field| milestone(field, system))?;
        let nth = on.take("nth", Field::number_range)?.unwrap_or(NumberRange::only(1));
        let after = on.take("after", Field::duration_range)?.unwrap_or(DurationRange::ZERO);
        let node = on.take("node", |field| Target::read(field, system))?;
        let mut asked = Vec::new();
        for ask in all_asks(system) {
            let own = milestone.asks().iter().any(|own| own.key == ask.key);
            let read = |field: &Field| match own {
                true => asked_value(field, ask),
                false => Err(field
                    .refused(format!("`{milestone}` has no {}", ask.what))
                    .with_help("see `cargo run -- list --milestones`")),
            };
            asked.extend(on.take(ask.key, read)?.map(|value| (ask.key, value)));
        }
        on.refuse_others()?;
        Ok(TriggerCondition { milestone, nth, after, node, asked })
    }

    pub(super) fn to_toml(&self) -> String {
        let TriggerCondition { milestone, nth, after, node, asked } = self;
        let mut text = format!("milestone = \"{milestone}\", nth = \"{nth}\", after = \"{after}\"");
        if let Some(node) = node {
            text += &format!(", node = \"{node}\"");
        }
        for (key, value) in asked {
            text += &match value.parse::<i64>() {
                Ok(number) => format!(", {key} = {number}"),
                Err(_) => format!(", {key} = \"{value}\""),
            };
        }
        format!("{{ {text} }}")
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> TriggerCondition<Drawn> {
        let (nth, after) = (self.nth.draw(draws), self.after.draw(draws));
        self.of_form(nth, after)
    }
}

impl<F: Form> TriggerCondition<F> {
    /// What the milestone's events are asked, and the answers that are wanted.
    pub fn asks(&self) -> Vec<(&'static Ask, String)> {
        let ask = |key| self.milestone.asks().iter().find(|ask| ask.key == key);
        self.asked.iter().filter_map(|(key, value)| Some((ask(*key)?, value.clone()))).collect()
    }

    /// The same of another form.
    fn of_form<G: Form>(&self, nth: G::Number, after: G::Duration) -> TriggerCondition<G> {
        let TriggerCondition { milestone, node, asked, .. } = self;
        TriggerCondition { milestone: *milestone, nth, after, node: *node, asked: asked.clone() }
    }
}

impl TriggerCondition<Drawn> {
    /// As a file says it.
    pub fn to_ranges(&self) -> TriggerCondition {
        self.of_form(NumberRange::only(self.nth), DurationRange::only(self.after))
    }

    /// The same moment, later.
    fn later(&self, by: Duration) -> Self {
        TriggerCondition { after: self.after + by, ..self.clone() }
    }
}

/// Reads a milestone as it is understood where that system runs.
///
/// # Errors
/// When there is no such milestone.
pub fn milestone(field: &Field, system: &SystemSpec) -> Result<Milestone, ScenarioError> {
    let name = field.text()?;
    let known = system.milestones();
    known.iter().copied().find(|known| known.name() == name).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(|milestone| milestone.name()).collect();
        field.unknown(&known, "list --milestones")
    })
}

/// What any milestone of a system can be asked, each key once.
fn all_asks(system: &SystemSpec) -> Vec<&'static Ask> {
    let mut found: Vec<&'static Ask> = Vec::new();
    for ask in system.milestones().iter().flat_map(|milestone| milestone.asks()) {
        if !found.iter().any(|known| known.key == ask.key) {
            found.push(ask);
        }
    }
    found
}

fn asked_value(field: &Field, ask: &Ask) -> Result<String, ScenarioError> {
    match ask.values {
        AskedValues::Number => field.number().map(|number| number.to_string()),
        AskedValues::Words(words) => {
            let words: Vec<(&str, &str)> = words.iter().map(|word| (*word, *word)).collect();
            field.one_of(&words, "list --milestones").map(str::to_string)
        }
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
            let after = with.take("after", Field::duration_range)?.unwrap_or(DurationRange::ZERO);
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

    pub(super) fn draw(&self, draws: &mut Draws) -> When<Drawn> {
        // What it hangs on is drawn before the time.
        self.map(
            &mut *draws,
            |condition, draws| condition.draw(draws),
            |time, draws| time.draw(draws),
        )
    }
}

impl<F: Form> When<F> {
    /// The fault with whose beginning or end it begins, or begins to count.
    pub fn other(&self) -> Option<&str> {
        match self {
            When::At(_) | When::On(_) => None,
            When::With { fault, .. } | When::OnAfter { fault, .. } => Some(fault),
        }
    }

    /// The same of another form.
    fn map<G: Form, C: ?Sized>(
        &self,
        with: &mut C,
        condition_of: impl Fn(&TriggerCondition<F>, &mut C) -> TriggerCondition<G>,
        time_of: impl Fn(F::Duration, &mut C) -> G::Duration,
    ) -> When<G> {
        match self {
            When::At(at) => When::At(time_of(*at, with)),
            When::On(condition) => When::On(condition_of(condition, with)),
            When::With { fault, edge, after } => {
                When::With { fault: fault.clone(), edge: *edge, after: time_of(*after, with) }
            }
            When::OnAfter { condition, fault, edge, after } => When::OnAfter {
                condition: condition_of(condition, with),
                fault: fault.clone(),
                edge: *edge,
                after: time_of(*after, with),
            },
        }
    }
}

impl When<Drawn> {
    /// As a file says it.
    pub fn to_ranges(&self) -> When {
        self.map(
            &mut (),
            |condition, ()| condition.to_ranges(),
            |time, ()| DurationRange::only(time),
        )
    }

    /// The same, later.
    pub(super) fn later(&self, by: Duration) -> Self {
        match self {
            When::At(at) => When::At(*at + by),
            When::On(condition) => When::On(condition.later(by)),
            When::With { fault, edge, after } => {
                When::With { fault: fault.clone(), edge: *edge, after: *after + by }
            }
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
