//! The moments of the protocols that runs should reach, and on which triggers hang.

use super::history::EventRef;
use crate::{
    harness::scenario::{Field, ScenarioError, SystemKind},
    host::sim::{Hardware, ProcessEnd},
    jobs::journal::{self, JournalEvent},
    system::{
        client::ClientEvent,
        event::HeartbeatEvent,
        job_manager::JobEvent,
        leadership::LeadershipEvent,
        protocol::{DISPATCHER, ExecutionState, JobStatus, RESOURCE_MANAGER, component_job},
        service::{
            blobs::BlobEvent,
            coordination::{Change, CoordinationEvent, LeaseEnd},
            log::LogEvent,
        },
        store::{GRAPH_PREFIX, RESULT_PREFIX, StoredResult},
        task_executor::{SlotEvent, TaskEvent},
    },
};
use std::fmt;

/// Where a milestone can be reached.
type Where = &'static [SystemKind];

const JOURNAL: Where = &[SystemKind::Journal];
const JOBS: Where = &[SystemKind::WordCount];
const ANYWHERE: Where = SystemKind::ALL;

macro_rules! milestones {
    ($($name:ident = $text:literal, $at:ident, $doc:literal;)+) => {
        /// A moment of a protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Milestone {
            $(#[doc = $doc] $name,)+
        }

        impl Milestone {
            /// Every milestone.
            pub const ALL: &[Milestone] = &[$(Milestone::$name),+];

            /// The name used in files.
            pub fn name(self) -> &'static str {
                match self { $(Milestone::$name => $text),+ }
            }

            /// What it means, in a line.
            pub fn description(self) -> &'static str {
                match self { $(Milestone::$name => $doc),+ }
            }

            /// The systems in which it can be reached.
            pub fn systems(self) -> &'static [SystemKind] {
                match self { $(Milestone::$name => $at),+ }
            }
        }
    };
}

milestones! {
    LatchTaken = "latch-taken", ANYWHERE, "The latch of the election was written durably.";
    LeaderGranted = "leader-granted", ANYWHERE, "A contender was told that it leads.";
    LeaderConfirmed = "leader-confirmed", ANYWHERE, "A contender's confirmation was accepted.";
    LeaderPublished = "leader-published", ANYWHERE, "The leader record was written durably.";
    LeaderRevoked = "leader-revoked", ANYWHERE, "A contender was told that it no longer leads.";
    LeaderUnknown = "leader-unknown", ANYWHERE, "A follower was told that the leader is unknown.";
    LeaderNotified = "leader-notified", ANYWHERE, "A follower was told who leads.";
    SessionConnected = "session-connected", ANYWHERE, "A client of the coordination service has a lease.";
    SessionSuspended = "session-suspended", ANYWHERE, "A client has no contact; its lease may live.";
    SessionReconnected = "session-reconnected", ANYWHERE, "A client has contact again within its lease.";
    SessionLost = "session-lost", ANYWHERE, "A client knows that its lease is over.";
    LeaseExpired = "lease-expired", ANYWHERE, "The coordination server let a lease expire.";
    CoordinationRecovered = "coordination-recovered", ANYWHERE, "The coordination server recovered from a disk that was not empty.";
    JournalServing = "journal-serving", JOURNAL, "A journal leader has recovered and serves.";
    JournalRecovered = "journal-recovered", JOURNAL, "A journal leader has recovered entries of an earlier one.";
    JournalWritten = "journal-written", JOURNAL, "Lines were written durably.";
    JournalAcknowledged = "journal-acknowledged", JOURNAL, "A client was told that lines stand.";
    ClientFinished = "client-finished", JOURNAL, "A client has nothing more to send.";
    JobAcknowledged = "job-acknowledged", JOBS, "A dispatcher told a client that it has taken a job on.";
    GraphStored = "graph-stored", JOBS, "A job's graph was written durably.";
    DispatcherServing = "dispatcher-serving", JOBS, "A dispatcher has read what is kept of jobs and serves.";
    JobRecovered = "job-recovered", JOBS, "A dispatcher goes on with a job of an earlier one.";
    ExecutorRegistered = "executor-registered", JOBS, "A resource manager registered a task executor.";
    MasterRegistered = "master-registered", JOBS, "A resource manager registered a job's master.";
    SlotRequested = "slot-requested", JOBS, "A resource manager asked for a slot.";
    SlotAllocated = "slot-allocated", JOBS, "A task executor holds a slot for a job.";
    SlotsOffered = "slots-offered", JOBS, "A task executor offered its slots to a master.";
    OfferAnswered = "offer-answered", JOBS, "A task executor applied the answer to its offer.";
    SlotFreed = "slot-freed", JOBS, "A task executor gave a slot back.";
    JobScheduled = "job-scheduled", JOBS, "A master deployed all tasks of its job.";
    JobRestored = "job-restored", JOBS, "A master deployed tasks that begin from a checkpoint.";
    TaskAccepted = "task-accepted", JOBS, "A task executor took an attempt on.";
    TaskFailed = "task-failed", JOBS, "A task failed.";
    CheckpointTriggered = "checkpoint-triggered", JOBS, "A checkpoint began.";
    SnapshotTaken = "snapshot-taken", JOBS, "A task took its part of a checkpoint.";
    CheckpointAcknowledged = "checkpoint-acknowledged", JOBS, "A master has a task's part of a checkpoint.";
    MetadataStored = "metadata-stored", JOBS, "The metadata of a checkpoint was written durably.";
    PointerStored = "pointer-stored", JOBS, "The pointer to a checkpoint was written durably.";
    CheckpointCompleted = "checkpoint-completed", JOBS, "A checkpoint is complete, and everyone may know.";
    CheckpointConfirmed = "checkpoint-confirmed", JOBS, "A task was told that a checkpoint is complete.";
    CheckpointAborted = "checkpoint-aborted", JOBS, "A checkpoint has come to nothing.";
    PointerInDoubt = "pointer-in-doubt", JOBS, "A master has no answer whether a checkpoint's pointer stands, and fences it.";
    FinalCheckpoint = "final-checkpoint", JOBS, "The final checkpoint of a job is complete.";
    TransactionPrepared = "transaction-prepared", JOBS, "A sink's transaction waits for its checkpoint.";
    TransactionCommitted = "transaction-committed", JOBS, "A sink's transaction was committed.";
    TransactionAborted = "transaction-aborted", JOBS, "A sink's transaction was aborted.";
    JobRestarting = "job-restarting", JOBS, "A job's tasks are being ended, to start again.";
    ExecutorLost = "executor-lost", JOBS, "A master gave a task executor up.";
    MasterDisconnected = "master-disconnected", JOBS, "A task executor is no longer connected to a master.";
    HeartbeatLost = "heartbeat-lost", JOBS, "A heartbeat timed out, or its target was unreachable.";
    ResultDirty = "result-dirty", JOBS, "A job's result was written durably; its leftovers are still there.";
    CleanupStarted = "cleanup-started", JOBS, "A dispatcher began to remove what a job left.";
    ResultClean = "result-clean", JOBS, "Nothing is left of a job but its result.";
    CancellationAcknowledged = "cancellation-acknowledged", JOBS, "A dispatcher told a client that a job will end as canceled.";
    JobFinished = "job-finished", JOBS, "A client knows that its job has finished.";
    JobCanceled = "job-canceled", JOBS, "A client knows that its job was canceled.";
    BlobsRecovered = "blobs-recovered", JOBS, "The blob server recovered from a disk that was not empty.";
    LogRecovered = "log-recovered", JOBS, "The log server recovered from a disk that was not empty.";
    ProcessRestarted = "process-restarted", ANYWHERE, "A process began that is not its node's first.";
    ProcessExited = "process-exited", ANYWHERE, "A process ended itself.";
}

/// What is led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// The dispatchers.
    Dispatcher,
    /// The resource managers.
    ResourceManager,
    /// A job's masters.
    Job,
    /// The journal nodes.
    Journal,
}

impl Milestone {
    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|milestone| milestone.name() == name)
    }

    /// The milestones that can be reached where that system runs.
    pub fn known(system: SystemKind) -> Vec<Milestone> {
        let reached = |milestone: &Milestone| milestone.systems().contains(&system);
        Self::ALL.iter().copied().filter(reached).collect()
    }

    /// Whether its events name a checkpoint, so that a trigger can ask for its number.
    pub fn has_checkpoint(self) -> bool {
        matches!(
            self,
            Milestone::CheckpointTriggered
                | Milestone::SnapshotTaken
                | Milestone::CheckpointAcknowledged
                | Milestone::CheckpointCompleted
                | Milestone::CheckpointConfirmed
                | Milestone::CheckpointAborted
                | Milestone::FinalCheckpoint
        )
    }

    /// The number of the checkpoint that an event is of.
    pub fn checkpoint_of(seen: EventRef<'_>) -> Option<u64> {
        let checkpoint = match seen {
            EventRef::Job(
                JobEvent::CheckpointTriggered { checkpoint, .. }
                | JobEvent::CheckpointAcknowledged { checkpoint, .. }
                | JobEvent::CheckpointCompleted { checkpoint, .. }
                | JobEvent::CheckpointAborted { checkpoint, .. },
            )
            | EventRef::Task(
                TaskEvent::SnapshotTaken { checkpoint, .. }
                | TaskEvent::CheckpointConfirmed { checkpoint, .. },
            ) => checkpoint,
            _ => return None,
        };
        Some(checkpoint.0)
    }

    /// Whether its events name a leadership, so that a trigger can ask for it.
    pub fn has_component(self) -> bool {
        matches!(
            self,
            Milestone::LeaderGranted
                | Milestone::LeaderConfirmed
                | Milestone::LeaderRevoked
                | Milestone::LeaderUnknown
                | Milestone::LeaderNotified
        )
    }

    /// The leadership that an event is of.
    pub fn leadership_of(seen: EventRef<'_>) -> Option<Leadership> {
        let EventRef::Leadership(
            LeadershipEvent::Granted { component, .. }
            | LeadershipEvent::Confirmed { component, .. }
            | LeadershipEvent::Revoked { component, .. }
            | LeadershipEvent::LeaderNotified { component, .. },
        ) = seen
        else {
            return None;
        };
        match component.as_str() {
            DISPATCHER => Some(Leadership::Dispatcher),
            RESOURCE_MANAGER => Some(Leadership::ResourceManager),
            journal::COMPONENT => Some(Leadership::Journal),
            other => component_job(other).map(|_| Leadership::Job),
        }
    }

    /// Whether its events name a job's attempt, so that a trigger can ask for its number.
    pub fn has_attempt(self) -> bool {
        matches!(
            self,
            Milestone::JobScheduled
                | Milestone::JobRestored
                | Milestone::TaskAccepted
                | Milestone::TaskFailed
                | Milestone::SnapshotTaken
                | Milestone::CheckpointAcknowledged
                | Milestone::CheckpointConfirmed
        )
    }

    /// The number of the job's attempt, its epoch, that an event is of.
    pub fn attempt_of(seen: EventRef<'_>) -> Option<u64> {
        match seen {
            EventRef::Job(JobEvent::Scheduled { epoch, .. }) => Some(*epoch),
            EventRef::Job(JobEvent::CheckpointAcknowledged { attempt, .. })
            | EventRef::Task(
                TaskEvent::StateChanged { attempt, .. }
                | TaskEvent::SnapshotTaken { attempt, .. }
                | TaskEvent::CheckpointConfirmed { attempt, .. },
            )
            | EventRef::Slot(SlotEvent::TaskAccepted { attempt, .. }) => Some(attempt.epoch),
            _ => None,
        }
    }

    /// Reads a key's value as it is understood where that system runs.
    ///
    /// # Errors
    /// When there is no such milestone, or it can't be reached there.
    pub fn read(field: &Field, system: SystemKind) -> Result<Self, ScenarioError> {
        let name = field.text()?;
        match Self::parse(&name) {
            Some(found) if found.systems().contains(&system) => Ok(found),
            Some(_) => {
                let what = format!("a {system} never reaches \"{name}\"");
                let help = "see `wavetank list --milestones`".to_string();
                Err(field.refused(what).with_help(help))
            }
            None => {
                let known: Vec<&str> = Self::known(system).iter().map(|m| m.name()).collect();
                Err(field.unknown(&known, "list --milestones"))
            }
        }
    }

    /// The milestones that an event is.
    pub fn of(incarnation: u64, seen: EventRef<'_>) -> Vec<Milestone> {
        match seen {
            EventRef::Hardware(event) => {
                Self::of_hardware(incarnation, event).into_iter().collect()
            }
            EventRef::Coordination(event) => Self::of_coordination(event),
            EventRef::Leadership(event) => Self::of_leadership(event).into_iter().collect(),
            EventRef::Journal(event) => Self::of_journal(event),
            EventRef::Job(event) => Self::of_job(event),
            EventRef::Task(event) => Self::of_task(event).into_iter().collect(),
            EventRef::Slot(event) => Self::of_slot(event).into_iter().collect(),
            EventRef::Blob(event) => Self::of_blob(event).into_iter().collect(),
            EventRef::Log(event) => Self::of_log(event).into_iter().collect(),
            EventRef::Client(ClientEvent::Ended { result, .. }) => Self::of_end(result.status),
            EventRef::Heartbeat(
                HeartbeatEvent::TimedOut { .. } | HeartbeatEvent::Unreachable { .. },
            ) => vec![Milestone::HeartbeatLost],
            _ => Vec::new(),
        }
    }

    fn of_end(status: JobStatus) -> Vec<Milestone> {
        match status {
            JobStatus::Finished => vec![Milestone::JobFinished],
            JobStatus::Canceled => vec![Milestone::JobCanceled],
            _ => Vec::new(),
        }
    }

    fn of_job(event: &JobEvent) -> Vec<Milestone> {
        let one = match event {
            JobEvent::SubmissionAcknowledged { .. } => Milestone::JobAcknowledged,
            JobEvent::DispatcherServing { jobs, .. } if jobs.is_empty() => {
                Milestone::DispatcherServing
            }
            JobEvent::DispatcherServing { .. } => {
                return vec![Milestone::DispatcherServing, Milestone::JobRecovered];
            }
            JobEvent::CleanupStarted { .. } => Milestone::CleanupStarted,
            JobEvent::StatusChanged { status: JobStatus::Restarting, .. } => {
                Milestone::JobRestarting
            }
            JobEvent::Scheduled { restored: None, .. } => Milestone::JobScheduled,
            JobEvent::Scheduled { restored: Some(_), .. } => {
                return vec![Milestone::JobScheduled, Milestone::JobRestored];
            }
            JobEvent::ExecutorLost { .. } => Milestone::ExecutorLost,
            JobEvent::CheckpointTriggered { .. } => Milestone::CheckpointTriggered,
            JobEvent::CheckpointAcknowledged { .. } => Milestone::CheckpointAcknowledged,
            JobEvent::CheckpointCompleted { last: false, .. } => Milestone::CheckpointCompleted,
            JobEvent::CheckpointCompleted { last: true, .. } => {
                return vec![Milestone::CheckpointCompleted, Milestone::FinalCheckpoint];
            }
            JobEvent::CheckpointAborted { .. } => Milestone::CheckpointAborted,
            JobEvent::PointerInDoubt { .. } => Milestone::PointerInDoubt,
            JobEvent::CancellationAcknowledged { .. } => Milestone::CancellationAcknowledged,
            JobEvent::ExecutorRegistered { .. } => Milestone::ExecutorRegistered,
            JobEvent::MasterRegistered { .. } => Milestone::MasterRegistered,
            JobEvent::SlotRequested { .. } => Milestone::SlotRequested,
            _ => return Vec::new(),
        };
        vec![one]
    }

    fn of_task(event: &TaskEvent) -> Option<Milestone> {
        match event {
            TaskEvent::StateChanged { state: ExecutionState::Failed, .. } => {
                Some(Milestone::TaskFailed)
            }
            TaskEvent::SnapshotTaken { .. } => Some(Milestone::SnapshotTaken),
            TaskEvent::CheckpointConfirmed { .. } => Some(Milestone::CheckpointConfirmed),
            _ => None,
        }
    }

    fn of_slot(event: &SlotEvent) -> Option<Milestone> {
        match event {
            SlotEvent::SlotAllocated { .. } => Some(Milestone::SlotAllocated),
            SlotEvent::SlotsOffered { .. } => Some(Milestone::SlotsOffered),
            SlotEvent::OfferAnswered { .. } => Some(Milestone::OfferAnswered),
            SlotEvent::SlotFreed { .. } => Some(Milestone::SlotFreed),
            SlotEvent::TaskAccepted { .. } => Some(Milestone::TaskAccepted),
            SlotEvent::MasterDisconnected { .. } => Some(Milestone::MasterDisconnected),
            _ => None,
        }
    }

    fn of_blob(event: &BlobEvent) -> Option<Milestone> {
        match event {
            BlobEvent::Stored { name, .. } if name.ends_with("/metadata") => {
                Some(Milestone::MetadataStored)
            }
            BlobEvent::Recovered { blobs, sealed } if !(blobs.is_empty() && sealed.is_empty()) => {
                Some(Milestone::BlobsRecovered)
            }
            _ => None,
        }
    }

    fn of_log(event: &LogEvent) -> Option<Milestone> {
        match event {
            LogEvent::TransactionPrepared { .. } => Some(Milestone::TransactionPrepared),
            LogEvent::TransactionCommitted { .. } => Some(Milestone::TransactionCommitted),
            LogEvent::TransactionAborted { .. } => Some(Milestone::TransactionAborted),
            LogEvent::Recovered { ends, .. } if !ends.is_empty() => Some(Milestone::LogRecovered),
            _ => None,
        }
    }

    fn of_hardware(incarnation: u64, event: &Hardware) -> Option<Milestone> {
        match event {
            Hardware::Booted if incarnation > 1 => Some(Milestone::ProcessRestarted),
            Hardware::Ended(ProcessEnd::Exited { .. }) => Some(Milestone::ProcessExited),
            _ => None,
        }
    }

    fn of_coordination(event: &CoordinationEvent) -> Vec<Milestone> {
        match event {
            CoordinationEvent::Recovered { keys, .. } if !keys.is_empty() => {
                vec![Milestone::CoordinationRecovered]
            }
            CoordinationEvent::Committed { changes, .. } => {
                let mut reached: Vec<Milestone> =
                    changes.iter().filter_map(Self::of_change).collect();
                reached.sort();
                reached.dedup();
                reached
            }
            CoordinationEvent::LeaseEnded { end: LeaseEnd::Expired, .. } => {
                vec![Milestone::LeaseExpired]
            }
            CoordinationEvent::SessionConnected { .. } => vec![Milestone::SessionConnected],
            CoordinationEvent::SessionSuspended { .. } => vec![Milestone::SessionSuspended],
            CoordinationEvent::SessionReconnected { .. } => vec![Milestone::SessionReconnected],
            CoordinationEvent::SessionLost { .. } => vec![Milestone::SessionLost],
            _ => Vec::new(),
        }
    }

    fn of_change(change: &Change) -> Option<Milestone> {
        let Change::Put { key, value, .. } = change else { return None };
        let of = |prefix: &str| key.starts_with(prefix);
        if of("/election/") {
            let ends = |end| key.ends_with(end);
            return ends("/latch")
                .then_some(Milestone::LatchTaken)
                .or(ends("/leader").then_some(Milestone::LeaderPublished));
        }
        if of(RESULT_PREFIX) {
            let dirty = postcard::from_bytes::<StoredResult>(value).is_ok_and(|found| found.dirty);
            return Some(if dirty { Milestone::ResultDirty } else { Milestone::ResultClean });
        }
        if of(GRAPH_PREFIX) {
            return Some(Milestone::GraphStored);
        }
        if of("/jobs/checkpoint/") && key.contains("/pointer/") {
            return Some(Milestone::PointerStored);
        }
        (*key == journal::TAIL_KEY).then_some(Milestone::JournalWritten)
    }

    fn of_leadership(event: &LeadershipEvent) -> Option<Milestone> {
        match event {
            LeadershipEvent::Granted { .. } => Some(Milestone::LeaderGranted),
            LeadershipEvent::Confirmed { .. } => Some(Milestone::LeaderConfirmed),
            LeadershipEvent::Revoked { .. } => Some(Milestone::LeaderRevoked),
            LeadershipEvent::LeaderNotified { leader: Some(_), .. } => {
                Some(Milestone::LeaderNotified)
            }
            LeadershipEvent::LeaderNotified { leader: None, .. } => Some(Milestone::LeaderUnknown),
            _ => None,
        }
    }

    fn of_journal(event: &JournalEvent) -> Vec<Milestone> {
        match event {
            JournalEvent::Serving { entries: 0 } => vec![Milestone::JournalServing],
            JournalEvent::Serving { .. } => {
                vec![Milestone::JournalServing, Milestone::JournalRecovered]
            }
            JournalEvent::Acknowledged { .. } => vec![Milestone::JournalAcknowledged],
            JournalEvent::ClientFinished { .. } => vec![Milestone::ClientFinished],
        }
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
