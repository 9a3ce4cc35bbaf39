//! Holds what clients saw in a storm against what the server announced.

use super::history::{Entry, History, Outcome};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use wavetank::{
    host::sim::{ProcessEnd, Stamp},
    system::service::coordination::{
        Change, CoordinationEvent, KeyPattern, KeyValue, LeaseEnd, LeaseId, Range, Revision, Update,
    },
};

/// Watches of each client.
pub const WATCHES: u64 = 3;

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
struct Checker {
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
    views: BTreeMap<u64, (KeyPattern, Keys, Revision)>,
    last_read: Range,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub done: u64,
    pub never: u64,
    pub maybe: u64,
    pub maybe_and_there: u64,
    pub recoveries: u64,
    pub recovered_unannounced: u64,
    pub expired_with_keys: u64,
}

impl Checker {
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
            Entry::Watched { watch, keys, update } => self.watched(watch, keys, update),
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
            Outcome::Indeterminate => self.tally.maybe += 1,
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

    fn watched(&mut self, watch: u64, keys: KeyPattern, update: Update) {
        let expected = self.at(update.revision).into_iter();
        let expected: Keys = expected.filter(|(key, _)| keys.matches(key)).collect();
        let first = !self.views.contains_key(&watch);
        let new = || (keys, Keys::new(), Revision::default());
        let (_, view, revision) = self.views.entry(watch).or_insert_with(new);
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
    fn close(mut self, clients: u64, drift: i64) -> Tally {
        for tag in self.appeared.keys() {
            match self.answered.get(tag) {
                Some(Outcome::Never(why)) => panic!("{tag:?} appears: {why}"),
                Some(Outcome::Indeterminate) => self.tally.maybe_and_there += 1,
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
                let rate = u128::try_from(1_000_000 + drift).unwrap();
                let lived = ended.saturating_sub(*sent).as_nanos() * rate / 1_000_000;
                assert!(lived >= ttl.as_nanos(), "{lease:?} lived {lived} ns after {sent:?}");
            }
        }
        let last: Keys = self.last_read.keys.iter().map(stands).collect();
        assert_eq!(self.last_read.keys.iter().find(|found| found.lease.is_some()), None);
        assert_eq!(self.views.len() as u64, clients * WATCHES, "every watch was told something");
        for (keys, view, _) in self.views.values() {
            let watched = last.iter().filter(|(key, _)| keys.matches(key));
            assert!(watched.eq(view.iter()), "a watch of {keys:?} misses the end");
        }
        self.tally
    }
}

/// Judges a run with so many clients and a server whose clock drifted by `drift` millionths.
pub fn check(history: &History, clients: u64, drift: i64) -> Tally {
    let mut checker = Checker::default();
    for (stamp, entry) in history.all() {
        checker.take(stamp, entry);
    }
    checker.close(clients, drift)
}
