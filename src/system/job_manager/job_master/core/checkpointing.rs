//! The checkpoint coordinator: trigger, acknowledge, complete or abort.
//!
//! A checkpoint is complete when all attempts of its plan have acknowledged it, its metadata is
//! durable and its pointer is stored ([`storing`](super::storing)); only then does anyone learn of it.
//! While that is being written nothing is deployed, so what is restored is always the newest that can
//! ever be found.

use super::{
    Draw, Effect, JobMasterCore, Notice, Timer,
    details::{CheckpointHistory, Progress},
    pending::{Acknowledged, PendingCheckpoint},
    shared::UnnamedFiles,
    storing::{Storing, metadata_object},
};
use crate::{
    host::Instant,
    system::{
        graph::{RestoredParts, SharedFile, StateHandle, TaskRestore},
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId, ResourceId},
        job_manager::{AbortCause, JobEvent},
        protocol::{CheckpointAck, CheckpointDecline, Finality, JobStatus, TaskExecutionState},
        reason::shortened,
        sabotage,
        savepoint::Assignment,
        service::coordination::Revision,
        store::CompletedCheckpoint,
    },
};
use std::{collections::BTreeMap, time::Duration};

/// The checkpoints of a job during one term; none at first.
#[derive(Debug, Default)]
pub struct Checkpoints {
    /// The revision since which nothing but this term has written the store's tail.
    pub(super) tail: Revision,
    /// Oldest first; at most as many as the job retains.
    pub(super) completed: Vec<CompletedCheckpoint>,
    /// What the job begins with as long as none is complete.
    savepoint: Option<Assignment>,
    pub(super) pending: BTreeMap<CheckpointId, PendingCheckpoint>,
    pub(super) unnamed: UnnamedFiles,
    /// All parts are there, and the checkpoint is being stored.
    pub(super) storing: Option<Storing>,
    /// An id is being drawn.
    triggering: bool,
    /// Grows with every start and stop, so that timers of before mean nothing.
    period: u64,
    running: bool,
    last_trigger: Option<Instant>,
    last_end: Option<Instant>,
    /// When it was last asked what is left of checkpoints that came to nothing.
    pub(super) swept: Option<Instant>,
    /// In a row.
    failures: u32,
    pub(super) history: CheckpointHistory,
}

impl Checkpoints {
    /// What was stored before, oldest first, and the revision at which nothing else was.
    pub fn recovered(completed: Vec<CompletedCheckpoint>, tail: Revision) -> Self {
        let history = CheckpointHistory::restored(completed.last());
        Checkpoints { completed, tail, history, ..Checkpoints::default() }
    }

    /// The newest completed checkpoint.
    pub fn newest(&self) -> Option<CheckpointId> {
        self.completed.last().map(|checkpoint| checkpoint.id)
    }

    /// The same of a job that begins from a savepoint, as long as it has no checkpoint of its own.
    #[must_use]
    pub fn with_savepoint(self, savepoint: Option<Assignment>) -> Self {
        Checkpoints { savepoint, ..self }
    }

    /// The newest completed checkpoint, and whether the job ends with it.
    pub fn newest_and_finality(&self) -> Option<(CheckpointId, Finality)> {
        self.completed.last().map(|checkpoint| (checkpoint.id, checkpoint.finality()))
    }

    /// The checkpoint with which a task begins now: the job's own newest, or else that of its savepoint.
    pub fn restored(&self) -> Option<CheckpointId> {
        self.newest().or(self.savepoint.as_ref().map(|savepoint| savepoint.checkpoint))
    }

    /// All ids of the job are greater than this.
    pub fn least_id(&self) -> u64 {
        self.savepoint.as_ref().map_or(0, |savepoint| savepoint.checkpoint.0)
    }

    /// What a subtask begins with.
    pub fn restored_state(
        &self,
        vertex: ExecutionVertexId,
        parallelism: u32,
    ) -> Option<TaskRestore> {
        let Some(newest) = self.completed.last() else {
            return self.savepoint.as_ref()?.of(vertex, parallelism);
        };
        let part = newest.states.iter().find(|(of, _)| *of == vertex);
        let (_, state) = part.expect("a completed checkpoint has a part of every subtask");
        Some(TaskRestore {
            checkpoint: newest.id,
            state: RestoredParts::Same(state.clone()),
            savepoint: None,
            stopped: newest.finality() == Finality::Stopped,
        })
    }

    /// Whether they are taken: every attempt of the job runs.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// The period of the timers that count.
    #[cfg(test)]
    pub fn period_now(&self) -> u64 {
        self.period
    }

    /// How many checkpoints are pending or being stored.
    fn under_way(&self) -> usize {
        self.pending.len() + usize::from(self.is_storing())
    }

    /// Whether a checkpoint is being stored.
    pub fn is_storing(&self) -> bool {
        self.storing.is_some()
    }

    /// Whether a user has stopped the job with its newest checkpoint.
    pub fn is_stopped(&self) -> bool {
        self.newest_and_finality().is_some_and(|(_, finality)| finality == Finality::Stopped)
    }

    /// Whether a checkpoint after which nothing comes is complete, or may be as far as is known.
    pub fn may_be_final(&self) -> bool {
        self.is_final() || self.storing.as_ref().is_some_and(Storing::is_final)
    }

    /// Whether a checkpoint after which nothing comes is complete: the job can only finish.
    pub fn is_final(&self) -> bool {
        self.completed.last().is_some_and(|newest| newest.last)
    }
}

impl JobMasterCore {
    /// Begins to take checkpoints once every attempt runs.
    pub(super) fn start_checkpoints_if_running(&mut self, now: Instant) {
        let running = |state: &TaskExecutionState| *state == TaskExecutionState::Running;
        let all = self.executions.values().all(|execution| running(&execution.state));
        if self.status == JobStatus::Running
            && !self.checkpoints.running
            && (all || self.switches.on(sabotage::BEGUN_BEFORE_ALL_RUN))
        {
            self.checkpoints.running = true;
            self.checkpoints.period += 1;
            let was_begun = self.checkpoints.last_trigger.take().is_some();
            if !(was_begun && self.switches.on(sabotage::CHECKPOINTS_NOT_BEGUN_AGAIN)) {
                self.schedule_trigger(now, self.next_trigger(now));
            }
            self.trigger_savepoint();
        }
    }

    /// Aborts what is pending and begins nothing new. One that is being stored is not given up.
    pub(super) fn stop_checkpoints(&mut self, now: Instant, cause: &AbortCause) {
        self.checkpoints.running = false;
        self.checkpoints.period += 1;
        let pending: Vec<CheckpointId> = self.checkpoints.pending.keys().copied().collect();
        for checkpoint in pending {
            if self.status == JobStatus::Restarting
                && self.switches.on(sabotage::PENDING_OUTLIVES_A_FAILURE)
            {
                continue;
            }
            self.abort(now, checkpoint, cause);
        }
    }

    /// When the next checkpoint may begin: an interval after the last one's begin, a pause after its end.
    fn next_trigger(&self, now: Instant) -> Instant {
        let settings = self.job.checkpoints;
        let interval = Duration::from_millis(settings.interval_ms);
        let by_interval = self.checkpoints.last_trigger.unwrap_or(now) + interval;
        by_interval.max(self.pause_over(now))
    }

    fn pause_over(&self, now: Instant) -> Instant {
        if self.job.checkpoints.min_pause_ms > 0 && self.switches.on(sabotage::PAUSE_NOT_KEPT) {
            return now;
        }
        let pause = Duration::from_millis(self.job.checkpoints.min_pause_ms);
        self.checkpoints.last_end.map_or(now, |end| end + pause)
    }

    fn schedule_trigger(&mut self, now: Instant, at: Instant) {
        let period = self.checkpoints.period;
        self.does(Effect::Schedule(at.saturating_since(now), Timer::Trigger(period)));
    }

    pub(super) fn trigger_due(&mut self, now: Instant, period: u64) {
        if self.checkpoints.period != period {
            return;
        }
        // One may have ended since the timer was set.
        if self.pause_over(now) > now {
            return self.schedule_trigger(now, self.pause_over(now));
        }
        self.checkpoints.last_trigger = Some(now);
        self.trigger_checkpoint();
        self.schedule_trigger(now, self.next_trigger(now));
    }

    /// Begins a checkpoint, unless as many as may be are under way, or there is nothing left to be kept.
    pub(super) fn trigger_checkpoint(&mut self) {
        // A job that was stopped must not read on: its tasks only have to learn of it.
        let stopped = self.is_stopped();
        let (taking, checkpoints) = (self.savepoints.is_taking(), &mut self.checkpoints);
        let done = checkpoints.is_final();
        let full = checkpoints.under_way() >= self.job.checkpoints.max_concurrent as usize;
        // Tasks restored from the final checkpoint need one of their own to be told that it is final.
        let done =
            done && self.executions.values().any(|e| e.state == TaskExecutionState::Finished);
        if !checkpoints.triggering && !full && !done && !taking && !stopped {
            checkpoints.triggering = true;
            let period = checkpoints.period;
            self.does(Effect::Draw(Draw::Checkpoint(period), 1));
        }
    }

    pub(super) fn checkpoint_drawn(&mut self, now: Instant, period: u64, id: u64) {
        let is_late = self.checkpoints.period != period;
        if !(is_late && self.switches.on(sabotage::LATE_DRAW_BLOCKS_TRIGGERS)) {
            self.checkpoints.triggering = false;
        }
        // Another one may have ended while the id was drawn; the next timer is set already.
        let may_begin = self.pause_over(now) <= now || self.wants_savepoint();
        if !is_late && may_begin && !self.is_stopped() {
            self.begin(now, CheckpointId(id));
        } else if self.checkpoints.running {
            self.trigger_savepoint();
        }
    }

    fn begin(&mut self, now: Instant, checkpoint: CheckpointId) {
        let plan: Vec<ExecutionAttemptId> =
            self.executions.values().map(|execution| execution.attempt).collect();
        let (job, session) = (self.id(), self.session);
        let mut timeout = Duration::from_millis(self.job.checkpoints.timeout_ms);
        if self.switches.on(sabotage::TOO_LONG_TOO_SOON) {
            timeout /= 2;
        }
        let pending = PendingCheckpoint::new(checkpoint, plan.iter().copied(), now);
        self.checkpoints.pending.insert(checkpoint, pending);
        let stops = self.savepoint_begins(checkpoint);
        self.announce(JobEvent::CheckpointTriggered { job, session, checkpoint, plan });
        for attempt in self.source_attempts() {
            if let Some(resource) = self.resource_of(attempt) {
                self.does(Effect::Trigger(resource, attempt, checkpoint, stops));
            }
        }
        self.does(Effect::Schedule(timeout, Timer::CheckpointTimeout(checkpoint)));
    }

    pub(super) fn checkpoint_timed_out(&mut self, now: Instant, checkpoint: CheckpointId) {
        if self.checkpoints.pending.contains_key(&checkpoint) {
            match self.switches.on(sabotage::EXPIRED_NOT_COUNTED) {
                true => self.abort(now, checkpoint, &AbortCause::TooLong),
                false => self.fail_checkpoint(now, checkpoint, None, &AbortCause::TooLong),
            }
        } else {
            self.give_up_storing(now, checkpoint, AbortCause::TooLong);
        }
    }

    pub(super) fn resource_of(&self, attempt: ExecutionAttemptId) -> Option<ResourceId> {
        self.executor_of(attempt).map(|link| link.info.resource.clone())
    }

    /// Whether a user has stopped the job, for good.
    fn is_stopped(&self) -> bool {
        self.checkpoints.is_stopped() && !self.switches.on(sabotage::CHECKPOINTS_AFTER_THE_STOP)
    }

    /// An attempt's part of a checkpoint is durable.
    pub fn on_acknowledged(&mut self, now: Instant, part: CheckpointAck) {
        let CheckpointAck { attempt, checkpoint, state, ended } = part;
        if self.checkpoints.storing.as_ref().is_some_and(|storing| storing.id() == checkpoint) {
            // Every part is there, so this one is a repeat.
            return;
        }
        let is_current = self.current(attempt).is_some();
        if !self.checkpoints.pending.contains_key(&checkpoint) {
            self.does(Effect::Notice(Notice::LateAcknowledgement(checkpoint)));
            return self.discard_unless_completed(checkpoint, state);
        }
        if !is_current {
            return self.discard_part(&state);
        }
        if let Some(file) = self.missing_file(&state) {
            self.discard_part(&state);
            let cause = AbortCause::FileGone { attempt, file };
            return self.fail_checkpoint(now, checkpoint, Some(attempt), &cause);
        }
        let pending = self.checkpoints.pending.get_mut(&checkpoint).expect("it is pending");
        let acknowledged = match pending.acknowledge(attempt, &state, ended) {
            Acknowledged::Duplicate if self.switches.on(sabotage::REPEATED_PART_COUNTS) => {
                Acknowledged::Noted
            }
            other => other,
        };
        match acknowledged {
            Acknowledged::Noted => {
                if !state.shared.is_empty() {
                    let files = state.shared.iter().map(|file| file.object.clone()).collect();
                    self.announce(JobEvent::FilesNamed { attempt, checkpoint, files });
                }
                self.announce(JobEvent::CheckpointAcknowledged { checkpoint, attempt });
                self.store_next(now);
            }
            Acknowledged::Duplicate => {}
            Acknowledged::Unknown => self.discard_part(&state),
        }
    }

    /// The part of an aborted checkpoint is garbage; that of one that is kept or being copied must stay.
    fn discard_unless_completed(&mut self, checkpoint: CheckpointId, state: StateHandle) {
        let retained = |completed: &CompletedCheckpoint| completed.id == checkpoint;
        let copied =
            self.savepoints.uses(checkpoint) && !self.switches.on(sabotage::COPIED_PARTS_COME_LATE);
        let is_left = !copied && !self.checkpoints.completed.iter().any(retained);
        if is_left && !self.switches.on(sabotage::LATE_PARTS_STAY) {
            self.discard_part(&state);
        }
    }

    /// Nobody has use for a part.
    fn discard_part(&mut self, state: &StateHandle) {
        let objects: Vec<String> = state.objects().cloned().collect();
        if !objects.is_empty() {
            self.does(Effect::Discard(objects));
        }
        // What it names and a complete checkpoint has is that one's.
        self.release_files(state.shared.iter().filter(|file| file.is_new));
    }

    /// The checkpoint is stored: everyone may know.
    pub(super) fn completed(
        &mut self,
        now: Instant,
        completed: CompletedCheckpoint,
        progress: Progress,
    ) {
        let (job, session) = (self.id(), self.session);
        let (checkpoint, last) = (completed.id, completed.last);
        assert!(self.checkpoints.newest() < Some(checkpoint), "checkpoints complete in order");
        let finality = completed.finality();
        let is_savepoint = !last && self.savepoints.takes(checkpoint);
        self.publish_savepoint(now, &completed);
        if !(is_savepoint && self.switches.on(sabotage::SAVEPOINTS_LEFT_OUT)) {
            self.checkpoints.completed.push(completed);
        }
        self.checkpoints.history.completed(now, checkpoint, last, progress);
        let has_failed = self.checkpoints.failures > 0;
        if !(has_failed && self.switches.on(sabotage::FAILED_CHECKPOINTS_ADD_UP)) {
            self.checkpoints.failures = 0;
        }
        self.checkpoints.last_end = Some(now);
        self.announce(JobEvent::CheckpointCompleted { job, session, checkpoint, last });
        let older = self.subsumed_by(checkpoint, progress.since);
        for id in older {
            self.abort(now, id, &AbortCause::Subsumed { by: checkpoint });
        }
        self.confirm_to_all(checkpoint, finality);
        let retained = self.job.checkpoints.retained as usize;
        let excess = self.checkpoints.completed.len().saturating_sub(retained);
        let subsumed: Vec<CompletedCheckpoint> =
            self.checkpoints.completed.drain(..excess).collect();
        for old in subsumed {
            // One that is being copied goes when that has come to its end.
            let keep = self.savepoints.uses(old.id)
                && !self.switches.on(sabotage::SAVEPOINT_DOES_NOT_HOLD_ITS_CHECKPOINT);
            if !keep {
                self.discard_checkpoint(old);
            }
        }
        self.remove_unnamed(Some(checkpoint));
        self.sweep(now);
        self.trigger_savepoint();
    }

    /// The pending ones that come to nothing once a newer one is complete.
    fn subsumed_by(&self, checkpoint: CheckpointId, since: Instant) -> Vec<CheckpointId> {
        // By their ids: a clock may tell no two begins apart.
        let tens_of_seconds = |at: Instant| at.as_nanos() / 10_000_000_000;
        let is_earlier = |begun: Instant| {
            tens_of_seconds(begun) < tens_of_seconds(since)
                || !self.switches.on(sabotage::SUBSUMED_BY_TIME)
        };
        let older = self.checkpoints.pending.range(..checkpoint);
        older.filter(|(_, pending)| is_earlier(pending.since)).map(|(id, _)| *id).collect()
    }

    /// Nothing needs a checkpoint any more.
    pub(super) fn discard_checkpoint(&mut self, old: CompletedCheckpoint) {
        let metadata = metadata_object(self.id(), old.id);
        let parts = old.states.iter().flat_map(|(_, state)| state.objects().cloned());
        self.does(Effect::Discard(parts.chain([metadata]).collect()));
        self.release_files(old.states.iter().flat_map(|(_, state)| &state.shared));
    }

    pub(super) fn confirm_to_all(&mut self, checkpoint: CheckpointId, finality: Finality) {
        for (resource, attempt) in self.connected_attempts() {
            self.does(Effect::Confirm(resource, attempt, checkpoint, finality));
        }
    }

    fn connected_attempts(&self) -> Vec<(ResourceId, ExecutionAttemptId)> {
        let attempts = self.executions.values().map(|execution| execution.attempt);
        attempts.filter_map(|attempt| Some((self.resource_of(attempt)?, attempt))).collect()
    }

    /// An attempt can't take part in a checkpoint. What is not of the present attempts, or of a
    /// checkpoint that is not pending, is ignored.
    pub fn on_declined(&mut self, now: Instant, decline: &CheckpointDecline) {
        let CheckpointDecline { attempt, checkpoint, reason } = decline;
        let (attempt, checkpoint) = (*attempt, *checkpoint);
        let pending = self.checkpoints.pending.contains_key(&checkpoint);
        if self.switches.on(sabotage::DECLINES_UNHEARD) {
            return;
        }
        if pending && self.current(attempt).is_some() {
            let mut hit = checkpoint;
            if let Some((newest, _)) = self.checkpoints.pending.last_key_value()
                && self.switches.on(sabotage::DECLINE_HITS_THE_NEWEST)
            {
                hit = *newest;
            }
            let cause = AbortCause::Declined { attempt, why: shortened(reason).to_string() };
            self.fail_checkpoint(now, hit, Some(attempt), &cause);
        } else if self.switches.on(sabotage::OLD_DECLINES_COUNT) {
            self.count_failure(now, checkpoint, Some(attempt));
        }
    }

    fn fail_checkpoint(
        &mut self,
        now: Instant,
        checkpoint: CheckpointId,
        declined: Option<ExecutionAttemptId>,
        cause: &AbortCause,
    ) {
        self.abort(now, checkpoint, cause);
        self.count_failure(now, checkpoint, declined);
    }

    pub(super) fn end_without_success(
        &mut self,
        now: Instant,
        checkpoint: CheckpointId,
        cause: &AbortCause,
        progress: Progress,
    ) {
        self.announce_abort(now, checkpoint, cause, progress);
        // One that is given up because its job restarts or ends is no failure of its own.
        if self.status == JobStatus::Running {
            self.count_failure(now, checkpoint, None);
        }
    }

    fn count_failure(
        &mut self,
        now: Instant,
        checkpoint: CheckpointId,
        declined: Option<ExecutionAttemptId>,
    ) {
        let (job, session) = (self.id(), self.session);
        self.announce(JobEvent::CheckpointFailureCounted { job, session, checkpoint, declined });
        self.checkpoints.failures += 1;
        let failures = self.checkpoints.failures;
        let bearable = self.job.checkpoints.tolerable_failures;
        if bearable.is_some_and(|bearable| failures > bearable) {
            self.checkpoints.failures = 0;
            self.global_failover(now, &format!("{failures} checkpoints in a row have failed"));
        }
    }

    /// Gives a pending checkpoint up.
    fn abort(&mut self, now: Instant, checkpoint: CheckpointId, cause: &AbortCause) {
        let Some(pending) = self.checkpoints.pending.remove(&checkpoint) else { return };
        let progress = Progress::of(&pending);
        let files: Vec<SharedFile> = pending.shared().cloned().collect();
        let objects = pending.objects();
        if !objects.is_empty() {
            self.does(Effect::Discard(objects));
        }
        self.release_files(files.iter());
        self.remove_unnamed(Some(checkpoint));
        self.announce_abort(now, checkpoint, cause, progress);
    }

    fn announce_abort(
        &mut self,
        now: Instant,
        checkpoint: CheckpointId,
        cause: &AbortCause,
        progress: Progress,
    ) {
        let why = cause.to_string();
        self.checkpoints.last_end = Some(now);
        self.checkpoints.history.failed(now, checkpoint, &why, progress);
        // Timers that are set belong to the former period.
        if self.savepoints.stops_with(checkpoint)
            && self.status == JobStatus::Running
            && self.switches.on(sabotage::FAILED_STOP_ENDS_CHECKPOINTS)
        {
            self.checkpoints.period += 1;
        }
        self.savepoint_aborted(checkpoint, &why);
        let (job, session, cause) = (self.id(), self.session, cause.clone());
        self.announce(JobEvent::CheckpointAborted { job, session, checkpoint, cause });
        for (resource, attempt) in self.connected_attempts() {
            self.does(Effect::Abort(resource, attempt, checkpoint));
        }
        self.trigger_savepoint();
    }

    /// Checkpoints are taken of a job that runs, no more at once than it wants, and kept in their order.
    pub(super) fn check_checkpoints(&self) {
        let Checkpoints { completed, pending, .. } = &self.checkpoints;
        let (under_way, most) =
            (self.checkpoints.under_way(), self.job.checkpoints.max_concurrent as usize);
        assert!(under_way <= most, "{under_way} are under way where {most} may be");
        // What is pending when the term ends comes to nothing with it.
        let may_pend = matches!(self.status, JobStatus::Running | JobStatus::Suspended);
        assert!(pending.is_empty() || may_pend, "a job that runs takes checkpoints");
        assert!(completed.is_sorted_by(|one, next| one.id < next.id), "they complete in order");
        let retained = self.job.checkpoints.retained as usize;
        assert!(completed.len() <= retained.max(1), "no more are kept than are retained");
        let storing = self.checkpoints.storing.as_ref().map(Storing::id);
        assert!(storing.is_none() || self.checkpoints.newest() < storing, "a newer one is stored");
    }
}
