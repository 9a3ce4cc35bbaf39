//! Databases that a live cluster reaches: SQLite in a file of this machine, and PostgreSQL.
//!
//! Both keep the protocol of [`Database`](crate::system::service::database::Database) in the same tables ([`sql`]): one
//! of the user's for the rows, and `wavetank_writers` with a row for each writer. What a user reads is the first; the
//! rows of the second may go once their job has ended.

mod limits;
mod postgres;
mod sql;
mod sqlite;

use crate::system::{
    rpc::RpcService,
    service::database::{Database, DatabaseUrlError, Databases, EMBEDDED_DATABASE},
};
use postgres::{PostgresDatabase, told};
use sqlite::SqliteDatabase;
use std::sync::Arc;

/// SQLite by `sqlite:/PATH`, an absolute one, and PostgreSQL by `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, without
/// TLS.
#[derive(Clone, Copy, Debug)]
pub struct LiveDatabases;

/// What a URL names.
enum Named<'a> {
    Sqlite(&'a str),
    Postgres(Box<tokio_postgres::Config>),
}

impl LiveDatabases {
    /// Whether that is the URL of a database that could be reached.
    ///
    /// # Errors
    /// Why not.
    pub fn check(url: &str) -> Result<(), DatabaseUrlError> {
        named(url).map(drop)
    }
}

impl Databases for LiveDatabases {
    fn open(&self, service: &RpcService, url: &str) -> Result<Arc<dyn Database>, DatabaseUrlError> {
        let host = service.host();
        Ok(match named(url)? {
            Named::Sqlite(path) => Arc::new(SqliteDatabase::new(host, path)),
            Named::Postgres(config) => Arc::new(PostgresDatabase::new(host, *config)),
        })
    }
}

fn named(url: &str) -> Result<Named<'_>, DatabaseUrlError> {
    let refused = |why: &str| DatabaseUrlError { url: shown(url), why: why.to_string() };
    match url.split_once(':') {
        Some(("sqlite", path)) if path.starts_with('/') => Ok(Named::Sqlite(path)),
        Some(("sqlite", _)) => Err(refused(
            "the path must be absolute, as in sqlite:/var/lib/shop.db: each task executor opens it",
        )),
        Some(("postgres" | "postgresql", _)) => match url.parse() {
            Ok(config) => Ok(Named::Postgres(Box::new(config))),
            Err(error) => Err(refused(&told(&error))),
        },
        _ if url == EMBEDDED_DATABASE => Err(refused(
            "that is the database of simulations; live, name one such as sqlite:/var/lib/shop.db or \
             postgres://user@localhost/shop",
        )),
        _ => Err(refused("expected sqlite:/PATH or postgres://USER:PASSWORD@HOST/DATABASE")),
    }
}

/// A URL without what may be a password.
fn shown(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://…@{}", &url[..scheme], &url[at + 1..])
        }
        _ => url.to_string(),
    }
}
