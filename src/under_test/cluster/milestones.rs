//! The moments of the cluster's protocols that runs should reach, and on which faults hang.

use super::{
    callers::CallerEvent,
    event_ref::EventRef,
    model::Model,
    provider::ProviderEvent,
    rest_reader::{RestEvent, RestQuestion},
};
use crate::{
    harness::event::{Answer, Ask, AskedValues, EventKind, Milestone, MilestoneSpec, event_as},
    host::Event,
    jobs::common::SAVEPOINTS,
    system::{
        client::ClientEvent,
        connector::{SinkEvent, SourceEvent},
        dataflow::{WatermarkStatus, WindowEvent},
        heartbeat::HeartbeatEvent,
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        leadership::{ElectionPart, LeadershipEvent, parse_election_key},
        protocol::{
            AfterSavepoint, DISPATCHER, ExecutionState, JobStatus, RESOURCE_MANAGER, component_job,
        },
        request_reply::{Ending, FrontEndEvent},
        service::{
            coordination::{Change, CoordinationEvent, LeaseEnd},
            database::{DatabaseEvent, DatabaseRefusal},
            log::LogEvent,
            object_store::ObjectStoreEvent,
        },
        store::{StoreKey, StoredPart, StoredResult},
        task_executor::{SlotEvent, TaskEvent},
    },
};

/// Only of the checkpoint of this number.
const CHECKPOINT: Ask = Ask {
    key: "checkpoint",
    what: "number of a checkpoint",
    of: Answer::Event(|event| Some(checkpoint_of(event)?.1.0.to_string())),
    values: AskedValues::Number,
};
/// Only while so many checkpoints of the job are in flight, this one included.
const IN_FLIGHT: Ask = Ask {
    key: "in-flight",
    what: "count of checkpoints in flight",
    of: Answer::State(|event, model| {
        let (job, checkpoint) = checkpoint_of(event)?;
        let model: &Model = model.downcast_ref()?;
        let others = model.in_flight(job).filter(|other| *other != checkpoint).count();
        Some((others + 1).to_string())
    }),
    values: AskedValues::Number,
};
/// Only of a checkpoint than which so many of those in flight are newer.
const NEWER: Ask = Ask {
    key: "newer",
    what: "count of newer checkpoints in flight",
    of: Answer::State(|event, model| {
        let (job, checkpoint) = checkpoint_of(event)?;
        let model: &Model = model.downcast_ref()?;
        Some(model.in_flight(job).filter(|other| *other > checkpoint).count().to_string())
    }),
    values: AskedValues::Number,
};
/// Only of the job's attempt of this number.
const ATTEMPT: Ask = Ask {
    key: "attempt",
    what: "number of an attempt",
    of: Answer::Event(attempt_of),
    values: AskedValues::Number,
};
/// Only of this leadership.
const LEADERSHIP: Ask = Ask {
    key: "of",
    what: "leadership",
    of: Answer::Event(leadership_of),
    values: AskedValues::Words(&["dispatcher", "resource-manager", "web-monitor", "job"]),
};

/// By what contenders believe.
const OF_BELIEFS: &[Milestone] = &[Milestone::new(
    const {
        &MilestoneSpec {
            name: "two-leaders-believed",
            description: "A contender was told that it leads while another one still believes so.",
            kind: EventKind::of::<LeadershipEvent>(),
            is: |_, event| matches!(event_as(event), Some(LeadershipEvent::Granted { .. })),
            besides: Some(|event, model| {
                let granted = match (event_as(event), model.downcast_ref::<Model>()) {
                    (Some(LeadershipEvent::Granted { component, .. }), Some(model)) => {
                        model.granted.keys().filter(|(_, of)| of == component).count()
                    }
                    _ => 0,
                };
                granted > 1
            }),
            asks: &[LEADERSHIP],
        }
    },
)];

/// Those of elections and of the coordination service: every system that stands on the foundation reaches
/// them.
pub fn of_foundation() -> Vec<Milestone> {
    [OF_COORDINATION, OF_LEADERSHIP].concat()
}

/// All of a cluster that runs jobs.
pub fn all() -> Vec<Milestone> {
    let own = [
        OF_BELIEFS,
        OF_STORES,
        OF_JOBS,
        OF_SLOTS,
        OF_TASKS,
        OF_WINDOWS,
        OF_OBJECTS,
        OF_LOGS,
        OF_SOURCES,
        OF_DATABASES,
        OF_SINKS,
        OF_HEARTBEATS,
        OF_CLIENTS,
        OF_REST,
        OF_PROVIDERS,
        OF_FRONT_ENDS,
        OF_CALLERS,
    ];
    of_foundation().into_iter().chain(own.concat()).collect()
}

crate::milestones! {
    OF_COORDINATION: CoordinationEvent {
        "latch-taken" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(|change| writes_election(change, ElectionPart::Latch)), "The latch of the election was written durably.";
        "leader-published" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(|change| writes_election(change, ElectionPart::Leader)), "The leader record was written durably.";
        "session-connected" = _, CoordinationEvent::SessionConnected { .. }, "A client of the coordination service has a lease.";
        "session-suspended" = _, CoordinationEvent::SessionSuspended { .. }, "A client has no contact; its lease may live.";
        "session-reconnected" = _, CoordinationEvent::SessionReconnected { .. }, "A client has contact again within its lease.";
        "session-lost" = _, CoordinationEvent::SessionLost { .. }, "A client knows that its lease is over.";
        "lease-expired" = _, CoordinationEvent::LeaseEnded { end: LeaseEnd::Expired, .. }, "The coordination server let a lease expire.";
        "coordination-recovered" = _, CoordinationEvent::Recovered { keys, .. } if !keys.is_empty(), "The coordination server recovered from a disk that was not empty.";
    }
    OF_LEADERSHIP: LeadershipEvent {
        "leader-granted" [LEADERSHIP] = _, LeadershipEvent::Granted { .. }, "A contender was told that it leads.";
        "leader-confirmed" [LEADERSHIP] = _, LeadershipEvent::Confirmed { .. }, "A contender's confirmation was accepted.";
        "leader-revoked" [LEADERSHIP] = _, LeadershipEvent::Revoked { .. }, "A contender was told that it no longer leads.";
        "leader-unknown" [LEADERSHIP] = _, LeadershipEvent::LeaderNotified { leader: None, .. }, "A follower was told that the leader is unknown.";
        "leader-notified" [LEADERSHIP] = _, LeadershipEvent::LeaderNotified { leader: Some(_), .. }, "A follower was told who leads.";
    }
    OF_STORES: CoordinationEvent {
        "graph-stored" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(|change| stores(change, |part| part == StoredPart::Graph)), "A job's graph was written durably.";
        "pointer-stored" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(|change| stores(change, |part| matches!(part, StoredPart::Pointer(_)))), "The pointer to a checkpoint was written durably.";
        "result-dirty" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(|change| stores_result(change, true)), "A job's result was written durably; its leftovers are still there.";
        "outcome-stored" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(|change| stores(change, |part| part == StoredPart::Outcome)), "What a program came to was written durably.";
        "result-clean" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(|change| stores_result(change, false)), "Nothing is left of a job but its result.";
    }
    OF_JOBS: JobEvent {
        "job-acknowledged" = _, JobEvent::SubmissionAcknowledged { .. }, "A dispatcher told a client that it has taken a job on.";
        "dispatcher-serving" = _, JobEvent::DispatcherServing { .. }, "A dispatcher has read what is kept of jobs and serves.";
        "job-recovered" = _, JobEvent::DispatcherServing { jobs, .. } if !jobs.is_empty(), "A dispatcher goes on with a job of an earlier one.";
        "recovery-waits" = _, JobEvent::RecoveryWaits { .. }, "A master has waited long for what is kept of its job, and says for what.";
        "executor-registered" = _, JobEvent::ExecutorRegistered { .. }, "A resource manager registered a task executor.";
        "master-registered" = _, JobEvent::MasterRegistered { .. }, "A resource manager registered a job's master.";
        "slot-requested" = _, JobEvent::SlotRequested { .. }, "A resource manager asked for a slot.";
        "job-scheduled" [ATTEMPT] = _, JobEvent::Scheduled { .. }, "A master deployed a region of its job.";
        "job-restored" [ATTEMPT] = _, JobEvent::Scheduled { restored: Some(_), .. }, "A master deployed tasks that begin from a checkpoint.";
        "checkpoint-triggered" [CHECKPOINT, IN_FLIGHT] = _, JobEvent::CheckpointTriggered { .. }, "A checkpoint began.";
        "checkpoint-acknowledged" [CHECKPOINT, ATTEMPT, IN_FLIGHT, NEWER] = _, JobEvent::CheckpointAcknowledged { .. }, "A master has a task's part of a checkpoint.";
        "checkpoint-completed" [CHECKPOINT, IN_FLIGHT, NEWER] = _, JobEvent::CheckpointCompleted { .. }, "A checkpoint is complete, and everyone may know.";
        "final-checkpoint" [CHECKPOINT] = _, JobEvent::CheckpointCompleted { last: true, .. }, "The final checkpoint of a job is complete.";
        "checkpoint-aborted" [CHECKPOINT, IN_FLIGHT, NEWER] = _, JobEvent::CheckpointAborted { .. }, "A checkpoint has come to nothing.";
        "savepoint-requested" = _, JobEvent::SavepointRequested { .. }, "A master was asked for a savepoint.";
        "savepoint-triggered" [CHECKPOINT, IN_FLIGHT] = _, JobEvent::SavepointTriggered { .. }, "A checkpoint began of which a savepoint is made.";
        "stop-triggered" [CHECKPOINT, IN_FLIGHT] = _, JobEvent::SavepointTriggered { then: AfterSavepoint::Stop, .. }, "A checkpoint began with which a job is to stop.";
        "savepoint-completed" [CHECKPOINT] = _, JobEvent::SavepointCompleted { .. }, "A savepoint is whole.";
        "left-objects-found" = _, JobEvent::LeftObjectsFound { .. }, "A master found objects of checkpoints that came to nothing, and removes them.";
        "savepoint-failed" = _, JobEvent::SavepointFailed { .. }, "A savepoint has come to nothing.";
        "checkpoints-not-borne" = _, JobEvent::FailureCounted { attempts, .. } if attempts.is_empty(), "More checkpoints in a row have failed than a job bears.";
        "pointer-in-doubt" = _, JobEvent::PointerInDoubt { .. }, "A master has no answer whether a checkpoint's pointer stands, and fences it.";
        "job-restarting" = _, JobEvent::StatusChanged { status: JobStatus::Restarting, .. }, "A job's tasks are being ended, to start again.";
        "tasks-withdrawn" = _, JobEvent::TasksWithdrawn { .. }, "A master ended tasks of a job that lacks slots, to give back those it holds.";
        "slot-given-back" = _, JobEvent::SlotGivenBack { .. }, "A master gave a slot back that its job could not use.";
        "executor-lost" = _, JobEvent::ExecutorLost { .. }, "A master gave a task executor up.";
        "worker-requested" = _, JobEvent::WorkerRequested { .. }, "A resource manager asked a provider for a machine.";
        "worker-released" = _, JobEvent::WorkerReleased { .. }, "A resource manager gave a machine back.";
        "main-started" = _, JobEvent::MainStarted { .. }, "A dispatcher executes the main function of a program.";
        "main-ended" = _, JobEvent::MainEnded { .. }, "The main function of a program has ended.";
        "cluster-ends" = _, JobEvent::ClusterEnds { .. }, "A cluster that was there for one job ends with it.";
        "job-manager-ended" = _, JobEvent::JobManagerEnded { .. }, "Nothing of a job manager runs any more, since its cluster has ended.";
        "cleanup-started" = _, JobEvent::CleanupStarted { .. }, "A dispatcher began to remove what a job left.";
        "cancellation-acknowledged" = _, JobEvent::CancellationAcknowledged { .. }, "A dispatcher told a client that a job will end as canceled.";
    }
    OF_SLOTS: SlotEvent {
        "task-stuck" = _, SlotEvent::TaskStuck { .. }, "A task executor ended itself, since a canceled task did not end.";
        "slot-allocated" = _, SlotEvent::SlotAllocated { .. }, "A task executor holds a slot for a job.";
        "slots-offered" = _, SlotEvent::SlotsOffered { .. }, "A task executor offered its slots to a master.";
        "offer-answered" = _, SlotEvent::OfferAnswered { .. }, "A task executor applied the answer to its offer.";
        "slot-freed" = _, SlotEvent::SlotFreed { .. }, "A task executor gave a slot back.";
        "task-accepted" [ATTEMPT] = _, SlotEvent::TaskAccepted { .. }, "A task executor took an attempt on.";
        "master-disconnected" = _, SlotEvent::MasterDisconnected { .. }, "A task executor is no longer connected to a master.";
    }
    OF_TASKS: TaskEvent {
        "task-finished" [ATTEMPT] = _, TaskEvent::StateChanged { state: ExecutionState::Finished, .. }, "A task came to the end of its input.";
        "task-failed" [ATTEMPT] = _, TaskEvent::StateChanged { state: ExecutionState::Failed, .. }, "A task failed.";
        "snapshot-taken" [CHECKPOINT, ATTEMPT, IN_FLIGHT, NEWER] = _, TaskEvent::SnapshotTaken { .. }, "A task took its part of a checkpoint.";
        "overflow-kept" [CHECKPOINT, ATTEMPT] = _, TaskEvent::SnapshotTaken { kept: 1.., .. }, "A task took its part of a checkpoint while those behind it had no room for what it had emitted.";
        "channel-idle" = _, TaskEvent::WatermarkStatusReceived { status: WatermarkStatus::Idle, .. }, "A task was told that no watermark comes over a channel for now.";
        "checkpoint-confirmed" [CHECKPOINT, ATTEMPT, IN_FLIGHT, NEWER] = _, TaskEvent::CheckpointConfirmed { .. }, "A task was told that a checkpoint is complete.";
    }
    OF_WINDOWS: WindowEvent {
        "late-record-to-side-output" = _, WindowEvent::LateRecord { side_output: true, .. }, "A record came when its windows were gone, and went to a side output.";
        "session-windows-merged" = _, WindowEvent::Merged { .. }, "A record made one session of several.";
        "window-fired-after-restore" = _, WindowEvent::Fired { restored: Some(_), .. }, "A window fired in a task that began from a checkpoint.";
    }
    OF_OBJECTS: ObjectStoreEvent {
        "metadata-stored" = _, ObjectStoreEvent::Stored { name, .. } if name.ends_with("/metadata"), "The metadata of a checkpoint was written durably.";
        "savepoint-part-stored" = _, ObjectStoreEvent::Stored { name, .. } if is_savepoint_part(name), "A part of a savepoint was written durably.";
        "savepoint-stored" = _, ObjectStoreEvent::Stored { name, .. } if name.ends_with("/_metadata"), "The metadata of a savepoint was written durably.";
        "file-visible" = _, ObjectStoreEvent::Renamed { .. }, "A part of a file got its final name.";
        "blobs-recovered" = _, ObjectStoreEvent::Recovered { objects, sealed } if !(objects.is_empty() && sealed.is_empty()), "The object store recovered from a disk that was not empty.";
    }
    OF_LOGS: LogEvent {
        "transaction-prepared" = _, LogEvent::TransactionPrepared { .. }, "A sink's transaction waits for its checkpoint.";
        "transaction-committed" = _, LogEvent::TransactionCommitted { .. }, "A sink's transaction was committed.";
        "transaction-aborted" = _, LogEvent::TransactionAborted { .. }, "A sink's transaction was aborted.";
        "partitions-added" = _, LogEvent::PartitionsAdded { .. }, "A topic has more partitions than before.";
        "offsets-committed" = _, LogEvent::OffsetsCommitted { .. }, "A group committed how far a job has read.";
        "segment-stored" = _, LogEvent::SegmentStored { .. }, "Records of a topic went from memory into a file.";
        "segment-read" = _, LogEvent::SegmentRead { .. }, "Records of a topic were read from their file.";
        "records-trimmed" = _, LogEvent::Trimmed { .. }, "Retention removed the oldest records of a topic.";
        "log-recovered" = _, LogEvent::Recovered { ends, .. } if !ends.is_empty(), "The log server recovered from a disk that was not empty.";
    }
    OF_SOURCES: SourceEvent {
        "partition-discovered" = _, SourceEvent::PartitionDiscovered { .. }, "A source reads a partition that was not there when its job was submitted.";
        "records-missed" = _, SourceEvent::RecordsMissed { .. }, "Records were removed before any attempt of their job could read them.";
    }
    OF_DATABASES: DatabaseEvent {
        "database-committed" = _, DatabaseEvent::Written { .. }, "Rows and their writer's row were written to a database.";
        "database-commit-repeated" = _, DatabaseEvent::WriteRepeated { .. }, "A database found that a write was done before.";
        "database-writer-begun" = _, DatabaseEvent::WriterBegun { .. }, "An attempt of a sink became the one that writes to a database.";
        "database-writer-fenced" = _, DatabaseEvent::WriteRefused { refusal: DatabaseRefusal::Fenced { .. }, .. }, "A database refused a write of an older attempt.";
        "database-recovered" = _, DatabaseEvent::Recovered { tables, .. } if !tables.is_empty(), "The database server recovered from a disk that was not empty.";
    }
    OF_SINKS: SinkEvent {
        "database-rows-wait" [ATTEMPT] = _, SinkEvent::RowsWait { .. }, "A sink's rows for a database wait for their checkpoint.";
        "file-part-rolled" [ATTEMPT] = _, SinkEvent::PartRolled { .. }, "A part of a file is full, or its barrier has come.";
        "file-parts-wait" [ATTEMPT] = _, SinkEvent::PartsWait { .. }, "Parts of files wait for their checkpoint.";
    }
    OF_HEARTBEATS: HeartbeatEvent {
        "connection-broken" = _, HeartbeatEvent::ConnectionBroken { .. }, "A connection to a task executor broke that is kept open to see that.";
        "heartbeat-lost" = _, HeartbeatEvent::TimedOut { .. } | HeartbeatEvent::Unreachable { .. }, "A heartbeat timed out, or its target was unreachable.";
    }
    OF_CLIENTS: ClientEvent {
        "cancellation-asked" = _, ClientEvent::Canceling { .. }, "A client asks that its job is canceled.";
        "job-goes-on" = _, ClientEvent::GoesOn { .. }, "A client goes on with the savepoint of a job that it has stopped.";
        "job-finished" = _, ClientEvent::Ended { result, .. } if result.status == JobStatus::Finished, "A client knows that its job has finished.";
        "job-canceled" = _, ClientEvent::Ended { result, .. } if result.status == JobStatus::Canceled, "A client knows that its job was canceled.";
    }
    OF_PROVIDERS: ProviderEvent {
        "manager-attached" = _, ProviderEvent::Attached { .. }, "A provider of machines was told that a resource manager's term begins.";
        "machine-assigned" = _, ProviderEvent::Assigned { .. }, "A provider had a task executor started on a machine.";
    }
    OF_FRONT_ENDS: FrontEndEvent {
        "front-end-began" = _, FrontEndEvent::Began { .. }, "A front end reads responses and accepts connections.";
        "request-accepted" = _, FrontEndEvent::RequestAccepted { .. }, "A front end has named a request, which is written next.";
        "request-answered" = _, FrontEndEvent::RequestEnded { how: Ending::Answered, .. }, "The response to a request came while it waited.";
        "request-timed-out" = _, FrontEndEvent::RequestEnded { how: Ending::TimedOut, .. }, "A request had no response in time.";
        "request-refused" = _, FrontEndEvent::RequestEnded { how: Ending::Refused, .. }, "The log refused a request.";
        "request-abandoned" = _, FrontEndEvent::RequestEnded { how: Ending::Abandoned, .. }, "The connection of a request that waited has ended.";
        "request-turned-away" = _, FrontEndEvent::TurnedAway { .. }, "A front end had no room for a request in time, or too many waited for it.";
        "response-late" = _, FrontEndEvent::LateResponse { .. }, "A response came to a request that waits no longer.";
        "responses-missed" = _, FrontEndEvent::ResponsesMissed { .. }, "Responses were removed before their front end read them.";
        "response-foreign" = _, FrontEndEvent::ForeignResponse { .. }, "A response came to another life of a front end.";
    }
    OF_CALLERS: CallerEvent {
        "call-repeated" = _, CallerEvent::Asking { attempt, .. } if *attempt > 1, "A caller asks the same again.";
        "call-unanswered" = _, CallerEvent::Unanswered { is_indeterminate: true, .. }, "A caller got no answer, and what it asked may be done.";
        "caller-finished" = _, CallerEvent::Finished { .. }, "A caller was told all that it has asked.";
    }
    OF_REST: RestEvent {
        "rest-told" = _, RestEvent::Told { .. }, "A web monitor told a reader of REST of the jobs.";
        "rest-told-what-was-kept" = _, RestEvent::Told { age_ms, .. } if *age_ms > 100, "A web monitor told a reader of REST what it had kept.";
        "rest-told-though-no-leader-answers" = _, RestEvent::Told { age_ms, .. } if *age_ms > 4_000, "A web monitor told a reader of REST what it had kept for long, since no dispatcher answered.";
        "rest-not-told" = _, RestEvent::Untold { .. } | RestEvent::Refused { .. }, "A reader of REST was told nothing of the jobs.";
        "rest-cancellation-accepted" = _, RestEvent::Accepted { .. }, "A web monitor told a reader of REST that a job is to end.";
        "rest-cancellation-too-late" = _, RestEvent::Refused { question: RestQuestion::Cancel(_), status: 409, .. }, "A web monitor told a reader of REST that a job has ended which it cancels.";
        "rest-cancellation-unanswered" = _, RestEvent::Refused { question: RestQuestion::Cancel(_), status: 503, .. }, "A web monitor could not tell a reader of REST whether a job is to end.";
    }
}

/// Whether an object is a part of a savepoint of a client.
fn is_savepoint_part(name: &str) -> bool {
    name.split_once('/').is_some_and(|(root, rest)| root == SAVEPOINTS && rest.contains("/chk-"))
}

/// Whether a change writes such a key of an election.
fn writes_election(change: &Change, wanted: ElectionPart) -> bool {
    let Change::Put { key, .. } = change else { return false };
    parse_election_key(key).is_some_and(|(_, part)| part == wanted)
}

/// Whether a change writes such a key of a job.
fn stores(change: &Change, wanted: impl Fn(StoredPart) -> bool) -> bool {
    let Change::Put { key, .. } = change else { return false };
    StoreKey::parse(key).is_some_and(|key| wanted(key.part))
}

fn stores_result(change: &Change, dirty: bool) -> bool {
    let Change::Put { value, .. } = change else { return false };
    // One that can't be read is not known to have left anything.
    let stored = || postcard::from_bytes::<StoredResult>(value).is_ok_and(|found| found.dirty);
    stores(change, |part| part == StoredPart::Result) && stored() == dirty
}

fn checkpoint_of(event: &dyn Event) -> Option<(JobId, CheckpointId)> {
    Some(match EventRef::new(event) {
        EventRef::Job(
            JobEvent::CheckpointTriggered { job, checkpoint, .. }
            | JobEvent::CheckpointCompleted { job, checkpoint, .. }
            | JobEvent::CheckpointAborted { job, checkpoint, .. }
            | JobEvent::SavepointTriggered { job, checkpoint, .. }
            | JobEvent::SavepointCompleted { job, checkpoint, .. },
        ) => (*job, *checkpoint),
        EventRef::Job(JobEvent::CheckpointAcknowledged { attempt, checkpoint })
        | EventRef::Task(
            TaskEvent::SnapshotTaken { attempt, checkpoint, .. }
            | TaskEvent::CheckpointConfirmed { attempt, checkpoint, .. },
        ) => (attempt.job, *checkpoint),
        _ => return None,
    })
}

fn attempt_of(event: &dyn Event) -> Option<String> {
    let epoch = match EventRef::new(event) {
        EventRef::Job(JobEvent::Scheduled { epoch, .. }) => *epoch,
        EventRef::Job(JobEvent::CheckpointAcknowledged { attempt, .. })
        | EventRef::Task(
            TaskEvent::StateChanged { attempt, .. }
            | TaskEvent::SnapshotTaken { attempt, .. }
            | TaskEvent::CheckpointConfirmed { attempt, .. },
        )
        | EventRef::Slot(SlotEvent::TaskAccepted { attempt, .. })
        | EventRef::Sink(
            SinkEvent::RowsWait { attempt, .. }
            | SinkEvent::PartRolled { attempt, .. }
            | SinkEvent::PartsWait { attempt, .. },
        ) => attempt.epoch,
        _ => return None,
    };
    Some(epoch.to_string())
}

fn leadership_of(event: &dyn Event) -> Option<String> {
    let EventRef::Leadership(
        LeadershipEvent::Granted { component, .. }
        | LeadershipEvent::Confirmed { component, .. }
        | LeadershipEvent::Revoked { component, .. }
        | LeadershipEvent::LeaderNotified { component, .. },
    ) = EventRef::new(event)
    else {
        return None;
    };
    Some(match component.as_str() {
        DISPATCHER => "dispatcher".to_string(),
        RESOURCE_MANAGER => "resource-manager".to_string(),
        other if component_job(other).is_some() => "job".to_string(),
        // What somebody's own system leads goes by its name.
        other => other.to_string(),
    })
}
