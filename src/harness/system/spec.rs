//! A system with its settings, as a scenario names it.

use super::{
    erased::{AnySettings, AnySetup, AnySystem, InvariantWords},
    own_fault::OwnFault,
    placement::Placement,
    role::Nodes,
    setup::{LintContext, MessageGroup, RunParameters},
    systems::Systems,
    target::{Target, TargetWords},
};
use crate::{
    harness::{
        check::AnyModel,
        event::Milestone,
        language::{Field, Mistakes, Reader, ScenarioError, Setting, Settings, Writer},
    },
    host::{Property, Sabotage, sim::NodeId},
};
use bytes::Bytes;
use std::{fmt, sync::Arc};

/// A system with its settings.
#[derive(Clone)]
pub struct SystemSpec {
    system: &'static dyn AnySystem,
    settings: Arc<dyn AnySettings>,
    placement: Placement,
}

impl SystemSpec {
    /// Reads `system` and the system's own tables; nothing when nobody knows what runs.
    pub(in crate::harness) fn read(
        file: &mut Reader,
        systems: Systems,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let known: Vec<(&str, &'static dyn AnySystem)> =
            systems.all().iter().map(|system| (system.name(), *system)).collect();
        let named = file.take("system", |field| field.one_of(&known, "list --systems"));
        let Some(system) = mistakes.keep(named) else {
            // What may stand in them depends on it.
            file.skip(&["placement"]);
            let tables: Vec<&'static str> = systems
                .all()
                .iter()
                .flat_map(|system| system.settings())
                // A table of which there can be several is written with brackets of its own.
                .map(|setting| setting.table.trim_matches(['[', ']']))
                .collect();
            file.skip(&tables);
            return None;
        };
        let system = system.unwrap_or(systems.default_system());
        let placement = Placement::read(file, mistakes);
        Some(SystemSpec { system, settings: system.read(file, mistakes), placement })
    }

    /// Writes the system's own tables.
    pub(in crate::harness) fn write(&self, writer: &mut Writer) {
        self.settings.write(writer);
        if self.placement != Placement::default() {
            Settings::write(&self.placement, writer);
        }
    }

    /// The same with ranges of which a seed has drawn that only an end is left.
    #[must_use]
    pub fn at_edges(&self, seed: u64) -> Self {
        SystemSpec { settings: self.settings.at_edges(seed), ..self.clone() }
    }

    /// What a seed draws from the ranges.
    #[must_use]
    pub fn draw(&self, seed: u64) -> Self {
        let placement = match self.placement == Placement::default() {
            true => Placement::default(),
            false => Settings::draw(&self.placement, seed),
        };
        SystemSpec { system: self.system, settings: self.settings.draw(seed), placement }
    }

    /// Which system it is.
    pub fn system(&self) -> &'static dyn AnySystem {
        self.system
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.system.name()
    }

    /// Its settings as their type; `None` of another system.
    pub fn settings<S: 'static>(&self) -> Option<&S> {
        self.settings.as_any().downcast_ref()
    }

    /// Every key of the system's own tables.
    pub fn declared(&self) -> Vec<Setting> {
        self.system.settings()
    }

    /// How many nodes of each role boot.
    pub fn nodes(&self) -> Vec<Nodes> {
        self.system.nodes(&*self.settings)
    }

    /// How many there are of what else goes by a number.
    pub fn numbered(&self) -> Vec<Nodes> {
        self.system.numbered(&*self.settings)
    }

    /// Whom faults can strike.
    pub fn targets(&self) -> Vec<TargetWords> {
        self.system.targets()
    }

    /// On which rack and in which zone nodes are.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Which of some nodes of its role a target means that the state tells; nothing of any other target.
    pub(in crate::harness) fn find(
        &self,
        target: Target,
        model: &dyn AnyModel,
        nodes: &[NodeId],
    ) -> Vec<NodeId> {
        match target {
            Target::State(state) => self.system.find(state, model, nodes),
            _ => Vec::new(),
        }
    }

    /// The moments that can be reached.
    pub fn milestones(&self) -> Vec<Milestone> {
        self.system.milestones()
    }

    /// What is judged where it runs, besides the properties that its code has.
    pub fn invariants(&self) -> Vec<InvariantWords> {
        self.system.invariants()
    }

    /// The properties that its code has.
    pub fn properties(&self) -> Vec<&'static Property> {
        self.system.properties()
    }

    /// Its own kinds of faults.
    pub fn faults(&self) -> &'static [OwnFault] {
        self.system.faults()
    }

    /// The kinds of messages that cross its links.
    pub fn messages(&self) -> Vec<MessageGroup> {
        self.system.messages()
    }

    /// Its known bugs.
    pub fn sabotages(&self) -> &'static [Sabotage] {
        self.system.sabotages()
    }

    /// The keys of `[converge]` besides `within`.
    pub fn goals(&self) -> &'static [(&'static str, &'static str)] {
        self.system.goals()
    }

    /// What is sound in the settings but hardly meant.
    pub fn lints(&self, context: &LintContext) -> Vec<String> {
        self.system.lints(&*self.settings, context)
    }

    /// Whether it can take a user's text.
    ///
    /// # Errors
    /// Why not.
    pub fn check_input(&self, lines: &[Bytes]) -> Result<(), String> {
        self.system.check_input(&*self.settings, lines)
    }

    /// What a run of drawn settings begins with.
    pub(in crate::harness) fn setup(&self, run: &RunParameters<'_>) -> AnySetup {
        self.system.setup(&*self.settings, run)
    }
}

impl Target {
    /// Reads a key's value as it is understood where that system runs.
    ///
    /// # Errors
    /// When there is no such target, or its number is beyond what the system has.
    pub fn read(field: &Field, system: &SystemSpec) -> Result<Self, ScenarioError> {
        let name = field.text()?;
        let known = system.targets();
        let target = Target::parse(&name, &known).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|words| words.name.as_str()).collect();
            field.unknown(&names, "list --targets")
        })?;
        let beyond = |nodes: &Nodes, number: u32| u64::from(number) > nodes.count.low;
        if let Target::At(place, number) = target {
            let count = system.placement().count(place).low;
            if u64::from(number.unwrap_or(1)) > count {
                let key = place.key();
                let there_are =
                    format!("there is no \"{name}\": `{key}` of `[placement]` is {count}");
                return Err(field.refused(there_are));
            }
        }
        let numbered = match target {
            Target::Number(role, number) => Some((role.name(), number)),
            Target::State(state) => state.number().map(|number| (state.name(), number)),
            _ => None,
        };
        let nodes = numbered.and_then(|(name, number)| {
            let nodes = system.nodes().into_iter().chain(system.numbered());
            nodes.into_iter().find(|nodes| nodes.name == name).filter(|n| beyond(n, number))
        });
        nodes.map_or(Ok(target), |nodes| Err(beyond_the_system(field, &name, nodes)))
    }

    /// Whether it is one node, and the same whenever it is asked for in one moment.
    pub fn is_one(self, system: &SystemSpec) -> bool {
        match self {
            Target::Everyone | Target::At(..) => false,
            Target::All(role) | Target::Part(role) => {
                let nodes = system.nodes().into_iter().find(|nodes| nodes.name == role.name());
                nodes.is_some_and(|nodes| nodes.count.high == 1)
            }
            Target::Random(_) | Target::Number(..) | Target::State(_) => true,
        }
    }
}

fn beyond_the_system(field: &Field, name: &str, nodes: Nodes) -> ScenarioError {
    let Nodes { name: role, count, key } = nodes;
    let there_are = match count.low {
        low if low < count.high => format!("a seed may draw only {low}"),
        1 => format!("\"{role}-1\" is the only one"),
        count => format!("there are {count}, \"{role}-1\" to \"{role}-{count}\""),
    };
    let error = field.refused(format!("there is no \"{name}\"; {there_are}"));
    match key {
        Some((table, key)) => error.with_help(format!("`{key}` of `[{table}]` says how many")),
        None => error,
    }
}
impl PartialEq for SystemSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
            && self.settings.equals(&*other.settings)
            && self.placement == other.placement
    }
}

impl fmt::Debug for SystemSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name(), self.settings)
    }
}
