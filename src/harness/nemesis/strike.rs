//! What each kind of fault does to the simulated hardware, and what undoes it.

use super::{inject::Injector, undo::Undo};
use crate::{
    harness::{
        fault::{DelayShape, FaultKind, FaultSpec, LinkSpec, PartitionSpec, Tolerates},
        language::Share,
        system::Target,
    },
    host::{
        Draws,
        sim::{
            Delay, DiskEffect, DiskFault, LinkEffect, LinkRule, NodeId, NodeSet, ProcessEnd,
            RuleId, ServiceFault, Unsynced,
        },
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The rare frames of a bimodal delay, in a million.
const RARE_PER_MILLION: u32 = 50_000;

/// The bytes that wait on a slow link when a scenario does not say how many.
const WINDOW_BYTES: u64 = 64 * 1024;

/// A drawn share of a million.
fn per_million(share: &Share) -> u32 {
    u32::try_from(share.low).expect("read as not negative")
}

impl Injector {
    /// Does a fault.
    pub(super) fn strike(self: &Arc<Self>, index: usize, fault: &FaultSpec) {
        match &fault.kind {
            FaultKind::Loss { probability, links } => {
                self.links(
                    index,
                    fault,
                    links,
                    LinkEffect::Loss { per_million: per_million(probability) },
                );
            }
            FaultKind::Delay { by, shape, links } => {
                self.links(index, fault, links, LinkEffect::Delay(delay(*shape, by.low)));
            }
            FaultKind::Reorder { probability, by, links } => {
                let effect =
                    LinkEffect::Reorder { per_million: per_million(probability), by: by.low };
                self.links(index, fault, links, effect);
            }
            FaultKind::Duplicate { probability, links } => {
                let effect = LinkEffect::Duplicate { per_million: per_million(probability) };
                self.links(index, fault, links, effect);
            }
            FaultKind::Corrupt { probability, links } => {
                let effect = LinkEffect::Corrupt { per_million: per_million(probability) };
                self.links(index, fault, links, effect);
            }
            FaultKind::Hold { nth, links } => {
                self.nth(index, fault, links, LinkEffect::Hold, nth.map(|nth| nth.low));
            }
            FaultKind::LoseOne { nth, links } => {
                let effect = LinkEffect::Loss { per_million: 1_000_000 };
                self.nth(index, fault, links, effect, Some(nth.low));
            }
            FaultKind::SlowLink { rate, window, links } => {
                let window = window.map_or(WINDOW_BYTES, |window| window.low);
                let effect = LinkEffect::Rate { bytes_per_second: rate.low, window };
                self.links(index, fault, links, effect);
            }
            FaultKind::Reset { from, to } => self.reset(index, fault, *from, *to),
            FaultKind::Partition { cut } => self.partition(index, fault, cut),
            FaultKind::Swizzle { target, every } => self.swizzle(index, fault, *target, every.low),
            FaultKind::RollingRestart { target, every } => {
                self.rolling_restart(index, fault, *target, every.low);
            }
            FaultKind::CrashLoop { target, every } => {
                self.crash_loop(index, fault, *target, every.low);
            }
            FaultKind::Slow { target, share, slice } => {
                self.slow(index, fault, *target, per_million(share), slice.low);
            }
            FaultKind::SlowStop { target, takes } => {
                self.slow_stop(index, fault, *target, takes.low);
            }
            FaultKind::Crash { target }
            | FaultKind::RestartAsNew { target }
            | FaultKind::ServiceError { target, .. }
            | FaultKind::PowerCut { target, .. }
            | FaultKind::WipeDisk { target }
            | FaultKind::Pause { target }
            | FaultKind::DiskError { target, .. }
            | FaultKind::BitRot { target, .. }
            | FaultKind::DiskFull { target }
            | FaultKind::DiskSlow { target, .. }
            | FaultKind::DiskStall { target, .. }
            | FaultKind::Clock { target, .. } => {
                let nodes = self.struck(index, fault, *target);
                nodes.iter().for_each(|node| self.strike_node(index, fault, *node));
            }
        }
    }

    fn strike_node(&self, index: usize, fault: &FaultSpec, node: NodeId) {
        let disk = |on, effect| {
            let id = self.world.set_disk_fault(node, DiskFault { on, effect });
            self.remember(index, Undo::Disk(node, id));
        };
        match &fault.kind {
            FaultKind::Crash { .. } => self.take_down(index, node, ProcessEnd::Killed),
            FaultKind::PowerCut { unsynced, .. } => self.cut_power(index, node, *unsynced),
            FaultKind::WipeDisk { .. } => {
                self.take_down(index, node, ProcessEnd::PowerCut);
                if fault.kind.is_survived_on(self.machines.role(node)) {
                    self.world.wipe_disk(node);
                }
            }
            FaultKind::BitRot { bits, file, tolerates, .. } => {
                let spared = *tolerates != Some(Tolerates::Nothing);
                let struck = !spared || fault.kind.is_survived_on(self.machines.role(node));
                let prefix = file.as_deref().unwrap_or_default();
                let bits = if struck { bits.low } else { 0 };
                self.note_met(index, self.rot(node, fault.picks(), bits, prefix));
            }
            FaultKind::RestartAsNew { .. } if self.machines.lose(node) => {
                self.remember(index, Undo::Succeed(node));
            }
            FaultKind::RestartAsNew { .. } => self.take_down(index, node, ProcessEnd::PowerCut),
            FaultKind::ServiceError { probability, applied, .. } => {
                let fault =
                    ServiceFault { per_million: per_million(probability), applied: *applied };
                let id = self.world.set_service_fault(node, fault);
                self.remember(index, Undo::Service(node, id));
            }
            FaultKind::Pause { .. } => {
                self.machines.pause(node);
                self.remember(index, Undo::Resume(node));
            }
            FaultKind::DiskError { operation, probability, nth, .. } => {
                let per_million = per_million(probability);
                let effect = match nth {
                    Some(nth) => DiskEffect::ErrorAt { nth: nth.low, per_million },
                    None => DiskEffect::Error { per_million },
                };
                disk(*operation, effect);
            }
            FaultKind::DiskFull { .. } => disk(crate::host::sim::DiskOp::Any, DiskEffect::Full),
            FaultKind::DiskSlow { operation, by, .. } => {
                disk(*operation, DiskEffect::Slow(Delay::Uniform(Duration::ZERO, by.low)));
            }
            FaultKind::DiskStall { operation, .. } => disk(*operation, DiskEffect::Stalled),
            FaultKind::Clock { drift, step, .. } => {
                if let Some(drift) = drift {
                    self.machines.drift(node, index, drift.low);
                    self.remember(index, Undo::Drift(node, index));
                }
                if let Some(step) = step {
                    self.world.step_wall(node, step.low);
                    if drift.is_none() {
                        // Nothing that is tested here reads a wall clock.
                        self.note_met(index, 0);
                    }
                }
            }
            _ => unreachable!("only faults of nodes come here"),
        }
    }

    pub(super) fn take_down(&self, index: usize, node: NodeId, end: ProcessEnd) {
        self.machines.take_down(node, end);
        self.remember(index, Undo::Up(node));
    }

    fn cut_power(&self, index: usize, node: NodeId, unsynced: Option<Unsynced>) {
        match unsynced {
            None => self.machines.take_down(node, ProcessEnd::PowerCut),
            Some(unsynced) => self.machines.cut_power(node, unsynced),
        }
        self.remember(index, Undo::Up(node));
    }

    /// Flips so many different bits, drawn from all that those files hold at this moment; says how many.
    fn rot(&self, node: NodeId, pick: u64, bits: u64, prefix: &str) -> u64 {
        let mut files = self.world.files(node);
        files.retain(|(path, length)| path.starts_with(prefix) && *length > 0);
        let all: u64 = files.iter().map(|(_, length)| length * 8).sum();
        let mut draws = Draws::new(pick, "rot", [node.key(), 0]);
        let mut struck = BTreeSet::new();
        while (struck.len() as u64) < bits.min(all) {
            struck.insert(draws.below(all));
        }
        let flipped = struck.len() as u64;
        for mut bit in struck {
            for (path, length) in &files {
                match bit.checked_sub(length * 8) {
                    Some(beyond) => bit = beyond,
                    None => {
                        self.world.rot(node, path, bit / 8, 1 << (bit % 8));
                        break;
                    }
                }
            }
        }
        flipped
    }

    /// Whom a fault strikes; it is written down.
    pub(super) fn struck(&self, index: usize, fault: &FaultSpec, target: Target) -> Vec<NodeId> {
        let nodes = self.resolve_bound(fault, target);
        self.note(index, fault, &[(target, &nodes)]);
        if !nodes.iter().any(|node| self.world.is_running(*node)) {
            // There is nothing to strike.
            self.note_met(index, 0);
        }
        nodes
    }

    /// The two sides between which a fault strikes; they are written down.
    fn sides(
        &self,
        index: usize,
        fault: &FaultSpec,
        one: Target,
        other: Target,
    ) -> [Vec<NodeId>; 2] {
        let sides = [one, other].map(|side| self.resolve(side, fault.picks()));
        self.note(index, fault, &[(one, &sides[0]), (other, &sides[1])]);
        sides
    }

    fn reset(&self, index: usize, fault: &FaultSpec, from: Target, to: Target) {
        let [one, other] = self.sides(index, fault, from, to);
        self.world.reset(&set(&one), &set(&other));
    }

    fn links(&self, index: usize, fault: &FaultSpec, links: &LinkSpec, effect: LinkEffect) {
        self.nth(index, fault, links, effect, None);
    }

    fn nth(
        &self,
        index: usize,
        fault: &FaultSpec,
        links: &LinkSpec,
        effect: LinkEffect,
        nth: Option<u64>,
    ) {
        let [from, to] = self.sides(index, fault, links.from, links.to).map(|side| set(&side));
        self.add_rule(index, LinkRule { from, to, kind: links.message.clone(), nth, effect });
    }

    pub(super) fn add_rule(&self, index: usize, rule: LinkRule) -> RuleId {
        let rule = self.world.add_rule(rule);
        self.remember(index, Undo::Rule(rule));
        rule
    }

    /// Cuts both ways between two sets.
    fn cut(&self, index: usize, one: &[NodeId], other: &[NodeId]) -> [RuleId; 2] {
        [(one, other), (other, one)].map(|(from, to)| {
            let (from, to) = (set(from), set(to));
            let effect = LinkEffect::Cut;
            self.add_rule(index, LinkRule { from, to, kind: None, nth: None, effect })
        })
    }

    fn partition(&self, index: usize, fault: &FaultSpec, cut: &PartitionSpec) {
        match *cut {
            PartitionSpec::Isolate { target } => {
                let inside = self.resolve_bound(fault, target);
                let outside = self.others(&inside);
                self.note(index, fault, &[(target, &inside)]);
                self.cut(index, &inside, &outside);
            }
            PartitionSpec::Halves => self.halves(index, fault, None),
            PartitionSpec::Bridge { target } => self.halves(index, fault, Some(target)),
            PartitionSpec::Pair { from, to } => {
                let [one, other] = self.sides(index, fault, from, to);
                self.cut(index, &one, &other);
            }
            PartitionSpec::OneWay { from, to } => {
                self.links(index, fault, &LinkSpec::between(from, to), LinkEffect::Cut);
            }
            PartitionSpec::Ring => self.ring(index, fault),
        }
    }

    fn ring(&self, index: usize, fault: &FaultSpec) {
        let mut nodes = self.resolve(Target::Everyone, 0);
        Draws::new(fault.picks(), "ring", [0, 0]).shuffle(&mut nodes);
        self.note(index, fault, &[]);
        for (place, node) in nodes.iter().enumerate() {
            // The last one and the first are neighbours too.
            let last = if place == 0 { nodes.len().saturating_sub(1) } else { nodes.len() };
            let beyond = nodes.get(place + 2..last).unwrap_or_default();
            if !beyond.is_empty() {
                self.cut(index, &[*node], beyond);
            }
        }
    }

    fn others(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let all = self.resolve(Target::Everyone, 0);
        all.into_iter().filter(|node| !nodes.contains(node)).collect()
    }

    fn halves(&self, index: usize, fault: &FaultSpec, bridge: Option<Target>) {
        let bridging = bridge.map(|target| self.resolve_bound(fault, target)).unwrap_or_default();
        let mut nodes = self.others(&bridging);
        Draws::new(fault.picks(), "halves", [0, 0]).shuffle(&mut nodes);
        let (one, other) = nodes.split_at(nodes.len() / 2);
        match bridge {
            Some(target) => self.note(index, fault, &[(target, &bridging)]),
            None => self.note(index, fault, &[]),
        }
        self.cut(index, one, other);
    }

    /// Cuts the links of some nodes one by one, then restores them in another order; over and over.
    fn swizzle(self: &Arc<Self>, index: usize, fault: &FaultSpec, target: Target, every: Duration) {
        let nodes = self.struck(index, fault, target);
        let all = self.resolve(Target::Everyone, 0);
        let pairs = nodes.iter().flat_map(|one| all.iter().map(|other| (*one, *other)));
        let mut pairs: Vec<(NodeId, NodeId)> = pairs
            .filter(|(one, other)| one < other || one != other && !nodes.contains(other))
            .collect();
        let (injector, mut draws) = (self.clone(), Draws::new(fault.picks(), "swizzle", [0, 0]));
        // A pause without length would never let the run go on.
        let every = every.max(Duration::from_millis(1));
        self.world.spawn(async move {
            while !pairs.is_empty() && injector.is_in_force(index) {
                let mut cut = Vec::new();
                draws.shuffle(&mut pairs);
                for (one, other) in &pairs {
                    if !injector.is_in_force(index) {
                        return;
                    }
                    cut.push(injector.cut(index, &[*one], &[*other]));
                    injector.world.sleep(every).await;
                }
                draws.shuffle(&mut cut);
                for rule in cut.into_iter().flatten() {
                    if !injector.is_in_force(index) {
                        return;
                    }
                    injector.lift_part(index, Undo::Rule(rule));
                    injector.world.sleep(every / 2).await;
                }
            }
        });
    }

    fn rolling_restart(
        self: &Arc<Self>,
        index: usize,
        fault: &FaultSpec,
        target: Target,
        every: Duration,
    ) {
        let mut nodes = self.struck(index, fault, target);
        Draws::new(fault.picks(), "rolling restart", [0, 0]).shuffle(&mut nodes);
        let injector = self.clone();
        self.world.spawn(async move {
            for node in nodes {
                if !injector.is_in_force(index) {
                    return;
                }
                injector.take_down(index, node, ProcessEnd::Killed);
                injector.world.sleep(every / 2).await;
                injector.lift_part(index, Undo::Up(node));
                injector.world.sleep(every / 2).await;
            }
        });
    }
}

pub(super) fn set(nodes: &[NodeId]) -> NodeSet {
    NodeSet::Only(nodes.iter().copied().collect())
}

fn delay(shape: DelayShape, by: Duration) -> Delay {
    let nothing = (Duration::ZERO, Duration::ZERO);
    match shape {
        DelayShape::Uniform => Delay::Uniform(Duration::ZERO, by),
        DelayShape::Exponential => Delay::Exponential(by),
        DelayShape::Bimodal => Delay::Bimodal {
            usual: nothing,
            rare: (by / 2, by),
            rare_per_million: RARE_PER_MILLION,
        },
        DelayShape::Constant => Delay::PerPair(by),
    }
}
