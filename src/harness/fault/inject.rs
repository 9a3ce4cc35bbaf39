//! Does a plan's faults to a world, and lifts them.

use super::{
    actor::Actor,
    plan::{FaultPlan, PlannedFault, PlannedKind, PlannedWhen},
    spec::LinkSpec,
};
use crate::{
    harness::{check::Judge, world::Cluster},
    host::sim::{
        Delay, DiskEffect, DiskFault, LinkEffect, LinkRule, NodeId, NodeSet, ProcessEnd, RuleId,
        World,
    },
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// A fault as it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedFault {
    /// Its place in the plan.
    pub index: usize,
    /// The plan's words.
    pub planned: String,
    /// The nodes that it struck: each actor and the names of those it meant.
    pub resolved: Vec<(Actor, Vec<String>)>,
    /// When it began.
    pub began: Duration,
    /// When it was lifted; `None` while it is in force.
    pub ended: Option<Duration>,
}

impl ExecutedFault {
    /// The actors whose meaning depends on the state of the run, and the node that each meant.
    pub fn describe_resolved(&self) -> String {
        let told = self.resolved.iter().filter_map(|(actor, nodes)| match &nodes[..] {
            [name] if *name != actor.to_string() => Some(format!("{actor} = {name}")),
            [] => Some(format!("{actor} = nobody")),
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
    /// Faults that have begun and are not lifted, by place in the plan.
    in_force: BTreeSet<usize>,
    rules: Vec<(usize, RuleId)>,
    pending: usize,
    /// After healing nothing begins any more.
    healed: bool,
}

/// Executes one plan.
pub struct Injector {
    world: World,
    cluster: Arc<Cluster>,
    judge: Arc<Judge>,
    plan: FaultPlan,
    ledger: Mutex<Ledger>,
}

impl Injector {
    /// Arms every fault of the plan.
    pub fn start(
        world: &World,
        cluster: &Arc<Cluster>,
        judge: &Arc<Judge>,
        plan: FaultPlan,
    ) -> Arc<Self> {
        let injector = Arc::new(Injector {
            world: world.clone(),
            cluster: cluster.clone(),
            judge: judge.clone(),
            ledger: Mutex::new(Ledger { pending: plan.faults.len(), ..Ledger::default() }),
            plan,
        });
        for index in 0..injector.plan.faults.len() {
            injector.clone().arm(index);
        }
        injector
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic under this lock")
    }

    fn arm(self: Arc<Self>, index: usize) {
        match self.plan.faults[index].when {
            PlannedWhen::At(at) => {
                let world = self.world.clone();
                world.spawn(async move {
                    self.world.sleep_until(at).await;
                    self.begin(index);
                });
            }
            PlannedWhen::On(milestone, nth, after) => {
                let judge = self.judge.clone();
                let injector = self;
                let trigger = move |world: &World| {
                    if after.is_zero() {
                        return injector.begin(index);
                    }
                    let handle = world.clone();
                    world.spawn(async move {
                        handle.sleep(after).await;
                        injector.begin(index);
                    });
                };
                judge.on_milestone(milestone, nth, Box::new(trigger));
            }
        }
    }

    /// Whether every fault has come and gone.
    pub fn is_done(&self) -> bool {
        let ledger = self.lock();
        ledger.pending == 0 && ledger.in_force.is_empty()
    }

    /// What was done so far, in the order of beginning.
    pub fn executed(&self) -> Vec<ExecutedFault> {
        self.lock().executed.clone()
    }

    fn begin(self: &Arc<Self>, index: usize) {
        let fault = self.plan.faults[index].clone();
        {
            let mut ledger = self.lock();
            if ledger.healed {
                return;
            }
            ledger.pending -= 1;
            ledger.in_force.insert(index);
        }
        let struck = self.strike(index, &fault);
        let (world, injector) = (self.world.clone(), self.clone());
        self.world.spawn(async move {
            world.sleep(fault.lasts).await;
            injector.lift(index, &fault, &struck);
        });
    }

    fn resolve(&self, actor: Actor, pick: u64) -> Vec<NodeId> {
        self.judge.with_model(|model| self.cluster.resolve(actor, model, pick))
    }

    fn note(&self, index: usize, fault: &PlannedFault, actors: &[(Actor, &[NodeId])]) {
        let names = |nodes: &[NodeId]| nodes.iter().map(|n| self.cluster.role(*n).name()).collect();
        let resolved = actors.iter().map(|(actor, nodes)| (*actor, names(nodes))).collect();
        let (planned, began) = (fault.to_string(), self.world.elapsed());
        self.lock().executed.push(ExecutedFault { index, planned, resolved, began, ended: None });
    }

    /// Does a fault; returns the nodes to be lifted again.
    fn strike(&self, index: usize, fault: &PlannedFault) -> Vec<NodeId> {
        let link = |links: &LinkSpec, effect| self.strike_links(index, fault, links, effect);
        match &fault.kind {
            PlannedKind::Loss(links, per_million) => {
                link(links, LinkEffect::Loss { per_million: *per_million })
            }
            PlannedKind::Delay(links, by) => {
                link(links, LinkEffect::Delay(Delay::Uniform(Duration::ZERO, *by)));
            }
            PlannedKind::Duplicate(links, per_million) => {
                link(links, LinkEffect::Duplicate { per_million: *per_million });
            }
            PlannedKind::Corrupt(links, per_million) => {
                link(links, LinkEffect::Corrupt { per_million: *per_million });
            }
            PlannedKind::Hold(links) => link(links, LinkEffect::Hold),
            PlannedKind::Partition(isolate) => self.partition(index, fault, *isolate),
            PlannedKind::OneWay(from, to) => {
                let links = LinkSpec { from: *from, to: *to, message: None };
                link(&links, LinkEffect::Cut);
            }
            PlannedKind::Crash(target)
            | PlannedKind::PowerCut(target)
            | PlannedKind::Pause(target)
            | PlannedKind::DiskError(target, _, _)
            | PlannedKind::Drift(target, _)
            | PlannedKind::Step(target, _) => return self.strike_nodes(index, fault, *target),
        }
        Vec::new()
    }

    fn strike_nodes(&self, index: usize, fault: &PlannedFault, target: Actor) -> Vec<NodeId> {
        let nodes = self.resolve(target, fault.pick);
        self.note(index, fault, &[(target, &nodes)]);
        for node in &nodes {
            match fault.kind {
                PlannedKind::Crash(_) => self.cluster.take_down(*node, ProcessEnd::Killed),
                PlannedKind::PowerCut(_) => self.cluster.take_down(*node, ProcessEnd::PowerCut),
                PlannedKind::Pause(_) => self.world.pause(*node),
                PlannedKind::DiskError(_, on, per_million) => {
                    let effect = DiskEffect::Error { per_million };
                    self.world.set_disk_fault(*node, DiskFault { on, effect });
                }
                PlannedKind::Drift(_, per_million) => self.world.set_drift(*node, per_million),
                PlannedKind::Step(_, nanos) => self.world.step_wall(*node, nanos),
                _ => unreachable!("only faults of nodes come here"),
            }
        }
        nodes
    }

    fn strike_links(
        &self,
        index: usize,
        fault: &PlannedFault,
        links: &LinkSpec,
        effect: LinkEffect,
    ) {
        let from = self.resolve(links.from, fault.pick);
        let to = self.resolve(links.to, fault.pick);
        self.note(index, fault, &[(links.from, &from), (links.to, &to)]);
        self.add_rule(index, &from, &to, links.message.clone(), effect);
    }

    fn partition(&self, index: usize, fault: &PlannedFault, isolate: Actor) {
        let inside = self.resolve(isolate, fault.pick);
        let outside = self.resolve(Actor::Everyone, fault.pick);
        let outside: Vec<NodeId> =
            outside.into_iter().filter(|node| !inside.contains(node)).collect();
        self.note(index, fault, &[(isolate, &inside)]);
        self.add_rule(index, &inside, &outside, None, LinkEffect::Cut);
        self.add_rule(index, &outside, &inside, None, LinkEffect::Cut);
    }

    fn add_rule(
        &self,
        index: usize,
        from: &[NodeId],
        to: &[NodeId],
        kind: Option<String>,
        effect: LinkEffect,
    ) {
        let set = |nodes: &[NodeId]| NodeSet::Only(nodes.iter().copied().collect());
        let rule = self.world.add_rule(LinkRule { from: set(from), to: set(to), kind, effect });
        self.lock().rules.push((index, rule));
    }

    fn lift(&self, index: usize, fault: &PlannedFault, struck: &[NodeId]) {
        let rules: Vec<RuleId> = {
            let mut ledger = self.lock();
            if ledger.healed || !ledger.in_force.remove(&index) {
                return;
            }
            let now = self.world.elapsed();
            let executed = ledger.executed.iter_mut().find(|executed| executed.index == index);
            executed.expect("what is in force was noted").ended = Some(now);
            ledger.rules.extract_if(.., |(of, _)| *of == index).map(|(_, rule)| rule).collect()
        };
        rules.into_iter().for_each(|rule| self.world.remove_rule(rule));
        for node in struck {
            match fault.kind {
                PlannedKind::Crash(_) | PlannedKind::PowerCut(_) => self.cluster.let_up(*node),
                PlannedKind::Pause(_) => self.world.resume(*node),
                PlannedKind::DiskError(_, _, _) => self.world.clear_disk_faults(*node),
                PlannedKind::Drift(_, _) => self.world.set_drift(*node, 0),
                _ => {}
            }
        }
    }

    /// Lifts everything: first the links, then pauses and clocks, then dead nodes boot. What has
    /// not begun never will.
    pub fn heal(&self) {
        let rules: Vec<RuleId> = {
            let mut ledger = self.lock();
            ledger.healed = true;
            ledger.pending = 0;
            let now = self.world.elapsed();
            for executed in &mut ledger.executed {
                executed.ended.get_or_insert(now);
            }
            ledger.in_force.clear();
            ledger.rules.drain(..).map(|(_, rule)| rule).collect()
        };
        self.judge.drop_triggers();
        rules.into_iter().for_each(|rule| self.world.remove_rule(rule));
        self.cluster.revive();
    }
}
