//! What a simulated provider knows, and how it hands machines out.

use super::{MachineBeat, ProviderEvent};
use crate::{
    host::{Draws, Instant, name_hash},
    system::{
        ids::ResourceId,
        service::resource_provider::{WorkerSpec, WorkerTable},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// A machine that says nothing for so long is lost.
const SILENCE_MAX: Duration = Duration::from_secs(6);

/// How a provider behaves.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Of what it draws.
    pub seed: u64,
    /// How long a worker may wait for its machine, at most.
    pub delay: Duration,
    /// How many of the workers come twice, in millionths.
    pub twice: u32,
    /// Machines.
    pub machines: usize,
}

/// A machine that is to run a task executor.
#[derive(Clone, Debug)]
struct Assignment {
    worker: ResourceId,
    life: u128,
    heard: Instant,
}

/// The provider's knowledge, which outlives its process.
pub struct ProviderState {
    settings: ProviderSettings,
    /// What is promised to the cluster.
    pub table: WorkerTable,
    asked: BTreeMap<ResourceId, Asked>,
    assignments: BTreeMap<String, Assignment>,
}

/// A worker that was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    when: Instant,
    /// How often it has come.
    came: u32,
}

impl ProviderState {
    /// Nothing was asked for yet.
    pub fn new(settings: ProviderSettings) -> Self {
        ProviderState {
            table: WorkerTable::new(settings.machines),
            settings,
            asked: BTreeMap::new(),
            assignments: BTreeMap::new(),
        }
    }

    /// How many workers there are or will be.
    pub fn told(&self) -> ProviderEvent {
        ProviderEvent::Workers {
            count: self.table.workers().count(),
            ended: self.table.outcome().is_some(),
        }
    }

    /// The provider's process begins, and with it its clock.
    pub fn begin(&mut self, now: Instant) {
        self.asked.values_mut().for_each(|asked| asked.when = now);
        self.assignments.values_mut().for_each(|assigned| assigned.heard = now);
    }

    /// A worker was asked for, or given back, or is lost.
    pub fn refresh(&mut self, now: Instant) {
        let table = &self.table;
        self.asked.retain(|worker, _| table.contains(worker));
        for worker in table.workers() {
            let asked = Asked { when: now, came: 0 };
            self.asked.entry(worker.resource.clone()).or_insert(asked);
        }
    }

    fn machines_of(&self, worker: &ResourceId) -> usize {
        self.assignments.values().filter(|assigned| assigned.worker == *worker).count()
    }

    /// Takes a machine away from its worker, which is lost unless it has another.
    fn unassign(&mut self, machine: &str) {
        if let Some(assigned) = self.assignments.remove(machine)
            && self.machines_of(&assigned.worker) == 0
        {
            self.table.lose(&assigned.worker);
        }
    }

    /// Machines that were silent for too long are lost.
    pub fn look(&mut self, now: Instant) {
        let silent = |assigned: &Assignment| now >= assigned.heard + SILENCE_MAX;
        let lost = self.assignments.iter().filter(|(_, assigned)| silent(assigned));
        for machine in lost.map(|(machine, _)| machine.clone()).collect::<Vec<_>>() {
            self.unassign(&machine);
        }
    }

    /// A machine tells of itself. Answers what is to run on it, and whether that was decided now.
    pub fn on_beat(&mut self, now: Instant, beat: &MachineBeat) -> (Option<WorkerSpec>, bool) {
        if let Some(assigned) = self.assignments.get_mut(&beat.machine) {
            if assigned.life == beat.life && self.table.contains(&assigned.worker) {
                assigned.heard = now;
                let worker = assigned.worker.clone();
                return (self.spec(&worker), false);
            }
            // Its process has ended, or is to.
            self.unassign(&beat.machine);
        }
        let next = match beat.running {
            Some(_) => None,
            None => self.next(now),
        };
        if let Some(worker) = &next {
            let worker = worker.resource.clone();
            if let Some(asked) = self.asked.get_mut(&worker) {
                asked.came += 1;
            }
            let assigned = Assignment { worker, life: beat.life, heard: now };
            self.assignments.insert(beat.machine.clone(), assigned);
        }
        let is_new = next.is_some();
        (next, is_new)
    }

    fn spec(&self, worker: &ResourceId) -> Option<WorkerSpec> {
        self.table.workers().find(|spec| spec.resource == *worker).cloned()
    }

    /// The worker that has waited longest for its machine, or for its second one.
    fn next(&self, now: Instant) -> Option<WorkerSpec> {
        let wants = |worker: &&WorkerSpec| {
            let mut draws =
                Draws::new(self.settings.seed, "worker", [name_hash(&worker.resource.0), 0]);
            let delay = draws.duration(Duration::ZERO, self.settings.delay);
            let times = if draws.chance(self.settings.twice) { 2 } else { 1 };
            let asked = self.asked.get(&worker.resource);
            asked.is_some_and(|asked| asked.came < times && now >= asked.when + delay)
        };
        let waiting = self.table.workers().filter(wants);
        waiting
            .min_by_key(|worker| self.asked.get(&worker.resource).map(|asked| asked.when))
            .cloned()
    }
}
