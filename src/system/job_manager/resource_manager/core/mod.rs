//! What a resource manager decides: values in, effects out. No I/O, no clock and no randomness but the base of the
//! names of its allocations, which it is given.

mod provisioning;
mod slot_manager;
#[cfg(test)]
mod tests;
mod workers;

pub use slot_manager::{SlotAnswer, SlotRequest};

use crate::{
    host::{Instant, NodeAddress, Switches},
    system::{
        heartbeat::HeartbeatSession,
        ids::{AllocationId, InstanceId, JobId, ResourceId},
        job_manager::{JobManagerConfig, WorkerSettings, event::JobEvent},
        leadership::{LeaderInformation, LeaderSessionId},
        protocol::{JobStatus, RegistrationRefusal, SlotReport, TaskExecutorInfo},
        reason::shortened,
        sabotage,
        service::resource_provider::WorkerSpec,
    },
};
use slot_manager::SlotManager;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use workers::Workers;

/// Task executors, and jobs, that a resource manager knows at most.
const PEERS_MAX: usize = 4096;

/// Something to be done, in the order in which it was decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Announces an event.
    Announce(JobEvent),
    /// Comes back as `on_timer` after a while.
    Schedule(Duration, Timer),
    /// Follows who leads a job; `on_job_leader`.
    Follow(JobId),
    /// Follows it no more.
    Unfollow(JobId),
    /// Hears the master again that introduced itself before its job's leader was known.
    HearMaster(JobId),
    /// A task executor is registered: monitors it.
    MonitorExecutor(ResourceId, InstanceId),
    /// A registration is over: monitors it no more, tells the task executor, and forgets the way to it.
    DropExecutor(ResourceId, InstanceId, String),
    /// A master is registered: monitors it.
    MonitorMaster(JobId, HeartbeatSession),
    /// Monitors a master no more.
    UnmonitorMaster(JobId, HeartbeatSession),
    /// Asks a task executor for a slot; `on_slot_answered`.
    RequestSlot(SlotRequest, AllocationId),
    /// Tells the provider of machines that this term has begun; `on_attached`.
    AttachProvider,
    /// Asks it for a worker, under a number that grows; `on_worker_requested`.
    RequestWorker(u64, WorkerSpec),
    /// Gives a worker back; `on_worker_released`.
    ReleaseWorker(ResourceId),
    /// Asks it which workers there are; `on_workers_listed`.
    ListWorkers(u64),
}

/// What comes back after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A job for which a slot was given back has rested.
    Rested(JobId),
    /// A job may have been without a master for too long.
    Idle(JobId),
    /// Something may be due of the workers that a provider gives.
    Workers,
}

/// What becomes of a master that introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// It is connected back to.
    Connects,
    /// It waits until it is known who leads its job.
    Waits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Executor {
    info: TaskExecutorInfo,
    attempt: u64,
    instance: InstanceId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Master {
    session: LeaderSessionId,
    attempt: u64,
    heartbeat: HeartbeatSession,
}

/// A job that has, had or may have a master.
#[derive(Clone, Debug)]
struct Job {
    leader: Option<LeaderInformation>,
    /// Whether it was known once who leads it.
    was_led: bool,
    master: Option<Master>,
    /// Since when it has no master.
    idle: Instant,
}

/// The state of one term.
pub struct ResourceManagerCore {
    config: Arc<JobManagerConfig>,
    switches: Switches,
    executors: BTreeMap<ResourceId, Executor>,
    /// The newest try of each task executor that is being connected.
    connecting: BTreeMap<ResourceId, (TaskExecutorInfo, u64)>,
    jobs: BTreeMap<JobId, Job>,
    slots: SlotManager,
    /// Until when nothing is asked for a job for which a slot was given back: whoever refused it may
    /// do so again.
    resting: BTreeMap<JobId, Instant>,
    /// Jobs of which a `Timer::Rested` is on its way.
    rest_timers: BTreeSet<JobId>,
    allocations: AllocationIds,
    /// Where somebody gives machines.
    workers: Option<Workers>,
    effects: Vec<Effect>,
}

/// Names of allocations: those of two terms differ by their base, those of one by their number.
struct AllocationIds {
    base: u128,
    drawn: u64,
}

impl AllocationIds {
    fn next(&mut self) -> AllocationId {
        self.drawn += 1;
        // Odd, so no two are alike; and they differ in the part of a name that people see.
        let step = (1 << 96) | 1;
        AllocationId(self.base.wrapping_add(u128::from(self.drawn).wrapping_mul(step)))
    }
}

fn failure(why: &str) -> RegistrationRefusal {
    RegistrationRefusal::Failure(why.to_string())
}

impl ResourceManagerCore {
    /// A resource manager that knows nobody yet. `base` was drawn for this term.
    pub fn new(config: Arc<JobManagerConfig>, base: u128, switches: Switches) -> Self {
        ResourceManagerCore {
            config,
            switches,
            executors: BTreeMap::new(),
            connecting: BTreeMap::new(),
            jobs: BTreeMap::new(),
            slots: SlotManager::default(),
            resting: BTreeMap::new(),
            rest_timers: BTreeSet::new(),
            allocations: AllocationIds { base, drawn: 0 },
            workers: None,
            effects: Vec::new(),
        }
    }

    /// The same, with machines that somebody gives; `prefix` was drawn for this term.
    #[must_use]
    pub fn with_workers(self, settings: WorkerSettings, prefix: String) -> Self {
        let workers = Workers::new(settings, prefix, self.switches.clone());
        ResourceManagerCore { workers: Some(workers), ..self }
    }

    /// What is to be done since the last call. Whatever it was that made slots free or needed, those that are both are
    /// asked for now.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.match_slots();
        std::mem::take(&mut self.effects)
    }

    fn does(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn announce(&mut self, event: JobEvent) {
        self.does(Effect::Announce(event));
    }

    /// A task executor introduces itself, and is to be connected back to.
    ///
    /// # Errors
    /// Why it is not.
    pub fn on_executor_connecting(
        &mut self,
        info: &TaskExecutorInfo,
        attempt: u64,
    ) -> Result<(), RegistrationRefusal> {
        if let Some(why) =
            self.workers.as_ref().and_then(|w| w.rejects(&info.resource, info.session))
        {
            return Err(RegistrationRefusal::Rejected(why.to_string()));
        }
        let outdated = |known: &TaskExecutorInfo, newest: u64| {
            known.session == info.session && newest >= attempt
        };
        let registered = self.executors.get(&info.resource);
        let connecting = self.connecting.get(&info.resource);
        if registered.is_some_and(|known| outdated(&known.info, known.attempt))
            || connecting.is_some_and(|(known, newest)| outdated(known, *newest))
        {
            return Err(failure("a newer try is known"));
        }
        let is_known = registered.is_some() || connecting.is_some();
        if !is_known && self.executors.len() + self.connecting.len() >= PEERS_MAX {
            return Err(failure("too many task executors"));
        }
        self.connecting.insert(info.resource.clone(), (info.clone(), attempt));
        Ok(())
    }

    /// A task executor was connected back to, or could not be; only its newest try may finish. `instance` names
    /// the registration if it comes to one.
    ///
    /// # Errors
    /// Why it does not.
    pub fn on_executor_connected(
        &mut self,
        info: TaskExecutorInfo,
        attempt: u64,
        instance: Result<InstanceId, String>,
    ) -> Result<InstanceId, RegistrationRefusal> {
        let newest = self.connecting.get(&info.resource);
        if newest.is_none_or(|(known, n)| known.session != info.session || *n != attempt) {
            return Err(failure("outdated"));
        }
        let resource = info.resource.clone();
        self.connecting.remove(&resource);
        let instance = instance.map_err(|why| failure(&why))?;
        let session = info.session;
        if let Some(why) = self.workers.as_ref().and_then(|w| w.rejects(&resource, session)) {
            return Err(RegistrationRefusal::Rejected(why.to_string()));
        }
        if let Some(earlier) = self.executors.get(&resource) {
            let instance = earlier.instance;
            self.drop_executor(&resource, instance, "it registers anew");
        }
        if let Some(workers) = &mut self.workers {
            workers.on_registered(&resource, session);
        }
        self.announce(JobEvent::ExecutorRegistered {
            resource: resource.clone(),
            session,
            instance,
        });
        self.slots.register(&resource, instance);
        self.does(Effect::MonitorExecutor(resource.clone(), instance));
        self.executors.insert(resource, Executor { info, attempt, instance });
        Ok(instance)
    }

    /// A registration ends: the task executor says so, or is silent.
    pub fn on_executor_gone(
        &mut self,
        now: Instant,
        resource: &ResourceId,
        instance: InstanceId,
        cause: &str,
    ) {
        if self.executors.get(resource).is_some_and(|known| known.instance == instance) {
            self.drop_executor(resource, instance, cause);
            self.on_worker_gone(now, resource);
        }
    }

    fn drop_executor(&mut self, resource: &ResourceId, instance: InstanceId, cause: &str) {
        self.executors.remove(resource);
        if !self.switches.on(sabotage::LOST_SLOTS_STILL_COUNTED) {
            self.slots.unregister(resource, instance);
        }
        self.announce(JobEvent::ExecutorDropped { resource: resource.clone(), instance });
        let cause = shortened(cause).to_string();
        self.does(Effect::DropExecutor(resource.clone(), instance, cause));
    }

    /// The task executor of a registration.
    pub fn resource_of(&self, instance: InstanceId) -> Option<ResourceId> {
        let known = self.executors.iter().find(|(_, executor)| executor.instance == instance);
        known.map(|(resource, _)| resource.clone())
    }

    /// The registered task executors, with how many slots they have and how many of them are free.
    pub fn executors(&self) -> impl Iterator<Item = (&TaskExecutorInfo, usize, usize)> {
        self.executors.values().map(|known| {
            let (slots, free) = self.slots.count(&known.info.resource);
            (&known.info, slots, free)
        })
    }

    /// Where a registered task executor listens for streams.
    pub fn data_port(&self, resource: &ResourceId) -> Option<NodeAddress> {
        self.executors.get(resource).map(|known| known.info.data.clone())
    }

    /// A task executor says who holds its slots; false when it is not registered so.
    pub fn on_report(&mut self, now: Instant, instance: InstanceId, report: &SlotReport) -> bool {
        let Some(resource) = self.resource_of(instance) else { return false };
        let (mut report, news) = (Cow::Borrowed(report), self.slots.news(&resource, report));
        if !news.is_empty() && self.switches.on(sabotage::REPORTED_HOLD_STAYS_FREE) {
            news.iter().for_each(|index| report.to_mut().slots[*index].allocation = None);
        }
        for job in self.slots.report(&resource, instance, &report) {
            self.rest(now, job);
        }
        self.balance(now);
        true
    }

    /// Asks for nothing for a job for a while.
    fn rest(&mut self, now: Instant, job: JobId) {
        let delay = self.config.registration.refused_delay;
        self.resting.insert(job, now + delay);
        if self.rest_timers.insert(job) {
            self.does(Effect::Schedule(delay, Timer::Rested(job)));
        }
    }

    /// Asks for slots that are needed and free.
    fn match_slots(&mut self) {
        let resting = |job: JobId| self.resting.contains_key(&job);
        let requests = self.slots.match_slots(resting, || self.allocations.next());
        for (request, allocation) in requests {
            let SlotRequest { resource, index, job, .. } = request.clone();
            self.announce(JobEvent::SlotRequested { job, resource, index, allocation });
            self.does(Effect::RequestSlot(request, allocation));
        }
    }

    /// What a request for a slot came to. Who was refused may be so again at once, so its job rests.
    pub fn on_slot_answered(
        &mut self,
        now: Instant,
        request: &SlotRequest,
        allocation: AllocationId,
        answer: SlotAnswer,
    ) {
        // Else it stays promised, whatever reports say.
        if answer == SlotAnswer::Unknown && self.switches.on(sabotage::PENDING_REQUESTS_KEPT) {
            return;
        }
        let given_back = self.slots.answer(request, allocation, answer);
        if given_back || answer == SlotAnswer::Refused {
            self.rest(now, request.job);
        }
    }

    /// A job is led by another master, or by none that is known.
    pub fn on_job_leader(&mut self, job: JobId, leader: Option<LeaderInformation>) {
        if let Some(known) = self.jobs.get_mut(&job) {
            let becomes_known = known.leader.is_none() && leader.is_some();
            known.leader = leader;
            known.was_led |= becomes_known;
            if becomes_known {
                self.does(Effect::HearMaster(job));
            }
        }
    }

    /// A job's master introduces itself. It is to be connected back to, or heard again by `HearMaster` once it is
    /// known who leads the job: it may know so before this resource manager does.
    ///
    /// # Errors
    /// Why it is not.
    pub fn on_master_connecting(
        &mut self,
        now: Instant,
        job: JobId,
        session: LeaderSessionId,
        attempt: u64,
    ) -> Result<Introduction, RegistrationRefusal> {
        if !self.jobs.contains_key(&job) {
            if self.jobs.len() >= PEERS_MAX {
                return Err(failure("too many jobs"));
            }
            self.jobs.insert(job, Job { leader: None, was_led: false, master: None, idle: now });
            self.does(Effect::Follow(job));
            self.does(Effect::Schedule(self.config.job_timeout, Timer::Idle(job)));
        }
        if self.jobs[&job].leader.is_none() {
            if self.jobs[&job].was_led && self.switches.on(sabotage::UNKNOWN_LEADER_REJECTED) {
                return Err(RegistrationRefusal::Rejected("nobody leads the job".to_string()));
            }
            return Ok(Introduction::Waits);
        }
        self.may_register(job, session, attempt).map(|()| Introduction::Connects)
    }

    /// A master must lead its job as far as can be seen from here, and this be its newest try.
    fn may_register(
        &self,
        job: JobId,
        session: LeaderSessionId,
        attempt: u64,
    ) -> Result<(), RegistrationRefusal> {
        let Some(known) = self.jobs.get(&job) else { return Err(failure("the job was forgotten")) };
        match &known.leader {
            Some(leader) if leader.session == session => {}
            Some(_) => return Err(failure("another master leads the job")),
            None => return Err(failure("no master is known to lead the job")),
        }
        match &known.master {
            Some(master) if master.session == session && master.attempt >= attempt => {
                Err(failure("a newer try is known"))
            }
            _ => Ok(()),
        }
    }

    /// A master was connected back to.
    ///
    /// # Errors
    /// When much has changed meanwhile.
    pub fn on_master_connected(
        &mut self,
        now: Instant,
        job: JobId,
        session: LeaderSessionId,
        attempt: u64,
        heartbeat: HeartbeatSession,
    ) -> Result<HeartbeatSession, RegistrationRefusal> {
        self.may_register(job, session, attempt)?;
        self.drop_master(now, job, None);
        let known = self.jobs.get_mut(&job).expect("it may register");
        known.master = Some(Master { session, attempt, heartbeat });
        self.slots.connect_master(job);
        self.does(Effect::MonitorMaster(job, heartbeat));
        self.announce(JobEvent::MasterRegistered { job, session });
        Ok(heartbeat)
    }

    /// A job's master is gone; what the job needs is kept for the next one.
    fn drop_master(&mut self, now: Instant, job: JobId, told: Option<LeaderSessionId>) {
        let Some(known) = self.jobs.get_mut(&job) else { return };
        let Some(Master { session, heartbeat, .. }) = known.master.take() else { return };
        known.idle = now;
        self.slots.disconnect_master(job);
        self.does(Effect::UnmonitorMaster(job, heartbeat));
        self.announce(JobEvent::MasterDropped { job, session, told });
    }

    fn is_master(&self, job: JobId, session: LeaderSessionId) -> bool {
        let master = self.jobs.get(&job).and_then(|known| known.master.as_ref());
        master.is_some_and(|master| master.session == session)
    }

    /// How many slots a job needs; false when that master is not registered. One that declares anew takes again what
    /// it refused before, so its job rests no longer.
    pub fn on_requirements(
        &mut self,
        now: Instant,
        job: JobId,
        session: LeaderSessionId,
        version: u64,
        slots: u32,
    ) -> bool {
        let known = self.is_master(job, session);
        if known {
            if self.slots.require(job, version, slots) {
                self.resting.remove(&job);
            }
            self.balance(now);
        }
        known
    }

    /// A master takes leave; a job that has ended is forgotten, also by the word of one that was taken for lost.
    pub fn on_master_left(
        &mut self,
        now: Instant,
        job: JobId,
        session: LeaderSessionId,
        status: JobStatus,
    ) {
        let leads = |known: &Job| known.leader.as_ref().is_some_and(|of| of.session == session);
        let has_another = !self.is_master(job, session)
            && self.jobs.get(&job).is_some_and(|known| known.master.is_some());
        if self.is_master(job, session)
            || has_another && self.switches.on(sabotage::FORMER_MASTER_OBEYED)
        {
            self.drop_master(now, job, Some(session));
        } else if !self.jobs.get(&job).is_some_and(|known| known.master.is_none() && leads(known)) {
            return;
        }
        if status.is_globally_terminal() && !self.switches.on(sabotage::ENDED_JOB_REMEMBERED) {
            self.forget_job(job);
        }
    }

    /// No beat comes any more from a master.
    pub fn on_master_silence(&mut self, now: Instant, heartbeat: HeartbeatSession) {
        let lost = |known: &Job| known.master.as_ref().is_some_and(|m| m.heartbeat == heartbeat);
        let job = self.jobs.iter().find(|(_, known)| lost(known)).map(|(job, _)| *job);
        if let Some(job) = job {
            self.drop_master(now, job, None);
        }
    }

    fn forget_job(&mut self, job: JobId) {
        if !self.switches.on(sabotage::FORGOTTEN_JOBS_KEPT) {
            self.jobs.remove(&job);
        }
        self.slots.forget_job(job);
        self.does(Effect::Unfollow(job));
    }

    /// A timer has come.
    pub fn on_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Rested(job) => {
                self.rest_timers.remove(&job);
                let Some(until) = self.resting.get(&job).copied() else { return };
                let left = until.saturating_since(now);
                if left.is_zero() {
                    self.resting.remove(&job);
                } else if self.rest_timers.insert(job) {
                    self.does(Effect::Schedule(left, timer));
                }
            }
            Timer::Idle(job) => {
                let timeout = self.config.job_timeout;
                let Some(known) = self.jobs.get(&job) else { return };
                if known.master.is_none() && now >= known.idle + timeout {
                    return self.forget_job(job);
                }
                self.does(Effect::Schedule(timeout, timer));
            }
            Timer::Workers => self.on_workers_due(now),
        }
    }

    /// The jobs that are known, by their ids.
    pub fn jobs(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    /// What holds after every call, once its effects are taken.
    pub fn check_invariants(&self) {
        let registered = self.executors.iter().map(|(resource, known)| (resource, known.instance));
        let resting = |job: JobId| self.resting.contains_key(&job);
        self.slots.check_invariants(registered.collect(), resting);
        if let Some(workers) = &self.workers {
            workers.check_invariants(&self.executors.keys().collect());
        }
        let masters = self.jobs.iter().filter(|(_, known)| known.master.is_some());
        let masters: Vec<JobId> = masters.map(|(job, _)| *job).collect();
        assert_eq!(
            masters,
            self.slots.connected_jobs(),
            "slots are asked for just for who is there"
        );
    }
}
