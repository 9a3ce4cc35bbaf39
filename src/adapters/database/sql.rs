//! The protocol in SQL that SQLite and PostgreSQL both take, but for the parameters, which here are PostgreSQL's.
//!
//! A write is one transaction: it moves the writer's row on, if its generation is the one that may write and its number
//! is greater; that locks the row until the end. Where the row was moved it writes the rows and commits, and else it
//! looks at the row to say why not, and rolls back.

use crate::system::service::database::{
    DatabaseRefusal, DatabaseRow, Table, TableKind, TableSpec, Written,
};

/// Makes the table of the writers.
pub const CREATE_WRITERS: &str = "CREATE TABLE IF NOT EXISTS wavetank_writers (\
    writer TEXT PRIMARY KEY, generation BIGINT NOT NULL, number BIGINT NOT NULL)";

/// Makes a life of a writer, `$1` and `$2`, the current one unless a newer one has begun.
pub const BEGIN_WRITER: &str = "INSERT INTO wavetank_writers (writer, generation, number) \
    VALUES ($1, $2, 0) ON CONFLICT (writer) DO UPDATE SET generation = excluded.generation \
    WHERE wavetank_writers.generation <= excluded.generation";

/// Moves the row of a writer, `$1`, on to a number, `$3`, if it is of the generation `$2` and not as far.
pub const MOVE_ON: &str = "UPDATE wavetank_writers SET number = $3 \
    WHERE writer = $1 AND generation = $2 AND number < $3";

/// The row of a writer, `$1`.
pub const WRITER_ROW: &str = "SELECT generation, number FROM wavetank_writers WHERE writer = $1";

/// A table's name in SQL, which needs no more than quotes: [`TableSpec::check`].
fn quoted(table: &TableSpec) -> String {
    format!("\"{}\"", table.name)
}

/// Makes a table.
pub fn create_table(table: &TableSpec) -> String {
    let key = match table.kind {
        TableKind::Plain => "NOT NULL",
        TableKind::Keyed => "PRIMARY KEY NOT NULL",
    };
    let name = quoted(table);
    format!("CREATE TABLE IF NOT EXISTS {name} (key TEXT {key}, value TEXT NOT NULL)")
}

/// Writes what `source` makes of rows.
pub fn insert(table: &TableSpec, source: &str) -> String {
    let conflict = match table.kind {
        TableKind::Plain => "",
        TableKind::Keyed => " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    };
    format!("INSERT INTO {} (key, value) {source}{conflict}", quoted(table))
}

/// Rows of a table, at most `$1` behind `$2`.
pub fn select(table: &TableSpec) -> String {
    format!("SELECT key, value FROM {} ORDER BY key, value LIMIT $1 OFFSET $2", quoted(table))
}

/// The rows of which none takes the place of another: one statement may write them all.
pub fn last_of_each_key(table: &TableSpec, rows: &[DatabaseRow]) -> Vec<DatabaseRow> {
    let mut held = Table::new(table.kind);
    held.write(rows);
    held.into_rows()
}

/// A number as the database keeps it.
///
/// # Errors
/// Beyond 2^63.
pub fn number(number: u64) -> Result<i64, DatabaseRefusal> {
    i64::try_from(number).map_err(|_| DatabaseRefusal::Other(format!("{number} is no BIGINT")))
}

/// A number that the database kept.
pub fn kept(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Why a writer's row, its generation and number, was not moved on to a number.
///
/// # Errors
/// The refusal.
pub fn not_moved(
    row: Option<(i64, i64)>,
    generation: u64,
    number: u64,
) -> Result<Written, DatabaseRefusal> {
    match row {
        None => Err(DatabaseRefusal::Unknown),
        Some((current, _)) if kept(current) != generation => {
            Err(DatabaseRefusal::Fenced { current: kept(current) })
        }
        Some((_, known)) if kept(known) >= number => Ok(Written::Before),
        // Whoever made the table, made it otherwise: nothing may be taken for written.
        Some((_, known)) => Err(DatabaseRefusal::Other(format!(
            "wavetank_writers stays at {known} where {number} was to be set"
        ))),
    }
}

/// The number of the last write of a writer whose life has just begun.
///
/// # Errors
/// That a newer one has begun.
pub fn begun(row: Option<(i64, i64)>, generation: u64) -> Result<u64, DatabaseRefusal> {
    match row {
        None => Err(DatabaseRefusal::Unknown),
        Some((current, _)) if kept(current) != generation => {
            Err(DatabaseRefusal::Fenced { current: kept(current) })
        }
        Some((_, number)) => Ok(kept(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_row_that_is_as_far_says_that_a_write_was_done() {
        assert_eq!(not_moved(Some((2, 5)), 2, 5), Ok(Written::Before));
        assert_eq!(not_moved(Some((2, 5)), 2, 4), Ok(Written::Before));
        assert_eq!(not_moved(None, 2, 4), Err(DatabaseRefusal::Unknown));
        assert_eq!(not_moved(Some((3, 5)), 2, 5), Err(DatabaseRefusal::Fenced { current: 3 }));
        assert!(matches!(not_moved(Some((2, 4)), 2, 5), Err(DatabaseRefusal::Other(_))));
    }
}
