//! PostgreSQL.
//!
//! A call holds the connection while it runs and gives it back when its transaction has ended in a known way. After any
//! other end, a time-out included, the connection goes, and with it what was not committed; the next call makes a new
//! one. Only what fails from `COMMIT` on is indeterminate, and a call that took too long.

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
use std::{
    error::Error,
    future::Future,
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

/// A database on a server.
pub struct PostgresDatabase {
    host: Host,
    config: Config,
    /// `None` before the first call, while one runs, and after one that failed.
    client: Mutex<Option<Client>>,
}

impl PostgresDatabase {
    /// The one of these settings; it is connected to with the first call.
    pub fn new(host: &Host, mut config: Config) -> Self {
        config.connect_timeout(CALL_TIMEOUT);
        if config.get_application_name().is_none() {
            config.application_name("wavetank");
        }
        PostgresDatabase { host: host.clone(), config, client: Mutex::new(None) }
    }

    fn held(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().expect("no panic under this lock")
    }

    async fn client(&self) -> Result<Client, DatabaseError> {
        let held = self.held().take();
        if let Some(client) = held.filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        let (client, connection) = self.config.connect(NoTls).await.map_err(before_commit)?;
        self.host.spawn(async move {
            // It ends with the client; what went wrong, the call is told that met it.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Makes a call with a connection of its own, which is over in time.
    async fn call<T, F: Future<Output = Result<T, DatabaseError>>>(
        &self,
        work: impl FnOnce(Client) -> F,
    ) -> Result<T, DatabaseError> {
        let whole = async { work(self.client().await?).await };
        let done = self.host.timeout(CALL_TIMEOUT, whole).await;
        done.unwrap_or(Err(ServiceError::Indeterminate(RpcError::Timeout)))
    }

    /// Ends a transaction, and gives the connection back.
    async fn end(&self, client: Client, keep: Keep) -> Result<(), DatabaseError> {
        match keep {
            Keep::Commit => client.batch_execute("COMMIT").await.map_err(at_commit)?,
            Keep::Nothing => client.batch_execute("ROLLBACK").await.map_err(before_commit)?,
        }
        *self.held() = Some(client);
        Ok(())
    }

    async fn begin(
        &self,
        client: Client,
        by: &WriterId,
        table: &TableSpec,
    ) -> Result<u64, DatabaseError> {
        by.check().and(table.check()).map_err(ServiceError::Refused)?;
        let generation = sql::number(by.generation).map_err(ServiceError::Refused)?;
        let tables = format!("BEGIN; {}; {}", sql::CREATE_WRITERS, sql::create_table(table));
        client.batch_execute(&tables).await.map_err(of_creation)?;
        let begun = client.execute(sql::BEGIN_WRITER, &[&by.writer, &generation]).await;
        begun.map_err(before_commit)?;
        if is_of_other_kind(&client, table).await? {
            return Err(ServiceError::Refused(DatabaseRefusal::OtherKind));
        }
        let row = writer_row(&client, &by.writer).await?;
        let number = sql::begun(row, by.generation).map_err(ServiceError::Refused)?;
        self.end(client, Keep::Commit).await?;
        Ok(number)
    }

    async fn write(&self, client: Client, write: &DatabaseWrite) -> Result<Written, DatabaseError> {
        let DatabaseWrite { by, number, table, rows } = write;
        let refused = ServiceError::Refused;
        write.check().map_err(refused)?;
        let (generation, number) = (sql::number(by.generation), sql::number(number.value()));
        let (generation, number) = (generation.map_err(refused)?, number.map_err(refused)?);
        client.batch_execute("BEGIN").await.map_err(before_commit)?;
        let moved = client.execute(sql::MOVE_ON, &[&by.writer, &generation, &number]).await;
        if moved.map_err(before_commit)? == 0 {
            let row = writer_row(&client, &by.writer).await?;
            let written =
                sql::not_moved(row, by.generation, write.number.value()).map_err(refused)?;
            self.end(client, Keep::Nothing).await?;
            return Ok(written);
        }
        let rows = sql::last_of_each_key(table, rows);
        let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        let values: Vec<&str> = rows.iter().map(|row| row.value.as_str()).collect();
        let insert = sql::insert(table, "SELECT * FROM unnest($1::text[], $2::text[])");
        client.execute(&insert, &[&keys, &values]).await.map_err(before_commit)?;
        self.end(client, Keep::Commit).await?;
        Ok(Written::Now)
    }

    async fn read(
        &self,
        client: Client,
        table: &TableSpec,
        behind: u64,
        rows_max: u32,
    ) -> Result<Vec<DatabaseRow>, DatabaseError> {
        table.check().map_err(ServiceError::Refused)?;
        let behind = sql::number(behind).map_err(ServiceError::Refused)?;
        let select = sql::select(table);
        let found = client.query(&select, &[&i64::from(rows_max.max(1)), &behind]).await;
        let mut bytes = 0;
        let mut rows = Vec::new();
        for row in found.map_err(before_commit)? {
            let get = |column| row.try_get::<_, String>(column).map_err(before_commit);
            let row = DatabaseRow { key: get(0)?, value: get(1)? };
            if bytes < ROWS_BYTES_MAX {
                bytes += row.bytes();
                rows.push(row);
            }
        }
        *self.held() = Some(client);
        Ok(rows)
    }
}

/// What becomes of a transaction.
enum Keep {
    Commit,
    Nothing,
}

async fn writer_row(client: &Client, writer: &str) -> Result<Option<(i64, i64)>, DatabaseError> {
    let row = client.query_opt(sql::WRITER_ROW, &[&writer]).await.map_err(before_commit)?;
    let both = |row: tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
    row.map(both).transpose().map_err(before_commit)
}

/// Whether there is a table of that name with another primary key.
async fn is_of_other_kind(client: &Client, table: &TableSpec) -> Result<bool, DatabaseError> {
    let keys = "SELECT COUNT(*) FROM pg_index WHERE indrelid = to_regclass(quote_ident($1)) AND indisprimary";
    let row = client.query_one(keys, &[&table.name]).await.map_err(before_commit)?;
    let keys: i64 = row.try_get(0).map_err(before_commit)?;
    Ok((keys > 0) != (table.kind == TableKind::Keyed))
}

/// What an error comes to before anything is committed: nothing was done.
fn before_commit(error: tokio_postgres::Error) -> DatabaseError {
    let passes = match error.code() {
        // Of the connection.
        None => true,
        Some(code) => {
            let class = code.code().get(..2).unwrap_or_default();
            // The connection, a transaction that was rolled back, resources, an operator, the system: they pass.
            ["08", "40", "53", "57", "58"].contains(&class) || *code == SqlState::LOCK_NOT_AVAILABLE
        }
    };
    match passes {
        true => ServiceError::NotDone(RpcError::Application(told(&error))),
        false => ServiceError::Refused(DatabaseRefusal::Other(told(&error))),
    }
}

/// What an error comes to while tables are made: two who make one at the same time get in each other's way.
fn of_creation(error: tokio_postgres::Error) -> DatabaseError {
    let raced = [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];
    match error.code().is_some_and(|code| raced.contains(code)) {
        true => ServiceError::NotDone(RpcError::Application(told(&error))),
        false => before_commit(error),
    }
}

/// What an error of a commit comes to.
fn at_commit(error: tokio_postgres::Error) -> DatabaseError {
    match error.code() {
        // The server has rolled it back, and says why.
        Some(code) if code.code().starts_with("40") || code.code().starts_with("23") => {
            before_commit(error)
        }
        _ => ServiceError::Indeterminate(RpcError::Application(told(&error))),
    }
}

/// An error with what the server says, or what lies below it.
pub(super) fn told(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => said.to_string(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl ServiceClient for PostgresDatabase {
    fn host(&self) -> &Host {
        &self.host
    }

    fn retry_delay(&self) -> Duration {
        RETRY_DELAY
    }
}

impl Database for PostgresDatabase {
    fn begin_writer<'a>(
        &'a self,
        by: &'a WriterId,
        table: &'a TableSpec,
    ) -> BoxFuture<'a, Result<u64, DatabaseError>> {
        self.call(move |client| self.begin(client, by, table)).boxed()
    }

    fn write<'a>(
        &'a self,
        write: &'a DatabaseWrite,
    ) -> BoxFuture<'a, Result<Written, DatabaseError>> {
        self.call(move |client| PostgresDatabase::write(self, client, write)).boxed()
    }

    fn read<'a>(
        &'a self,
        table: &'a TableSpec,
        behind: u64,
        rows_max: u32,
    ) -> BoxFuture<'a, Result<Vec<DatabaseRow>, DatabaseError>> {
        self.call(move |client| PostgresDatabase::read(self, client, table, behind, rows_max))
            .boxed()
    }
}
