//! Why a durable log can't be used.

use std::io;

/// Why the server can't go on. It stops: corruption is never served.
#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    /// The disk said no.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
    /// A file is not what was synced.
    #[error(
        "{folder}/{file} is corrupt at byte {offset}: {damage}. Nothing of {folder}/ is served: put \
         the file back as it was when the server ran last, or remove the whole folder {folder}/ to \
         begin anew without what it held"
    )]
    Corrupt {
        /// The log's folder on the node's disk.
        folder: &'static str,
        /// A file in it.
        file: String,
        /// Where the damage begins, in bytes from the file's start.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is not there, and must be.
    #[error("the file is missing")]
    Missing,
    /// It ends before what was synced does.
    #[error("the file ends there, but {synced} bytes of it had been synced")]
    Short {
        /// Bytes that were synced.
        synced: u64,
    },
    /// It goes on where nothing was written.
    #[error("the file goes on there, but was written no further")]
    Long,
    /// What stands there is not what was written.
    #[error("what stands there is not what was written")]
    Unreadable,
    /// It is whole, but another one than the seal knows.
    #[error("this is another file than the one that was sealed")]
    Another,
    /// It is of an index that is not there.
    #[error("the file is here, but the index that would name it is missing")]
    NoIndex,
    /// There is no seal, and what it would cover.
    #[error("there is no seal, but there is what it has to cover")]
    NoSeal,
    /// It holds records that the seal says nothing of.
    #[error("there are records, but the seal ends before them, so it is an older one")]
    Unsealed,
}
