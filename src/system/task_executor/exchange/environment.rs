//! The partitions of one task executor and the server of them, as its tasks hold them.

use super::{partitions::ResultPartitionManager, server};
use crate::{
    host::{Host, NodeAddress, Task},
    system::ids::{ExecutionAttemptId, JobId, ResultPartitionId},
};
use std::{io, sync::Arc};

/// The partitions of the tasks of one task executor, and the server of them.
///
/// Cloning gives another handle; when the last is dropped, the server stops and what is under way ends.
#[derive(Clone)]
pub struct ShuffleEnvironment {
    pub(super) partitions: Arc<ResultPartitionManager>,
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
    /// Serves them on `port`; 0 takes a free port.
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

    /// The partitions that are not yet written to their end.
    pub fn unwritten(&self) -> Vec<ResultPartitionId> {
        self.partitions.unwritten()
    }

    /// The partitions that are not yet read to their end.
    pub fn partitions(&self) -> Vec<ResultPartitionId> {
        self.partitions.ids()
    }
}
