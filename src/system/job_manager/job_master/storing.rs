//! Storing a checkpoint to which every attempt has given its part: its metadata, then its pointer.
//!
//! Neither may take longer than the checkpoint has time, nor may a job that restarts or is canceled
//! wait for them. Metadata without an answer is given up: nothing points to it. A pointer without an
//! answer may stand, so it is fenced first: the tail of the store is written in a transaction that
//! excludes the pointer for ever, or that shows that the pointer stands.

use super::JobMaster;
use crate::system::{
    ids::{CheckpointId, JobId},
    job_manager::event::JobEvent,
    rpc::Context,
    scope::Scope,
    store::{CheckpointPointer, CompletedCheckpoint, Settled, StoreError},
};
use bytes::Bytes;
use std::time::Duration;

/// How long a job that restarts or is canceled lets a checkpoint be stored.
const GRACE: Duration = Duration::from_secs(2);

/// Where the metadata of a checkpoint lies.
pub(super) fn metadata_object(job: JobId, checkpoint: CheckpointId) -> String {
    format!("{job}/chk-{checkpoint}/metadata")
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Metadata,
    Pointer,
    /// The pointer's outcome is unknown and is being decided.
    Fencing,
}

/// A checkpoint that is being stored; one at a time.
pub struct Storing {
    checkpoint: CompletedCheckpoint,
    stage: Stage,
    /// Ends the wait of the stage.
    scope: Scope,
}

impl Storing {
    /// Its id.
    pub fn id(&self) -> CheckpointId {
        self.checkpoint.id
    }

    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        self.checkpoint.last
    }
}

impl JobMaster {
    /// Stores the oldest checkpoint to which every attempt has given its part, one at a time.
    pub(super) fn store_next(&mut self, context: &mut Context<Self>) {
        let checkpoints = &mut self.checkpoints;
        let whole = checkpoints.pending.values().find(|pending| pending.is_acknowledged());
        let (None, Some(id)) = (&checkpoints.storing, whole.map(|pending| pending.id)) else {
            return;
        };
        let pending = checkpoints.pending.remove(&id).expect("it was just found");
        let (states, last) = pending.into_states();
        let checkpoint = CompletedCheckpoint { id, states, last };
        let bytes = Bytes::from(postcard::to_allocvec(&checkpoint).expect("it can be encoded"));
        let (objects, metadata) = (self.services.objects.clone(), metadata_object(self.job.id, id));
        let scope = Scope::default();
        let work =
            scope.wrap(async move { objects.put_until_acknowledged(&metadata, bytes).await });
        checkpoints.storing = Some(Storing { checkpoint, stage: Stage::Metadata, scope });
        if context.host().sabotaged(crate::system::sabotage::COMPLETE_BEFORE_STORED) {
            self.confirm_to_all(id, last);
        }
        context.spawn_then(work, move |master, context, stored| {
            // One that was given up while this waited in the mailbox is not the one that is stored now.
            let stage = master.checkpoints.storing.as_ref().map(|now| (now.id(), now.stage));
            match stored.filter(|_| stage == Some((id, Stage::Metadata))) {
                Some(Ok(())) => master.store_pointer(context),
                Some(Err(refusal)) => master.not_stored(context, &refusal.to_string()),
                None => {}
            }
        });
    }

    fn store_pointer(&mut self, context: &mut Context<Self>) {
        let job = self.job.id;
        let retained = self.job.checkpoints.retained as usize;
        let checkpoints = &mut self.checkpoints;
        let excess = (checkpoints.completed.len() + 1).saturating_sub(retained);
        let subsumed: Vec<CheckpointId> =
            checkpoints.completed[..excess].iter().map(|old| old.id).collect();
        let (store, since) = (checkpoints.store.clone(), checkpoints.tail);
        let Some(storing) = &mut checkpoints.storing else { return };
        assert_eq!(storing.stage, Stage::Metadata, "the pointer comes after the metadata");
        (storing.stage, storing.scope) = (Stage::Pointer, Scope::default());
        let id = storing.id();
        let metadata = metadata_object(job, id);
        let pointer = CheckpointPointer { id, metadata, last: storing.is_final() };
        let add = async move { store.add(since, &pointer, &subsumed).await };
        context.spawn_then(storing.scope.wrap(add), move |master, context, settled| {
            if let Some(settled) = settled {
                master.pointer_settled(context, id, settled);
            }
        });
    }

    /// A job that restarts or is canceled waits for a checkpoint that is being stored, but not long.
    pub(super) fn hurry_storing(&mut self, context: &mut Context<Self>, reason: &str) {
        let Some(id) = self.checkpoints.storing.as_ref().map(Storing::id) else { return };
        let reason = reason.to_string();
        context.schedule(GRACE, move |master, context| {
            master.give_up_storing(context, id, &reason);
        });
    }

    /// Gives a checkpoint up that is still being stored; whether its pointer stands is found out first.
    pub(super) fn give_up_storing(
        &mut self,
        context: &mut Context<Self>,
        id: CheckpointId,
        reason: &str,
    ) {
        let (job, checkpoints) = (self.job.id, &mut self.checkpoints);
        let Some(storing) = checkpoints.storing.as_mut().filter(|storing| storing.id() == id)
        else {
            return;
        };
        match storing.stage {
            Stage::Metadata => return self.not_stored(context, reason),
            Stage::Fencing => return,
            Stage::Pointer => {}
        }
        if context.host().sabotaged(crate::system::sabotage::PENDING_POINTER_NOT_FENCED) {
            return self.not_stored(context, reason);
        }
        (storing.stage, storing.scope) = (Stage::Fencing, Scope::default());
        context.host().announce(&JobEvent::PointerInDoubt { job, checkpoint: id });
        let (store, since) = (checkpoints.store.clone(), checkpoints.tail);
        let fence = async move { store.fence(since, id).await };
        let work = storing.scope.wrap(fence);
        context.spawn_then(work, move |master, context, settled| {
            if let Some(settled) = settled {
                master.pointer_settled(context, id, settled);
            }
        });
    }

    fn pointer_settled(
        &mut self,
        context: &mut Context<Self>,
        id: CheckpointId,
        settled: Result<Settled, StoreError>,
    ) {
        if self.checkpoints.storing.as_ref().map(Storing::id) != Some(id) {
            // Its outcome is known already: by the pointer's own answer, or by the fence's.
            return;
        }
        match settled {
            Ok(Settled::Added(tail)) => {
                self.checkpoints.tail = tail;
                let storing = self.checkpoints.storing.take().expect("its pointer was settled");
                let in_doubt = storing.stage == Stage::Fencing;
                crate::sometimes!(context.host(), "pointer-in-doubt-stands", in_doubt, "{id:?}");
                self.completed(context, storing.checkpoint);
                self.after_storing(context);
            }
            Ok(Settled::Fenced(tail)) => {
                self.checkpoints.tail = tail;
                self.not_stored(context, "its pointer got no answer in time");
            }
            Err(StoreError::Canceled) => {
                self.not_stored(context, "the job is to be canceled");
                self.cancel_job(context);
            }
            Err(error) => self.store_failed(context, &error),
        }
    }

    /// Nothing points to the checkpoint, nor ever will.
    fn not_stored(&mut self, context: &mut Context<Self>, reason: &str) {
        let storing = self.checkpoints.storing.take().expect("it was being stored");
        let id = storing.id();
        let parts = storing.checkpoint.states.into_iter().map(|(_, state)| state.object);
        let metadata = metadata_object(self.job.id, id);
        self.discard(context, parts.chain([metadata]).collect());
        self.end_without_success(context, id, reason);
        self.after_storing(context);
    }

    fn after_storing(&mut self, context: &mut Context<Self>) {
        self.store_next(context);
        self.schedule(context);
        self.maybe_finish(context);
    }
}
