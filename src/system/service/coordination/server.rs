//! The coordination server: an endpoint in front of the store and its log.

use super::{
    CoordinationEvent,
    limits::{
        CLIENT_LEASES_MAX, CLIENT_WATCHES_MAX, LEASES_MAX, PAGE_BYTES_MAX, WATCHES_MAX,
        check_pattern, check_size, transaction_bytes,
    },
    model::{
        KeyPattern, Lease, LeaseEnd, LeaseId, Page, Refusal, Revision, Transacted, Transaction,
        Update,
    },
    store::{Record, Store},
};
use crate::{
    gateway,
    host::{Host, Instant},
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        sabotage,
        service::{
            batch::{self, BatchQueue, BatchServer},
            durable::{DurableError, DurableLog},
        },
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

/// The name of the server's endpoint.
pub const COORDINATION_ENDPOINT: &str = "coordination";

/// Where the log is kept.
const FOLDER: &str = "coordination";

/// A lease lives between these bounds, in milliseconds.
const TTL_MS_MIN: u64 = 100;
const TTL_MS_MAX: u64 = 600_000;

gateway! {
    /// Speaks to the coordination server.
    pub gateway CoordinationGateway serves CoordinationHandler {
        /// Begins a lease that lives for `ttl_ms` milliseconds of the server's clock (100 ms to 10
        /// minutes) after each keep-alive.
        ask grant_lease(ttl_ms: u64) -> Result<Lease, Refusal>;
        /// A keep-alive.
        ask keep_alive(lease: LeaseId) -> Result<(), Refusal>;
        /// Gives a lease up; its keys are removed.
        ask revoke_lease(lease: LeaseId) -> Result<(), Refusal>;
        /// Makes a transaction's changes if its conditions hold.
        ask transact(transaction: Transaction) -> Result<Transacted, Refusal>;
        /// The matching keys behind one, as many as an answer holds.
        ask read(keys: KeyPattern, after: Option<String>) -> Page;
        /// What changed among the matching keys after a revision, or all there is; waits up to `wait_ms`
        /// milliseconds for a change and is empty when there was none.
        ask watch(keys: KeyPattern, after: Option<Revision>, wait_ms: u64) -> Result<Update, Refusal>;
    }
}

struct Waiting {
    /// The process that waits.
    client: u64,
    keys: KeyPattern,
    after: Option<Revision>,
    deadline: Instant,
    reply: Reply<Result<Update, Refusal>>,
}

/// The server's state.
pub struct CoordinationServer {
    store: Store,
    queue: BatchQueue<Self, Store>,
    watches: Vec<Waiting>,
    /// Keys that were written or removed since the watches were looked at last.
    touched: BTreeSet<String>,
    leases: BTreeMap<LeaseId, Held>,
}

/// A lease as this life of the server knows it.
#[derive(Clone, Copy)]
struct Held {
    /// When it runs out.
    until: Instant,
    /// The process to which it was granted; `None` when that was in an earlier life.
    client: Option<u64>,
}

type Batch = batch::Batch<CoordinationServer, Store>;

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
        let keys = store.range(&KeyPattern::Prefix(String::new())).keys.into_iter();
        host.announce(&CoordinationEvent::Recovered {
            revision: store.revision(),
            keys: keys.map(|found| (found.key, found.value, found.modified)).collect(),
        });
        let now = host.now();
        let held = |lease: Lease| Held { until: now + lease.ttl(), client: None };
        let leases = store.leases().map(|lease| (lease.id, held(lease))).collect();
        let (watches, touched) = (Vec::new(), BTreeSet::new());
        let server = CoordinationServer {
            store,
            queue: BatchQueue::new(host, log),
            watches,
            touched,
            leases,
        };
        let server = service.start_server(COORDINATION_ENDPOINT, server)?;
        server.start();
        Ok(server)
    }

    fn grant(&mut self, ttl_ms: u64, client: u64, batch: &mut Batch) -> Result<Lease, Refusal> {
        let own = self.leases.values().filter(|held| held.client == Some(client)).count();
        if own >= CLIENT_LEASES_MAX || self.leases.len() >= LEASES_MAX {
            return Err(Refusal::TooManyLeases);
        }
        let lease = self.store.grant(ttl_ms.clamp(TTL_MS_MIN, TTL_MS_MAX));
        let held = Held { until: batch.now + lease.ttl(), client: Some(client) };
        self.leases.insert(lease.id, held);
        self.apply(Record::Grant(lease), batch);
        batch.announce(CoordinationEvent::LeaseGranted { lease: lease.id });
        Ok(lease)
    }

    fn prolong(&mut self, id: LeaseId, now: Instant) -> Result<(), Refusal> {
        let lease = self.store.lease(id).ok_or(Refusal::LeaseOver(id))?;
        if let Some(held) = self.leases.get_mut(&id) {
            held.until = now + lease.ttl();
        }
        Ok(())
    }

    fn revoke(&mut self, id: LeaseId, batch: &mut Batch) -> Result<(), Refusal> {
        self.store.lease(id).ok_or(Refusal::LeaseOver(id))?;
        self.end_lease(id, LeaseEnd::Revoked, batch);
        Ok(())
    }

    /// The lease's time seems to be over.
    fn expire(&mut self, id: LeaseId, batch: &mut Batch) {
        if self.leases.get(&id).is_some_and(|held| held.until <= batch.now) {
            self.end_lease(id, LeaseEnd::Expired, batch);
        }
    }

    fn commit(
        &mut self,
        transaction: Transaction,
        batch: &mut Batch,
    ) -> Result<Transacted, Refusal> {
        check_size(&transaction)?;
        self.store.check(&transaction)?;
        self.store.check_room(&transaction)?;
        let Transaction { compares: conditions, changes, .. } = transaction;
        self.apply(Record::Transact { changes: changes.clone() }, batch);
        let revision = self.store.revision();
        batch.announce(CoordinationEvent::Committed { revision, conditions, changes });
        Ok(Transacted { revision })
    }

    /// Answers a watch with what it has not seen yet, or lets it wait. The whole state is durable, and
    /// what is large is held for one call at a time, not for all of a batch.
    fn begin_watch(&mut self, waiting: Waiting, host: &Host) {
        if let Err(refusal) = check_pattern(&waiting.keys) {
            return waiting.reply.ok(Err(refusal));
        }
        let own = self.watches.iter().filter(|known| known.client == waiting.client).count();
        let crowded = self.watches.len() >= WATCHES_MAX || own >= CLIENT_WATCHES_MAX;
        match self.news(&waiting, host) {
            Some(update) => waiting.reply.ok(Ok(update)),
            None if crowded => waiting.reply.ok(Err(Refusal::TooManyWatches)),
            None => self.watches.push(waiting),
        }
    }

    /// What a watch has not been told yet.
    fn news(&self, waiting: &Waiting, host: &Host) -> Option<Update> {
        let mut update = self.store.update(&waiting.keys, waiting.after)?;
        if !update.removed.is_empty() && host.sabotaged(sabotage::WATCH_LEAVES_OUT_REMOVALS) {
            update.removed.clear();
        }
        update.has_news().then_some(update)
    }

    /// Whether a matching key was written or removed since the watches were looked at.
    fn is_touched(&self, keys: &KeyPattern) -> bool {
        let common = keys.common();
        let near = self.touched.range::<str, _>((Bound::Included(&*common), Bound::Unbounded));
        near.take_while(|key| key.starts_with(&*common)).any(|key| keys.matches(key))
    }

    fn apply(&mut self, record: Record, batch: &mut Batch) -> Vec<String> {
        let removed = self.store.apply(&record);
        self.touched.extend(removed.iter().cloned());
        if let Record::Transact { changes } = &record {
            self.touched.extend(changes.iter().map(|change| change.key().to_string()));
        }
        batch.records.push(record);
        removed
    }

    fn end_lease(&mut self, lease: LeaseId, end: LeaseEnd, batch: &mut Batch) {
        self.leases.remove(&lease);
        let removed = self.apply(Record::EndLease { lease, end }, batch);
        let revision = self.store.revision();
        batch.announce(CoordinationEvent::LeaseEnded { lease, end, revision, removed });
    }
}

impl BatchServer<Store> for CoordinationServer {
    const NAME: &'static str = "coordination";

    fn queue(&mut self) -> &mut BatchQueue<Self, Store> {
        &mut self.queue
    }

    fn state(&self) -> &Store {
        &self.store
    }

    /// Answers the watches that have something to see or have waited long enough.
    fn answer_waiting(&mut self, context: &Context<Self>) {
        let host = context.host();
        let now = host.now();
        for waiting in std::mem::take(&mut self.watches) {
            // Most writes are of other keys, and all that match may be many.
            let touched = self.is_touched(&waiting.keys);
            let late = waiting.deadline <= now;
            let look = || self.news(&waiting, host);
            match (touched || late).then(look).flatten() {
                Some(update) => waiting.reply.ok(Ok(update)),
                None if late => waiting
                    .reply
                    .ok(Ok(Update { revision: self.store.revision(), ..Update::default() })),
                None => self.watches.push(waiting),
            }
        }
        self.touched.clear();
    }

    fn deadline(&self) -> Option<Instant> {
        let watches = self.watches.iter().map(|waiting| waiting.deadline);
        self.leases.values().map(|held| held.until).chain(watches).min()
    }

    fn deadline_came(&mut self, now: Instant) {
        let over = self.leases.iter().filter(|(_, held)| held.until <= now);
        for lease in over.map(|(lease, _)| *lease).collect::<Vec<_>>() {
            self.submit(0, move |server, batch| server.expire(lease, batch));
        }
    }
}

impl CoordinationHandler for CoordinationServer {
    fn grant_lease(
        &mut self,
        context: &mut Context<Self>,
        ttl_ms: u64,
        reply: Reply<Result<Lease, Refusal>>,
    ) {
        let client = reply.caller();
        self.ask(context, 0, reply, move |server, batch| server.grant(ttl_ms, client, batch));
    }

    fn keep_alive(
        &mut self,
        context: &mut Context<Self>,
        lease: LeaseId,
        reply: Reply<Result<(), Refusal>>,
    ) {
        self.ask(context, 0, reply, move |server, batch| server.prolong(lease, batch.now));
    }

    fn revoke_lease(
        &mut self,
        context: &mut Context<Self>,
        lease: LeaseId,
        reply: Reply<Result<(), Refusal>>,
    ) {
        self.ask(context, 0, reply, move |server, batch| server.revoke(lease, batch));
    }

    fn transact(
        &mut self,
        context: &mut Context<Self>,
        transaction: Transaction,
        reply: Reply<Result<Transacted, Refusal>>,
    ) {
        let bytes = transaction_bytes(&transaction);
        self.ask(context, bytes, reply, move |server, batch| server.commit(transaction, batch));
    }

    fn read(
        &mut self,
        context: &mut Context<Self>,
        keys: KeyPattern,
        after: Option<String>,
        reply: Reply<Page>,
    ) {
        let bytes = keys.common().len() + after.as_ref().map_or(0, String::len);
        self.ask_by(context, bytes, reply, move |_, batch, reply| {
            batch.then(move |server, _| {
                reply.ok(server.store.page(&keys, after.as_deref(), PAGE_BYTES_MAX));
            });
        });
    }

    fn watch(
        &mut self,
        context: &mut Context<Self>,
        keys: KeyPattern,
        after: Option<Revision>,
        wait_ms: u64,
        reply: Reply<Result<Update, Refusal>>,
    ) {
        let deadline = context.host().now() + Duration::from_millis(wait_ms.min(TTL_MS_MAX));
        let (client, bytes) = (reply.caller(), keys.common().len());
        self.ask_by(context, bytes, reply, move |_, batch, reply| {
            let waiting = Waiting { client, keys, after, deadline, reply };
            batch.then(move |server, context| server.begin_watch(waiting, context.host()));
        });
    }
}
