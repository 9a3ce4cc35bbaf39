//! Random operations with power cuts against an independent model of POSIX crash semantics.
//!
//! The model knows no sectors and draws nothing: for each byte it keeps every value that the platter
//! may hold, for each file every length, and every state that the names went through. Each write
//! has a byte value of its own, so a byte tells which write it came from.

use super::{super::stamp::NodeId, DiskState, Unsynced, inode::InodeId};
use crate::host::OpenMode;
use bytes::Bytes;
use proptest::{prelude::*, test_runner::TestCaseError};
use std::{collections::BTreeMap, io};

const PATHS: [&str; 6] = ["a", "b", "d/a", "d/b", "d/e/a", "nowhere/a"];
const DIRS: [&str; 4] = ["", "d", "d/e", "nowhere"];

#[derive(Clone, Debug)]
enum Step {
    Open(usize, OpenMode),
    CreateDir(usize),
    Rename(usize, usize),
    Remove(usize),
    Write(usize, u64, usize),
    Append(usize, usize),
    Truncate(usize, u64),
    Read(usize, u64, usize),
    /// A sync; these steps' worth of writes happen on the same handle while it is under way.
    Sync {
        handle: usize,
        fails: bool,
        meanwhile: Option<(u64, usize)>,
    },
    SyncDir {
        dir: usize,
        meanwhile: Option<usize>,
    },
    Kill,
    PowerCut(Unsynced),
}

fn unsynced() -> impl Strategy<Value = Unsynced> {
    let steered = prop_oneof![Just(Unsynced::Lost), Just(Unsynced::Torn), Just(Unsynced::Kept)];
    prop_oneof![3 => Just(Unsynced::Drawn), 2 => steered]
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    let handle = 0..8_usize;
    let mode = prop::sample::select(vec![
        OpenMode::Read,
        OpenMode::Write,
        OpenMode::Create,
        OpenMode::Create,
        OpenMode::CreateNew,
    ]);
    let offset = || prop_oneof![Just(0), 0..2000_u64];
    let length = || prop_oneof![1..40_usize, 500..1600_usize];
    let write = || (offset(), length());
    prop_oneof![
        6 => (path.clone(), mode).prop_map(|(path, mode)| Step::Open(path, mode)),
        1 => (0..DIRS.len()).prop_map(Step::CreateDir),
        2 => (path.clone(), path.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => path.clone().prop_map(Step::Remove),
        5 => (handle.clone(), write()).prop_map(|(h, (at, n))| Step::Write(h, at, n)),
        4 => (handle.clone(), length()).prop_map(|(h, n)| Step::Append(h, n)),
        2 => (handle.clone(), offset()).prop_map(|(h, n)| Step::Truncate(h, n)),
        2 => (handle.clone(), write()).prop_map(|(h, (at, n))| Step::Read(h, at, n)),
        4 => (handle, prop::bool::weighted(0.25), prop::option::weighted(0.3, write()))
            .prop_map(|(handle, fails, meanwhile)| Step::Sync { handle, fails, meanwhile }),
        2 => (0..DIRS.len(), prop::option::weighted(0.3, path))
            .prop_map(|(dir, meanwhile)| Step::SyncDir { dir, meanwhile }),
        1 => Just(Step::Kill),
        2 => unsynced().prop_map(Step::PowerCut),
    ]
}

/// Values over time; the first may be older than anything that is still in question.
type History<T> = Vec<(u64, T)>;

/// Forgets what a sync that succeeded at `mark` has overwritten for good.
fn settle<T>(history: &mut History<T>, mark: u64, failed: u64) {
    let covered = history.partition_point(|(time, _)| *time <= mark) - 1;
    if covered == 0 || history[covered].0 > failed {
        history.drain(..covered);
    }
}

#[derive(Clone)]
struct FileModel {
    now: Vec<u8>,
    bytes: Vec<History<u8>>,
    lengths: History<usize>,
    /// Ends of writes after a failed sync: the platter may be only that long.
    ends: Vec<usize>,
    failed: u64,
}

impl FileModel {
    fn new(content: Vec<u8>) -> Self {
        FileModel {
            bytes: content.iter().map(|byte| vec![(0, *byte)]).collect(),
            lengths: vec![(0, content.len())],
            now: content,
            ends: Vec::new(),
            failed: 0,
        }
    }

    fn reserve(&mut self, length: usize) {
        let length = length.max(self.bytes.len());
        self.bytes.resize_with(length, || vec![(0, 0)]);
    }

    fn set_length(&mut self, time: u64, length: usize) {
        self.reserve(length);
        if length != self.now.len() {
            self.lengths.push((time, length));
        }
        for history in &mut self.bytes[length..] {
            history.push((time, 0));
        }
        self.now.resize(length, 0);
    }

    fn write(&mut self, time: u64, offset: usize, length: usize, value: u8) {
        let end = offset + length;
        if end > self.now.len() {
            self.set_length(time, end);
        }
        self.now[offset..end].fill(value);
        for history in &mut self.bytes[offset..end] {
            history.push((time, value));
        }
        if self.failed > 0 {
            self.ends.push(end);
        }
    }

    fn sync(&mut self, mark: u64) {
        for history in &mut self.bytes {
            settle(history, mark, self.failed);
        }
        settle(&mut self.lengths, mark, self.failed);
        if self.lengths.len() == 1 && self.lengths[0].0 > self.failed {
            self.ends.clear();
        }
    }

    /// Whether a power cut now may leave this content.
    fn allows(&self, content: &[u8]) -> Result<(), String> {
        let known = self.lengths.iter().any(|(_, length)| *length == content.len());
        if !known && !self.ends.contains(&content.len()) {
            return Err(format!("length {}, possible {:?}", content.len(), self.lengths));
        }
        for (at, history) in self.bytes.iter().enumerate() {
            let possible = match content.get(at) {
                Some(byte) => history.iter().any(|(_, value)| value == byte),
                None => history.iter().any(|(_, value)| *value == 0),
            };
            if !possible {
                return Err(format!("byte {at} is {:?}, possible {history:?}", content.get(at)));
            }
        }
        Ok(())
    }
}

/// The names at one moment, and the directories that the last operation touched.
#[derive(Clone, Default)]
struct Names {
    files: BTreeMap<&'static str, usize>,
    dirs: Vec<&'static str>,
    touched: Vec<&'static str>,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Names {
    fn has_dir(&self, dir: &str) -> bool {
        dir.is_empty() || self.dirs.contains(&dir)
    }
}

/// The disk and the model of it, step by step.
struct Pair {
    disk: DiskState,
    files: Vec<FileModel>,
    /// Every state of the names since the last power cut.
    names: Vec<Names>,
    durable: usize,
    handles: Vec<(InodeId, usize)>,
    time: u64,
    value: u8,
}

type Checked = Result<(), TestCaseError>;

pub(super) fn kind<T>(result: &io::Result<T>) -> Option<io::ErrorKind> {
    result.as_ref().err().map(io::Error::kind)
}

impl Pair {
    fn new(seed: u64) -> Self {
        Pair {
            disk: DiskState::new(seed, NodeId(0)),
            files: Vec::new(),
            names: vec![Names::default()],
            durable: 0,
            handles: Vec::new(),
            time: 0,
            value: 0,
        }
    }

    fn current(&self) -> &Names {
        self.names.last().expect("the names always have a state")
    }

    fn handle(&self, index: usize) -> Option<(InodeId, usize)> {
        self.handles.get(index % self.handles.len().max(1)).copied()
    }

    fn data(&mut self, length: usize) -> (u8, Bytes) {
        self.value = self.value.checked_add(1).expect("fewer than 256 writes in a case");
        (self.value, Bytes::from(vec![self.value; length]))
    }

    fn apply(&mut self, step: &Step) -> Checked {
        self.time += 1;
        match *step {
            Step::Open(path, mode) => self.open(PATHS[path], mode),
            Step::CreateDir(dir) => self.create_dir(DIRS[dir]),
            Step::Rename(from, to) => self.rename(PATHS[from], PATHS[to]),
            Step::Remove(path) => self.remove(PATHS[path]),
            Step::Write(handle, offset, length) => self.write(handle, Some(offset), length),
            Step::Append(handle, length) => self.write(handle, None, length),
            Step::Truncate(handle, length) => self.truncate(handle, length),
            Step::Read(handle, offset, length) => self.read(handle, offset, length),
            Step::Sync { handle, fails, meanwhile } => self.sync(handle, fails, meanwhile),
            Step::SyncDir { dir, meanwhile } => self.sync_dir(DIRS[dir], meanwhile),
            Step::Kill => {
                self.handles.clear();
                assert!(self.disk.process_ended().is_empty());
                Ok(())
            }
            Step::PowerCut(unsynced) => self.power_cut(unsynced),
        }
    }

    fn open(&mut self, path: &'static str, mode: OpenMode) -> Checked {
        let mut names = self.current().clone();
        let found = names.files.get(path).copied();
        let opened = self.disk.open(path, mode);
        let create = matches!(mode, OpenMode::Create | OpenMode::CreateNew);
        let expected = match found {
            _ if !names.has_dir(parent(path)) => Some(io::ErrorKind::NotFound),
            Some(_) if mode == OpenMode::CreateNew => Some(io::ErrorKind::AlreadyExists),
            None if !create => Some(io::ErrorKind::NotFound),
            _ => None,
        };
        prop_assert_eq!(kind(&opened), expected);
        let Ok(inode) = opened else { return Ok(()) };
        let file = found.unwrap_or_else(|| {
            self.files.push(FileModel::new(Vec::new()));
            self.files.len() - 1
        });
        self.handles.push((inode, file));
        if found.is_none() {
            names.files.insert(path, file);
            names.touched = vec![parent(path)];
            self.names.push(names);
        }
        Ok(())
    }

    fn create_dir(&mut self, dir: &'static str) -> Checked {
        // "nowhere" stays missing, so that errors about it are met.
        if dir == "nowhere" {
            return Ok(());
        }
        prop_assert_eq!(kind(&self.disk.create_dir(dir)), None);
        for dir in ["d", "d/e"].iter().filter(|above| dir.starts_with(**above)) {
            let mut names = self.current().clone();
            if !names.has_dir(dir) {
                names.dirs.push(dir);
                names.touched = vec![parent(dir)];
                self.names.push(names);
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &'static str, to: &'static str) -> Checked {
        let mut names = self.current().clone();
        let possible = names.files.contains_key(from) && names.has_dir(parent(to));
        let expected = (!possible).then_some(io::ErrorKind::NotFound);
        prop_assert_eq!(kind(&self.disk.rename(from, to)), expected);
        if possible && from != to {
            let file = names.files.remove(from).expect("it was just found");
            names.files.insert(to, file);
            names.touched = vec![parent(from), parent(to)];
            self.names.push(names);
        }
        Ok(())
    }

    fn remove(&mut self, path: &'static str) -> Checked {
        let mut names = self.current().clone();
        let found = names.files.remove(path).is_some();
        let expected = (!found).then_some(io::ErrorKind::NotFound);
        prop_assert_eq!(kind(&self.disk.remove(path)), expected);
        if found {
            names.touched = vec![parent(path)];
            self.names.push(names);
        }
        Ok(())
    }

    fn write(&mut self, handle: usize, offset: Option<u64>, length: usize) -> Checked {
        let Some((inode, file)) = self.handle(handle) else { return Ok(()) };
        let (value, data) = self.data(length);
        let end = self.files[file].now.len() as u64;
        let written = match offset {
            Some(offset) => self.disk.write(inode, offset, data).map(|()| offset),
            None => self.disk.append(inode, data),
        };
        let offset = offset.unwrap_or(end);
        prop_assert_eq!(written.ok(), Some(offset));
        self.files[file].write(self.time, usize::try_from(offset).unwrap(), length, value);
        Ok(())
    }

    fn truncate(&mut self, handle: usize, length: u64) -> Checked {
        let Some((inode, file)) = self.handle(handle) else { return Ok(()) };
        prop_assert!(self.disk.truncate(inode, length).is_ok());
        self.files[file].set_length(self.time, usize::try_from(length).unwrap());
        Ok(())
    }

    fn read(&mut self, handle: usize, offset: u64, length: usize) -> Checked {
        let Some((inode, file)) = self.handle(handle) else { return Ok(()) };
        let now = &self.files[file].now;
        let from = usize::try_from(offset).unwrap().min(now.len());
        let to = (from + length).min(now.len());
        prop_assert_eq!(self.disk.len(inode).ok(), Some(now.len() as u64));
        prop_assert_eq!(&self.disk.read(inode, offset, length).unwrap()[..], &now[from..to]);
        Ok(())
    }

    fn sync(&mut self, handle: usize, fails: bool, meanwhile: Option<(u64, usize)>) -> Checked {
        let Some((inode, file)) = self.handle(handle) else { return Ok(()) };
        let (mark, time) = (self.disk.mark(inode), self.time);
        if let Some((offset, length)) = meanwhile {
            self.time += 1;
            self.write(handle, Some(offset), length)?;
        }
        if fails {
            self.disk.fail_sync(inode, mark);
            self.files[file].failed = time;
            // The write meanwhile came after what failed.
            if let Some((offset, length)) = meanwhile {
                self.files[file].ends.push(usize::try_from(offset).unwrap() + length);
            }
        } else {
            prop_assert!(self.disk.sync(inode, mark).is_ok());
            self.files[file].sync(time);
        }
        Ok(())
    }

    fn sync_dir(&mut self, dir: &'static str, meanwhile: Option<usize>) -> Checked {
        let known = self.current().has_dir(dir);
        let (mark, states) = (self.disk.journal_mark(), self.names.len());
        if let Some(path) = meanwhile {
            self.open(PATHS[path], OpenMode::Create)?;
        }
        let expected = (!known).then_some(io::ErrorKind::NotFound);
        prop_assert_eq!(kind(&self.disk.sync_dir(dir, mark)), expected);
        if known {
            let last = self.names[..states].iter().rposition(|names| names.touched.contains(&dir));
            self.durable = self.durable.max(last.unwrap_or(0));
        }
        Ok(())
    }

    /// Every file on the disk by its path, with its content.
    fn on_disk(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let found = PATHS.iter().filter_map(|path| Some((*path, self.disk.contents(path)?)));
        found.collect()
    }

    /// Why the disk can't be in this state of the names after a power cut.
    fn refute(&self, names: &Names, found: &BTreeMap<&'static str, Vec<u8>>) -> Option<String> {
        if !names.files.keys().eq(found.keys()) {
            return Some("other names".into());
        }
        let dirs = DIRS.iter().find(|dir| names.has_dir(dir) != self.disk.list(dir).is_ok());
        if let Some(dir) = dirs {
            return Some(format!("directory {dir}"));
        }
        found.iter().find_map(|(path, content)| {
            let refused = self.files[names.files[path]].allows(content).err()?;
            Some(format!("{path}: {refused}"))
        })
    }

    fn power_cut(&mut self, unsynced: Unsynced) -> Checked {
        self.handles.clear();
        assert!(self.disk.power_cut(unsynced).is_empty());
        let found = self.on_disk();
        let mut refusals = Vec::new();
        let mut chosen = None;
        for names in &self.names[self.durable..] {
            match self.refute(names, &found) {
                None => chosen = Some(names.clone()),
                Some(why) => refusals.push(why),
            }
        }
        let Some(mut names) = chosen else {
            return Err(TestCaseError::fail(format!("no state allows this: {refusals:?}")));
        };
        for (path, content) in found {
            self.files.push(FileModel::new(content));
            names.files.insert(path, self.files.len() - 1);
        }
        names.touched.clear();
        self.names = vec![names];
        self.durable = 0;
        Ok(())
    }

    /// What processes see is what the model has without any crash.
    fn check_cache(&mut self) -> Checked {
        let names = self.current().clone();
        let found = self.on_disk();
        prop_assert!(names.files.keys().eq(found.keys()), "{:?} {:?}", names.files, found.keys());
        for (path, content) in &found {
            prop_assert_eq!(content, &self.files[names.files[path]].now);
        }
        for dir in DIRS.iter().filter(|dir| names.has_dir(dir)) {
            let expected = names.files.keys().filter(|path| parent(path) == *dir);
            let expected: Vec<&str> =
                expected.map(|path| path.rsplit('/').next().unwrap()).collect();
            prop_assert_eq!(self.disk.list(dir).unwrap(), expected);
        }
        for (inode, file) in self.handles.clone() {
            let length = self.files[file].now.len();
            let read = self.disk.read(inode, 0, length + 1).expect("an open file stays usable");
            prop_assert_eq!(&read[..], &self.files[file].now[..]);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_disk_keeps_to_posix_through_crashes(
        seed: u64,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut pair = Pair::new(seed);
        for step in steps.iter().chain([&Step::PowerCut(Unsynced::Drawn)]) {
            pair.apply(step)?;
            pair.check_cache()?;
        }
    }
}
