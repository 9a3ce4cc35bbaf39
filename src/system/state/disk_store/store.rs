//! The store: records in memory above runs on the disk, and what is done with them.

use super::{
    block::Found,
    cache::BlockCache,
    chain::{Chain, ChainFile},
    error::StateError,
    levels::Levels,
    lookup::{look_up, look_up_one},
    record_table::hash,
    records::Records,
    snapshot::SnapshotJob,
    table::{Files, KEY_BYTES_MAX, Trash},
};
use crate::{host::SyncDisk, system::graph::KeyGroupRange};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A value has at most this part of the memory.
const VALUE_SHARE: usize = 16;
/// Bytes of a unit of files, usually.
pub(super) const UNIT_BYTES: usize = 4 << 10;
/// The least memory.
const MEMORY_MIN: usize = 16 << 10;

/// How a store is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes that the store may hold in memory, all in all; at least 16 KiB. Eleven sixteenths are for records, one
    /// for blocks and indexes, the rest for filters and for the work under way. While a batch is made resident, 48 for
    /// each of its keys come on top.
    pub memory: usize,
    /// The key groups that it keeps.
    pub groups: KeyGroupRange,
    /// Who owns it. No two stores whose files may meet have the same: a number that is drawn for each attempt.
    pub owner: u64,
    /// Bytes of a unit of its files, the least that is read; 4 KiB, and a divisor of what a page has otherwise.
    pub unit: usize,
    /// Bytes of a file of a snapshot, about; 1.75 MiB, so that none is longer than an object may be. One that holds a
    /// single key group or a long value has up to twice that.
    pub file: u64,
}

impl Options {
    /// The usual ones.
    pub fn new(memory: usize, groups: KeyGroupRange, owner: u64) -> Self {
        Options { memory, groups, owner, unit: UNIT_BYTES, file: 7 << 18 }
    }
}

/// A snapshot all of whose files are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: u64,
    /// The files that together are the state, the oldest first: what a restore needs.
    pub files: Vec<ChainFile>,
}

/// The state of one subtask.
pub struct DiskStore {
    pub(super) options: Options,
    pub(super) records: Records,
    pub(super) levels: Levels,
    pub(super) cache: BlockCache,
    pub(super) chain: Chain,
    /// Snapshots that wait for the flush of a table of records, by its number.
    waiting: VecDeque<(u64, u64)>,
    jobs: VecDeque<SnapshotJob>,
    done: VecDeque<Snapshot>,
    last_snapshot: u64,
    scratch: Vec<u8>,
    /// Whether it is a snapshot's turn to be worked on, before the runs'.
    turn: bool,
}

impl DiskStore {
    /// An empty store, whose files are in a folder of its own; what is in that is removed, and it is made if need be.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(door: SyncDisk, folder: &str, options: Options) -> Result<Self, StateError> {
        door.create_dir(folder)?;
        for name in door.list(folder)? {
            door.remove(&format!("{folder}/{name}"))?;
        }
        Ok(DiskStore::empty(door, folder, options))
    }

    /// A store without a record in a folder that it leaves as it is.
    pub(super) fn empty(door: SyncDisk, folder: &str, options: Options) -> Self {
        assert!(options.memory >= MEMORY_MIN, "a store needs {MEMORY_MIN} bytes");
        assert!(options.groups.start < options.groups.end, "a store has a key group");
        assert!(options.groups.end <= 1 << 16, "a key group is two bytes");
        assert!((64..=32 << 10).contains(&options.unit), "places in a block are two bytes");
        let (folder, owner, unit) = (folder.to_string(), options.owner, options.unit);
        let write_bytes = (options.memory / 256).clamp(unit, 256 << 10);
        let ahead = write_bytes / unit;
        let trash = Trash::default();
        let files = Files { door, folder, owner, next: 1, unit, write_bytes, trash };
        let levels = Levels::new(files, options.file, ahead as u32);
        DiskStore {
            records: Records::new(options.memory / 16 * 11),
            levels,
            cache: BlockCache::new(options.memory / 16, unit),
            chain: Chain::default(),
            waiting: VecDeque::new(),
            jobs: VecDeque::new(),
            done: VecDeque::new(),
            last_snapshot: 0,
            scratch: Vec::new(),
            turn: false,
            options,
        }
    }

    /// Snapshots that come have ids above this one.
    pub(super) fn last_snapshot_is(&mut self, id: u64) {
        self.last_snapshot = id;
    }

    fn check_key(&self, key: &[u8]) -> Result<(), StateError> {
        let KeyGroupRange { start, end } = self.options.groups;
        let Some(group) = key.first_chunk::<2>().filter(|_| key.len() <= KEY_BYTES_MAX) else {
            return Err(StateError::KeyLength { length: key.len(), max: KEY_BYTES_MAX });
        };
        let group = u32::from(u16::from_be_bytes(*group));
        if self.options.groups.contains(group) {
            Ok(())
        } else {
            Err(StateError::KeyGroup { group, start, end })
        }
    }

    /// The value of a key; `None` when there is none. Reads the disk unless the key was made resident or is by itself.
    ///
    /// # Errors
    /// What the disk says, and that a file is corrupt; what is wrong with the key.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, StateError> {
        let hash = hash(key);
        let place = match self.records.find(hash, key) {
            Some(place) => place,
            None => {
                self.check_key(key)?;
                self.load(hash, key)?
            }
        };
        Ok(self.records.active().value(place))
    }

    /// Brings what the runs say of a key into memory.
    fn load(&mut self, hash: u64, key: &[u8]) -> Result<u32, StateError> {
        self.relieve(0)?;
        for run in self.levels.level.iter().chain([&self.levels.base]) {
            match look_up_one(run, hash, key, &mut self.cache)? {
                Found::Nothing => {}
                Found::Tombstone => break,
                Found::Value(value) => {
                    return Ok(self.records.insert_known(hash, key, Some(value)));
                }
            }
        }
        Ok(self.records.insert_known(hash, key, None))
    }

    /// Sets the value of a key. Nothing is read.
    ///
    /// # Errors
    /// What is wrong with key or value; what the disk says, where memory is full and [`work`](Self::work) was not
    /// called enough.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let max = self.options.memory / VALUE_SHARE;
        if value.len() > max {
            return Err(StateError::ValueLength { length: value.len(), max });
        }
        self.write(key, Some(value))
    }

    /// Removes a key, if it is there. Nothing is read.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(&mut self, key: &[u8]) -> Result<(), StateError> {
        self.write(key, None)
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StateError> {
        self.check_key(key)?;
        self.relieve(key.len() + value.map_or(0, <[u8]>::len))?;
        self.records.write(key, value);
        Ok(())
    }

    /// Flushes while there is no memory for so many bytes more.
    fn relieve(&mut self, bytes: usize) -> Result<(), StateError> {
        while self.records.is_over(bytes) {
            self.flush_step()?;
        }
        Ok(())
    }

    /// Brings what the runs say of these keys into memory, so that [`get`](Self::get) reads nothing, as long as all fit
    /// there. Blocks are read in the order of their files, those close to each other in one go.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn make_resident<K: AsRef<[u8]>>(&mut self, keys: &[K]) -> Result<(), StateError> {
        let mut wanted = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let key = key.as_ref();
            self.relieve(key.len())?;
            if self.records.find(hash(key), key).is_none() {
                self.check_key(key)?;
                wanted.push((key, u32::try_from(number).expect("a batch is small")));
            }
        }
        wanted.sort_unstable_by(|(one, _), (other, _)| {
            prefix(one).cmp(&prefix(other)).then_with(|| one.cmp(other))
        });
        wanted.dedup_by(|(one, _), (other, _)| one == other);
        self.relieve(wanted.len() * 48)?;
        let DiskStore { records, levels, cache, scratch, .. } = self;
        let mut is_full = false;
        for run in &levels.level {
            if wanted.is_empty() || is_full {
                break;
            }
            let may_have = wanted.iter().filter(|(key, _)| run.may_have(hash(key)));
            let may_have: Vec<_> = may_have.copied().collect();
            let mut found = BTreeSet::new();
            look_up(run, &may_have, cache, scratch, &mut |key, number, value| {
                found.insert(number);
                records.insert_known(hash(key), key, value);
                is_full = records.is_over(0);
                !is_full
            })?;
            wanted.retain(|(_, number)| !found.contains(number));
        }
        if wanted.is_empty() || is_full {
            return Ok(());
        }
        let mut next = 0;
        look_up(&levels.base, &wanted, cache, scratch, &mut |key, number, value| {
            // Those before it are nowhere.
            while wanted[next].1 != number && !is_full {
                records.insert_known(hash(wanted[next].0), wanted[next].0, None);
                next += 1;
                is_full = records.is_over(0);
            }
            if !is_full {
                records.insert_known(hash(key), key, value);
                next += 1;
                is_full = records.is_over(0);
            }
            !is_full
        })?;
        for (key, _) in &wanted[next..] {
            if records.is_over(0) {
                break;
            }
            records.insert_known(hash(key), key, None);
        }
        Ok(())
    }

    /// Does some of the work that is due: flushes, writes snapshots, merges runs, removes files. Reads and writes about
    /// so many bytes, and says whether more is to do.
    ///
    /// # Errors
    /// What the disk says, and that a file is corrupt.
    pub fn work(&mut self, budget: u64) -> Result<bool, StateError> {
        let mut spent = 0;
        while spent < budget {
            match self.step()? {
                0 => break,
                more => spent += more,
            }
        }
        self.levels.files.remove_trash()?;
        Ok(spent >= budget)
    }

    fn step(&mut self) -> Result<u64, StateError> {
        if self.records.unflushed().is_some() {
            return self.flush_step();
        }
        self.turn = !self.turn;
        if self.turn || self.jobs.is_empty() {
            let merged = self.levels.merge_step()?;
            if merged > 0 {
                return Ok(merged);
            }
        }
        self.snapshot_step()
    }

    fn flush_step(&mut self) -> Result<u64, StateError> {
        if self.levels.is_full() {
            return self.levels.sweep_step();
        }
        if let Some(number) = self.levels.flush_step(&self.records)? {
            self.records.set_flushed(number);
            self.begin_snapshots(number);
        }
        Ok(64 << 10)
    }

    /// Begins the snapshots that waited until this table was flushed.
    fn begin_snapshots(&mut self, flushed: u64) {
        while let Some((id, _)) = self.waiting.pop_front_if(|(_, number)| *number <= flushed) {
            let job = SnapshotJob::new(id, self.options.groups, &mut self.levels, &self.chain);
            self.jobs.push_back(job);
        }
    }

    fn snapshot_step(&mut self) -> Result<u64, StateError> {
        let Some(job) = self.jobs.front_mut() else { return Ok(0) };
        if let Some(spent) = job.step(&mut self.levels)? {
            return Ok(spent);
        }
        let job = self.jobs.pop_front().expect("it was the first");
        let id = job.id;
        let files = job.finish(&mut self.chain);
        self.done.push_back(Snapshot { id, files });
        Ok(1)
    }

    /// Begins a snapshot of the state as it is: nothing is copied or written. [`work`](Self::work) writes its files
    /// while the state changes, and [`written_snapshot`](Self::written_snapshot) hands them over.
    ///
    /// # Panics
    /// When the id is not above those before it.
    pub fn snapshot(&mut self, id: u64) {
        assert!(id > self.last_snapshot, "ids of snapshots grow");
        self.last_snapshot = id;
        if self.records.active().written() > 0 {
            self.records.freeze();
        }
        self.waiting.push_back((id, self.records.newest_frozen()));
        if self.records.unflushed().is_none() {
            self.begin_snapshots(self.records.newest_frozen());
        }
    }

    /// The next snapshot whose files are all written, in the order in which they were begun.
    ///
    /// The caller uploads the files that are not complete, and then says what became of the snapshot.
    pub fn written_snapshot(&mut self) -> Option<Snapshot> {
        self.done.pop_front()
    }

    /// Somebody else has all files of a written snapshot. The store keeps none of them that it has no use for, and the
    /// next one goes on from there. Those before it that nobody has spoken of are taken for aborted.
    pub fn snapshot_is_complete(&mut self, id: u64) {
        self.chain.complete(id);
    }

    /// Nobody will ask for a snapshot any more. What it added is a part of the next one, with its files that are not
    /// complete; so it is written all the same if it is not yet.
    pub fn snapshot_aborted(&mut self, id: u64) {
        self.chain.abort(id);
        self.done.retain(|snapshot| snapshot.id != id);
    }

    /// The bytes of the state, as files have it; at most by what is not merged more than they would be.
    pub fn live_bytes(&self) -> u64 {
        self.levels.bytes()
    }

    /// The bytes of all files that there are.
    pub fn disk_bytes(&self) -> u64 {
        let runs = self.levels.runs().chain(&self.levels.epoch).flat_map(|run| &run.tables);
        let jobs = self.jobs.iter().flat_map(SnapshotJob::tables);
        let tables = runs.chain(self.chain.tables()).chain(jobs);
        let lengths: BTreeMap<_, _> = tables.map(|table| (table.identity, table.length)).collect();
        lengths.values().sum()
    }

    /// The bytes that the store holds in memory.
    pub fn memory_bytes(&self) -> usize {
        let jobs: usize = self.jobs.iter().map(SnapshotJob::memory).sum();
        let levels = self.levels.memory() + self.chain.memory();
        self.records.held_bytes() + levels + self.cache.memory() + jobs + self.scratch.capacity()
    }

    /// The bytes of the files that a restore of the newest written snapshot reads.
    pub fn chain_bytes(&self) -> u64 {
        self.chain.bytes()
    }
}

/// What most keys are told apart by.
fn prefix(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut padded = [0; 8];
            padded[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(padded)
        }
    }
}
