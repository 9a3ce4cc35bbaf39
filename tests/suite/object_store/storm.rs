//! The service's promises under random clients, crashes, disk errors and bad links.

use super::{Cell, Client, Objects, content};
use crate::service::{Entry, in_simulation, ms, server_address};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use wavetank::{
    host::{Draws, sim::WorldConfig},
    system::service::{
        ServiceError,
        object_store::{
            ObjectStoreClient, ObjectStoreConfig, ObjectStoreError, ObjectStoreEvent,
            ObjectStoreRefusal, ObjectSum,
        },
    },
};

const SEEDS: u64 = 600;
const STORM: Duration = ms(2500);
const CALM: Duration = ms(1500);

/// Length and CRC-32.
type Sum = (u64, u32);

fn sum(content: &Bytes) -> Sum {
    (content.len() as u64, crc32fast::hash(content))
}

#[derive(Clone, Debug)]
pub enum Call {
    Put(String, Bytes),
    Get(String),
    Delete(Vec<String>),
    Seal(String),
    Rename(String, String, Sum),
}

/// What a client notes: calls by number.
#[derive(Clone, Debug)]
pub enum Note {
    Asked(u64, Call),
    Answered(u64, Result<Option<Bytes>, ObjectStoreError>),
}

fn draw_call(draws: &mut Draws) -> Call {
    let name = format!("p{}/{}", draws.below(6), draws.below(4));
    let drawn = |draws: &mut Draws| content(&"x".repeat(1 + 600 * draws.below(4) as usize));
    match draws.below(70) {
        0..=26 => Call::Put(name, drawn(draws)),
        27..=41 => Call::Get(name),
        60..=69 => {
            let to = format!("p{}/{}", draws.below(6), draws.below(4));
            Call::Rename(name, to, sum(&drawn(draws)))
        }
        42..=58 => Call::Delete(vec![name, format!("p{}/{}", draws.below(6), draws.below(4))]),
        _ => Call::Seal(format!("p{}", draws.below(6))),
    }
}

async fn run_client(cell: Cell, objects: Client, client: u64, seed: u64) {
    let mut draws = Draws::new(seed, "calls", [client, 0]);
    let mut number = client << 32;
    while cell.world.elapsed() < STORM {
        objects.host().sleep(draws.duration(ms(0), ms(40))).await;
        number += 1;
        let call = draw_call(&mut draws);
        cell.history.note(Note::Asked(number, call.clone()));
        let answer = match call {
            Call::Put(name, bytes) => objects.put(&name, bytes).await.map(|()| None),
            Call::Get(name) => objects.get(&name).await.map(Some),
            Call::Delete(names) => objects.delete(&names).await.map(|()| None),
            Call::Seal(prefix) => objects.seal(&prefix).await.map(|()| None),
            Call::Rename(from, to, (length, crc)) => {
                objects.rename(&from, &to, ObjectSum { length, crc }).await.map(|()| None)
            }
        };
        cell.history.note(Note::Answered(number, answer));
    }
}

async fn client(cell: &Cell, name: &str) -> Client {
    let (_, service) = cell.client(name).await;
    let (ask_timeout, retry_delay) = (ms(250), ms(20));
    let config =
        ObjectStoreConfig { ask_timeout, retry_delay, ..ObjectStoreConfig::new(server_address()) };
    Arc::new(ObjectStoreClient::new(&service, config))
}

fn run(seed: u64) -> Checker {
    in_simulation::<Objects, Checker>(WorldConfig::new(seed), async move |cell| {
        let mut draws = Draws::new(seed, "waves", [0, 0]);
        for number in 0..4 {
            let objects = client(&cell, &format!("client-{number}")).await;
            let host = objects.host().clone();
            host.spawn(run_client(cell.clone(), objects, number, seed));
        }
        let rules = cell.bad_links(&mut draws);
        cell.strike(&mut draws, STORM).await;
        rules.into_iter().for_each(|rule| cell.world.remove_rule(rule));
        cell.world.sleep(CALM).await;
        cell.after_power_cut().await;
        let mut checker = Checker::default();
        for (at, entry) in cell.history.all().into_iter().enumerate() {
            checker.take(at, entry);
        }
        let reader = client(&cell, "reader").await;
        let names: Vec<String> = checker.objects.keys().cloned().collect();
        assert_eq!(reader.list("").await, Ok(names), "seed {seed}");
        for (name, expected) in &checker.objects {
            assert_eq!(reader.get(name).await.as_ref().map(sum), Ok(*expected), "seed {seed}");
        }
        checker
    })
}

/// Follows the server by its own evidence and holds everything else against that.
#[derive(Default)]
struct Checker {
    objects: BTreeMap<String, Sum>,
    sealed: BTreeSet<String>,
    /// For each name, from which entry on it had which content.
    past: BTreeMap<String, Vec<(usize, Option<Sum>)>>,
    asked: BTreeMap<u64, (usize, Call)>,
    /// Calls that were refused or never sent.
    over: BTreeSet<u64>,
    done: u64,
    maybe: u64,
    unannounced: u64,
    renamed: u64,
}

impl Checker {
    fn take(&mut self, at: usize, entry: Entry<ObjectStoreEvent, Note>) {
        match entry {
            Entry::Server(event) => {
                self.server(event);
                let names: BTreeSet<&String> =
                    self.objects.keys().chain(self.past.keys()).collect();
                for name in names.into_iter().cloned().collect::<Vec<_>>() {
                    let now = self.objects.get(&name).copied();
                    let past = self.past.entry(name).or_insert_with(|| vec![(0, None)]);
                    if past.last().is_some_and(|(_, then)| *then != now) {
                        past.push((at, now));
                    }
                }
            }
            Entry::Ended(end) => {
                assert!(
                    !matches!(end, wavetank::host::sim::ProcessEnd::Panicked { .. }),
                    "{end:?}"
                );
            }
            Entry::Note(Note::Asked(number, call)) => drop(self.asked.insert(number, (at, call))),
            Entry::Note(Note::Answered(number, answer)) => self.answer(number, answer),
        }
    }

    fn under(name: &str, prefixes: &BTreeSet<String>) -> bool {
        name.split_once('/').is_some_and(|(prefix, _)| prefixes.contains(prefix))
    }

    /// Calls that were not refused: they happened, or may.
    fn pending(&self) -> impl Iterator<Item = &Call> {
        self.asked.iter().filter(|(n, _)| !self.over.contains(n)).map(|(_, (_, call))| call)
    }

    fn may_put(&self, name: &str, found: Sum) -> bool {
        let put = |call: &Call| match call {
            Call::Put(put, bytes) => put == name && sum(bytes) == found,
            _ => false,
        };
        self.pending().any(put)
    }

    /// Whether somebody asked that an object of that content is renamed, from and to names that are meant.
    fn may_move(&self, found: Sum, is_meant: impl Fn(&str, &str) -> bool) -> bool {
        let moved = |call: &Call| match call {
            Call::Rename(from, to, sum) => *sum == found && is_meant(from, to),
            _ => false,
        };
        self.pending().any(moved)
    }

    fn server(&mut self, event: ObjectStoreEvent) {
        match event {
            ObjectStoreEvent::Stored { name, len, crc, .. } => {
                assert!(self.may_put(&name, (len, crc)), "nobody stored {name}");
                assert!(!Self::under(&name, &self.sealed), "{name} is sealed");
                assert_eq!(self.objects.insert(name.clone(), (len, crc)), None, "{name}");
            }
            ObjectStoreEvent::Renamed { from, to, len, crc } => {
                let asked = self.may_move((len, crc), |f, t| (f, t) == (&*from, &*to));
                assert!(asked, "nobody renamed {from}");
                assert!(!Self::under(&to, &self.sealed), "{to} is sealed");
                assert_eq!(self.objects.remove(&from), Some((len, crc)), "{from}");
                assert_eq!(self.objects.insert(to.clone(), (len, crc)), None, "{to}");
                self.renamed += 1;
            }
            ObjectStoreEvent::Deleted { names } => {
                for name in names {
                    assert!(self.objects.remove(&name).is_some(), "{name}");
                }
            }
            ObjectStoreEvent::Sealed { prefix, removed } => {
                assert!(self.sealed.insert(prefix));
                let there: Vec<String> = self.objects.keys().cloned().collect();
                let under = there.into_iter().filter(|name| Self::under(name, &self.sealed));
                assert_eq!(under.collect::<Vec<_>>(), removed);
                self.objects.retain(|name, _| !Self::under(name, &self.sealed));
            }
            ObjectStoreEvent::Recovered { objects, sealed } => self.recovered(objects, sealed),
        }
    }

    fn recovered(&mut self, objects: Vec<(String, u64, u32)>, sealed: Vec<String>) {
        let found: BTreeMap<String, Sum> =
            objects.into_iter().map(|(name, len, crc)| (name, (len, crc))).collect();
        let sealed: BTreeSet<String> = sealed.into_iter().collect();
        assert!(sealed.is_superset(&self.sealed), "a seal is lost");
        for prefix in sealed.difference(&self.sealed) {
            let asked = |call: &Call| matches!(call, Call::Seal(asked) if asked == prefix);
            assert!(self.pending().any(asked), "nobody sealed {prefix}");
            self.unannounced += 1;
        }
        let deleted = |name: &String| {
            self.pending().any(|call| matches!(call, Call::Delete(names) if names.contains(name)))
        };
        for (name, stood) in &self.objects {
            let moved = self.may_move(*stood, |from, to| {
                from == name && (found.get(to) == Some(stood) || deleted(&to.to_string()))
            });
            let gone = Self::under(name, &sealed) || deleted(name) || moved;
            assert!(found.get(name) == Some(stood) || gone, "{name} is lost");
        }
        for (name, there) in &found {
            assert!(!Self::under(name, &sealed), "{name} outlives the seal");
            if self.objects.get(name) != Some(there) {
                let moved = self.may_move(*there, |_, to| to == name);
                assert!(self.may_put(name, *there) || moved, "nobody stored {name}");
                self.unannounced += 1;
            }
        }
        (self.objects, self.sealed) = (found, sealed);
    }

    /// Whether the name stood so at some moment since that entry.
    fn stood(&self, name: &str, since: usize, wanted: impl Fn(Option<Sum>) -> bool) -> bool {
        let Some(past) = self.past.get(name) else { return wanted(None) };
        let ends = past[1..].iter().map(|(end, _)| *end).chain([usize::MAX]);
        past.iter().zip(ends).any(|((_, stood), end)| end >= since && wanted(*stood))
    }

    fn answer(&mut self, number: u64, answer: Result<Option<Bytes>, ObjectStoreError>) {
        let (since, call) = self.asked[&number].clone();
        match (&answer, &call) {
            (Err(ServiceError::Indeterminate(_) | ServiceError::NotDone(_)), _) => self.maybe += 1,
            (Ok(_), _) => self.done += 1,
            _ => {}
        }
        let holds = match (call, &answer) {
            (Call::Put(name, bytes), Ok(_)) => {
                self.stood(&name, since, |stood| stood == Some(sum(&bytes)))
            }
            (Call::Put(name, bytes), Err(ServiceError::Refused(ObjectStoreRefusal::Exists))) => {
                self.stood(&name, since, |stood| stood.is_some_and(|other| other != sum(&bytes)))
            }
            (Call::Put(name, _), Err(ServiceError::Refused(ObjectStoreRefusal::Sealed))) => {
                Self::under(&name, &self.sealed)
            }
            (Call::Rename(from, to, sum), Ok(_)) => {
                let left = from == to || self.stood(&from, since, |stood| stood != Some(sum));
                left && self.stood(&to, since, |stood| stood == Some(sum))
            }
            (
                Call::Rename(from, to, sum),
                Err(ServiceError::Refused(ObjectStoreRefusal::Exists)),
            ) => [from, to].iter().any(|name| {
                self.stood(name, since, |stood| stood.is_some_and(|other| other != sum))
            }),
            (
                Call::Rename(from, to, _),
                Err(ServiceError::Refused(ObjectStoreRefusal::NotFound)),
            ) => [from, to].iter().all(|name| self.stood(name, since, |stood| stood.is_none())),
            (Call::Rename(_, to, _), Err(ServiceError::Refused(ObjectStoreRefusal::Sealed))) => {
                Self::under(&to, &self.sealed)
            }
            (Call::Get(name), Ok(Some(bytes))) => {
                self.stood(&name, since, |stood| stood == Some(sum(bytes)))
            }
            (Call::Get(name), Err(ServiceError::Refused(ObjectStoreRefusal::NotFound))) => {
                self.stood(&name, since, |stood| stood.is_none())
            }
            (Call::Delete(names), Ok(_)) => {
                names.iter().all(|name| self.stood(name, since, |stood| stood.is_none()))
            }
            (Call::Seal(prefix), Ok(_)) => self.sealed.contains(&prefix),
            (_, Err(ServiceError::Indeterminate(_) | ServiceError::NotDone(_))) => true,
            _ => false,
        };
        assert!(holds, "{answer:?} of {:?}", self.asked[&number]);
        if matches!(answer, Err(ServiceError::Refused(_) | ServiceError::NotDone(_))) {
            self.over.insert(number);
        }
    }
}

#[test]
fn every_promise_of_the_service_holds_in_a_storm() {
    let mut total = Checker::default();
    for seed in 0..SEEDS {
        let checker = run(seed);
        total.done += checker.done;
        total.maybe += checker.maybe;
        total.unannounced += checker.unannounced;
        total.renamed += checker.renamed;
    }
    let Checker { done, maybe, unannounced, renamed, .. } = total;
    assert!(done > 30 * SEEDS && maybe > SEEDS && unannounced > 50, "{done} {maybe} {unannounced}");
    assert!(renamed > SEEDS / 5, "{renamed}");
}
