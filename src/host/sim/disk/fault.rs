//! What can be wrong with a disk.

use crate::host::sim::link::Delay;

/// The operations that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskOp {
    /// `read_at`.
    Read,
    /// `write_at`, `append`, `truncate`.
    Write,
    /// `sync`, `sync_dir`.
    Sync,
    /// `open`, `create_dir`, `rename`, `remove`, `list`, `len`.
    Metadata,
    /// All of them.
    Any,
}

/// What a fault does to the operations that it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DiskEffect {
    /// A share fails with `EIO` and is not applied; a failed `File::sync` may lose what it covered.
    Error {
        /// How many in a million.
        per_million: u32,
    },
    /// One of the operations fails so, by the share; those before and after it don't.
    ErrorAt {
        /// Which one of those that it strikes, counted from 1 since the fault was set.
        nth: u64,
        /// How many in a million.
        per_million: u32,
    },
    /// What needs room (growing a file, creating a file or directory) fails with `StorageFull`.
    Full,
    /// Each takes longer by a drawn time.
    Slow(Delay),
    /// None completes until the faults are lifted.
    Stalled,
    /// The process dies at one of the operations, which has no effect.
    CrashAt {
        /// Which one of those that it strikes, counted from 1 since the fault was set.
        nth: u64,
        /// Whether the machine loses power; else the process is killed and the page cache kept.
        power_cut: bool,
    },
    /// There is room for so many bytes more; the write that finds too little is written in part, and fails
    /// with `StorageFull`, as does what needs room from then on.
    RoomFor {
        /// How many.
        bytes: u64,
    },
}

/// A fault of one machine's disk. Slowness counts from an operation's start, the rest at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFault {
    /// What it strikes.
    pub on: DiskOp,
    /// What it does.
    pub effect: DiskEffect,
}

/// What becomes of unsynced changes, of content and of names, when a machine loses power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unsynced {
    /// A drawn part survives: a prefix of the names' changes, any sectors of the files'.
    #[default]
    Drawn,
    /// Nothing does.
    Lost,
    /// As drawn, but of each file's last write of several sectors some survive and some don't.
    Torn,
    /// Everything does.
    Kept,
}

/// Names a fault in force of one machine's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFaultId(pub(in crate::host::sim) u64);
