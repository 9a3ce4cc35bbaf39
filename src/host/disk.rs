//! What both worlds' disks share. Paths are relative to the node's data folder, `/` separates names.

use bytes::Bytes;

/// What is to be written to a file.
pub struct FileWrite<F> {
    /// Open for writing.
    pub file: F,
    /// Where its first byte goes.
    pub offset: u64,
    /// All of it.
    pub data: Bytes,
}

/// How a file is opened, in POSIX terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenMode {
    /// An existing file, for reading (`O_RDONLY`).
    Read,
    /// An existing file, for reading and writing (`O_RDWR`).
    Write,
    /// The same; created empty when absent (`O_RDWR | O_CREAT`).
    Create,
    /// The same; an existing file is an error (`O_RDWR | O_CREAT | O_EXCL`).
    CreateNew,
}
