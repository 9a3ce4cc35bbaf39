//! The result partitions of one task executor, and who reads them.

use super::{
    limits::PARTITIONS_MAX,
    subpartition::{ProducerSignal, Queued, Subpartition},
};
use crate::system::{ids::ResultPartitionId, task_executor::TaskError};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
};

/// The partitions of one task executor.
#[derive(Default)]
pub(super) struct ResultPartitionManager {
    partitions: Mutex<BTreeMap<ResultPartitionId, Vec<Arc<Subpartition>>>>,
}

/// Why a subpartition can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such partition now.
    NotFound,
    /// It has no such part, or that has a reader already.
    Refused,
}

impl ResultPartitionManager {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ResultPartitionId, Vec<Arc<Subpartition>>>> {
        self.partitions.lock().expect("no panic under this lock")
    }

    /// The partitions that are not yet read to their end.
    pub fn ids(&self) -> Vec<ResultPartitionId> {
        self.lock().keys().copied().collect()
    }

    /// Those whose producers have something left to write.
    pub fn unwritten(&self) -> Vec<ResultPartitionId> {
        let partitions = self.lock();
        let unwritten =
            partitions.iter().filter(|(_, parts)| !parts.iter().all(|p| p.is_written()));
        unwritten.map(|(id, _)| *id).collect()
    }

    /// Makes a partition known, with its parts.
    pub fn register(
        &self,
        id: ResultPartitionId,
        subpartitions: u32,
        signal: &Arc<ProducerSignal>,
    ) -> Result<Vec<Arc<Subpartition>>, TaskError> {
        let mut partitions = self.lock();
        if partitions.contains_key(&id) {
            return Err(TaskError::Deployment(format!("{id:?} is there already")));
        }
        if partitions.len() >= PARTITIONS_MAX {
            return Err(TaskError::Deployment("too many partitions".to_string()));
        }
        let part = |index| Arc::new(Subpartition::new(id, index, signal.clone()));
        let parts: Vec<_> = (0..subpartitions).map(part).collect();
        partitions.insert(id, parts.clone());
        Ok(parts)
    }

    /// Lets a reader begin.
    pub fn read(
        self: &Arc<Self>,
        id: ResultPartitionId,
        subpartition: u32,
        credit: u32,
    ) -> Result<Reader, Refusal> {
        let part = {
            let partitions = self.lock();
            let parts = partitions.get(&id).ok_or(Refusal::NotFound)?;
            parts.get(subpartition as usize).ok_or(Refusal::Refused)?.clone()
        };
        match part.begin_reading(credit) {
            true => Ok(Reader { subpartition: part, partitions: self.clone() }),
            false => Err(Refusal::Refused),
        }
    }

    /// Throws away the partitions that are wanted away; their readers fail.
    pub fn release(&self, which: impl Fn(&ResultPartitionId) -> bool) {
        let mut released = Vec::new();
        self.lock().retain(|id, parts| {
            let keep = !which(id);
            if !keep {
                released.append(parts);
            }
            keep
        });
        released.iter().for_each(|part| part.release());
    }

    /// Forgets a partition when nobody will read any part of it.
    fn forget_if_read(&self, id: ResultPartitionId) {
        let mut partitions = self.lock();
        let read = |parts: &Vec<Arc<Subpartition>>| parts.iter().all(|part| part.is_read());
        if partitions.get(&id).is_some_and(read) {
            partitions.remove(&id);
        }
    }
}

/// The one reader of a subpartition. Dropped before the last buffer, it fails the producer.
pub(super) struct Reader {
    subpartition: Arc<Subpartition>,
    partitions: Arc<ResultPartitionManager>,
}

impl Reader {
    /// Grants more credit; `false` when it is more than anyone grants.
    pub fn add_credit(&self, credit: u32, most: u32) -> bool {
        self.subpartition.add_credit(credit, most)
    }

    /// The next buffer, for one credit; `None` when the subpartition was released.
    pub async fn next(&self) -> Option<Queued> {
        poll_fn(|cx| self.subpartition.poll_next(cx)).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.subpartition.end_reading();
        self.partitions.forget_if_read(self.subpartition.partition());
    }
}
