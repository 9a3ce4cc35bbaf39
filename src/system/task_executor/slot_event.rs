//! The events of a task executor's slots and connections. All of them are self-reports.

use crate::{
    host::Evidence,
    system::{
        heartbeat::HeartbeatSession,
        ids::{AllocationId, ExecutionAttemptId, InstanceId, JobId, ResourceId},
        leadership::LeaderSessionId,
    },
};

/// Why a slot is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FreeCause {
    /// No master has taken it in time.
    NotTaken,
    /// The answer to a round of offers leaves it out.
    Refused {
        /// The connection to the master that answers.
        connection: HeartbeatSession,
        /// The round.
        round: u64,
    },
    /// A master's report does not list it.
    Unlisted {
        /// The connection to the master that reports.
        connection: HeartbeatSession,
        /// The round of offers up to which the master had answered.
        round: u64,
    },
    /// A leader of its job rejects the task executor.
    Rejected {
        /// The leader's term; none when nobody is known to lead any more.
        session: Option<LeaderSessionId>,
    },
}

/// Why a connection to a master ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartCause {
    /// The master said that it ends that connection.
    Told(HeartbeatSession),
    /// Nothing is heard over that connection, or nobody is found.
    Silent(HeartbeatSession),
    /// Another one leads, or nobody.
    Leader(Option<LeaderSessionId>),
    /// The master has refused a round of offers as a whole.
    OffersRefused {
        /// The round.
        round: u64,
    },
    /// No slot is held for the job.
    Unused,
}

/// Why the connection to a resource manager ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManagerCause {
    /// The resource manager said that it has dropped that registration.
    Told(InstanceId),
    /// Nothing is heard over that registration's connection, or nobody is found.
    Silent(InstanceId),
    /// Another one leads, or nobody.
    Leader(Option<LeaderSessionId>),
    /// The resource manager does not know the registration to which slots were reported.
    ReportRefused,
}

/// Why a task is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// Its slot is freed.
    Slot(AllocationId),
    /// The connection to its master is over.
    Master(HeartbeatSession),
    /// No slot is held for its job.
    Unused,
    /// A master of that term asks for it.
    Asked(LeaderSessionId),
    /// A master says that an attempt is none of its present ones.
    NotCurrent {
        /// The master's term.
        session: LeaderSessionId,
        /// The attempt of which it says so.
        of: ExecutionAttemptId,
    },
}

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
        /// Why.
        cause: PartCause,
    },
    /// It is no longer connected to that resource manager.
    ResourceManagerDisconnected {
        /// The task executor.
        resource: ResourceId,
        /// The registration.
        instance: InstanceId,
        /// Why.
        cause: ManagerCause,
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
        /// Why.
        cause: FreeCause,
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
    /// A task that has not ended is to end.
    TaskEnds {
        /// The task executor.
        resource: ResourceId,
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// Why.
        cause: EndCause,
    },
}

crate::event!(SlotEvent, |_| Evidence::SelfReport);
