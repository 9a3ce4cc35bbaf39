//! Why a store can't go on.

use std::{fmt, io};

/// Why a call of a store failed. The store is to be dropped then and rebuilt from a checkpoint; nothing wrong was
/// answered.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk said no.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
    /// A file is not what was written.
    #[error("{file} is corrupt at byte {offset}: {damage}")]
    Corrupt {
        /// Its name.
        file: String,
        /// Where what is wrong begins.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// A key is shorter than its key group, or longer than can be written.
    #[error("a key has {length} bytes; it begins with 2 of its key group and has {max} at most")]
    KeyLength {
        /// Its bytes.
        length: usize,
        /// The most.
        max: usize,
    },
    /// A value is longer than the store's memory allows for.
    #[error("a value has {length} bytes; with the memory of this store it may have {max}")]
    ValueLength {
        /// Its bytes.
        length: usize,
        /// The most.
        max: usize,
    },
    /// A key's group is none of the store's.
    #[error("key group {group} is none of this store, which has {start}..{end}")]
    KeyGroup {
        /// The key's group.
        group: u32,
        /// The first of the store.
        start: u32,
        /// One after the last.
        end: u32,
    },
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It is shorter or longer than it was.
    Length {
        /// What it was.
        written: u64,
        /// What it is.
        found: u64,
    },
    /// A block's checksum is not that of its content at its place in its file.
    Checksum,
    /// A block is whole and makes no sense.
    Unreadable,
    /// It is another file than its name says.
    Identity,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Missing => f.write_str("it is missing"),
            Damage::Length { written, found } => {
                write!(f, "{written} bytes were written and there are {found}")
            }
            Damage::Checksum => f.write_str("its checksum does not fit content and place"),
            Damage::Unreadable => f.write_str("it can't be read"),
            Damage::Identity => f.write_str("it is another file"),
        }
    }
}
