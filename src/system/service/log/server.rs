//! The log server: an endpoint in front of the state and its durable log.

use super::{
    LogEvent,
    model::{
        LogBatch, LogRead, LogRefusal, LogWrite, ProducerId, READ_WAIT_MAX, TransactionId, size,
    },
    state::{Command, Decision, LogState, Record},
};
use crate::{
    gateway,
    host::{Host, Instant},
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        service::{
            backlog::Backlog,
            durable::{Durable, DurableError, DurableLog},
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

enum Request {
    /// A change that is answered with nothing.
    Change(Command, Reply<Result<(), LogRefusal>>),
    /// A change that is answered with the next sequence number.
    Write(Command, Reply<Result<u64, LogRefusal>>),
    Read(Waiting),
    EndOffsets(String, Reply<Result<Vec<u64>, LogRefusal>>),
}

struct Waiting {
    read: LogRead,
    deadline: Instant,
    reply: Reply<Result<LogBatch, LogRefusal>>,
}

impl Request {
    fn refuse(self, error: RpcError) {
        match self {
            Request::Change(_, reply) => reply.fail(error),
            Request::Write(_, reply) => reply.fail(error),
            Request::Read(waiting) => waiting.reply.fail(error),
            Request::EndOffsets(_, reply) => reply.fail(error),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Request::Write(Command::Append { write, .. } | Command::Write { write, .. }, _) => {
                size(&write.records)
            }
            _ => 0,
        }
    }
}

/// An answer that waits for the batch to be durable.
type Answer = Box<dyn FnOnce() + Send>;

/// What one batch of requests comes to.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    events: Vec<LogEvent>,
    answers: Vec<Answer>,
}

/// The server's state. While a batch is being synced, requests wait: what is read, answered and
/// announced is durable.
pub struct LogServer {
    state: LogState,
    /// `None` while a batch is being synced.
    log: Option<DurableLog<LogState>>,
    backlog: Backlog<Request>,
    reads: Vec<Waiting>,
    /// When the server will look at the reads next.
    alarm: Option<Instant>,
}

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
        });
        let server = LogServer {
            state,
            log: Some(log),
            backlog: Backlog::new(),
            reads: Vec::new(),
            alarm: None,
        };
        let server = service.start_server(LOG_ENDPOINT, server)?;
        server.start();
        Ok(server)
    }

    fn request(&mut self, context: &mut Context<Self>, request: Request) {
        let bytes = request.bytes();
        if let Err(request) = self.backlog.push(request, bytes) {
            return request.refuse(RpcError::NotRunning("too much waits".to_string()));
        }
        if self.log.is_some() {
            self.process(context);
        }
    }

    /// Takes all that waits as one batch.
    fn process(&mut self, context: &mut Context<Self>) {
        let mut batch = Batch::default();
        let now = context.host().now();
        for request in self.backlog.take() {
            self.evaluate(now, request, &mut batch);
        }
        let Batch { records, events, answers } = batch;
        if records.is_empty() {
            answers.into_iter().for_each(|answer| answer());
            self.set_alarm(context);
            return;
        }
        let mut log = self.log.take().expect("requests are processed only when no batch is synced");
        let snapshot = log.wants_snapshot().then(|| self.state.clone());
        let work = async move {
            log.append(&records).await?;
            if let Some(state) = snapshot {
                log.snapshot(&state).await?;
            }
            Ok::<_, DurableError>(log)
        };
        context.spawn_then(work, move |server, context, done| match done {
            Ok(log) => {
                server.log = Some(log);
                events.iter().for_each(|event| context.host().announce(event));
                answers.into_iter().for_each(|answer| answer());
                server.answer_reads(context.host());
                server.process(context);
            }
            Err(error) => context.host().exit(&format!("log: {error}")),
        });
    }

    fn evaluate(&mut self, now: Instant, request: Request, batch: &mut Batch) {
        match request {
            Request::Change(command, reply) => {
                let outcome = self.change(command, batch).map(|_| ());
                batch.answers.push(Box::new(move || reply.ok(outcome)));
            }
            Request::Write(command, reply) => {
                let outcome = self.change(command, batch);
                batch.answers.push(Box::new(move || reply.ok(outcome)));
            }
            Request::Read(waiting) => match self.look(&waiting, now) {
                Some(answer) => batch.answers.push(Box::new(move || waiting.reply.ok(answer))),
                None if self.reads.len() >= READS_MAX => {
                    waiting.reply.fail(RpcError::NotRunning("too many reads wait".to_string()));
                }
                None => self.reads.push(waiting),
            },
            Request::EndOffsets(topic, reply) => {
                let ends = self.state.end_offsets(&topic);
                batch.answers.push(Box::new(move || reply.ok(ends)));
            }
        }
    }

    fn change(&mut self, command: Command, batch: &mut Batch) -> Result<u64, LogRefusal> {
        let Decision { next, record, events } = self.state.decide(command)?;
        if let Some(record) = record {
            self.state.apply(&record);
            batch.records.push(record);
            batch.events.extend(events);
        }
        Ok(next)
    }

    /// What a read is answered now; `None` when it has to wait.
    fn look(&self, waiting: &Waiting, now: Instant) -> Option<Result<LogBatch, LogRefusal>> {
        let found = self.state.read(&waiting.read);
        let empty = matches!(&found, Ok(batch) if batch.records.is_empty());
        (!empty || waiting.deadline <= now).then_some(found)
    }

    /// Answers the reads that have something to see or have waited long enough.
    fn answer_reads(&mut self, host: &Host) {
        let now = host.now();
        for waiting in std::mem::take(&mut self.reads) {
            match self.look(&waiting, now) {
                Some(answer) => waiting.reply.ok(answer),
                None => self.reads.push(waiting),
            }
        }
    }

    /// Makes sure that the server wakes at the next end of a read.
    fn set_alarm(&mut self, context: &mut Context<Self>) {
        let Some(next) = self.reads.iter().map(|waiting| waiting.deadline).min() else { return };
        if self.alarm.is_some_and(|alarm| alarm <= next) {
            return;
        }
        self.alarm = Some(next);
        let delay = next.saturating_since(context.host().now());
        context.schedule(delay, move |server, context| {
            if server.alarm == Some(next) {
                server.alarm = None;
                server.look_at_clock(context);
            }
        });
    }

    fn look_at_clock(&mut self, context: &mut Context<Self>) {
        // While a batch is synced the state is ahead of the disk; the reads are looked at after it.
        if self.log.is_some() {
            self.answer_reads(context.host());
            self.set_alarm(context);
        }
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
        self.request(context, Request::Change(Command::CreateTopic { topic, partitions }, reply));
    }

    fn append(
        &mut self,
        context: &mut Context<Self>,
        producer: String,
        write: LogWrite,
        reply: Reply<Result<u64, LogRefusal>>,
    ) {
        self.request(context, Request::Write(Command::Append { producer, write }, reply));
    }

    fn read(
        &mut self,
        context: &mut Context<Self>,
        read: LogRead,
        reply: Reply<Result<LogBatch, LogRefusal>>,
    ) {
        let deadline =
            context.host().now() + Duration::from_millis(read.wait_ms).min(READ_WAIT_MAX);
        let waiting = Waiting { read, deadline, reply };
        self.request(context, Request::Read(waiting));
    }

    fn end_offsets(
        &mut self,
        context: &mut Context<Self>,
        topic: String,
        reply: Reply<Result<Vec<u64>, LogRefusal>>,
    ) {
        self.request(context, Request::EndOffsets(topic, reply));
    }

    fn init_producer(
        &mut self,
        context: &mut Context<Self>,
        id: ProducerId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.request(context, Request::Change(Command::Init(id), reply));
    }

    fn write(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        write: LogWrite,
        reply: Reply<Result<u64, LogRefusal>>,
    ) {
        self.request(context, Request::Write(Command::Write { transaction, write }, reply));
    }

    fn prepare(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.request(context, Request::Change(Command::Prepare(transaction), reply));
    }

    fn commit(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.request(context, Request::Change(Command::Commit(transaction), reply));
    }

    fn abort(
        &mut self,
        context: &mut Context<Self>,
        transaction: TransactionId,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.request(context, Request::Change(Command::Abort(transaction), reply));
    }

    fn close_producers(
        &mut self,
        context: &mut Context<Self>,
        prefix: String,
        reply: Reply<Result<(), LogRefusal>>,
    ) {
        self.request(context, Request::Change(Command::CloseProducers { prefix }, reply));
    }
}
