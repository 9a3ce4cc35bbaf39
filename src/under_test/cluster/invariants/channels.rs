//! What is remembered of each channel between tasks, no longer than needed.

use crate::system::{
    ids::{JobId, ResultPartitionId},
    job_manager::JobEvent,
};
use std::collections::BTreeMap;

/// Of each channel of the newest epochs of each job.
pub struct Channels<T> {
    channels: BTreeMap<(ResultPartitionId, u32), T>,
    /// The epoch of each job from which on channels are looked at.
    newest: BTreeMap<JobId, u64>,
}

impl<T> Default for Channels<T> {
    fn default() -> Self {
        Channels { channels: BTreeMap::new(), newest: BTreeMap::new() }
    }
}

impl<T: Default> Channels<T> {
    /// What is known of a channel; `None` when a newer epoch has begun, or its job has ended: then
    /// nobody stands on what still goes over it.
    pub fn of(&mut self, partition: ResultPartitionId, subpartition: u32) -> Option<&mut T> {
        let newest = self.newest.get(&partition.producer.job);
        if newest.is_some_and(|newest| partition.producer.epoch < *newest) {
            return None;
        }
        Some(self.channels.entry((partition, subpartition)).or_default())
    }

    /// Forgets what nobody stands on any more.
    pub fn observe(&mut self, event: &JobEvent) {
        match event {
            JobEvent::Scheduled { job, epoch, .. } => self.forget(*job, *epoch),
            JobEvent::CleanupStarted { job, .. } => self.forget(*job, u64::MAX),
            _ => {}
        }
    }

    fn forget(&mut self, job: JobId, epoch: u64) {
        let newest = self.newest.entry(job).or_default();
        *newest = (*newest).max(epoch);
        let newest = *newest;
        self.channels.retain(|(partition, _), _| {
            partition.producer.job != job || partition.producer.epoch >= newest
        });
    }
}
