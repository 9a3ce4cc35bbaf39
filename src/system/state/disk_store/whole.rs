//! A snapshot of a state that is kept elsewhere: records in order become files, all of them new.

use super::{
    chain::ChainFile,
    error::StateError,
    run::{Cut, RunWriter},
    snapshot::link,
    store::Options,
    table::{Files, Table, Trash},
};
use crate::host::SyncDisk;
use std::sync::Arc;

/// A folder in which snapshots are written of a state that is kept elsewhere.
pub struct SnapshotFolder {
    files: Files,
    target: u64,
}

/// A snapshot that is being written there.
pub struct WholeSnapshot {
    id: u64,
    writer: RunWriter,
}

/// A snapshot that is written. Its files are garbage once this is dropped.
pub struct WrittenSnapshot {
    /// All that it consists of; those who have one of these files have nothing of an older one.
    pub files: Vec<ChainFile>,
    /// Keeps the files.
    tables: Vec<Arc<Table>>,
}

impl SnapshotFolder {
    /// A folder of its own; what is in that is removed, and it is made if need be.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(door: SyncDisk, folder: &str, options: &Options) -> Result<Self, StateError> {
        door.create_dir(folder)?;
        for name in door.list(folder)? {
            door.remove(&format!("{folder}/{name}"))?;
        }
        let (folder, owner, unit) = (folder.to_string(), options.owner, options.unit);
        let write_bytes = (options.memory / 256).clamp(unit, 256 << 10);
        let trash = Trash::default();
        let files = Files { door, folder, owner, next: 1, unit, write_bytes, trash };
        Ok(SnapshotFolder { files, target: options.file })
    }

    /// Begins a snapshot.
    pub fn begin(&self, id: u64) -> WholeSnapshot {
        WholeSnapshot { id, writer: RunWriter::new(self.target, Cut::BetweenGroups) }
    }

    /// Adds a record to it. Its key begins with its key group, two bytes, and is above those before it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn add(
        &mut self,
        snapshot: &mut WholeSnapshot,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StateError> {
        snapshot.writer.add(&mut self.files, key, Some(value))
    }

    /// Removes the files of snapshots that nobody has any more.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_garbage(&self) -> Result<(), StateError> {
        self.files.remove_trash()
    }
}

impl WholeSnapshot {
    /// No record comes any more.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(self) -> Result<WrittenSnapshot, StateError> {
        let tables = self.writer.finish()?.tables;
        let files = tables.iter().map(|table| link(self.id, table.clone(), true).file).collect();
        Ok(WrittenSnapshot { files, tables })
    }
}

impl WrittenSnapshot {
    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.length).sum()
    }
}
