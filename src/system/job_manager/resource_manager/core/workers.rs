//! What is known of the task executors that a provider gives.

use crate::{
    host::{Instant, Switches},
    system::{
        ids::{ResourceId, TaskExecutorSession},
        job_manager::WorkerSettings,
        sabotage,
        service::resource_provider::WorkerSpec,
    },
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A worker that has not registered, or does so no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    pub since: Instant,
    pub asked: Asked,
}

/// What the provider knows of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The request of this number is on its way.
    Asking(u64),
    /// It got no answer, and is to be made again.
    Unanswered(u64),
    /// It is being made again: an earlier try may have been done.
    AskingAgain(u64),
    /// It has it; so many lists were asked for before that was known, and a later one without it says that it is
    /// gone.
    Known(u64),
}

/// What is known of workers during one term.
pub(super) struct Workers {
    pub settings: WorkerSettings,
    pub switches: Switches,
    /// What the names begin with.
    pub prefix: String,
    /// How many were asked for in this term.
    pub drawn: u64,
    pub attached: bool,
    /// The provider is being told of this term, and has not answered.
    pub attaching: bool,
    pub awaited: BTreeMap<ResourceId, Awaited>,
    /// Those of them that are registered.
    pub registered: BTreeSet<ResourceId>,
    /// Since when registered ones hold no slot for a job.
    pub idle: BTreeMap<ResourceId, Instant>,
    /// To be given back, until the provider has answered that they are; whether it is being asked.
    pub releasing: BTreeMap<ResourceId, bool>,
    /// The lives of each worker: two machines must not go by one name.
    lives: BTreeMap<ResourceId, Lives>,
    /// After a refusal nothing is asked for before.
    pub not_before: Option<Instant>,
    pub looks: u64,
    pub lists: u64,
}

/// The lives under one name: the one that registered last, and those whose place it took.
#[derive(Debug)]
struct Lives {
    present: TaskExecutorSession,
    former: VecDeque<TaskExecutorSession>,
}

/// Former lives of one name that are remembered.
const FORMER_MAX: usize = 8;
/// Names whose lives are remembered.
const NAMES_MAX: usize = 4096;

impl Workers {
    /// None; `prefix` was drawn for this term.
    pub fn new(settings: WorkerSettings, prefix: String, switches: Switches) -> Self {
        Workers {
            settings,
            switches,
            prefix,
            drawn: 0,
            attached: false,
            attaching: false,
            awaited: BTreeMap::new(),
            registered: BTreeSet::new(),
            idle: BTreeMap::new(),
            releasing: BTreeMap::new(),
            lives: BTreeMap::new(),
            not_before: None,
            looks: 0,
            lists: 0,
        }
    }

    /// All of them, those included that are being given back.
    pub fn count(&self) -> usize {
        self.awaited.len() + self.registered.len() + self.releasing.len()
    }

    /// Whether a task executor must never be registered: it was given back, or another one has its name.
    pub fn rejects(
        &self,
        resource: &ResourceId,
        session: TaskExecutorSession,
    ) -> Option<&'static str> {
        let is_owned = self.awaited.contains_key(resource) || self.registered.contains(resource);
        let is_named =
            resource.0.strip_prefix("worker-").is_some_and(|of| of.starts_with(&self.prefix));
        if self.releasing.contains_key(resource) || is_named && !is_owned {
            return Some("it was given back, or came too late");
        }
        let lives = self.lives.get(resource);
        let displaced = lives.is_some_and(|lives| lives.former.contains(&session));
        let obeyed = self.switches.on(sabotage::TWINS_TAKE_TURNS);
        (displaced && !obeyed).then_some("another one registered under its name")
    }

    /// A life of a task executor is registered, and takes the place of whichever was before it.
    pub fn on_registered(&mut self, resource: &ResourceId, session: TaskExecutorSession) {
        let fresh = Lives { present: session, former: VecDeque::new() };
        if !self.lives.contains_key(resource) && self.lives.len() >= NAMES_MAX {
            self.lives.pop_first();
        }
        let lives = self.lives.entry(resource.clone()).or_insert(fresh);
        if lives.present != session {
            if lives.former.len() == FORMER_MAX {
                lives.former.pop_front();
            }
            lives.former.push_back(lives.present);
            lives.present = session;
        }
        if self.awaited.remove(resource).is_some() {
            self.registered.insert(resource.clone());
        }
    }

    /// A registration is over; the worker may come again, or be gone.
    pub fn on_gone(&mut self, now: Instant, resource: &ResourceId) -> bool {
        if !self.leave(resource) || self.switches.on(sabotage::LOST_WORKERS_FORGOTTEN) {
            return false;
        }
        let awaited = Awaited { since: now, asked: Asked::Known(self.lists) };
        self.awaited.insert(resource.clone(), awaited);
        true
    }

    /// Whether an earlier try to ask for one may have been done.
    pub fn may_be_known(&self, resource: &ResourceId) -> bool {
        let asked = self.awaited.get(resource).map(|awaited| awaited.asked);
        matches!(asked, Some(Asked::AskingAgain(_) | Asked::Known(_)))
    }

    /// Whether it is there, may come, or is being given back.
    pub fn knows(&self, resource: &ResourceId) -> bool {
        self.registered.contains(resource)
            || self.awaited.contains_key(resource)
            || self.releasing.contains_key(resource)
    }

    /// What is asked for under a name.
    pub fn spec(&self, resource: ResourceId) -> WorkerSpec {
        WorkerSpec { resource, slots: self.settings.slots }
    }

    /// A worker can't be had; nothing is asked for during a pause.
    pub fn give_up(&mut self, now: Instant, resource: &ResourceId) {
        self.forget(resource);
        self.not_before = Some(now + self.settings.refused_delay);
    }

    /// A registration is over; whether it was a worker's.
    pub fn leave(&mut self, resource: &ResourceId) -> bool {
        self.idle.remove(resource);
        self.registered.remove(resource)
    }

    /// A worker is gone for good, or was never there.
    pub fn forget(&mut self, resource: &ResourceId) {
        self.awaited.remove(resource);
        self.lives.remove(resource);
    }

    /// What holds after every call.
    pub fn check_invariants(&self, registered: &BTreeSet<&ResourceId>) {
        for worker in &self.registered {
            assert!(registered.contains(worker), "{worker} is taken for registered");
            assert!(!self.releasing.contains_key(worker), "{worker} is there and given back");
        }
        for worker in self.awaited.keys() {
            assert!(!registered.contains(worker), "{worker} is awaited and has come");
            assert!(!self.releasing.contains_key(worker), "{worker} is awaited and given back");
        }
        for worker in self.idle.keys() {
            assert!(self.registered.contains(worker), "{worker} is idle and not there");
        }
    }
}
