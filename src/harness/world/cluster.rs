//! The journal's cluster: a coordination server, journal nodes and clients.

use crate::{
    harness::{check::Judge, fault::Actor, scenario::Scenario},
    host::{
        Draws, NodeAddress,
        sim::{NodeId, ProcessEnd, Stamp, World},
    },
    jobs::journal::{self, Workload},
    system::service::coordination::CoordinationConfig,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

const PORT: u16 = 6123;

/// How long a process that ended itself stays down.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// What runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The coordination server.
    Coordination,
    /// The journal node of this number, from 1.
    Journal(u32),
    /// The client of this number, from 1.
    Client(u32),
}

impl Role {
    /// The node's name.
    pub fn name(self) -> String {
        match self {
            Role::Coordination => "coordination".to_string(),
            Role::Journal(number) => format!("journal-{number}"),
            Role::Client(number) => format!("client-{number}"),
        }
    }
}

/// A booted cluster.
pub struct Cluster {
    world: World,
    roles: BTreeMap<NodeId, Role>,
    config: CoordinationConfig,
    workloads: Vec<Workload>,
    /// Faults that hold a node down at the moment.
    held_down: Mutex<BTreeMap<NodeId, u32>>,
}

/// The lines that each client of a scenario sends.
pub fn workload_lines(
    scenario: &Scenario,
    seed: u64,
    input: Option<&Arc<Vec<String>>>,
) -> Vec<Arc<Vec<String>>> {
    if let Some(input) = input {
        return vec![input.clone()];
    }
    let lines = |client: u32| {
        let mut draws = Draws::new(seed, "workload", [u64::from(client), 0]);
        let line = |number| format!("client-{client} line {number} {:08x}", draws.next_u64() >> 32);
        Arc::new((1..=scenario.workload.lines).map(line).collect())
    };
    (1..=scenario.cluster.clients).map(lines).collect()
}

/// Lines in one call: what the scenario says, or more if a long text would else outlast the faults.
fn batch_size(scenario: &Scenario, lines: usize) -> usize {
    const SENDING_MAX: Duration = Duration::from_secs(30);
    let calls = SENDING_MAX.as_millis() / scenario.workload.pause.as_millis().max(1);
    let calls = usize::try_from(calls).unwrap_or(usize::MAX).max(1);
    lines.div_ceil(calls).max(scenario.workload.batch as usize)
}

impl Cluster {
    /// Adds the nodes of a scenario to a world and boots them.
    pub fn boot(
        world: &World,
        judge: &Judge,
        scenario: &Scenario,
        lines: &[Arc<Vec<String>>],
    ) -> Arc<Self> {
        let journals = (1..=scenario.cluster.journals).map(Role::Journal);
        let clients = (1..).map(Role::Client).take(lines.len());
        let roles = std::iter::once(Role::Coordination).chain(journals).chain(clients);
        let roles: BTreeMap<NodeId, Role> =
            roles.map(|role| (world.add_node(&role.name()), role)).collect();
        let workload = |(lines, client): (&Arc<Vec<String>>, u32)| Workload {
            client,
            lines: lines.clone(),
            batch: batch_size(scenario, lines.len()),
            pause: scenario.workload.pause,
        };
        let mut config = CoordinationConfig::new(NodeAddress::new(Role::Coordination.name(), PORT));
        config.session_timeout = scenario.cluster.session_timeout;
        let cluster = Arc::new(Cluster {
            world: world.clone(),
            roles,
            config,
            workloads: lines.iter().zip(1..).map(workload).collect(),
            held_down: Mutex::default(),
        });
        let weak = Arc::downgrade(&cluster);
        judge.set_undertaker(Arc::new(move |world: &World, stamp: Stamp| {
            let Some(cluster) = weak.upgrade() else { return };
            let handle = world.clone();
            world.spawn(async move {
                handle.sleep(RESTART_DELAY).await;
                cluster.restart_if_free(stamp.node);
            });
        }));
        for node in cluster.roles.keys() {
            cluster.boot_node(*node);
        }
        cluster
    }

    /// How many clients there are.
    pub fn clients(&self) -> u32 {
        u32::try_from(self.workloads.len()).expect("few clients")
    }

    /// What runs on a node.
    pub fn role(&self, node: NodeId) -> Role {
        self.roles[&node]
    }

    fn with_role(&self, wanted: impl Fn(Role) -> bool) -> Vec<NodeId> {
        let found = self.roles.iter().filter(|(_, role)| wanted(**role));
        found.map(|(node, _)| *node).collect()
    }

    fn boot_node(&self, node: NodeId) {
        let config = self.config.clone();
        match self.role(node) {
            Role::Coordination => {
                self.world.boot(node, |host| journal::run_coordination_node(host, PORT))
            }
            Role::Journal(_) => {
                self.world.boot(node, |host| journal::run_journal_node(host, PORT, config))
            }
            Role::Client(number) => {
                let workload = self.workloads[number as usize - 1].clone();
                self.world.boot(node, |host| journal::run_client_node(host, config, workload));
            }
        }
    }

    fn restart_if_free(&self, node: NodeId) {
        let held = self.held_down.lock().expect("no panic under this lock").contains_key(&node);
        if !held && !self.world.is_running(node) {
            self.boot_node(node);
        }
    }

    /// Ends a node's process, and keeps it down until it is let go.
    pub fn take_down(&self, node: NodeId, end: ProcessEnd) {
        *self.held_down.lock().expect("no panic under this lock").entry(node).or_default() += 1;
        self.world.end_process(node, end);
    }

    /// Lets a node go; it boots when nothing else holds it.
    pub fn let_up(&self, node: NodeId) {
        {
            let mut held = self.held_down.lock().expect("no panic under this lock");
            match held.get_mut(&node) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(held.remove(&node)),
            }
        }
        self.restart_if_free(node);
    }

    /// Brings every node back: disk and clock true from now on, not paused, running.
    pub fn revive(&self) {
        self.held_down.lock().expect("no panic under this lock").clear();
        for node in self.roles.keys() {
            self.world.clear_disk_faults(*node);
            self.world.set_drift(*node, 0);
            self.world.resume(*node);
            self.restart_if_free(*node);
        }
    }

    /// The nodes that an actor means at this moment; `pick` decides among several.
    pub fn resolve(&self, actor: Actor, leader: Option<NodeId>, pick: u64) -> Vec<NodeId> {
        let journals = self.with_role(|role| matches!(role, Role::Journal(_)));
        let one = |nodes: Vec<NodeId>| match nodes.len() as u64 {
            0 => Vec::new(),
            count => {
                let index = usize::try_from(pick % count).expect("an index below a length");
                vec![nodes[index]]
            }
        };
        match actor {
            Actor::Leader => leader.map_or_else(|| one(journals), |leader| vec![leader]),
            Actor::Follower => {
                one(journals.into_iter().filter(|node| Some(*node) != leader).collect())
            }
            Actor::RandomJournal => one(journals),
            Actor::Journal(number) => self.with_role(|role| role == Role::Journal(number)),
            Actor::Journals => journals,
            Actor::Client(number) => self.with_role(|role| role == Role::Client(number)),
            Actor::Clients => self.with_role(|role| matches!(role, Role::Client(_))),
            Actor::Coordination => self.with_role(|role| role == Role::Coordination),
            Actor::Everyone => self.with_role(|_| true),
        }
    }
}
