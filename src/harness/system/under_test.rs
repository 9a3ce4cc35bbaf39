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
        language::{Mistakes, Reader, Setting, Settings},
    },
    host::{Property, Sabotage},
};
use bytes::Bytes;

/// A system that can run in simulation, and what must hold of it.
///
/// A registry has a value of it, which may hold what a binary adds to the system, such as its jobs.
pub trait SystemUnderTest: Sync + 'static {
    /// The name in scenario files.
    const NAME: &'static str;
    /// What runs, in a line or two.
    const DESCRIPTION: &'static str;

    /// Its tables in scenario files, made with [`settings!`](crate::settings).
    type Settings: Settings + Default;
    /// Its state as far as its events tell.
    type Model: Model;

    /// The folder below `scenarios/` in which `new` puts its scenarios; its name by default.
    fn folder(&self) -> &'static str {
        Self::NAME
    }

    /// Every key of its tables; those that its settings declare by default.
    fn declared(&self) -> Vec<Setting> {
        Self::Settings::declared()
    }

    /// Reads its tables. A mistake is kept in `mistakes`, and a stand-in taken.
    fn read(&self, file: &mut Reader, mistakes: &mut Mistakes) -> Self::Settings {
        Self::Settings::read(file, mistakes)
    }

    /// The settings of a file that says nothing.
    fn default_settings(&self) -> Self::Settings {
        Self::Settings::default()
    }

    /// The roles of its nodes; each makes targets by its name.
    fn roles(&self) -> &'static [Role];

    /// How many nodes of each role boot. The settings may hold ranges still.
    fn nodes(&self, settings: &Self::Settings) -> Vec<Nodes>;

    /// The targets that only its state tells, such as who leads.
    fn targets(&self) -> &'static [StateTarget<Self::Model>] {
        &[]
    }

    /// How many there are of what else goes by a number: of numbered targets of [`Self::targets`].
    fn numbered(&self, settings: &Self::Settings) -> Vec<Nodes> {
        let _ = settings;
        Vec::new()
    }

    /// The kinds of events that its invariants, histories and milestones know, what comes most often
    /// first. Those of the hardware and of properties are known anyhow.
    fn event_kinds(&self) -> Vec<EventKind>;

    /// The moments on which faults can hang. Those of processes and of properties are known anyhow.
    fn milestones(&self) -> Vec<Milestone>;

    /// Whether code with that property runs on its nodes: scenarios can name it then, and a sweep tells
    /// when no run came to it. A property that fails or is reached counts in any case.
    ///
    /// By default those of the crate of this type.
    fn has_property(&self, property: &Property) -> bool {
        let own = std::any::type_name::<Self>().split("::").next();
        property.module().split("::").next() == own
    }

    /// Kinds of faults of its own, besides those that every system can meet.
    fn faults(&self) -> &'static [OwnFault] {
        &[]
    }

    /// The kinds of messages that cross its links.
    fn messages(&self) -> Vec<MessageGroup>;

    /// Its known bugs that can be switched on.
    fn sabotages(&self) -> &'static [Sabotage] {
        &[]
    }

    /// The keys of `[converge]` besides `within`, with what each bounds: the goals of
    /// [`Setup::goals`] name them.
    fn goals(&self) -> &'static [(&'static str, &'static str)];

    /// What a commented scenario to start from names.
    fn example(&self) -> Example;

    /// What a run of drawn settings begins with.
    fn setup(&self, settings: &Self::Settings, run: &RunParameters<'_>) -> Setup<Self::Model>;

    /// What is sound in settings but hardly meant, a line each.
    fn lints(&self, settings: &Self::Settings, context: &LintContext) -> Vec<String> {
        let _ = (settings, context);
        Vec::new()
    }

    /// Whether it can take a user's text in place of its workload.
    ///
    /// # Errors
    /// Why not.
    fn check_input(&self, settings: &Self::Settings, lines: &[Bytes]) -> Result<(), String> {
        let _ = (settings, lines);
        Err(format!("a {} takes no text", Self::NAME))
    }
}
