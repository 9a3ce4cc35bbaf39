//! Does a plan's faults to a world, and lifts them.

use super::{machines::Machines, undo::Undo};
use crate::{
    harness::{
        check::{Checker, EventMatcher, Trigger},
        fault::{Edge, FaultSpec, TriggerCondition, When},
        scenario::FaultPlan,
        system::Target,
    },
    host::sim::{NodeId, RuleId, World},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// A fault as it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedFault {
    /// Its place in the plan.
    pub index: usize,
    /// What it does, in the plan's words.
    pub what: String,
    /// The nodes that it struck: each target and the names of those it meant.
    pub resolved: Vec<(Target, Vec<String>)>,
    /// When it began.
    pub began: Duration,
    /// When it was lifted; `None` while it is in force.
    pub ended: Option<Duration>,
    /// How many frames, operations of disks or calls its rules were for, struck in the end or not, or
    /// how many bits flipped; `None` of a fault that strikes whomever it means.
    pub met: Option<u64>,
}

impl ExecutedFault {
    /// Whether anything met it: one that came and met nothing has shown nothing.
    pub fn struck(&self) -> bool {
        self.met.is_none_or(|met| met > 0)
            && (self.resolved.is_empty()
                || self.resolved.iter().any(|(_, nodes)| !nodes.is_empty()))
    }

    /// The targets whose meaning depends on the state of the run, and the node that each meant.
    pub fn describe_resolved(&self) -> String {
        let told = self.resolved.iter().filter_map(|(target, nodes)| match &nodes[..] {
            [name] if *name != target.to_string() => Some(format!("{target} = {name}")),
            [] => Some(format!("{target} = nobody")),
            _ => None,
        });
        let mut told: Vec<String> = told.collect();
        told.dedup();
        told.join(", ")
    }
}

#[derive(Default)]
struct Ledger {
    executed: Vec<ExecutedFault>,
    /// What lifts the faults that have begun and are not lifted, by place in the plan.
    in_force: BTreeMap<usize, Vec<Undo>>,
    /// The rules on links of each fault.
    rules: Vec<(usize, RuleId)>,
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
    plan: FaultPlan,
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
        for index in 0..injector.plan.faults.len() {
            injector.arm(index);
        }
        injector
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic under this lock")
    }

    fn arm(self: &Arc<Self>, index: usize) {
        match &self.plan.faults[index].when {
            When::At(at) => {
                let (injector, at) = (self.clone(), at.low);
                self.world.spawn(async move {
                    injector.world.sleep_until(at).await;
                    injector.begin(index);
                });
            }
            When::On(condition) => {
                let injector = self.clone();
                self.arm_on(condition, index, move || injector.begin(index));
            }
            When::With { fault, edge, after } | When::OnAfter { fault, edge, after, .. } => {
                self.lock().waiting.push((fault.clone(), *edge, after.low, index));
            }
        }
    }

    /// Does something some time after a moment, counted from now.
    fn arm_on(
        self: &Arc<Self>,
        condition: &TriggerCondition,
        index: usize,
        act: impl FnOnce() + Send + 'static,
    ) {
        let after = condition.after.low;
        let trigger: Trigger = Box::new(move |world: &World| later(world, after, act));
        let (machines, pick) = (self.machines.clone(), self.plan.faults[index].picks());
        let node = condition.node;
        let (milestone, nth) = (condition.milestone, condition.nth.low);
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
        for (of, rule) in &ledger.rules {
            add_met(&mut executed, *of, self.world.met(*rule));
        }
        for (of, undos) in &ledger.in_force {
            undos.iter().filter_map(|undo| self.met(undo)).for_each(|met| {
                add_met(&mut executed, *of, met);
            });
        }
        executed
    }

    /// What a fault of a device in force has met.
    fn met(&self, undo: &Undo) -> Option<u64> {
        match undo {
            Undo::Disk(node, fault) => Some(self.world.disk_met(*node, *fault)),
            Undo::Service(node, fault) => Some(self.world.service_met(*node, *fault)),
            _ => None,
        }
    }

    /// Notes what a fault has met.
    pub(super) fn note_met(&self, index: usize, met: u64) {
        add_met(&mut self.lock().executed, index, met);
    }

    /// Counts what faults of devices have met, before they are lifted.
    fn count(&self, ledger: &mut Ledger, index: usize, undos: &[Undo]) {
        for met in undos.iter().filter_map(|undo| self.met(undo)) {
            add_met(&mut ledger.executed, index, met);
        }
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
        self.strike(index, fault);
        let (injector, duration) = (self.clone(), fault.duration());
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
    fn begin_with(self: &Arc<Self>, fault: &FaultSpec, edge: Edge) {
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

    /// The nodes that a target means now.
    pub(super) fn resolve(&self, target: Target, pick: u64) -> Vec<NodeId> {
        self.checker.with_model(|model| self.machines.resolve(target, model, pick))
    }

    /// The nodes that a fault's target means now, of those that it may strike.
    pub(super) fn resolve_bound(&self, fault: &FaultSpec, target: Target) -> Vec<NodeId> {
        let Some(among) = &fault.among else { return self.resolve(target, fault.picks()) };
        let struck = self.struck_by(among.fault());
        let allowed = |node| among.allows(struck.contains(&node));
        self.checker
            .with_model(|model| self.machines.resolve_among(target, model, fault.picks(), &allowed))
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
    pub(super) fn note(&self, index: usize, fault: &FaultSpec, targets: &[(Target, &[NodeId])]) {
        let names = |nodes: &[NodeId]| nodes.iter().map(|n| self.machines.name(*n)).collect();
        let resolved = targets.iter().map(|(target, nodes)| (*target, names(nodes))).collect();
        let (what, began) = (fault.kind.to_string(), self.world.elapsed());
        self.lock().executed.push(ExecutedFault {
            index,
            what,
            resolved,
            began,
            ended: None,
            met: None,
        });
    }

    /// Remembers how a fault is lifted; at once if it has been lifted already.
    pub(super) fn remember(&self, index: usize, undo: Undo) {
        let mut ledger = self.lock();
        if let Undo::Rule(rule) = &undo {
            ledger.rules.push((index, *rule));
        }
        let late = match ledger.in_force.get_mut(&index) {
            Some(undos) => {
                undos.push(undo);
                None
            }
            None => Some(undo),
        };
        drop(ledger);
        late.into_iter().for_each(|undo| undo.perform(&self.world, &self.machines));
    }

    /// Whether a fault has begun and is not lifted.
    pub(super) fn is_in_force(&self, index: usize) -> bool {
        self.lock().in_force.contains_key(&index)
    }

    /// Lifts a part of a fault before the rest of it, unless it has been lifted.
    pub(super) fn lift_part(&self, index: usize, part: Undo) {
        let found = self.lock().in_force.get_mut(&index).and_then(|undos| {
            let at = undos.iter().position(|undo| *undo == part)?;
            Some(undos.remove(at))
        });
        found.into_iter().for_each(|undo| undo.perform(&self.world, &self.machines));
    }

    fn lift(self: &Arc<Self>, index: usize) {
        let undos = {
            let mut ledger = self.lock();
            if ledger.healed {
                return;
            }
            let Some(undos) = ledger.in_force.remove(&index) else { return };
            let now = self.world.elapsed();
            ledger.lifted = now;
            let executed = ledger.executed.iter_mut().find(|executed| executed.index == index);
            executed.expect("what is in force was noted").ended = Some(now);
            self.count(&mut ledger, index, &undos);
            undos
        };
        undos.into_iter().for_each(|undo| undo.perform(&self.world, &self.machines));
        self.begin_with(&self.plan.faults[index], Edge::End);
    }

    /// Lifts everything: first the links, then disks, services and clocks, then pauses, then dead
    /// nodes boot. What
    /// has not begun never will.
    pub fn heal(&self) {
        let undos: Vec<Undo> = {
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
            for (index, undos) in &in_force {
                self.count(&mut ledger, *index, undos);
            }
            in_force.into_values().flatten().collect()
        };
        self.checker.drop_triggers();
        let (links, others): (Vec<Undo>, Vec<Undo>) =
            undos.into_iter().partition(|undo| matches!(undo, Undo::Rule(_)));
        links.into_iter().for_each(|undo| undo.perform(&self.world, &self.machines));
        // What these would do is part of reviving.
        drop(others);
        self.machines.revive();
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
