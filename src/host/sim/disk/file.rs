//! What a process holds of its disk: operations that take their time, then take effect at once.

use super::{
    fault::DiskOp,
    inode::InodeId,
    request::{Outcome, Request, need_writable},
    state::{Begun, DiskState, Verdict},
};
use crate::host::{
    FileWrite, OpenMode,
    sim::{
        cause::Cause,
        entry::{DiskOperation, DiskStep, Entry},
        hardware::ProcessEnd,
        node::Node,
        task::Sleep,
    },
};
use bytes::Bytes;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A node's disk. Paths are relative to its data folder, `/` separates names.
///
/// A path with an empty name, `.` or `..` in it is `InvalidInput`; a missing directory above it is
/// `NotFound`. Every operation may fail with `EIO` when the hardware fails.
#[derive(Clone)]
pub struct Disk {
    node: Node,
}

impl Disk {
    pub(in crate::host) fn new(node: Node) -> Self {
        Disk { node }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, `IsADirectory`, or `StorageFull` when it would be created.
    pub async fn open(&self, path: &str, mode: OpenMode) -> io::Result<File> {
        let request = Request::new(DiskOp::Metadata, "open", path);
        let inode = self.run(request, |disk, verdict| verdict.and_then(|()| disk.open(path, mode)));
        let inode = inode.await?;
        let handle = Handle { node: self.node.clone(), inode, path: path.into(), mode };
        Ok(File { disk: self.clone(), handle: Arc::new(handle) })
    }

    /// Creates a directory and those above it; what exists already is left as it is.
    ///
    /// # Errors
    /// `AlreadyExists` or `NotADirectory` when a file is in the way, `StorageFull`.
    pub async fn create_dir(&self, path: &str) -> io::Result<()> {
        let request = Request::new(DiskOp::Metadata, "create_dir", path);
        self.run(request, |disk, verdict| verdict.and_then(|()| disk.create_dir(path))).await
    }

    /// Writes each durably, to a file of its own, and the next only when the one before it is: as
    /// [`write_durably`](File::write_durably) for each, in one go where that costs less.
    ///
    /// # Errors
    /// The first there is; none behind it is begun then.
    pub async fn write_in_turn(&self, writes: Vec<FileWrite<File>>) -> io::Result<()> {
        for FileWrite { file, offset, data } in writes {
            file.write_durably(offset, data).await?;
        }
        Ok(())
    }

    /// Renames a file; a file named `to` is replaced in the same instant.
    ///
    /// # Errors
    /// `NotFound`, or `IsADirectory` when either names a directory.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut request = Request::new(DiskOp::Metadata, "rename", from);
        request.to = to;
        self.run(request, |disk, verdict| verdict.and_then(|()| disk.rename(from, to))).await
    }

    /// Removes a file's name. Handles that are open keep the content alive.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        let request = Request::new(DiskOp::Metadata, "remove", path);
        self.run(request, |disk, verdict| verdict.and_then(|()| disk.remove(path))).await
    }

    /// The names of the files in a directory, sorted; `""` is the root.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub async fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let request = Request::new(DiskOp::Metadata, "list", dir);
        self.run(request, |disk, verdict| verdict.and_then(|()| disk.list(dir))).await
    }

    /// Makes the names in a directory durable, as they were when this was called.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`; on `EIO` nothing more is durable than before.
    pub async fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.node.alive().await;
        let mark = self.node.shared().lock().machine(self.node.id()).disk.journal_mark();
        let request = Request::new(DiskOp::Sync, "sync_dir", dir);
        self.run(request, |disk, verdict| verdict.and_then(|()| disk.sync_dir(dir, mark))).await
    }

    /// Performs an operation at once; answers for which time and for what else it is to be waited, too.
    pub(super) fn run_at_once<T: Outcome>(
        &self,
        request: &Request<'_>,
        perform: impl FnOnce(&mut DiskState, io::Result<()>) -> io::Result<T>,
    ) -> Option<(io::Result<T>, Owed)> {
        let node = &self.node;
        let mut locked = node.lock_alive()?;
        let disk = &mut locked.machine(node.id()).disk;
        let begun = disk.begin(request.op);
        let stalled = disk.is_stalled(request.op).then_some(request.op);
        drop(locked);
        let result = self.complete(request, begun, node.cause(), perform)?;
        Some((result, Owed { time: begun.latency, stalled }))
    }

    /// Waits for the time of operations that took effect at once.
    pub(super) async fn wait_for(&self, time: Duration, stalled: &[DiskOp]) {
        let node = &self.node;
        node.alive().await;
        if !time.is_zero() {
            Sleep::new(node.clone(), node.now() + time).await;
        }
        for op in stalled {
            Unstalled { node, op: *op, key: None }.await;
        }
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// Waits for the operation's time, then performs it, unless the process has died meanwhile.
    async fn run<T: Outcome>(
        &self,
        request: Request<'_>,
        perform: impl FnOnce(&mut DiskState, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let node = &self.node;
        node.alive().await;
        let cause = node.cause();
        let begun = node.shared().lock().machine(node.id()).disk.begin(request.op);
        Sleep::new(node.clone(), node.now() + begun.latency).await;
        Unstalled { node, op: request.op, key: None }.await;
        match self.complete(&request, begun, cause, perform) {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// Performs an operation at its end; nothing of a process that is dead, or dies by it.
    fn complete<T: Outcome>(
        &self,
        request: &Request<'_>,
        begun: Begun,
        cause: Cause,
        perform: impl FnOnce(&mut DiskState, io::Result<()>) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let now = self.node.shared().now();
        let id = self.node.id();
        let mut locked = self.node.lock_alive()?;
        let disk = &mut locked.machine(id).disk;
        let verdict = match disk.verdict(request.op, begun) {
            Verdict::Done(verdict) => verdict,
            Verdict::Crash { power_cut } => {
                drop(locked);
                let end = if power_cut { ProcessEnd::PowerCut } else { ProcessEnd::Killed };
                self.node.with_cause(cause, || self.node.end(end));
                return None;
            }
        };
        let result = perform(disk, verdict);
        let Request { name, path, to, offset, length, data_hash: data, .. } = *request;
        let told = result.as_ref().map(Outcome::word);
        let operation = DiskOperation { name, path, to, offset, length, data, result: told };
        let step = DiskStep::Operation(operation);
        let done = locked.note_caused(now, cause, &Entry::Disk(id, step));
        // What the process does next it does because of that.
        locked.cause().set(done.into());
        Some(result)
    }
}

/// What an operation that took effect at once has to be waited for.
pub(super) struct Owed {
    pub time: Duration,
    pub stalled: Option<DiskOp>,
}

/// Waits while the disk stands still for operations of this kind.
struct Unstalled<'a> {
    node: &'a Node,
    op: DiskOp,
    key: Option<u64>,
}

impl Future for Unstalled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let node = self.node;
        let op = self.op;
        let Some(mut locked) = node.lock_alive() else { return Poll::Pending };
        let disk = &mut locked.machine(node.id()).disk;
        if !disk.is_stalled(op) {
            return Poll::Ready(());
        }
        let old = disk.wait_for_clearing(&mut self.key, cx.waker().clone());
        drop(locked);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Unstalled<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = self.node.shared().lock().machine(self.node.id()).disk.stop_waiting(key);
            drop(waker);
        }
    }
}

/// An open file. Cloning gives the same handle; the last one dropped closes it.
#[derive(Clone)]
pub struct File {
    disk: Disk,
    handle: Arc<Handle>,
}

struct Handle {
    node: Node,
    inode: InodeId,
    path: Box<str>,
    mode: OpenMode,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(mut locked) = self.node.lock_alive() {
            locked.machine(self.node.id()).disk.close(self.inode);
        }
    }
}

impl File {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// `EIO` when the hardware fails.
    pub async fn len(&self) -> io::Result<u64> {
        let inode = self.handle.inode;
        let request = Request::new(DiskOp::Metadata, "len", &self.handle.path);
        self.disk.run(request, |disk, verdict| verdict.and_then(|()| disk.len(inode))).await
    }

    /// Reads `length` bytes at `offset`; fewer at the end of the file, none beyond it.
    ///
    /// # Errors
    /// `EIO` when the hardware fails.
    pub async fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let inode = self.handle.inode;
        let request = Request::new(DiskOp::Read, "read", &self.handle.path);
        let request = request.at(offset, length as u64);
        let read = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.read(inode, offset, length))
        };
        self.disk.run(request, read).await
    }

    /// Writes all of `data` at `offset` and makes the file durable: [`write_at`](File::write_at) and then
    /// [`sync`](File::sync), in one go where that costs less.
    ///
    /// # Errors
    /// Those of the two.
    pub async fn write_durably(&self, offset: u64, data: Bytes) -> io::Result<()> {
        self.write_at(offset, data).await?;
        self.sync().await
    }

    /// Writes at `offset`, extending the file if need be; a hole reads as zeros.
    ///
    /// # Errors
    /// `PermissionDenied` on a handle for reading, `FileTooLarge`, `StorageFull`, `EIO`.
    pub async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()> {
        need_writable(self.handle.mode)?;
        let inode = self.handle.inode;
        let request = Request::new(DiskOp::Write, "write", &self.handle.path);
        let request = request.at(offset, 0).with(&data);
        let write = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.write(inode, offset, data))
        };
        self.disk.run(request, write).await
    }

    /// Writes at the end of the file; returns the offset at which it was written.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub async fn append(&self, data: Bytes) -> io::Result<u64> {
        need_writable(self.handle.mode)?;
        let inode = self.handle.inode;
        let request = Request::new(DiskOp::Write, "append", &self.handle.path).with(&data);
        let append = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.append(inode, data))
        };
        self.disk.run(request, append).await
    }

    /// Sets the file's length; what is added reads as zeros.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub async fn truncate(&self, length: u64) -> io::Result<()> {
        need_writable(self.handle.mode)?;
        let inode = self.handle.inode;
        let request = Request::new(DiskOp::Write, "truncate", &self.handle.path).at(length, 0);
        let truncate = |disk: &mut DiskState, verdict: io::Result<()>| {
            verdict.and_then(|()| disk.truncate(inode, length))
        };
        self.disk.run(request, truncate).await
    }

    /// Makes the content and the length durable, as they were when this was called; not the name.
    ///
    /// # Errors
    /// `EIO`: anything unsynced may be lost then, even if a later sync succeeds.
    pub async fn sync(&self) -> io::Result<()> {
        let node = &self.handle.node;
        node.alive().await;
        let inode = self.handle.inode;
        let mark = node.shared().lock().machine(node.id()).disk.mark(inode);
        let request = Request::new(DiskOp::Sync, "sync", &self.handle.path);
        let sync = |disk: &mut DiskState, verdict: io::Result<()>| match verdict {
            Ok(()) => disk.sync(inode, mark),
            Err(error) => {
                disk.fail_sync(inode, mark);
                Err(error)
            }
        };
        self.disk.run(request, sync).await
    }
}
