//! The state of one keyed operator's subtask on its disk: more than memory, in order, with snapshots that are increments.
//!
//! Keys and values are bytes; a key's first two are its key group. Records that are written, or asked for, are in
//! tables in memory (`records.rs`). When a table is full it is frozen and becomes a sorted run of files (`run.rs`,
//! `table.rs`, `block.rs`), and a few such runs are merged into the base, the run in which everything is (`levels.rs`).
//! So a key is looked for in memory, in a few small runs whose filters exclude most, and once in the base. To follow a
//! read start at [`DiskStore::make_resident`], to follow a write at `levels.rs`, a snapshot at `snapshot.rs`.
//!
//! Rules:
//! - One thread uses a store, and no call waits: the disk is the synchronous door of its host, whose debt the caller
//!   settles. Nothing is done but in a call; [`DiskStore::work`] does it in slices, the same in both worlds.
//! - Memory has a bound, of which each part has its own (`store.rs`): records, blocks and indexes, filters, buffers.
//! - A batch is made resident before it is handled: records come into memory, not blocks, so that a batch whose keys are
//!   all over the files takes the memory of its records. What is left of it there when the next one comes is a cache.
//! - A file never changes once it is whole. Each block that is read is checked, with the file's identity and its own
//!   place, and what is wrong is a [`StateError`]: never a wrong value and never a panic.
//! - A working folder is worth nothing after its process: nothing is synced, and nothing is read that a caller did not
//!   put there for [`DiskStore::restore`].
//! - A snapshot freezes the table that is being written; what it adds are the records written since the snapshot before,
//!   the newest of each key (`snapshot.rs`), and what was written since then goes on above it. It is a chain of files
//!   (`chain.rs`) whose bytes are at most about twice those of the state.
//! - A file is removed when neither a run nor a chain nor work under way refers to it. Files take at most the bytes of
//!   the state three times, and what changes between two snapshots twice, beside some of memory's size.
//!
//! Deliberately absent: values merged without being read, snapshots in the store's own folder for later.

mod block;
mod cache;
mod chain;
mod error;
mod filter;
mod levels;
mod lookup;
mod record_table;
mod records;
mod restore;
mod run;
mod scan;
mod snapshot;
mod store;
mod table;
mod whole;
mod whole_file;

#[cfg(test)]
mod tests;

pub use chain::ChainFile;
pub use error::{Damage, StateError};
pub use scan::{Record, Scan};
pub use store::{DiskStore, Options, Snapshot};
pub use table::KEY_BYTES_MAX;
pub use whole::{SnapshotFolder, WholeSnapshot, WrittenSnapshot};
pub use whole_file::{FileEntry, read_file};
