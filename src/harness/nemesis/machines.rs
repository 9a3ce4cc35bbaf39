//! The machines of a run: what boots on each, what is kept down, which are meant.

use crate::{
    harness::{
        check::{AnyModel, Checker},
        system::{Main, Node, Role, SystemSpec, Target},
    },
    host::{
        Draws,
        sim::{NodeId, ProcessEnd, Stamp, Unsynced, World},
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// How long a process that ended itself stays down.
pub const RESTART_DELAY: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Machine {
    role: Role,
    /// Of the roles of several nodes.
    number: Option<u32>,
    main: Arc<Main>,
    /// The machine is lost for good; whether another has taken its place.
    lost: Option<bool>,
}

/// The booted machines of a run.
pub struct Machines {
    world: World,
    system: SystemSpec,
    machines: Mutex<BTreeMap<NodeId, Machine>>,
    /// Faults that hold a node down at the moment.
    down_counts: Holds,
    /// Faults that hold a process still at the moment.
    paused_counts: Holds,
    drifts: Mutex<Drifts>,
}

/// A drift of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriftId(u64);

/// What lets each clock drift, in the order of the beginnings.
#[derive(Default)]
struct Drifts {
    added: u64,
    of_nodes: BTreeMap<NodeId, Vec<(DriftId, i64)>>,
}

/// How many faults hold each node.
#[derive(Default)]
struct Holds(Mutex<BTreeMap<NodeId, u32>>);

impl Holds {
    fn hold(&self, node: NodeId) {
        *self.lock().entry(node).or_default() += 1;
    }

    /// Takes one away; whether none is left.
    fn let_go(&self, node: NodeId) -> bool {
        let mut held = self.lock();
        match held.get_mut(&node) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&node)),
        }
        !held.contains_key(&node)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, u32>> {
        self.0.lock().expect("no panic under this lock")
    }
}

impl Machines {
    /// Adds a system's nodes to a world and boots them.
    pub fn boot(
        world: &World,
        checker: &Checker,
        system: &SystemSpec,
        nodes: Vec<Node>,
    ) -> Arc<Self> {
        let machine = |Node { role, number, main }: Node| {
            let node = world.add_node(&role.node_name(number));
            (node, Machine { role, number, main: Arc::new(main), lost: None })
        };
        let machines = Arc::new(Machines {
            world: world.clone(),
            system: system.clone(),
            machines: Mutex::new(nodes.into_iter().map(machine).collect()),
            down_counts: Holds::default(),
            paused_counts: Holds::default(),
            drifts: Mutex::default(),
        });
        let weak = Arc::downgrade(&machines);
        checker.set_on_process_exit(Arc::new(move |world: &World, stamp: Stamp| {
            let Some(machines) = weak.upgrade() else { return };
            let handle = world.clone();
            world.spawn(async move {
                handle.sleep(RESTART_DELAY).await;
                machines.restart_if_free(stamp.node);
            });
        }));
        for node in machines.with_role(|_| true) {
            machines.boot_node(node);
        }
        machines
    }

    fn machines(&self) -> MutexGuard<'_, BTreeMap<NodeId, Machine>> {
        self.machines.lock().expect("no panic under this lock")
    }

    /// What runs on a node.
    pub fn role(&self, node: NodeId) -> Role {
        self.machines()[&node].role
    }

    /// What a node is called.
    pub fn name(&self, node: NodeId) -> String {
        let machine = &self.machines()[&node];
        machine.role.node_name(machine.number)
    }

    fn with_role(&self, wanted: impl Fn(&Machine) -> bool) -> Vec<NodeId> {
        let nodes = self.machines();
        let found = nodes.iter().filter(|(_, node)| node.lost.is_none() && wanted(node));
        found.map(|(node, _)| *node).collect()
    }

    fn boot_node(&self, node: NodeId) {
        let main = self.machines()[&node].main.clone();
        self.world.boot(node, |host| main(host));
    }

    fn restart_if_free(&self, node: NodeId) {
        let held =
            self.down_counts.lock().contains_key(&node) || self.machines()[&node].lost.is_some();
        if !held && !self.world.is_running(node) {
            self.boot_node(node);
        }
    }

    /// Ends a node's process, and keeps it down until it is let go.
    pub fn take_down(&self, node: NodeId, end: ProcessEnd) {
        self.down_counts.hold(node);
        self.world.end_process(node, end);
    }

    /// Takes a node's power away, and keeps it down until it is let go.
    pub fn cut_power(&self, node: NodeId, unsynced: Unsynced) {
        self.down_counts.hold(node);
        self.world.cut_power(node, unsynced);
    }

    /// Loses a machine for good, if another can take its place.
    pub fn lose(&self, node: NodeId) -> bool {
        if !self.role(node).spec().is_replaceable {
            return false;
        }
        if let Some(machine) = self.machines().get_mut(&node) {
            machine.lost.get_or_insert(false);
        }
        self.world.end_process(node, ProcessEnd::PowerCut);
        true
    }

    /// Boots a new machine of a new name in the place of a lost one, unless one has.
    pub fn succeed(&self, lost: NodeId) {
        let Some(successor) = self.successor(lost) else { return };
        let node = self.world.add_node(&successor.role.node_name(successor.number));
        self.machines().insert(node, successor);
        self.boot_node(node);
    }

    /// What takes a lost node's place, of the next number.
    fn successor(&self, lost: NodeId) -> Option<Machine> {
        let mut machines = self.machines();
        let Machine { role, main, lost, .. } = machines.get_mut(&lost)?;
        if lost.replace(true) != Some(false) {
            return None;
        }
        let (role, main) = (*role, main.clone());
        let taken = |number: &u32| {
            machines.values().any(|other| other.role == role && other.number == Some(*number))
        };
        let number = (1..).find(|number| !taken(number));
        Some(Machine { role, number, main, lost: None })
    }

    /// Kills a node's process; from its restart in a moment on a binary runs there that is ahead by so many
    /// versions of the protocol.
    pub fn replace_binary(self: &Arc<Self>, node: NodeId, versions_ahead: u16) {
        self.world.replace_binary(node, versions_ahead);
        self.take_down(node, ProcessEnd::Killed);
        let (machines, world) = (self.clone(), self.world.clone());
        self.world.spawn(async move {
            world.sleep(RESTART_DELAY).await;
            machines.let_up(node);
        });
    }

    /// Stops a process in its tracks until it is let go.
    pub fn pause(&self, node: NodeId) {
        self.paused_counts.hold(node);
        self.world.pause(node);
    }

    /// The same for a slice of time.
    pub fn stall(&self, node: NodeId) {
        self.paused_counts.hold(node);
        self.world.stall(node);
    }

    /// Lets a process go on when nothing else holds it.
    pub fn let_go_on(&self, node: NodeId) {
        if self.paused_counts.let_go(node) {
            self.world.resume(node);
        }
    }

    /// Lets a node's clock drift by so many millionths; of several faults the newest counts.
    pub fn drift(&self, node: NodeId, per_million: i64) -> DriftId {
        let mut drifts = self.drifts.lock().expect("no panic under this lock");
        drifts.added += 1;
        let id = DriftId(drifts.added);
        drifts.of_nodes.entry(node).or_default().push((id, per_million));
        self.world.set_drift(node, per_million);
        id
    }

    /// Ends a fault's drift of a clock.
    pub fn end_drift(&self, node: NodeId, drift: DriftId) {
        let mut drifts = self.drifts.lock().expect("no panic under this lock");
        let left = drifts.of_nodes.entry(node).or_default();
        left.retain(|(id, _)| *id != drift);
        self.world.set_drift(node, left.last().map_or(0, |(_, drift)| *drift));
    }

    /// Lets a node go; it boots when nothing else holds it.
    pub fn let_up(&self, node: NodeId) {
        self.down_counts.let_go(node);
        self.restart_if_free(node);
    }

    /// Brings every node back, or another in its place: disk, service and clock true from now on, not
    /// paused, running.
    pub fn revive(&self) {
        self.down_counts.lock().clear();
        self.paused_counts.lock().clear();
        let lost: Vec<NodeId> = {
            let nodes = self.machines();
            nodes.iter().filter(|(_, node)| node.lost.is_some()).map(|(node, _)| *node).collect()
        };
        self.drifts.lock().expect("no panic under this lock").of_nodes.clear();
        let nodes = self.with_role(|_| true);
        for node in &nodes {
            self.world.clear_disk_faults(*node);
            self.world.clear_service_faults(*node);
            self.world.set_drift(*node, 0);
            if self.world.versions_ahead(*node) > 0 {
                self.world.replace_binary(*node, 0);
                self.world.end_process(*node, ProcessEnd::Killed);
            }
        }
        nodes.iter().for_each(|node| self.world.resume(*node));
        nodes.into_iter().for_each(|node| self.restart_if_free(node));
        lost.into_iter().for_each(|node| self.succeed(node));
    }

    /// The nodes that a target means at this moment; `pick` decides among several.
    pub fn resolve(&self, target: Target, model: &dyn AnyModel, pick: u64) -> Vec<NodeId> {
        self.resolve_among(target, model, pick, &|_| true)
    }

    /// The same, of those that are allowed.
    pub fn resolve_among(
        &self,
        target: Target,
        model: &dyn AnyModel,
        pick: u64,
        allowed: &dyn Fn(NodeId) -> bool,
    ) -> Vec<NodeId> {
        let found = |wanted: &dyn Fn(&Machine) -> bool| {
            let mut nodes = self.with_role(wanted);
            nodes.retain(|node| allowed(*node));
            nodes
        };
        let of = |role: Role| found(&|known| known.role == role);
        match target {
            Target::Everyone => found(&|_| true),
            Target::All(role) => of(role),
            Target::Part(role) => part(of(role), pick),
            Target::Random(role) => one(of(role), pick),
            Target::Number(role, number) => {
                found(&|known| known.role == role && known.number == Some(number))
            }
            Target::At(place, number) => {
                let placement = self.system.placement();
                let at =
                    |node: &Machine| placement.of_node(place, &node.role.node_name(node.number));
                let of_random = || {
                    let lot = one(self.with_role(|_| true), pick);
                    lot.first().and_then(|node| placement.of_node(place, &self.name(*node)))
                };
                match number.or_else(of_random) {
                    Some(number) => found(&|node| at(node) == Some(number)),
                    None => Vec::new(),
                }
            }
            Target::State(state) => one(self.system.find(target, model, &of(state.role())), pick),
        }
    }
}

/// One of some nodes.
fn one(nodes: Vec<NodeId>, pick: u64) -> Vec<NodeId> {
    match nodes.len() as u64 {
        0 => Vec::new(),
        count => {
            let index = usize::try_from(pick % count).expect("an index below a length");
            vec![nodes[index]]
        }
    }
}

/// A drawn part of some nodes: at least one and, of several, not all.
fn part(mut nodes: Vec<NodeId>, pick: u64) -> Vec<NodeId> {
    let mut draws = Draws::new(pick, "some", [0, 0]);
    draws.shuffle(&mut nodes);
    let most = nodes.len().saturating_sub(1).max(1);
    let count = draws.between(1, most as u64);
    nodes.truncate(usize::try_from(count).expect("few nodes"));
    nodes
}
