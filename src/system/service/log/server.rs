//! The log server: an endpoint in front of the state and its durable log.

use super::{
    LogEvent,
    command::{Command, Record},
    config::LogServerConfig,
    model::{
        LogBatch, LogRead, LogRefusal, LogWrite, ProducerId, READ_WAIT_MAX, Retention,
        TransactionId,
    },
    partition::{Look, Partition, taken},
    segment::{SegmentCache, SegmentFile, SegmentFiles},
    state::{Decision, LogState},
    topics::{DueSegment, Place},
};
use crate::{
    gateway,
    host::Instant,
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        sabotage,
        service::{
            batch::{self, BatchQueue, BatchServer},
            durable::{Durable, DurableError, DurableLog},
        },
    },
};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};

/// The name of the server's endpoint.
pub const LOG_ENDPOINT: &str = "log";

/// Where the log is kept.
const FOLDER: &str = "log";
/// Reads that wait for records; what comes beyond is answered with an error.
const READS_MAX: usize = 4096;
/// Files that are read at once.
const FILES_AT_ONCE: usize = 4;
/// Committed records in memory, as a multiple of how many there should be: beyond, appends wait for the disk.
const MEMORY_FACTOR_MAX: u64 = 4;
/// From look to look at how old records are, as a share of the age at which they go.
const LOOKS_PER_AGE: u64 = 8;
/// From look to look at most, and at least.
const LOOK_MAX: Duration = Duration::from_secs(60);
const LOOK_MIN: Duration = Duration::from_millis(100);

gateway! {
    /// Speaks to the log server.
    pub gateway LogGateway serves LogHandler {
        /// Creates a topic with partitions 0 to `partitions - 1`.
        ask create_topic(topic: String, partitions: u32) -> Result<(), LogRefusal>;
        /// Lets a topic have so many partitions; no fewer than before.
        ask add_partitions(topic: String, partitions: u32) -> Result<(), LogRefusal>;
        /// Says how long a topic's records are kept.
        ask set_retention(topic: String, retention: Retention) -> Result<(), LogRefusal>;
        /// Keeps everything from these offsets on for an owner, and no longer what lies before them; answers from where.
        ask hold_offsets(owner: String, topic: String, offsets: Vec<(u32, u64)>) -> Result<Vec<(u32, u64)>, LogRefusal>;
        /// Notes how far a group has read partitions of a topic.
        ask commit_offsets(group: String, topic: String, offsets: Vec<(u32, u64)>) -> Result<(), LogRefusal>;
        /// How far a group has read each partition of which it has committed something.
        ask committed_offsets(group: String, topic: String) -> Result<Vec<(u32, u64)>, LogRefusal>;
        /// Appends records; answers the producer's next sequence number for the partition.
        ask append(producer: String, write: LogWrite) -> Result<u64, LogRefusal>;
        /// Committed records from an offset on.
        ask read(read: LogRead) -> Result<LogBatch, LogRefusal>;
        /// Each partition's first offset that is kept.
        ask start_offsets(topic: String) -> Result<Vec<u64>, LogRefusal>;
        /// Each partition's end offset.
        ask end_offsets(topic: String) -> Result<Vec<u64>, LogRefusal>;
        /// Makes a generation of a producer the current one.
        ask init_producer(id: ProducerId) -> Result<(), LogRefusal>;
        /// Stages records; answers the transaction's next sequence number for the partition.
        ask write(transaction: TransactionId, write: LogWrite) -> Result<u64, LogRefusal>;
        /// Lets a transaction take no more writes.
        ask prepare(transaction: TransactionId) -> Result<(), LogRefusal>;
        /// Appends what a prepared transaction has staged.
        ask commit(transaction: TransactionId) -> Result<(), LogRefusal>;
        /// Throws away what a transaction has staged.
        ask abort(transaction: TransactionId) -> Result<(), LogRefusal>;
        /// Closes the producers whose names begin with a prefix, for ever.
        ask close_producers(prefix: String) -> Result<(), LogRefusal>;
    }
}

struct Waiting {
    read: LogRead,
    deadline: Instant,
    reply: Reply<Result<LogBatch, LogRefusal>>,
}

/// The server's state.
pub struct LogServer {
    config: LogServerConfig,
    state: LogState,
    queue: BatchQueue<Self, LogState>,
    /// Those that wait for the next record.
    reads: Vec<Waiting>,
    /// Those that wait for a file, by segment.
    file_reads: BTreeMap<u64, (SegmentFile, Vec<Waiting>)>,
    files: SegmentFiles,
    cache: SegmentCache,
    /// Whether segments are being stored.
    storing: bool,
    /// When it is looked next how old records are.
    next_look: Option<Instant>,
}

type Batch = batch::Batch<LogServer, LogState>;

impl RpcEndpoint for LogServer {
    type Gateway = LogGateway;

    /// What became due while it did not run is done now.
    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.answer_waiting(context);
        self.process(context);
        Ok(())
    }
}

impl LogServer {
    /// Recovers the server from its node's disk and starts it. When that is impossible the process
    /// exits.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt; the process has been told to exit then.
    pub async fn start(
        service: &RpcService,
        config: LogServerConfig,
    ) -> Result<RpcServer<LogServer>, RpcError> {
        let host = service.host();
        let files = SegmentFiles::new(host.disk(), FOLDER);
        let (log, state) = match recover(service, &files, config).await {
            Ok(recovered) => recovered,
            Err(error) => {
                host.exit(&format!("log: {error}"));
                return Err(RpcError::Application(error.to_string()));
            }
        };
        host.announce(&LogEvent::Recovered {
            ends: state.offsets(Partition::end),
            starts: state.offsets(Partition::start),
            records: state.in_memory(),
            unended: state.unended_under(""),
            closed: state.closed(),
            committed: state.committed(),
            held: state.held(),
        });
        let server = LogServer {
            config,
            state,
            queue: BatchQueue::new(host, log),
            reads: Vec::new(),
            file_reads: BTreeMap::new(),
            files,
            cache: SegmentCache::new(config.cache_bytes),
            storing: false,
            next_look: None,
        };
        let server = service.start_server(LOG_ENDPOINT, server)?;
        server.start();
        Ok(server)
    }

    /// A change that is answered with nothing.
    fn change(
        &mut self,
        context: &mut Context<Self>,
        command: Command,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        let bytes = command.bytes();
        self.ask(context, bytes, reply, |server, batch| server.decide(command, batch).map(|_| ()));
    }

    /// A change that brings records. They wait elsewhere while the disk can't keep up.
    fn bring(
        &mut self,
        context: &mut Context<Self>,
        command: Command,
        reply: Reply<Result<u64, LogRefusal>>,
    ) {
        let memory_max = self.config.memory_bytes.saturating_mul(MEMORY_FACTOR_MAX);
        if self.storing && self.state.topics.memory() > memory_max {
            return reply.fail(RpcError::NotRunning("records wait to be stored".to_string()));
        }
        self.ask(context, command.bytes(), reply, |server, batch| server.decide(command, batch));
    }

    fn decide(&mut self, command: Command, batch: &mut Batch) -> Result<u64, LogRefusal> {
        let Decision { next, record, events } =
            self.state.decide(command, batch.wall.as_millis())?;
        if let Some(record) = record {
            self.state.apply(&record);
            batch.records.push(record);
            events.into_iter().for_each(|event| batch.announce(event));
        }
        Ok(next)
    }

    /// Answers a read or lets it wait. The whole state is durable, and what is read is held for one call
    /// at a time, not for all of a batch.
    fn serve_read(&mut self, waiting: Waiting, context: &Context<Self>) {
        let read = &waiting.read;
        match self.state.read(read) {
            Err(refusal) => waiting.reply.ok(Err(refusal)),
            Ok(Look::Batch(batch)) => {
                if batch.records.is_empty() && context.host().now() < waiting.deadline {
                    self.reads.push(waiting);
                } else {
                    waiting.reply.ok(Ok(batch));
                }
            }
            Ok(Look::InFile(file, end)) => match self.cache.get(file.id) {
                Some(records) => {
                    let skipped = usize::try_from(read.offset - file.first).unwrap_or(usize::MAX);
                    let records = records.get(skipped..).unwrap_or_default().iter();
                    let records = taken(records, read.records_max);
                    waiting.reply.ok(Ok(LogBatch { first: read.offset, records, end }));
                }
                None => {
                    let wait = (file, Vec::new());
                    self.file_reads.entry(file.id).or_insert(wait).1.push(waiting);
                    self.read_files(context);
                }
            },
        }
    }

    fn begin_read(&mut self, waiting: Waiting, context: &Context<Self>) {
        let for_files: usize = self.file_reads.values().map(|(_, waiting)| waiting.len()).sum();
        if self.reads.len() + for_files >= READS_MAX {
            return waiting.reply.fail(RpcError::NotRunning("too many reads wait".to_string()));
        }
        self.serve_read(waiting, context);
    }

    /// Reads the files that somebody waits for, a few at once.
    fn read_files(&mut self, context: &Context<Self>) {
        for (id, (file, waiting)) in &self.file_reads {
            if self.cache.reading() >= FILES_AT_ONCE {
                return;
            }
            if !self.cache.begin_read(*id) {
                continue;
            }
            let (files, file) = (self.files.clone(), *file);
            let place = waiting.first().map(|of| (of.read.topic.clone(), of.read.partition));
            let place = place.expect("somebody waits for it");
            let read = async move { files.read(file).await };
            drop(context.spawn_then(read, move |server, context, read| {
                server.file_was_read(context, place, file, read);
            }));
        }
    }

    fn file_was_read(
        &mut self,
        context: &mut Context<Self>,
        (topic, partition): Place,
        file: SegmentFile,
        read: Result<Vec<Bytes>, DurableError>,
    ) {
        match read {
            Ok(records) => {
                let offset = file.first;
                context.host().announce(&LogEvent::SegmentRead { topic, partition, offset });
                self.cache.insert(file.id, records);
            }
            // It may have been removed since; whoever waits is told so.
            Err(_) if !self.state.topics.files().contains(&file) => self.cache.remove(file.id),
            Err(error) => return context.host().exit(&format!("log: {error}")),
        }
        let (_, waiting) = self.file_reads.remove(&file.id).unwrap_or((file, Vec::new()));
        self.reads.extend(waiting);
        self.read_files(context);
        // While a batch is being synced the state is ahead of the disk.
        if self.queue.is_idle() {
            self.answer_waiting(context);
            self.process(context);
        }
    }

    /// Lets segments that take no more records become files, one round at a time.
    fn store_segments(&mut self, context: &Context<Self>) {
        if self.storing {
            return;
        }
        let memory = self.config.memory_bytes;
        let due = self.state.topics.due_to_store(memory, memory / 2);
        if due.is_empty() {
            return;
        }
        self.storing = true;
        let store = store(self.files.clone(), due);
        drop(context.spawn_then(store, |server, context, stored| match stored {
            Ok(stored) => server.segments_were_stored(context, stored),
            Err(error) => context.host().exit(&format!("log: {error}")),
        }));
    }

    fn segments_were_stored(&mut self, context: &mut Context<Self>, stored: Vec<StoredSegment>) {
        self.submit(0, move |server, batch| {
            server.storing = false;
            for StoredSegment { place, file, records } in stored {
                let before = batch.records.len();
                let decided = server.decide(Command::Store { place, file }, batch);
                decided.expect("topics and their partitions stay");
                if batch.records.len() > before {
                    server.cache.insert(file.id, records);
                } else {
                    server.remove_files(vec![file], batch);
                }
            }
        });
        if self.queue.is_idle() {
            self.process(context);
        }
    }

    /// Removes files for good once the batch is durable.
    fn remove_files(&mut self, removed: Vec<SegmentFile>, batch: &mut Batch) {
        batch.then(move |server, context| {
            removed.iter().for_each(|file| server.cache.remove(file.id));
            let files = server.files.clone();
            let remove = async move {
                for file in removed {
                    files.remove(file.id).await?;
                }
                Ok::<(), DurableError>(())
            };
            drop(context.spawn_then(remove, |_, context, removed| {
                if let Err(error) = removed {
                    context.host().exit(&format!("log: {error}"));
                }
            }));
        });
    }

    /// Lets retention remove what it has to.
    fn trim_topics(&mut self, context: &Context<Self>) {
        let host = context.host();
        let ignore_holds = host.sabotaged(sabotage::RETENTION_PAST_CHECKPOINT);
        if !self.state.topics.due_trims(host.wall().as_millis(), ignore_holds).is_empty() {
            self.submit(0, move |server, batch| {
                let due = server.state.topics.due_trims(batch.wall.as_millis(), ignore_holds);
                for (place, start) in due {
                    let removed = server.state.topics.files_below(&place, start);
                    let trimmed = server.decide(Command::Trim { place, start }, batch);
                    trimmed.expect("topics and their partitions stay");
                    server.remove_files(removed, batch);
                }
            });
        }
        let age = self.state.topics.age_min().map(|age| Duration::from_millis(age / LOOKS_PER_AGE));
        self.next_look = age.map(|age| host.now() + age.clamp(LOOK_MIN, LOOK_MAX));
    }
}

/// A segment that has become a file, and whose it is.
struct StoredSegment {
    place: Place,
    file: SegmentFile,
    records: Vec<Bytes>,
}

async fn store(
    files: SegmentFiles,
    due: Vec<DueSegment>,
) -> Result<Vec<StoredSegment>, DurableError> {
    let mut stored = Vec::new();
    for DueSegment { place, segment: (id, first, records) } in due {
        let file = files.write(id, first, &records).await?;
        stored.push(StoredSegment { place, file, records });
    }
    files.sync_names().await?;
    Ok(stored)
}

async fn recover(
    service: &RpcService,
    files: &SegmentFiles,
    config: LogServerConfig,
) -> Result<(DurableLog<LogState>, LogState), DurableError> {
    let disk = service.host().disk();
    let (mut log, mut state) = DurableLog::<LogState>::recover(disk, FOLDER).await?;
    files.recover(&state.topics.files()).await?;
    if state.topics.segment_bytes() != config.segment_bytes {
        let record = Record::SegmentBytes(config.segment_bytes);
        state.apply(&record);
        log.append(&[record]).await?;
    }
    Ok((log, state))
}

impl BatchServer<LogState> for LogServer {
    const NAME: &'static str = "log";

    fn queue(&mut self) -> &mut BatchQueue<Self, LogState> {
        &mut self.queue
    }

    fn state(&self) -> &LogState {
        &self.state
    }

    /// Answers the reads that have something to see or have waited long enough, and looks after segments.
    fn answer_waiting(&mut self, context: &Context<Self>) {
        for waiting in std::mem::take(&mut self.reads) {
            self.serve_read(waiting, context);
        }
        self.trim_topics(context);
        self.store_segments(context);
    }

    fn deadline(&self) -> Option<Instant> {
        let reads = self.reads.iter().map(|waiting| waiting.deadline);
        reads.chain(self.next_look).min()
    }
}

impl LogHandler for LogServer {
    fn create_topic(
        &mut self,
        context: &mut Context<Self>,
        topic: String,
        partitions: u32,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::CreateTopic { topic, partitions }, reply);
    }

    fn add_partitions(
        &mut self,
        context: &mut Context<Self>,
        topic: String,
        partitions: u32,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::AddPartitions { topic, partitions }, reply);
    }

    fn set_retention(
        &mut self,
        context: &mut Context<Self>,
        topic: String,
        retention: Retention,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::SetRetention { topic, retention }, reply);
    }

    fn hold_offsets(
        &mut self,
        context: &mut Context<Self>,
        owner: String,
        topic: String,
        offsets: Vec<(u32, u64)>,
        reply: Reply<Result<Vec<(u32, u64)>, LogRefusal>>,
    ) {
        let partitions: Vec<u32> = offsets.iter().map(|(partition, _)| *partition).collect();
        let (of, from) = (owner.clone(), topic.clone());
        let command = Command::HoldOffsets { owner, topic, offsets };
        self.ask(context, command.bytes(), reply, move |server, batch| {
            server.decide(command, batch)?;
            Ok(server.state.held_by(&of, &from, &partitions))
        });
    }

    fn commit_offsets(
        &mut self,
        context: &mut Context<Self>,
        group: String,
        topic: String,
        offsets: Vec<(u32, u64)>,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::CommitOffsets { group, topic, offsets }, reply);
    }

    fn committed_offsets(
        &mut self,
        context: &mut Context<Self>,
        group: String,
        topic: String,
        reply: Reply<Result<Vec<(u32, u64)>, LogRefusal>>,
    ) {
        let bytes = group.len() + topic.len();
        self.ask(context, bytes, reply, move |server, _| {
            server.state.committed_offsets(&group, &topic)
        });
    }

    fn append(
        &mut self,
        context: &mut Context<Self>,
        producer: String,
        write: LogWrite,
        reply: Reply<Result<u64, LogRefusal>>,
    ) {
        self.bring(context, Command::Append { producer, write }, reply);
    }

    fn read(
        &mut self,
        context: &mut Context<Self>,
        read: LogRead,
        reply: Reply<Result<LogBatch, LogRefusal>>,
    ) {
        let deadline =
            context.host().now() + Duration::from_millis(read.wait_ms).min(READ_WAIT_MAX);
        self.ask_by(context, read.topic.len(), reply, move |_, batch, reply| {
            let waiting = Waiting { read, deadline, reply };
            batch.then(move |server, context| {
                server.begin_read(waiting, context);
            });
        });
    }

    fn start_offsets(
        &mut self,
        context: &mut Context<Self>,
        topic: String,
        reply: Reply<Result<Vec<u64>, LogRefusal>>,
    ) {
        let bytes = topic.len();
        self.ask(context, bytes, reply, move |server, _| server.state.start_offsets(&topic));
    }

    fn end_offsets(
        &mut self,
        context: &mut Context<Self>,
        topic: String,
        reply: Reply<Result<Vec<u64>, LogRefusal>>,
    ) {
        let bytes = topic.len();
        self.ask(context, bytes, reply, move |server, _| server.state.end_offsets(&topic));
    }

    fn init_producer(
        &mut self,
        context: &mut Context<Self>,
        id: ProducerId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::Init(id), reply);
    }

    fn write(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        write: LogWrite,
        reply: Reply<Result<u64, LogRefusal>>,
    ) {
        self.bring(context, Command::Write { transaction, write }, reply);
    }

    fn prepare(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::Prepare(transaction), reply);
    }

    fn commit(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        let next = self.state.prepared_after(&transaction);
        let hit = next.filter(|_| context.host().sabotaged(sabotage::LATE_COMMIT_HITS_THE_NEXT));
        self.change(context, Command::Commit(hit.unwrap_or(transaction)), reply);
    }

    fn abort(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::Abort(transaction), reply);
    }

    fn close_producers(
        &mut self,
        context: &mut Context<Self>,
        prefix: String,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.change(context, Command::CloseProducers { prefix }, reply);
    }
}
