//! The synchronous door of a simulated disk: an operation takes effect at once, and its time is owed.
//!
//! Draws, faults, entries of the trace and digest are those of the asynchronous operations. What differs is when it
//! takes effect: not at the end of its latency, but within the call. Latencies add up to a debt, and a stall is noted;
//! [`SyncDisk::settle`] waits for both. A call of a dead process, or one by which it dies, is an error without effect.

use super::{
    fault::DiskOp,
    file::Disk,
    inode::InodeId,
    request::{Outcome, Request, hash, need_writable},
    state::DiskState,
};
use crate::host::OpenMode;
use bytes::Bytes;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// What is owed for operations that took effect at once.
#[derive(Default)]
struct Debt {
    time: Duration,
    /// Kinds of operations that met a stall, in the order in which they did.
    stalled: Vec<DiskOp>,
}

/// A node's disk, for one thread that doesn't wait. Clones share what they owe.
#[derive(Clone)]
pub struct SyncDisk {
    disk: Disk,
    debt: Arc<Mutex<Debt>>,
}

impl Disk {
    /// The same disk for calls that take effect at once.
    pub fn synchronous(&self) -> SyncDisk {
        SyncDisk { disk: self.clone(), debt: Arc::default() }
    }
}

fn dead() -> io::Error {
    io::Error::other("the process has ended")
}

/// How many bytes were read, and their hash.
struct Filled(usize, u64);

impl Outcome for Filled {
    fn word(&self) -> u64 {
        self.1
    }
}

impl SyncDisk {
    /// As [`Disk::open`].
    ///
    /// # Errors
    /// Those of [`Disk::open`]; any when the process has ended.
    pub fn open(&self, path: &str, mode: OpenMode) -> io::Result<SyncFile> {
        let request = Request::new(DiskOp::Metadata, "open", path);
        let open = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.open(path, mode))
        };
        let inode = self.run(&request, open)?;
        Ok(SyncFile { disk: self.clone(), inode, path: path.into(), mode })
    }

    /// As [`Disk::create_dir`].
    ///
    /// # Errors
    /// Those of [`Disk::create_dir`]; any when the process has ended.
    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        let request = Request::new(DiskOp::Metadata, "create_dir", path);
        self.run(&request, |disk, verdict| verdict.and_then(|()| disk.create_dir(path)))
    }

    /// As [`Disk::rename`].
    ///
    /// # Errors
    /// Those of [`Disk::rename`]; any when the process has ended.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut request = Request::new(DiskOp::Metadata, "rename", from);
        request.to = to;
        self.run(&request, |disk, verdict| verdict.and_then(|()| disk.rename(from, to)))
    }

    /// As [`Disk::remove`].
    ///
    /// # Errors
    /// Those of [`Disk::remove`]; any when the process has ended.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let request = Request::new(DiskOp::Metadata, "remove", path);
        self.run(&request, |disk, verdict| verdict.and_then(|()| disk.remove(path)))
    }

    /// As [`Disk::list`].
    ///
    /// # Errors
    /// Those of [`Disk::list`]; any when the process has ended.
    pub fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let request = Request::new(DiskOp::Metadata, "list", dir);
        self.run(&request, |disk, verdict| verdict.and_then(|()| disk.list(dir)))
    }

    /// Sleeps off the time of all calls since the last time, and waits until no stall that they met lasts.
    ///
    /// A task calls it before its next record. Without it nothing that the disk takes shows in virtual time.
    pub async fn settle(&self) {
        let Debt { time, stalled } = std::mem::take(&mut *self.debt());
        self.disk.wait_for(time, &stalled).await;
    }

    fn debt(&self) -> MutexGuard<'_, Debt> {
        self.debt.lock().expect("no panic under this lock")
    }

    fn run<T: Outcome>(
        &self,
        request: &Request<'_>,
        perform: impl FnOnce(&mut DiskState, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let (result, owed) = self.disk.run_at_once(request, perform).ok_or_else(dead)?;
        let mut debt = self.debt();
        debt.time = debt.time.saturating_add(owed.time);
        if let Some(op) = owed.stalled
            && !debt.stalled.contains(&op)
        {
            debt.stalled.push(op);
        }
        result
    }
}

/// An open file, for one thread that doesn't wait; closed when it is dropped.
pub struct SyncFile {
    disk: SyncDisk,
    inode: InodeId,
    path: Box<str>,
    mode: OpenMode,
}

impl Drop for SyncFile {
    fn drop(&mut self) {
        let node = self.disk.disk.node();
        if let Some(mut locked) = node.lock_alive() {
            locked.machine(node.id()).disk.close(self.inode);
        }
    }
}

impl SyncFile {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// `EIO` when the hardware fails; any when the process has ended.
    pub fn len(&self) -> io::Result<u64> {
        let request = Request::new(DiskOp::Metadata, "len", &self.path);
        self.disk.run(&request, |disk, verdict| verdict.and_then(|()| disk.len(self.inode)))
    }

    /// Whether the file holds no byte.
    ///
    /// # Errors
    /// `EIO` when the hardware fails; any when the process has ended.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the buffer with what stands at `offset` and answers how many bytes there are; fewer than its length at
    /// the end of the file, none beyond it.
    ///
    /// # Errors
    /// `EIO` when the hardware fails; any when the process has ended.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len();
        let request = Request::new(DiskOp::Read, "read", &self.path).at(offset, length as u64);
        let read = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict?;
            let part = disk.part(self.inode, offset, length)?;
            buffer[..part.len()].copy_from_slice(part);
            Ok(Filled(part.len(), hash(part)))
        };
        Ok(self.disk.run(&request, read)?.0)
    }

    /// Says that so many bytes at `offset` will be read soon. Here nothing comes of it; live they may be there then.
    pub fn will_read(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }

    /// Writes all of `data` at `offset`, extending the file if need be; a hole reads as zeros.
    ///
    /// # Errors
    /// `PermissionDenied` on a file for reading, `FileTooLarge`, `StorageFull`, `EIO`; any when the process has ended.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        need_writable(self.mode)?;
        let request = Request::new(DiskOp::Write, "write", &self.path).at(offset, 0).with(data);
        let write = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.write(self.inode, offset, Bytes::copy_from_slice(data)))
        };
        self.disk.run(&request, write)
    }

    /// Writes all of `data` at the end of the file; answers the offset at which it was written.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub fn append(&self, data: &[u8]) -> io::Result<u64> {
        need_writable(self.mode)?;
        let request = Request::new(DiskOp::Write, "append", &self.path).with(data);
        let append = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.append(self.inode, Bytes::copy_from_slice(data)))
        };
        self.disk.run(&request, append)
    }

    /// Sets the file's length; what is added reads as zeros.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        need_writable(self.mode)?;
        let request = Request::new(DiskOp::Write, "truncate", &self.path).at(length, 0);
        let truncate = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.truncate(self.inode, length))
        };
        self.disk.run(&request, truncate)
    }

    /// Makes content and length durable; not the name.
    ///
    /// # Errors
    /// `EIO`: anything unsynced may be lost then, even if a later sync succeeds; any when the process has ended.
    pub fn sync(&self) -> io::Result<()> {
        let request = Request::new(DiskOp::Sync, "sync", &self.path);
        let sync = |disk: &mut DiskState, verdict: io::Result<()>| {
            let mark = disk.mark(self.inode);
            match verdict {
                Ok(()) => disk.sync(self.inode, mark),
                Err(error) => {
                    disk.fail_sync(self.inode, mark);
                    Err(error)
                }
            }
        };
        self.disk.run(&request, sync)
    }
}
