//! State by key on the disk of its task executor: typed values over a store of bytes.

use super::written_key::write_key;
use crate::{
    host::{Disk, OpenMode, SyncDisk, mix},
    system::{
        dataflow::{
            data::{Data, Key, decode, encode_into},
            failure::Failure,
            operator::{OperatorContext, WorkingFolder, WrittenFile},
        },
        graph::StateFile,
        ids::CheckpointId,
        state::disk_store::{ChainFile, DiskStore, Options, Snapshot},
        store::object_prefix,
    },
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Bytes that are read and written between two batches for what goes on beside them.
const WORK_BYTES: u64 = 1 << 20;
/// Bytes of memory for a store that is only read once.
const READING_MEMORY: usize = 4 << 20;

/// Who wrote a file, and its number.
type FileId = (u64, u64);

/// The values of all keys of a subtask.
pub(in crate::system::dataflow) struct DiskTable {
    store: DiskStore,
    door: SyncDisk,
    folder: WorkingFolder,
    /// Under which prefix files of its own go into the object store.
    prefix: String,
    /// Where the files lie of the newest checkpoint that is known to be complete, by who wrote them and their numbers.
    complete: BTreeMap<FileId, String>,
    /// Where those lie of checkpoints of which that is not known. A file that no complete one has goes under another name
    /// for each, since what an aborted one had is removed.
    named: BTreeMap<CheckpointId, BTreeMap<FileId, String>>,
    /// Snapshots that are written and that nobody has asked for.
    written: BTreeMap<CheckpointId, Snapshot>,
    /// More work is to be done.
    has_work: bool,
    /// The key at hand, with its key group before it, and what tells an entry of a state behind it.
    key: Vec<u8>,
    /// The length of the key at hand without that.
    length: usize,
    value: Vec<u8>,
}

fn io(error: &std::io::Error) -> Failure {
    Failure(format!("the state on disk: {error}"))
}

/// Which attempt's operator it is, as one number.
pub(super) fn owner(context: &OperatorContext) -> u64 {
    let attempt = context.attempt;
    let vertex = u64::from(attempt.vertex.vertex.0) << 32 | u64::from(attempt.vertex.subtask);
    let job = (attempt.job.0 >> 64) as u64 ^ attempt.job.0 as u64;
    let uid = u64::from(crc32fast::hash(context.uid.as_bytes()));
    [vertex, attempt.epoch, uid].into_iter().fold(job, mix)
}

/// Brings files with key groups of the subtask from the object store into a folder; what each is, and where it lies.
async fn download(
    context: &OperatorContext,
    folder: &str,
    files: &[&StateFile],
) -> Result<Vec<(ChainFile, String)>, Failure> {
    let disk: Disk = context.host.disk();
    disk.create_dir(folder).await.map_err(|error| io(&error))?;
    let owned = context.key_groups();
    let mut all = Vec::new();
    for StateFile { object, about, .. } in files {
        let file: ChainFile = decode(about)?;
        if !file.groups.iter().any(|of| of.start < owned.end && owned.start < of.end) {
            continue;
        }
        let bytes = context.services.objects.get_until_acknowledged(object).await;
        let bytes = bytes.map_err(|refusal| Failure(format!("{object}: {refusal}")))?;
        if bytes.len() as u64 != file.length || crc32fast::hash(&bytes) != file.crc {
            return Err(Failure(format!("{object} is not what was written")));
        }
        let written = async {
            let path = format!("{folder}/{}", file.name);
            let to = disk.open(&path, OpenMode::Create).await?;
            to.truncate(0).await?;
            to.write_at(0, bytes).await
        };
        written.await.map_err(|error| io(&error))?;
        all.push((file, object.clone()));
    }
    Ok(all)
}

/// The files of several subtasks as those of one, the oldest first. Two may name the same file, each for key groups of its
/// own: both began with it.
fn joined(mut files: Vec<ChainFile>) -> Vec<ChainFile> {
    let mut known = BTreeMap::<FileId, usize>::new();
    files.sort_by_key(|file| file.snapshot);
    let mut joined: Vec<ChainFile> = Vec::new();
    for file in files {
        match known.get(&(file.owner, file.number)) {
            Some(place) => {
                let groups = &mut joined[*place].groups;
                groups.extend(file.groups);
                groups.sort();
            }
            None => {
                known.insert((file.owner, file.number), joined.len());
                joined.push(file);
            }
        }
    }
    joined
}

impl DiskTable {
    /// A table with what these files hold of the subtask's key groups.
    pub async fn open(
        context: &OperatorContext,
        memory: u64,
        files: &[&StateFile],
    ) -> Result<Self, Failure> {
        let memory = usize::try_from(memory).unwrap_or(usize::MAX);
        let options = Options::new(memory, context.key_groups(), owner(context));
        let folder = context.folders.take();
        let path = folder.path();
        let door = context.host.disk().synchronous();
        let (store, complete) = match files.is_empty() {
            true => (DiskStore::create(door.clone(), &path, options)?, BTreeMap::new()),
            false => {
                let chain = download(context, &path, files).await?;
                let place = |(file, object): &(ChainFile, String)| {
                    ((file.owner, file.number), object.clone())
                };
                let complete = chain.iter().map(place).collect();
                let chain = joined(chain.into_iter().map(|(file, _)| file).collect());
                let store = DiskStore::restore(door.clone(), &path, options, &chain)?;
                (store, complete)
            }
        };
        door.settle().await;
        Ok(DiskTable {
            store,
            door,
            folder,
            prefix: format!("{}shared/", object_prefix(context.attempt.job)),
            complete,
            named: BTreeMap::new(),
            written: BTreeMap::new(),
            has_work: false,
            key: Vec::new(),
            length: 0,
            value: Vec::new(),
        })
    }

    /// The keys, each behind its key group, and the values that these files hold of the subtask's key groups, for whoever
    /// keeps them elsewhere.
    pub async fn read_all(
        context: &OperatorContext,
        files: &[&StateFile],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut table = DiskTable::open(context, READING_MEMORY as u64, files).await?;
        let mut scan = table.store.scan(&[], None)?;
        while let Some((key, value)) = scan.next()? {
            each(key, value)?;
        }
        drop(scan);
        table.door.settle().await;
        table.remove_files();
        Ok(())
    }

    /// Makes a key the one at hand.
    pub fn seek<K: Key>(&mut self, key: &K, max_parallelism: u32) -> Result<(), Failure> {
        self.key.clear();
        write_key(key, max_parallelism, &mut self.key)?;
        self.length = self.key.len();
        Ok(())
    }

    /// The key at hand as it is kept.
    pub fn key(&self) -> &[u8] {
        &self.key[..self.length]
    }

    /// The same, for what tells an entry of a state to be put behind it.
    pub fn key_mut(&mut self) -> &mut Vec<u8> {
        &mut self.key
    }

    /// The entry at hand.
    pub fn get_bytes(&mut self) -> Result<Option<&[u8]>, Failure> {
        Ok(self.store.get(&self.key)?)
    }

    /// Sets it.
    pub fn put_bytes(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.value.clear();
        fill(&mut self.value)?;
        self.has_work = true;
        Ok(self.store.put(&self.key, &self.value)?)
    }

    /// Removes it.
    pub fn delete_bytes(&mut self) -> Result<(), Failure> {
        self.has_work = true;
        Ok(self.store.delete(&self.key)?)
    }

    /// Calls a function for each entry from the one at hand on, up to another.
    pub fn scan_bytes(
        &mut self,
        end: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut scan = self.store.scan(&self.key, Some(end))?;
        while let Some((key, value)) = scan.next()? {
            each(key, value)?;
        }
        Ok(())
    }

    /// Calls a function for so many keys and entries behind one; whether there may be more.
    pub fn scan_some(
        &mut self,
        behind: &[u8],
        most: usize,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let mut scan = self.store.scan(&[behind, &[0]].concat(), None)?;
        for _ in 0..most {
            let Some((key, value)) = scan.next()? else { return Ok(false) };
            each(key, value)?;
        }
        Ok(true)
    }

    /// Makes a whole key the one at hand, with what tells an entry behind it.
    pub fn go_to(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
    }

    /// The value of the key at hand.
    pub fn get<S: Data>(&mut self) -> Result<Option<S>, Failure> {
        self.key.truncate(self.length);
        self.store.get(&self.key)?.map(decode).transpose()
    }

    /// Sets it, if it is another one.
    pub fn put<S: Data>(&mut self, value: &S) -> Result<(), Failure> {
        self.key.truncate(self.length);
        self.value.clear();
        encode_into(value, &mut self.value)?;
        if self.store.get(&self.key)? != Some(&self.value[..]) {
            self.store.put(&self.key, &self.value)?;
            self.has_work = true;
        }
        Ok(())
    }

    /// Forgets it.
    pub fn delete(&mut self) -> Result<(), Failure> {
        self.key.truncate(self.length);
        if self.store.get(&self.key)?.is_some() {
            self.store.delete(&self.key)?;
            self.has_work = true;
        }
        Ok(())
    }

    /// Brings keys into memory, which are asked for next.
    pub fn make_resident(&mut self, keys: &[Vec<u8>]) -> Result<(), Failure> {
        Ok(self.store.make_resident(keys)?)
    }

    /// Begins a snapshot.
    pub fn snapshot(&mut self, checkpoint: CheckpointId) {
        self.store.snapshot(checkpoint.0);
        self.has_work = true;
    }

    /// The files of a snapshot, once all are written.
    pub fn written(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<Option<Vec<WrittenFile>>, Failure> {
        while let Some(snapshot) = self.store.written_snapshot() {
            self.written.insert(CheckpointId(snapshot.id), snapshot);
        }
        let Some(snapshot) = self.written.remove(&checkpoint) else { return Ok(None) };
        let mut named = BTreeMap::new();
        let written = snapshot.files.iter().map(|file| {
            let id = (file.owner, file.number);
            let known = self.complete.get(&id).filter(|_| file.is_complete);
            assert!(known.is_some() || !file.is_complete, "where a complete one has it is known");
            // One of a savepoint is its user's, who may take it away.
            let own = known.filter(|object| object.starts_with(&self.prefix));
            let (object, copy_of) = match own {
                Some(object) => (object.clone(), None),
                None => (format!("{}{}-{checkpoint}", self.prefix, file.name), known.cloned()),
            };
            let is_complete = own.is_some();
            named.insert(id, object.clone());
            let mut about = Vec::new();
            encode_into(file, &mut about)?;
            Ok(WrittenFile {
                path: format!("{}/{}", self.folder.path(), file.name),
                object,
                length: file.length,
                crc: file.crc,
                is_complete,
                copy_of,
                about: Bytes::from(about),
            })
        });
        let written = written.collect::<Result<Vec<_>, Failure>>()?;
        self.named.insert(checkpoint, named);
        Ok(Some(written))
    }

    /// A complete checkpoint has the files of a snapshot.
    pub fn complete(&mut self, checkpoint: CheckpointId) {
        let next = CheckpointId(checkpoint.0 + 1);
        self.written = self.written.split_off(&next);
        let later = self.named.split_off(&next);
        // Those that only earlier ones have are removed.
        if let Some(files) = std::mem::replace(&mut self.named, later).remove(&checkpoint) {
            self.complete = files;
        }
        self.store.snapshot_is_complete(checkpoint.0);
    }

    /// Nobody wants a snapshot any more.
    pub fn abort(&mut self, checkpoint: CheckpointId) {
        self.written.remove(&checkpoint);
        self.named.remove(&checkpoint);
        self.store.snapshot_aborted(checkpoint.0);
    }

    /// Whether work is to be done.
    pub fn has_work(&self) -> bool {
        self.has_work
    }

    /// Does some of it, and waits for what the disk took.
    pub async fn tend(&mut self) -> Result<(), Failure> {
        if self.has_work {
            self.has_work = self.store.work(WORK_BYTES)?;
        }
        self.door.settle().await;
        Ok(())
    }

    /// Leaves nothing on the disk, as far as that is possible.
    pub fn remove_files(&mut self) {
        let path = self.folder.path();
        for name in self.door.list(&path).unwrap_or_default() {
            // What stays is removed by whoever has the folder next.
            let _ = self.door.remove(&format!("{path}/{name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::graph::KeyGroupRange;

    fn file(number: u64, snapshot: u64, groups: &[(u32, u32)]) -> ChainFile {
        let range = |(start, end): &(u32, u32)| KeyGroupRange { start: *start, end: *end };
        ChainFile {
            snapshot,
            owner: 7,
            number,
            name: format!("f{number}"),
            length: 1,
            crc: 1,
            groups: groups.iter().map(range).collect(),
            is_base: false,
            is_complete: true,
        }
    }

    #[test]
    fn a_file_with_which_two_subtasks_began_is_one_again() {
        let one = [file(1, 3, &[(0, 4)]), file(2, 5, &[(0, 4)])];
        let other = [file(1, 3, &[(4, 8)]), file(3, 4, &[(4, 8)])];
        let joined = joined(one.into_iter().chain(other).collect());
        let expected =
            [file(1, 3, &[(0, 4), (4, 8)]), file(3, 4, &[(4, 8)]), file(2, 5, &[(0, 4)])];
        assert_eq!(joined, expected);
    }
}
