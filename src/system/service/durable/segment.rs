//! One segment of a log: what its frames hold, its name, and the opening of its file.

use super::{
    error::{Damage, DurableError},
    seal::Extent,
};
use crate::host::{Disk, File, OpenMode};
use serde::{Deserialize, Serialize};
use std::io;

/// What a segment's frames hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Frame<R> {
    /// The first frame.
    Head(Head),
    /// A record of the log.
    Record(R),
    /// The last frame of a segment that takes no more records: some records' places, in order.
    Index(Vec<Place>),
}

/// What a segment says of itself and vouches for of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Records of the log before its first.
    pub first: u64,
    /// The segment before it.
    pub previous: Option<Sealed>,
}

/// A segment that takes no more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub extent: Extent,
    /// Where its index begins.
    pub index: u64,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub record: u64,
    pub offset: u64,
}

/// The name of a segment.
pub(super) fn segment_name(first: u64) -> String {
    format!("log-{first:020}")
}

/// The name of the state after so many records.
pub(super) fn snapshot_name(records: u64) -> String {
    format!("snapshot-{records:020}")
}

pub(super) fn corrupt(
    folder: &'static str,
    file: String,
    offset: u64,
    damage: Damage,
) -> DurableError {
    DurableError::Corrupt { folder, file, offset, damage }
}

/// Opens a file that must be there.
pub(super) async fn open_existing(
    disk: &Disk,
    folder: &'static str,
    name: &str,
) -> Result<File, DurableError> {
    match disk.open(&format!("{folder}/{name}"), OpenMode::Write).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(corrupt(folder, name.to_string(), 0, Damage::Missing))
        }
        file => Ok(file?),
    }
}
