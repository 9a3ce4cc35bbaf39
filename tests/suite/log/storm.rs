//! The service's promises under random clients, crashes, disk errors and bad links.

use super::{
    CellInFiles as Cell, Client, InFiles as Tested,
    checker::{Call, Checker, Note, PARTITIONS, PRODUCERS, TOPIC, appended, transacted},
    whole,
};
use crate::service::{in_simulation, ms};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use wavetank::{
    host::{Draws, sim::WorldConfig},
    system::service::{
        ServiceError,
        log::{LogError, ProducerId, TransactionId},
    },
};

const SEEDS: u64 = 500;
const STORM: Duration = ms(2500);
const CALM: Duration = ms(1500);

/// One client with what all clients of a storm share.
#[derive(Clone)]
struct Actor {
    cell: Cell,
    log: Client,
    generations: Arc<AtomicU64>,
    /// Transactions that anybody may try to end.
    seen: Arc<Mutex<Vec<TransactionId>>>,
}

impl Actor {
    fn stormy(&self) -> bool {
        self.cell.world.elapsed() < STORM
    }

    async fn pause(&self, draws: &mut Draws) {
        self.log.host().sleep(draws.duration(ms(0), ms(30))).await;
    }

    /// Makes a call until it is answered or patience ends; true when it was done.
    async fn call(&self, draws: &mut Draws, call: Call) -> bool {
        for _ in 0..draws.between(1, 4) {
            let answer = self.make(&call).await;
            self.cell.history.note(Note::Answered(call.clone(), answer.clone()));
            match answer {
                Ok(_) => return true,
                Err(ServiceError::Refused(_)) => return false,
                Err(_) => self.pause(draws).await,
            }
        }
        false
    }

    async fn make(&self, call: &Call) -> Result<u64, LogError> {
        match call {
            Call::Append { producer, partition, first, records } => {
                return self.log.append(TOPIC, *partition, producer, *first, records.clone()).await;
            }
            Call::Write { transaction, partition, first, records } => {
                let records = records.clone();
                return self.log.write(transaction, TOPIC, *partition, *first, records).await;
            }
            Call::Init(id) => self.log.init_producer(id).await?,
            Call::Prepare(transaction) => self.log.prepare(transaction).await?,
            Call::Commit(transaction) => self.log.commit(transaction).await?,
            Call::Abort(transaction) => self.log.abort(transaction).await?,
            Call::Close(prefix) => self.log.close_producers(prefix).await?,
        }
        Ok(0)
    }

    async fn append(self, producer: String, mut draws: Draws) {
        let mut next = [0_u64; PARTITIONS as usize];
        while self.stormy() {
            self.pause(&mut draws).await;
            let partition = u32::try_from(draws.below(u64::from(PARTITIONS))).unwrap();
            let known = &mut next[partition as usize];
            let first = known.saturating_sub(draws.below(3));
            let end = *known + draws.between(0, 2);
            let records = (first..end).map(|n| appended(&producer, partition, n)).collect();
            let call = Call::Append { producer: producer.clone(), partition, first, records };
            if self.call(&mut draws, call).await {
                *known = end.max(*known);
            }
        }
    }

    /// Lives of a producer, one after the other; another task lives others.
    async fn produce(self, producer: String, mut draws: Draws) {
        while self.stormy() {
            self.pause(&mut draws).await;
            let generation = self.generations.fetch_add(1, Ordering::Relaxed);
            let id = ProducerId { producer: producer.clone(), generation };
            if !self.call(&mut draws, Call::Init(id)).await {
                continue;
            }
            for number in 0..draws.between(1, 6) {
                let transaction = TransactionId { producer: producer.clone(), generation, number };
                self.transact(&transaction, &mut draws).await;
            }
        }
    }

    async fn transact(&self, transaction: &TransactionId, draws: &mut Draws) {
        self.cell.history.note(Note::Begun(transaction.clone()));
        self.seen.lock().unwrap().push(transaction.clone());
        let mut next = [0_u64; PARTITIONS as usize];
        for _ in 0..draws.below(4) {
            let partition = u32::try_from(draws.below(u64::from(PARTITIONS))).unwrap();
            let known = &mut next[partition as usize];
            let (first, end) = (known.saturating_sub(draws.below(2)), *known + draws.between(1, 2));
            let records = (first..end).map(|n| transacted(transaction, partition, n)).collect();
            self.cell.history.note(Note::Sent(transaction.clone(), partition, end));
            let transaction = transaction.clone();
            if self.call(draws, Call::Write { transaction, partition, first, records }).await {
                *known = end;
            }
        }
        if draws.chance(900_000) {
            self.call(draws, Call::Prepare(transaction.clone())).await;
        }
        self.end(transaction, draws).await;
    }

    async fn end(&self, transaction: &TransactionId, draws: &mut Draws) {
        let call = match draws.below(5) {
            0 => Call::Abort(transaction.clone()),
            1 => return,
            _ => Call::Commit(transaction.clone()),
        };
        self.call(draws, call).await;
    }

    /// Ends other clients' transactions; closes a producer late in the storm.
    async fn meddle(self, mut draws: Draws) {
        let closes = draws.duration(STORM / 2, STORM * 2);
        let mut closed = false;
        while self.stormy() {
            self.pause(&mut draws).await;
            let some = match self.seen.lock().unwrap().as_slice() {
                [] => None,
                seen => Some(draws.pick(&seen[seen.len().saturating_sub(6)..]).clone()),
            };
            if let Some(transaction) = some {
                self.end(&transaction, &mut draws).await;
            }
            if !closed && self.cell.world.elapsed() > closes {
                closed = self.call(&mut draws, Call::Close("p0".to_string())).await;
            }
        }
    }

    async fn follow(self, partition: u32) {
        let mut first = 0;
        while self.stormy() {
            match self.log.read(TOPIC, partition, first, 5, ms(100)).await {
                Ok(batch) => {
                    let records = batch.records;
                    let count = records.len() as u64;
                    self.cell.history.note(Note::Read { partition, first, records });
                    first += count;
                }
                Err(_) => self.log.host().sleep(ms(20)).await,
            }
        }
    }
}

async fn launch(cell: &Cell, seed: u64) {
    let generations = Arc::new(AtomicU64::new(1));
    let seen = Arc::<Mutex<Vec<TransactionId>>>::default();
    let log = cell.quick_log("maker").await;
    log.create_topic_until_acknowledged(TOPIC, PARTITIONS).await.expect("a new topic");
    for client in 0..2 {
        let log = cell.quick_log(&format!("client-{client}")).await;
        let host = log.host().clone();
        let (generations, seen) = (generations.clone(), seen.clone());
        let actor = Actor { cell: cell.clone(), log, generations, seen };
        let draws = |concern, more| Draws::new(seed, concern, [client, more]);
        host.spawn(actor.clone().append(format!("a{client}"), draws("append", 0)));
        for (n, producer) in (0..).zip(PRODUCERS) {
            host.spawn(actor.clone().produce(producer.to_string(), draws("produce", n)));
        }
        host.spawn(actor.clone().meddle(draws("meddle", 0)));
        host.spawn(actor.follow(u32::try_from(client).unwrap()));
    }
}

fn run(seed: u64) -> Checker {
    in_simulation::<Tested, Checker>(WorldConfig::new(seed), async move |cell| {
        let mut draws = Draws::new(seed, "waves", [0, 0]);
        launch(&cell, seed).await;
        let rules = cell.bad_links(&mut draws);
        cell.strike(&mut draws, STORM).await;
        rules.into_iter().for_each(|rule| cell.world.remove_rule(rule));
        cell.world.sleep(CALM).await;
        cell.after_power_cut().await;
        let mut checker = Checker::new();
        cell.history.all().into_iter().for_each(|entry| checker.take(entry));
        let reader = cell.quick_log("reader").await;
        let mut partitions = Vec::new();
        for partition in 0..PARTITIONS {
            partitions.push(whole(&reader, TOPIC, partition).await);
        }
        checker.close(&partitions);
        checker
    })
}

#[test]
fn every_promise_of_the_service_holds_in_a_storm() {
    let mut total = Checker::new();
    for seed in 0..SEEDS {
        let checker = run(seed);
        total.commits += checker.commits;
        total.aborts += checker.aborts;
        total.fenced += checker.fenced;
        total.maybe += checker.maybe;
        total.unannounced += checker.unannounced;
    }
    let Checker { commits, aborts, fenced, maybe, unannounced, .. } = total;
    let rare = [commits / 5, aborts / 5, fenced / 5, maybe / 5, unannounced * 10];
    assert!(rare.iter().all(|count| *count > SEEDS), "the storm is too weak: {rare:?}");
}
