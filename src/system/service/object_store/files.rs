//! The files of objects: one for each, named by a number that is never used twice while it matters.
//!
//! A file is written and synced, then its name, and only then the record that makes it an object. So a
//! file without a record is a draft, and a record without its file is corruption.

use super::index::{Index, Object};
use crate::{
    host::{Disk, OpenMode},
    system::service::durable::Damage,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::{collections::BTreeSet, io};

const FOLDER: &str = "blobs";
/// Where the index's log is kept.
pub(super) const INDEX_FOLDER: &str = "blob-index";
/// Files that are written or read at the same time.
const PARALLEL_FILES: usize = 16;

/// Why an object can't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
    #[error(
        "{path} is corrupt at byte {offset}: {damage}. No object is served: put the file back as it was \
         when the server ran last, or remove the folders {FOLDER}/ and {INDEX_FOLDER}/ together to \
         begin anew without any object"
    )]
    Corrupt { path: String, offset: u64, damage: Damage },
}

const FILE_PREFIX: &str = "blob-";

fn file_name(number: u64) -> String {
    format!("{FILE_PREFIX}{number:020}")
}

fn path(number: u64) -> String {
    format!("{FOLDER}/{}", file_name(number))
}

/// Refuses files beside no index, or beside one without a seal: they are the objects of one that is
/// missing.
pub(super) async fn refuse_orphans(disk: &Disk) -> Result<(), FileError> {
    disk.create_dir(FOLDER).await?;
    disk.create_dir(INDEX_FOLDER).await?;
    let mut names = disk.list(FOLDER).await?.into_iter();
    let Some(name) = names.find(|name| name.starts_with(FILE_PREFIX)) else { return Ok(()) };
    let (path, damage) = match disk.list(INDEX_FOLDER).await?.is_empty() {
        true => (format!("{FOLDER}/{name}"), Damage::NoIndex),
        false => (format!("{INDEX_FOLDER}/seal"), Damage::NoSeal),
    };
    Err(FileError::Corrupt { path, offset: 0, damage })
}

/// Removes drafts, verifies every object and makes their names durable once more.
pub(super) async fn recover(disk: &Disk, index: &Index) -> Result<(), FileError> {
    disk.create_dir(FOLDER).await?;
    disk.sync_dir("").await?;
    let wanted: BTreeSet<String> =
        index.objects().map(|(_, object)| file_name(object.file)).collect();
    for name in disk.list(FOLDER).await? {
        if !wanted.contains(&name) {
            disk.remove(&format!("{FOLDER}/{name}")).await?;
        }
    }
    let objects: Vec<Object> = index.objects().map(|(_, object)| object).collect();
    let verify = |object: Object| {
        let disk = disk.clone();
        async move { read(&disk, object).await.map(|_| ()) }
    };
    let verified = futures::stream::iter(objects).map(verify).buffer_unordered(PARALLEL_FILES);
    verified.try_collect::<Vec<()>>().await?;
    disk.sync_dir(FOLDER).await?;
    Ok(())
}

/// Writes the files and makes them durable, names and, if they are `synced`, content.
pub(super) async fn write(
    disk: &Disk,
    files: Vec<(u64, Bytes)>,
    synced: bool,
) -> Result<(), FileError> {
    if files.is_empty() {
        return Ok(());
    }
    let write = |(number, bytes): (u64, Bytes)| {
        let disk = disk.clone();
        async move {
            let file = disk.open(&path(number), OpenMode::Create).await?;
            file.truncate(0).await?;
            file.write_at(0, bytes).await?;
            if synced { file.sync().await } else { Ok(()) }
        }
    };
    let written = futures::stream::iter(files).map(write).buffer_unordered(PARALLEL_FILES);
    written.try_collect::<Vec<()>>().await?;
    disk.sync_dir(FOLDER).await?;
    Ok(())
}

/// An object's verified content.
pub(super) async fn read(disk: &Disk, object: Object) -> Result<Bytes, FileError> {
    let path = path(object.file);
    let damaged = |offset, damage| FileError::Corrupt { path: path.clone(), offset, damage };
    let file = match disk.open(&path, OpenMode::Read).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(0, Damage::Missing));
        }
        file => file?,
    };
    let found = file.len().await?;
    let bytes = file.read_at(0, usize::try_from(object.length).unwrap_or(usize::MAX)).await?;
    match bytes.len() as u64 {
        length if length < object.length => {
            Err(damaged(length, Damage::Short { synced: object.length }))
        }
        _ if found > object.length => Err(damaged(object.length, Damage::Long)),
        _ if crc32fast::hash(&bytes) != object.crc => Err(damaged(0, Damage::Unreadable)),
        _ => Ok(bytes),
    }
}

/// Removes the files of objects that are no more; what a crash leaves of them is a draft.
pub(super) async fn remove(disk: &Disk, files: &[u64]) -> Result<(), FileError> {
    for number in files {
        disk.remove(&path(*number)).await?;
    }
    Ok(())
}
