//! A fault that has begun, and what it can do to machines.

use super::{
    ledger::{Held, Ledger},
    machines::{Machines, RESTART_DELAY},
};
use crate::{
    harness::{
        fault::{Drawn, FaultKind, PlannedFault, Targets},
        system::{FaultInjector, Guard, Layer, Target},
    },
    host::{
        Draws,
        sim::{DiskFault, LinkRule, NodeId, NodeSet, ProcessEnd, ServiceFault, Unsynced, World},
    },
};
use std::sync::Arc;

/// A fault of the plan that has begun.
#[derive(Clone)]
pub(super) struct Strike {
    ledger: Arc<Ledger>,
    index: usize,
}

impl Strike {
    pub fn new(ledger: &Arc<Ledger>, index: usize) -> Self {
        Strike { ledger: ledger.clone(), index }
    }

    pub fn fault(&self) -> &PlannedFault {
        &self.ledger.plan.faults[self.index]
    }

    pub fn kind(&self) -> &FaultKind<Drawn> {
        &self.fault().kind
    }

    pub fn machines(&self) -> &Machines {
        &self.ledger.machines
    }

    /// Keeps what undoes a part of the fault until it ends, or is released; undoes it at once if it has ended.
    pub fn hold(&self, guard: Guard) -> Held {
        self.ledger.hold(self.index, guard)
    }

    /// Undoes a part before the rest, unless the fault has ended.
    pub fn release(&self, held: &Held) {
        self.ledger.release(self.index, held);
    }

    /// Whether it has not ended.
    pub fn is_in_force(&self) -> bool {
        self.ledger.is_in_force(self.index)
    }

    /// Draws that belong to this fault and to a concern.
    pub fn draws_for(&self, concern: &'static str, place: u64) -> Draws {
        Draws::new(self.fault().pick, concern, [place, 0])
    }

    /// Strikes each of the nodes that its target means.
    pub fn each(&self, targets: &Targets, act: impl Fn(NodeId) -> Guard) {
        for node in self.nodes(targets) {
            self.hold(act(node));
        }
    }

    /// The nodes that its target means; they are written down.
    pub fn nodes(&self, targets: &Targets) -> Vec<NodeId> {
        let nodes = self.bound(targets);
        if nodes.iter().any(|node| self.world().is_running(*node)) {
            return nodes;
        }
        if let Some(other) = self.stand_in() {
            self.ledger.note(self.index, &[(Target::Everyone, vec![other])]);
            return vec![other];
        }
        // There is nothing to strike.
        self.note_met(0);
        nodes
    }

    /// The running nodes that a fault of this kind can strike.
    pub fn candidates(&self) -> Vec<NodeId> {
        let mut nodes = self.everyone();
        nodes.retain(|node| {
            let role = self.machines().role(*node);
            self.world().is_running(*node) && self.kind().strikes_role(role)
        });
        nodes
    }

    /// A drawn one of those, if the fault must strike.
    fn stand_in(&self) -> Option<NodeId> {
        let nodes = self.candidates();
        let wanted = self.fault().window.must_strike && !nodes.is_empty();
        wanted.then(|| *self.draws_for("stand-in", 0).pick(&nodes))
    }

    /// Kills the process of one of those, which restarts in a moment.
    pub fn restart_one(&self) {
        let Some(node) = self.stand_in() else { return };
        let down = self.hold(self.take_down(node, ProcessEnd::Killed));
        let (strike, world) = (self.clone(), self.world().clone());
        world.clone().spawn(async move {
            world.sleep(RESTART_DELAY).await;
            strike.release(&down);
        });
    }

    /// The same, of nodes on which nothing has to run.
    pub fn bound(&self, targets: &Targets) -> Vec<NodeId> {
        all_nodes(self.resolved_bound(targets))
    }

    /// The same, by the targets that mean them.
    pub fn resolved_bound(&self, targets: &Targets) -> Vec<(Target, Vec<NodeId>)> {
        let resolved = self.ledger.resolve_bound(self.fault(), targets);
        self.ledger.note(self.index, &resolved);
        resolved
    }

    /// The two sides between which it strikes; they are written down.
    pub fn sides(&self, from: &Targets, to: &Targets) -> [Vec<NodeId>; 2] {
        let resolve = |side| self.ledger.resolve(side, self.fault().pick);
        let sides = [resolve(from), resolve(to)];
        self.ledger.note(self.index, &sides.concat());
        sides.map(all_nodes)
    }

    /// Writes down a fault of all nodes.
    pub fn note_everyone(&self) {
        self.ledger.note(self.index, &[]);
    }

    /// All nodes.
    pub fn everyone(&self) -> Vec<NodeId> {
        all_nodes(self.ledger.resolve(&Targets::everyone(), 0))
    }

    /// Takes a node's power away, and keeps it down.
    pub fn cut_power(&self, node: NodeId, unsynced: Unsynced) -> Guard {
        self.machines().cut_power(node, unsynced);
        self.boots_again(node)
    }

    fn boots_again(&self, node: NodeId) -> Guard {
        let machines = self.ledger.machines.clone();
        Guard::of(Layer::Machine, move || machines.let_up(node))
    }

    /// Stops a process in its tracks for a slice of time.
    pub fn stall(&self, node: NodeId) -> Guard {
        self.machines().stall(node);
        self.goes_on(node)
    }

    /// Another binary runs on a node from its restart in a moment on, and the former one in the end.
    pub fn replace_binary(&self, node: NodeId) -> Guard {
        let machines = self.ledger.machines.clone();
        machines.replace_binary(node, 1);
        Guard::of(Layer::Machine, move || machines.replace_binary(node, 0))
    }

    fn goes_on(&self, node: NodeId) -> Guard {
        let machines = self.ledger.machines.clone();
        Guard::of(Layer::Machine, move || machines.let_go_on(node))
    }

    /// Loses a machine for good if another may take its place, which it does in the end.
    pub fn lose(&self, node: NodeId) -> Option<Guard> {
        let machines = self.ledger.machines.clone();
        let lost = machines.lose(node);
        lost.then(|| Guard::of(Layer::Machine, move || machines.succeed(node)))
    }
}

impl FaultInjector for Strike {
    fn world(&self) -> &World {
        &self.ledger.world
    }

    fn draws(&self, node: NodeId) -> Draws {
        self.draws_for("own fault", node.key())
    }

    fn note_met(&self, met: u64) {
        self.ledger.note_met(self.index, met);
    }

    fn link_rule(&self, rule: LinkRule) -> Guard {
        let (world, met) = (self.world().clone(), self.world().clone());
        let rule = world.add_rule(rule);
        Guard::of(Layer::Links, move || world.remove_rule(rule)).counting(move || met.met(rule))
    }

    fn take_down(&self, node: NodeId, end: ProcessEnd) -> Guard {
        self.machines().take_down(node, end);
        self.boots_again(node)
    }

    fn pause(&self, node: NodeId) -> Guard {
        self.machines().pause(node);
        self.goes_on(node)
    }

    fn disk_fault(&self, node: NodeId, fault: DiskFault) -> Guard {
        let (world, met) = (self.world().clone(), self.world().clone());
        let fault = world.set_disk_fault(node, fault);
        Guard::of(Layer::Machine, move || world.clear_disk_fault(node, fault))
            .counting(move || met.disk_met(node, fault))
    }

    fn service_fault(&self, node: NodeId, fault: ServiceFault) -> Guard {
        let (world, met) = (self.world().clone(), self.world().clone());
        let fault = world.set_service_fault(node, fault);
        Guard::of(Layer::Machine, move || world.clear_service_fault(node, fault))
            .counting(move || met.service_met(node, fault))
    }

    fn drift(&self, node: NodeId, per_million: i64) -> Guard {
        let machines = self.ledger.machines.clone();
        let drift = machines.drift(node, per_million);
        Guard::of(Layer::Machine, move || machines.end_drift(node, drift))
    }
}

fn all_nodes(resolved: Vec<(Target, Vec<NodeId>)>) -> Vec<NodeId> {
    resolved.into_iter().flat_map(|(_, nodes)| nodes).collect()
}

/// Just these nodes.
pub(super) fn set(nodes: &[NodeId]) -> NodeSet {
    NodeSet::Only(nodes.iter().copied().collect())
}

/// A drawn share, as it was read: not negative.
pub(super) fn share(per_million: i64) -> u32 {
    u32::try_from(per_million).expect("read as not negative")
}
