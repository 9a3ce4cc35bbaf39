//! Which checkpoints are durable, and what they cover: what attempts of their plan have let wait for them or for an
//! older one. Each region of a job has an epoch of its own.

use super::stored::{Kept, Moved, StoredPart};
use crate::system::{
    ids::{CheckpointId, ExecutionAttemptId, JobId},
    protocol::JobStatus,
    store::StoredResult,
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers the newest durable checkpoint of each epoch.
#[derive(Default)]
pub struct Coverage {
    epochs: BTreeMap<(JobId, CheckpointId), BTreeSet<u64>>,
    durable: BTreeMap<(JobId, u64), CheckpointId>,
}

impl Coverage {
    /// A checkpoint is triggered.
    pub fn triggered(&mut self, job: JobId, checkpoint: CheckpointId, plan: &[ExecutionAttemptId]) {
        let epochs = plan.iter().map(|attempt| attempt.epoch).collect();
        self.epochs.insert((job, checkpoint), epochs);
    }

    /// A key of a job has changed, perhaps the pointer to a checkpoint.
    pub fn moved(&mut self, moved: &Moved<'_>) {
        let (Kept::Stored(StoredPart::Pointer(id)), Some(_)) = (moved.kept, moved.after) else {
            return;
        };
        let job = moved.job;
        for epoch in self.epochs.remove(&(job, id)).unwrap_or_default() {
            let newest = self.durable.entry((job, epoch)).or_insert(id);
            newest.0 = newest.0.max(id.0);
        }
        self.epochs.retain(|(of, older), _| *of != job || older.0 > id.0);
    }

    /// The newest durable checkpoint that covers what an attempt of this epoch lets wait for that one.
    pub fn of(&self, job: JobId, epoch: u64, waits: CheckpointId) -> Option<CheckpointId> {
        let durable = self.durable.get(&(job, epoch));
        durable.copied().filter(|durable| durable.0 >= waits.0)
    }
}

/// Whether what is kept of a job's end says that it has finished.
pub fn is_finished(result: &[u8]) -> bool {
    let stored = postcard::from_bytes::<StoredResult>(result);
    stored.is_ok_and(|stored| stored.result.status == JobStatus::Finished)
}
