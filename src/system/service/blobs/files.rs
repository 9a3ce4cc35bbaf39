//! The files of blobs: one for each, named by a number that is never used twice while it matters.
//!
//! A file is written and synced, then its name, and only then the record that makes it a blob. So a
//! file without a record is a draft, and a record without its file is corruption.

use super::index::{Blob, Index};
use crate::host::{Disk, OpenMode};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::{collections::BTreeSet, io};

const FOLDER: &str = "blobs";
/// Files that are written or read at the same time.
const PARALLEL_FILES: usize = 16;

/// Why a blob can't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
    #[error("{0} is corrupt")]
    Corrupt(String),
}

fn file_name(number: u64) -> String {
    format!("blob-{number:020}")
}

fn path(number: u64) -> String {
    format!("{FOLDER}/{}", file_name(number))
}

/// Removes drafts, verifies every blob and makes their names durable once more.
pub(super) async fn recover(disk: &Disk, index: &Index) -> Result<(), FileError> {
    disk.create_dir(FOLDER).await?;
    disk.sync_dir("").await?;
    let wanted: BTreeSet<String> = index.blobs().map(|(_, blob)| file_name(blob.file)).collect();
    for name in disk.list(FOLDER).await? {
        if !wanted.contains(&name) {
            disk.remove(&format!("{FOLDER}/{name}")).await?;
        }
    }
    let blobs: Vec<Blob> = index.blobs().map(|(_, blob)| blob).collect();
    let verify = |blob: Blob| {
        let disk = disk.clone();
        async move { read(&disk, blob).await.map(|_| ()) }
    };
    let verified = futures::stream::iter(blobs).map(verify).buffer_unordered(PARALLEL_FILES);
    verified.try_collect::<Vec<()>>().await?;
    disk.sync_dir(FOLDER).await?;
    Ok(())
}

/// Makes the files durable, content and names.
pub(super) async fn write(disk: &Disk, files: Vec<(u64, Bytes)>) -> Result<(), FileError> {
    if files.is_empty() {
        return Ok(());
    }
    let write = |(number, bytes): (u64, Bytes)| {
        let disk = disk.clone();
        async move {
            let file = disk.open(&path(number), OpenMode::Create).await?;
            file.truncate(0).await?;
            file.write_at(0, bytes).await?;
            file.sync().await
        }
    };
    let written = futures::stream::iter(files).map(write).buffer_unordered(PARALLEL_FILES);
    written.try_collect::<Vec<()>>().await?;
    disk.sync_dir(FOLDER).await?;
    Ok(())
}

/// A blob's verified content.
pub(super) async fn read(disk: &Disk, blob: Blob) -> Result<Bytes, FileError> {
    let path = path(blob.file);
    let file = disk.open(&path, OpenMode::Read).await?;
    let length = usize::try_from(blob.length).unwrap_or(usize::MAX);
    let whole = file.len().await? == blob.length;
    let bytes = file.read_at(0, length).await?;
    if !whole || bytes.len() != length || crc32fast::hash(&bytes) != blob.crc {
        return Err(FileError::Corrupt(path));
    }
    Ok(bytes)
}

/// Removes the files of blobs that are no more; what a crash leaves of them is a draft.
pub(super) async fn remove(disk: &Disk, files: &[u64]) -> Result<(), FileError> {
    for number in files {
        disk.remove(&path(*number)).await?;
    }
    Ok(())
}
