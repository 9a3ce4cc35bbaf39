//! Runs: tables with keys in order, none of which overlap; how one is written, read in order, and merged with others.

use super::{
    block::raw_entry,
    cache::BlockCache,
    error::{Damage, StateError},
    filter::Filter,
    record_table::hash,
    table::{Files, Table, TableWriter},
};
use std::{cmp::Ordering, ops::Range, sync::Arc};

/// Tables in the order of their keys.
#[derive(Clone, Default)]
pub(super) struct Run {
    pub tables: Vec<Arc<Table>>,
    /// Which keys it may have, where that is known.
    pub filter: Option<Arc<Filter>>,
}

impl Run {
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.length).sum()
    }

    /// Whether the run may have a key of that hash.
    pub fn may_have(&self, hash: u64) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.may_have(hash))
    }

    pub fn memory(&self) -> usize {
        let tables = self.tables.iter().map(|table| table.memory());
        tables.sum::<usize>() + self.filter.as_ref().map_or(0, |filter| filter.bytes())
    }

    pub fn check_order(&self) {
        debug_assert!(
            self.tables.windows(2).all(|pair| pair[0].last < pair[1].first),
            "tables of a run are in order and apart"
        );
    }
}

/// Where a writer begins another table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Where it is long enough.
    Anywhere,
    /// Between key groups, unless a group is very long.
    BetweenGroups,
}

/// Writes a run.
pub(super) struct RunWriter {
    current: Option<TableWriter>,
    done: Vec<Arc<Table>>,
    /// Bytes of a table, about.
    target: u64,
    cut: Cut,
    filter: Option<Filter>,
    /// Bytes written, about.
    pub written: u64,
}

impl RunWriter {
    pub fn new(target: u64, cut: Cut) -> Self {
        RunWriter { current: None, done: Vec::new(), target, cut, filter: None, written: 0 }
    }

    /// The same with a filter, for so many keys.
    pub fn with_filter(self, keys: usize) -> Self {
        RunWriter { filter: Some(Filter::new(keys)), ..self }
    }

    /// Bytes of the table that is not whole yet.
    pub fn open_bytes(&self) -> u64 {
        self.current.as_ref().map_or(0, TableWriter::len)
    }

    pub fn memory(&self) -> usize {
        let filter = self.filter.as_ref().map_or(0, Filter::bytes);
        self.current.as_ref().map_or(0, TableWriter::memory) + filter
    }

    pub fn add(
        &mut self,
        files: &mut Files,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StateError> {
        let ends = self.current.as_ref().is_some_and(|current| {
            let length = current.len();
            let between = self.cut == Cut::Anywhere || current.last()[..2] != key[..2];
            length >= self.target && (between || length >= 2 * self.target)
        });
        if ends {
            self.end_table()?;
        }
        let current = match &mut self.current {
            Some(current) => current,
            none => none.insert(TableWriter::new(files)?),
        };
        let before = current.len();
        current.add(key, value)?;
        if let Some(filter) = &mut self.filter {
            filter.add(hash(key));
        }
        self.written += current.len().saturating_sub(before);
        Ok(())
    }

    pub fn end_table(&mut self) -> Result<(), StateError> {
        if let Some(current) = self.current.take() {
            self.done.push(Arc::new(current.finish()?));
        }
        Ok(())
    }

    /// The tables that are whole by now.
    pub fn take_done(&mut self) -> Vec<Arc<Table>> {
        std::mem::take(&mut self.done)
    }

    pub fn finish(mut self) -> Result<Run, StateError> {
        self.end_table()?;
        let run = Run { tables: self.done, filter: self.filter.map(Arc::new) };
        run.check_order();
        Ok(run)
    }
}

/// A part of a table: keys from one on, and before another.
#[derive(Clone)]
pub(super) struct Part {
    pub table: Arc<Table>,
    /// Empty for all.
    pub from: Vec<u8>,
    /// `None` for all.
    pub to: Option<Vec<u8>>,
}

/// The parts of a run's tables that have keys of a range.
pub(super) fn parts(run: &Run, from: &[u8], to: Option<&[u8]>) -> Vec<Part> {
    let first = run.tables.partition_point(|table| *table.last < *from);
    let overlapping =
        run.tables[first..].iter().take_while(|table| to.is_none_or(|to| *table.first < *to));
    overlapping
        .map(|table| Part { table: table.clone(), from: from.to_vec(), to: to.map(<[u8]>::to_vec) })
        .collect()
}

/// Reads parts one behind the other, entry by entry.
pub(super) struct Cursor {
    /// In reverse.
    parts: Vec<Part>,
    /// Units that are read in one go.
    ahead: u32,
    bytes: Vec<u8>,
    /// Which unit the bytes begin with.
    bytes_unit: u32,
    /// Where the next block is.
    next_unit: u32,
    entries: Range<usize>,
    key: Vec<u8>,
    value: Option<Range<usize>>,
    is_at_end: bool,
    /// Bytes read.
    pub read: u64,
}

impl Cursor {
    /// Stands on the first entry; reads so many units in one go.
    pub fn new(
        mut parts: Vec<Part>,
        ahead: u32,
        cache: &mut Option<&mut BlockCache>,
    ) -> Result<Self, StateError> {
        parts.reverse();
        let mut cursor = Cursor {
            parts,
            ahead: ahead.max(1),
            bytes: Vec::new(),
            bytes_unit: 0,
            next_unit: 0,
            entries: 0..0,
            key: Vec::new(),
            value: None,
            is_at_end: false,
            read: 0,
        };
        cursor.open_part()?;
        cursor.advance(cache)?;
        Ok(cursor)
    }

    pub fn memory(&self) -> usize {
        self.bytes.capacity() + self.key.capacity() + self.parts.len() * size_of::<Part>()
    }

    /// `None` behind the last entry.
    pub fn key(&self) -> Option<&[u8]> {
        (!self.is_at_end).then_some(&self.key[..])
    }

    /// `None` for a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.clone().map(|range| &self.bytes[range])
    }

    fn open_part(&mut self) -> Result<(), StateError> {
        self.entries = 0..0;
        self.bytes.clear();
        self.bytes_unit = 0;
        self.next_unit = 0;
        if let Some(part) = self.parts.last()
            && *part.from > *part.table.first
        {
            let index = part.table.index()?;
            self.next_unit = index.place(index.block(0, &part.from)).0;
        }
        Ok(())
    }

    pub fn advance(&mut self, cache: &mut Option<&mut BlockCache>) -> Result<(), StateError> {
        loop {
            let Some(part) = self.parts.last() else {
                self.is_at_end = true;
                return Ok(());
            };
            if self.entries.is_empty() {
                if self.next_unit >= part.table.data_units() {
                    self.parts.pop();
                    self.open_part()?;
                } else {
                    self.next_block(cache)?;
                }
                continue;
            }
            self.decode()?;
            let part = self.parts.last().expect("it was there");
            // To compare with nothing costs more than all the rest here.
            if !part.from.is_empty() && self.key < part.from {
                continue;
            }
            if part.to.as_ref().is_some_and(|to| self.key >= *to) {
                self.parts.pop();
                self.open_part()?;
                continue;
            }
            return Ok(());
        }
    }

    fn decode(&mut self) -> Result<(), StateError> {
        let table = &self.parts.last().expect("there are entries").table;
        let corrupt = || table.corrupt(self.bytes_unit, Damage::Unreadable);
        let entry = raw_entry(&self.bytes[..self.entries.end], self.entries.start);
        let entry = entry.ok_or_else(corrupt)?;
        if entry.shared > self.key.len() {
            return Err(corrupt());
        }
        self.key.truncate(entry.shared);
        self.key.extend_from_slice(&self.bytes[entry.rest]);
        self.value = entry.value;
        self.entries.start = entry.next;
        Ok(())
    }

    fn next_block(&mut self, cache: &mut Option<&mut BlockCache>) -> Result<(), StateError> {
        let table = self.parts.last().expect("a part is open").table.clone();
        self.key.clear();
        if let Some(cache) = cache {
            let (block, units) = cache.block(&table, self.next_unit)?;
            self.bytes.clear();
            self.bytes.extend_from_slice(block);
            self.bytes_unit = self.next_unit;
            self.next_unit += units;
            let end = table.parse(self.bytes_unit, &self.bytes)?.end();
            self.entries = 0..end;
            return Ok(());
        }
        let mut wanted = self.ahead;
        loop {
            let within = (self.next_unit - self.bytes_unit) as usize * table.unit();
            let rest = self.bytes.get(within..).unwrap_or_default();
            if let Some((payload, units)) = table.check(self.next_unit, rest)? {
                let begin = within + super::table::BLOCK_HEAD;
                let end = table.parse(self.next_unit, payload)?.end();
                self.entries = begin..begin + end;
                self.next_unit += units;
                return Ok(());
            }
            let left = table.data_units() - self.next_unit;
            let units = wanted.min(left);
            if self.bytes_unit == self.next_unit && rest.len() >= left as usize * table.unit() {
                return Err(table.corrupt(self.next_unit, Damage::Checksum));
            }
            table.read(self.next_unit, units, &mut self.bytes)?;
            let behind = self.next_unit + units;
            table.will_read(behind, self.ahead.min(table.data_units() - behind));
            self.read += self.bytes.len() as u64;
            self.bytes_unit = self.next_unit;
            wanted = wanted.saturating_mul(2);
        }
    }
}

/// Several cursors as one: of entries of one key the newest.
pub(super) struct Merge {
    /// The newest first.
    cursors: Vec<Cursor>,
    /// Those that are not at their end, in the order of their keys and then of age.
    order: Vec<usize>,
}

impl Merge {
    pub fn new(cursors: Vec<Cursor>) -> Self {
        let mut merge = Merge { cursors, order: Vec::new() };
        for index in 0..merge.cursors.len() {
            merge.place(index);
        }
        merge
    }

    /// How many cursors there are.
    pub fn len(&self) -> usize {
        self.cursors.len()
    }

    pub fn memory(&self) -> usize {
        self.cursors.iter().map(Cursor::memory).sum()
    }

    /// Bytes read.
    pub fn read(&self) -> u64 {
        self.cursors.iter().map(|cursor| cursor.read).sum()
    }

    fn comes_before(&self, one: usize, other: usize) -> bool {
        match self.cursors[one].key().cmp(&self.cursors[other].key()) {
            Ordering::Less => true,
            Ordering::Equal => one < other,
            Ordering::Greater => false,
        }
    }

    /// Puts a cursor that is in no place into its place.
    fn place(&mut self, index: usize) {
        if self.cursors[index].key().is_none() {
            return;
        }
        let behind = |other: &usize| self.comes_before(*other, index);
        // Mostly it comes first again.
        let place = self.order.iter().take_while(|other| behind(other)).count();
        self.order.insert(place, index);
    }

    pub fn key(&self) -> Option<&[u8]> {
        self.cursors[*self.order.first()?].key()
    }

    pub fn value(&self) -> Option<&[u8]> {
        self.cursors[*self.order.first()?].value()
    }

    /// Goes to the next key.
    pub fn advance(&mut self, cache: &mut Option<&mut BlockCache>) -> Result<(), StateError> {
        while let [first, second, ..] = self.order[..]
            && self.cursors[first].key() == self.cursors[second].key()
        {
            self.order.remove(1);
            self.cursors[second].advance(cache)?;
            self.place(second);
        }
        let Some(first) = self.order.first().copied() else { return Ok(()) };
        self.cursors[first].advance(cache)?;
        let is_placed = self.cursors[first].key().is_some()
            && self.order.get(1).is_none_or(|second| self.comes_before(first, *second));
        if !is_placed {
            self.order.remove(0);
            self.place(first);
        }
        Ok(())
    }
}
