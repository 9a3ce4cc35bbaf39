//! Building a store from the files of a snapshot.

use super::{
    chain::{Chain, ChainFile, intersection},
    error::StateError,
    run::{Cursor, Cut, Merge, Part, Run, RunWriter},
    store::{DiskStore, Options},
    table::{Identity, Table},
};
use crate::{host::SyncDisk, system::graph::KeyGroupRange};
use std::{collections::BTreeSet, sync::Arc};

/// So many runs are merged at once.
const FAN_IN: usize = 24;

/// A part of a chain whose keys are in order.
type Sorted = Vec<Part>;

impl DiskStore {
    /// A store with what a snapshot held of the key groups of `options`. The caller has put the snapshot's files into
    /// the folder; whatever else is there is removed. Files of several subtasks' snapshots are given one behind the
    /// other, each in its order; they have different key groups. The next snapshot goes on from the same files.
    ///
    /// # Errors
    /// What the disk says, and that a file is missing or corrupt.
    pub fn restore(
        door: SyncDisk,
        folder: &str,
        options: Options,
        files: &[ChainFile],
    ) -> Result<Self, StateError> {
        door.create_dir(folder)?;
        let named: BTreeSet<&str> = files.iter().map(|file| &*file.name).collect();
        for name in door.list(folder)?.iter().filter(|name| !named.contains(&***name)) {
            door.remove(&format!("{folder}/{name}"))?;
        }
        let mut store = DiskStore::empty(door, folder, options);
        let owned = store.options.groups;
        // An owner that goes on gives no number twice.
        let own = files.iter().filter(|file| file.owner == store.options.owner);
        store.levels.files.next = own.map(|file| file.number + 1).max().unwrap_or(1);
        store.base_of(files, owned)?;
        let kept = files.iter().filter_map(|file| {
            let groups = file.groups.iter().filter_map(|groups| intersection(*groups, owned));
            let groups: Vec<_> = groups.collect();
            let file = ChainFile { groups, is_complete: true, ..file.clone() };
            (!file.groups.is_empty()).then_some(file)
        });
        store.chain = Chain::restored(kept.collect());
        store.last_snapshot_is(files.iter().map(|file| file.snapshot).max().unwrap_or(0));
        store.levels.files.remove_trash()?;
        Ok(store)
    }

    /// Merges everything into the base.
    fn base_of(&mut self, files: &[ChainFile], owned: KeyGroupRange) -> Result<(), StateError> {
        let mut sorted = self.sorted_parts(files, owned)?;
        // The newest first; as long as there are too many, some that are next to each other become one.
        while sorted.len() > FAN_IN {
            let later = sorted.split_off(FAN_IN);
            let writer = RunWriter::new(self.levels.table_bytes, Cut::Anywhere);
            let run = self.merge(sorted, writer, true)?;
            let whole =
                |table: &Arc<Table>| Part { table: table.clone(), from: Vec::new(), to: None };
            sorted = vec![run.tables.iter().map(whole).collect()];
            sorted.extend(later);
        }
        let writer = self.levels.base_writer();
        self.levels.base = self.merge(sorted, writer, false)?;
        Ok(())
    }

    fn merge(
        &mut self,
        sorted: Vec<Sorted>,
        mut writer: RunWriter,
        keeps_tombstones: bool,
    ) -> Result<Run, StateError> {
        let ahead = self.levels.ahead;
        let cursors = sorted.into_iter().map(|parts| Cursor::new(parts, ahead, &mut None));
        let mut merge = Merge::new(cursors.collect::<Result<_, _>>()?);
        while let Some(key) = merge.key() {
            let value = merge.value();
            if keeps_tombstones || value.is_some() {
                writer.add(&mut self.levels.files, key, value)?;
            }
            merge.advance(&mut None)?;
        }
        writer.finish()
    }

    /// The parts of files that count, as runs, the newest first.
    fn sorted_parts(
        &self,
        files: &[ChainFile],
        owned: KeyGroupRange,
    ) -> Result<Vec<Sorted>, StateError> {
        let mut runs: Vec<(u64, Sorted)> = Vec::new();
        for file in files {
            let groups = file.groups.iter().filter_map(|groups| intersection(*groups, owned));
            let groups: Vec<_> = groups.collect();
            let identity = Identity { owner: file.owner, number: file.number };
            let table = Arc::new(Table::open(&self.levels.files, identity, file.length, file.crc)?);
            for groups in groups {
                let bound = |group| Some(u16::try_from(group).ok()?.to_be_bytes().to_vec());
                let from = bound(groups.start).unwrap_or_default();
                let part = Part { table: table.clone(), from, to: bound(groups.end) };
                match runs.last_mut() {
                    Some((snapshot, parts))
                        if *snapshot == file.snapshot
                            && parts.last().is_some_and(|before| is_behind(&part, before)) =>
                    {
                        parts.push(part);
                    }
                    _ => runs.push((file.snapshot, vec![part])),
                }
            }
        }
        Ok(runs.into_iter().rev().map(|(_, parts)| parts).collect())
    }
}

/// Whether all keys of a part are behind those of another.
fn is_behind(part: &Part, before: &Part) -> bool {
    before.table.last < part.table.first || before.to.as_ref().is_some_and(|to| *to <= part.from)
}
