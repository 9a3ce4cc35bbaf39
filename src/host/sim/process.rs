//! The life of machines and of the processes on them: boot, kill, power cut, pause, clock faults.

use super::{
    clock::Clock,
    disk::{DiskState, Unsynced},
    message::Ports,
    node::{Incarnation, Node, NodeId},
    world::{NodeState, Stamp, World},
};
use crate::host::{Evidence, Host, random::Draws};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProcessEnd {
    /// It was killed; the machine stays up and its page cache is kept.
    Killed,
    /// The machine lost power: silence, and unsynced writes may be lost or torn.
    PowerCut,
    /// It ended itself.
    Exited {
        /// Why.
        reason: String,
    },
    /// A task of it panicked.
    Panicked {
        /// The panic's message and place.
        message: String,
    },
}

/// An event of the hardware.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hardware {
    /// A new incarnation of the process began.
    Booted,
    /// The process ended.
    Ended(ProcessEnd),
    /// The process stands still; its timers and its inbox go on.
    Paused,
    /// It goes on.
    Resumed,
    /// The process stands still for a slice of time, or its slice is over.
    Stalled(bool),
    /// The clock drifts from now on.
    Drift {
        /// Parts in a million gained.
        per_million: i64,
    },
    /// The wall clock was stepped.
    WallStepped {
        /// By so many nanoseconds.
        nanos: i64,
    },
}

crate::event!(Hardware, |_| Evidence::Hardware);

impl World {
    /// Adds a machine, powered on and without a process. Its name is its host name.
    pub fn add_node(&self, name: &str) -> NodeId {
        let madsim = self.shared.madsim.create_node().name(name).build().id();
        let now = self.shared.now();
        let mut locked = self.shared.lock();
        let id = NodeId(u32::try_from(locked.nodes.len()).expect("fewer than 2^32 nodes"));
        let seed = locked.seed;
        let key = [u64::from(id.0), 0];
        let name: Arc<str> = Arc::from(name);
        let taken = locked.by_name.insert(name.clone(), id);
        assert!(taken.is_none(), "two nodes are named {name}");
        // Nodes boot long apart, so that monotonic readings of two nodes never look comparable.
        let origin = Draws::new(seed, "clock-origin", key).below(1_000_000_000_000_000);
        locked.nodes.push(NodeState {
            name,
            madsim,
            incarnations: 0,
            process: None,
            powered: true,
            paused: false,
            paused_openly: false,
            clock: Clock::new(now, origin),
            draws: Draws::new(seed, "node", key),
            ports: Ports::default(),
            disk: DiskState::new(seed, id),
            injected_errors: super::injected_error::InjectedErrors::default(),
        });
        id
    }

    /// Every machine.
    pub fn nodes(&self) -> Vec<NodeId> {
        let count = self.shared.lock().nodes.len();
        (0..count).map(|index| NodeId(u32::try_from(index).expect("few nodes"))).collect()
    }

    /// A machine by its name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.shared.lock().by_name.get(name).copied()
    }

    /// Runs `f`, whose log lines are those of the node and the time of a stamp.
    pub fn stamped<T>(&self, stamp: Stamp, f: impl FnOnce() -> T) -> T {
        super::node::stamped(self.name(stamp.node), stamp, f)
    }

    /// A machine's name.
    pub fn name(&self, node: NodeId) -> Arc<str> {
        self.shared.lock().node(node).name.clone()
    }

    /// Whether a process runs on the machine.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.shared.lock().node(node).process.is_some()
    }

    /// Starts a new incarnation of the machine's process; the machine is powered on if need be.
    ///
    /// # Panics
    /// When a process runs there already.
    pub fn boot<F>(&self, node: NodeId, main: impl FnOnce(Host) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let madsim_id = self.shared.lock().node(node).madsim;
        if self.shared.lock().node(node).incarnations > 0 {
            self.shared.madsim.restart(madsim_id);
        }
        let spawner = self.shared.madsim.get_node(madsim_id).expect("the node was created");
        let incarnation = {
            let mut locked = self.shared.lock();
            let state = locked.node(node);
            assert!(state.process.is_none(), "{} is running already", state.name);
            state.incarnations += 1;
            state.powered = true;
            let incarnation = Arc::new(Incarnation {
                shared: self.shared.clone(),
                node,
                name: state.name.clone(),
                number: state.incarnations,
                dead: AtomicBool::new(false),
                spawner,
            });
            state.process = Some(incarnation.clone());
            incarnation
        };
        self.shared.emit(node, incarnation.number, &Hardware::Booted);
        let host = Host::from_imp(Node { incarnation });
        let main = main(host.clone());
        host.spawn(main);
    }

    /// Ends the machine's process, if one runs.
    pub fn end_process(&self, node: NodeId, end: ProcessEnd) {
        self.end(node, end, Unsynced::Drawn);
    }

    /// Takes the machine's power away, and says what becomes of what was not synced.
    pub fn cut_power(&self, node: NodeId, unsynced: Unsynced) {
        let now = self.shared.now();
        let words = [u64::from(node.0), 5];
        let text = || format!("{node:?} loses power, unsynced {unsynced:?}");
        self.shared.lock().digest.entry(now, 9, &words, text);
        self.end(node, ProcessEnd::PowerCut, unsynced);
    }

    fn end(&self, node: NodeId, end: ProcessEnd, unsynced: Unsynced) {
        let now = self.shared.now();
        let (incarnation, madsim_id, ports, timers, disk_wakers) = {
            let mut locked = self.shared.lock();
            let state = locked.node(node);
            if end == ProcessEnd::PowerCut {
                state.powered = false;
            }
            let Some(incarnation) = state.process.take() else {
                // The machine can lose power without a process, and with it its page cache.
                if end == ProcessEnd::PowerCut {
                    let none = state.disk.power_cut(unsynced);
                    debug_assert!(none.is_empty(), "no process, no operations");
                    locked.end_streams(now, node, true);
                }
                return;
            };
            incarnation.dead.store(true, Ordering::Relaxed);
            state.paused = false;
            state.paused_openly = false;
            let disk_wakers = match end {
                ProcessEnd::PowerCut => state.disk.power_cut(unsynced),
                _ => state.disk.process_ended(),
            };
            let madsim_id = state.madsim;
            let ports = std::mem::take(&mut state.ports);
            locked.end_streams(now, node, end == ProcessEnd::PowerCut);
            let timers = locked.drop_timers(node);
            (incarnation, madsim_id, ports, timers, disk_wakers)
        };
        // Wakers and frames may own tasks, whose destructors take the world's lock.
        drop((ports, timers, disk_wakers));
        self.shared.emit(node, incarnation.number, &Hardware::Ended(end));
        self.shared.madsim.kill(madsim_id);
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
        let (madsim_id, incarnation, changed, told) = {
            let mut locked = self.shared.lock();
            let state = locked.node(node);
            let Some(process) = &state.process else { return };
            let number = process.number;
            let before = (state.paused, state.paused_openly);
            let after = (paused, paused && (openly || before.1));
            (state.paused, state.paused_openly) = after;
            let (changed, told) = (before.0 != after.0, before.1 != after.1);
            (state.madsim, number, changed, told)
        };
        let event = match (told, paused) {
            (true, true) => Hardware::Paused,
            (true, false) => Hardware::Resumed,
            (false, stalls) => Hardware::Stalled(stalls),
        };
        if changed || told {
            self.shared.emit(node, incarnation, &event);
        }
        match paused {
            _ if !changed => {}
            true => self.shared.madsim.pause(madsim_id),
            false => self.shared.madsim.resume(madsim_id),
        }
    }

    /// Makes both clocks of the machine gain (or lose) so many parts in a million from now on.
    pub fn set_drift(&self, node: NodeId, per_million: i64) {
        let now = self.shared.now();
        let incarnation = {
            let mut locked = self.shared.lock();
            locked.node(node).clock.set_drift(now, per_million);
            locked.requeue_timers(node);
            locked.node(node).incarnations
        };
        self.shared.emit(node, incarnation, &Hardware::Drift { per_million });
    }

    /// Steps the machine's wall clock. The monotonic clock does not jump.
    pub fn step_wall(&self, node: NodeId, nanos: i64) {
        let incarnation = {
            let mut locked = self.shared.lock();
            locked.node(node).clock.step_wall(nanos);
            locked.node(node).incarnations
        };
        self.shared.emit(node, incarnation, &Hardware::WallStepped { nanos });
    }
}
