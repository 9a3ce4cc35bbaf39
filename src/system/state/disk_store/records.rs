//! The tables of records that a store has in memory, the newest first.
//!
//! Writes go to the active one. When it is full, or a snapshot begins, it is frozen: its written records become a run,
//! and it stays as a cache until there is need of its memory. A record that is asked for is copied into the active
//! table, so what is asked for often stays in memory. A record that is only known is right as long as nothing above its
//! table says otherwise, since writes go to the active one alone.

use super::record_table::{Place, RecordTable, hash};
use std::collections::VecDeque;

/// Into how many tables the memory for records is divided.
const GENERATIONS: usize = 4;
/// Tables that are kept at most: small ones come of snapshots that follow each other closely.
const FROZEN_MAX: usize = 8;

pub(super) struct Frozen {
    pub table: RecordTable,
    /// Which one it is, from 1.
    pub number: u64,
    /// Whether its written records are in a run.
    pub is_flushed: bool,
}

pub(super) struct Records {
    active: RecordTable,
    /// The newest first; those that are not flushed stand before those that are.
    frozen: VecDeque<Frozen>,
    frozen_ever: u64,
    /// Bytes of a table at most.
    share: usize,
    /// One that was let go of: its memory serves again.
    spare: Option<RecordTable>,
}

impl Records {
    pub fn new(memory: usize) -> Self {
        let share = memory / GENERATIONS;
        Records {
            active: RecordTable::new(share, 0),
            frozen: VecDeque::new(),
            frozen_ever: 0,
            share,
            spare: None,
        }
    }

    pub fn bytes(&self) -> usize {
        let frozen = self.frozen.iter().map(|frozen| frozen.table.bytes()).sum::<usize>();
        self.active.bytes() + frozen
    }

    /// The bytes of memory for all tables.
    pub fn held_bytes(&self) -> usize {
        let tables = self.frozen.iter().map(|frozen| &frozen.table).chain(&self.spare);
        tables.chain([&self.active]).map(RecordTable::held_bytes).sum()
    }

    pub fn active(&self) -> &RecordTable {
        &self.active
    }

    /// Whether so many bytes more would have to wait for a flush.
    pub fn is_over(&self, bytes: usize) -> bool {
        let bound = self.frozen.back().is_some_and(|frozen| !frozen.is_flushed);
        bound && self.bytes() + bytes > GENERATIONS * self.share
    }

    /// Freezes the active table.
    pub fn freeze(&mut self) {
        if self.active.len() == 0 {
            return;
        }
        let mut table = std::mem::take(&mut self.active);
        table.give_back();
        self.frozen_ever += 1;
        let is_flushed = table.written() == 0 && self.frozen.iter().all(|it| it.is_flushed);
        let records = table.len();
        self.frozen.push_front(Frozen { table, number: self.frozen_ever, is_flushed });
        self.evict(self.share);
        self.active = self.spare.take().unwrap_or_else(|| RecordTable::new(self.share, records));
    }

    /// Lets go of the oldest tables until there is memory for so many bytes more, as far as they are flushed.
    fn evict(&mut self, bytes: usize) {
        while (self.bytes() + bytes > GENERATIONS * self.share || self.frozen.len() > FROZEN_MAX)
            && let Some(oldest) = self.frozen.pop_back_if(|oldest| oldest.is_flushed)
        {
            self.spare = Some(oldest.table.emptied());
        }
    }

    fn make_room(&mut self, bytes: usize) {
        if self.active.len() > 0 && self.active.bytes() + bytes > self.share {
            self.freeze();
        } else if self.bytes() + bytes > GENERATIONS * self.share {
            self.evict(bytes);
        }
    }

    /// The newest frozen table.
    pub fn newest_frozen(&self) -> u64 {
        self.frozen_ever
    }

    /// The oldest table that is not flushed.
    pub fn unflushed(&self) -> Option<&Frozen> {
        self.frozen.iter().rev().find(|frozen| !frozen.is_flushed)
    }

    pub fn set_flushed(&mut self, number: u64) {
        let frozen = self.frozen.iter_mut().find(|frozen| frozen.number == number);
        frozen.expect("what is not flushed is kept").is_flushed = true;
        self.evict(0);
    }

    /// Tables whose written records are in no run, the newest first.
    pub fn above_runs(&self) -> impl Iterator<Item = &RecordTable> {
        let frozen = self.frozen.iter().filter(|frozen| !frozen.is_flushed);
        std::iter::once(&self.active).chain(frozen.map(|frozen| &frozen.table))
    }

    /// Makes the order of the same tables known.
    pub fn sort(&mut self) {
        self.active.sort();
        for frozen in self.frozen.iter_mut().filter(|frozen| !frozen.is_flushed) {
            frozen.table.sort();
        }
    }

    /// A record, which is in the active table then.
    pub fn find(&mut self, hash: u64, key: &[u8]) -> Option<Place> {
        if let Some(place) = self.active.find(hash, key) {
            return Some(place);
        }
        let (index, place) = self
            .frozen
            .iter()
            .enumerate()
            .find_map(|(index, frozen)| Some((index, frozen.table.find(hash, key)?)))?;
        let number = self.frozen[index].number;
        let table = &self.frozen[index].table;
        let size = RecordTable::size(key, table.value(place));
        self.make_room(size);
        // Making room may have frozen the active table and let go of the one in which the record was.
        let frozen = self.frozen.iter().find(|frozen| frozen.number == number)?;
        Some(self.active.insert(hash, key, frozen.table.value(place), false))
    }

    /// Adds what a run says of a key that no table has.
    pub fn insert_known(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) -> Place {
        self.make_room(RecordTable::size(key, value));
        self.active.insert(hash, key, value, false)
    }

    pub fn write(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = hash(key);
        self.make_room(RecordTable::size(key, value));
        match self.active.find(hash, key) {
            Some(place) => self.active.write(hash, place, value),
            None => {
                self.active.insert(hash, key, value, true);
            }
        }
    }
}
