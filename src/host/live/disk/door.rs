//! The synchronous door of a live disk: plain calls of the operating system on the caller's thread.

#![expect(clippy::disallowed_methods, reason = "this is the disk that a live Host gives out")]

use super::{Disk, file_names, open};
use crate::host::{OpenMode, live::node::Node};
use rustix::fs::Advice;
use std::{fs, io, num::NonZeroU64, os::unix::fs::FileExt};

/// A node's disk, for one thread that may be held by it. Paths are as those of [`Disk`].
#[derive(Clone)]
pub struct SyncDisk {
    disk: Disk,
}

impl Disk {
    /// The same disk for calls that hold the thread until they are done.
    pub fn synchronous(&self) -> SyncDisk {
        SyncDisk { disk: self.clone() }
    }
}

/// Advice that isn't taken costs time alone.
fn advise(file: &fs::File, offset: u64, length: Option<NonZeroU64>, advice: Advice) {
    let _ = rustix::fs::fadvise(file, offset, length, advice);
}

fn alive(node: &Node) -> io::Result<()> {
    if node.dead() { Err(io::Error::other("the process has ended")) } else { Ok(()) }
}

impl SyncDisk {
    /// As [`Disk::open`].
    ///
    /// # Errors
    /// Those of [`Disk::open`]; any when the node has ended.
    pub fn open(&self, path: &str, mode: OpenMode) -> io::Result<SyncFile> {
        alive(&self.disk.node)?;
        let file = open(&self.disk.file(path)?, mode)?;
        // Who reads in order says so: where memory is scarce, what is read unasked drives out what will be read.
        advise(&file, 0, None, Advice::Random);
        Ok(SyncFile { node: self.disk.node.clone(), file })
    }

    /// As [`Disk::create_dir`].
    ///
    /// # Errors
    /// Those of [`Disk::create_dir`]; any when the node has ended.
    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        alive(&self.disk.node)?;
        fs::create_dir_all(self.disk.folder(path)?)
    }

    /// As [`Disk::rename`].
    ///
    /// # Errors
    /// Those of [`Disk::rename`]; any when the node has ended.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        alive(&self.disk.node)?;
        fs::rename(self.disk.file(from)?, self.disk.file(to)?)
    }

    /// As [`Disk::remove`].
    ///
    /// # Errors
    /// Those of [`Disk::remove`]; any when the node has ended.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        alive(&self.disk.node)?;
        fs::remove_file(self.disk.file(path)?)
    }

    /// As [`Disk::list`].
    ///
    /// # Errors
    /// Those of [`Disk::list`]; any when the node has ended.
    pub fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        alive(&self.disk.node)?;
        file_names(&self.disk.folder(dir)?)
    }

    /// Nothing: live, a call has taken its time when it returns.
    pub async fn settle(&self) {}
}

/// An open file, for one thread that may be held by it; closed when it is dropped.
pub struct SyncFile {
    node: Node,
    file: fs::File,
}

impl SyncFile {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// Those of the operating system; any when the node has ended.
    pub fn len(&self) -> io::Result<u64> {
        alive(&self.node)?;
        Ok(self.file.metadata()?.len())
    }

    /// Whether the file holds no byte.
    ///
    /// # Errors
    /// Those of the operating system; any when the node has ended.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the buffer with what stands at `offset` and answers how many bytes there are; fewer than its length at
    /// the end of the file, none beyond it.
    ///
    /// # Errors
    /// Those of the operating system; any when the node has ended.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        alive(&self.node)?;
        let mut filled = 0;
        while filled < buffer.len() {
            let Some(at) =
                offset.checked_add(filled as u64).filter(|at| i64::try_from(*at).is_ok())
            else {
                break;
            };
            match self.file.read_at(&mut buffer[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Says that so many bytes at `offset` will be read soon: the operating system may begin to read them now, so that
    /// several reads are under way at once without a thread for each.
    pub fn will_read(&self, offset: u64, length: u64) {
        if let Some(length) = NonZeroU64::new(length)
            && alive(&self.node).is_ok()
        {
            advise(&self.file, offset, Some(length), Advice::WillNeed);
        }
    }

    /// Writes all of `data` at `offset`, extending the file if need be; a hole reads as zeros.
    ///
    /// # Errors
    /// Those of the operating system, a part may have been written then; any when the node has ended.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        alive(&self.node)?;
        self.file.write_all_at(data, offset)
    }

    /// Writes all of `data` at the end of the file; answers the offset at which it was written.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub fn append(&self, data: &[u8]) -> io::Result<u64> {
        let end = self.len()?;
        self.file.write_all_at(data, end)?;
        Ok(end)
    }

    /// Cuts the file off, or fills it up with zeros, at `length`.
    ///
    /// # Errors
    /// Those of the operating system; any when the node has ended.
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        alive(&self.node)?;
        self.file.set_len(length)
    }

    /// Makes what was written durable. After an error anything unsynced may be lost.
    ///
    /// # Errors
    /// Those of the operating system; any when the node has ended.
    pub fn sync(&self) -> io::Result<()> {
        alive(&self.node)?;
        self.file.sync_data()
    }
}
