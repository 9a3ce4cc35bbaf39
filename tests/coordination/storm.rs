//! The service's promises under random clients, crashes, disk errors and waves.

use super::{
    Cell, Client,
    history::{Entry, History, Outcome},
    ms, server_address, tank,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
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
            CoordinationEvent, CoordinationGateway, KeyValue, LeaseEnd, LeaseId, Range, Revision,
            Transaction, Update,
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
        let stamp =
            Stamp { time: self.cell.world.elapsed(), node: self.client.node, incarnation: 1 };
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
        if let Ok(range) = self.client.coordination.read("").await {
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
            Err(CoordinationError::Maybe(_)) => Outcome::Maybe,
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
            (Some(found), _) => Compare::Version { key, version: found.version },
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
            let Ok(lease) = gateway.grant_lease(ttl_ms).await else { continue };
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

    async fn watch(self) {
        let mut watch = self.client.coordination.watch("x/");
        loop {
            match watch.next().await {
                Ok(update) => self.note(Entry::Watched { watch: self.number, update }),
                Err(_) => watch.back_off().await,
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
    host.spawn(actor.clone().watch());
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
    tank(WorldConfig::new(waves.seed), async move |cell| {
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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stands {
    value: Vec<u8>,
    modified: Revision,
    lease: Option<LeaseId>,
}

type Keys = BTreeMap<String, Stands>;

fn stands(found: &KeyValue) -> (String, Stands) {
    let (value, modified) = (found.value.clone(), found.modified);
    (found.key.clone(), Stands { value, modified, lease: found.lease })
}

/// Follows the server by its own evidence and holds everything else against that.
#[derive(Default)]
struct Judge {
    keys: Keys,
    announced: Revision,
    /// The state after each announced revision.
    states: BTreeMap<Revision, Keys>,
    /// The newest revision that any client had seen after so many entries.
    seen: Vec<Revision>,
    asked: BTreeMap<Vec<u8>, Vec<Change>>,
    answered: BTreeMap<Vec<u8>, Outcome>,
    /// Where each write appeared.
    appeared: BTreeMap<Vec<u8>, Revision>,
    committed: BTreeMap<Vec<u8>, Revision>,
    granted: BTreeSet<LeaseId>,
    ended: BTreeMap<LeaseId, (Revision, LeaseEnd, Duration)>,
    alive: Vec<(LeaseId, Duration, Duration)>,
    recovered_at: Duration,
    /// When the server that ended a lease had recovered.
    ended_in_life: Vec<(LeaseId, Duration)>,
    views: BTreeMap<u64, (Keys, Revision)>,
    last_read: Range,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    done: u64,
    never: u64,
    maybe: u64,
    maybe_and_there: u64,
    recoveries: u64,
    recovered_unannounced: u64,
    expired_with_keys: u64,
}

impl Judge {
    fn take(&mut self, stamp: Stamp, entry: Entry) {
        let before = self.seen.last().copied().unwrap_or_default();
        let now = match &entry {
            Entry::Answered { outcome: Outcome::Done(revision), .. } => *revision,
            Entry::Read { range, .. } => range.revision,
            Entry::Watched { update, .. } => update.revision,
            _ => Revision::default(),
        };
        match entry {
            Entry::Server(event) => self.server(stamp, event, before),
            Entry::Ended(ProcessEnd::Panicked { message }) => panic!("{message}"),
            Entry::Ended(_) => {}
            Entry::Asked { tag, changes } => assert!(self.asked.insert(tag, changes).is_none()),
            Entry::Answered { tag, outcome } => self.answer(tag, outcome),
            Entry::Read { since, range } => self.read(since, range),
            Entry::Watched { watch, update } => self.watched(watch, update),
            Entry::Alive { lease, sent, ttl } => self.alive.push((lease, sent, ttl)),
            Entry::Revoked { lease } => {
                let end = self.ended.get(&lease).map(|(_, end, _)| *end);
                assert_eq!(end, Some(LeaseEnd::Revoked), "{lease:?}");
            }
        }
        self.seen.push(before.max(now));
    }

    fn server(&mut self, stamp: Stamp, event: CoordinationEvent, seen: Revision) {
        match event {
            CoordinationEvent::Recovered { revision, keys } => {
                self.tally.recoveries += 1;
                self.recovered_at = stamp.time;
                assert!(revision >= self.announced.max(seen), "went back to {revision:?}");
                self.recovered(revision, keys);
            }
            CoordinationEvent::Committed { revision, changes, .. } => {
                self.move_to(revision);
                self.commit(revision, changes);
            }
            CoordinationEvent::LeaseGranted { lease } => {
                assert!(self.granted.last() < Some(&lease), "{lease:?} was granted before");
                self.granted.insert(lease);
            }
            CoordinationEvent::LeaseEnded { lease, end, revision, removed } => {
                self.move_to(revision);
                let of_lease = self.keys.iter().filter(|(_, found)| found.lease == Some(lease));
                let of_lease: Vec<String> = of_lease.map(|(key, _)| key.clone()).collect();
                assert_eq!(removed, of_lease, "the end of {lease:?}");
                self.keys.retain(|_, found| found.lease != Some(lease));
                if end == LeaseEnd::Expired && !removed.is_empty() {
                    self.tally.expired_with_keys += 1;
                }
                let again = self.ended.insert(lease, (revision, end, stamp.time));
                assert_eq!(again, None, "{lease:?} ends twice");
                self.ended_in_life.push((lease, self.recovered_at));
            }
            _ => {}
        }
        self.states.insert(self.announced, self.keys.clone());
    }

    fn move_to(&mut self, revision: Revision) {
        assert!(revision > self.announced, "{revision:?} after {:?}", self.announced);
        self.announced = revision;
    }

    fn commit(&mut self, revision: Revision, changes: Vec<Change>) {
        let Some(Change::Put { value: tag, .. }) = changes.last() else { panic!("no mark") };
        assert_eq!(self.asked.get(tag), Some(&changes), "committed something else");
        assert_eq!(self.committed.insert(tag.clone(), revision), None, "{tag:?} twice");
        self.appears(tag, revision);
        for change in changes {
            match change {
                Change::Delete { key } => drop(self.keys.remove(&key)),
                Change::Put { key, value, lease } => {
                    let over = lease.and_then(|lease| self.ended.get(&lease));
                    assert_eq!(over, None, "{key} is written with a lease that is over");
                    self.keys.insert(key, Stands { value, modified: revision, lease });
                }
            }
        }
    }

    fn appears(&mut self, tag: &[u8], revision: Revision) {
        let first = *self.appeared.entry(tag.to_vec()).or_insert(revision);
        assert_eq!(first, revision, "{} stands twice", String::from_utf8_lossy(tag));
    }

    /// Every write that shows in these keys shows wholly.
    fn whole(&mut self, at: Revision, keys: &Keys) {
        for found in keys.values() {
            let write = self.asked.get(&found.value).cloned().expect("somebody wrote it");
            let newer =
                |key: &str| keys.get(key).is_some_and(|other| other.modified > found.modified);
            for change in write {
                let shown = match &change {
                    Change::Put { key, value, .. } => {
                        keys.get(key).is_some_and(|other| {
                            other.value == *value && other.modified == found.modified
                        }) || newer(key)
                            || (!keys.contains_key(key) && at > found.modified)
                    }
                    Change::Delete { key } => !keys.contains_key(key) || newer(key),
                };
                assert!(shown, "{change:?} is missing at {at:?}");
            }
        }
        for (value, modified) in keys.values().map(|found| (found.value.clone(), found.modified)) {
            self.appears(&value, modified);
        }
        for index in 0..3 {
            let pair = (keys.get(&format!("x/{index}")), keys.get(&format!("y/{index}")));
            assert_eq!(pair.0, pair.1, "a pair is torn");
        }
    }

    fn recovered(&mut self, revision: Revision, found: Vec<(String, Vec<u8>, Revision)>) {
        let lease = |key: &str, tag: &Vec<u8>| {
            let write = self.asked.get(tag).expect("somebody wrote it");
            write.iter().find_map(|change| match change {
                Change::Put { key: put, lease, .. } if put == key => *lease,
                _ => None,
            })
        };
        let found = found.into_iter().map(|(key, value, modified)| {
            let lease = lease(&key, &value);
            (key, Stands { value, modified, lease })
        });
        let found: Keys = found.collect();
        self.whole(revision, &found);
        let pending = |tag: &Vec<u8>| {
            !self.committed.contains_key(tag)
                && !matches!(self.answered.get(tag), Some(Outcome::Never(_) | Outcome::Done(_)))
        };
        for (key, stood) in &self.keys {
            match found.get(key) {
                Some(kept) if kept.modified > self.announced => {}
                Some(kept) => assert_eq!(kept, stood, "{key} has changed"),
                None => {
                    let delete = Change::Delete { key: key.clone() };
                    let explained = stood.lease.is_some()
                        || self
                            .asked
                            .iter()
                            .any(|(tag, write)| pending(tag) && write.contains(&delete));
                    assert!(explained && revision > self.announced, "{key} is lost");
                }
            }
        }
        for (key, kept) in &found {
            assert!(kept.modified <= revision);
            if kept.modified <= self.announced {
                assert!(self.keys.contains_key(key), "{key} has come back");
            } else {
                self.tally.recovered_unannounced += 1;
                assert!(pending(&kept.value), "{key} was refused or is older");
            }
            let over = kept.lease.and_then(|lease| self.ended.get(&lease));
            assert_eq!(over, None, "{key} outlives its lease");
        }
        (self.announced, self.keys) = (revision, found);
    }

    fn answer(&mut self, tag: Vec<u8>, outcome: Outcome) {
        match outcome {
            Outcome::Done(revision) => {
                self.tally.done += 1;
                assert_eq!(
                    self.committed.get(&tag),
                    Some(&revision),
                    "answered before it is durable"
                );
            }
            Outcome::Never(_) => self.tally.never += 1,
            Outcome::Maybe => self.tally.maybe += 1,
        }
        self.answered.insert(tag, outcome);
    }

    fn at(&self, revision: Revision) -> Keys {
        let (_, keys) = self.states.range(..=revision).next_back().expect("a recovery at first");
        keys.clone()
    }

    fn read(&mut self, since: usize, range: Range) {
        let known = since.checked_sub(1).map_or(Revision::default(), |last| self.seen[last]);
        assert!(range.revision >= known, "{:?} was seen before", known);
        let keys: Keys = range.keys.iter().map(stands).collect();
        assert_eq!(keys, self.at(range.revision), "read at {:?}", range.revision);
        self.whole(range.revision, &keys);
        self.last_read = range;
    }

    fn watched(&mut self, watch: u64, update: Update) {
        let expected = self.at(update.revision).into_iter();
        let expected: Keys = expected.filter(|(key, _)| key.starts_with("x/")).collect();
        let first = !self.views.contains_key(&watch);
        let (view, revision) = self.views.entry(watch).or_default();
        assert!(first || update.revision > *revision, "a watch stands still");
        assert!(update.keys.is_sorted_by(|a, b| a.modified <= b.modified));
        assert!(update.whole || update.keys.iter().all(|found| found.modified > *revision));
        if update.whole {
            view.clear();
        }
        view.extend(update.keys.iter().map(stands));
        for key in &update.removed {
            view.remove(key);
        }
        assert_eq!(*view, expected, "a watch at {:?}", update.revision);
        *revision = update.revision;
    }

    /// What can be judged only when it is over.
    fn close(mut self, waves: &Waves) -> Tally {
        for tag in self.appeared.keys() {
            match self.answered.get(tag) {
                Some(Outcome::Never(why)) => panic!("{tag:?} appears: {why}"),
                Some(Outcome::Maybe) => self.tally.maybe_and_there += 1,
                _ => {}
            }
        }
        let ttls: BTreeMap<LeaseId, Duration> =
            self.alive.iter().map(|(lease, _, ttl)| (*lease, *ttl)).collect();
        // After a restart every lease has its whole time again.
        let renewed = self.ended_in_life.iter();
        let renewed = renewed.filter_map(|(lease, at)| Some((*lease, *at, *ttls.get(lease)?)));
        self.alive.extend(renewed);
        for (lease, sent, ttl) in &self.alive {
            if let Some((_, LeaseEnd::Expired, ended)) = self.ended.get(lease) {
                let rate = u128::try_from(1_000_000 + waves.drift).unwrap();
                let lived = ended.saturating_sub(*sent).as_nanos() * rate / 1_000_000;
                assert!(lived >= ttl.as_nanos(), "{lease:?} lived {lived} ns after {sent:?}");
            }
        }
        let last: Keys = self.last_read.keys.iter().map(stands).collect();
        assert_eq!(self.last_read.keys.iter().find(|found| found.lease.is_some()), None);
        let watched: Keys =
            last.clone().into_iter().filter(|(key, _)| key.starts_with("x/")).collect();
        assert_eq!(self.views.len() as u64, waves.clients, "every watch was told something");
        assert!(self.views.values().all(|(view, _)| *view == watched), "a watch misses the end");
        self.tally
    }
}

fn judge(waves: &Waves, history: &History) -> Tally {
    let mut judge = Judge::default();
    for (stamp, entry) in history.all() {
        judge.take(stamp, entry);
    }
    judge.close(waves)
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
        let tally = judge(&waves, &history);
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
