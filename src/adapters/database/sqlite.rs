//! SQLite. Its calls are not asynchronous: they hold the thread of the task that writes, which is its own.
//!
//! SQLite's defaults are kept where they matter: a commit is synced before it returns (`synchronous = FULL`). Writers of
//! several processes take turns at the file.

use super::{
    limits::{CALL_TIMEOUT, RETRY_DELAY},
    sql,
};
use crate::{
    host::Host,
    system::{
        rpc::RpcError,
        service::{
            ServiceClient, ServiceError,
            database::{
                Database, DatabaseError, DatabaseRefusal, DatabaseRow, DatabaseWrite,
                ROWS_BYTES_MAX, TableKind, TableSpec, WriterId, Written,
            },
        },
    },
};
use futures::{FutureExt, future::BoxFuture};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};
use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// A database in a file.
pub struct SqliteDatabase {
    host: Host,
    path: PathBuf,
    /// `None` before the first call, and after one that failed.
    connection: Mutex<Option<Connection>>,
}

impl SqliteDatabase {
    /// The one in that file, which the first call makes if it is not there.
    pub fn new(host: &Host, path: &str) -> Self {
        let (host, path) = (host.clone(), PathBuf::from(path));
        SqliteDatabase { host, path, connection: Mutex::new(None) }
    }

    fn held(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().expect("no panic under this lock")
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(CALL_TIMEOUT)?;
        Ok(connection)
    }

    /// Does something in a transaction, and commits it if it is to be kept.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(T, Keep), DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let mut held = self.held();
        // A call that fails leaves none behind: with the connection goes its transaction.
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => self.connect().map_err(before_commit)?,
        };
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(before_commit)?;
        let (value, keep) = work(&transaction)?;
        match keep {
            Keep::Commit => transaction.commit().map_err(at_commit)?,
            Keep::Nothing => transaction.rollback().map_err(before_commit)?,
        }
        *held = Some(connection);
        Ok(value)
    }
}

/// What becomes of a transaction.
enum Keep {
    Commit,
    Nothing,
}

fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What an error comes to before anything is committed: nothing was done.
fn before_commit(error: rusqlite::Error) -> DatabaseError {
    let passes = is_busy(&error)
        || matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory)
        );
    match passes {
        true => ServiceError::NotDone(RpcError::Application(error.to_string())),
        false => ServiceError::Refused(DatabaseRefusal::Other(error.to_string())),
    }
}

/// What an error of a commit comes to.
fn at_commit(error: rusqlite::Error) -> DatabaseError {
    let text = RpcError::Application(error.to_string());
    // Who waited for others in vain has committed nothing, and the transaction goes with the connection.
    match is_busy(&error) {
        true => ServiceError::NotDone(text),
        false => ServiceError::Indeterminate(text),
    }
}

/// A statement with its parameters as SQLite counts them by number; `$1` would be a name.
fn numbered(statement: &str) -> String {
    statement.replace('$', "?")
}

fn writer_row(transaction: &Transaction<'_>, writer: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    transaction.query_row(&numbered(sql::WRITER_ROW), params![writer], row).optional()
}

/// Whether there is a table of that name with another primary key.
fn is_of_other_kind(transaction: &Transaction<'_>, table: &TableSpec) -> rusqlite::Result<bool> {
    let keys = "SELECT COUNT(*) FROM pragma_table_info(?1) WHERE name = 'key' AND pk > 0";
    let keys: i64 = transaction.query_row(keys, params![table.name], |row| row.get(0))?;
    Ok((keys > 0) != (table.kind == TableKind::Keyed))
}

fn begin(
    transaction: &Transaction<'_>,
    by: &WriterId,
    table: &TableSpec,
) -> Result<(u64, Keep), DatabaseError> {
    by.check().and(table.check()).map_err(ServiceError::Refused)?;
    let generation = sql::number(by.generation).map_err(ServiceError::Refused)?;
    let done = || -> rusqlite::Result<(bool, Option<(i64, i64)>)> {
        transaction.execute(sql::CREATE_WRITERS, [])?;
        transaction.execute(&sql::create_table(table), [])?;
        transaction.execute(&numbered(sql::BEGIN_WRITER), params![by.writer, generation])?;
        Ok((is_of_other_kind(transaction, table)?, writer_row(transaction, &by.writer)?))
    };
    match done().map_err(before_commit)? {
        (true, _) => Err(ServiceError::Refused(DatabaseRefusal::OtherKind)),
        (false, row) => {
            let number = sql::begun(row, by.generation).map_err(ServiceError::Refused)?;
            Ok((number, Keep::Commit))
        }
    }
}

fn write(
    transaction: &Transaction<'_>,
    write: &DatabaseWrite,
) -> Result<(Written, Keep), DatabaseError> {
    let DatabaseWrite { by, number, table, rows } = write;
    write.check().map_err(ServiceError::Refused)?;
    let refused = ServiceError::Refused;
    let (generation, number) = (sql::number(by.generation), sql::number(number.value()));
    let (generation, number) = (generation.map_err(refused)?, number.map_err(refused)?);
    let moved =
        transaction.execute(&numbered(sql::MOVE_ON), params![by.writer, generation, number]);
    if moved.map_err(before_commit)? == 0 {
        let row = writer_row(transaction, &by.writer).map_err(before_commit)?;
        let written = sql::not_moved(row, by.generation, write.number.value()).map_err(refused)?;
        return Ok((written, Keep::Nothing));
    }
    let insert_all = || -> rusqlite::Result<()> {
        let insert = sql::insert(table, "VALUES (?1, ?2)");
        let mut insert = transaction.prepare(&insert)?;
        rows.iter().try_for_each(|row| insert.execute(params![row.key, row.value]).map(drop))
    };
    insert_all().map_err(before_commit)?;
    Ok((Written::Now, Keep::Commit))
}

fn read(
    transaction: &Transaction<'_>,
    table: &TableSpec,
    behind: u64,
    rows_max: u32,
) -> Result<(Vec<DatabaseRow>, Keep), DatabaseError> {
    table.check().map_err(ServiceError::Refused)?;
    let behind = sql::number(behind).map_err(ServiceError::Refused)?;
    let page = || -> rusqlite::Result<Vec<DatabaseRow>> {
        let mut select = transaction.prepare(&numbered(&sql::select(table)))?;
        let mut found = select.query(params![rows_max.max(1), behind])?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes < ROWS_BYTES_MAX
            && let Some(row) = found.next()?
        {
            let row = DatabaseRow { key: row.get(0)?, value: row.get(1)? };
            bytes += row.bytes();
            rows.push(row);
        }
        Ok(rows)
    };
    Ok((page().map_err(before_commit)?, Keep::Nothing))
}

impl ServiceClient for SqliteDatabase {
    fn host(&self) -> &Host {
        &self.host
    }

    fn retry_delay(&self) -> Duration {
        RETRY_DELAY
    }
}

impl Database for SqliteDatabase {
    fn begin_writer<'a>(
        &'a self,
        by: &'a WriterId,
        table: &'a TableSpec,
    ) -> BoxFuture<'a, Result<u64, DatabaseError>> {
        async move { self.transact(|transaction| begin(transaction, by, table)) }.boxed()
    }

    fn write<'a>(
        &'a self,
        wanted: &'a DatabaseWrite,
    ) -> BoxFuture<'a, Result<Written, DatabaseError>> {
        async move { self.transact(|transaction| write(transaction, wanted)) }.boxed()
    }

    fn read<'a>(
        &'a self,
        table: &'a TableSpec,
        behind: u64,
        rows_max: u32,
    ) -> BoxFuture<'a, Result<Vec<DatabaseRow>, DatabaseError>> {
        async move { self.transact(|transaction| read(transaction, table, behind, rows_max)) }
            .boxed()
    }
}
