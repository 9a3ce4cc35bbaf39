//! Snapshots of much on the heap: what they hold is gathered, sorted and written to files between batches, a step at a
//! time, so that none holds the task for long.

use super::{
    disk::owner,
    heap::HeapTable,
    written_key::{verbatim, write_key},
};
use crate::{
    host::SyncDisk,
    reachable,
    system::{
        dataflow::{
            data::{Data, Key, encode_into},
            failure::{Failure, Result},
            operator::{OperatorContext, WorkingFolder, WrittenFile},
        },
        ids::CheckpointId,
        sabotage,
        state::disk_store::{ChainFile, Options, SnapshotFolder, WholeSnapshot, WrittenSnapshot},
        store::object_prefix,
    },
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

/// What a step does at most: places looked at, records sorted, merged or written.
const STEP_MAX: usize = 4096;
/// Memory for writing; a part of it is one write's.
const WRITING_MEMORY: usize = 16 << 20;

/// Writes snapshots of a subtask's state, the oldest first.
pub(super) struct HeapSnapshots {
    context: OperatorContext,
    /// What a step does.
    step: usize,
    /// Where they are written, once there was one.
    place: Option<Writing>,
    /// Under which prefix files of its own go into the object store.
    prefix: String,
    /// Those that are not written yet. All but the last have gathered all that they hold.
    jobs: VecDeque<Job>,
    /// Those that are, until it is known what became of them.
    written: BTreeMap<CheckpointId, WrittenSnapshot>,
}

struct Writing {
    files: SnapshotFolder,
    door: SyncDisk,
    folder: WorkingFolder,
}

/// A snapshot that is not written yet.
struct Job {
    checkpoint: CheckpointId,
    stage: Stage,
    /// What was gathered and is not written.
    gathered: BTreeMap<u16, Records>,
    file: WholeSnapshot,
}

enum Stage {
    /// Gathers keys, from this place of a shard on.
    Keys((usize, usize)),
    /// Gathers what is kept under names, behind this key.
    Entries(Option<Vec<u8>>),
    /// Sorts and writes one key group after the other.
    Write(Option<Sorting>),
}

/// Records, each with the lengths of key and value before it.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

/// The records of a key group on their way into a file.
struct Sorting {
    records: Records,
    /// In order, each by itself.
    lists: VecDeque<Vec<usize>>,
    merge: Option<Merging>,
    /// How much of the one list that is left is written.
    written: usize,
}

/// Two lists on their way to one.
struct Merging {
    from: [Vec<usize>; 2],
    at: [usize; 2],
    merged: Vec<usize>,
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a record is no longer than memory").to_le_bytes()
}

impl Records {
    fn add(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        self.places.push(self.bytes.len());
        self.bytes.extend(length(key.len()));
        let at = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(key);
        let begin = self.bytes.len();
        value(&mut self.bytes)?;
        let long = length(self.bytes.len() - begin);
        self.bytes[at..at + 4].copy_from_slice(&long);
        Ok(())
    }

    fn record(&self, place: usize) -> (&[u8], &[u8]) {
        let number = |at: usize| {
            let bytes = self.bytes[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes) as usize
        };
        let (key, value) = (number(place), number(place + 4));
        let at = place + 8;
        (&self.bytes[at..at + key], &self.bytes[at + key..at + key + value])
    }
}

impl Sorting {
    fn new(records: Records) -> Self {
        Sorting { records, lists: VecDeque::new(), merge: None, written: 0 }
    }

    /// Brings the records some more into order; whether they are.
    fn sort_some(&mut self, step: usize) -> bool {
        let Sorting { records, lists, merge, .. } = self;
        if !records.places.is_empty() {
            let rest = records.places.len().saturating_sub(step);
            let mut some = records.places.split_off(rest);
            some.sort_unstable_by(|one, other| {
                records.record(*one).0.cmp(records.record(*other).0)
            });
            lists.push_back(some);
        } else if let Some(merging) = merge {
            if let Some(merged) = merging.step(records, step) {
                *merge = None;
                lists.push_back(merged);
            }
        } else if lists.len() > 1 {
            let mut next = || lists.pop_front().expect("there are two");
            *merge = Some(Merging { from: [next(), next()], at: [0, 0], merged: Vec::new() });
        } else {
            return true;
        }
        false
    }

    /// Some of the work; whether all of it is done.
    fn step(
        &mut self,
        files: &mut SnapshotFolder,
        file: &mut WholeSnapshot,
        step: usize,
    ) -> Result<bool> {
        if !self.sort_some(step) {
            return Ok(false);
        }
        let list = self.lists.front().map_or(&[][..], |list| &list[self.written..]);
        for place in list.iter().take(step) {
            let (key, value) = self.records.record(*place);
            files.add(file, key, value)?;
        }
        self.written += list.len().min(step);
        Ok(self.lists.front().is_none_or(|list| list.len() == self.written))
    }
}

impl Merging {
    /// Some of it; the one list, once it is whole.
    fn step(&mut self, records: &Records, step: usize) -> Option<Vec<usize>> {
        let Merging { from: [one, other], at, merged } = self;
        for _ in 0..step {
            let takes_one = match (one.get(at[0]), other.get(at[1])) {
                (None, None) => return Some(std::mem::take(merged)),
                (Some(left), Some(right)) => records.record(*left).0 < records.record(*right).0,
                (left, _) => left.is_some(),
            };
            let from = if takes_one { 0 } else { 1 };
            merged.push(if takes_one { one[at[0]] } else { other[at[1]] });
            at[from] += 1;
        }
        None
    }
}

impl Job {
    fn gather(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let group = u16::from_be_bytes([key[0], key[1]]);
        self.gathered.entry(group).or_default().add(key, value)
    }

    fn is_gathering(&self) -> bool {
        !matches!(self.stage, Stage::Write(_))
    }

    /// Gathers some more of what the table has, and lets it go at the end.
    fn gather_some<K: Key, S: Data + Default>(
        &mut self,
        table: &mut HeapTable<K, S>,
        max_parallelism: u32,
        step: usize,
    ) -> Result<()> {
        match &mut self.stage {
            Stage::Keys(from) => {
                let from = *from;
                let mut written = Vec::new();
                let next = table.each_of_some(from, step, |key, state| {
                    written.clear();
                    write_key(key, max_parallelism, &mut written)?;
                    self.gather(&written, |into| encode_into(state, into))
                })?;
                self.stage = next.map_or(Stage::Entries(None), Stage::Keys);
            }
            Stage::Entries(behind) => {
                let behind = behind.take();
                let bound = behind.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let mut last = None;
                for (key, value) in table.of_states.frozen(bound).take(step) {
                    last = Some(key);
                    self.gather(key, verbatim(value))?;
                }
                match last.map(<[u8]>::to_vec) {
                    Some(last) => self.stage = Stage::Entries(Some(last)),
                    None => {
                        self.stage = Stage::Write(None);
                        table.thaw();
                    }
                }
            }
            Stage::Write(_) => {}
        }
        Ok(())
    }

    /// Writes some of what was gathered; whether that was all.
    fn write_some(&mut self, files: &mut SnapshotFolder, step: usize) -> Result<bool> {
        let Stage::Write(sorting) = &mut self.stage else { return Ok(false) };
        let Some(current) = sorting else {
            let Some((_, records)) = self.gathered.pop_first() else { return Ok(true) };
            *sorting = Some(Sorting::new(records));
            return Ok(false);
        };
        if current.step(files, &mut self.file, step)? {
            *sorting = None;
        }
        Ok(false)
    }
}

impl HeapSnapshots {
    /// For a subtask for which so many keys are not much yet.
    pub fn new(context: &OperatorContext, inline: usize) -> Self {
        HeapSnapshots {
            context: context.clone(),
            step: inline.clamp(4, STEP_MAX),
            place: None,
            prefix: format!("{}shared/", object_prefix(context.attempt.job)),
            jobs: VecDeque::new(),
            written: BTreeMap::new(),
        }
    }

    /// Begins a snapshot of the table as it is.
    pub fn begin<K: Key, S: Data + Default>(
        &mut self,
        checkpoint: CheckpointId,
        table: &mut HeapTable<K, S>,
    ) -> Result<()> {
        // Seldom: the one before is still being gathered.
        while let Some(job) = self.jobs.back_mut().filter(|job| job.is_gathering()) {
            job.gather_some(table, self.context.max_parallelism, self.step)?;
        }
        table.freeze(!self.context.host.sabotaged(sabotage::SNAPSHOT_SEES_LATER_WRITES));
        let place = match &mut self.place {
            Some(place) => place,
            none => none.insert(Writing::new(&self.context)?),
        };
        let file = place.files.begin(checkpoint.0);
        let (stage, gathered) = (Stage::Keys((0, 0)), BTreeMap::new());
        self.jobs.push_back(Job { checkpoint, stage, gathered, file });
        Ok(())
    }

    pub fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Does a step of the work.
    pub fn work<K: Key, S: Data + Default>(&mut self, table: &mut HeapTable<K, S>) -> Result<()> {
        let last = self.jobs.back_mut().filter(|job| job.is_gathering());
        if let Some(job) = last {
            job.gather_some(table, self.context.max_parallelism, self.step)?;
            if !job.is_gathering() && table.has_changed() {
                let attempt = self.context.attempt;
                reachable!(self.context.host, "heap-changed-under-a-snapshot", "{attempt:?}");
            }
            return Ok(());
        }
        let (Some(job), Some(place)) = (self.jobs.front_mut(), &mut self.place) else {
            return Ok(());
        };
        if job.write_some(&mut place.files, self.step)? {
            let job = self.jobs.pop_front().expect("it was the first");
            reachable!(self.context.host, "heap-snapshot-in-files", "{:?}", self.context.attempt);
            self.written.insert(job.checkpoint, job.file.finish()?);
        }
        Ok(place.files.remove_garbage()?)
    }

    /// Waits for what the disk took.
    pub async fn settle(&self) {
        if let Some(place) = &self.place {
            place.door.settle().await;
        }
    }

    /// The files of a snapshot; `None` while they are being written.
    pub fn written(&self, checkpoint: CheckpointId) -> Result<Option<Vec<WrittenFile>>> {
        let Some(written) = self.written.get(&checkpoint) else {
            let is_under_way = self.jobs.iter().any(|job| job.checkpoint == checkpoint);
            return Ok((!is_under_way).then(Vec::new));
        };
        let place = self.place.as_ref().expect("it was written there");
        let file = |file: &ChainFile| {
            let mut about = Vec::new();
            encode_into(file, &mut about)?;
            Ok(WrittenFile {
                path: format!("{}/{}", place.folder.path(), file.name),
                object: format!("{}{}-{checkpoint}", self.prefix, file.name),
                length: file.length,
                crc: file.crc,
                is_complete: false,
                copy_of: None,
                about: Bytes::from(about),
            })
        };
        written.files.iter().map(file).collect::<Result<_, Failure>>().map(Some)
    }

    /// A checkpoint is complete: the files of it and those before are of no use here.
    pub fn complete(&mut self, checkpoint: CheckpointId) {
        self.written = self.written.split_off(&CheckpointId(checkpoint.0 + 1));
    }

    /// Nobody wants a snapshot any more.
    pub fn abort<K: Key, S: Data + Default>(
        &mut self,
        checkpoint: CheckpointId,
        table: &mut HeapTable<K, S>,
    ) {
        let is_its = |job: &&Job| job.checkpoint == checkpoint;
        if self.jobs.back().filter(is_its).is_some_and(Job::is_gathering) {
            table.thaw();
        }
        self.jobs.retain(|job| job.checkpoint != checkpoint);
        self.written.remove(&checkpoint);
    }

    /// Leaves nothing on the disk, as far as that is possible.
    pub fn remove_files(&mut self) {
        self.jobs.clear();
        self.written.clear();
        if let Some(place) = self.place.take() {
            // What stays is removed by whoever has the folder next.
            let _ = place.files.remove_garbage();
        }
    }
}

impl Writing {
    fn new(context: &OperatorContext) -> Result<Self> {
        let folder = context.folders.take();
        let door = context.host.disk().synchronous();
        let options = Options::new(WRITING_MEMORY, context.key_groups(), owner(context));
        let files = SnapshotFolder::create(door.clone(), &folder.path(), &options)?;
        Ok(Writing { files, door, folder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn records_are_sorted_in_steps(seed: u32, count in 0..(5 * STEP_MAX)) {
            let mut records = Records::default();
            let mut expected = Vec::new();
            for number in 0..count as u32 {
                let key = number.wrapping_mul(0x9e37_79b1).wrapping_add(seed).to_be_bytes();
                let value = number.to_be_bytes();
                records
                    .add(&key, |into| {
                        into.extend(&value[..(number % 4) as usize]);
                        Ok(())
                    })
                    .unwrap();
                expected.push((key.to_vec(), value[..(number % 4) as usize].to_vec()));
            }
            expected.sort();
            let mut sorting = Sorting::new(records);
            while !sorting.sort_some(STEP_MAX) {}
            let places = sorting.lists.into_iter().flatten();
            let found = places.map(|place| {
                let (key, value) = sorting.records.record(place);
                (key.to_vec(), value.to_vec())
            });
            prop_assert_eq!(found.collect::<Vec<_>>(), expected);
        }
    }
}
