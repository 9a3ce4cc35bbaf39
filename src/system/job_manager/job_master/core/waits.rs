//! What a job waits for, as somebody may ask.

use super::{
    Execution, JobMasterCore,
    region::{Region, Stage},
};
use crate::{
    host::{Instant, millis},
    system::{
        ids::ExecutionAttemptId,
        protocol::{JobStatus, TaskExecutionState, Wait, WaitReason, WaitingTask},
    },
};

/// Tasks that are named of those that something waits for.
const TASKS_TOLD: usize = 16;
/// Things that are told which a job waits for.
const WAITS_TOLD: usize = 16;

impl JobMasterCore {
    /// What the job waits for now, what it has waited for longest first.
    pub fn waits(&self, now: Instant) -> Vec<Wait> {
        let mut waits: Vec<(WaitReason, Instant)> = Vec::new();
        let program = self.unbuildable.clone().filter(|_| self.may_deploy());
        if let Some(why) = program {
            // That since it began, and nothing else: no slot is asked for.
            waits.push((WaitReason::Program { why }, self.statuses[0].1));
        } else if !self.is_over() {
            waits.extend(self.regions.iter().filter_map(|region| self.region_waits(region)));
        }
        waits.extend(self.savepoints.waits());
        waits.extend(self.checkpoints.storing.as_ref().map(super::storing::Storing::waits_for));
        for pending in self.checkpoints.pending.values() {
            let (missing, tasks) = (pending.missing().count(), self.told(pending.missing()));
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            let reason = WaitReason::Acknowledgements { checkpoint: pending.id, missing, tasks };
            waits.push((reason, pending.since));
        }
        waits.sort_by_key(|(_, since)| *since);
        waits.truncate(WAITS_TOLD);
        let told = |(reason, since): (WaitReason, Instant)| Wait {
            reason,
            waited_ms: millis(now.saturating_since(since)),
        };
        waits.into_iter().map(told).collect()
    }

    fn region_waits(&self, region: &Region) -> Option<(WaitReason, Instant)> {
        let executions = || region.vertices.iter().filter_map(|vertex| self.executions.get(vertex));
        let may_deploy = matches!(self.status, JobStatus::Created | JobStatus::Restarting);
        let reason = match region.stage {
            Stage::Waiting if !may_deploy => return None,
            Stage::Waiting if region.delay.is_some() => WaitReason::RestartDelay,
            Stage::Waiting if !self.slots.has_all(&region.places) => {
                let places = region.places.iter();
                let missing = places.filter(|place| self.slots.at(**place).is_none()).count();
                WaitReason::Slots { missing: u32::try_from(missing).unwrap_or(u32::MAX) }
            }
            // That of the checkpoint is told beside it.
            Stage::Waiting if self.checkpoints.is_storing() => return None,
            Stage::Waiting if region.drawing => WaitReason::Epoch,
            Stage::Waiting => return None,
            Stage::Ending => {
                let alive = |e: &&Execution| !e.state.is_terminal();
                let alive = executions().filter(alive).map(|e| e.attempt);
                WaitReason::TasksToEnd { tasks: self.told(alive) }
            }
            Stage::Deployed => {
                let starts = |e: &&Execution| {
                    matches!(
                        e.state,
                        TaskExecutionState::Deploying | TaskExecutionState::Initializing
                    )
                };
                let starting = self.told(executions().filter(starts).map(|e| e.attempt));
                if starting.is_empty() || self.status == JobStatus::Cancelling {
                    return None;
                }
                WaitReason::TasksToRun { tasks: starting }
            }
        };
        Some((reason, region.since))
    }

    /// The first of some attempts, with where they run.
    fn told(&self, attempts: impl Iterator<Item = ExecutionAttemptId>) -> Vec<WaitingTask> {
        let told = |attempt: ExecutionAttemptId| {
            let execution = self.executions.get(&attempt.vertex);
            let execution = execution.filter(|execution| execution.attempt == attempt);
            WaitingTask { attempt, executor: execution.map(|found| found.resource.clone()) }
        };
        attempts.take(TASKS_TOLD).map(told).collect()
    }
}
