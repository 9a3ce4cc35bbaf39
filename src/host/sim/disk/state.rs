//! The disk as a state machine without time: names, files, the journal between cache and platter.

use super::{
    fault::{DiskEffect, DiskFault, DiskFaultId, DiskOp, Unsynced},
    inode::{Inode, InodeId},
    tree::{Entry, Tree, ancestors, check_dir_path, check_path, parent},
};
use crate::host::{
    OpenMode,
    random::{Draws, mix, nanos, scale},
    sim::stamp::NodeId,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    task::Waker,
    time::Duration,
};

/// The largest file, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 30;

/// Metadata operations that wait in the journal at most; beyond it the older half is committed.
const JOURNAL_MAX: usize = 4096;

/// What the platter of a disk held at a moment.
#[derive(Clone)]
pub(in crate::host) struct PlatterImage {
    inodes: BTreeMap<InodeId, Inode>,
    names: Tree,
}

pub(super) fn input_output_error() -> io::Error {
    io::Error::from_raw_os_error(5)
}

/// A file position from outside, as an index into memory.
fn position(offset: u64) -> io::Result<usize> {
    match usize::try_from(offset) {
        Ok(index) if offset <= FILE_BYTES_MAX => Ok(index),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// What the faults at an operation's end make of it.
pub(in crate::host) enum Verdict {
    /// It takes effect, or fails as a device does.
    Done(io::Result<()>),
    /// The process ends and the operation has no effect.
    Crash { power_cut: bool },
}

/// What was drawn for one operation when it began.
#[derive(Clone, Copy)]
pub(in crate::host) struct Begun {
    pub latency: Duration,
    error_word: u64,
}

struct FaultInForce {
    id: u64,
    fault: DiskFault,
    /// Operations that have come to their verdict under it.
    judged: u64,
    /// Operations that have begun under it.
    met: u64,
    /// Of the room that it leaves, how many bytes are taken.
    taken: u64,
}

impl FaultInForce {
    fn strikes(&self, op: DiskOp) -> bool {
        self.fault.on == DiskOp::Any || self.fault.on == op
    }
}

/// One machine's disk.
pub(in crate::host) struct DiskState {
    /// Latencies and errors: a fixed number of words for each operation.
    draws: Draws,
    /// What survives a power cut or a failed sync.
    losses: Draws,
    inodes: BTreeMap<InodeId, Inode>,
    inodes_made: u64,
    /// What processes see.
    tree: Tree,
    /// What the platter holds, behind `tree` by the journal.
    durable: Tree,
    journal: Vec<Entry>,
    /// Journal entries that were committed, so that a mark outlives them.
    committed: u64,
    faults: Vec<FaultInForce>,
    faults_added: u64,
    stalled: BTreeMap<u64, Waker>,
    stalls: u64,
}

impl DiskState {
    pub fn new(seed: u64, node: NodeId) -> Self {
        let key = [node.key(), 0];
        DiskState {
            draws: Draws::new(seed, "disk", key),
            losses: Draws::new(seed, "disk-losses", key),
            inodes: BTreeMap::new(),
            inodes_made: 0,
            tree: Tree::default(),
            durable: Tree::default(),
            journal: Vec::new(),
            committed: 0,
            faults: Vec::new(),
            faults_added: 0,
            stalled: BTreeMap::new(),
            stalls: 0,
        }
    }

    /// From now on it draws other words.
    pub fn branch(&mut self, number: u32) {
        self.draws.branch(number);
        self.losses.branch(number);
    }

    /// Keeps what was synced and, of the rest, what is said. The wakers are dropped by the caller, unlocked.
    #[must_use = "the wakers are dropped outside the lock"]
    pub fn power_cut(&mut self, unsynced: Unsynced) -> Vec<Waker> {
        let kept = self.names_kept(unsynced);
        self.commit(kept);
        self.committed += self.journal.len() as u64;
        self.journal.clear();
        self.tree = self.durable.clone();
        for inode in self.inodes.values_mut() {
            inode.power_cut(unsynced, &mut self.losses);
        }
        self.process_ended()
    }

    /// How many of the journal's entries survive a power cut.
    fn names_kept(&mut self, unsynced: Unsynced) -> usize {
        let length = self.journal.len();
        match unsynced {
            Unsynced::Lost => return 0,
            Unsynced::Kept => return length,
            Unsynced::Drawn | Unsynced::Torn => {}
        }
        let drawn = self.losses.below(length as u64 + 1);
        match self.losses.below(3) {
            0 => 0,
            1 => length,
            _ => usize::try_from(drawn).expect("an index of the journal"),
        }
    }

    /// The page cache stays; handles are gone. The wakers are dropped by the caller, unlocked.
    #[must_use = "the wakers are dropped outside the lock"]
    pub fn process_ended(&mut self) -> Vec<Waker> {
        for inode in self.inodes.values_mut() {
            inode.handles = 0;
        }
        self.forget_unnamed();
        std::mem::take(&mut self.stalled).into_values().collect()
    }

    /// An empty disk takes this one's place; open handles meet input/output errors.
    pub fn wipe(&mut self) {
        self.inodes.clear();
        self.tree = Tree::default();
        self.durable = Tree::default();
        self.committed += self.journal.len() as u64;
        self.journal.clear();
    }

    /// What the platter holds now: what a power cut would leave at the least.
    pub fn image(&self) -> PlatterImage {
        PlatterImage { inodes: self.inodes.clone(), names: self.durable.clone() }
    }

    /// Puts back what the platter held then; open handles meet input/output errors or what is there.
    pub fn restore(&mut self, image: PlatterImage) {
        self.wipe();
        let PlatterImage { inodes, names } = image;
        self.inodes = inodes;
        for inode in self.inodes.values_mut() {
            inode.power_cut(Unsynced::Lost, &mut self.losses);
            inode.handles = 0;
        }
        self.tree = names.clone();
        self.durable = names;
        self.forget_unnamed();
    }

    pub fn open(&mut self, path: &str, mode: OpenMode) -> io::Result<InodeId> {
        check_path(path)?;
        let inode = match (self.tree.file(path)?, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, OpenMode::Read | OpenMode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                self.need_space(DiskOp::Metadata)?;
                self.inodes_made += 1;
                let inode = self.inodes_made;
                self.inodes.insert(inode, Inode::default());
                self.record(Entry::Create { path: path.to_string(), inode });
                inode
            }
        };
        self.inode(inode)?.handles += 1;
        Ok(inode)
    }

    pub fn close(&mut self, inode: InodeId) {
        if let Some(content) = self.inodes.get_mut(&inode) {
            content.handles = content.handles.saturating_sub(1);
        }
    }

    pub fn create_dir(&mut self, path: &str) -> io::Result<()> {
        check_dir_path(path)?;
        if self.tree.is_dir(path) {
            return Ok(());
        }
        if ancestors(path).any(|above| self.tree.files.contains_key(above)) {
            let taken = self.tree.files.contains_key(path);
            let kind =
                if taken { io::ErrorKind::AlreadyExists } else { io::ErrorKind::NotADirectory };
            return Err(kind.into());
        }
        self.need_space(DiskOp::Metadata)?;
        for above in ancestors(path) {
            if !self.tree.is_dir(above) {
                self.record(Entry::CreateDir { path: above.to_string() });
            }
        }
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        check_path(from)?;
        check_path(to)?;
        self.tree.file(from)?.ok_or(io::ErrorKind::NotFound)?;
        self.tree.file(to)?;
        if from != to {
            self.record(Entry::Rename { from: from.to_string(), to: to.to_string() });
        }
        Ok(())
    }

    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        check_path(path)?;
        self.tree.file(path)?.ok_or(io::ErrorKind::NotFound)?;
        self.record(Entry::Remove { path: path.to_string() });
        Ok(())
    }

    pub fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        check_dir_path(dir)?;
        self.tree.need_dir(dir)?;
        let files = self.tree.files.keys().filter(|path| parent(path) == dir);
        Ok(files.map(|path| path.rsplit('/').next().unwrap_or(path).to_string()).collect())
    }

    /// Names the metadata operations up to now, for a later [`sync_dir`](Self::sync_dir).
    pub fn journal_mark(&self) -> u64 {
        self.committed + self.journal.len() as u64
    }

    /// Commits the journal up to the last operation before the mark that touches `dir`.
    pub fn sync_dir(&mut self, dir: &str, mark: u64) -> io::Result<()> {
        check_dir_path(dir)?;
        self.tree.need_dir(dir)?;
        let covered =
            usize::try_from(mark.saturating_sub(self.committed)).expect("a journal index");
        let covered = covered.min(self.journal.len());
        let last = self.journal[..covered].iter().rposition(|entry| entry.touches(dir));
        self.commit(last.map_or(0, |last| last + 1));
        self.forget_unnamed();
        Ok(())
    }

    pub fn len(&mut self, inode: InodeId) -> io::Result<u64> {
        Ok(self.inode(inode)?.cache().len() as u64)
    }

    pub fn read(&mut self, inode: InodeId, offset: u64, length: usize) -> io::Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.part(inode, offset, length)?))
    }

    /// A part of a file; less of it at the file's end.
    pub fn part(&mut self, inode: InodeId, offset: u64, length: usize) -> io::Result<&[u8]> {
        let held = self.inode(inode)?.cache();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(held.len());
        let to = from.saturating_add(length).min(held.len());
        Ok(&held[from..to])
    }

    pub fn write(&mut self, inode: InodeId, offset: u64, data: Bytes) -> io::Result<()> {
        let end = position(offset.saturating_add(data.len() as u64))?;
        let held = self.inode(inode)?.cache().len();
        let grows = end.saturating_sub(held) as u64;
        if grows > 0 {
            self.need_space(DiskOp::Write)?;
        }
        let granted = self.take_room(grows);
        let whole = granted == grows;
        // What has no room is the end of it.
        let missing = usize::try_from(grows - granted).expect("less than the data");
        let data = data.slice(..data.len().saturating_sub(missing));
        self.inode(inode)?.write(position(offset)?, data);
        if whole { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    /// Takes room for so many bytes, as far as there is some; says how much there was.
    fn take_room(&mut self, bytes: u64) -> u64 {
        let mut granted = bytes;
        for in_force in &mut self.faults {
            if let DiskEffect::RoomFor { bytes } = in_force.fault.effect
                && in_force.strikes(DiskOp::Write)
            {
                granted = granted.min(bytes.saturating_sub(in_force.taken));
                in_force.taken += granted;
            }
        }
        granted
    }

    pub fn append(&mut self, inode: InodeId, data: Bytes) -> io::Result<u64> {
        let offset = self.len(inode)?;
        self.write(inode, offset, data)?;
        Ok(offset)
    }

    pub fn truncate(&mut self, inode: InodeId, length: u64) -> io::Result<()> {
        let length = position(length)?;
        if length > self.inode(inode)?.cache().len() {
            self.need_space(DiskOp::Write)?;
        }
        self.inode(inode)?.truncate(length);
        Ok(())
    }

    /// Names a file's changes up to now; 0 for a file that is gone with its disk.
    pub fn mark(&self, inode: InodeId) -> u64 {
        self.inodes.get(&inode).map_or(0, Inode::mark)
    }

    pub fn sync(&mut self, inode: InodeId, mark: u64) -> io::Result<()> {
        self.inode(inode)?.sync(mark);
        Ok(())
    }

    pub fn fail_sync(&mut self, inode: InodeId, mark: u64) {
        if let Some(content) = self.inodes.get_mut(&inode) {
            content.fail_sync(mark, &mut self.losses);
        }
    }

    /// Flips bits of one byte of a file; false when there is no such byte.
    pub fn rot(&mut self, path: &str, offset: u64, mask: u8) -> bool {
        let Some(inode) = self.tree.files.get(path) else { return false };
        let content = self.inodes.get_mut(inode).expect("a named file has content");
        usize::try_from(offset).is_ok_and(|offset| content.rot(offset, mask))
    }

    /// The files that processes see and their lengths.
    pub fn files(&self) -> Vec<(String, u64)> {
        let length = |inode| self.inodes.get(inode).map_or(0, |held| held.cache().len() as u64);
        self.tree.files.iter().map(|(path, inode)| (path.clone(), length(inode))).collect()
    }

    /// What a process would read of a file.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let inode = self.tree.files.get(path)?;
        Some(self.inodes.get(inode).expect("a named file has content").cache().to_vec())
    }

    pub fn add_fault(&mut self, fault: DiskFault) -> DiskFaultId {
        let id = self.faults_added;
        self.faults_added += 1;
        self.faults.push(FaultInForce { id, fault, judged: 0, met: 0, taken: 0 });
        DiskFaultId(id)
    }

    /// How many operations a fault in force has met.
    pub fn met(&self, id: DiskFaultId) -> u64 {
        self.faults.iter().find(|in_force| in_force.id == id.0).map_or(0, |in_force| in_force.met)
    }

    /// Lifts one fault and hands over the wakers of operations that may stand still no longer.
    pub fn clear_fault(&mut self, id: DiskFaultId) -> Vec<Waker> {
        self.faults.retain(|other| other.id != id.0);
        std::mem::take(&mut self.stalled).into_values().collect()
    }

    /// Lifts every fault and hands over the wakers of operations that stood still.
    pub fn clear_faults(&mut self) -> Vec<Waker> {
        self.faults.clear();
        std::mem::take(&mut self.stalled).into_values().collect()
    }

    /// Draws for one operation; always four words, so that a fault shifts nothing later.
    pub fn begin(&mut self, op: DiskOp) -> Begun {
        let [latency, error_word, slow, slow_mode] = std::array::from_fn(|_| self.draws.next_u64());
        let (low, high) = match op {
            DiskOp::Read | DiskOp::Metadata | DiskOp::Any => (50_000, 150_000),
            DiskOp::Write => (20_000, 80_000),
            DiskOp::Sync => (500_000, 3_000_000),
        };
        let mut total = low + scale(latency, high - low + 1);
        for in_force in self.faults.iter_mut().filter(|in_force| in_force.strikes(op)) {
            in_force.met += 1;
        }
        for (index, fault) in self.matching(op) {
            if let DiskEffect::Slow(delay) = &fault.effect {
                let more = delay.sample(mix(slow, index), mix(slow_mode, index));
                total = total.saturating_add(nanos(more));
            }
        }
        Begun { latency: Duration::from_nanos(total), error_word }
    }

    /// Whether the operation fails, by the faults at its end.
    pub fn verdict(&mut self, op: DiskOp, begun: Begun) -> Verdict {
        let (mut fails, mut crash) = (false, None);
        for in_force in self.faults.iter_mut().filter(|in_force| in_force.strikes(op)) {
            let drawn = scale(mix(begun.error_word, in_force.id), 1_000_000);
            fails |= match in_force.fault.effect {
                DiskEffect::Error { per_million } => drawn < u64::from(per_million),
                DiskEffect::ErrorAt { nth, per_million } => {
                    in_force.judged += 1;
                    in_force.judged == nth && drawn < u64::from(per_million)
                }
                DiskEffect::CrashAt { nth, power_cut } => {
                    in_force.judged += 1;
                    if in_force.judged == nth {
                        crash = Some(power_cut);
                    }
                    false
                }
                DiskEffect::Full
                | DiskEffect::Slow(_)
                | DiskEffect::Stalled
                | DiskEffect::RoomFor { .. } => false,
            };
        }
        match crash {
            Some(power_cut) => Verdict::Crash { power_cut },
            None if fails => Verdict::Done(Err(input_output_error())),
            None => Verdict::Done(Ok(())),
        }
    }

    pub fn is_stalled(&self, op: DiskOp) -> bool {
        self.matching(op).any(|(_, fault)| fault.effect == DiskEffect::Stalled)
    }

    /// Keeps a waker until the faults are lifted; the old one of that key is handed back.
    pub fn wait_for_clearing(&mut self, key: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let key = *key.get_or_insert_with(|| {
            self.stalls += 1;
            self.stalls
        });
        self.stalled.insert(key, waker)
    }

    pub fn stop_waiting(&mut self, key: u64) -> Option<Waker> {
        self.stalled.remove(&key)
    }

    /// How many files' contents are kept, named or not.
    #[cfg(test)]
    pub fn files_held(&self) -> usize {
        self.inodes.len()
    }

    fn matching(&self, op: DiskOp) -> impl Iterator<Item = (u64, &DiskFault)> {
        let struck = self.faults.iter().filter(move |in_force| in_force.strikes(op));
        struck.map(|in_force| (in_force.id, &in_force.fault))
    }

    fn need_space(&self, op: DiskOp) -> io::Result<()> {
        let is_full = |in_force: &FaultInForce| match in_force.fault.effect {
            DiskEffect::Full => true,
            DiskEffect::RoomFor { bytes } => in_force.taken >= bytes,
            _ => false,
        };
        let full = self.faults.iter().any(|in_force| in_force.strikes(op) && is_full(in_force));
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn inode(&mut self, inode: InodeId) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(input_output_error)
    }

    fn record(&mut self, entry: Entry) {
        self.tree.apply(&entry);
        self.journal.push(entry);
        if self.journal.len() > JOURNAL_MAX {
            self.commit(JOURNAL_MAX / 2);
            self.forget_unnamed();
        }
    }

    fn commit(&mut self, entries: usize) {
        for entry in self.journal.drain(..entries) {
            self.durable.apply(&entry);
            self.committed += 1;
        }
    }

    /// Frees files that no name, no handle and no journal entry can bring back.
    fn forget_unnamed(&mut self) {
        let named = self.tree.files.values().chain(self.durable.files.values()).copied();
        let created = self.journal.iter().filter_map(|entry| match entry {
            Entry::Create { inode, .. } => Some(*inode),
            _ => None,
        });
        let reachable: BTreeSet<InodeId> = named.chain(created).collect();
        self.inodes.retain(|inode, content| content.handles > 0 || reachable.contains(inode));
    }
}
