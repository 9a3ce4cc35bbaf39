//! The server's state as a function of its records, and what calls make of it.

use super::model::{
    DatabaseRefusal, DatabaseRow, DatabaseWrite, ROWS_BYTES_MAX, Table, TableSpec, WriterId,
};
use crate::system::service::durable::Durable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tables at one server.
const TABLES_MAX: usize = 1024;
/// Writers at one server.
const WRITERS_MAX: usize = 65_536;
/// Bytes of rows at one server.
const DATABASE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What the log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    Begin {
        by: WriterId,
        table: TableSpec,
    },
    Write {
        writer: String,
        /// What the writer's row says from now on.
        number: u64,
        table: String,
        rows: Vec<DatabaseRow>,
    },
}

/// A writer's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WriterRow {
    pub generation: u64,
    /// That of its last write, 0 before the first.
    pub number: u64,
}

/// What a write comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is done already.
    Repeat,
    /// The rows come behind so many of the table.
    Write { first: u64, record: Record },
}

/// Writers and tables after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DatabaseState {
    writers: BTreeMap<String, WriterRow>,
    tables: BTreeMap<String, Table>,
    bytes: u64,
}

impl Durable for DatabaseState {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Begin { by, table } => {
                let row = self.writers.entry(by.writer.clone());
                row.or_insert(WriterRow { generation: 0, number: 0 }).generation = by.generation;
                let new = || Table::new(table.kind);
                self.tables.entry(table.name.clone()).or_insert_with(new);
            }
            Record::Write { writer, number, table, rows } => {
                if let Some(row) = self.writers.get_mut(writer) {
                    row.number = *number;
                }
                if let Some(table) = self.tables.get_mut(table) {
                    self.bytes = self.bytes.saturating_add_signed(table.write(rows));
                }
            }
        }
    }
}

impl DatabaseState {
    /// Every writer with its row.
    pub fn writers(&self) -> impl Iterator<Item = (&String, WriterRow)> {
        self.writers.iter().map(|(writer, row)| (writer, *row))
    }

    /// Every table by its name.
    pub fn tables(&self) -> &BTreeMap<String, Table> {
        &self.tables
    }

    /// A writer's row.
    pub fn row(&self, writer: &str) -> Option<WriterRow> {
        self.writers.get(writer).copied()
    }

    /// What the beginning of a life comes to; no record when it has begun.
    pub fn begin(
        &self,
        by: &WriterId,
        table: &TableSpec,
    ) -> Result<Option<Record>, DatabaseRefusal> {
        by.check()?;
        table.check()?;
        let row = self.row(&by.writer);
        if let Some(row) = row.filter(|row| row.generation > by.generation) {
            return Err(DatabaseRefusal::Fenced { current: row.generation });
        }
        let known = self.tables.get(&table.name);
        if known.is_some_and(|known| known.kind() != table.kind) {
            return Err(DatabaseRefusal::OtherKind);
        }
        let full = row.is_none() && self.writers.len() >= WRITERS_MAX
            || known.is_none() && self.tables.len() >= TABLES_MAX;
        if full {
            return Err(DatabaseRefusal::Full);
        }
        let begun = row.is_some_and(|row| row.generation == by.generation) && known.is_some();
        Ok((!begun).then(|| Record::Begin { by: by.clone(), table: table.clone() }))
    }

    /// What a write comes to.
    pub fn write(&self, write: DatabaseWrite) -> Result<Decision, DatabaseRefusal> {
        write.check()?;
        let row = self.row(&write.by.writer).ok_or(DatabaseRefusal::Unknown)?;
        if row.generation != write.by.generation {
            return Err(DatabaseRefusal::Fenced { current: row.generation });
        }
        if write.number.value() <= row.number {
            return Ok(Decision::Repeat);
        }
        let table = self.tables.get(&write.table.name).ok_or(DatabaseRefusal::NoTable)?;
        if table.kind() != write.table.kind {
            return Err(DatabaseRefusal::OtherKind);
        }
        if self.bytes + write.bytes() as u64 > DATABASE_BYTES_MAX {
            return Err(DatabaseRefusal::Full);
        }
        let (first, number) = (table.len(), write.number.value());
        let DatabaseWrite { by: WriterId { writer, .. }, table, rows, .. } = write;
        Ok(Decision::Write {
            first,
            record: Record::Write { writer, number, table: table.name, rows },
        })
    }

    /// Rows of a table behind so many.
    pub fn read(
        &self,
        table: &TableSpec,
        behind: u64,
        rows_max: u32,
    ) -> Result<Vec<DatabaseRow>, DatabaseRefusal> {
        table.check()?;
        let table = self.tables.get(&table.name).ok_or(DatabaseRefusal::NoTable)?;
        let behind = usize::try_from(behind).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |row: &DatabaseRow| {
            let first = bytes == 0;
            bytes += row.bytes();
            first || bytes <= ROWS_BYTES_MAX
        };
        let rows = table.rows().skip(behind).take(rows_max.max(1) as usize);
        Ok(rows.take_while(fits).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::model::*, *};
    use crate::system::ids::CheckpointId;

    fn by(generation: u64) -> WriterId {
        WriterId { writer: "w".to_string(), generation }
    }

    fn table(kind: TableKind) -> TableSpec {
        TableSpec { name: "t".to_string(), kind }
    }

    fn write(generation: u64, checkpoint: u64, value: &str) -> DatabaseWrite {
        DatabaseWrite {
            by: by(generation),
            number: WriteNumber::Checkpoint(CheckpointId(checkpoint)),
            table: table(TableKind::Plain),
            rows: vec![DatabaseRow::new("k", value)],
        }
    }

    fn begun(generation: u64) -> DatabaseState {
        let mut state = DatabaseState::default();
        begin(&mut state, generation).expect("it may begin");
        state
    }

    fn begin(state: &mut DatabaseState, generation: u64) -> Result<(), DatabaseRefusal> {
        let record = state.begin(&by(generation), &table(TableKind::Plain))?;
        record.iter().for_each(|record| state.apply(record));
        Ok(())
    }

    fn done(state: &mut DatabaseState, write: DatabaseWrite) -> Result<Written, DatabaseRefusal> {
        Ok(match state.write(write)? {
            Decision::Repeat => Written::Before,
            Decision::Write { record, .. } => {
                state.apply(&record);
                Written::Now
            }
        })
    }

    fn values(state: &DatabaseState) -> Vec<String> {
        let rows = state.read(&table(TableKind::Plain), 0, 100).expect("a table");
        rows.into_iter().map(|row| row.value).collect()
    }

    #[test]
    fn a_write_that_is_made_again_is_done_once_also_by_a_later_life() {
        let mut state = begun(1);
        assert_eq!(done(&mut state, write(1, 3, "a")), Ok(Written::Now));
        assert_eq!(done(&mut state, write(1, 3, "a")), Ok(Written::Before));
        begin(&mut state, 2).expect("newer");
        assert_eq!(done(&mut state, write(2, 3, "a")), Ok(Written::Before));
        assert_eq!(done(&mut state, write(2, 5, "b")), Ok(Written::Now));
        assert_eq!(done(&mut state, write(2, 4, "late")), Ok(Written::Before));
        assert_eq!(values(&state), ["a", "b"]);
        assert_eq!(state.row("w"), Some(WriterRow { generation: 2, number: 5 }));
    }

    #[test]
    fn an_older_life_is_refused_once_a_newer_one_has_begun() {
        let mut state = begun(2);
        let fenced = || Err(DatabaseRefusal::Fenced { current: 2 });
        assert_eq!(done(&mut state, write(1, 9, "old")), fenced());
        assert_eq!(begin(&mut state, 1), Err(DatabaseRefusal::Fenced { current: 2 }));
        assert_eq!(done(&mut state, write(3, 9, "not begun")), fenced());
        assert_eq!(begin(&mut state, 2), Ok(()), "once more is fine");
        assert_eq!(values(&state), [""; 0]);
    }

    #[test]
    fn what_is_not_there_or_of_another_kind_is_refused() {
        let state = begun(1);
        let unknown = WriterId { writer: "x".to_string(), generation: 1 };
        let of_unknown = DatabaseWrite { by: unknown, ..write(1, 1, "") };
        assert_eq!(state.write(of_unknown), Err(DatabaseRefusal::Unknown));
        let keyed = DatabaseWrite { table: table(TableKind::Keyed), ..write(1, 1, "") };
        assert_eq!(state.write(keyed), Err(DatabaseRefusal::OtherKind));
        let other = TableSpec { name: "u".to_string(), kind: TableKind::Plain };
        let elsewhere = DatabaseWrite { table: other.clone(), ..write(1, 1, "") };
        assert_eq!(state.write(elsewhere), Err(DatabaseRefusal::NoTable));
        assert_eq!(state.read(&other, 0, 1), Err(DatabaseRefusal::NoTable));
        let kind = state.begin(&by(1), &table(TableKind::Keyed));
        assert_eq!(kind, Err(DatabaseRefusal::OtherKind));
    }
}
