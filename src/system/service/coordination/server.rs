//! The coordination server: an endpoint in front of the store and its log.

use super::{
    CoordinationEvent,
    model::{Lease, LeaseEnd, LeaseId, Range, Refusal, Revision, Transacted, Transaction, Update},
    store::{Record, Store},
};
use crate::{
    gateway,
    host::{Host, Instant},
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        service::durable::{DurableError, DurableLog},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// The name of the server's endpoint.
pub const COORDINATION_ENDPOINT: &str = "coordination";

/// Where the log is kept.
const FOLDER: &str = "coordination";

/// Watches that wait at one server at most.
const WATCHES_MAX: usize = 4096;

/// A lease lives between these bounds, in milliseconds.
const TTL_MS_MIN: u64 = 100;
const TTL_MS_MAX: u64 = 600_000;

gateway! {
    /// Speaks to the coordination server.
    pub gateway CoordinationGateway serves CoordinationHandler {
        /// Begins a lease that lives for `ttl_ms` milliseconds of the server's clock (100 ms to 10
        /// minutes) after each sign of life.
        ask grant_lease(ttl_ms: u64) -> Lease;
        /// A sign of life.
        ask keep_alive(lease: LeaseId) -> Result<(), Refusal>;
        /// Gives a lease up; its keys are removed.
        ask revoke_lease(lease: LeaseId) -> Result<(), Refusal>;
        /// Makes a transaction's changes if its conditions hold.
        ask transact(transaction: Transaction) -> Result<Transacted, Refusal>;
        /// The keys that begin with `prefix`.
        ask read(prefix: String) -> Range;
        /// What changed under `prefix` after a revision, or all there is; waits up to `wait_ms`
        /// milliseconds for a change and is empty when there was none.
        ask watch(prefix: String, after: Option<Revision>, wait_ms: u64) -> Result<Update, Refusal>;
    }
}

enum Request {
    Grant(u64, Reply<Lease>),
    KeepAlive(LeaseId, Reply<Result<(), Refusal>>),
    Revoke(LeaseId, Reply<Result<(), Refusal>>),
    /// The lease's time seems to be over.
    Expire(LeaseId),
    Transact(Transaction, Reply<Result<Transacted, Refusal>>),
    Read(String, Reply<Range>),
    Watch(Waiting),
}

struct Waiting {
    prefix: String,
    after: Option<Revision>,
    deadline: Instant,
    reply: Reply<Result<Update, Refusal>>,
}

/// An answer that waits for the batch to be durable.
type Answer = Box<dyn FnOnce() + Send>;

/// The server's state. While a batch is being synced, requests wait: what is answered and announced
/// is durable.
pub struct CoordinationServer {
    store: Store,
    /// `None` while a batch is being synced.
    log: Option<DurableLog<Store>>,
    queue: Vec<Request>,
    watches: Vec<Waiting>,
    /// When each lease runs out.
    leases: BTreeMap<LeaseId, Instant>,
    /// When the server will look at leases and watches next.
    alarm: Option<Instant>,
}

impl RpcEndpoint for CoordinationServer {
    type Gateway = CoordinationGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.set_alarm(context);
        Ok(())
    }
}

impl CoordinationServer {
    /// Recovers the server from its node's disk and starts it.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt; the server must not run then.
    pub async fn start(service: &RpcService) -> Result<RpcServer<CoordinationServer>, RpcError> {
        let host = service.host();
        let failed = |error: DurableError| RpcError::Application(error.to_string());
        let (log, store) =
            DurableLog::<Store>::recover(host.disk(), FOLDER).await.map_err(failed)?;
        let keys = store.range("").keys.into_iter();
        host.announce(&CoordinationEvent::Recovered {
            revision: store.revision(),
            keys: keys.map(|found| (found.key, found.value, found.modified)).collect(),
        });
        let now = host.now();
        let leases = store.leases().map(|lease| (lease.id, now + ttl(lease))).collect();
        let server = CoordinationServer {
            store,
            log: Some(log),
            queue: Vec::new(),
            watches: Vec::new(),
            leases,
            alarm: None,
        };
        let server = service.start_server(COORDINATION_ENDPOINT, server)?;
        server.start();
        Ok(server)
    }

    fn request(&mut self, context: &mut Context<Self>, request: Request) {
        self.queue.push(request);
        if self.log.is_some() {
            self.process(context);
        }
    }

    /// Takes all that waits as one batch.
    fn process(&mut self, context: &mut Context<Self>) {
        let mut records = Vec::new();
        let mut events = Vec::new();
        let mut answers: Vec<Answer> = Vec::new();
        let now = context.host().now();
        for request in std::mem::take(&mut self.queue) {
            self.evaluate(now, request, &mut records, &mut events, &mut answers);
        }
        if records.is_empty() {
            answers.into_iter().for_each(|answer| answer());
            self.set_alarm(context);
            return;
        }
        let mut log = self.log.take().expect("requests are processed only when no batch is synced");
        let snapshot = log.wants_snapshot().then(|| self.store.clone());
        let work = async move {
            log.append(&records).await?;
            if let Some(store) = snapshot {
                log.snapshot(&store).await?;
            }
            Ok::<_, DurableError>(log)
        };
        context.spawn_then(work, move |server, context, done| match done {
            Ok(log) => {
                server.log = Some(log);
                events.iter().for_each(|event| context.host().announce(event));
                answers.into_iter().for_each(|answer| answer());
                server.answer_watches(context.host());
                server.process(context);
            }
            Err(error) => context.host().exit(&format!("coordination: {error}")),
        });
    }

    fn evaluate(
        &mut self,
        now: Instant,
        request: Request,
        records: &mut Vec<Record>,
        events: &mut Vec<CoordinationEvent>,
        answers: &mut Vec<Answer>,
    ) {
        match request {
            Request::Grant(ttl_ms, reply) => {
                let lease = self.store.grant(ttl_ms.clamp(TTL_MS_MIN, TTL_MS_MAX));
                self.leases.insert(lease.id, now + ttl(lease));
                self.apply(Record::Grant(lease), records);
                events.push(CoordinationEvent::LeaseGranted { lease: lease.id });
                answers.push(Box::new(move || reply.ok(lease)));
            }
            Request::KeepAlive(id, reply) => {
                let lease = self.store.lease(id).ok_or(Refusal::LeaseOver(id));
                if let Ok(lease) = lease {
                    self.leases.insert(id, now + ttl(lease));
                }
                answers.push(Box::new(move || reply.ok(lease.map(|_| ()))));
            }
            Request::Revoke(id, reply) => {
                let known = self.store.lease(id).is_some();
                if known {
                    self.end_lease(id, LeaseEnd::Revoked, records, events);
                }
                let answer = if known { Ok(()) } else { Err(Refusal::LeaseOver(id)) };
                answers.push(Box::new(move || reply.ok(answer)));
            }
            Request::Expire(id) => {
                if self.leases.get(&id).is_some_and(|deadline| *deadline <= now) {
                    self.end_lease(id, LeaseEnd::Expired, records, events);
                }
            }
            Request::Transact(transaction, reply) => {
                let checked = self.store.check(&transaction);
                let outcome = checked.map(|()| {
                    let Transaction { compares: conditions, changes } = transaction;
                    self.apply(Record::Transact { changes: changes.clone() }, records);
                    let revision = self.store.revision();
                    events.push(CoordinationEvent::Committed { revision, conditions, changes });
                    Transacted { revision }
                });
                answers.push(Box::new(move || reply.ok(outcome)));
            }
            Request::Read(prefix, reply) => {
                let range = self.store.range(&prefix);
                answers.push(Box::new(move || reply.ok(range)));
            }
            Request::Watch(waiting) => match self.store.update(&waiting.prefix, waiting.after) {
                Some(update) => answers.push(Box::new(move || waiting.reply.ok(Ok(update)))),
                None if self.watches.len() >= WATCHES_MAX => {
                    answers.push(Box::new(|| waiting.reply.ok(Err(Refusal::TooManyWatches))));
                }
                None => self.watches.push(waiting),
            },
        }
    }

    fn apply(&mut self, record: Record, records: &mut Vec<Record>) -> Vec<String> {
        let removed = self.store.apply(&record);
        records.push(record);
        removed
    }

    fn end_lease(
        &mut self,
        lease: LeaseId,
        end: LeaseEnd,
        records: &mut Vec<Record>,
        events: &mut Vec<CoordinationEvent>,
    ) {
        self.leases.remove(&lease);
        let removed = self.apply(Record::EndLease { lease, end }, records);
        let revision = self.store.revision();
        events.push(CoordinationEvent::LeaseEnded { lease, end, revision, removed });
    }

    /// Answers the watches that have something to see or have waited long enough.
    fn answer_watches(&mut self, host: &Host) {
        let now = host.now();
        for waiting in std::mem::take(&mut self.watches) {
            match self.store.update(&waiting.prefix, waiting.after) {
                Some(update) => waiting.reply.ok(Ok(update)),
                None if waiting.deadline <= now => waiting
                    .reply
                    .ok(Ok(Update { revision: self.store.revision(), ..Update::default() })),
                None => self.watches.push(waiting),
            }
        }
    }

    /// Makes sure that the server wakes at the next end of a lease or a watch.
    fn set_alarm(&mut self, context: &mut Context<Self>) {
        let watches = self.watches.iter().map(|waiting| waiting.deadline);
        let Some(next) = self.leases.values().copied().chain(watches).min() else { return };
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
        let now = context.host().now();
        let over = self.leases.iter().filter(|(_, deadline)| **deadline <= now);
        let over: Vec<LeaseId> = over.map(|(lease, _)| *lease).collect();
        self.queue.extend(over.into_iter().map(Request::Expire));
        if self.log.is_some() {
            self.answer_watches(context.host());
            self.process(context);
        }
    }
}

fn ttl(lease: Lease) -> Duration {
    Duration::from_millis(lease.ttl_ms)
}

impl CoordinationHandler for CoordinationServer {
    fn grant_lease(&mut self, context: &mut Context<Self>, ttl_ms: u64, reply: Reply<Lease>) {
        self.request(context, Request::Grant(ttl_ms, reply));
    }

    fn keep_alive(
        &mut self,
        context: &mut Context<Self>,
        lease: LeaseId,
        reply: Reply<Result<(), Refusal>>,
    ) {
        self.request(context, Request::KeepAlive(lease, reply));
    }

    fn revoke_lease(
        &mut self,
        context: &mut Context<Self>,
        lease: LeaseId,
        reply: Reply<Result<(), Refusal>>,
    ) {
        self.request(context, Request::Revoke(lease, reply));
    }

    fn transact(
        &mut self,
        context: &mut Context<Self>,
        transaction: Transaction,
        reply: Reply<Result<Transacted, Refusal>>,
    ) {
        self.request(context, Request::Transact(transaction, reply));
    }

    fn read(&mut self, context: &mut Context<Self>, prefix: String, reply: Reply<Range>) {
        self.request(context, Request::Read(prefix, reply));
    }

    fn watch(
        &mut self,
        context: &mut Context<Self>,
        prefix: String,
        after: Option<Revision>,
        wait_ms: u64,
        reply: Reply<Result<Update, Refusal>>,
    ) {
        let deadline = context.host().now() + Duration::from_millis(wait_ms.min(TTL_MS_MAX));
        self.request(context, Request::Watch(Waiting { prefix, after, deadline, reply }));
    }
}
