//! The reference model: what stands on the services by their own logs, and what the processes
//! believe.

use super::{
    callers::CallerEvent,
    event_ref::EventRef,
    plain,
    progress::Progress,
    provider::ProviderEvent,
    reconciliation::Reconciliation,
    rest_reader::{RestEvent, RestQuestion},
    services::Services,
};
use crate::{
    harness::{check, event::Moment},
    host::{
        Event,
        sim::{Hardware, NodeId},
    },
    system::{
        client::ClientEvent,
        connector::SinkEvent,
        graph::JobGraph,
        ids::{AllocationId, CheckpointId, ExecutionVertexId, JobId},
        job_manager::JobEvent,
        leadership::{LeaderInformation, LeaderSessionId, LeadershipEvent, latch_key, leader_key},
        protocol::{AfterSavepoint, ExecutionState, JobResult, JobStatus},
        service::{
            coordination::{Change, CoordinationEvent},
            database::{DatabaseEvent, Table},
            log::{LogEvent, TransactionId},
            object_store::ObjectStoreEvent,
        },
        store::{self, StoreKey, StoredPart, StoredResult},
        task_executor::{SlotEvent, TaskEvent},
    },
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

/// A process and a component, or one of its listeners' services.
type InProcess<T> = ((NodeId, u64), T);

/// The state of the cluster as far as events tell.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The keys on the coordination server.
    pub keys: BTreeMap<String, Vec<u8>>,
    /// The processes that believe they lead a component.
    pub granted: BTreeMap<InProcess<String>, LeaderSessionId>,
    /// The node on which each term was granted.
    pub granted_on: BTreeMap<LeaderSessionId, NodeId>,
    /// What each listener was told last: by process and service, the component and its leader.
    pub notified: BTreeMap<InProcess<u64>, (String, Option<LeaderInformation>)>,
    /// The objects on the object store.
    pub objects: BTreeSet<String>,
    /// The transactions on the log server that have not ended.
    pub transactions: BTreeSet<TransactionId>,
    /// When each topic was appended to last: a job's input.
    pub last_input: BTreeMap<String, Duration>,
    /// The committed records of topics to which transactions write, by topic and partition.
    pub output: BTreeMap<(String, u32), Vec<Bytes>>,
    /// What sinks said their parts hold, by the final names of these: on the object store are some of them.
    pub parts: BTreeMap<String, Bytes>,
    /// The tables on the database server.
    pub tables: BTreeMap<String, Table>,
    /// The slots that task executors hold for jobs.
    pub slots: BTreeMap<InProcess<u32>, (JobId, AllocationId)>,
    /// The jobs that clients know to be taken on.
    pub submitted: BTreeSet<JobId>,
    /// The jobs of which clients and readers of REST have asked that they are canceled.
    pub canceling: BTreeSet<JobId>,
    /// The jobs of which they know that they will be canceled.
    pub canceled: BTreeSet<JobId>,
    /// How often a job has failed, as each term of its masters counts.
    pub failovers: BTreeMap<(JobId, LeaderSessionId), u32>,
    /// Why a job has failed last.
    pub failed: BTreeMap<JobId, String>,
    /// As what jobs go on that their clients have stopped.
    pub goes_on: BTreeMap<JobId, JobId>,
    /// The checkpoint of the savepoint from which a job began.
    pub began_from: BTreeMap<JobId, CheckpointId>,
    /// The checkpoints with which jobs are to be stopped.
    stops: BTreeSet<(JobId, CheckpointId)>,
    /// The jobs' final checkpoints, by what was kept of them: also of those jobs of which nothing is kept now.
    pub finals: BTreeMap<JobId, CheckpointId>,
    /// The jobs that are to be drained.
    drained: BTreeSet<JobId>,
    /// The results that clients were told, and when first.
    pub results: BTreeMap<JobId, (JobResult, Duration)>,
    /// The job managers whose processes have ended with their cluster.
    pub ended: BTreeSet<(NodeId, u64)>,
    /// When each caller of a service began another call last, and so got on.
    pub callers_got_on: BTreeMap<u32, Duration>,
    /// The callers of services that were told all that they asked.
    pub callers_finished: BTreeSet<u32>,
    /// How many machines a provider holds for the cluster.
    pub machines: usize,
    /// When each reader of REST was last told of the jobs by the web monitor that leads.
    pub told_by_rest: BTreeMap<u32, Duration>,
    /// How far each job's newest attempts are, as its masters know.
    pub running: BTreeMap<JobId, Running>,
    /// The node where the subtasks of a job began last, by their number from 0.
    pub placed: BTreeMap<(JobId, u32), NodeId>,
    /// When the checkpoints began that are under way, and in the process of which master.
    began: BTreeMap<(JobId, CheckpointId), (Duration, (NodeId, u64))>,
    /// When the newest one began of those that are complete.
    pub newest_checkpoint: BTreeMap<JobId, Duration>,
    /// How the jobs get on.
    pub progress: Progress,
    /// What task executors have for jobs.
    pub reconciliation: Reconciliation,
    /// What is under way of services.
    pub services: Services,
}

/// The present attempts of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The process of the master that deployed them, and its term.
    pub master: ((NodeId, u64), LeaderSessionId),
    /// The job's status, as that master knows it.
    pub status: JobStatus,
    /// The epoch of each subtask's newest attempt.
    pub epochs: BTreeMap<ExecutionVertexId, u64>,
    /// Those that run or have finished.
    pub up: BTreeSet<ExecutionVertexId>,
}

impl check::Model for Model {
    fn observe(&mut self, at: Moment, event: &dyn Event) {
        self.see(at, EventRef::new(event));
    }
}

impl AsRef<Model> for Model {
    fn as_ref(&self) -> &Model {
        self
    }
}

impl Model {
    /// When one of these callers got on last.
    pub fn last_got_on(&self, callers: Range<u32>) -> Duration {
        self.callers_got_on.range(callers).map(|(_, at)| *at).max().unwrap_or_default()
    }

    fn see(&mut self, at: Moment, seen: EventRef<'_>) {
        self.services.observe(at, seen);
        self.reconciliation.observe(at, seen);
        match seen {
            EventRef::Hardware(Hardware::Ended(_)) => self.forget_process(at.process),
            EventRef::Job(event) => self.observe_job(at, event),
            EventRef::Task(TaskEvent::StateChanged {
                attempt,
                state: ExecutionState::Initializing,
                ..
            }) => {
                self.placed.insert((attempt.job, attempt.vertex.subtask), at.process.0);
            }
            EventRef::Coordination(event) => self.observe_coordination(at.time, event),
            EventRef::Leadership(event) => self.observe_leadership(at, event),
            EventRef::ObjectStore(event) => self.observe_objects(event),
            EventRef::Log(event) => self.observe_log(at, event),
            EventRef::Sink(SinkEvent::PartRolled { file, content, .. }) => {
                self.parts.insert(file.clone(), content.clone());
            }
            EventRef::Database(event) => self.observe_database(event),
            EventRef::Slot(event) => self.observe_slots(at, event),
            EventRef::Provider(ProviderEvent::Workers { count, .. }) => self.machines = *count,
            EventRef::Caller(CallerEvent::Asking { caller, attempt: 1, .. }) => {
                self.callers_got_on.insert(*caller, at.time);
            }
            EventRef::Caller(CallerEvent::Finished { caller }) => {
                self.callers_finished.insert(*caller);
            }
            EventRef::Rest(RestEvent::Told { reader, by_leader: true, .. }) => {
                self.told_by_rest.insert(*reader, at.time);
            }
            EventRef::Client(ClientEvent::Submitted { job }) => {
                self.submitted.insert(*job);
            }
            EventRef::Client(ClientEvent::GoesOn { job, next }) => {
                self.goes_on.insert(*job, *next);
            }
            EventRef::Client(ClientEvent::Canceling { job })
            | EventRef::Rest(RestEvent::Asking { question: RestQuestion::Cancel(job), .. }) => {
                self.canceling.insert(*job);
            }
            EventRef::Client(ClientEvent::Canceled { job })
            | EventRef::Rest(RestEvent::Accepted { job, .. }) => {
                self.canceled.insert(*job);
            }
            EventRef::Client(ClientEvent::Ended { job, result }) => {
                self.results.entry(*job).or_insert_with(|| (result.clone(), at.time));
            }
            _ => {}
        }
    }

    fn forget_process(&mut self, process: (NodeId, u64)) {
        self.granted.retain(|(of, _), _| *of != process);
        self.notified.retain(|(of, _), _| *of != process);
        self.slots.retain(|(of, _), _| *of != process);
        self.running.retain(|_, running| running.master.0 != process);
        self.began.retain(|_, (_, of)| *of != process);
        self.ended.remove(&process);
    }

    fn observe_coordination(&mut self, now: Duration, event: &CoordinationEvent) {
        match event {
            CoordinationEvent::Recovered { keys, .. } => {
                for (key, value, _) in keys {
                    self.observe_key(now, key, value);
                }
                self.keys =
                    keys.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect();
            }
            CoordinationEvent::Committed { changes, .. } => {
                for change in changes {
                    match change {
                        Change::Put { key, value, .. } => {
                            self.observe_key(now, key, value);
                            self.keys.insert(key.clone(), value.clone());
                        }
                        Change::Delete { key } => {
                            self.progress.removed(now, key);
                            self.keys.remove(key);
                        }
                    }
                }
            }
            CoordinationEvent::LeaseEnded { removed, .. } => {
                for key in removed {
                    self.keys.remove(key);
                }
            }
            _ => {}
        }
    }

    fn observe_leadership(&mut self, at: Moment, event: &LeadershipEvent) {
        match event {
            LeadershipEvent::Granted { session, component } => {
                self.granted.insert((at.process, component.clone()), *session);
                self.granted_on.insert(*session, at.process.0);
            }
            LeadershipEvent::Revoked { component, .. }
            | LeadershipEvent::ElectionStopped { component } => {
                self.granted.remove(&(at.process, component.clone()));
            }
            LeadershipEvent::LeaderNotified { component, service, leader } => {
                let told = (component.clone(), leader.clone());
                self.notified.insert((at.process, *service), told);
            }
            LeadershipEvent::RetrievalStopped { service, .. } => {
                self.notified.remove(&(at.process, *service));
            }
            _ => {}
        }
    }

    fn observe_job(&mut self, at: Moment, event: &JobEvent) {
        self.progress.observe(at.time, event);
        match event {
            JobEvent::JobManagerEnded { .. } => {
                self.ended.insert(at.process);
            }
            JobEvent::FailureCounted { job, session, failures, cause, .. } => {
                self.failovers.insert((*job, *session), *failures);
                self.failed.insert(*job, cause.clone());
            }
            JobEvent::Scheduled { job, session, epoch, vertices, .. } => {
                let master = (at.process, *session);
                let (status, epochs, up) = (JobStatus::Created, BTreeMap::new(), BTreeSet::new());
                let fresh = Running { master, status, epochs, up };
                let running = self.running.entry(*job).or_insert_with(|| fresh.clone());
                if running.master != master {
                    *running = fresh;
                }
                for vertex in vertices {
                    running.epochs.insert(*vertex, *epoch);
                    running.up.remove(vertex);
                }
            }
            JobEvent::StatusChanged { job, session, status } => {
                let master = (at.process, *session);
                let over = plain::is_end(*status) || *status == JobStatus::Suspended;
                match self.running.get_mut(job).filter(|running| running.master == master) {
                    Some(_) if over => drop(self.running.remove(job)),
                    Some(running) => running.status = *status,
                    None => {}
                }
            }
            JobEvent::ExecutionChanged { attempt, state } => {
                if let Some(running) = self.running.get_mut(&attempt.job)
                    && running.epochs.get(&attempt.vertex) == Some(&attempt.epoch)
                {
                    match *state {
                        ExecutionState::Running | ExecutionState::Finished => {
                            running.up.insert(attempt.vertex)
                        }
                        _ => running.up.remove(&attempt.vertex),
                    };
                }
            }
            // What such a job puts out is what its sources have read when they ended.
            JobEvent::SavepointRequested { job, then: AfterSavepoint::Drain, .. } => {
                self.drained.insert(*job);
            }
            JobEvent::SavepointTriggered {
                job, checkpoint, then: AfterSavepoint::Stop, ..
            } => {
                self.stops.insert((*job, *checkpoint));
            }
            JobEvent::CheckpointTriggered { job, checkpoint, .. } => {
                // What a master before it had under way is nobody's.
                self.began.retain(|(of, _), (_, process)| of != job || *process == at.process);
                self.began.insert((*job, *checkpoint), (at.time, at.process));
            }
            JobEvent::CheckpointCompleted { job, checkpoint, .. } => {
                if let Some((began, _)) = self.began.remove(&(*job, *checkpoint)) {
                    let newest = self.newest_checkpoint.entry(*job).or_default();
                    *newest = began.max(*newest);
                }
            }
            JobEvent::CheckpointAborted { job, checkpoint, .. } => {
                self.began.remove(&(*job, *checkpoint));
            }
            _ => {}
        }
    }

    fn observe_objects(&mut self, event: &ObjectStoreEvent) {
        match event {
            ObjectStoreEvent::Recovered { objects, .. } => {
                self.objects = objects.iter().map(|(name, _, _)| name.clone()).collect();
            }
            ObjectStoreEvent::Stored { name, .. } => {
                self.objects.insert(name.clone());
            }
            ObjectStoreEvent::Renamed { from, to, .. } => {
                self.objects.remove(from);
                self.objects.insert(to.clone());
            }
            ObjectStoreEvent::Deleted { names }
            | ObjectStoreEvent::Sealed { removed: names, .. } => {
                for name in names {
                    self.objects.remove(name);
                }
            }
        }
    }

    fn observe_log(&mut self, at: Moment, event: &LogEvent) {
        match event {
            LogEvent::Appended { topic, .. } => {
                self.last_input.insert(topic.clone(), at.time);
            }
            // What was synced but not announced before a crash shows only here.
            LogEvent::Recovered { unended, records, .. } => {
                self.transactions = unended.iter().cloned().collect();
                for (topic, partition, first, found) in records {
                    self.put_out(topic, *partition, *first, found);
                }
            }
            LogEvent::TransactionOpened { transaction } => {
                self.transactions.insert(transaction.clone());
            }
            LogEvent::TransactionPrepared { transaction } => {
                self.transactions.insert(transaction.clone());
            }
            LogEvent::TransactionCommitted { transaction, writes } => {
                self.transactions.remove(transaction);
                for (topic, partition, first, records) in writes {
                    self.put_out(topic, *partition, *first, records);
                }
            }
            LogEvent::TransactionAborted { transaction } => {
                self.transactions.remove(transaction);
            }
            _ => {}
        }
    }

    /// Records of a topic into which only transactions write stand there; of others and of services nothing is kept.
    fn put_out(&mut self, topic: &str, partition: u32, first: u64, records: &[Bytes]) {
        if self.services.has(topic) {
            return;
        }
        let held = self.output.entry((topic.to_string(), partition)).or_default();
        let known = usize::try_from(first).unwrap_or(usize::MAX);
        if known <= held.len() {
            held.truncate(known);
            held.extend_from_slice(records);
        }
    }

    fn observe_database(&mut self, event: &DatabaseEvent) {
        match event {
            DatabaseEvent::Recovered { tables, .. } => self.tables.clone_from(tables),
            DatabaseEvent::WriterBegun { table, .. } => {
                let new = || Table::new(table.kind);
                self.tables.entry(table.name.clone()).or_insert_with(new);
            }
            DatabaseEvent::Written { table, rows, .. } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.write(rows);
                }
            }
            DatabaseEvent::WriteRepeated { .. } | DatabaseEvent::WriteRefused { .. } => {}
        }
    }

    fn observe_slots(&mut self, at: Moment, event: &SlotEvent) {
        match event {
            SlotEvent::SlotAllocated { index, job, allocation, .. } => {
                self.slots.insert((at.process, *index), (*job, *allocation));
            }
            SlotEvent::SlotFreed { index, allocation, .. } => {
                let slot = (at.process, *index);
                if self.slots.get(&slot).is_some_and(|(_, held)| held == allocation) {
                    self.slots.remove(&slot);
                }
            }
            _ => {}
        }
    }

    /// What a key of a job says besides its value.
    fn observe_key(&mut self, now: Duration, key: &str, value: &[u8]) {
        let Some(key) = StoreKey::parse(key) else { return };
        self.progress.put(now, key, value);
        let StoreKey { job, part } = key;
        match part {
            StoredPart::Final => {
                if let Ok(id) = postcard::from_bytes::<CheckpointId>(value) {
                    self.finals.insert(job, id);
                }
            }
            StoredPart::Graph => {
                let graph = postcard::from_bytes::<JobGraph>(value).ok();
                let path = graph.and_then(|graph| graph.savepoint).map(|source| source.path);
                if let Some(id) = path.and_then(|path| self.checkpoint_of_savepoint(&path)) {
                    self.began_from.entry(job).or_insert(id);
                }
            }
            _ => {}
        }
    }

    /// The checkpoint of which the savepoint at a path is a copy, by the names of its parts.
    fn checkpoint_of_savepoint(&self, path: &str) -> Option<CheckpointId> {
        let prefix = format!("{path}/chk-");
        let name = self.objects.range(prefix.clone()..).next()?.strip_prefix(&prefix)?;
        name.split_once('-')?.0.parse().ok().map(CheckpointId)
    }

    /// With which checkpoint a job was stopped.
    pub fn stopped_with(&self, job: JobId) -> Option<CheckpointId> {
        self.finals.get(&job).copied().filter(|id| self.stops.contains(&(job, *id)))
    }

    /// Whether a job ends before its input does, since it was stopped with a savepoint or is to be drained.
    pub fn is_stopped(&self, job: JobId) -> bool {
        self.stopped_with(job).is_some() || self.drained.contains(&job)
    }

    /// As what a job goes on now.
    pub fn present(&self, mut job: JobId) -> JobId {
        while let Some(next) = self.goes_on.get(&job) {
            job = *next;
        }
        job
    }

    /// A job, and as what it went on, one after the other.
    pub fn course(&self, job: JobId) -> impl Iterator<Item = JobId> {
        std::iter::successors(Some(job), |job| self.goes_on.get(job).copied())
    }

    /// The checkpoints of a job that are in flight.
    pub fn in_flight(&self, job: JobId) -> impl Iterator<Item = CheckpointId> {
        self.began.keys().filter(move |(of, _)| *of == job).map(|(_, checkpoint)| *checkpoint)
    }

    /// The term in a component's latch, by the server's log.
    pub fn latch(&self, component: &str) -> Option<LeaderSessionId> {
        self.keys.get(&latch_key(component)).and_then(|value| LeaderSessionId::from_bytes(value))
    }

    /// A component's leader record, by the server's log.
    pub fn record(&self, component: &str) -> Option<LeaderInformation> {
        let value = self.keys.get(&leader_key(component))?;
        postcard::from_bytes(value).ok()
    }

    /// A job's graph, by what is kept.
    pub fn graph(&self, job: JobId) -> Option<JobGraph> {
        postcard::from_bytes(self.keys.get(&store::graph_key(job))?).ok()
    }

    /// How many jobs have graphs that are kept.
    pub fn jobs_kept(&self) -> usize {
        let first = store::graph_key(JobId(0));
        let graphs = self.keys.range(first..).map_while(|(key, _)| StoreKey::parse(key));
        graphs.take_while(|key| key.part == StoredPart::Graph).count()
    }

    /// The node that holds a component's latch.
    pub fn leader(&self, component: &str) -> Option<NodeId> {
        self.granted_on.get(&self.latch(component)?).copied()
    }

    /// What is kept of a job's end.
    pub fn stored_result(&self, job: JobId) -> Option<StoredResult> {
        postcard::from_bytes(self.keys.get(&store::result_key(job))?).ok()
    }

    /// The status with which a job has ended for good, by what is kept.
    pub fn terminal_status(&self, job: JobId) -> Option<JobStatus> {
        self.stored_result(job).map(|stored| stored.result.status)
    }
}
