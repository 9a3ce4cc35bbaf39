//! The disk of a live node: files under its data folder.

#![expect(clippy::disallowed_methods, reason = "this is the disk that a live Host gives out")]

mod door;

pub use door::{SyncDisk, SyncFile};

use super::node::Node;
use crate::host::{FileWrite, OpenMode};
use bytes::Bytes;
use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// A node's disk. Paths are relative to its data folder, `/` separates names.
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
    /// `NotFound` and `AlreadyExists` as the mode says; `InvalidInput` for a path that leaves the
    /// data folder; those of the operating system.
    pub async fn open(&self, path: &str, mode: OpenMode) -> io::Result<File> {
        let path = self.file(path)?;
        let file = self.node.blocking(move || open(&path, mode)).await?;
        Ok(File { node: self.node.clone(), file: Arc::new(file), writing: Arc::default() })
    }

    /// Makes a folder and those above it; one that exists is fine.
    ///
    /// # Errors
    /// `InvalidInput` for a path that leaves the data folder; those of the operating system.
    pub async fn create_dir(&self, path: &str) -> io::Result<()> {
        let path = self.folder(path)?;
        self.node.blocking(move || fs::create_dir_all(path)).await
    }

    /// Writes each durably, to a file of its own, and the next only when the one before it is: as
    /// [`write_durably`](File::write_durably) for each, in one go.
    ///
    /// # Errors
    /// The first there is; none behind it is begun then.
    pub async fn write_in_turn(&self, writes: Vec<FileWrite<File>>) -> io::Result<()> {
        let mut turns = Vec::new();
        for (place, write) in writes.iter().enumerate() {
            let same =
                |before: &FileWrite<File>| Arc::ptr_eq(&before.file.writing, &write.file.writing);
            assert!(!writes[..place].iter().any(same), "it would wait for itself");
            turns.push(write.file.writing.clone().lock_owned().await);
        }
        let work = move || {
            let write =
                |FileWrite::<File> { file, offset, data }| write_durably(&file.file, offset, &data);
            let done = writes.into_iter().try_for_each(write);
            drop(turns);
            done
        };
        self.node.blocking(work).await
    }

    /// Gives a file another name, in place of the file that has it.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a path that leaves the data folder; those of the operating
    /// system.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.file(from)?, self.file(to)?);
        self.node.blocking(move || fs::rename(from, to)).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a path that leaves the data folder; those of the operating
    /// system.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.file(path)?;
        self.node.blocking(move || fs::remove_file(path)).await
    }

    /// The names of the files in a folder, sorted; `""` is the data folder itself.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a path that leaves the data folder; those of the operating
    /// system.
    pub async fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let dir = self.folder(dir)?;
        self.node.blocking(move || file_names(&dir)).await
    }

    /// Makes the names in a folder durable; `""` is the data folder itself.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a path that leaves the data folder; those of the operating
    /// system.
    pub async fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let dir = self.folder(dir)?;
        self.node.blocking(move || fs::File::open(dir)?.sync_all()).await
    }

    fn file(&self, path: &str) -> io::Result<PathBuf> {
        if path.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.folder(path)
    }

    fn folder(&self, path: &str) -> io::Result<PathBuf> {
        let inside = |component| matches!(component, Component::Normal(_));
        if Path::new(path).components().all(inside) {
            Ok(self.node.data().join(path))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path:?} leaves the disk")))
        }
    }
}

fn open(path: &Path, mode: OpenMode) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    match mode {
        OpenMode::Read => &mut options,
        OpenMode::Write => options.write(true),
        OpenMode::Create => options.write(true).create(true).truncate(false),
        OpenMode::CreateNew => options.write(true).create_new(true),
    }
    .open(path)
}

fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        // No path given to this disk can name a file whose name is no text.
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// An open file. Clones are the same handle.
#[derive(Clone)]
pub struct File {
    node: Node,
    file: Arc<fs::File>,
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl File {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn len(&self) -> io::Result<u64> {
        self.reading(|file| Ok(file.metadata()?.len())).await
    }

    /// Whether the file holds no byte.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// Reads `length` bytes from `offset` on; fewer when the file ends before.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.reading(move |file| read_at(file, offset, length)).await
    }

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// Those of the operating system; a part may have been written then.
    pub async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()> {
        self.writing(move |file| file.write_all_at(&data, offset)).await
    }

    /// Writes all of `data` at the end and returns where that was. Appends through one handle are
    /// serialised.
    ///
    /// # Errors
    /// Those of the operating system; a part may have been written then.
    pub async fn append(&self, data: Bytes) -> io::Result<u64> {
        self.writing(move |file| {
            let end = file.metadata()?.len();
            file.write_all_at(&data, end)?;
            Ok(end)
        })
        .await
    }

    /// Cuts the file off, or fills it up with zeros, at `length`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn truncate(&self, length: u64) -> io::Result<()> {
        self.writing(move |file| file.set_len(length)).await
    }

    /// Makes what was written durable. After an error anything unsynced may be lost.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn sync(&self) -> io::Result<()> {
        self.reading(|file| file.sync_data()).await
    }

    /// Writes all of `data` at `offset` and makes the file durable: [`write_at`](File::write_at) and then
    /// [`sync`](File::sync), in one go where that costs less.
    ///
    /// # Errors
    /// Those of the two.
    pub async fn write_durably(&self, offset: u64, data: Bytes) -> io::Result<()> {
        self.writing(move |file| write_durably(file, offset, &data)).await
    }

    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = self.file.clone();
        self.node.blocking(move || work(&file)).await
    }

    /// One at a time and in the order of the calls, also when a caller gives up half-way.
    async fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let turn = self.writing.clone().lock_owned().await;
        self.reading(move |file| {
            let done = work(file);
            drop(turn);
            done
        })
        .await
    }
}

fn write_durably(file: &fs::File, offset: u64, data: &[u8]) -> io::Result<()> {
    file.write_all_at(data, offset)?;
    file.sync_data()
}

fn read_at(file: &fs::File, offset: u64, length: usize) -> io::Result<Bytes> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let mut buffer = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(length)];
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}
