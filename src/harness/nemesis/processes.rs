//! Faults of processes and of the machines under them: what each does, and what undoes it.

use super::{
    machines::RESTART_DELAY,
    strike::{Strike, set, share},
};
use crate::{
    harness::{
        fault::{Targets, Tolerates},
        system::{Disk, FaultInjector, Guard},
    },
    host::sim::{KindFilter, LinkEffect, LinkRule, NodeId, NodeSet, ProcessEnd, Unsynced},
};
use std::time::Duration;

/// A turn without length would never let the run go on.
const TURN_MIN: Duration = Duration::from_millis(2);

pub(super) fn crash(strike: &Strike, target: &Targets) {
    strike.each(target, |node| strike.take_down(node, ProcessEnd::Killed));
}

pub(super) fn cut_power(strike: &Strike, target: &Targets, unsynced: Option<Unsynced>) {
    strike.each(target, |node| match unsynced {
        None => strike.take_down(node, ProcessEnd::PowerCut),
        Some(unsynced) => strike.cut_power(node, unsynced),
    });
}

pub(super) fn wipe_disk(strike: &Strike, target: &Targets) {
    strike.each(target, |node| {
        let down = strike.take_down(node, ProcessEnd::PowerCut);
        if strike.kind().is_survived_on(strike.machines().role(node)) {
            strike.world().wipe_disk(node);
        }
        down
    });
}

/// Takes an image of each disk, and later the power; at the end the machines come back with the images.
pub(super) fn set_disk_back(
    strike: &Strike,
    target: &Targets,
    age: Duration,
    tolerates: Option<Tolerates>,
) {
    let age = age.min(strike.fault().duration / 2);
    let spares = tolerates != Some(Tolerates::Nothing);
    for node in strike.nodes(target) {
        let role = strike.machines().role(node);
        if role.spec().disk == Disk::Nothing || spares && !strike.kind().is_survived_on(role) {
            strike.note_met(0);
            continue;
        }
        let (strike, world) = (strike.clone(), strike.world().clone());
        world.clone().spawn(async move {
            let image = world.disk_image(node);
            world.sleep(age).await;
            if strike.is_in_force() {
                strike.hold(strike.take_down(node, ProcessEnd::PowerCut));
                world.set_disk_back(node, image);
                strike.note_met(1);
            }
        });
    }
}

/// Another binary takes the place of each process until the end.
pub(super) fn other_version(strike: &Strike, target: &Targets) {
    strike.each(target, |node| strike.replace_binary(node));
}

pub(super) fn restart_as_new(strike: &Strike, target: &Targets) {
    strike.each(target, |node| {
        let lost = strike.lose(node);
        lost.unwrap_or_else(|| strike.take_down(node, ProcessEnd::PowerCut))
    });
}

pub(super) fn pause(strike: &Strike, target: &Targets) {
    strike.each(target, |node| strike.pause(node));
}

/// Restarts nodes one after the other; each is down for half of the time.
pub(super) fn rolling_restart(strike: &Strike, target: &Targets, every: Duration) {
    let mut nodes = strike.nodes(target);
    strike.draws_for("rolling restart", 0).shuffle(&mut nodes);
    let (strike, world) = (strike.clone(), strike.world().clone());
    world.clone().spawn(async move {
        for node in nodes {
            if !strike.is_in_force() {
                return;
            }
            let down = strike.hold(strike.take_down(node, ProcessEnd::Killed));
            world.sleep(every / 2).await;
            strike.release(&down);
            world.sleep(every / 2).await;
        }
    });
}

/// Kills processes so long after each of their boots.
pub(super) fn crash_loop(strike: &Strike, target: &Targets, every: Duration) {
    for node in strike.nodes(target) {
        let (strike, world) = (strike.clone(), strike.world().clone());
        world.clone().spawn(async move {
            while strike.is_in_force() {
                let down = strike.hold(strike.take_down(node, ProcessEnd::Killed));
                world.sleep(RESTART_DELAY).await;
                strike.release(&down);
                world.sleep(every.max(TURN_MIN)).await;
            }
        });
    }
}

/// Lets processes stand still for a share of each slice.
pub(super) fn slow(strike: &Strike, target: &Targets, still: i64, slice: Duration) {
    let (still, slice) = (share(still), slice.max(TURN_MIN));
    for (place, node) in (0..).zip(strike.nodes(target)) {
        let (strike, world) = (strike.clone(), strike.world().clone());
        let mut draws = strike.draws_for("slow", place);
        world.clone().spawn(async move {
            while strike.is_in_force() {
                let turn = draws.duration(slice / 2, slice * 3 / 2);
                let still = turn * still / 1_000_000;
                let stalled = strike.hold(strike.stall(node));
                world.sleep(still).await;
                strike.release(&stalled);
                world.sleep(turn - still).await;
            }
        });
    }
}

/// Keeps new calls from nodes that work on, and ends their processes after a while.
pub(super) fn slow_stop(strike: &Strike, target: &Targets, takes: Duration) {
    let takes = takes.min(strike.fault().duration / 2);
    for node in strike.nodes(target) {
        strike.hold(no_new_calls(strike, node));
        let (strike, world) = (strike.clone(), strike.world().clone());
        world.clone().spawn(async move {
            world.sleep(takes).await;
            if strike.is_in_force() {
                let reason = "it was asked to stop".to_string();
                strike.hold(strike.take_down(node, ProcessEnd::Exited { reason }));
                strike.note_met(1);
            }
        });
    }
}

/// Cuts the calls of the gateways that a node serves; what it asks others is answered still.
fn no_new_calls(strike: &Strike, node: NodeId) -> Guard {
    let serves = strike.machines().role(node).spec().serves;
    serves.iter().fold(Guard::nothing(), |guard, gateway| {
        let kind = Some(KindFilter::CallsOf(format!("{gateway}.")));
        let (to, effect) = (set(&[node]), LinkEffect::Cut);
        let rule = LinkRule { from: NodeSet::All, to, kind, nth: None, effect };
        guard.and(strike.link_rule(rule))
    })
}
