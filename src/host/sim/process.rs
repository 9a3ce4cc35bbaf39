//! The life of machines and of the processes on them, as the harness leads it: boot, pause, stall.

use super::{
    cause::Cause,
    hardware::Hardware,
    node::{self, Node},
    stamp::{NodeId, Stamp},
    task::Task,
    world::World,
};
use crate::host::Host;
use std::{future::Future, sync::Arc};

impl World {
    /// Adds a machine, powered on and without a process. Its name is its host name.
    pub fn add_node(&self, name: &str) -> NodeId {
        let shared = self.shared();
        let madsim = shared.madsim().create_node().name(name).build().id();
        let now = shared.now();
        shared.lock().add_machine(now, Arc::from(name), madsim)
    }

    /// A machine by its name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.shared().lock().find(name)
    }

    /// Runs `f`, whose log lines are those of the node and the time of a stamp.
    pub fn stamped<T>(&self, stamp: Stamp, f: impl FnOnce() -> T) -> T {
        node::stamped(self.name(stamp.node), stamp, f)
    }

    /// A machine's name.
    pub fn name(&self, node: NodeId) -> Arc<str> {
        self.shared().lock().network().name(node).clone()
    }

    /// Whether a process runs on the machine.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.shared().lock().machine(node).running().is_some()
    }

    /// Starts a new incarnation of the machine's process; the machine is powered on if need be.
    ///
    /// # Panics
    /// When a process runs there already.
    pub fn boot<F>(&self, node: NodeId, main: impl FnOnce(Host) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = self.shared();
        let (madsim, incarnations) = {
            let mut locked = shared.lock();
            let machine = locked.machine(node);
            (machine.madsim(), machine.incarnations())
        };
        if incarnations > 0 {
            shared.madsim().restart(madsim);
        }
        let spawner = shared.madsim().get_node(madsim).expect("the node was created");
        let process = Node::boot(shared, node, spawner);
        let booted = shared.emit(node, process.number(), &Hardware::Booted);
        let _entered = shared.cause().enter(Cause::of(booted.entry));
        let main = main(Host::from_imp(process.clone()));
        Task::spawn(&process, main);
    }

    /// Stops the process in its tracks, as a long collection of garbage does.
    pub fn pause(&self, node: NodeId) {
        self.set_paused(node, true, true);
    }

    /// The same for a slice of time, as a busy machine does: too often to be an event of the history.
    pub fn stall(&self, node: NodeId) {
        self.set_paused(node, true, false);
    }

    /// Lets a paused process go on.
    pub fn resume(&self, node: NodeId) {
        self.set_paused(node, false, false);
    }

    fn set_paused(&self, node: NodeId, paused: bool, openly: bool) {
        let shared = self.shared();
        let (madsim, change) = {
            let mut locked = shared.lock();
            let machine = locked.machine(node);
            let Some(change) = machine.set_paused(paused, openly) else { return };
            (machine.madsim(), change)
        };
        let event = match (change.openly, paused) {
            (true, true) => Hardware::Paused,
            (true, false) => Hardware::Resumed,
            (false, stalls) => Hardware::Stalled(stalls),
        };
        if change.paused || change.openly {
            shared.emit(node, change.incarnation, &event);
        }
        match paused {
            _ if !change.paused => {}
            true => shared.madsim().pause(madsim),
            false => shared.madsim().resume(madsim),
        }
    }
}
