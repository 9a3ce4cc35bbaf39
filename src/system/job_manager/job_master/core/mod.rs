//! What the master of a job decides: values in, effects out. No I/O, no clock and no randomness; times are
//! those of its node's clock, as it is told them.
//!
//! [`scheduling`] deploys regions, ends them and starts them again, [`checkpointing`] takes checkpoints and
//! [`storing`] sees them stored, [`savepoints`] makes copies of them for users, [`executors`] knows who holds slots for the job,
//! [`recovered`] judges what a term finds of those before it.

mod checkpointing;
mod details;
mod effect;
mod execution;
mod executors;
mod failures;
mod idle;
mod pending;
mod recovered;
mod region;
mod restarts;
mod savepoints;
mod scheduling;
mod shared;
mod slot_pool;
mod storing;
mod sweep;
#[cfg(test)]
mod tests;
mod waits;

pub use checkpointing::Checkpoints;
pub use effect::{Draw, Effect, Notice, Timer};
pub use execution::Execution;
pub use executors::ExecutorLink;
pub use recovered::{Found, ReadCheckpoint, RecoveryRefusal, checkpoint_of, missing_part, remedy};
pub use storing::metadata_object;

use crate::{
    host::{Instant, Switches},
    system::{
        graph::{ExecutionGraph, JobGraph},
        ids::{ExecutionVertexId, JobId, ResourceId},
        job_manager::{AbortCause, JobEvent, JobManagerConfig},
        leadership::LeaderSessionId,
        protocol::{JobResult, JobStatus},
        sabotage,
        store::StoreError,
    },
};
use failures::Failures;
use idle::Idle;
use region::Region;
use restarts::Restarts;
use savepoints::Savepoints;
use slot_pool::SlotPool;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The state of one job's master during one term.
pub struct JobMasterCore {
    job: Arc<JobGraph>,
    session: LeaderSessionId,
    /// The pause before something is tried again.
    retry_delay: Duration,
    /// How long slots may be idle.
    slot_idle_timeout: Duration,
    switches: Switches,
    graph: ExecutionGraph,
    status: JobStatus,
    /// Each status that it had in this term, and when it had it last; oldest first.
    statuses: Vec<(JobStatus, Instant)>,
    cause: Option<String>,
    failures: Failures,
    restarts: Restarts,
    /// After the last failure there is no restart, unless the final checkpoint is complete.
    exhausted: bool,
    regions: Vec<Region>,
    region_of: BTreeMap<ExecutionVertexId, usize>,
    /// The attempts of the deployed regions, and of those that are being ended.
    executions: BTreeMap<ExecutionVertexId, Execution>,
    slots: SlotPool,
    idle: Idle,
    executors: BTreeMap<ResourceId, ExecutorLink>,
    checkpoints: Checkpoints,
    savepoints: Savepoints,
    /// Why this process can't make its tasks: the job waits for a master that can.
    unbuildable: Option<String>,
    effects: Vec<Effect>,
}

impl JobMasterCore {
    /// A master that has decided nothing yet, and goes on from these checkpoints.
    pub fn new(
        now: Instant,
        job: Arc<JobGraph>,
        session: LeaderSessionId,
        checkpoints: Checkpoints,
        config: &JobManagerConfig,
        switches: Switches,
    ) -> Self {
        let JobManagerConfig { retry_delay, slot_idle_timeout, .. } = *config;
        let graph = ExecutionGraph::new(&job);
        let seed = (job.id.0 >> 64) as u64 ^ session.0 as u64;
        let restarts = Restarts::new(job.restarts, retry_delay, seed);
        let regions = Region::all(&job, &graph, now);
        let of_region = |(index, region): (usize, &Region)| {
            region.vertices.iter().map(move |vertex| (*vertex, index)).collect::<Vec<_>>()
        };
        let region_of = regions.iter().enumerate().flat_map(of_region).collect();
        JobMasterCore {
            slots: SlotPool::new(regions.iter().map(|region| &region.places)),
            job,
            session,
            retry_delay,
            slot_idle_timeout,
            switches,
            graph,
            status: JobStatus::Created,
            statuses: vec![(JobStatus::Created, now)],
            cause: None,
            failures: Failures::default(),
            restarts,
            exhausted: false,
            regions,
            region_of,
            idle: Idle::default(),
            executions: BTreeMap::new(),
            executors: BTreeMap::new(),
            checkpoints,
            savepoints: Savepoints::default(),
            unbuildable: None,
            effects: Vec::new(),
        }
    }

    /// Deploys nothing in this term: the job's program is not here, or is another one.
    pub fn wait_for_program(&mut self, why: String) {
        assert!(self.executions.is_empty(), "nothing has been deployed");
        self.unbuildable = Some(why);
    }

    /// Whether it waits for a master that has its program.
    pub fn waits_for_program(&self) -> bool {
        self.unbuildable.is_some()
    }

    /// What is to be done since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The job.
    pub fn id(&self) -> JobId {
        self.job.id
    }

    /// The same, whole.
    pub fn job(&self) -> &JobGraph {
        &self.job
    }

    /// All numbers that it draws are greater than this.
    pub fn least_id(&self) -> u64 {
        self.checkpoints.least_id()
    }

    /// How many slots the job needs.
    pub fn required_slots(&self) -> u32 {
        self.job.required_slots()
    }

    fn does(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn announce(&mut self, event: JobEvent) {
        self.does(Effect::Announce(event));
    }

    /// The term begins.
    pub fn on_start(&mut self, now: Instant) {
        let (job, session, status) = (self.id(), self.session, self.status);
        self.announce(JobEvent::StatusChanged { job, session, status });
        self.publish_again(now);
    }

    /// The term ends, or the process does.
    pub fn on_stop(&mut self, now: Instant) {
        if !self.is_over() {
            self.set_status(now, JobStatus::Suspended);
            self.leave_executors("the job master is stopping");
            self.does(Effect::LeaveResourceManager(JobStatus::Suspended));
        }
        self.checkpoints.storing = None;
        self.does(Effect::Close);
    }

    fn set_status(&mut self, now: Instant, status: JobStatus) {
        assert!(!self.status.is_globally_terminal(), "{:?} has ended", self.job.id);
        if self.status != status {
            self.status = status;
            self.statuses.retain(|(before, _)| *before != status);
            self.statuses.push((status, now));
            let (job, session) = (self.id(), self.session);
            self.announce(JobEvent::StatusChanged { job, session, status });
        }
    }

    /// The job has ended for good: lets go of everything and says so.
    fn end_job(&mut self, now: Instant, status: JobStatus) {
        self.set_status(now, status);
        let why = "the job has ended".to_string();
        self.stop_checkpoints(now, &AbortCause::Ends { status, why });
        self.end_savepoints("the job has ended");
        if !self.switches.on(sabotage::ENDED_JOB_KEEPS_EXECUTORS) {
            self.leave_executors("the job has ended");
        }
        self.does(Effect::LeaveResourceManager(status));
        let result = JobResult { status, cause: self.cause.clone() };
        self.does(Effect::End(result, Box::new(self.details(now))));
    }

    /// Whether the master wants nothing any more.
    pub fn is_over(&self) -> bool {
        self.status.is_globally_terminal() || self.status == JobStatus::Suspended
    }

    /// The store refused: the term is over, or what is kept is damaged.
    fn store_failed(&mut self, error: &StoreError) {
        match error {
            // The revoke is on its way.
            StoreError::NotLeader => self.does(Effect::Close),
            error => self.does(Effect::Exit(format!("{:?}: {error}", self.job.id))),
        }
    }

    /// A timer has come.
    pub fn on_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Restart(failure) => self.restart_due(now, failure),
            Timer::Trigger(period) => self.trigger_due(now, period),
            Timer::CheckpointTimeout(checkpoint) => self.checkpoint_timed_out(now, checkpoint),
            Timer::StoringGrace(checkpoint) => {
                let why = self.cause.clone().unwrap_or_else(|| "the job ends".to_string());
                let cause = match self.status {
                    JobStatus::Created | JobStatus::Running | JobStatus::Restarting => {
                        AbortCause::Failure { failures: self.restarts.failures(), why }
                    }
                    status => AbortCause::Ends { status, why },
                };
                self.give_up_storing(now, checkpoint, cause);
            }
            Timer::CancelAgain(attempt) => self.cancel_attempt(now, attempt),
            Timer::SlotsIdle(episode) => self.slots_idle(now, episode),
            Timer::PublishSavepoint(checkpoint) => self.publish_due(checkpoint),
        }
    }

    /// Numbers were drawn, the first of them this.
    pub fn on_drawn(&mut self, now: Instant, draw: Draw, drawn: Result<u64, StoreError>) {
        match (draw, drawn) {
            (Draw::Epochs(regions), Ok(first)) => self.epochs_drawn(now, &regions, first),
            (Draw::Checkpoint(period), Ok(id)) => self.checkpoint_drawn(now, period, id),
            (_, Err(error)) => self.store_failed(&error),
        }
    }

    /// What holds after every call.
    pub fn check_invariants(&self) {
        self.check_regions();
        self.check_checkpoints();
        self.check_savepoints();
        let (held, needed) = self.slots.fill();
        assert_eq!(needed, self.job.required_slots() as usize, "a place each that the job needs");
        assert!(held <= needed, "{held} slots are held where {needed} are needed");
        for execution in self.executions.values().filter(|e| !e.state.is_terminal()) {
            let holds = self.slots.holds(execution.allocation);
            assert!(holds, "{:?} runs in a slot that the job holds", execution.attempt);
        }
        assert!(!self.is_over() || self.executors.is_empty(), "who is over has left everybody");
    }
}
