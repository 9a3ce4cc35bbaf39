//! The log server: an endpoint in front of the state and its durable log.

use super::{
    LogEvent,
    model::{LogBatch, LogRead, LogRefusal, LogWrite, ProducerId, READ_WAIT_MAX, TransactionId},
    state::{Command, Decision, LogState},
};
use crate::{
    gateway,
    host::{Host, Instant},
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        service::{
            batch::{self, BatchQueue, BatchServer},
            durable::{Durable, DurableLog},
        },
    },
};
use std::time::Duration;

/// The name of the server's endpoint.
pub const LOG_ENDPOINT: &str = "log";

/// Where the log is kept.
const FOLDER: &str = "log";
/// Reads that wait for records; what comes beyond is answered with an error.
const READS_MAX: usize = 4096;

gateway! {
    /// Speaks to the log server.
    pub gateway LogGateway serves LogHandler {
        /// Creates a topic with partitions 0 to `partitions - 1`.
        ask create_topic(topic: String, partitions: u32) -> Result<(), LogRefusal>;
        /// Lets a topic have so many partitions; no fewer than before.
        ask add_partitions(topic: String, partitions: u32) -> Result<(), LogRefusal>;
        /// Notes how far a group has read partitions of a topic.
        ask commit_offsets(group: String, topic: String, offsets: Vec<(u32, u64)>) -> Result<(), LogRefusal>;
        /// How far a group has read each partition of which it has committed something.
        ask committed_offsets(group: String, topic: String) -> Result<Vec<(u32, u64)>, LogRefusal>;
        /// Appends records; answers the producer's next sequence number for the partition.
        ask append(producer: String, write: LogWrite) -> Result<u64, LogRefusal>;
        /// Committed records from an offset on.
        ask read(read: LogRead) -> Result<LogBatch, LogRefusal>;
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
    state: LogState,
    queue: BatchQueue<Self, LogState>,
    reads: Vec<Waiting>,
}

type Batch = batch::Batch<LogServer, LogState>;

impl RpcEndpoint for LogServer {
    type Gateway = LogGateway;
}

impl LogServer {
    /// Recovers the server from its node's disk and starts it. When that is impossible the process
    /// exits.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt; the process has been told to exit then.
    pub async fn start(service: &RpcService) -> Result<RpcServer<LogServer>, RpcError> {
        let host = service.host();
        let recovered = DurableLog::<LogState>::recover(host.disk(), FOLDER).await;
        let (log, state) = match recovered {
            Ok(recovered) => recovered,
            Err(error) => {
                host.exit(&format!("log: {error}"));
                return Err(RpcError::Application(error.to_string()));
            }
        };
        host.announce(&LogEvent::Recovered {
            ends: state.ends(),
            records: state.records(),
            unended: state.unended_under(""),
            closed: state.closed(),
            committed: state.committed(),
        });
        let server = LogServer { state, queue: BatchQueue::new(host, log), reads: Vec::new() };
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

    fn decide(&mut self, command: Command, batch: &mut Batch) -> Result<u64, LogRefusal> {
        let Decision { next, record, events } = self.state.decide(command)?;
        if let Some(record) = record {
            self.state.apply(&record);
            batch.records.push(record);
            events.into_iter().for_each(|event| batch.announce(event));
        }
        Ok(next)
    }

    /// What a read is answered now; `None` when it has to wait.
    fn look(&self, waiting: &Waiting, now: Instant) -> Option<Result<LogBatch, LogRefusal>> {
        let found = self.state.read(&waiting.read);
        let empty = matches!(&found, Ok(batch) if batch.records.is_empty());
        (!empty || waiting.deadline <= now).then_some(found)
    }

    /// Answers a read or lets it wait. The whole state is durable, and what is read is held for one call
    /// at a time, not for all of a batch.
    fn begin_read(&mut self, waiting: Waiting, now: Instant) {
        match self.look(&waiting, now) {
            Some(answer) => waiting.reply.ok(answer),
            None if self.reads.len() >= READS_MAX => {
                waiting.reply.fail(RpcError::NotRunning("too many reads wait".to_string()));
            }
            None => self.reads.push(waiting),
        }
    }
}

impl BatchServer<LogState> for LogServer {
    const NAME: &'static str = "log";

    fn queue(&mut self) -> &mut BatchQueue<Self, LogState> {
        &mut self.queue
    }

    fn state(&self) -> &LogState {
        &self.state
    }

    /// Answers the reads that have something to see or have waited long enough.
    fn answer_waiting(&mut self, host: &Host) {
        let now = host.now();
        for waiting in std::mem::take(&mut self.reads) {
            match self.look(&waiting, now) {
                Some(answer) => waiting.reply.ok(answer),
                None => self.reads.push(waiting),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.reads.iter().map(|waiting| waiting.deadline).min()
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
        let command = Command::Append { producer, write };
        self.ask(context, command.bytes(), reply, |server, batch| server.decide(command, batch));
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
            batch.answer_by(move |server, context| {
                server.begin_read(waiting, context.host().now());
            });
        });
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
        let command = Command::Write { transaction, write };
        self.ask(context, command.bytes(), reply, |server, batch| server.decide(command, batch));
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
        self.change(context, Command::Commit(transaction), reply);
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
