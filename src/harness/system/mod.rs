//! All that the harness asks of what is tested: [`SystemUnderTest`]. A registry of systems ([`Systems`]) is
//! handed to the command line and to the runner of scenario tests; the harness knows none by name.

mod erased;
mod own_fault;
mod placement;
mod role;
mod setup;
mod spec;
mod systems;
mod target;
mod under_test;

pub(in crate::harness) use erased::AnySetup;
pub use erased::{AnySettings, AnySystem, InvariantWords, RegisteredSystem, settings_as};
pub use own_fault::{FaultInjector, Guard, OwnFault};
pub(in crate::harness) use own_fault::{Layer, Part};
pub use placement::{Place, Placement};
pub use role::{Disk, Nodes, Role, RoleSpec};
pub use setup::{
    BoxFuture, Example, Explanation, LintContext, Main, MessageGroup, Node, Output, OutputOf,
    RunParameters, Setup, StuckRun,
};
pub use spec::SystemSpec;
pub use systems::Systems;
pub use target::{StateName, StateTarget, Target, TargetWords};
pub use under_test::SystemUnderTest;
