//! What the faults of a plan have done so far, and what undoes it.

use super::{executed::ExecutedFault, machines::Machines};
use crate::{
    harness::{
        check::Checker,
        fault::{Among, PlannedFault, Targets},
        scenario::FaultPlan,
        system::{Guard, Layer, Part, Target},
    },
    host::sim::{NodeId, World},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// A part of what a fault has done: it may be lifted before the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PartId(u64);

/// What a fault has done and what may be lifted before the rest of it.
pub(super) struct Held(Vec<PartId>);

/// The faults of a plan that have begun.
pub(super) struct Ledger {
    pub world: World,
    pub machines: Arc<Machines>,
    pub checker: Arc<Checker>,
    pub plan: FaultPlan,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    executed: Vec<ExecutedFault>,
    /// What undoes the faults that are in force, by place in the plan.
    in_force: BTreeMap<usize, Vec<(PartId, Part)>>,
    held: u64,
    /// When a fault was lifted last.
    lifted: Duration,
    /// After healing nothing begins any more.
    healed: bool,
}

impl Ledger {
    pub fn new(
        world: &World,
        machines: &Arc<Machines>,
        checker: &Arc<Checker>,
        plan: FaultPlan,
    ) -> Self {
        let (world, machines, checker) = (world.clone(), machines.clone(), checker.clone());
        Ledger { world, machines, checker, plan, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// A fault is in force from here on; false when all has been healed.
    pub fn begin(&self, index: usize) -> bool {
        let mut state = self.lock();
        if !state.healed {
            state.in_force.insert(index, Vec::new());
        }
        !state.healed
    }

    /// Writes down whom a fault strikes.
    pub fn note(&self, index: usize, targets: &[(Target, Vec<NodeId>)]) {
        let names = |nodes: &[NodeId]| nodes.iter().map(|n| self.machines.name(*n)).collect();
        let resolved: Vec<_> =
            targets.iter().map(|(target, nodes)| (*target, names(nodes))).collect();
        let (what, began) = (self.plan.faults[index].kind.to_string(), self.world.elapsed());
        let mut state = self.lock();
        if let Some(executed) = state.executed.iter_mut().find(|known| known.index == index) {
            // It looks for something else to strike.
            return executed.resolved.extend(resolved);
        }
        state.executed.push(ExecutedFault { index, what, resolved, began, ended: None, met: None });
    }

    /// Keeps what undoes a part of a fault until the fault ends; undoes it at once if it has ended.
    pub fn hold(&self, index: usize, guard: Guard) -> Held {
        let mut state = self.lock();
        let mut held = Held(Vec::new());
        let mut late = Vec::new();
        for part in guard.0 {
            state.held += 1;
            let id = PartId(state.held);
            match state.in_force.get_mut(&index) {
                Some(parts) => parts.push((id, part)),
                None => late.push(part),
            }
            held.0.push(id);
        }
        drop(state);
        late.into_iter().for_each(|part| (part.lift)());
        held
    }

    /// Whether a fault has begun and is not lifted.
    pub fn is_in_force(&self, index: usize) -> bool {
        self.lock().in_force.contains_key(&index)
    }

    /// Undoes a part of a fault before the rest of it, unless that was undone.
    pub fn release(&self, index: usize, held: &Held) {
        let mut state = self.lock();
        let Some(parts) = state.in_force.get_mut(&index) else { return };
        let released: Vec<(PartId, Part)> =
            parts.extract_if(.., |(id, _)| held.0.contains(id)).collect();
        count(&mut state.executed, index, released.iter().map(|(_, part)| part));
        drop(state);
        released.into_iter().for_each(|(_, part)| (part.lift)());
    }

    /// The faults that are in force, by place in the plan.
    pub fn in_force(&self) -> Vec<usize> {
        self.lock().in_force.keys().copied().collect()
    }

    /// Whether any fault is in force.
    pub fn any_in_force(&self) -> bool {
        !self.lock().in_force.is_empty()
    }

    /// When the last of the faults was lifted; zero when none ever struck.
    pub fn lifted(&self) -> Duration {
        self.lock().lifted
    }

    /// Since when no fault is in force; nothing while one is, and once one has struck that harms for good.
    pub fn quiet_since(&self) -> Option<Duration> {
        let state = self.lock();
        let for_good = |executed: &ExecutedFault| {
            let kind = &self.plan.faults[executed.index].kind;
            kind.harms_for_good() && executed.resolved.iter().any(|(_, nodes)| !nodes.is_empty())
        };
        let is_quiet = state.in_force.is_empty() && !state.executed.iter().any(for_good);
        is_quiet.then_some(state.lifted)
    }

    /// What was done so far, in the order of beginning.
    pub fn executed(&self) -> Vec<ExecutedFault> {
        let state = self.lock();
        let mut executed = state.executed.clone();
        for (of, parts) in &state.in_force {
            count(&mut executed, *of, parts.iter().map(|(_, part)| part));
        }
        executed
    }

    /// Whether everything has been undone for good.
    pub fn is_healed(&self) -> bool {
        self.lock().healed
    }

    /// Whether a fault has struck anything so far.
    pub fn has_struck(&self, index: usize) -> bool {
        self.executed().iter().any(|executed| executed.index == index && executed.struck())
    }

    /// Notes what a fault has met.
    pub(super) fn note_met(&self, index: usize, met: u64) {
        add_met(&mut self.lock().executed, index, met);
    }

    /// Undoes a fault; false when it is not in force.
    pub fn lift(&self, index: usize) -> bool {
        let parts = {
            let mut state = self.lock();
            let Some(parts) = state.in_force.remove(&index) else { return false };
            let now = self.world.elapsed();
            state.lifted = now;
            let executed = state.executed.iter_mut().find(|executed| executed.index == index);
            executed.expect("what is in force was noted").ended = Some(now);
            count(&mut state.executed, index, parts.iter().map(|(_, part)| part));
            parts
        };
        parts.into_iter().for_each(|(_, part)| (part.lift)());
        true
    }

    /// Undoes everything: first the links, then what a system's own faults undo themselves, then disks,
    /// services and clocks, then pauses, then dead nodes boot. Nothing begins any more.
    pub fn heal(&self) {
        let mut parts: Vec<Part> = {
            let mut state = self.lock();
            state.healed = true;
            let now = self.world.elapsed();
            if !state.in_force.is_empty() {
                state.lifted = now;
            }
            for executed in &mut state.executed {
                executed.ended.get_or_insert(now);
            }
            let in_force = std::mem::take(&mut state.in_force);
            for (index, parts) in &in_force {
                count(&mut state.executed, *index, parts.iter().map(|(_, part)| part));
            }
            in_force.into_values().flatten().map(|(_, part)| part).collect()
        };
        // What struck machines is undone by reviving them, all at once.
        parts.retain(|part| part.layer != Layer::Machine);
        parts.sort_by_key(|part| part.layer);
        parts.into_iter().for_each(|part| (part.lift)());
        self.machines.revive();
    }
}

/// Whom faults mean.
impl Ledger {
    /// The nodes that targets mean now, of those that are allowed. A target of a list means none that
    /// those before it have taken.
    fn resolve_among(
        &self,
        targets: &Targets,
        pick: u64,
        allowed: &dyn Fn(NodeId) -> bool,
    ) -> Vec<(Target, Vec<NodeId>)> {
        let mut taken: BTreeSet<NodeId> = BTreeSet::new();
        let resolve = |target| {
            let free = |node| allowed(node) && !taken.contains(&node);
            let nodes = self
                .checker
                .with_model(|model| self.machines.resolve_among(target, model, pick, &free));
            taken.extend(&nodes);
            (target, nodes)
        };
        targets.iter().map(resolve).collect()
    }

    /// The nodes that targets mean now.
    pub fn resolve(&self, targets: &Targets, pick: u64) -> Vec<(Target, Vec<NodeId>)> {
        self.resolve_among(targets, pick, &|_| true)
    }

    /// The same of those that the fault may strike.
    pub fn resolve_bound(
        &self,
        fault: &PlannedFault,
        targets: &Targets,
    ) -> Vec<(Target, Vec<NodeId>)> {
        let Some(among) = &fault.among else { return self.resolve(targets, fault.pick) };
        let struck = self.struck_by(Among::fault(among));
        self.resolve_among(targets, fault.pick, &|node| among.allows(struck.contains(&node)))
    }

    /// The nodes that the fault of a name struck, as far as it has begun.
    fn struck_by(&self, fault: &str) -> BTreeSet<NodeId> {
        let of_name = |executed: &&ExecutedFault| {
            self.plan.faults[executed.index].name.as_deref() == Some(fault)
        };
        let state = self.lock();
        let executed = state.executed.iter().filter(of_name);
        executed
            .flat_map(|executed| &executed.resolved)
            .flat_map(|(_, names)| names)
            .filter_map(|name| self.world.find(name))
            .collect()
    }
}

/// Adds what parts of a fault have met, before they are lifted.
fn count<'a>(executed: &mut [ExecutedFault], index: usize, parts: impl Iterator<Item = &'a Part>) {
    for met in parts.filter_map(|part| part.met.as_ref()) {
        add_met(executed, index, met());
    }
}

fn add_met(executed: &mut [ExecutedFault], index: usize, met: u64) {
    if let Some(fault) = executed.iter_mut().find(|fault| fault.index == index) {
        *fault.met.get_or_insert(0) += met;
    }
}
