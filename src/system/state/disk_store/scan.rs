//! Going through keys in order.

use super::{
    cache::BlockCache,
    error::StateError,
    record_table::{Place, RecordTable},
    run::{Cursor, Merge, parts},
    store::DiskStore,
};

/// A key and its value.
pub type Record<'a> = (&'a [u8], &'a [u8]);

/// Records in the order of their keys; made by [`DiskStore::scan`].
pub struct Scan<'a> {
    tables: Vec<&'a RecordTable>,
    /// The next written record of each table.
    places: Vec<Option<Place>>,
    merge: Merge,
    cache: &'a mut BlockCache,
    to: Option<Vec<u8>>,
    /// What was answered last, and is to be passed.
    passed: Option<Source>,
}

#[derive(Clone, Copy)]
enum Source {
    /// A table of records, by its index.
    Memory(usize),
    Runs,
}

impl DiskStore {
    /// The records with keys from one on and before another, or all behind it, in the order of their keys.
    ///
    /// # Errors
    /// What the disk says, and that a file is corrupt.
    pub fn scan(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Scan<'_>, StateError> {
        self.records.sort();
        let DiskStore { records, levels, cache, .. } = self;
        let mut cursors = Vec::new();
        for run in levels.level.iter().chain([&levels.base]) {
            cursors.push(Cursor::new(parts(run, from, to), 1, &mut Some(&mut *cache))?);
        }
        let tables: Vec<&RecordTable> = records.above_runs().collect();
        let places = tables.iter().map(|table| table.seek(from, false)).collect();
        let to = to.map(<[u8]>::to_vec);
        Ok(Scan { tables, places, merge: Merge::new(cursors), cache, to, passed: None })
    }
}

impl Scan<'_> {
    /// The next key and its value.
    ///
    /// # Errors
    /// What the disk says, and that a file is corrupt.
    #[expect(clippy::should_implement_trait, reason = "what it answers is borrowed from it")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, StateError> {
        loop {
            if let Some(passed) = self.passed.take() {
                self.pass(passed)?;
            }
            let Some(first) = self.first() else { return Ok(None) };
            let (key, value) = self.record(first);
            if self.to.as_ref().is_some_and(|to| *key >= **to) {
                return Ok(None);
            }
            let is_alive = value.is_some();
            self.passed = Some(first);
            if is_alive {
                let (key, value) = self.record(first);
                return Ok(value.map(|value| (key, value)));
            }
        }
    }

    fn record(&self, source: Source) -> (&[u8], Option<&[u8]>) {
        match source {
            Source::Memory(table) => {
                let place = self.places[table].expect("it has a record");
                (self.tables[table].key(place), self.tables[table].value(place))
            }
            Source::Runs => (self.merge.key().expect("it has an entry"), self.merge.value()),
        }
    }

    /// Where the next key is, the newest of several.
    fn first(&self) -> Option<Source> {
        let memory = self.tables.iter().zip(&self.places).enumerate();
        let memory =
            memory.filter_map(|(index, (table, place))| Some((table.key((*place)?), index)));
        let memory = memory.min();
        match (memory, self.merge.key()) {
            (Some((key, index)), other) if other.is_none_or(|other| key <= other) => {
                Some(Source::Memory(index))
            }
            (_, other) => other.map(|_| Source::Runs),
        }
    }

    /// Goes behind a record, everywhere.
    fn pass(&mut self, passed: Source) -> Result<(), StateError> {
        let key = self.record(passed).0.to_vec();
        for (table, place) in self.tables.iter().zip(&mut self.places) {
            if place.is_some_and(|place| table.key(place) == key) {
                *place = table.seek(&key, true);
            }
        }
        if self.merge.key() == Some(&key[..]) {
            self.merge.advance(&mut Some(&mut *self.cache))?;
        }
        Ok(())
    }
}
