//! When machines are asked for, awaited, replaced and given back.

#[cfg(test)]
mod tests;

use super::{
    Effect, ResourceManagerCore, Timer,
    workers::{Asked, Awaited, Workers},
};
use crate::{
    host::Instant,
    system::{
        ids::ResourceId,
        job_manager::event::JobEvent,
        sabotage,
        service::resource_provider::{ProviderError, ProviderRefusal, WorkerSpec},
    },
};
use std::{collections::BTreeSet, time::Duration};

/// From look to look at what is due.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// Looks between two lists of the workers, while some have not registered.
const LOOKS_PER_LIST: u64 = 5;

impl ResourceManagerCore {
    /// The term begins.
    pub fn on_start(&mut self) {
        if self.workers.is_some() {
            self.attach_provider();
            self.does(Effect::Schedule(TICK, Timer::Workers));
        }
    }

    fn attach_provider(&mut self) {
        let Some(workers) = &mut self.workers else { return };
        if !std::mem::replace(&mut workers.attaching, true) {
            self.does(Effect::AttachProvider);
        }
    }

    /// The provider has answered who there is, or has not.
    pub fn on_attached(&mut self, now: Instant, found: Result<Vec<ResourceId>, ProviderError>) {
        let Some(workers) = &mut self.workers else { return };
        workers.attaching = false;
        match found {
            Ok(found) => {
                workers.attached = true;
                for worker in found {
                    if workers.knows(&worker) {
                        continue;
                    }
                    if self.executors.contains_key(&worker) {
                        workers.registered.insert(worker);
                    } else {
                        let asked = Asked::Known(workers.lists);
                        workers.awaited.insert(worker, Awaited { since: now, asked });
                    }
                }
                self.balance(now);
            }
            Err(ProviderError::Refused(ProviderRefusal::Ended)) => {}
            // The next look tries again.
            Err(error) => tracing::debug!(%error, "the resource provider gave no answer"),
        }
    }

    /// How many slots jobs need beyond those that there are.
    fn missing_slots(&self, workers: &Workers) -> u32 {
        let missing = self.slots.missing();
        let unreported = workers.registered.iter().filter(|worker| self.slots.count(worker).0 == 0);
        let coming = match workers.switches.on(sabotage::COMING_WORKERS_FORGOTTEN) {
            true => 0,
            // One that is being given back is there until the provider has answered.
            false => workers.awaited.len() + workers.releasing.len() + unreported.count(),
        };
        let coming = u32::try_from(coming).unwrap_or(u32::MAX);
        let mut there = self.slots.surplus();
        if there > 0 && workers.switches.on(sabotage::SURPLUS_SLOTS_FORGOTTEN) {
            there = 0;
        }
        let free = u32::try_from(self.slots.free()).unwrap_or(u32::MAX);
        let there = there.saturating_add(free);
        missing.saturating_sub(there.saturating_add(coming.saturating_mul(workers.settings.slots)))
    }

    /// Asks for as many workers as slots are missing.
    pub(super) fn balance(&mut self, now: Instant) {
        let Some(workers) = &self.workers else { return };
        if !workers.attached || workers.not_before.is_some_and(|until| now < until) {
            return;
        }
        let wanted = self.missing_slots(workers).div_ceil(workers.settings.slots.max(1)) as usize;
        let room = workers.settings.workers_max.saturating_sub(workers.count());
        for _ in 0..wanted.min(room) {
            self.request_worker(now);
        }
    }

    fn request_worker(&mut self, now: Instant) {
        let workers = self.workers.as_mut().expect("workers can be had");
        workers.drawn += 1;
        let number = workers.drawn;
        let resource = ResourceId(format!("worker-{}-{number}", workers.prefix));
        workers
            .awaited
            .insert(resource.clone(), Awaited { since: now, asked: Asked::Asking(number) });
        let spec = workers.spec(resource.clone());
        self.announce(JobEvent::WorkerRequested { resource });
        self.does(Effect::RequestWorker(number, spec));
    }

    /// The provider has answered to a request.
    pub fn on_worker_requested(
        &mut self,
        now: Instant,
        resource: &ResourceId,
        answer: Result<(), ProviderError>,
    ) {
        let Some(workers) = &mut self.workers else { return };
        match answer {
            Ok(()) => {
                if let Some(awaited) = workers.awaited.get_mut(resource) {
                    awaited.asked = Asked::Known(workers.lists);
                }
            }
            // It was overtaken by a later request, or given back: another one may be had at once.
            Err(ProviderError::Refused(ProviderRefusal::Outdated)) => {
                workers.forget(resource);
                self.balance(now);
            }
            Err(ProviderError::Refused(refusal)) => {
                workers.give_up(now, resource);
                self.on_refused(refusal);
            }
            Err(ProviderError::NotDone(_)) if !workers.may_be_known(resource) => {
                workers.give_up(now, resource);
            }
            // It may come; asked for again under the same number it comes once.
            Err(ProviderError::NotDone(_) | ProviderError::Indeterminate(_)) => {
                if let Some(awaited) = workers.awaited.get_mut(resource)
                    && let Asked::Asking(number) | Asked::AskingAgain(number) = awaited.asked
                {
                    awaited.asked = Asked::Unanswered(number);
                }
            }
        }
    }

    /// Another one that leads, or did, has attached: who leads attaches again.
    fn on_refused(&mut self, refusal: ProviderRefusal) {
        let Some(workers) = &mut self.workers else { return };
        if refusal == ProviderRefusal::Superseded {
            workers.attached = false;
        }
    }

    /// Gives a worker back that is not registered any more, or never was.
    fn release_worker(&mut self, resource: ResourceId, why: &str) {
        let Some(workers) = &mut self.workers else { return };
        workers.forget(&resource);
        workers.releasing.insert(resource.clone(), true);
        let why = why.to_string();
        self.announce(JobEvent::WorkerReleased { resource: resource.clone(), why });
        self.does(Effect::ReleaseWorker(resource));
    }

    /// The provider has answered that a worker is given back, or has not.
    pub fn on_worker_released(
        &mut self,
        now: Instant,
        resource: &ResourceId,
        answer: Result<(), ProviderError>,
    ) {
        let Some(workers) = &mut self.workers else { return };
        match answer {
            Ok(()) | Err(ProviderError::Refused(ProviderRefusal::Ended)) => {
                workers.releasing.remove(resource);
                self.balance(now);
            }
            // The next look asks again.
            Err(error) => {
                if let Some(asking) = workers.releasing.get_mut(resource) {
                    *asking = workers.switches.on(sabotage::MACHINES_RELEASED_ONCE);
                }
                if let ProviderError::Refused(refusal) = error {
                    self.on_refused(refusal);
                }
            }
        }
    }

    /// The list of a number has come, or has not: who was known before it was asked for and is not in it is gone.
    pub fn on_workers_listed(
        &mut self,
        now: Instant,
        list: u64,
        found: Result<Vec<ResourceId>, ProviderError>,
    ) {
        let Some(workers) = &mut self.workers else { return };
        let found: BTreeSet<ResourceId> = match found {
            Ok(found) => found.into_iter().collect(),
            Err(ProviderError::Refused(refusal)) => return self.on_refused(refusal),
            Err(_) => return,
        };
        let gone = |resource: &ResourceId, awaited: &Awaited| {
            !found.contains(resource)
                && matches!(awaited.asked, Asked::Known(known) if known < list)
        };
        let gone = workers.awaited.iter().filter(|(resource, awaited)| gone(resource, awaited));
        for resource in gone.map(|(resource, _)| resource.clone()).collect::<Vec<_>>() {
            workers.forget(&resource);
        }
        self.balance(now);
    }

    /// A registration is over.
    pub(super) fn on_worker_gone(&mut self, now: Instant, resource: &ResourceId) {
        let Some(workers) = &mut self.workers else { return };
        if workers.on_gone(now, resource) {
            self.list_workers();
        }
    }

    fn list_workers(&mut self) {
        let Some(workers) = self.workers.as_mut().filter(|workers| workers.attached) else {
            return;
        };
        workers.lists += 1;
        let list = workers.lists;
        self.does(Effect::ListWorkers(list));
    }

    /// Looks at what is due: who has not come, who is idle, what has not been answered.
    pub(super) fn on_workers_due(&mut self, now: Instant) {
        let Some(workers) = &mut self.workers else { return };
        self.effects.push(Effect::Schedule(TICK, Timer::Workers));
        if !workers.attached {
            return self.attach_provider();
        }
        workers.looks += 1;
        let due = |awaited: &Awaited| now >= awaited.since + workers.settings.registration_timeout;
        let mut late: Vec<ResourceId> = workers
            .awaited
            .iter()
            .filter(|(_, awaited)| due(awaited))
            .map(|(of, _)| of.clone())
            .collect();
        if !late.is_empty() && workers.switches.on(sabotage::LATE_MACHINES_AWAITED) {
            late.clear();
        }
        let listed = workers.looks.is_multiple_of(LOOKS_PER_LIST) && !workers.awaited.is_empty();
        for (resource, asking) in &mut workers.releasing {
            if !std::mem::replace(asking, true) {
                self.effects.push(Effect::ReleaseWorker(resource.clone()));
            }
        }
        self.ask_again();
        for resource in late {
            self.release_worker(resource, "it has not come");
        }
        self.release_idle(now);
        if listed {
            self.list_workers();
        }
        self.balance(now);
    }

    fn ask_again(&mut self) {
        let Some(workers) = &mut self.workers else { return };
        let waits = |awaited: &Awaited| matches!(awaited.asked, Asked::Unanswered(_));
        if !workers.awaited.values().any(waits)
            || workers.switches.on(sabotage::MACHINES_ASKED_FOR_ONCE)
        {
            return;
        }
        for (resource, awaited) in &mut workers.awaited {
            let Asked::Unanswered(number) = awaited.asked else { continue };
            awaited.asked = Asked::AskingAgain(number);
            let spec = WorkerSpec { resource: resource.clone(), slots: workers.settings.slots };
            self.effects.push(Effect::RequestWorker(number, spec));
        }
    }

    /// Gives back who has held no slot for long, as long as nothing is missing then.
    fn release_idle(&mut self, now: Instant) {
        let Some(workers) = &mut self.workers else { return };
        let slots = &self.slots;
        let holds_none = |worker: &ResourceId| {
            let (all, free) = slots.count(worker);
            all == free
        };
        workers.idle.retain(|worker, _| holds_none(worker));
        for worker in workers.registered.iter().filter(|worker| holds_none(worker)) {
            workers.idle.entry(worker.clone()).or_insert(now);
        }
        if workers.switches.on(sabotage::IDLE_WORKERS_KEPT) {
            return;
        }
        let timeout = workers.settings.idle_timeout;
        let due: Vec<ResourceId> = workers
            .idle
            .iter()
            .filter(|(_, since)| now >= **since + timeout)
            .map(|(worker, _)| worker.clone())
            .collect();
        for worker in due {
            let (_, own) = self.slots.count(&worker);
            if (self.slots.missing() as usize) > self.slots.free().saturating_sub(own) {
                continue;
            }
            let Some(instance) = self.executors.get(&worker).map(|known| known.instance) else {
                continue;
            };
            self.drop_executor(&worker, instance, "it is idle and given back");
            if let Some(workers) = &mut self.workers {
                workers.leave(&worker);
            }
            self.release_worker(worker, "it is idle");
        }
    }
}
