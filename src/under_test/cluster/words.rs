//! The events of a job cluster in a person's words.

use crate::{
    harness::event::{Leadership, Reported, Span},
    system::{
        client::ClientEvent,
        connector::{SinkEvent, SourceEvent},
        dataflow::WindowEvent,
        heartbeat::HeartbeatEvent,
        job_manager::JobEvent,
        leadership::{LeaderSessionId, LeadershipEvent},
        protocol::AfterSavepoint,
        request_reply::{Ending, FrontEndEvent},
        rpc::RpcEvent,
        service::{
            coordination::{CoordinationEvent, LeaseEnd},
            database::{DatabaseEvent, WriterId},
            log::LogEvent,
            object_store::ObjectStoreEvent,
        },
        task_executor::{SlotEvent, TaskEvent},
    },
    under_test::cluster::{
        callers::CallerEvent,
        provider::ProviderEvent,
        rest_reader::{RestAnswer, RestEvent, RestQuestion, ToldCounts},
        spans,
    },
};

macro_rules! reported {
    ($($event:ty = $kind:literal, $kept:expr, $words:expr $(, $span:expr)?;)+) => {$(
        impl Reported for $event {
            const KIND: &'static str = $kind;

            fn is_kept(&self) -> bool {
                let kept: fn(&$event) -> bool = $kept;
                kept(self)
            }

            fn in_words(&self) -> Option<String> {
                let words: fn(&$event) -> Option<String> = $words;
                words(self)
            }

            fn span(&self) -> Option<Span> {
                let span: fn(&$event) -> Option<Span> = reported!(@span $($span)?);
                span(self)
            }
        }
    )+};
    (@span) => { |_| None };
    (@span $span:expr) => { $span };
}

reported! {
    RpcEvent = "rpc", |_| false, |_| None;
    LogEvent = "log", |_| false, |_| None;
    DatabaseEvent = "database", |_| true, |event| Some(database(event));
    ObjectStoreEvent = "object-store", |event| matches!(event, ObjectStoreEvent::Renamed { .. }), object_store;
    TaskEvent = "task", is_change_of_task, task, spans::task;
    CoordinationEvent = "coordination", is_change_of_coordination, coordination;
    JobEvent = "job", |_| true, job, spans::job;
    SlotEvent = "slot", |_| true, slot;
    HeartbeatEvent = "heartbeat", |_| true, heartbeat;
    WindowEvent = "window", |_| false, |event| Some(window(event));
    SourceEvent = "source", |event| !matches!(event, SourceEvent::OffsetsTaken { .. }), source;
    SinkEvent = "sink", |event| !matches!(event, SinkEvent::PartRolled { .. }), |event| Some(sink(event));
    ClientEvent = "client", |event| !matches!(event, ClientEvent::Asking { .. }), client;
    FrontEndEvent = "front-end", |_| true, |event| Some(front_end(event));
    CallerEvent = "caller", |_| true, |event| Some(caller(event));
    ProviderEvent = "provider", |_| true, |event| Some(provider(event));
    RestEvent = "rest", is_answer_of_rest, rest;
}

fn front_end(event: &FrontEndEvent) -> String {
    match event {
        FrontEndEvent::Began { slot, offset, .. } => {
            format!("serves at slot {slot}, and reads responses from {offset} on")
        }
        FrontEndEvent::RequestAccepted { id, in_flight } => {
            format!("accepts {id:?}, {in_flight} in flight")
        }
        FrontEndEvent::RequestEnded { id, how, in_flight } => {
            let how = match how {
                Ending::Answered => "is answered",
                Ending::TimedOut => "had no response in time",
                Ending::Refused => "is refused by the log",
                Ending::Abandoned => "is waited for no longer",
            };
            format!("{id:?} {how}, {in_flight} in flight")
        }
        FrontEndEvent::LateResponse { id } => format!("drops a late response to {id:?}"),
        FrontEndEvent::ForeignResponse { id } => {
            format!("drops the response to {id:?}, which is not this life's")
        }
        FrontEndEvent::ResponsesMissed { from, to } => {
            format!("has missed the responses from {from} to {to}, which are kept no longer")
        }
        FrontEndEvent::TurnedAway { waiting } => {
            format!("turns a request away, {waiting} wait for room")
        }
    }
}

fn caller(event: &CallerEvent) -> String {
    match event {
        CallerEvent::Asking { call, attempt, slot, asked, .. } => {
            let (body, key) = (String::from_utf8_lossy(&asked.body), asked.key.is_some());
            let key = if key { ", under a key" } else { "" };
            format!("call {call}.{attempt}: asks front end {slot} for {} {body}{key}", asked.path)
        }
        CallerEvent::Answered { call, attempt, status, body, .. } => {
            format!("call {call}.{attempt}: is told {status} {}", String::from_utf8_lossy(body))
        }
        CallerEvent::Unanswered { call, attempt, is_indeterminate } => {
            let done = if *is_indeterminate { "it may be done" } else { "it was never sent" };
            format!("call {call}.{attempt}: gets no answer, {done}")
        }
        CallerEvent::Finished { caller } => format!("caller {caller} has no more to ask"),
    }
}

fn provider(event: &ProviderEvent) -> String {
    match event {
        ProviderEvent::Workers { count, ended } => {
            let ended = if *ended { ", of a cluster that has ended" } else { "" };
            format!("{count} machines are held{ended}")
        }
        ProviderEvent::Attached { term } => format!("obeys the resource manager of {term:?}"),
        ProviderEvent::Assigned { machine, worker } => format!("{machine} is to run {worker}"),
    }
}

/// An answer, or that a job is canceled.
fn is_answer_of_rest(event: &RestEvent) -> bool {
    match event {
        RestEvent::Asking { question, .. } => matches!(question, RestQuestion::Cancel(_)),
        RestEvent::Untold { .. } => false,
        _ => true,
    }
}

fn rest(event: &RestEvent) -> Option<String> {
    match event {
        RestEvent::Asking { question: RestQuestion::Cancel(job), .. } => {
            Some(format!("asks over REST that {job:?} is canceled"))
        }
        RestEvent::Asking { .. } => None,
        RestEvent::Told { age_ms, answer: RestAnswer::Cluster(counts), .. } => {
            let ToldCounts { running, finished, canceled, failed } = counts;
            Some(format!(
                "is told, {age_ms} ms old: {running} jobs run, {finished} finished, {canceled} canceled, {failed} failed"
            ))
        }
        RestEvent::Told { age_ms, answer, .. } => {
            let told =
                answer.jobs().iter().map(|told| format!("{:?} is {}", told.job, told.status));
            let jobs: Vec<String> = told.collect();
            Some(format!("is told, {age_ms} ms old: {}", jobs.join(", ")))
        }
        RestEvent::Accepted { job, .. } => {
            Some(format!("is told over REST that {job:?} is to end"))
        }
        RestEvent::Refused { status, question, .. } => {
            Some(format!("is answered {status} to {question:?}"))
        }
        RestEvent::Malformed { why, .. } => Some(format!("does not understand an answer: {why}")),
        RestEvent::Untold { why, .. } => Some(format!("is not told of jobs: {why}")),
    }
}

impl Reported for LeadershipEvent {
    const KIND: &'static str = "leadership";

    fn in_words(&self) -> Option<String> {
        match self {
            LeadershipEvent::Granted { session, component } => {
                Some(format!("granted {session:?} of {}", short(component)))
            }
            LeadershipEvent::Revoked { session, component } => {
                Some(format!("revoked {session:?} of {}", short(component)))
            }
            LeadershipEvent::Confirmed { leader, .. } => {
                Some(format!("confirmed {:?}", leader.session))
            }
            _ => None,
        }
    }

    fn leadership(&self) -> Option<Leadership> {
        let term = |session: &LeaderSessionId| format!("{:032x}", session.0);
        match self {
            LeadershipEvent::Granted { session, component } => {
                let component = short(component).to_string();
                Some(Leadership::Granted { component, term: term(session) })
            }
            LeadershipEvent::Confirmed { leader, .. } => {
                Some(Leadership::Confirmed { term: term(&leader.session) })
            }
            LeadershipEvent::Revoked { session, .. } => {
                Some(Leadership::Revoked { term: term(session) })
            }
            _ => None,
        }
    }
}

fn is_change_of_task(event: &TaskEvent) -> bool {
    !matches!(
        event,
        TaskEvent::BufferSent { .. }
            | TaskEvent::BufferReceived { .. }
            | TaskEvent::BarrierReceived { .. }
    )
}

fn is_change_of_coordination(event: &CoordinationEvent) -> bool {
    !matches!(event, CoordinationEvent::WatchUpdated { .. })
}

/// An event of the coordination service or of a client of it; `None` for what says little.
fn coordination(event: &CoordinationEvent) -> Option<String> {
    match event {
        CoordinationEvent::LeaseEnded { lease, end: LeaseEnd::Expired, .. } => {
            Some(format!("let {lease:?} expire"))
        }
        CoordinationEvent::SessionSuspended { lease } => {
            Some(format!("has no contact, {lease:?} may live"))
        }
        CoordinationEvent::SessionLost { lease } => Some(format!("lost {lease:?}")),
        CoordinationEvent::SessionConnected { lease } => Some(format!("has {lease:?}")),
        CoordinationEvent::Recovered { revision, .. } => {
            Some(format!("recovered revision {}", revision.0))
        }
        _ => None,
    }
}

/// An event of a dispatcher, a resource manager or a job master; `None` for what says little.
fn job(event: &JobEvent) -> Option<String> {
    Some(match event {
        JobEvent::SubmissionAcknowledged { job } => format!("has taken {job:?} on"),
        JobEvent::DispatcherServing { jobs, .. } => format!("dispatches, {} jobs run", jobs.len()),
        JobEvent::CleanupStarted { job, result } => {
            format!("removes what {job:?} left, which is {}", result.status)
        }
        JobEvent::LocalCleanup { .. } => return None,
        JobEvent::StatusChanged { job, status, .. } => format!("{job:?} is {status}"),
        JobEvent::Scheduled { epoch, restored, vertices, .. } => {
            let tasks = vertices.len();
            let from = restored.map_or("nothing".to_string(), |from| format!("{from:?}"));
            format!("deploys epoch {epoch}, {tasks} tasks, from {from}")
        }
        JobEvent::FailureCounted { job, failures, cause, .. } => {
            format!("{job:?} has failed, {failures} in this term: {cause}")
        }
        JobEvent::ExecutionChanged { attempt, state } => format!("knows {attempt:?} as {state}"),
        JobEvent::ExecutorConnected { resource, .. } => format!("is connected to {resource}"),
        JobEvent::ExecutorLost { resource, .. } => format!("gives {resource} up"),
        JobEvent::SlotAccepted { resource, allocation, .. } => {
            format!("takes {allocation:?} of {resource}")
        }
        JobEvent::TasksWithdrawn { job, attempts, .. } => {
            format!("ends {} tasks of {job:?}, which lacks slots", attempts.len())
        }
        JobEvent::SlotGivenBack { resource, allocation, .. } => {
            format!("gives {allocation:?} of {resource} back")
        }
        JobEvent::CleanupRefused { job, cause } => {
            format!("can't remove what {job:?} left: {cause}")
        }
        JobEvent::RecoveryStarted { .. } => return None,
        JobEvent::RecoveryWaits { job, what, .. } => {
            format!("waits, to go on with {job:?}, for {what}")
        }
        JobEvent::RecoveryFailed { job, cause, .. } => format!("can't read {job:?}: {cause}"),
        JobEvent::CheckpointTriggered { checkpoint, .. } => format!("begins {checkpoint:?}"),
        JobEvent::CheckpointAcknowledged { checkpoint, attempt } => {
            format!("has {checkpoint:?} of {attempt:?}")
        }
        JobEvent::FilesNamed { .. } => return None,
        JobEvent::CheckpointCompleted { checkpoint, last, .. } => {
            format!("{checkpoint:?} is complete{}", if *last { ", the final one" } else { "" })
        }
        JobEvent::SavepointRequested { path, then, .. } => {
            format!("is to take the savepoint {path}{}", ends(*then))
        }
        JobEvent::SavepointTriggered { checkpoint, path, .. } => {
            format!("{checkpoint:?} becomes the savepoint {path}")
        }
        JobEvent::SavepointCompleted { path, .. } => format!("the savepoint {path} is whole"),
        JobEvent::SavepointFailed { path, why, .. } => {
            format!("the savepoint {path} comes to nothing: {why}")
        }
        JobEvent::LeftObjectsFound { objects, .. } => {
            format!("removes {} objects that checkpoints left", objects.len())
        }
        JobEvent::PointerInDoubt { checkpoint, .. } => {
            format!("has no answer whether the pointer to {checkpoint:?} stands")
        }
        JobEvent::CancellationAcknowledged { job } => format!("has taken on to cancel {job:?}"),
        JobEvent::CheckpointAborted { checkpoint, cause, .. } => {
            format!("{checkpoint:?} is aborted: {cause}")
        }
        JobEvent::CheckpointFailureCounted { .. } => return None,
        JobEvent::MainStarted { .. } => "executes the program".to_string(),
        JobEvent::MainEnded { status, cause, .. } => {
            let cause = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("the program has {status}{cause}")
        }
        JobEvent::ClusterEnds { status, .. } => format!("ends the cluster as {status}"),
        JobEvent::JobManagerEnded { .. } => "has ended with its cluster".to_string(),
        JobEvent::WorkerRequested { resource } => format!("asks for a machine, {resource}"),
        JobEvent::WorkerReleased { resource, why } => format!("gives {resource} back: {why}"),
        JobEvent::ExecutorRegistered { resource, .. } => format!("registers {resource}"),
        JobEvent::ExecutorDropped { resource, .. } => format!("drops {resource}"),
        JobEvent::MasterRegistered { job, .. } => format!("registers the master of {job:?}"),
        JobEvent::MasterDropped { job, .. } => format!("drops the master of {job:?}"),
        JobEvent::SlotRequested { resource, index, allocation, .. } => {
            format!("asks {resource} for slot {index} as {allocation:?}")
        }
    })
}

/// How a job ends with a savepoint.
fn ends(then: AfterSavepoint) -> &'static str {
    match then {
        AfterSavepoint::GoOn => "",
        AfterSavepoint::Stop => ", and to stop with it",
        AfterSavepoint::Drain => ", and to end drained with it",
    }
}

/// An event of a task executor's slots; `None` for what another one follows upon.
fn slot(event: &SlotEvent) -> Option<String> {
    Some(match event {
        SlotEvent::Registered { .. } => "is registered".to_string(),
        SlotEvent::MasterConnected { session, .. } => format!("is connected to {session:?}"),
        SlotEvent::ResourceManagerDisconnected { .. } => {
            "is no longer connected to the resource manager".to_string()
        }
        SlotEvent::MasterDisconnected { session, .. } => {
            format!("is no longer connected to {session:?}")
        }
        SlotEvent::SlotAllocated { index, allocation, .. } => {
            format!("holds slot {index} as {allocation:?}")
        }
        SlotEvent::SlotsOffered { round, .. } => format!("offers its slots, round {round}"),
        SlotEvent::OfferAnswered { round, .. } => format!("has the answer to round {round}"),
        SlotEvent::SlotActivated { allocation, .. } => format!("{allocation:?} is active"),
        SlotEvent::SlotFreed { index, allocation, .. } => {
            format!("frees slot {index}, {allocation:?}")
        }
        SlotEvent::TaskStuck { attempt, .. } => format!("{attempt:?} does not end"),
        SlotEvent::TaskRefused { attempt, allocation, .. } => {
            format!("has no slot {allocation:?} for {attempt:?}")
        }
        SlotEvent::TaskAccepted { attempt, .. } => format!("takes {attempt:?} on"),
        SlotEvent::TaskEnds { .. } => return None,
    })
}

/// An event of a task; `None` for what says little.
fn task(event: &TaskEvent) -> Option<String> {
    match event {
        TaskEvent::StateChanged { attempt, state, reason } if reason.is_empty() => {
            Some(format!("{attempt:?} is {state}"))
        }
        TaskEvent::StateChanged { attempt, state, reason } => {
            Some(format!("{attempt:?} is {state}: {reason}"))
        }
        TaskEvent::SnapshotTaken { attempt, checkpoint, ended, .. } => {
            let ended = if *ended { ", at its end" } else { "" };
            Some(format!("{attempt:?} takes {checkpoint:?}{ended}"))
        }
        TaskEvent::CheckpointConfirmed { attempt, checkpoint } => {
            Some(format!("{attempt:?} has {checkpoint:?} confirmed"))
        }
        TaskEvent::CheckpointDeclined { attempt, checkpoint, reason } => {
            Some(format!("{attempt:?} declines {checkpoint:?}: {reason}"))
        }
        _ => None,
    }
}

/// An event of windows.
fn window(event: &WindowEvent) -> String {
    match event {
        WindowEvent::Fired { attempt, window, .. } => {
            format!("{attempt:?} fires the window from {} to {}", window.start, window.end)
        }
        WindowEvent::Merged { attempt, count, window } => {
            format!("{attempt:?} makes one of {count} windows, to {}", window.end)
        }
        WindowEvent::LateRecord { attempt, .. } => format!("{attempt:?} has a late record"),
    }
}

/// An event of a source of a topic; `None` for what it took at a checkpoint.
fn source(event: &SourceEvent) -> Option<String> {
    Some(match event {
        SourceEvent::PartitionDiscovered { attempt, topic, partition } => {
            format!("{attempt:?} reads {topic}/{partition}, which is new")
        }
        SourceEvent::RecordsMissed { attempt, topic, partition, from, to } => {
            format!("{attempt:?} has missed {topic}/{partition} from {from} to {to}")
        }
        SourceEvent::OffsetsTaken { .. } => return None,
    })
}

/// An event of an exactly-once sink.
fn sink(event: &SinkEvent) -> String {
    match event {
        SinkEvent::Prepared { checkpoint, transaction, .. } => {
            let (generation, number) = (transaction.generation, transaction.number);
            format!("transaction {generation}/{number} waits for {checkpoint:?}")
        }
        SinkEvent::RowsWait { attempt, checkpoint, .. } => {
            format!("rows of {attempt:?} wait for {checkpoint:?}")
        }
        SinkEvent::PartRolled { attempt, content, .. } => {
            format!("{attempt:?} has rolled a part of {} bytes", content.len())
        }
        SinkEvent::PartsWait { attempt, checkpoint, files } => {
            format!("{} parts of {attempt:?} wait for {checkpoint:?}", files.len())
        }
    }
}

/// A rename on the object store; `None` for what else it does.
fn object_store(event: &ObjectStoreEvent) -> Option<String> {
    let ObjectStoreEvent::Renamed { to, .. } = event else { return None };
    let name = to.rsplit_once('/').map_or(to.as_str(), |(_, name)| name);
    // Of the job its first digits.
    let shown =
        match name.strip_prefix("part-").and_then(|name| Some((name.get(..8)?, name.get(32..)?))) {
            Some((job, rest)) => format!("part-{job}{rest}"),
            None => name.to_string(),
        };
    Some(format!("{shown} is visible"))
}

fn database(event: &DatabaseEvent) -> String {
    let name = |WriterId { writer, generation }: &WriterId| {
        let of_job = writer.split_once('/').map_or(writer.as_str(), |(_, sink)| sink);
        format!("{of_job} of generation {generation}")
    };
    match event {
        DatabaseEvent::Recovered { tables, .. } => format!("is up with {} tables", tables.len()),
        DatabaseEvent::WriterBegun { by, .. } => format!("{} may write", name(by)),
        DatabaseEvent::Written { by, number, rows, .. } => {
            format!("{} has written {} rows of {number:?}", name(by), rows.len())
        }
        DatabaseEvent::WriteRepeated { by, number } => {
            format!("{} has written {number:?} before", name(by))
        }
        DatabaseEvent::WriteRefused { by, number, refusal } => {
            format!("{} may not write {number:?}: {refusal}", name(by))
        }
    }
}

/// An event of a client; `None` for a look at a job.
fn client(event: &ClientEvent) -> Option<String> {
    Some(match event {
        ClientEvent::Submitted { job } => format!("{job:?} is taken on"),
        ClientEvent::Canceling { job } => format!("asks that {job:?} is canceled"),
        ClientEvent::Canceled { job } => format!("{job:?} is to be canceled"),
        ClientEvent::Asking { .. } => return None,
        ClientEvent::SavepointWanted { job, path, then } => {
            format!("asks for the savepoint {path} of {job:?}{}", ends(*then))
        }
        ClientEvent::SavepointTold { path, .. } => format!("is told that {path} is whole"),
        ClientEvent::GoesOn { job, next } => format!("{job:?} is stopped, and goes on as {next:?}"),
        ClientEvent::ToldUnknown { job, .. } => format!("is told that there is no {job:?}"),
        ClientEvent::GaveUp { reason } => format!("gives up: {reason}"),
        ClientEvent::Ended { job, result } => format!("{job:?} ended: {}", result.status),
    })
}

/// A loss; `None` for what says little.
fn heartbeat(event: &HeartbeatEvent) -> Option<String> {
    match event {
        HeartbeatEvent::ConnectionBroken { by, id, .. } => {
            Some(format!("{by} sees its connection to {id} break"))
        }
        HeartbeatEvent::TimedOut { by, id, .. } => {
            Some(format!("{} hears nothing of {}", short(by), short(id)))
        }
        HeartbeatEvent::Unreachable { by, id, .. } => {
            Some(format!("{} finds nobody at {}", short(by), short(id)))
        }
        _ => None,
    }
}

/// A name; a job's id is cut short, as everywhere in reports.
fn short(name: &str) -> &str {
    name.get(..12).filter(|_| name.starts_with("job-") && name.len() > 20).unwrap_or(name)
}
