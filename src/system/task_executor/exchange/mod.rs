//! How records go from task to task: result partitions, and channels that read them by credit.
//!
//! A consumer opens one stream per channel to the producer's task executor, or reads the queue itself
//! when both tasks run in one; the buffers, the sequence numbers and the credits are the same. A
//! subpartition is read once, by one reader.
//!
//! Deliberately absent: retries of a broken channel. Both tasks fail, and the job restarts them.

mod channel;
mod inbox;
mod server;
mod subpartition;
mod wire;
mod writer;

use crate::{
    host::{Host, NodeAddress, Task},
    system::{
        ids::{ExecutionAttemptId, JobId, ResultPartitionId},
        task_executor::TaskError,
    },
};
pub use channel::PartitionRequestBackoff;
pub(super) use channel::{ChannelEnvironment, drive_channels};
pub use inbox::ChannelError;
pub(super) use inbox::Inbox;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};
use subpartition::{ProducerSignal, Reader, Subpartition};
pub use wire::WireError;
pub(super) use wire::{Buffer, Content, Event, records};
pub(super) use writer::RecordWriter;

/// Bytes of encoded records in one buffer at most.
pub const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// The longest record: it fills a buffer.
pub const RECORD_BYTES_MAX: usize = BUFFER_BYTES_MAX - wire::RECORD_HEADER_BYTES;

/// Data buffers that wait in one subpartition before the producer waits; one more for each event.
pub const SUBPARTITION_BUFFERS_MAX: usize = 4;

/// Events that wait in one subpartition, besides the data, before the producer waits.
pub const SUBPARTITION_EVENTS_MAX: usize = 64;

/// Buffers that a channel may have received and not yet handled: the credit that it grants.
pub const CHANNEL_CREDIT: u32 = 4;

/// Partitions of one task executor at most.
const PARTITIONS_MAX: usize = 64 * 1024;

/// The partitions of the tasks of one task executor, and the door to them.
///
/// Cloning gives another handle; when the last is dropped, the door closes and what is under way ends.
#[derive(Clone)]
pub struct ShuffleEnvironment {
    partitions: Arc<ResultPartitionManager>,
    address: NodeAddress,
    _server: Arc<Server>,
}

/// Ends the server with the last handle.
struct Server(Task);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl ShuffleEnvironment {
    /// Opens the door on `port`; 0 takes a free port.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    pub async fn start(host: &Host, port: u16) -> io::Result<ShuffleEnvironment> {
        let listener = host.listen(port).await?;
        let address = NodeAddress::new(host.hostname(), listener.address().port);
        let partitions = Arc::new(ResultPartitionManager::default());
        let server = host.spawn(server::serve(host.clone(), listener, partitions.clone()));
        Ok(ShuffleEnvironment { partitions, address, _server: Arc::new(Server(server)) })
    }

    /// Where consumers find the partitions.
    pub fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// Throws away the partitions of an attempt; their readers fail.
    pub fn release(&self, attempt: ExecutionAttemptId) {
        self.partitions.release(|partition| partition.producer == attempt);
    }

    /// Throws away the partitions of a job; their readers fail.
    pub fn release_job(&self, job: JobId) {
        self.partitions.release(|partition| partition.producer.job == job);
    }

    /// The partitions that are not yet read to their end.
    pub fn partitions(&self) -> Vec<ResultPartitionId> {
        self.partitions.lock().keys().copied().collect()
    }
}

/// The partitions of one task executor.
#[derive(Default)]
struct ResultPartitionManager {
    partitions: Mutex<BTreeMap<ResultPartitionId, Vec<Arc<Subpartition>>>>,
}

/// Why a subpartition can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// There is no such partition now.
    NotFound,
    /// It has no such part, or that has a reader already.
    Refused,
}

impl ResultPartitionManager {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ResultPartitionId, Vec<Arc<Subpartition>>>> {
        self.partitions.lock().expect("no panic under this lock")
    }

    /// Makes a partition known, with its parts.
    fn register(
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

    fn read(
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
        part.read(self, credit).ok_or(Refusal::Refused)
    }

    fn release(&self, which: impl Fn(&ResultPartitionId) -> bool) {
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
