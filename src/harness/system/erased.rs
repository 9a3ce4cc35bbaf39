//! A system whatever its settings and its model.

use super::{
    own_fault::OwnFault,
    role::{Nodes, Role},
    setup::{Example, LintContext, MessageGroup, Node, Output, RunParameters, StuckRun},
    target::{self, StateName, TargetWords},
    under_test::SystemUnderTest,
};
use crate::{
    harness::{
        check::{AnyGoal, AnyInvariant, AnyModel, NoPanic, any_invariants, model_as},
        event::{EventKind, Milestone, OF_PROCESSES, milestones_of_properties},
        language::{DurationRange, Mistakes, Reader, Setting, Settings, Writer},
    },
    host::{
        Property, PropertyEvent, Sabotage,
        sim::{Hardware, NodeId},
    },
};
use bytes::Bytes;
use std::{any::Any, fmt, sync::Arc};

/// Settings whatever their system.
pub trait AnySettings: fmt::Debug + Send + Sync {
    /// For the downcast of who knows the system.
    fn as_any(&self) -> &dyn Any;
    /// Whether they are the same.
    fn equals(&self, other: &dyn AnySettings) -> bool;
    /// Writes every key.
    fn write(&self, writer: &mut Writer);
    /// Writes the keys without a table's header.
    fn write_keys(&self, writer: &mut Writer);
    /// What a seed draws from the ranges.
    fn at_edges(&self, seed: u64) -> Arc<dyn AnySettings>;
    /// What a seed draws from the ranges.
    fn draw(&self, seed: u64) -> Arc<dyn AnySettings>;
}

impl<S: Settings> AnySettings for S {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn AnySettings) -> bool {
        other.as_any().downcast_ref::<S>() == Some(self)
    }

    fn write(&self, writer: &mut Writer) {
        Settings::write(self, writer);
    }

    fn write_keys(&self, writer: &mut Writer) {
        Settings::write_keys(self, writer);
    }

    fn at_edges(&self, seed: u64) -> Arc<dyn AnySettings> {
        Arc::new(Settings::at_edges(self, seed))
    }

    fn draw(&self, seed: u64) -> Arc<dyn AnySettings> {
        Arc::new(Settings::draw(self, seed))
    }
}

/// An invariant in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvariantWords {
    /// By which scenarios name it.
    pub name: &'static str,
    /// Its code and its name.
    pub title: &'static str,
    /// What it promises.
    pub promise: &'static str,
}

/// What came out of a run, by the state at its end.
type AnyOutput = Box<dyn FnOnce(&dyn AnyModel) -> Output>;
/// Why a run may be stuck without a bug, by the state at its end.
type AnyExplanation = Box<dyn Fn(&dyn AnyModel, &StuckRun) -> Vec<String>>;

/// What a run begins with, whatever its system.
pub(in crate::harness) struct AnySetup {
    pub nodes: Vec<Node>,
    pub invariants: Vec<Box<dyn AnyInvariant>>,
    pub goals: Vec<Box<dyn AnyGoal>>,
    pub kinds: Vec<EventKind>,
    pub properties: Vec<&'static Property>,
    pub milestones: Vec<Milestone>,
    pub model: Box<dyn AnyModel>,
    pub output: AnyOutput,
    pub explain: AnyExplanation,
}

/// A [`SystemUnderTest`] whatever its settings and its model: [`RegisteredSystem`] makes it.
pub trait AnySystem: Sync {
    /// The name in scenario files.
    fn name(&self) -> &'static str;
    /// The folder below `scenarios/` in which `new` puts its scenarios.
    fn folder(&self) -> &'static str;
    /// What runs.
    fn description(&self) -> &'static str;
    /// Every key of its own tables.
    fn settings(&self) -> Vec<Setting>;
    /// The roles of its nodes.
    fn roles(&self) -> &'static [Role];
    /// Whom faults can strike.
    fn targets(&self) -> Vec<TargetWords>;
    /// The moments that can be reached.
    fn milestones(&self) -> Vec<Milestone>;
    /// What is judged, besides the properties that its code has.
    fn invariants(&self) -> Vec<InvariantWords>;
    /// The properties that its code has.
    fn properties(&self) -> Vec<&'static Property>;
    /// Its own kinds of faults.
    fn faults(&self) -> &'static [OwnFault];
    /// The kinds of messages that cross its links.
    fn messages(&self) -> Vec<MessageGroup>;
    /// Its known bugs.
    fn sabotages(&self) -> &'static [Sabotage];
    /// The keys of `[converge]` besides `within`.
    fn goals(&self) -> &'static [(&'static str, &'static str)];
    /// What a commented scenario names.
    fn example(&self) -> Example;

    #[doc(hidden)]
    fn read(&self, file: &mut Reader, mistakes: &mut Mistakes) -> Arc<dyn AnySettings>;
    #[doc(hidden)]
    fn nodes(&self, settings: &dyn AnySettings) -> Vec<Nodes>;
    #[doc(hidden)]
    fn numbered(&self, settings: &dyn AnySettings) -> Vec<Nodes>;
    #[doc(hidden)]
    fn lints(&self, settings: &dyn AnySettings, context: &LintContext) -> Vec<String>;
    #[doc(hidden)]
    fn check_input(&self, settings: &dyn AnySettings, lines: &[Bytes]) -> Result<(), String>;
    #[doc(hidden)]
    fn find(&self, state: StateName, model: &dyn AnyModel, nodes: &[NodeId]) -> Vec<NodeId>;
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only the harness calls it")]
    fn setup(&self, settings: &dyn AnySettings, run: &RunParameters<'_>) -> AnySetup;
}

/// The registry's entry for a system.
pub struct RegisteredSystem<S>(pub S);

/// Settings as their type.
///
/// # Panics
/// When they are of another.
pub fn settings_as<S: 'static>(settings: &dyn AnySettings) -> &S {
    settings.as_any().downcast_ref().expect("a system, or a job, and its own settings")
}

/// Nothing is run with these: they are for who only asks which invariants there are.
const CATALOGUE: RunParameters<'static> =
    RunParameters { seed: 0, input: None, latency: DurationRange::ZERO, has_faults: false };

impl<S: SystemUnderTest> AnySystem for RegisteredSystem<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn folder(&self) -> &'static str {
        self.0.folder()
    }

    fn description(&self) -> &'static str {
        S::DESCRIPTION
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.declared()
    }

    fn roles(&self) -> &'static [Role] {
        self.0.roles()
    }

    fn targets(&self) -> Vec<TargetWords> {
        target::known(self.0.roles(), self.0.targets())
    }

    fn milestones(&self) -> Vec<Milestone> {
        let own = self.0.milestones().into_iter();
        let mut known: Vec<Milestone> = own.chain(OF_PROCESSES.iter().copied()).collect();
        for milestone in milestones_of_properties(&self.properties()) {
            // What the system itself declares under a name is what the name means.
            if !known.contains(&milestone) {
                known.push(milestone);
            }
        }
        known
    }

    fn invariants(&self) -> Vec<InvariantWords> {
        let setup = self.setup(&Settings::draw(&self.0.default_settings(), 0), &CATALOGUE);
        let words = |invariant: &dyn AnyInvariant| InvariantWords {
            name: invariant.name(),
            title: invariant.title(),
            promise: invariant.promise(),
        };
        setup.invariants.iter().map(|invariant| words(&**invariant)).collect()
    }

    fn properties(&self) -> Vec<&'static Property> {
        Property::all().iter().copied().filter(|property| self.0.has_property(property)).collect()
    }

    fn faults(&self) -> &'static [OwnFault] {
        self.0.faults()
    }

    fn messages(&self) -> Vec<MessageGroup> {
        self.0.messages()
    }

    fn sabotages(&self) -> &'static [Sabotage] {
        self.0.sabotages()
    }

    fn goals(&self) -> &'static [(&'static str, &'static str)] {
        self.0.goals()
    }

    fn example(&self) -> Example {
        self.0.example()
    }

    fn read(&self, file: &mut Reader, mistakes: &mut Mistakes) -> Arc<dyn AnySettings> {
        Arc::new(self.0.read(file, mistakes))
    }

    fn nodes(&self, settings: &dyn AnySettings) -> Vec<Nodes> {
        self.0.nodes(settings_as(settings))
    }

    fn numbered(&self, settings: &dyn AnySettings) -> Vec<Nodes> {
        self.0.numbered(settings_as(settings))
    }

    fn lints(&self, settings: &dyn AnySettings, context: &LintContext) -> Vec<String> {
        self.0.lints(settings_as(settings), context)
    }

    fn check_input(&self, settings: &dyn AnySettings, lines: &[Bytes]) -> Result<(), String> {
        self.0.check_input(settings_as(settings), lines)
    }

    fn find(&self, state: StateName, model: &dyn AnyModel, nodes: &[NodeId]) -> Vec<NodeId> {
        let Some(target) = self.0.targets().iter().find(|target| target.name == state.name())
        else {
            return Vec::new();
        };
        let found = (target.find)(model_as(model), state.number().unwrap_or(0), nodes);
        if found.is_empty() && target.or_any { nodes.to_vec() } else { found }
    }

    #[expect(private_interfaces, reason = "only the harness calls it")]
    fn setup(&self, settings: &dyn AnySettings, run: &RunParameters<'_>) -> AnySetup {
        let setup = self.0.setup(settings_as(settings), run);
        let mut invariants = setup.invariants;
        invariants.push(Box::new(NoPanic));
        let mut kinds = self.0.event_kinds();
        kinds.extend([EventKind::of::<Hardware>(), EventKind::of::<PropertyEvent>()]);
        let (output, explain) = (setup.output, setup.explain);
        AnySetup {
            nodes: setup.nodes,
            invariants: any_invariants(invariants),
            goals: setup.goals.into_iter().map(|g| Box::new(g) as Box<dyn AnyGoal>).collect(),
            kinds,
            properties: self.properties(),
            milestones: self.milestones(),
            model: Box::new(S::Model::default()),
            output: Box::new(move |model| output(model_as(model))),
            explain: Box::new(move |model, stuck| explain(model_as(model), stuck)),
        }
    }
}
