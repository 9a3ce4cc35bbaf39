//! Faults of processes that take their time: crash loops, slow nodes, slow stops.

use super::{inject::Injector, machines::RESTART_DELAY, strike::set, undo::Undo};
use crate::{
    harness::{fault::FaultSpec, system::Target},
    host::{
        Draws,
        sim::{LinkEffect, LinkRule, NodeSet, ProcessEnd},
    },
};
use std::{sync::Arc, time::Duration};

/// A turn without length would never let the run go on.
const TURN_MIN: Duration = Duration::from_millis(2);

impl Injector {
    /// Kills processes so long after each of their boots.
    pub(super) fn crash_loop(
        self: &Arc<Self>,
        index: usize,
        fault: &FaultSpec,
        target: Target,
        every: Duration,
    ) {
        for node in self.struck(index, fault, target) {
            let injector = self.clone();
            self.world.spawn(async move {
                while injector.is_in_force(index) {
                    injector.take_down(index, node, ProcessEnd::Killed);
                    injector.world.sleep(RESTART_DELAY).await;
                    injector.lift_part(index, Undo::Up(node));
                    injector.world.sleep(every.max(TURN_MIN)).await;
                }
            });
        }
    }

    /// Lets processes stand still for a share of each slice.
    pub(super) fn slow(
        self: &Arc<Self>,
        index: usize,
        fault: &FaultSpec,
        target: Target,
        per_million: u32,
        slice: Duration,
    ) {
        let slice = slice.max(TURN_MIN);
        for (place, node) in (0..).zip(self.struck(index, fault, target)) {
            let injector = self.clone();
            let mut draws = Draws::new(fault.picks(), "slow", [place, 0]);
            self.world.spawn(async move {
                while injector.is_in_force(index) {
                    let turn = draws.duration(slice / 2, slice * 3 / 2);
                    let still = turn * per_million / 1_000_000;
                    injector.machines.stall(node);
                    injector.remember(index, Undo::Resume(node));
                    injector.world.sleep(still).await;
                    injector.lift_part(index, Undo::Resume(node));
                    injector.world.sleep(turn - still).await;
                }
            });
        }
    }

    /// Keeps new calls from nodes that work on, and ends their processes after a while.
    pub(super) fn slow_stop(
        self: &Arc<Self>,
        index: usize,
        fault: &FaultSpec,
        target: Target,
        takes: Duration,
    ) {
        let takes = takes.min(fault.duration() / 2);
        for node in self.struck(index, fault, target) {
            for gateway in self.machines.role(node).spec().serves {
                let (to, kind) = (set(&[node]), Some(format!("{gateway}.")));
                let effect = LinkEffect::Cut;
                self.add_rule(index, LinkRule { from: NodeSet::All, to, kind, nth: None, effect });
            }
            let injector = self.clone();
            self.world.spawn(async move {
                injector.world.sleep(takes).await;
                if injector.is_in_force(index) {
                    let reason = "it was asked to stop".to_string();
                    injector.take_down(index, node, ProcessEnd::Exited { reason });
                }
            });
        }
    }
}
