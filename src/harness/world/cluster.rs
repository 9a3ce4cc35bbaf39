//! The nodes of a run: what boots on each, what is kept down, which are meant.

use crate::{
    harness::{
        check::{Checker, Model},
        fault::Target,
    },
    host::{
        Draws, Host,
        sim::{NodeId, ProcessEnd, Stamp, Unsynced, World},
    },
    jobs::journal,
    system::{
        ids::JobId,
        protocol::{DISPATCHER, RESOURCE_MANAGER, component_job},
    },
};
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// How long a process that ended itself stays down.
pub const RESTART_DELAY: Duration = Duration::from_secs(1);

/// What runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The coordination server.
    Coordination,
    /// The journal node of this number, from 1.
    Journal(u32),
    /// The client of this number, from 1.
    Client(u32),
    /// The blob server.
    Blobs,
    /// The log server.
    Log,
    /// The job manager of this number, from 1.
    JobManager(u32),
    /// The task executor of this number, from 1.
    TaskExecutor(u32),
    /// The writer of the input topic.
    Writer,
}

impl Role {
    /// The node's name.
    pub fn name(self) -> String {
        match self {
            Role::Coordination => "coordination".to_string(),
            Role::Journal(number) => format!("journal-{number}"),
            Role::Client(number) => format!("client-{number}"),
            Role::Blobs => "blobs".to_string(),
            Role::Log => "log".to_string(),
            Role::JobManager(number) => format!("job-manager-{number}"),
            Role::TaskExecutor(number) => format!("task-executor-{number}"),
            Role::Writer => "writer".to_string(),
        }
    }

    /// The role of the same kind and another number; `None` for a role that only this node can have.
    fn of_number(self, number: u32) -> Option<Role> {
        match self {
            Role::Journal(_) => Some(Role::Journal(number)),
            Role::JobManager(_) => Some(Role::JobManager(number)),
            Role::TaskExecutor(_) => Some(Role::TaskExecutor(number)),
            Role::Coordination | Role::Client(_) | Role::Blobs | Role::Log | Role::Writer => None,
        }
    }
}

/// Begins a process of a node, each time that it boots.
pub type Main = Box<dyn Fn(Host) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
struct Node {
    role: Role,
    main: Arc<Main>,
    /// The machine is lost for good; whether another has taken its place.
    lost: Option<bool>,
}

/// A booted cluster.
pub struct Cluster {
    world: World,
    nodes: Mutex<BTreeMap<NodeId, Node>>,
    /// Faults that hold a node down at the moment.
    down_counts: Holds,
    /// Faults that hold a process still at the moment.
    paused_counts: Holds,
    /// The faults that let each clock drift, in the order of their beginnings.
    drifts: Mutex<BTreeMap<NodeId, Vec<(usize, i64)>>>,
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

impl Cluster {
    /// Adds these nodes to a world and boots them.
    pub fn boot(world: &World, checker: &Checker, nodes: Vec<(Role, Main)>) -> Arc<Self> {
        let node = |(role, main): (Role, Main)| {
            (world.add_node(&role.name()), Node { role, main: Arc::new(main), lost: None })
        };
        let cluster = Arc::new(Cluster {
            world: world.clone(),
            nodes: Mutex::new(nodes.into_iter().map(node).collect()),
            down_counts: Holds::default(),
            paused_counts: Holds::default(),
            drifts: Mutex::default(),
        });
        let weak = Arc::downgrade(&cluster);
        checker.set_on_process_exit(Arc::new(move |world: &World, stamp: Stamp| {
            let Some(cluster) = weak.upgrade() else { return };
            let handle = world.clone();
            world.spawn(async move {
                handle.sleep(RESTART_DELAY).await;
                cluster.restart_if_free(stamp.node);
            });
        }));
        for node in cluster.with_role(|_| true) {
            cluster.boot_node(node);
        }
        cluster
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<NodeId, Node>> {
        self.nodes.lock().expect("no panic under this lock")
    }

    /// What runs on a node.
    pub fn role(&self, node: NodeId) -> Role {
        self.nodes()[&node].role
    }

    fn with_role(&self, wanted: impl Fn(Role) -> bool) -> Vec<NodeId> {
        let nodes = self.nodes();
        let found = nodes.iter().filter(|(_, node)| node.lost.is_none() && wanted(node.role));
        found.map(|(node, _)| *node).collect()
    }

    fn boot_node(&self, node: NodeId) {
        let main = self.nodes()[&node].main.clone();
        self.world.boot(node, |host| main(host));
    }

    fn restart_if_free(&self, node: NodeId) {
        let held =
            self.down_counts.lock().contains_key(&node) || self.nodes()[&node].lost.is_some();
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
        if self.role(node).of_number(1).is_none() {
            return false;
        }
        if let Some(node) = self.nodes().get_mut(&node) {
            node.lost.get_or_insert(false);
        }
        self.world.end_process(node, ProcessEnd::PowerCut);
        true
    }

    /// Boots a new machine of a new name in the place of a lost one, unless one has.
    pub fn succeed(&self, lost: NodeId) {
        let Some(successor) = self.successor(lost) else { return };
        let node = self.world.add_node(&successor.role.name());
        self.nodes().insert(node, successor);
        self.boot_node(node);
    }

    /// What takes a lost node's place, of the next number.
    fn successor(&self, lost: NodeId) -> Option<Node> {
        let mut nodes = self.nodes();
        let Node { role, main, lost } = nodes.get_mut(&lost)?;
        if lost.replace(true) != Some(false) {
            return None;
        }
        let (role, main) = (*role, main.clone());
        let taken = |number: &u32| {
            let role = role.of_number(*number);
            nodes.values().any(|node| Some(node.role) == role)
        };
        let number = (1..).find(|number| !taken(number))?;
        Some(Node { role: role.of_number(number)?, main, lost: None })
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
    pub fn drift(&self, node: NodeId, fault: usize, per_million: i64) {
        let mut drifts = self.drifts.lock().expect("no panic under this lock");
        drifts.entry(node).or_default().push((fault, per_million));
        self.world.set_drift(node, per_million);
    }

    /// Ends a fault's drift of a clock.
    pub fn end_drift(&self, node: NodeId, fault: usize) {
        let mut drifts = self.drifts.lock().expect("no panic under this lock");
        let left = drifts.entry(node).or_default();
        left.retain(|(of, _)| *of != fault);
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
            let nodes = self.nodes();
            nodes.iter().filter(|(_, node)| node.lost.is_some()).map(|(node, _)| *node).collect()
        };
        self.drifts.lock().expect("no panic under this lock").clear();
        let nodes = self.with_role(|_| true);
        for node in &nodes {
            self.world.clear_disk_faults(*node);
            self.world.clear_service_faults(*node);
            self.world.set_drift(*node, 0);
        }
        nodes.iter().for_each(|node| self.world.resume(*node));
        nodes.into_iter().for_each(|node| self.restart_if_free(node));
        lost.into_iter().for_each(|node| self.succeed(node));
    }

    /// The nodes that a target means at this moment; `pick` decides among several.
    pub fn resolve(&self, target: Target, model: &Model, pick: u64) -> Vec<NodeId> {
        let one = |nodes: Vec<NodeId>| match nodes.len() as u64 {
            0 => Vec::new(),
            count => {
                let index = usize::try_from(pick % count).expect("an index below a length");
                vec![nodes[index]]
            }
        };
        let journals = || self.with_role(|role| matches!(role, Role::Journal(_)));
        let managers = || self.with_role(|role| matches!(role, Role::JobManager(_)));
        let executors = || self.with_role(|role| matches!(role, Role::TaskExecutor(_)));
        let leader_or_one = |leader: Option<NodeId>, all: Vec<NodeId>| {
            leader.map_or_else(|| one(all), |leader| vec![leader])
        };
        match target {
            Target::Leader => leader_or_one(model.leader(journal::COMPONENT), journals()),
            Target::Follower => {
                let leader = model.leader(journal::COMPONENT);
                one(journals().into_iter().filter(|node| Some(*node) != leader).collect())
            }
            Target::RandomJournal => one(journals()),
            Target::Journal(number) => self.with_role(|role| role == Role::Journal(number)),
            Target::Journals => journals(),
            Target::SomeJournals => part(journals(), pick),
            Target::SomeJobManagers => part(managers(), pick),
            Target::SomeTaskExecutors => part(executors(), pick),
            Target::Subtask(number) => {
                let here = |(job, subtask): &(JobId, u32)| {
                    *subtask + 1 == number && model.running.contains_key(job)
                };
                let found = model.placed.iter().find(|(key, _)| here(key)).map(|(_, node)| *node);
                leader_or_one(found.filter(|node| executors().contains(node)), executors())
            }
            Target::Client(number) => self.with_role(|role| role == Role::Client(number)),
            Target::Clients => self.with_role(|role| matches!(role, Role::Client(_))),
            Target::LeaderDispatcher => leader_or_one(model.leader(DISPATCHER), managers()),
            Target::LeaderResourceManager => {
                leader_or_one(model.leader(RESOURCE_MANAGER), managers())
            }
            Target::JobMaster => leader_or_one(job_master(model), managers()),
            Target::RandomJobManager => one(managers()),
            Target::JobManager(number) => self.with_role(|role| role == Role::JobManager(number)),
            Target::JobManagers => managers(),
            Target::BusyTaskExecutor => {
                let busy = |node: &NodeId| model.slots.keys().any(|((of, _), _)| of == node);
                let found: Vec<NodeId> = executors().into_iter().filter(busy).collect();
                one(if found.is_empty() { executors() } else { found })
            }
            Target::RandomTaskExecutor => one(executors()),
            Target::TaskExecutor(number) => {
                self.with_role(|role| role == Role::TaskExecutor(number))
            }
            Target::TaskExecutors => executors(),
            Target::Blobs => self.with_role(|role| role == Role::Blobs),
            Target::Log => self.with_role(|role| role == Role::Log),
            Target::Writer => self.with_role(|role| role == Role::Writer),
            Target::Coordination => self.with_role(|role| role == Role::Coordination),
            Target::Everyone => self.with_role(|_| true),
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

/// The node on which the master of the first job leads.
fn job_master(model: &Model) -> Option<NodeId> {
    let components = model.granted.keys().map(|(_, component)| component);
    let mut jobs = components.filter(|component| component_job(component).is_some());
    jobs.find_map(|component| model.leader(component))
}
