//! Faults of a system's own: what it does is a closure, and what undoes it a guard.

use super::role::Role;
use crate::{
    harness::language::shown,
    host::{
        Draws,
        sim::{DiskFault, LinkRule, NodeId, ProcessEnd, ServiceFault, World},
    },
};
use std::fmt;

/// A kind of fault that a system brings: `kind = "its-name"` in scenario files, with a `target` and the keys
/// of every fault. Swarms draw it as they draw the others.
pub struct OwnFault {
    name: &'static str,
    does: &'static str,
    of: Option<Role>,
    at_once: bool,
    strike: fn(&dyn FaultInjector, NodeId) -> Guard,
}

impl OwnFault {
    /// A kind of that name, and what it does in a sentence. `strike` is called for each node that the target
    /// means at the fault's begin, within that very step; the guard is lifted when the fault ends.
    ///
    /// ```
    /// use wavetank::{harness::system::{Guard, OwnFault}, host::sim::{DiskEffect, DiskFault, DiskOp}};
    ///
    /// const WRITES_STALL: OwnFault =
    ///     OwnFault::new("writes-stall", "Nothing is written until the end.", |injector, node| {
    ///         injector.disk_fault(node, DiskFault { on: DiskOp::Write, effect: DiskEffect::Stalled })
    ///     });
    /// assert_eq!(WRITES_STALL.name(), "writes-stall");
    /// ```
    pub const fn new(
        name: &'static str,
        does: &'static str,
        strike: fn(&dyn FaultInjector, NodeId) -> Guard,
    ) -> Self {
        OwnFault { name, does, of: None, at_once: false, strike }
    }

    /// The same, which only a node of that role can be struck by; of any role when this is not said.
    #[must_use]
    pub const fn of(self, role: Role) -> Self {
        OwnFault { of: Some(role), ..self }
    }

    /// Its name in files.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it does, in a sentence.
    pub const fn does(&self) -> &'static str {
        self.does
    }

    /// The same, which does all at its begin: a file need not say how long it lasts.
    #[must_use]
    pub const fn at_once(self) -> Self {
        OwnFault { at_once: true, ..self }
    }

    /// Whether all that it does it does at its begin.
    pub(in crate::harness) fn is_at_once(&self) -> bool {
        self.at_once
    }

    /// The only role that it strikes, if there is one.
    pub const fn of_role(&self) -> Option<Role> {
        self.of
    }

    /// Whether what a target of a role means can be struck by it.
    pub(in crate::harness) fn strikes(&self, role: Option<Role>) -> bool {
        self.of.is_none() || self.of == role
    }

    pub(in crate::harness) fn strike(&self, injector: &dyn FaultInjector, node: NodeId) -> Guard {
        (self.strike)(injector, node)
    }
}

impl PartialEq for OwnFault {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OwnFault {}

impl fmt::Debug for OwnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnFault({})", shown(self.name))
    }
}

/// What a fault can do: to the simulated hardware of a run. Each method does one thing at this
/// instant, and gives the guard that undoes it.
pub trait FaultInjector {
    /// The world, for its time, nodes and files.
    fn world(&self) -> &World;

    /// The draws of this fault on a node: its plan decides them, and nothing else.
    fn draws(&self, node: NodeId) -> Draws;

    /// Notes that the fault met so many of what it is for: one that met nothing has shown nothing. Rules and
    /// faults of disks and services count by themselves.
    fn note_met(&self, met: u64);

    /// Puts a rule on links.
    fn link_rule(&self, rule: LinkRule) -> Guard;

    /// Ends a node's process, and keeps it down. It boots when no fault holds it.
    fn take_down(&self, node: NodeId, end: ProcessEnd) -> Guard;

    /// Stops a node's process in its tracks.
    fn pause(&self, node: NodeId) -> Guard;

    /// Makes operations of a node's disk fail, stall or take longer.
    fn disk_fault(&self, node: NodeId, fault: DiskFault) -> Guard;

    /// Makes a node's service answer calls with errors of its own.
    fn service_fault(&self, node: NodeId, fault: ServiceFault) -> Guard;

    /// Makes a node's clocks gain so many parts in a million, or lose them; of several faults the newest
    /// counts.
    fn drift(&self, node: NodeId, per_million: i64) -> Guard;
}

/// What kind of thing a guard lifts: a run is healed in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::harness) enum Layer {
    /// Rules on links.
    Links,
    /// What a system's own fault lifts itself.
    Own,
    /// Disks, services, clocks and processes: healing revives every machine, whatever struck it.
    Machine,
}

/// One thing that a guard lifts.
pub(in crate::harness) struct Part {
    pub layer: Layer,
    /// How many frames, operations or calls it was for so far; `None` of what strikes whomever it means.
    pub met: Option<Box<dyn Fn() -> u64 + Send>>,
    pub lift: Box<dyn FnOnce() + Send>,
}

/// What undoes what a fault has done. The run keeps it while the fault is in force; it undoes nothing when it
/// is merely dropped.
#[must_use = "what it is to undo would never be undone"]
#[derive(Default)]
pub struct Guard(pub(in crate::harness) Vec<Part>);

impl Guard {
    /// Nothing is to be undone.
    pub fn nothing() -> Self {
        Guard::default()
    }

    /// Calls `lift` when the fault ends.
    pub fn new(lift: impl FnOnce() + Send + 'static) -> Self {
        Guard::of(Layer::Own, lift)
    }

    pub(in crate::harness) fn of(layer: Layer, lift: impl FnOnce() + Send + 'static) -> Self {
        Guard(vec![Part { layer, met: None, lift: Box::new(lift) }])
    }

    /// The same, counting what it has met by what `met` says while the fault is in force and when it ends.
    pub(in crate::harness) fn counting(mut self, met: impl Fn() -> u64 + Send + 'static) -> Self {
        if let Some(part) = self.0.last_mut() {
            part.met = Some(Box::new(met));
        }
        self
    }

    /// Undoes both, this one first. When all is healed, links go first, then what `lift` does, then everything
    /// that befell machines at once.
    pub fn and(mut self, other: Guard) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|part| part.layer)).finish()
    }
}
