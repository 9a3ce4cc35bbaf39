//! Faults of disks, clocks and services: what each does, and what undoes it.

use super::strike::{Strike, share};
use crate::{
    harness::{
        fault::{CallPrefix, Targets, Tolerates},
        system::FaultInjector,
    },
    host::sim::{Applied, Delay, DiskEffect, DiskFault, DiskOp, NodeId, ServiceFault},
};
use std::{collections::BTreeSet, time::Duration};

fn disk(strike: &Strike, target: &Targets, on: DiskOp, effect: &DiskEffect) {
    strike.each(target, |node| strike.disk_fault(node, DiskFault { on, effect: effect.clone() }));
}

pub(super) fn disk_error(
    strike: &Strike,
    target: &Targets,
    on: DiskOp,
    probability: i64,
    nth: Option<u64>,
) {
    let per_million = share(probability);
    let effect = match nth {
        Some(nth) => DiskEffect::ErrorAt { nth, per_million },
        None => DiskEffect::Error { per_million },
    };
    disk(strike, target, on, &effect);
}

pub(super) fn disk_full(strike: &Strike, target: &Targets, room: Option<u64>) {
    let effect = room.map_or(DiskEffect::Full, |bytes| DiskEffect::RoomFor { bytes });
    disk(strike, target, DiskOp::Any, &effect);
}

pub(super) fn disk_slow(strike: &Strike, target: &Targets, on: DiskOp, by: Duration) {
    disk(strike, target, on, &DiskEffect::Slow(Delay::Uniform(Duration::ZERO, by)));
}

pub(super) fn disk_stall(strike: &Strike, target: &Targets, on: DiskOp) {
    disk(strike, target, on, &DiskEffect::Stalled);
}

/// Happens once; nothing undoes it.
pub(super) fn bit_rot(
    strike: &Strike,
    target: &Targets,
    bits: u64,
    file: Option<&str>,
    tolerates: Option<Tolerates>,
) {
    let spared = tolerates != Some(Tolerates::Nothing);
    for node in strike.nodes(target) {
        let survived = strike.kind().is_survived_on(strike.machines().role(node));
        let bits = if !spared || survived { bits } else { 0 };
        strike.note_met(rot(strike, node, bits, file.unwrap_or_default()));
    }
}

/// Flips so many different bits, drawn from all that those files hold at this moment; says how many.
fn rot(strike: &Strike, node: NodeId, bits: u64, prefix: &str) -> u64 {
    let mut files = strike.world().files(node);
    files.retain(|(path, length)| path.starts_with(prefix) && *length > 0);
    let all: u64 = files.iter().map(|(_, length)| length * 8).sum();
    let mut draws = strike.draws_for("rot", node.key());
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
                    strike.world().rot(node, path, bit / 8, 1 << (bit % 8));
                    break;
                }
            }
        }
    }
    flipped
}

/// A drift ends with the fault; a step stays.
pub(super) fn clock(strike: &Strike, target: &Targets, drift: Option<i64>, step: Option<i64>) {
    strike.each(target, |node| {
        let drifts = drift.map(|per_million| strike.drift(node, per_million));
        if let Some(nanos) = step {
            strike.world().step_wall(node, nanos);
            if drift.is_none() {
                // Nothing that is tested here reads a wall clock.
                strike.note_met(0);
            }
        }
        drifts.unwrap_or_default()
    });
}

pub(super) fn service_error(
    strike: &Strike,
    target: &Targets,
    probability: i64,
    applied: Applied,
    call: Option<&CallPrefix>,
    nth: Option<u64>,
) {
    let per_million = share(probability);
    strike.each(target, |node| {
        let call = call.map(|CallPrefix(begin)| begin.clone());
        strike.service_fault(node, ServiceFault { per_million, applied, call, nth })
    });
}
