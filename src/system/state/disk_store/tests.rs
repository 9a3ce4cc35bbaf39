//! The store against a map, in both worlds.

use super::*;
use crate::{
    host::{Host, OpenMode, SyncDisk, run_two},
    system::graph::KeyGroupRange,
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const GROUPS: u32 = 8;
const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: GROUPS };

/// So little memory that nearly everything is on the disk.
fn options(groups: KeyGroupRange, owner: u64) -> Options {
    Options { memory: 16 << 10, unit: 128, file: 2 << 10, ..Options::new(16 << 10, groups, owner) }
}

/// Runs a test on a disk; a failure is told outside.
fn on_disk<T: Send + 'static>(test: impl FnOnce(SyncDisk) -> T + Send + 'static) -> T {
    let result = Arc::new(Mutex::new(None));
    let told = result.clone();
    let client = |host: Host| async move {
        let door = host.disk().synchronous();
        let done = test(door.clone());
        door.settle().await;
        *told.lock().unwrap() = Some(done);
    };
    run_two(|_| std::future::pending(), client);
    result.lock().unwrap().take().expect("it came to its end")
}

/// What a test does to a store.
#[derive(Clone, Debug)]
enum Op {
    Put(u16, u16),
    Delete(u16),
    Get(u16),
    Batch(Vec<u16>),
    Scan(u16, u16),
    Work(u16),
    Snapshot,
    /// Is the oldest written snapshot complete, or aborted?
    Resolve(bool),
    Restore,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..600_u16;
    prop_oneof![
        12 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Op::Put(key, value)),
        4 => key.clone().prop_map(Op::Delete),
        6 => key.clone().prop_map(Op::Get),
        3 => prop::collection::vec(key.clone(), 1..120).prop_map(Op::Batch),
        2 => (key.clone(), key).prop_map(|(from, to)| Op::Scan(from, to)),
        6 => (0..20_000_u16).prop_map(Op::Work),
        2 => Just(Op::Snapshot),
        2 => any::<bool>().prop_map(Op::Resolve),
        1 => Just(Op::Restore),
    ]
}

fn key(number: u16) -> Vec<u8> {
    let group = number.wrapping_mul(40_503) % u16::try_from(GROUPS).unwrap();
    let mut key = group.to_be_bytes().to_vec();
    key.extend_from_slice(format!("key-{number:06}").as_bytes());
    // Some are the beginning of others.
    key.truncate(if number.is_multiple_of(7) { 11 } else { 12 });
    key
}

fn value(number: u16) -> Vec<u8> {
    let length = match number % 16 {
        0 => 0,
        1..4 => 200,
        4 => 900,
        _ => 8,
    };
    number.to_le_bytes().into_iter().cycle().take(length).collect()
}

/// A store beside what it should hold.
struct Tried {
    door: SyncDisk,
    store: DiskStore,
    model: Model,
    /// What the model was at each snapshot.
    then: BTreeMap<u64, Model>,
    written: Vec<Snapshot>,
    next: u64,
    owner: u64,
}

impl Tried {
    fn new(door: SyncDisk) -> Self {
        let store = DiskStore::create(door.clone(), "state/1", options(ALL, 1)).unwrap();
        let (then, written) = (BTreeMap::new(), Vec::new());
        Tried { door, store, model: Model::new(), then, written, next: 1, owner: 1 }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Put(number, content) => {
                self.store.put(&key(*number), &value(*content)).unwrap();
                self.model.insert(key(*number), value(*content));
            }
            Op::Delete(number) => {
                self.store.delete(&key(*number)).unwrap();
                self.model.remove(&key(*number));
            }
            Op::Get(number) => self.compare(&key(*number)),
            Op::Batch(numbers) => {
                let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
                self.store.make_resident(&keys).unwrap();
                keys.iter().for_each(|key| self.compare(key));
            }
            Op::Scan(from, to) => self.scan(&key(*from), Some(&key(*to))),
            Op::Work(budget) => self.work(u64::from(*budget)),
            Op::Snapshot => {
                self.store.snapshot(self.next);
                self.then.insert(self.next, self.model.clone());
                self.next += 1;
            }
            Op::Resolve(is_complete) => self.resolve(*is_complete),
            Op::Restore => self.restore(),
        }
        let bytes = self.store.memory_bytes();
        assert!(bytes < 64 << 10, "{bytes} bytes with a bound of 16 KiB and the least of buffers");
    }

    fn compare(&mut self, key: &[u8]) {
        let found = self.store.get(key).unwrap();
        assert_eq!(found, self.model.get(key).map(|value| &**value), "{key:?}");
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>) {
        let mut expected: Vec<_> = self.model.range(from.to_vec()..).collect();
        expected.retain(|(key, _)| to.is_none_or(|to| ***key < *to));
        let mut expected = expected.into_iter();
        let mut scan = self.store.scan(from, to).unwrap();
        while let Some((key, value)) = scan.next().unwrap() {
            let (is, held) = expected.next().expect("no key too many");
            assert_eq!((key, value), (&**is, &**held));
        }
        assert_eq!(expected.next(), None);
    }

    fn work(&mut self, budget: u64) {
        self.store.work(budget).unwrap();
        while let Some(snapshot) = self.store.written_snapshot() {
            assert!(snapshot.files.is_sorted_by_key(|file| file.snapshot));
            self.written.push(snapshot);
        }
    }

    /// Copies what an upload would take out of the folder, once.
    fn upload(&self, snapshot: &Snapshot) {
        self.door.create_dir("uploaded").unwrap();
        for file in snapshot.files.iter().filter(|file| !file.is_complete) {
            let from =
                self.door.open(&format!("state/{}/{}", self.owner, file.name), OpenMode::Read);
            let mut bytes = vec![0; usize::try_from(file.length).unwrap()];
            assert_eq!(from.unwrap().read_at(0, &mut bytes).unwrap(), bytes.len());
            assert_eq!(crc32fast::hash(&bytes), file.crc);
            let to = self.door.open(&format!("uploaded/{}", file.name), OpenMode::Create);
            to.unwrap().write_at(0, &bytes).unwrap();
        }
    }

    fn download(&self, snapshot: &Snapshot, folder: &str) {
        self.door.create_dir(folder).unwrap();
        for file in &snapshot.files {
            let from = self.door.open(&format!("uploaded/{}", file.name), OpenMode::Read);
            let mut bytes = vec![0; usize::try_from(file.length).unwrap()];
            from.unwrap().read_at(0, &mut bytes).unwrap();
            let to = self.door.open(&format!("{folder}/{}", file.name), OpenMode::Create);
            to.unwrap().write_at(0, &bytes).unwrap();
        }
    }

    fn resolve(&mut self, is_complete: bool) {
        if self.written.is_empty() {
            return;
        }
        let snapshot = self.written.remove(0);
        if is_complete {
            self.upload(&snapshot);
            self.store.snapshot_is_complete(snapshot.id);
            self.check_read(&snapshot);
            self.check_restored(&snapshot);
        } else {
            self.store.snapshot_aborted(snapshot.id);
        }
    }

    /// The bytes of a snapshot's files, read without a store, are what the model was then.
    fn check_read(&self, snapshot: &Snapshot) {
        let mut found = Model::new();
        for file in &snapshot.files {
            let from = self.door.open(&format!("uploaded/{}", file.name), OpenMode::Read);
            let mut bytes = vec![0; usize::try_from(file.length).unwrap()];
            from.unwrap().read_at(0, &mut bytes).unwrap();
            let counts = |key: &[u8]| {
                let group = u32::from(u16::from_be_bytes([key[0], key[1]]));
                file.groups.iter().any(|groups| groups.contains(group))
            };
            let entries = whole_file::read_units(file, &bytes, 128).unwrap();
            for (key, value) in entries.into_iter().filter(|(key, _)| counts(key)) {
                match value {
                    Some(value) => drop(found.insert(key, value)),
                    None => drop(found.remove(&key)),
                }
            }
            bytes[8] ^= 1;
            assert!(whole_file::read_units(file, &bytes, 128).is_err(), "a bit has rotted");
        }
        assert_eq!(found, self.then[&snapshot.id]);
    }

    /// The snapshot, restored into stores of other ranges, is what the model was then.
    fn check_restored(&self, snapshot: &Snapshot) {
        let then = &self.then[&snapshot.id];
        for (range, owner) in [(0, 3, 100), (3, 8, 101)]
            .map(|(start, end, owner)| (KeyGroupRange { start, end }, owner))
        {
            self.download(snapshot, "other");
            let (door, options) = (self.door.clone(), options(range, owner));
            let mut other = DiskStore::restore(door, "other", options, &snapshot.files).unwrap();
            assert_eq!(contents(&mut other), within(then, range));
        }
    }

    /// Goes on as another attempt that restores the newest complete snapshot, or begins anew.
    fn restore(&mut self) {
        while self.store.work(1 << 20).unwrap() {}
        self.work(0);
        let Some(snapshot) = self.written.pop() else { return };
        self.upload(&snapshot);
        self.written.clear();
        self.owner += 1;
        let folder = format!("state/{}", self.owner);
        self.download(&snapshot, &folder);
        let (door, options) = (self.door.clone(), options(ALL, self.owner));
        self.store = DiskStore::restore(door, &folder, options, &snapshot.files).unwrap();
        self.model = self.then[&snapshot.id].clone();
        assert_eq!(contents(&mut self.store), self.model);
    }

    fn check_files(&mut self) {
        while self.store.work(1 << 20).unwrap() {}
        self.work(0);
        let folder = format!("state/{}", self.owner);
        let files = self.door.list(&folder).unwrap();
        let length = |name: &String| {
            self.door.open(&format!("{folder}/{name}"), OpenMode::Read).unwrap().len().unwrap()
        };
        assert_eq!(files.iter().map(length).sum::<u64>(), self.store.disk_bytes(), "{files:?}");
    }
}

fn contents(store: &mut DiskStore) -> Model {
    let mut found = Model::new();
    let mut scan = store.scan(&[], None).unwrap();
    while let Some((key, value)) = scan.next().unwrap() {
        found.insert(key.to_vec(), value.to_vec());
    }
    found
}

fn within(model: &Model, range: KeyGroupRange) -> Model {
    let is_within = |key: &[u8]| range.contains(u32::from(u16::from_be_bytes([key[0], key[1]])));
    model.iter().filter(|(key, _)| is_within(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_store_is_a_map_with_snapshots(ops in prop::collection::vec(op(), 1..700)) {
        on_disk(move |door| {
            let mut tried = Tried::new(door);
            ops.iter().for_each(|op| tried.apply(op));
            tried.scan(&[], None);
            tried.check_files();
            tried.scan(&[], None);
        });
    }
}

#[test]
fn the_same_calls_make_the_same_files() {
    let files = || {
        on_disk(|door| {
            let mut tried = Tried::new(door.clone());
            for number in 0..4000_u16 {
                tried.apply(&Op::Put(number.wrapping_mul(77) % 1500, number));
                if number % 100 == 0 {
                    tried.apply(&Op::Work(8000));
                }
                if number % 900 == 0 {
                    tried.apply(&Op::Snapshot);
                }
            }
            let read = |name: &String| {
                let file = door.open(&format!("state/1/{name}"), OpenMode::Read).unwrap();
                let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
                file.read_at(0, &mut bytes).unwrap();
                bytes
            };
            let names = door.list("state/1").unwrap();
            names.iter().map(|name| (name.clone(), read(name))).collect::<Vec<_>>()
        })
    };
    let first = files();
    assert!(first.len() > 5);
    assert_eq!(first, files());
}

#[test]
fn a_chain_stays_short_and_an_increment_is_what_has_changed() {
    on_disk(|door| {
        let mut tried = Tried::new(door);
        for round in 0..60_u16 {
            for number in 0..100 {
                tried.apply(&Op::Put((round * 37 + number * 11) % 2000, number));
            }
            tried.apply(&Op::Snapshot);
            while tried.store.work(1 << 20).unwrap() {}
            tried.work(0);
            let snapshot = tried.written.last().unwrap();
            let new = snapshot.files.iter().filter(|file| file.snapshot == snapshot.id);
            let (bases, deltas): (Vec<_>, Vec<_>) = new.partition(|file| file.is_base);
            let delta: u64 = deltas.iter().map(|file| file.length).sum();
            let all: u64 = snapshot.files.iter().map(|file| file.length).sum();
            let live = tried.store.live_bytes();
            assert!(all <= 2 * live + (8 << 10), "{all} {live}");
            assert!(bases.is_empty() || all <= 2 * live, "{all} {live}");
            assert!(delta <= 40_000, "{delta}");
            tried.resolve(round % 5 < 4);
        }
        assert!(tried.store.disk_bytes() <= 3 * tried.store.live_bytes());
    });
}

#[test]
fn keys_and_values_have_bounds() {
    on_disk(|door| {
        let owned = KeyGroupRange { start: 2, end: 4 };
        let mut store = DiskStore::create(door, "s", options(owned, 1)).unwrap();
        assert!(matches!(store.put(&[0], &[]), Err(StateError::KeyLength { .. })));
        assert!(matches!(store.put(&[0, 4], &[]), Err(StateError::KeyGroup { .. })));
        assert!(matches!(store.get(&[0; 5000]), Err(StateError::KeyLength { .. })));
        assert!(matches!(store.make_resident(&[[0, 9]]), Err(StateError::KeyGroup { .. })));
        assert!(matches!(store.put(&[0, 2], &[0; 1025]), Err(StateError::ValueLength { .. })));
        store.put(&[0, 2], &[7; 1024]).unwrap();
        store.put(&[0, 3], &[]).unwrap();
        assert_eq!(store.get(&[0, 3]).unwrap(), Some(&[][..]));
        let long = [&[0, 2][..], &[9; KEY_BYTES_MAX - 2]].concat();
        store.put(&long, &[1]).unwrap();
        store.snapshot(1);
        while store.work(1 << 20).unwrap() {}
        assert_eq!(store.get(&long).unwrap(), Some(&[1][..]));
    });
}
