//! What a system says of itself to be put under test.

use super::{
    own_fault::OwnFault,
    role::{Nodes, Role},
    setup::{Example, LintContext, MessageGroup, RunParameters, Setup},
    target::StateTarget,
};
use crate::{
    harness::{
        check::Model,
        event::{EventKind, Milestone},
        language::Settings,
    },
    host::{Property, Sabotage},
};
use bytes::Bytes;

/// A system that can run in simulation, and what must hold of it.
///
/// The type itself is only a name; nothing makes a value of it.
pub trait SystemUnderTest: 'static {
    /// The name in scenario files.
    const NAME: &'static str;
    /// The folder below `scenarios/` in which `new` puts its scenarios.
    const FOLDER: &'static str = Self::NAME;
    /// What runs, in a line or two.
    const DESCRIPTION: &'static str;

    /// Its tables in scenario files, made with [`settings!`](crate::settings).
    type Settings: Settings + Default;
    /// Its state as far as its events tell.
    type Model: Model;

    /// The roles of its nodes; each makes targets by its name.
    fn roles() -> &'static [Role];

    /// How many nodes of each role boot. The settings may hold ranges still.
    fn nodes(settings: &Self::Settings) -> Vec<Nodes>;

    /// The targets that only its state tells, such as who leads.
    fn targets() -> &'static [StateTarget<Self::Model>] {
        &[]
    }

    /// How many there are of what else goes by a number: of numbered targets of [`Self::targets`].
    fn numbered(settings: &Self::Settings) -> Vec<Nodes> {
        let _ = settings;
        Vec::new()
    }

    /// The kinds of events that its invariants, histories and milestones know, what comes most often
    /// first. Those of the hardware and of properties are known anyhow.
    fn event_kinds() -> Vec<EventKind>;

    /// The moments on which faults can hang. Those of processes and of properties are known anyhow.
    fn milestones() -> Vec<Milestone>;

    /// Whether code with that property runs on its nodes: scenarios can name it then, and a sweep tells
    /// when no run came to it. A property that fails or is reached counts in any case.
    ///
    /// By default those of the crate of this type.
    fn has_property(property: &Property) -> bool {
        let own = std::any::type_name::<Self>().split("::").next();
        property.module().split("::").next() == own
    }

    /// Kinds of faults of its own, besides those that every system can meet.
    fn faults() -> &'static [OwnFault] {
        &[]
    }

    /// The kinds of messages that cross its links.
    fn messages() -> Vec<MessageGroup>;

    /// Its known bugs that can be switched on.
    fn sabotages() -> &'static [Sabotage] {
        &[]
    }

    /// The keys of `[converge]` besides `within`, with what each bounds: the goals of
    /// [`Setup::goals`] name them.
    fn goals() -> &'static [(&'static str, &'static str)];

    /// What a commented scenario to start from names.
    fn example() -> Example;

    /// What a run of drawn settings begins with.
    fn setup(settings: &Self::Settings, run: &RunParameters<'_>) -> Setup<Self::Model>;

    /// What is sound in settings but hardly meant, a line each.
    fn lints(settings: &Self::Settings, context: &LintContext) -> Vec<String> {
        let _ = (settings, context);
        Vec::new()
    }

    /// Whether it can take a user's text in place of its workload.
    ///
    /// # Errors
    /// Why not.
    fn check_input(settings: &Self::Settings, lines: &[Bytes]) -> Result<(), String> {
        let _ = (settings, lines);
        Err(format!("a {} takes no text", Self::NAME))
    }
}
