//! Faults of links: what each does to them, and what undoes it.

use super::strike::{Strike, set, share};
use crate::{
    harness::{
        fault::{DelayShape, LinkSpec, PartitionSpec, Targets},
        system::{FaultInjector, Guard},
    },
    host::sim::{Delay, LinkEffect, LinkRule, NodeId},
};
use std::time::Duration;

/// The rare frames of a bimodal delay, in a million.
const RARE_PER_MILLION: u32 = 50_000;

/// The bytes that wait on a slow link when a scenario does not say how many.
const WINDOW_BYTES: u64 = 64 * 1024;

pub(super) fn lose(strike: &Strike, links: &LinkSpec, probability: i64) {
    rule(strike, links, LinkEffect::Loss { per_million: share(probability) }, None);
}

pub(super) fn delay(strike: &Strike, links: &LinkSpec, shape: DelayShape, by: Duration) {
    rule(strike, links, LinkEffect::Delay(delay_of(shape, by)), None);
}

pub(super) fn reorder(strike: &Strike, links: &LinkSpec, probability: i64, by: Duration) {
    rule(strike, links, LinkEffect::Reorder { per_million: share(probability), by }, None);
}

pub(super) fn duplicate(strike: &Strike, links: &LinkSpec, probability: i64) {
    rule(strike, links, LinkEffect::Duplicate { per_million: share(probability) }, None);
}

pub(super) fn corrupt(strike: &Strike, links: &LinkSpec, probability: i64) {
    rule(strike, links, LinkEffect::Corrupt { per_million: share(probability) }, None);
}

pub(super) fn cut_short(strike: &Strike, links: &LinkSpec, probability: i64, nth: Option<u64>) {
    rule(strike, links, LinkEffect::CutShort { per_million: share(probability) }, nth);
}

pub(super) fn hold(strike: &Strike, links: &LinkSpec, nth: Option<u64>) {
    rule(strike, links, LinkEffect::Hold, nth);
}

pub(super) fn lose_one(strike: &Strike, links: &LinkSpec, nth: u64) {
    rule(strike, links, LinkEffect::Loss { per_million: 1_000_000 }, Some(nth));
}

pub(super) fn slow(strike: &Strike, links: &LinkSpec, bytes_per_second: u64, window: Option<u64>) {
    let window = window.unwrap_or(WINDOW_BYTES);
    rule(strike, links, LinkEffect::Rate { bytes_per_second, window }, None);
}

/// Puts a rule on the links that a fault names.
fn rule(strike: &Strike, links: &LinkSpec, effect: LinkEffect, nth: Option<u64>) {
    let [from, to] = strike.sides(&links.from, &links.to).map(|side| set(&side));
    let kind = links.message.as_deref().map(Into::into);
    strike.hold(strike.link_rule(LinkRule { from, to, kind, nth, effect }));
}

fn delay_of(shape: DelayShape, by: Duration) -> Delay {
    match shape {
        DelayShape::Uniform => Delay::Uniform(Duration::ZERO, by),
        DelayShape::Exponential => Delay::Exponential(by),
        DelayShape::Bimodal => Delay::Bimodal {
            usual: (Duration::ZERO, Duration::ZERO),
            rare: (by / 2, by),
            rare_per_million: RARE_PER_MILLION,
        },
        DelayShape::Constant => Delay::PerPair(by),
    }
}

/// Happens once; nothing is to be undone.
pub(super) fn reset(strike: &Strike, from: &Targets, to: &Targets) {
    let [one, other] = strike.sides(from, to);
    strike.world().reset(&set(&one), &set(&other));
}

/// Cuts one way from one set to another.
fn cut_one_way(strike: &Strike, from: &[NodeId], to: &[NodeId]) -> Guard {
    let (from, to, effect) = (set(from), set(to), LinkEffect::Cut);
    strike.link_rule(LinkRule { from, to, kind: None, nth: None, effect })
}

/// Cuts both ways between two sets.
fn cut(strike: &Strike, one: &[NodeId], other: &[NodeId]) -> Guard {
    cut_one_way(strike, one, other).and(cut_one_way(strike, other, one))
}

pub(super) fn partition(strike: &Strike, shape: &PartitionSpec) {
    match shape {
        PartitionSpec::Isolate { target } => {
            let inside = strike.bound(target);
            strike.hold(cut(strike, &inside, &others(strike, &inside)));
        }
        PartitionSpec::Halves => {
            strike.note_everyone();
            halves(strike, &[]);
        }
        PartitionSpec::Bridge { target } => halves(strike, &strike.bound(target)),
        PartitionSpec::Pair { from, to } => {
            let [one, other] = strike.sides(from, to);
            strike.hold(cut(strike, &one, &other));
        }
        PartitionSpec::OneWay { from, to } => {
            let links = LinkSpec::between(from.clone(), to.clone());
            rule(strike, &links, LinkEffect::Cut, None);
        }
        PartitionSpec::Ring => ring(strike),
        PartitionSpec::Deaf { target } => {
            let inside = strike.bound(target);
            strike.hold(cut_one_way(strike, &others(strike, &inside), &inside));
        }
        PartitionSpec::Mute { target } => {
            let inside = strike.bound(target);
            strike.hold(cut_one_way(strike, &inside, &others(strike, &inside)));
        }
    }
}

fn others(strike: &Strike, nodes: &[NodeId]) -> Vec<NodeId> {
    strike.everyone().into_iter().filter(|node| !nodes.contains(node)).collect()
}

/// Two drawn halves of all but those that reach both.
fn halves(strike: &Strike, bridging: &[NodeId]) {
    let mut nodes = others(strike, bridging);
    strike.draws_for("halves", 0).shuffle(&mut nodes);
    let (one, other) = nodes.split_at(nodes.len() / 2);
    strike.hold(cut(strike, one, other));
}

fn ring(strike: &Strike) {
    let mut nodes = strike.everyone();
    strike.draws_for("ring", 0).shuffle(&mut nodes);
    strike.note_everyone();
    for (place, node) in nodes.iter().enumerate() {
        // The last one and the first are neighbours too.
        let last = if place == 0 { nodes.len().saturating_sub(1) } else { nodes.len() };
        let beyond = nodes.get(place + 2..last).unwrap_or_default();
        if !beyond.is_empty() {
            strike.hold(cut(strike, &[*node], beyond));
        }
    }
}

/// Cuts the links of some nodes one by one, then restores them in another order and each way by itself;
/// over and over.
pub(super) fn swizzle(strike: &Strike, target: &Targets, every: Duration) {
    let nodes = strike.nodes(target);
    let all = strike.everyone();
    let pairs = nodes.iter().flat_map(|one| all.iter().map(|other| (*one, *other)));
    let mut pairs: Vec<(NodeId, NodeId)> = pairs
        .filter(|(one, other)| one < other || one != other && !nodes.contains(other))
        .collect();
    let (strike, mut draws) = (strike.clone(), strike.draws_for("swizzle", 0));
    // A pause without length would never let the run go on.
    let every = every.max(Duration::from_millis(1));
    let world = strike.world().clone();
    world.clone().spawn(async move {
        while !pairs.is_empty() && strike.is_in_force() {
            let mut held = Vec::new();
            draws.shuffle(&mut pairs);
            for (one, other) in &pairs {
                if !strike.is_in_force() {
                    return;
                }
                let ways = [(one, other), (other, one)];
                let cut = ways.map(|(from, to)| cut_one_way(&strike, &[*from], &[*to]));
                held.push(cut.map(|way| strike.hold(way)));
                world.sleep(every).await;
            }
            draws.shuffle(&mut held);
            for way in held.into_iter().flatten() {
                if !strike.is_in_force() {
                    return;
                }
                strike.release(&way);
                world.sleep(every / 2).await;
            }
        }
    });
}
