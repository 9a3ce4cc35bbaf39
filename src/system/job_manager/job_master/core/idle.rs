//! Slots that a job holds and can't use: they are given back after a while, so that jobs which share too few slots
//! run one after the other instead of waiting for each other for ever.

use super::{Effect, JobMasterCore, Timer, region::Stage};
use crate::{
    host::{Instant, millis, mix},
    system::{ids::AllocationId, job_manager::event::JobEvent, protocol::JobStatus, sabotage},
};
use std::time::Duration;

/// A time during which slots are idle and none comes.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Grows with each of them, so that the timer of a former one means nothing.
    episode: u64,
    lasts: bool,
}

impl JobMasterCore {
    /// The slots of which no region has all that it needs beside them.
    fn idle_slots(&self) -> Vec<(usize, AllocationId)> {
        let may_deploy = matches!(self.status, JobStatus::Created | JobStatus::Restarting);
        let used = |place: usize| {
            let mut of = self.regions.iter().filter(|region| region.places.contains(&place));
            of.any(|region| region.stage != Stage::Waiting || self.slots.has_all(&region.places))
        };
        let held = self.slots.all().filter(|(place, _)| may_deploy && !used(*place));
        held.map(|(place, slot)| (place, slot.allocation)).collect()
    }

    /// Begins to count when slots are idle, and anew when another one has come.
    pub(super) fn watch_idle_slots(&mut self, has_come: bool) {
        let idle = !self.idle_slots().is_empty();
        if !idle || has_come {
            self.idle.lasts = false;
        }
        if idle && !self.idle.lasts {
            self.idle.lasts = true;
            self.idle.episode += 1;
            let episode = self.idle.episode;
            // Of two jobs that wait for each other one must give way first.
            let spread = millis(self.slot_idle_timeout);
            let spread = mix(self.session.0 as u64, episode) % spread.max(1);
            let wait = self.slot_idle_timeout + Duration::from_millis(spread);
            self.does(Effect::Schedule(wait, Timer::SlotsIdle(episode)));
        }
    }

    /// Slots have been idle for long: somebody else may use them. The next report to their task executors does not
    /// list them.
    pub(super) fn slots_idle(&mut self, now: Instant, episode: u64) {
        if !self.idle.lasts || self.idle.episode != episode {
            return;
        }
        if self.switches.on(sabotage::IDLE_SLOTS_KEPT) {
            return;
        }
        self.idle.lasts = false;
        for (place, allocation) in self.idle_slots() {
            let slot = self.slots.at(place).expect("it is held").slot.clone();
            self.slots.release(allocation);
            for region in self.regions.iter_mut().filter(|region| region.places.contains(&place)) {
                region.version += 1;
            }
            let (job, resource) = (self.id(), slot.resource);
            self.announce(JobEvent::SlotGivenBack { job, resource, allocation });
        }
        self.schedule(now);
    }
}
