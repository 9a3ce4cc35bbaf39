//! What is remembered of each channel between tasks, no longer than needed.

use crate::system::{
    ids::{ExecutionVertexId, JobId, ResultPartitionId},
    job_manager::JobEvent,
};
use std::collections::BTreeMap;

/// Of each channel of the newest epochs of each job.
pub struct Channels<T> {
    channels: BTreeMap<(ResultPartitionId, u32), T>,
    /// The epoch of each producing subtask from which on channels are looked at.
    newest: BTreeMap<(JobId, ExecutionVertexId), u64>,
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
        let producer = partition.producer;
        let newest = self.newest.get(&(producer.job, producer.vertex));
        if newest.is_some_and(|newest| producer.epoch < *newest) {
            return None;
        }
        Some(self.channels.entry((partition, subpartition)).or_default())
    }

    /// Forgets what nobody stands on any more.
    pub fn observe(&mut self, event: &JobEvent) {
        match event {
            JobEvent::Scheduled { job, epoch, vertices, .. } => {
                for vertex in vertices {
                    let newest = self.newest.entry((*job, *vertex)).or_default();
                    *newest = (*newest).max(*epoch);
                }
                self.forget(*job);
            }
            JobEvent::CleanupStarted { job, .. } => {
                self.newest.iter_mut().filter(|((of, _), _)| of == job).for_each(|(_, newest)| {
                    *newest = u64::MAX;
                });
                self.forget(*job);
            }
            _ => {}
        }
    }

    fn forget(&mut self, job: JobId) {
        let newest = &self.newest;
        self.channels.retain(|(partition, _), _| {
            let producer = partition.producer;
            let newest = newest.get(&(producer.job, producer.vertex));
            producer.job != job || newest.is_none_or(|newest| producer.epoch >= *newest)
        });
    }
}
