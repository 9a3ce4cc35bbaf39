//! One file: what processes see of it, what the platter holds, and the changes between the two.

use super::fault::Unsynced;
use crate::host::random::Draws;
use bytes::Bytes;
use std::collections::VecDeque;

/// What the platter writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// Unsynced changes of one file at most; beyond it the older half is written back unasked.
const PENDING_MAX: usize = 4096;

/// Names a file's content for ever, whatever becomes of its path.
pub(in crate::host) type InodeId = u64;

/// A file's content, apart from any name.
#[derive(Clone, Default)]
pub(super) struct Inode {
    cache: Vec<u8>,
    platter: Vec<u8>,
    /// Unsynced changes in order, numbered from 1.
    pending: VecDeque<(u64, Change)>,
    changes: u64,
    /// The length that the platter gets when everything pending reaches it.
    settled_length: usize,
    /// Open handles.
    pub handles: u32,
}

#[derive(Clone)]
enum Change {
    Write {
        offset: usize,
        data: Bytes,
    },
    /// The file's length became this.
    Length(usize),
}

impl Inode {
    pub fn cache(&self) -> &[u8] {
        &self.cache
    }

    /// Names all changes up to now, for a later [`sync`](Self::sync) or its failure.
    pub fn mark(&self) -> u64 {
        self.changes
    }

    pub fn write(&mut self, offset: usize, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let end = offset + data.len();
        let extends = end > self.cache.len();
        if extends {
            self.cache.resize(end, 0);
        }
        self.cache[offset..end].copy_from_slice(&data);
        self.changes += 1;
        self.pending.push_back((self.changes, Change::Write { offset, data }));
        // After a failed sync the platter may be due to stay shorter than what processes see.
        if extends || end > self.settled_length {
            self.pending.push_back((self.changes, Change::Length(end)));
            self.settled_length = end;
        }
        self.write_back();
    }

    pub fn truncate(&mut self, length: usize) {
        self.cache.resize(length, 0);
        self.changes += 1;
        self.pending.push_back((self.changes, Change::Length(length)));
        self.settled_length = length;
        self.write_back();
    }

    /// Makes the changes up to the mark durable.
    pub fn sync(&mut self, mark: u64) {
        let covered = self.pending.partition_point(|(number, _)| *number <= mark);
        let changes: Vec<Change> =
            self.pending.drain(..covered).map(|(_, change)| change).collect();
        self.settle(changes);
    }

    /// Some of the changes up to the mark will never become durable, though processes see them.
    pub fn fail_sync(&mut self, mark: u64, draws: &mut Draws) {
        let covered = self.pending.partition_point(|(number, _)| *number <= mark);
        let later = self.pending.split_off(covered);
        self.keep_some(draws);
        self.settled_length = self.length_due();
        for (number, change) in later {
            self.readd(number, change);
        }
    }

    /// The length that the platter gets by what is pending.
    fn length_due(&self) -> usize {
        let last = self.pending.iter().rev().find_map(|(_, change)| match change {
            Change::Length(length) => Some(*length),
            Change::Write { .. } => None,
        });
        last.unwrap_or(self.platter.len())
    }

    /// Queues a change again; a write brings its own length if the one it relied on was lost.
    fn readd(&mut self, number: u64, change: Change) {
        let uncovered = match &change {
            Change::Write { offset, data } => Some(offset + data.len()),
            Change::Length(length) => {
                self.settled_length = *length;
                None
            }
        };
        self.pending.push_back((number, change));
        if let Some(end) = uncovered.filter(|end| *end > self.settled_length) {
            self.pending.push_back((number, Change::Length(end)));
            self.settled_length = end;
        }
    }

    /// A part of the pending changes reaches the platter, and the cache is gone.
    pub fn power_cut(&mut self, unsynced: Unsynced, draws: &mut Draws) {
        match unsynced {
            Unsynced::Drawn => self.keep_some(draws),
            Unsynced::Lost => self.pending.clear(),
            Unsynced::Torn => self.tear(draws),
            Unsynced::Kept => {}
        }
        let kept: Vec<Change> = self.pending.drain(..).map(|(_, change)| change).collect();
        self.settle(kept);
        self.cache = self.platter.clone();
        self.settled_length = self.platter.len();
        self.handles = 0;
    }

    /// Flips bits of one byte wherever it is held; false when the file has no such byte.
    pub fn rot(&mut self, offset: usize, mask: u8) -> bool {
        let mut found = false;
        for held in [&mut self.cache, &mut self.platter] {
            if let Some(byte) = held.get_mut(offset) {
                *byte ^= mask;
                found = true;
            }
        }
        for (_, change) in &mut self.pending {
            if let Change::Write { offset: start, data } = change
                && (*start..*start + data.len()).contains(&offset)
            {
                let mut rotten = data.to_vec();
                rotten[offset - *start] ^= mask;
                *data = rotten.into();
            }
        }
        found
    }

    fn write_back(&mut self) {
        if self.pending.len() > PENDING_MAX {
            let (mark, _) = self.pending[PENDING_MAX / 2];
            self.sync(mark);
        }
    }

    /// Brings changes onto the platter, in order.
    fn settle(&mut self, changes: Vec<Change>) {
        let mut length = self.platter.len();
        for change in changes {
            match change {
                // Data may reach the platter ahead of the length that uncovers it.
                Change::Write { offset, data } => {
                    let end = offset + data.len();
                    if end > self.platter.len() {
                        self.platter.resize(end, 0);
                    }
                    self.platter[offset..end].copy_from_slice(&data);
                }
                Change::Length(new) => {
                    self.platter.truncate(new);
                    length = new;
                }
            }
        }
        self.platter.resize(length, 0);
    }

    /// Tears the last pending write of several sectors; of the changes around it some are kept.
    fn tear(&mut self, draws: &mut Draws) {
        let several = |change: &Change| match change {
            Change::Write { offset, data } => sectors(*offset, data.len()).len() > 1,
            Change::Length(_) => false,
        };
        let Some(at) = self.pending.iter().rposition(|(_, change)| several(change)) else {
            return self.keep_some(draws);
        };
        let mut later = self.pending.split_off(at);
        let length = self.length_due();
        self.keep_some(draws);
        let Some((number, Change::Write { offset, data })) = later.pop_front() else { return };
        let mut parts = sectors(offset, data.len());
        draws.shuffle(&mut parts);
        let kept = draws.between(1, parts.len() as u64 - 1);
        for (from, to) in parts.into_iter().take(usize::try_from(kept).unwrap_or(usize::MAX)) {
            let change = Change::Write { offset: offset + from, data: data.slice(from..to) };
            self.pending.push_back((number, change));
        }
        // In a file that stayed shorter nobody could see the tear.
        let end = offset + data.len();
        if end > self.length_due() {
            self.pending.push_back((number, Change::Length(end.max(length))));
        }
        for (number, change) in later {
            keep_part(change, draws, |change| self.pending.push_back((number, change)));
        }
    }

    /// Replaces the pending changes by a drawn part of them.
    fn keep_some(&mut self, draws: &mut Draws) {
        // All or nothing often enough: independent coins hardly ever show either.
        match draws.below(4) {
            0 => self.pending.clear(),
            1 => {}
            _ => {
                let mut kept = VecDeque::new();
                for (number, change) in self.pending.drain(..) {
                    keep_part(change, draws, |change| kept.push_back((number, change)));
                }
                self.pending = kept;
            }
        }
    }
}

/// Hands over what survives of one change: a length whole or not, a write sector by sector.
fn keep_part(change: Change, draws: &mut Draws, mut keep: impl FnMut(Change)) {
    let Change::Write { offset, data } = change else {
        if draws.chance(500_000) {
            keep(change);
        }
        return;
    };
    let sectors = sectors(offset, data.len());
    let prefix = draws.below(sectors.len() as u64 + 1);
    let manner = draws.below(4);
    for (index, (from, to)) in sectors.into_iter().enumerate() {
        let survives = match manner {
            0 => false,
            1 => true,
            2 => (index as u64) < prefix,
            _ => draws.chance(500_000),
        };
        if survives {
            keep(Change::Write { offset: offset + from, data: data.slice(from..to) });
        }
    }
}

/// The parts of a write, relative to its start, that lie in one sector each.
fn sectors(offset: usize, length: usize) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut from = 0;
    while from < length {
        let room = SECTOR_BYTES - (offset + from) % SECTOR_BYTES;
        let to = length.min(from + room);
        parts.push((from, to));
        from = to;
    }
    parts
}
