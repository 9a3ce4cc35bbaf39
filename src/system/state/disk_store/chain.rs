//! The files that make up the snapshots: a chain of what changed from one to the next.
//!
//! A file counts for the key groups that it is listed with. What a newer file says of a key stands before what an older
//! one does, a tombstone included. When the chain has become twice as long as the state, some key groups are written
//! anew, all that they hold: those of which the chain has most, until it is about half as long again as the state. Older
//! files count for those groups no longer, and leave the chain when they count for none.

use super::table::Table;
use crate::system::graph::KeyGroupRange;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Key groups are written anew in so many parts at most.
const PARTS: u32 = 32;
/// A chain of so many snapshots is written anew.
const SNAPSHOTS_MAX: usize = 64;

/// A file of a snapshot. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFile {
    /// The snapshot for which it was written.
    pub snapshot: u64,
    /// Who wrote it: [`Options::owner`](super::Options::owner).
    pub owner: u64,
    /// Which one of his it is; no two files have both the same.
    pub number: u64,
    /// Its name in the store's folder, made of both.
    pub name: String,
    /// Its bytes.
    pub length: u64,
    /// Their CRC-32.
    pub crc: u32,
    /// The key groups for which it counts, in order; what else is in it is superseded.
    pub groups: Vec<KeyGroupRange>,
    /// Whether it holds all of those groups, not only what changed.
    pub is_base: bool,
    /// Whether it is part of a completed snapshot, so that whoever keeps those has it.
    pub is_complete: bool,
}

/// A file of the chain, and the file itself while it may have to be read.
pub(super) struct Link {
    pub file: ChainFile,
    pub table: Option<Arc<Table>>,
}

/// The files that make up the newest snapshot, the oldest first.
#[derive(Default)]
pub(super) struct Chain {
    links: Vec<Link>,
    /// Files of snapshots of which it is not known whether they are complete.
    unresolved: Vec<(u64, Vec<Arc<Table>>)>,
}

/// How many key groups there are.
pub(super) fn size(range: KeyGroupRange) -> u64 {
    u64::from(range.end.saturating_sub(range.start))
}

pub(super) fn intersection(one: KeyGroupRange, other: KeyGroupRange) -> Option<KeyGroupRange> {
    let both = KeyGroupRange { start: one.start.max(other.start), end: one.end.min(other.end) };
    (both.start < both.end).then_some(both)
}

/// What is left of a range without some others, which are in order.
pub(super) fn without(range: KeyGroupRange, taken: &[KeyGroupRange]) -> Vec<KeyGroupRange> {
    let (mut left, mut start) = (Vec::new(), range.start);
    for taken in taken.iter().filter_map(|taken| intersection(*taken, range)) {
        left.push(KeyGroupRange { start, end: taken.start });
        start = taken.end;
    }
    left.push(KeyGroupRange { start, end: range.end });
    left.retain(|part| part.start < part.end);
    left
}

/// The key groups from a table's first to its last.
pub(super) fn groups_of(table: &Table) -> KeyGroupRange {
    let group = |key: &[u8]| u32::from(u16::from_be_bytes([key[0], key[1]]));
    KeyGroupRange { start: group(&table.first), end: group(&table.last) + 1 }
}

impl Chain {
    /// One that goes on from snapshots which are complete.
    pub fn restored(files: Vec<ChainFile>) -> Self {
        let links = files.into_iter().map(|file| Link { file, table: None }).collect();
        Chain { links, unresolved: Vec::new() }
    }

    pub fn files(&self) -> Vec<ChainFile> {
        self.links.iter().map(|link| link.file.clone()).collect()
    }

    /// The bytes that a restore reads.
    pub fn bytes(&self) -> u64 {
        self.links.iter().map(|link| link.file.length).sum()
    }

    pub fn memory(&self) -> usize {
        self.links.len() * (size_of::<Link>() + 64)
    }

    /// Files that are kept for snapshots alone may be among these.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        let unresolved = self.unresolved.iter().flat_map(|(_, tables)| tables);
        self.links.iter().filter_map(|link| link.table.as_ref()).chain(unresolved)
    }

    /// The key groups that the next snapshot is to write anew, in order, if it brings so many bytes and so many are
    /// alive.
    pub fn rebase(&self, owned: KeyGroupRange, live: u64, incoming: u64) -> Vec<KeyGroupRange> {
        let mut snapshots: Vec<u64> = self.links.iter().map(|link| link.file.snapshot).collect();
        snapshots.dedup();
        if snapshots.len() >= SNAPSHOTS_MAX {
            return vec![owned];
        }
        if self.links.is_empty() || self.bytes() + incoming <= 2 * live {
            return Vec::new();
        }
        let parts = PARTS.min(owned.end - owned.start);
        let parts = (0..parts).map(|part| {
            let of_owned = KeyGroupRange::of_subtask(part, parts, owned.end - owned.start);
            KeyGroupRange { start: owned.start + of_owned.start, end: owned.start + of_owned.end }
        });
        let mut parts: Vec<(u64, KeyGroupRange)> =
            parts.map(|part| (self.bytes_of(part) / size(part), part)).collect();
        parts.sort_by_key(|(bytes, part)| (std::cmp::Reverse(*bytes), part.start));
        let mut chosen = Vec::new();
        for (_, part) in parts {
            chosen.push(part);
            chosen.sort();
            let new = chosen.iter().map(|part| size(*part)).sum::<u64>();
            let new = live * new / size(owned);
            if 2 * (self.bytes_without(&chosen) + new + incoming) <= 3 * live {
                break;
            }
        }
        chosen.dedup_by(|next, before| {
            let touches = before.end == next.start;
            before.end = if touches { next.end } else { before.end };
            touches
        });
        chosen
    }

    /// The bytes that files have of a part, as if their groups were all of one size.
    fn bytes_of(&self, part: KeyGroupRange) -> u64 {
        let share = |file: &ChainFile| {
            let all: u64 = file.groups.iter().map(|groups| size(*groups)).sum();
            let within = file.groups.iter().filter_map(|groups| intersection(*groups, part));
            file.length * within.map(size).sum::<u64>() / all.max(1)
        };
        self.links.iter().map(|link| share(&link.file)).sum()
    }

    /// The bytes of files that still count when these groups are written anew.
    fn bytes_without(&self, rebased: &[KeyGroupRange]) -> u64 {
        let counts = |link: &&Link| {
            link.file.groups.iter().any(|groups| !without(*groups, rebased).is_empty())
        };
        self.links.iter().filter(counts).map(|link| link.file.length).sum()
    }

    /// Adds what a snapshot wrote, in the order of keys; these groups were written anew.
    pub fn add(&mut self, snapshot: u64, rebased: &[KeyGroupRange], new: Vec<Link>) {
        for link in &mut self.links {
            let groups = link.file.groups.iter();
            link.file.groups = groups.flat_map(|groups| without(*groups, rebased)).collect();
        }
        self.links.retain(|link| !link.file.groups.is_empty());
        self.links.extend(new);
        let tables = self.links.iter().filter_map(|link| link.table.clone());
        self.unresolved.push((snapshot, tables.collect()));
    }

    /// The snapshot is complete: somebody else has its files.
    pub fn complete(&mut self, snapshot: u64) {
        self.unresolved.retain(|(id, _)| *id > snapshot);
        for link in self.links.iter_mut().filter(|link| link.file.snapshot <= snapshot) {
            link.file.is_complete = true;
            link.table = None;
        }
    }

    /// Nobody will ask for the snapshot; what it wrote is part of the next one.
    pub fn abort(&mut self, snapshot: u64) {
        self.unresolved.retain(|(id, _)| *id != snapshot);
    }
}
