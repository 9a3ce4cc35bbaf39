//! The service's promises under random clients, crashes, disk errors and waves.

use super::{
    Cell, Client, all,
    checker::{Tally, WATCHES, check},
    history::{Entry, History, Outcome},
    in_simulation, ms, server_address,
};
use proptest::prelude::*;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use wavetank::{
    host::{
        Draws,
        sim::{
            Delay, DiskEffect, DiskFault, DiskOp, LinkEffect, LinkRule, NodeSet, ProcessEnd, Stamp,
            WorldConfig,
        },
    },
    system::{
        rpc::{Gateway, RpcAddress, RpcError},
        service::coordination::{
            COORDINATION_ENDPOINT, Change, Compare, CoordinationConfig, CoordinationError,
            CoordinationGateway, KeyPattern, LeaseId, Range, Transaction, Watch,
        },
    },
};

const CASES: u32 = 1000;
const STORM: Duration = ms(1200);
const TTL_MS_MAX: u64 = 400;
/// A lease's time, a watch's time-out and a retry fit into it twice.
const CALM: Duration = ms(1500);

#[derive(Clone, Debug)]
enum Fault {
    Kill,
    PowerCut,
    SyncErrors { per_million: u32 },
}

#[derive(Clone, Debug)]
struct Waves {
    seed: u64,
    clients: u64,
    loss: u32,
    copies: u32,
    delay_ms: u64,
    drift: i64,
    /// Time before it, the fault, time until the server is up again.
    faults: Vec<(u64, Fault, u64)>,
}

fn waves() -> impl Strategy<Value = Waves> {
    let fault = prop_oneof![
        Just(Fault::Kill),
        Just(Fault::PowerCut),
        (100_000..=1_000_000_u32).prop_map(|per_million| Fault::SyncErrors { per_million }),
    ];
    let faults = prop::collection::vec((0..300_u64, fault, 0..60_u64), 0..6);
    let links = (0..150_000_u32, 0..300_000_u32, 0..30_u64);
    let drift = prop_oneof![Just(0_i64), -200_000..200_000_i64];
    (any::<u64>(), 2..=3_u64, links, drift, faults).prop_map(
        |(seed, clients, (loss, copies, delay_ms), drift, faults)| Waves {
            seed,
            clients,
            loss,
            copies,
            delay_ms,
            drift,
            faults,
        },
    )
}

fn config() -> CoordinationConfig {
    CoordinationConfig {
        ask_timeout: ms(250),
        watch_wait: ms(300),
        retry_delay: ms(20),
        ..CoordinationConfig::new(server_address())
    }
}

/// What each client watches.
fn watched_keys() -> [KeyPattern; WATCHES as usize] {
    [
        KeyPattern::Children("x".to_string()),
        KeyPattern::Prefix("x/".to_string()),
        KeyPattern::Exact("x/1".to_string()),
    ]
}

/// What one client's tasks share.
#[derive(Clone)]
struct Actor {
    cell: Cell,
    client: Arc<Client>,
    number: u64,
    writes: Arc<AtomicU64>,
    leases: Arc<Mutex<Vec<LeaseId>>>,
    seen: Arc<Mutex<Range>>,
}

impl Actor {
    fn note(&self, entry: Entry) {
        let stamp = Stamp::new(self.cell.world.elapsed(), self.client.node, 1);
        self.cell.history.push(stamp, entry);
    }

    fn stormy(&self) -> bool {
        self.cell.world.elapsed() < STORM
    }

    async fn pause(&self, draws: &mut Draws) {
        self.client.service.host().sleep(draws.duration(ms(0), ms(60))).await;
    }

    async fn write(self, mut draws: Draws) {
        while self.stormy() {
            self.pause(&mut draws).await;
            match draws.below(4) {
                0 => self.read().await,
                _ => self.transact(&mut draws).await,
            }
        }
    }

    async fn read(&self) {
        let since = self.cell.history.len();
        if let Ok(range) = self.client.coordination.read(&all()).await {
            *self.seen.lock().unwrap() = range.clone();
            self.note(Entry::Read { since, range });
        }
    }

    /// Keys come in pairs that every transaction treats alike.
    async fn transact(&self, draws: &mut Draws) {
        let count = self.writes.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{}-{count}", self.number).into_bytes();
        let mark = format!("mark/{}", self.number);
        let mut transaction = Transaction::new();
        if draws.chance(400_000) {
            transaction = transaction.when(self.compare(draws));
        }
        let lease = match self.leases.lock().unwrap().as_slice() {
            leases if !leases.is_empty() && draws.chance(400_000) => Some(*draws.pick(leases)),
            _ => None,
        };
        let first = draws.below(3);
        for index in first..=draws.between(first, 2) {
            let deleted = draws.chance(250_000);
            for key in [format!("x/{index}"), format!("y/{index}")] {
                transaction = transaction.then(match deleted {
                    true => Change::Delete { key },
                    false => Change::Put { key, value: tag.clone(), lease },
                });
            }
        }
        let transaction = transaction.put(mark, tag.clone());
        self.note(Entry::Asked { tag: tag.clone(), changes: transaction.changes.clone() });
        let outcome = match self.client.coordination.transact(transaction).await {
            Ok(transacted) => Outcome::Done(transacted.revision),
            Err(CoordinationError::Indeterminate(_)) => Outcome::Indeterminate,
            Err(never) => Outcome::Never(never),
        };
        self.note(Entry::Answered { tag, outcome });
    }

    fn compare(&self, draws: &mut Draws) -> Compare {
        let key = format!("x/{}", draws.below(3));
        let seen = self.seen.lock().unwrap();
        match (seen.get(&key), draws.below(2)) {
            (None, _) => Compare::Absent { key },
            (Some(found), 0) => Compare::Value { key, value: found.value.clone() },
            (Some(found), _) => Compare::Unchanged { key, since: found.modified },
        }
    }

    /// Takes leases, keeps some alive for a while, gives some up and forgets the rest.
    async fn hold_leases(self, mut draws: Draws) {
        while self.stormy() {
            self.pause(&mut draws).await;
            let ttl_ms = draws.between(100, TTL_MS_MAX);
            let Ok(gateway) = self.connect().await else { continue };
            let alive = |lease, sent| Entry::Alive { lease, sent, ttl: ms(ttl_ms) };
            let sent = self.cell.world.elapsed();
            let Ok(Ok(lease)) = gateway.grant_lease(ttl_ms).await else { continue };
            self.note(alive(lease.id, sent));
            self.leases.lock().unwrap().push(lease.id);
            for _ in 0..draws.below(6) {
                self.client.service.host().sleep(ms(ttl_ms / 3)).await;
                let sent = self.cell.world.elapsed();
                if let Ok(Ok(())) = gateway.keep_alive(lease.id).await {
                    self.note(alive(lease.id, sent));
                }
            }
            if draws.chance(500_000)
                && let Ok(Ok(())) = gateway.revoke_lease(lease.id).await
            {
                self.note(Entry::Revoked { lease: lease.id });
            }
        }
    }

    async fn connect(&self) -> Result<CoordinationGateway, RpcError> {
        let address = RpcAddress::new(server_address(), COORDINATION_ENDPOINT);
        let connect = self.client.service.connect::<CoordinationGateway>(&address);
        let connected = self.client.service.host().timeout(ms(250), connect).await;
        Ok(connected.unwrap_or(Err(RpcError::Timeout))?.with_timeout(ms(250)))
    }

    async fn watch(self, watch: u64, keys: KeyPattern) {
        let mut following = Watch::new(&self.client.coordination, keys.clone());
        loop {
            match following.next().await {
                Ok(update) => self.note(Entry::Watched { watch, keys: keys.clone(), update }),
                Err(_) => following.back_off().await,
            }
        }
    }
}

fn launch(cell: &Cell, client: Client, number: u64, seed: u64) -> Actor {
    let actor = Actor {
        cell: cell.clone(),
        client: Arc::new(client),
        number,
        writes: Arc::default(),
        leases: Arc::default(),
        seen: Arc::default(),
    };
    let host = actor.client.service.host();
    for writer in 0..2 {
        host.spawn(actor.clone().write(Draws::new(seed, "writes", [number, writer])));
    }
    host.spawn(actor.clone().hold_leases(Draws::new(seed, "leases", [number, 0])));
    for (kind, keys) in (0..).zip(watched_keys()) {
        host.spawn(actor.clone().watch(number * WATCHES + kind, keys));
    }
    actor
}

fn make_waves(cell: &Cell, waves: &Waves) -> Vec<wavetank::host::sim::RuleId> {
    let effects = [
        LinkEffect::Loss { per_million: waves.loss },
        LinkEffect::Duplicate { per_million: waves.copies },
        LinkEffect::Delay(Delay::Exponential(ms(waves.delay_ms))),
    ];
    let rule =
        |effect| LinkRule { from: NodeSet::All, to: NodeSet::All, kind: None, nth: None, effect };
    effects.into_iter().map(|effect| cell.world.add_rule(rule(effect))).collect()
}

async fn strike(cell: &Cell, waves: &Waves) {
    for (before, fault, after) in &waves.faults {
        cell.world.sleep(ms(*before)).await;
        match fault {
            Fault::Kill => cell.world.end_process(cell.server, ProcessEnd::Killed),
            Fault::PowerCut => cell.world.end_process(cell.server, ProcessEnd::PowerCut),
            Fault::SyncErrors { per_million } => {
                let effect = DiskEffect::Error { per_million: *per_million };
                cell.world.set_disk_fault(cell.server, DiskFault { on: DiskOp::Sync, effect });
            }
        }
        cell.world.sleep(ms(*after)).await;
        cell.world.clear_disk_faults(cell.server);
        if !cell.world.is_running(cell.server) {
            cell.boot_server();
        }
    }
}

/// Runs a storm and lets it calm down; returns all that happened.
fn run(waves: Waves) -> Arc<History> {
    in_simulation(WorldConfig::new(waves.seed), async move |cell| {
        cell.world.set_drift(cell.server, waves.drift);
        let mut actors = Vec::new();
        for number in 0..waves.clients {
            let client = cell.client(&format!("client-{number}"), config()).await;
            actors.push(launch(&cell, client, number, waves.seed));
        }
        let rules = make_waves(&cell, &waves);
        strike(&cell, &waves).await;
        cell.world.sleep_until(STORM).await;
        cell.lift(rules);
        cell.world.sleep(CALM).await;
        for actor in &actors {
            actor.read().await;
        }
        cell.history.clone()
    })
}

#[test]
fn every_promise_of_the_service_holds_in_a_storm() {
    let total = std::cell::RefCell::new(Tally::default());
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 500,
        ..ProptestConfig::with_cases(CASES)
    };
    proptest!(config, |(waves in waves())| {
        let history = run(waves.clone());
        let tally = check(&history, waves.clients, waves.drift);
        let mut total = total.borrow_mut();
        total.done += tally.done;
        total.never += tally.never;
        total.maybe += tally.maybe;
        total.maybe_and_there += tally.maybe_and_there;
        total.recoveries += tally.recoveries;
        total.recovered_unannounced += tally.recovered_unannounced;
        total.expired_with_keys += tally.expired_with_keys;
    });
    let total = total.into_inner();
    let rare = [total.maybe_and_there, total.recovered_unannounced, total.expired_with_keys];
    assert!(rare.iter().all(|count| *count > 20), "the storm is too weak: {total:?}");
    assert!(total.done > total.maybe && total.recoveries > u64::from(CASES), "{total:?}");
}
