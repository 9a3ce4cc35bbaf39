//! Slots that are of no use to a job, since it lacks others: they are all given back after a while, so that jobs which
//! share too few slots run one after the other instead of waiting for each other for ever. That holds also for
//! slots in which a part of the job runs: a checkpoint needs all its tasks, so that nothing of what they do lasts.

use super::{Effect, JobMasterCore, Timer, region::Stage};
use crate::{
    host::{Instant, millis, mix},
    system::{job_manager::event::JobEvent, protocol::JobStatus, sabotage},
};
use std::time::Duration;

/// How many times as long a job keeps its slots of which a part runs: what it lacks may come back, and then the rest
/// need not begin anew.
const RUNS_IN_PART: u32 = 2;
/// How often that time is doubled at most, each time the job has ended what ran of it.
const DOUBLINGS_MAX: u32 = 3;

/// A time during which slots are idle and none comes.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Grows with each of them, so that the timer of a former one means nothing.
    episode: u64,
    lasts: bool,
    /// How often tasks were ended to give their slots back, in this term.
    withdrawals: u32,
    /// All slots go back as soon as the last task has ended.
    pub(super) gives_back: bool,
}

impl JobMasterCore {
    pub(super) fn may_deploy(&self) -> bool {
        matches!(self.status, JobStatus::Created | JobStatus::Restarting)
    }

    /// Whether some of the slots that the job needs are held, and some are not.
    fn lacks_slots(&self) -> bool {
        let (held, needed) = self.slots.fill();
        self.may_deploy() && held > 0 && held < needed
    }

    /// Whether a region runs, or could.
    fn runs_in_part(&self) -> bool {
        let mut regions = self.regions.iter();
        regions.any(|region| region.stage != Stage::Waiting || self.slots.has_all(&region.places))
    }

    /// Begins to count when slots are idle, and anew when another one has come.
    pub(super) fn watch_idle_slots(&mut self, has_come: bool) {
        let idle = self.lacks_slots() && !self.idle.gives_back;
        if !idle || has_come {
            self.idle.lasts = false;
        }
        if idle && !self.idle.lasts {
            self.idle.lasts = true;
            self.idle.episode += 1;
            let episode = self.idle.episode;
            let least = match self.runs_in_part() {
                true => self.slot_idle_timeout * RUNS_IN_PART * (1 << self.idle.withdrawals),
                false => self.slot_idle_timeout,
            };
            // Of two jobs that wait for each other one must give way first.
            let spread = millis(self.slot_idle_timeout);
            let spread = mix(self.session.0 as u64, episode) % spread.max(1);
            let wait = least + Duration::from_millis(spread);
            self.does(Effect::Schedule(wait, Timer::SlotsIdle(episode)));
        }
    }

    /// Slots have been idle for long: somebody else may use them, once nothing runs in them any more.
    pub(super) fn slots_idle(&mut self, now: Instant, episode: u64) {
        // A master that stops is told what was due all the same.
        if !self.idle.lasts || self.idle.episode != episode || !self.may_deploy() {
            return;
        }
        if self.switches.on(sabotage::IDLE_SLOTS_KEPT) {
            return;
        }
        assert!(self.lacks_slots(), "a time ends when all slots are there");
        let deployed = self.regions.iter().filter(|region| region.stage == Stage::Deployed);
        let vertices: Vec<_> = deployed.flat_map(|region| &region.vertices).collect();
        if !vertices.is_empty() {
            if self.switches.on(sabotage::RUNNING_PART_KEEPS_ITS_SLOTS) {
                return;
            }
            let attempts = vertices.iter().map(|vertex| self.executions[vertex].attempt).collect();
            let (job, session) = (self.id(), self.session);
            self.idle.withdrawals = (self.idle.withdrawals + 1).min(DOUBLINGS_MAX);
            self.announce(JobEvent::TasksWithdrawn { job, session, attempts });
        }
        (self.idle.lasts, self.idle.gives_back) = (false, true);
        for index in 0..self.regions.len() {
            self.end_region(now, index);
        }
        self.maybe_finish(now);
    }

    /// Gives all slots back when that was decided and nothing runs in them any more. The next reports to their
    /// task executors do not list them.
    pub(super) fn give_slots_back(&mut self) {
        if !self.idle.gives_back || !self.executions.is_empty() {
            return;
        }
        self.idle.gives_back = false;
        if !self.may_deploy() {
            return;
        }
        let held = self.slots.all().map(|(_, held)| (held.slot.resource.clone(), held.allocation));
        for (resource, allocation) in held.collect::<Vec<_>>() {
            self.slots.release(allocation);
            let job = self.id();
            self.announce(JobEvent::SlotGivenBack { job, resource, allocation });
        }
    }
}
