//! The events of a task executor's slots and connections. All of them are self-reports.

use crate::{
    host::Evidence,
    system::{
        heartbeat::HeartbeatSession,
        ids::{AllocationId, ExecutionAttemptId, InstanceId, JobId, ResourceId},
        leadership::LeaderSessionId,
    },
};

/// An event of a task executor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SlotEvent {
    /// It is registered at a resource manager.
    Registered {
        /// The task executor.
        resource: ResourceId,
        /// The resource manager's term.
        session: LeaderSessionId,
        /// The registration.
        instance: InstanceId,
    },
    /// It is connected to a job's master.
    MasterConnected {
        /// The task executor.
        resource: ResourceId,
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The connection.
        connection: HeartbeatSession,
    },
    /// It is no longer connected to that master.
    MasterDisconnected {
        /// The task executor.
        resource: ResourceId,
        /// The job.
        job: JobId,
        /// The master's term.
        session: LeaderSessionId,
        /// The connection.
        connection: HeartbeatSession,
        /// The connection that the master said it ends, if it did.
        told: Option<HeartbeatSession>,
    },
    /// It is no longer connected to that resource manager.
    ResourceManagerDisconnected {
        /// The task executor.
        resource: ResourceId,
        /// The registration.
        instance: InstanceId,
        /// The registration that the resource manager said it had dropped, if it did.
        told: Option<InstanceId>,
    },
    /// A slot is held for a job.
    SlotAllocated {
        /// The task executor.
        resource: ResourceId,
        /// The slot.
        index: u32,
        /// The job.
        job: JobId,
        /// The hold.
        allocation: AllocationId,
    },
    /// A round of offers is sent.
    SlotsOffered {
        /// The task executor.
        resource: ResourceId,
        /// The job.
        job: JobId,
        /// The round, which grows within a life of the task executor.
        round: u64,
    },
    /// The answer to a round of offers is applied.
    OfferAnswered {
        /// The task executor.
        resource: ResourceId,
        /// The job.
        job: JobId,
        /// The round.
        round: u64,
    },
    /// A slot is taken by its job's master.
    SlotActivated {
        /// The task executor.
        resource: ResourceId,
        /// The hold.
        allocation: AllocationId,
    },
    /// Nobody holds a slot any more.
    SlotFreed {
        /// The task executor.
        resource: ResourceId,
        /// The slot.
        index: u32,
        /// The hold.
        allocation: AllocationId,
        /// The round of offers up to which a master's report had answered, if the slot was freed
        /// because the report does not list it.
        unlisted: Option<u64>,
    },
    /// A canceled task does not end, and the task executor ends itself for that.
    TaskStuck {
        /// The task executor.
        resource: ResourceId,
        /// The attempt.
        attempt: ExecutionAttemptId,
    },
    /// An attempt is taken on.
    TaskAccepted {
        /// The task executor.
        resource: ResourceId,
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The hold on its slot.
        allocation: AllocationId,
        /// The term of the master that deploys it.
        job_master: LeaderSessionId,
    },
    /// An attempt is refused for want of its slot.
    TaskRefused {
        /// The task executor.
        resource: ResourceId,
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The hold that it names.
        allocation: AllocationId,
    },
}

crate::event!(SlotEvent, |_| Evidence::SelfReport);
