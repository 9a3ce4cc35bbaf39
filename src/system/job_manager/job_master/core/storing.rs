//! Storing a checkpoint to which every attempt has given its part: its metadata, then its pointer.
//!
//! Neither may take longer than the checkpoint has time, nor may a job that restarts or is canceled
//! wait for them. Metadata without an answer is given up: nothing points to it. A pointer without an
//! answer may stand, so it is fenced first: the tail of the store is written in a transaction that
//! excludes the pointer for ever, or that shows that the pointer stands.

use super::{Effect, JobMasterCore, Notice, Timer, details::Progress};
use crate::{
    host::Instant,
    system::{
        ids::{CheckpointId, JobId},
        job_manager::{AbortCause, JobEvent},
        protocol::WaitReason,
        sabotage,
        service::object_store::ObjectStoreRefusal,
        store::{CheckpointPointer, CompletedCheckpoint, Settled, StoreError},
    },
};
use std::time::Duration;

/// How long a job that restarts or is canceled lets a checkpoint be stored.
const GRACE: Duration = Duration::from_secs(2);

/// Where the metadata of a checkpoint lies.
pub fn metadata_object(job: JobId, checkpoint: CheckpointId) -> String {
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
#[derive(Debug)]
pub struct Storing {
    checkpoint: CompletedCheckpoint,
    stage: Stage,
    since: Instant,
    progress: Progress,
}

impl Storing {
    /// Its id.
    pub fn id(&self) -> CheckpointId {
        self.checkpoint.id
    }

    /// What is being stored.
    pub(super) fn checkpoint(&self) -> &CompletedCheckpoint {
        &self.checkpoint
    }

    /// How far it came.
    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// What it waits for, and since when.
    pub fn waits_for(&self) -> (WaitReason, Instant) {
        let checkpoint = self.id();
        let reason = match self.stage {
            Stage::Metadata => WaitReason::Metadata { checkpoint },
            Stage::Pointer => WaitReason::Pointer { checkpoint },
            Stage::Fencing => WaitReason::PointerInDoubt { checkpoint },
        };
        (reason, self.since)
    }

    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        self.checkpoint.last
    }
}

impl JobMasterCore {
    /// Stores the oldest checkpoint to which every attempt has given its part, one at a time.
    pub(super) fn store_next(&mut self, now: Instant) {
        let (checkpoints, switches) = (&mut self.checkpoints, &self.switches);
        let whole = checkpoints.pending.values().find(|pending| {
            pending.is_acknowledged()
                || pending.missing().count() == 1
                    && pending.progress().0 > 0
                    && switches.on(sabotage::COMPLETE_WITHOUT_ONE_PART)
        });
        let (None, Some(id)) = (&checkpoints.storing, whole.map(|pending| pending.id)) else {
            return;
        };
        let pending = checkpoints.pending.remove(&id).expect("it was just found");
        let progress = Progress::of(&pending);
        let (states, ended) = pending.into_states();
        let savepoint = self.final_savepoint(id, ended);
        let last = ended || savepoint.is_some();
        let checkpoint = CompletedCheckpoint { id, states, last, savepoint };
        let stage = Stage::Metadata;
        let storing = Storing { checkpoint: checkpoint.clone(), stage, since: now, progress };
        self.checkpoints.storing = Some(storing);
        if self.switches.on(sabotage::COMPLETE_BEFORE_STORED) {
            self.confirm_to_all(id, checkpoint.finality());
        }
        self.does(Effect::StoreMetadata(checkpoint));
    }

    /// Whether that checkpoint is the one that is being stored, and so far. One that was given up while an
    /// answer waited in the mailbox is not the one that is stored now.
    fn is_at(&self, id: CheckpointId, stage: Stage) -> bool {
        let now = self.checkpoints.storing.as_ref();
        now.is_some_and(|storing| (storing.id(), storing.stage) == (id, stage))
    }

    /// A checkpoint's metadata is durable, or was refused.
    pub fn on_metadata_stored(
        &mut self,
        now: Instant,
        id: CheckpointId,
        stored: Result<(), ObjectStoreRefusal>,
    ) {
        if !self.is_at(id, Stage::Metadata) {
            return;
        }
        match stored {
            Ok(()) => self.store_pointer(now),
            Err(refusal) => {
                self.not_stored(now, &AbortCause::Refused { why: refusal.to_string() });
            }
        }
    }

    fn store_pointer(&mut self, now: Instant) {
        let job = self.id();
        let retained = self.job.checkpoints.retained as usize;
        let checkpoints = &mut self.checkpoints;
        let excess = (checkpoints.completed.len() + 1).saturating_sub(retained);
        let subsumed = checkpoints.completed[..excess].iter().map(|old| old.id).collect();
        let storing = checkpoints.storing.as_mut().expect("its metadata is stored");
        (storing.stage, storing.since) = (Stage::Pointer, now);
        let id = storing.id();
        let metadata = metadata_object(job, id);
        let pointer = CheckpointPointer { id, metadata, last: storing.is_final() };
        let since = checkpoints.tail;
        self.does(Effect::AddPointer { since, pointer, subsumed });
    }

    /// A job that restarts or is canceled waits for a checkpoint that is being stored, but not long.
    pub(super) fn hurry_storing(&mut self) {
        if let Some(id) = self.checkpoints.storing.as_ref().map(Storing::id) {
            self.does(Effect::Schedule(GRACE, Timer::StoringGrace(id)));
        }
    }

    /// Gives a checkpoint up that is still being stored; whether its pointer stands is found out first.
    pub(super) fn give_up_storing(&mut self, now: Instant, id: CheckpointId, cause: AbortCause) {
        let storing = self.checkpoints.storing.as_mut().filter(|storing| storing.id() == id);
        let Some(storing) = storing else { return };
        match storing.stage {
            Stage::Metadata => return self.not_stored(now, &cause),
            Stage::Fencing => return,
            Stage::Pointer => {}
        }
        if self.switches.on(sabotage::PENDING_POINTER_NOT_FENCED) {
            return self.not_stored(now, &cause);
        }
        (storing.stage, storing.since) = (Stage::Fencing, now);
        let (job, since, newest) = (self.id(), self.checkpoints.tail, self.checkpoints.newest());
        self.announce(JobEvent::PointerInDoubt { job, checkpoint: id });
        self.does(Effect::FencePointer(since, id, newest));
    }

    /// What became of a pointer: by its own answer, or by the fence's.
    pub fn on_pointer_settled(
        &mut self,
        now: Instant,
        id: CheckpointId,
        settled: Result<Settled, StoreError>,
    ) {
        if self.checkpoints.storing.as_ref().map(Storing::id) != Some(id) {
            return;
        }
        match settled {
            Ok(Settled::Added(tail)) => {
                self.checkpoints.tail = tail;
                let storing = self.checkpoints.storing.take().expect("its pointer was settled");
                if storing.stage == Stage::Fencing {
                    self.does(Effect::Notice(Notice::PointerInDoubtStands(id)));
                }
                self.does(Effect::EndStoring);
                self.completed(now, storing.checkpoint, storing.progress);
                self.after_storing(now);
            }
            Ok(Settled::Fenced(tail)) => {
                self.checkpoints.tail = tail;
                self.not_stored(now, &AbortCause::Fenced);
            }
            Err(StoreError::Canceled) => {
                self.not_stored(now, &AbortCause::Canceled);
                self.on_cancel(now);
            }
            Err(error) => self.store_failed(&error),
        }
    }

    /// Nothing points to the checkpoint, nor ever will.
    fn not_stored(&mut self, now: Instant, cause: &AbortCause) {
        let storing = self.checkpoints.storing.take().expect("it was being stored");
        self.does(Effect::EndStoring);
        let id = storing.id();
        self.discard_checkpoint(storing.checkpoint);
        self.remove_unnamed(Some(id));
        self.end_without_success(now, id, cause, storing.progress);
        self.after_storing(now);
    }

    fn after_storing(&mut self, now: Instant) {
        self.store_next(now);
        self.schedule(now);
        self.maybe_finish(now);
    }
}
