//! The checkpoint coordinator: trigger, acknowledge, complete or abort.
//!
//! A checkpoint is complete when all attempts of its plan have acknowledged it, its metadata is
//! durable and its pointer is stored ([`storing`](super::storing)); only then does anyone learn of it.
//! While that is being written nothing is deployed, so what is restored is always the newest that can
//! ever be found.

use super::{
    JobMaster,
    pending::{Acknowledged, PendingCheckpoint},
    storing::{Storing, metadata_object},
};
use crate::{
    host::Instant,
    system::{
        graph::StateHandle,
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId},
        job_manager::event::JobEvent,
        protocol::{JobStatus, TaskExecutionState},
        rpc::Context,
        sabotage,
        service::{
            coordination::Revision,
            object_store::{ObjectStore, ObjectStoreError},
        },
        store::{
            CheckpointIdCounter, CheckpointPointer, CompletedCheckpoint, CompletedCheckpointStore,
            StoreError,
        },
    },
};
use std::{collections::BTreeMap, time::Duration};

/// The checkpoints of a job during one term.
pub struct Checkpoints {
    pub(super) store: CompletedCheckpointStore,
    /// The revision since which nothing but this term has written the store's tail.
    pub(super) tail: Revision,
    /// Oldest first; at most as many as the job retains.
    pub(super) completed: Vec<CompletedCheckpoint>,
    pub(super) pending: BTreeMap<CheckpointId, PendingCheckpoint>,
    /// All parts are there, and the checkpoint is being stored.
    pub(super) storing: Option<Storing>,
    /// An id is being drawn.
    triggering: bool,
    /// Grows with every start and stop, so that timers of before mean nothing.
    period: u64,
    running: bool,
    last_trigger: Option<Instant>,
    last_end: Option<Instant>,
    /// In a row.
    failures: u32,
}

/// Why a checkpoint that is not complete within its time-out is given up.
const TOO_LONG: &str = "it took too long";
/// The pause before metadata is read again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

async fn read_metadata(
    objects: &dyn ObjectStore,
    pointer: &CheckpointPointer,
) -> Result<Option<CompletedCheckpoint>, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt { key: pointer.metadata.clone(), what };
    let bytes = loop {
        match objects.get(&pointer.metadata).await {
            Ok(bytes) => break bytes,
            Err(ObjectStoreError::Refused(refusal)) => return Err(corrupt(refusal.to_string())),
            Err(_) if objects.host().sabotaged(sabotage::UNREADABLE_CHECKPOINT_SKIPPED) => {
                return Ok(None);
            }
            Err(_) => objects.host().sleep(RETRY_DELAY).await,
        }
    };
    postcard::from_bytes(&bytes).map(Some).map_err(|error| corrupt(error.to_string()))
}

impl Checkpoints {
    /// Reads what is stored. None is skipped: a checkpoint that can't be read now is read again.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub async fn recover(
        store: CompletedCheckpointStore,
        objects: &dyn ObjectStore,
    ) -> Result<Self, StoreError> {
        let (pointers, tail) = store.recover().await?;
        let mut checkpoints = Checkpoints { tail, ..Checkpoints::none(store) };
        for pointer in pointers {
            checkpoints.completed.extend(read_metadata(objects, &pointer).await?);
        }
        Ok(checkpoints)
    }

    /// None, for a job that needs none any more.
    pub fn none(store: CompletedCheckpointStore) -> Self {
        Checkpoints {
            store,
            tail: Revision::default(),
            completed: Vec::new(),
            pending: BTreeMap::new(),
            storing: None,
            triggering: false,
            period: 0,
            running: false,
            last_trigger: None,
            last_end: None,
            failures: 0,
        }
    }

    /// The newest completed checkpoint.
    pub fn newest(&self) -> Option<CheckpointId> {
        self.completed.last().map(|checkpoint| checkpoint.id)
    }

    /// The newest completed checkpoint, and whether nothing comes after it.
    pub fn newest_and_last(&self) -> Option<(CheckpointId, bool)> {
        self.completed.last().map(|checkpoint| (checkpoint.id, checkpoint.last))
    }

    /// A subtask's part of the newest completed checkpoint.
    pub fn restored_state(&self, vertex: ExecutionVertexId) -> Option<(CheckpointId, StateHandle)> {
        let newest = self.completed.last()?;
        let part = newest.states.iter().find(|(of, _)| *of == vertex);
        let (_, state) = part.expect("a completed checkpoint has a part of every subtask");
        Some((newest.id, state.clone()))
    }

    /// How many checkpoints are pending or being stored.
    fn under_way(&self) -> usize {
        self.pending.len() + usize::from(self.is_storing())
    }

    /// Whether a checkpoint is being stored.
    pub fn is_storing(&self) -> bool {
        self.storing.is_some()
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

impl JobMaster {
    /// Begins to take checkpoints once every attempt runs.
    pub(super) fn start_checkpoints_if_running(&mut self, context: &mut Context<Self>) {
        let running = |state: &TaskExecutionState| *state == TaskExecutionState::Running;
        let all = self.executions.values().all(|execution| running(&execution.state));
        if all && self.status == JobStatus::Running && !self.checkpoints.running {
            self.checkpoints.running = true;
            self.checkpoints.period += 1;
            self.checkpoints.last_trigger = None;
            self.schedule_trigger(context);
        }
    }

    /// Aborts what is pending and begins nothing new. One that is being stored is not given up.
    pub(super) fn stop_checkpoints(&mut self, context: &Context<Self>, reason: &str) {
        self.checkpoints.running = false;
        self.checkpoints.period += 1;
        let pending: Vec<CheckpointId> = self.checkpoints.pending.keys().copied().collect();
        for checkpoint in pending {
            self.abort(context, checkpoint, reason);
        }
    }

    fn schedule_trigger(&mut self, context: &mut Context<Self>) {
        let settings = self.job.checkpoints;
        let interval = Duration::from_millis(settings.interval_ms);
        let now = context.host().now();
        let by_interval = self.checkpoints.last_trigger.unwrap_or(now) + interval;
        let pause = Duration::from_millis(settings.min_pause_ms);
        let by_pause = self.checkpoints.last_end.map_or(now, |end| end + pause);
        let delay = by_interval.max(by_pause).saturating_since(now);
        let period = self.checkpoints.period;
        context.schedule(delay, move |master, context| {
            if master.checkpoints.period == period {
                master.trigger(context);
            }
        });
    }

    fn trigger(&mut self, context: &mut Context<Self>) {
        let now = context.host().now();
        let checkpoints = &mut self.checkpoints;
        checkpoints.last_trigger = Some(now);
        let done = checkpoints.is_final();
        let full = checkpoints.under_way() >= self.job.checkpoints.max_concurrent as usize;
        // Tasks restored from the final checkpoint need one of their own to be told that it is final.
        let done =
            done && self.executions.values().any(|e| e.state == TaskExecutionState::Finished);
        if !checkpoints.triggering && !full && !done {
            checkpoints.triggering = true;
            self.draw_checkpoint(context);
        }
        self.schedule_trigger(context);
    }

    fn draw_checkpoint(&mut self, context: &mut Context<Self>) {
        let period = self.checkpoints.period;
        let counter =
            CheckpointIdCounter::new(&self.services.coordination, &self.term, self.job.id);
        let work = self.scope.wrap(async move { counter.get_and_increment().await });
        context.spawn_then(work, move |master, context, drawn| {
            master.checkpoints.triggering = false;
            match drawn {
                Some(Ok(id)) if master.checkpoints.period == period => {
                    master.begin(context, CheckpointId(id));
                }
                Some(Err(error)) => master.store_failed(context, &error),
                Some(Ok(_)) | None => {}
            }
        });
    }

    fn begin(&mut self, context: &mut Context<Self>, checkpoint: CheckpointId) {
        let plan: Vec<ExecutionAttemptId> =
            self.executions.values().map(|execution| execution.attempt).collect();
        let job = self.id();
        let timeout = Duration::from_millis(self.job.checkpoints.timeout_ms);
        let pending = PendingCheckpoint::new(checkpoint, plan.iter().copied());
        self.checkpoints.pending.insert(checkpoint, pending);
        let under_way = self.checkpoints.under_way();
        let most = self.job.checkpoints.max_concurrent as usize;
        crate::always!(
            context.host(),
            "concurrent-checkpoints-bounded",
            under_way <= most,
            "{under_way} where {most} may be under way"
        );
        context.host().announce(&JobEvent::CheckpointTriggered { job, checkpoint, plan });
        for attempt in self.source_attempts() {
            if let Some(gateway) = self.gateway_of(attempt) {
                gateway.trigger_checkpoint(attempt, checkpoint);
            }
        }
        context.schedule(timeout, move |master, context| {
            if master.checkpoints.pending.contains_key(&checkpoint) {
                master.fail_checkpoint(context, checkpoint, None, TOO_LONG);
            } else {
                master.give_up_storing(context, checkpoint, TOO_LONG);
            }
        });
    }

    /// An attempt's part of a checkpoint is durable.
    pub(super) fn on_acknowledge(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        state: StateHandle,
        ended: bool,
    ) {
        if self.checkpoints.storing.as_ref().is_some_and(|storing| storing.id() == checkpoint) {
            // Every part is there, so this one is a repeat.
            return;
        }
        let is_current = self.current(attempt).is_some();
        let Some(pending) = self.checkpoints.pending.get_mut(&checkpoint) else {
            crate::reachable!(context.host(), "late-acknowledgement-ignored", "of {checkpoint:?}");
            return self.discard_unless_completed(context, checkpoint, state);
        };
        if !is_current {
            return self.discard(context, vec![state.object]);
        }
        let outcome = pending.acknowledge(attempt, &state, ended);
        match outcome {
            Acknowledged::Noted => {
                let event = JobEvent::CheckpointAcknowledged { checkpoint, attempt };
                context.host().announce(&event);
                self.store_next(context);
            }
            Acknowledged::Duplicate => {}
            Acknowledged::Unknown => self.discard(context, vec![state.object]),
        }
    }

    /// The part of an aborted checkpoint is garbage; that of a completed one must stay.
    fn discard_unless_completed(
        &mut self,
        context: &Context<Self>,
        checkpoint: CheckpointId,
        state: StateHandle,
    ) {
        let retained = |completed: &CompletedCheckpoint| completed.id == checkpoint;
        if !self.checkpoints.completed.iter().any(retained) {
            self.discard(context, vec![state.object]);
        }
    }

    /// The checkpoint is stored: everyone may know.
    pub(super) fn completed(
        &mut self,
        context: &mut Context<Self>,
        completed: CompletedCheckpoint,
    ) {
        let (job, checkpoint, last) = (self.id(), completed.id, completed.last);
        assert!(self.checkpoints.newest() < Some(checkpoint), "checkpoints complete in order");
        self.checkpoints.completed.push(completed);
        self.checkpoints.failures = 0;
        self.checkpoints.last_end = Some(context.host().now());
        context.host().announce(&JobEvent::CheckpointCompleted { job, checkpoint, last });
        let older: Vec<CheckpointId> =
            self.checkpoints.pending.range(..checkpoint).map(|(id, _)| *id).collect();
        for id in older {
            self.abort(context, id, "a newer one is complete");
        }
        self.confirm_to_all(checkpoint, last);
        let retained = self.job.checkpoints.retained as usize;
        let excess = self.checkpoints.completed.len().saturating_sub(retained);
        let subsumed: Vec<CompletedCheckpoint> =
            self.checkpoints.completed.drain(..excess).collect();
        for old in subsumed {
            let mut objects: Vec<String> =
                old.states.into_iter().map(|(_, state)| state.object).collect();
            objects.push(metadata_object(job, old.id));
            self.discard(context, objects);
        }
    }

    pub(super) fn confirm_to_all(&self, checkpoint: CheckpointId, last: bool) {
        for execution in self.executions.values() {
            if let Some(gateway) = self.gateway_of(execution.attempt) {
                gateway.confirm_checkpoint(execution.attempt, checkpoint, last);
            }
        }
    }

    /// An attempt can't take part in a checkpoint. What is not of the present attempts, or of a
    /// checkpoint that is not pending, is ignored.
    pub(super) fn take_decline(
        &mut self,
        context: &mut Context<Self>,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: &str,
    ) {
        let pending = self.checkpoints.pending.contains_key(&checkpoint);
        if pending && self.current(attempt).is_some() {
            let reason = format!("{attempt:?} declined: {reason}");
            self.fail_checkpoint(context, checkpoint, Some(attempt), &reason);
        }
    }

    fn fail_checkpoint(
        &mut self,
        context: &mut Context<Self>,
        checkpoint: CheckpointId,
        declined: Option<ExecutionAttemptId>,
        reason: &str,
    ) {
        self.abort(context, checkpoint, reason);
        self.count_failure(context, checkpoint, declined);
    }

    pub(super) fn end_without_success(
        &mut self,
        context: &mut Context<Self>,
        checkpoint: CheckpointId,
        reason: &str,
    ) {
        self.announce_abort(context, checkpoint, reason);
        // One that is given up because its job restarts or ends is no failure of its own.
        if self.status == JobStatus::Running {
            self.count_failure(context, checkpoint, None);
        }
    }

    fn count_failure(
        &mut self,
        context: &mut Context<Self>,
        checkpoint: CheckpointId,
        declined: Option<ExecutionAttemptId>,
    ) {
        let (job, session) = (self.id(), self.term.session);
        let counted = JobEvent::CheckpointFailureCounted { job, session, checkpoint, declined };
        context.host().announce(&counted);
        self.checkpoints.failures += 1;
        let failures = self.checkpoints.failures;
        let bearable = self.job.checkpoints.tolerable_failures;
        if bearable.is_some_and(|bearable| failures > bearable) {
            self.checkpoints.failures = 0;
            self.global_failover(context, &format!("{failures} checkpoints in a row have failed"));
        }
    }

    /// Gives a pending checkpoint up.
    fn abort(&mut self, context: &Context<Self>, checkpoint: CheckpointId, reason: &str) {
        let Some(pending) = self.checkpoints.pending.remove(&checkpoint) else { return };
        self.discard(context, pending.objects());
        self.announce_abort(context, checkpoint, reason);
    }

    fn announce_abort(&mut self, context: &Context<Self>, checkpoint: CheckpointId, why: &str) {
        self.checkpoints.last_end = Some(context.host().now());
        let (job, reason) = (self.id(), why.to_string());
        context.host().announce(&JobEvent::CheckpointAborted { job, checkpoint, reason });
        for execution in self.executions.values() {
            if let Some(gateway) = self.gateway_of(execution.attempt) {
                gateway.abort_checkpoint(execution.attempt, checkpoint);
            }
        }
    }

    /// Deletes objects that nothing refers to. What is left when the term ends goes with the job.
    pub(super) fn discard(&self, context: &Context<Self>, objects: Vec<String>) {
        if objects.is_empty() {
            return;
        }
        let client = self.services.objects.clone();
        let work = self.scope.wrap(async move {
            let _ = client.delete_until_acknowledged(&objects).await;
        });
        context.host().spawn(async move {
            work.await;
        });
    }
}
