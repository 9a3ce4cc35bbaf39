//! The words in which sinks and databases speak.

use crate::system::ids::CheckpointId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest name of a writer, in bytes.
pub const WRITER_BYTES_MAX: usize = 512;

/// The longest name of a table, in bytes: that of PostgreSQL.
pub const TABLE_NAME_BYTES_MAX: usize = 63;

/// The largest row, in bytes.
pub const ROW_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes of rows in one write.
pub const DATABASE_WRITE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most bytes of rows in one answer.
pub const ROWS_BYTES_MAX: usize = 1024 * 1024;

/// What a row takes beside its bytes, for the bounds above.
pub const ROW_BYTES_AROUND: usize = 32;

/// A row: two columns of text, `key` and `value`. Neither holds the character NUL, which PostgreSQL does not take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DatabaseRow {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl DatabaseRow {
    /// A row of these.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        DatabaseRow { key: key.into(), value: value.into() }
    }

    /// Whether a database may take it.
    ///
    /// # Errors
    /// [`DatabaseRefusal`]: `BadRow` or `TooLarge`.
    pub fn check(&self) -> Result<(), DatabaseRefusal> {
        match (self.key.contains('\0') || self.value.contains('\0'), self.bytes() > ROW_BYTES_MAX) {
            (true, _) => Err(DatabaseRefusal::BadRow),
            (false, true) => Err(DatabaseRefusal::TooLarge),
            (false, false) => Ok(()),
        }
    }

    /// What it takes of the bounds.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.len() + ROW_BYTES_AROUND
    }
}

/// What becomes of a row whose key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TableKind {
    /// It is one more row: the key is no key of the table.
    Plain,
    /// It takes the place of the other: the key is the table's primary key.
    Keyed,
}

/// A table as a sink wants it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableSpec {
    /// Its name: of `a-z`, `0-9`, `_` and `-`, not a digit at first.
    pub name: String,
    /// What becomes of a row whose key is there.
    pub kind: TableKind,
}

impl TableSpec {
    /// Whether a table can have that name.
    ///
    /// # Errors
    /// [`DatabaseRefusal::BadName`].
    pub fn check(&self) -> Result<(), DatabaseRefusal> {
        let of_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        let name = self.name.as_bytes();
        let begins = name.first().is_some_and(|first| !first.is_ascii_digit());
        let fits = begins && name.len() <= TABLE_NAME_BYTES_MAX;
        match fits && name.iter().all(|byte| of_name(*byte)) {
            true => Ok(()),
            false => Err(DatabaseRefusal::BadName),
        }
    }
}

/// A life of a writer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WriterId {
    /// The writer, over all its lives; from 1 to [`WRITER_BYTES_MAX`] bytes.
    pub writer: String,
    /// Grows with each life.
    pub generation: u64,
}

/// The number of a write. Grows with each write of a writer, over all its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WriteNumber {
    /// The checkpoint whose rows are written.
    Checkpoint(CheckpointId),
    /// One more than the write before, of a writer whose rows wait for no checkpoint.
    Batch(u64),
}

impl WriteNumber {
    /// What is kept of it in the writer's row.
    pub fn value(self) -> u64 {
        match self {
            WriteNumber::Checkpoint(CheckpointId(number)) | WriteNumber::Batch(number) => number,
        }
    }
}

/// Rows that are written in one transaction, together with the writer's row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DatabaseWrite {
    /// Who writes.
    pub by: WriterId,
    /// The write's number.
    pub number: WriteNumber,
    /// To which table.
    pub table: TableSpec,
    /// The rows, in order.
    pub rows: Vec<DatabaseRow>,
}

impl DatabaseWrite {
    /// Whether a database may take it.
    ///
    /// # Errors
    /// [`DatabaseRefusal`]: `BadName`, `BadRow` or `TooLarge`.
    pub fn check(&self) -> Result<(), DatabaseRefusal> {
        self.by.check()?;
        self.table.check()?;
        self.rows.iter().try_for_each(DatabaseRow::check)?;
        match self.bytes() > DATABASE_WRITE_BYTES_MAX {
            true => Err(DatabaseRefusal::TooLarge),
            false => Ok(()),
        }
    }

    /// What its rows take of the bounds.
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(DatabaseRow::bytes).sum()
    }
}

impl WriterId {
    /// Whether a writer can have that name.
    ///
    /// # Errors
    /// [`DatabaseRefusal::BadName`].
    pub fn check(&self) -> Result<(), DatabaseRefusal> {
        let fits = (1..=WRITER_BYTES_MAX).contains(&self.writer.len());
        match fits && !self.writer.contains('\0') {
            true => Ok(()),
            false => Err(DatabaseRefusal::BadName),
        }
    }
}

/// When a write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Written {
    /// By this call.
    Now,
    /// By an earlier call, whose answer was lost or came to another life of the writer.
    Before,
}

/// Why a database did not do what it was asked; nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum DatabaseRefusal {
    /// A writer or a table can't have that name.
    #[error("not a name")]
    BadName,
    /// A row holds the character NUL.
    #[error("a row holds the character NUL")]
    BadRow,
    /// Another life of the writer has begun.
    #[error("generation {current} of the writer has begun")]
    Fenced {
        /// The current generation.
        current: u64,
    },
    /// The writer never began.
    #[error("the writer is not known")]
    Unknown,
    /// There is no such table.
    #[error("no such table")]
    NoTable,
    /// The table is there and is of the other kind.
    #[error("the table has another primary key")]
    OtherKind,
    /// A row has more than [`ROW_BYTES_MAX`] bytes, or a write more than [`DATABASE_WRITE_BYTES_MAX`].
    #[error("too large")]
    TooLarge,
    /// The database holds as much as it can.
    #[error("the database is full")]
    Full,
    /// What else the database says, such as that a permission lacks.
    #[error("the database says: {0}")]
    Other(String),
}

/// A table and its rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Table {
    /// Of a plain one, in the order in which they were written.
    Plain(Vec<DatabaseRow>),
    /// Of a keyed one, by their keys.
    Keyed(BTreeMap<String, String>),
}

impl Table {
    /// An empty one.
    pub fn new(kind: TableKind) -> Self {
        match kind {
            TableKind::Plain => Table::Plain(Vec::new()),
            TableKind::Keyed => Table::Keyed(BTreeMap::new()),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> TableKind {
        match self {
            Table::Plain(_) => TableKind::Plain,
            Table::Keyed(_) => TableKind::Keyed,
        }
    }

    /// How many rows it has.
    pub fn len(&self) -> u64 {
        match self {
            Table::Plain(rows) => rows.len() as u64,
            Table::Keyed(rows) => rows.len() as u64,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes rows in, in order; by how many bytes it has grown, or shrunk.
    pub fn write(&mut self, rows: &[DatabaseRow]) -> i64 {
        rows.iter().map(|row| self.insert(row.clone())).sum()
    }

    /// Takes a row in; by how many bytes it has grown, or shrunk.
    pub fn insert(&mut self, row: DatabaseRow) -> i64 {
        let length = |bytes: usize| i64::try_from(bytes).expect("a row is bounded");
        let (bytes, value) = (length(row.bytes()), length(row.value.len()));
        match self {
            Table::Plain(held) => {
                held.push(row);
                bytes
            }
            Table::Keyed(held) => match held.insert(row.key, row.value) {
                None => bytes,
                Some(before) => value - length(before.len()),
            },
        }
    }

    /// Its rows, as [`rows`](Self::rows) has them.
    pub fn into_rows(self) -> Vec<DatabaseRow> {
        match self {
            Table::Plain(rows) => rows,
            Table::Keyed(rows) => {
                rows.into_iter().map(|(key, value)| DatabaseRow { key, value }).collect()
            }
        }
    }

    /// Its rows: of a plain table in the order in which they were written, of a keyed one by key.
    pub fn rows(&self) -> Box<dyn Iterator<Item = DatabaseRow> + '_> {
        match self {
            Table::Plain(rows) => Box::new(rows.iter().cloned()),
            Table::Keyed(rows) => {
                Box::new(rows.iter().map(|(key, value)| DatabaseRow::new(key, value)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> TableSpec {
        TableSpec { name: name.to_string(), kind: TableKind::Plain }
    }

    #[test]
    fn what_no_database_would_take_is_refused_before_it_is_sent() {
        for name in ["rows", "bank-ledger-output", "_r1", &"a".repeat(63)] {
            assert_eq!(table(name).check(), Ok(()), "{name}");
        }
        for name in ["", "1a", "A", "a\"b", "a;b", "ä", "a b", &"a".repeat(64)] {
            assert_eq!(table(name).check(), Err(DatabaseRefusal::BadName), "{name}");
        }
        let writer = |writer: &str| WriterId { writer: writer.to_string(), generation: 1 };
        assert_eq!(writer(&"w".repeat(WRITER_BYTES_MAX)).check(), Ok(()));
        for name in ["", "w\0", &"w".repeat(WRITER_BYTES_MAX + 1)] {
            assert_eq!(writer(name).check(), Err(DatabaseRefusal::BadName), "{name:?}");
        }
        let by = writer("w");
        let write = |rows: Vec<DatabaseRow>| {
            let number = WriteNumber::Batch(1);
            DatabaseWrite { by: by.clone(), number, table: table("t"), rows }.check()
        };
        assert_eq!(write(vec![DatabaseRow::new("a", "b\0")]), Err(DatabaseRefusal::BadRow));
        let long = "a".repeat(ROW_BYTES_MAX);
        assert_eq!(write(vec![DatabaseRow::new("a", long)]), Err(DatabaseRefusal::TooLarge));
        let half = DatabaseRow::new("a", "a".repeat(ROW_BYTES_MAX / 2));
        assert_eq!(write(vec![half.clone(); 7]), Ok(()));
        assert_eq!(write(vec![half; 9]), Err(DatabaseRefusal::TooLarge));
    }

    #[test]
    fn a_row_takes_the_place_of_another_where_the_key_is_one() {
        let rows = [("b", "1"), ("a", "1"), ("b", "2")].map(|(k, v)| DatabaseRow::new(k, v));
        let (mut plain, mut keyed) = (Table::new(TableKind::Plain), Table::new(TableKind::Keyed));
        assert_eq!(plain.write(&rows), 3 * 34);
        assert_eq!(keyed.write(&rows), 2 * 34);
        assert_eq!(plain.rows().collect::<Vec<_>>(), rows);
        let found: Vec<_> = keyed.rows().map(|row| row.key + &row.value).collect();
        assert_eq!((found, keyed.len()), (vec!["a1".to_string(), "b2".to_string()], 2));
        let longer_and_shorter = ["123", "1", "123", "1"].map(|value| DatabaseRow::new("a", value));
        assert_eq!(keyed.write(&longer_and_shorter), 0);
    }
}
