//! When a plan's faults begin, and when what they have done is undone.

use super::{executed::ExecutedFault, machines::Machines, strike::Strike};
use crate::{
    harness::{
        check::{Checker, EventMatcher, Trigger},
        fault::{Among, Drawn, Edge, PlannedFault, Targets, TriggerCondition, When},
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

#[derive(Default)]
struct Ledger {
    executed: Vec<ExecutedFault>,
    /// What undoes the faults that have begun and are not lifted, by place in the plan.
    in_force: BTreeMap<usize, Vec<(PartId, Part)>>,
    held: u64,
    pending: usize,
    /// Faults that wait for another's beginning or end.
    waiting: Vec<(String, Edge, Duration, usize)>,
    /// When a fault was lifted last.
    lifted: Duration,
    /// After healing nothing begins any more.
    healed: bool,
}

/// Executes one plan.
pub struct Injector {
    pub(super) world: World,
    pub(super) machines: Arc<Machines>,
    checker: Arc<Checker>,
    pub(super) plan: FaultPlan,
    ledger: Mutex<Ledger>,
}

impl Injector {
    /// Arms every fault of the plan.
    pub fn start(
        world: &World,
        machines: &Arc<Machines>,
        checker: &Arc<Checker>,
        plan: FaultPlan,
    ) -> Arc<Self> {
        let injector = Arc::new(Injector {
            world: world.clone(),
            machines: machines.clone(),
            checker: checker.clone(),
            ledger: Mutex::new(Ledger { pending: plan.faults.len(), ..Ledger::default() }),
            plan,
        });
        // Those of one instant begin in the plan's order.
        let mut at_times: BTreeMap<Duration, Vec<usize>> = BTreeMap::new();
        for (index, fault) in injector.plan.faults.iter().enumerate() {
            match &fault.when {
                When::At(at) => at_times.entry(*at).or_default().push(index),
                When::On(condition) => {
                    let begins = injector.clone();
                    injector.arm_on(condition, index, move || begins.begin(index));
                }
                When::With { fault, edge, after } | When::OnAfter { fault, edge, after, .. } => {
                    injector.lock().waiting.push((fault.clone(), *edge, *after, index));
                }
            }
        }
        for (at, faults) in at_times {
            let injector = injector.clone();
            world.spawn(async move {
                injector.world.sleep_until(at).await;
                faults.into_iter().for_each(|index| injector.begin(index));
            });
        }
        injector
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic under this lock")
    }

    /// Does something some time after a moment, counted from now.
    fn arm_on(
        self: &Arc<Self>,
        condition: &TriggerCondition<Drawn>,
        index: usize,
        act: impl FnOnce() + Send + 'static,
    ) {
        let after = condition.after;
        let trigger: Trigger = Box::new(move |world: &World| later(world, after, act));
        let (machines, pick) = (self.machines.clone(), self.plan.faults[index].pick);
        let node = condition.node;
        let (milestone, nth) = (condition.milestone, condition.nth);
        let mut wanted = EventMatcher::new(milestone, nth);
        wanted.asked = condition.asks();
        if let Some(node) = node {
            wanted.node =
                Some(Box::new(move |model, at| machines.resolve(node, model, pick).contains(&at)));
        }
        self.checker.on_milestone(wanted, trigger);
    }

    /// Whether every fault has come and gone.
    pub fn is_done(&self) -> bool {
        let ledger = self.lock();
        ledger.pending == 0 && ledger.in_force.is_empty()
    }

    /// When the last of the faults was lifted; zero when none ever struck.
    pub fn lifted(&self) -> Duration {
        self.lock().lifted
    }

    /// What was done so far, in the order of beginning.
    pub fn executed(&self) -> Vec<ExecutedFault> {
        let ledger = self.lock();
        let mut executed = ledger.executed.clone();
        for (of, parts) in &ledger.in_force {
            count(&mut executed, *of, parts.iter().map(|(_, part)| part));
        }
        executed
    }

    /// Notes what a fault has met.
    pub(super) fn note_met(&self, index: usize, met: u64) {
        add_met(&mut self.lock().executed, index, met);
    }

    fn begin(self: &Arc<Self>, index: usize) {
        let fault = &self.plan.faults[index];
        {
            let mut ledger = self.lock();
            if ledger.healed {
                return;
            }
            ledger.pending -= 1;
            ledger.in_force.insert(index, Vec::new());
        }
        Strike::new(self, index).strike();
        let (injector, duration) = (self.clone(), fault.duration);
        self.world.spawn(async move {
            injector.world.sleep(duration).await;
            injector.lift(index);
        });
        if let Some(until) = &fault.until {
            let injector = self.clone();
            self.arm_on(until, index, move || injector.lift(index));
        }
        self.begin_with(fault, Edge::Start);
    }

    /// Begins the faults that wait for this edge of a fault.
    fn begin_with(self: &Arc<Self>, fault: &PlannedFault, edge: Edge) {
        let Some(name) = &fault.name else { return };
        let due: Vec<(Duration, usize)> = {
            let mut ledger = self.lock();
            let due = ledger.waiting.extract_if(.., |(of, at, _, _)| of == name && *at == edge);
            due.map(|(_, _, after, index)| (after, index)).collect()
        };
        for (after, index) in due {
            let injector = self.clone();
            later(&self.world, after, move || match &injector.plan.faults[index].when {
                When::OnAfter { condition, .. } => {
                    let begins = injector.clone();
                    injector.arm_on(condition, index, move || begins.begin(index));
                }
                _ => injector.begin(index),
            });
        }
    }

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
    pub(super) fn resolve(&self, targets: &Targets, pick: u64) -> Vec<(Target, Vec<NodeId>)> {
        self.resolve_among(targets, pick, &|_| true)
    }

    /// The same of those that the fault may strike.
    pub(super) fn resolve_bound(
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
        let ledger = self.lock();
        let executed = ledger.executed.iter().filter(of_name);
        executed
            .flat_map(|executed| &executed.resolved)
            .flat_map(|(_, names)| names)
            .filter_map(|name| self.world.find(name))
            .collect()
    }

    /// Writes down whom a fault strikes.
    pub(super) fn note(&self, index: usize, targets: &[(Target, Vec<NodeId>)]) {
        let names = |nodes: &[NodeId]| nodes.iter().map(|n| self.machines.name(*n)).collect();
        let resolved = targets.iter().map(|(target, nodes)| (*target, names(nodes))).collect();
        let (what, began) = (self.plan.faults[index].kind.to_string(), self.world.elapsed());
        self.lock().executed.push(ExecutedFault {
            index,
            what,
            resolved,
            began,
            ended: None,
            met: None,
        });
    }

    /// Keeps what undoes a part of a fault until the fault ends; undoes it at once if it has ended.
    pub(super) fn hold(&self, index: usize, guard: Guard) -> Held {
        let mut ledger = self.lock();
        let mut held = Held(Vec::new());
        let mut late = Vec::new();
        for part in guard.0 {
            ledger.held += 1;
            let id = PartId(ledger.held);
            match ledger.in_force.get_mut(&index) {
                Some(parts) => parts.push((id, part)),
                None => late.push(part),
            }
            held.0.push(id);
        }
        drop(ledger);
        late.into_iter().for_each(|part| (part.lift)());
        held
    }

    /// Whether a fault has begun and is not lifted.
    pub(super) fn is_in_force(&self, index: usize) -> bool {
        self.lock().in_force.contains_key(&index)
    }

    /// Undoes a part of a fault before the rest of it, unless that was undone.
    pub(super) fn release(&self, index: usize, held: &Held) {
        let mut ledger = self.lock();
        let Some(parts) = ledger.in_force.get_mut(&index) else { return };
        let released: Vec<(PartId, Part)> =
            parts.extract_if(.., |(id, _)| held.0.contains(id)).collect();
        count(&mut ledger.executed, index, released.iter().map(|(_, part)| part));
        drop(ledger);
        released.into_iter().for_each(|(_, part)| (part.lift)());
    }

    fn lift(self: &Arc<Self>, index: usize) {
        let parts = {
            let mut ledger = self.lock();
            if ledger.healed {
                return;
            }
            let Some(parts) = ledger.in_force.remove(&index) else { return };
            let now = self.world.elapsed();
            ledger.lifted = now;
            let executed = ledger.executed.iter_mut().find(|executed| executed.index == index);
            executed.expect("what is in force was noted").ended = Some(now);
            count(&mut ledger.executed, index, parts.iter().map(|(_, part)| part));
            parts
        };
        parts.into_iter().for_each(|(_, part)| (part.lift)());
        self.begin_with(&self.plan.faults[index], Edge::End);
    }

    /// Lifts everything: first the links, then what a system's own faults lift themselves, then disks,
    /// services and clocks, then pauses, then dead nodes boot. What has not begun never will.
    pub fn heal(&self) {
        let mut parts: Vec<Part> = {
            let mut ledger = self.lock();
            ledger.healed = true;
            ledger.pending = 0;
            ledger.waiting.clear();
            let now = self.world.elapsed();
            if !ledger.in_force.is_empty() {
                ledger.lifted = now;
            }
            for executed in &mut ledger.executed {
                executed.ended.get_or_insert(now);
            }
            let in_force = std::mem::take(&mut ledger.in_force);
            for (index, parts) in &in_force {
                count(&mut ledger.executed, *index, parts.iter().map(|(_, part)| part));
            }
            in_force.into_values().flatten().map(|(_, part)| part).collect()
        };
        self.checker.drop_triggers();
        // What struck machines is undone by reviving them, all at once.
        parts.retain(|part| part.layer != Layer::Machine);
        parts.sort_by_key(|part| part.layer);
        parts.into_iter().for_each(|part| (part.lift)());
        self.machines.revive();
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

/// Does something after a time; at once within this very step when there is none.
fn later(world: &World, after: Duration, act: impl FnOnce() + Send + 'static) {
    if after.is_zero() {
        return act();
    }
    let handle = world.clone();
    world.spawn(async move {
        handle.sleep(after).await;
        act();
    });
}
