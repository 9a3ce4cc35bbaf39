//! What a sink is promised by a database, and how it comes to one.

use super::model::{DatabaseRefusal, DatabaseRow, DatabaseWrite, TableSpec, WriterId, Written};
use crate::system::{
    rpc::RpcService,
    service::client::{ServiceClient, ServiceError, until_acknowledged},
};
use futures::future::BoxFuture;
use std::{fmt, sync::Arc};

/// Rows that are read in one call, where all are wanted.
const PAGE_ROWS: u32 = 10_000;

/// Why a call has no value.
pub type DatabaseError = ServiceError<DatabaseRefusal>;

/// Tables, and for each writer a row of its own that says which life of it writes and how far it has come.
///
/// **Outcomes.** `Ok` is given when what was asked for is done and survives the loss of power. *Refused* and *not
/// done*: nothing was done. *Indeterminate*: it may be done at any time, also after calls that were made later.
///
/// **A write is one transaction.** The writer's row is read and locked; then the rows are written and the row is set to
/// the write's number, or nothing of it is done. So a write that is made again, by whoever and however late, finds
/// the number and changes nothing, and a write of an older life finds the generation and is refused.
pub trait Database: ServiceClient {
    /// Makes a life of a writer the current one and the table, if it is not there. From now on older lives are refused,
    /// late calls included. Answers the number of the writer's last write, 0 before the first.
    ///
    /// # Errors
    /// [`DatabaseError`]; refused `BadName`, `Fenced` when a newer life has begun, `OtherKind` or `Full`.
    fn begin_writer<'a>(
        &'a self,
        by: &'a WriterId,
        table: &'a TableSpec,
    ) -> BoxFuture<'a, Result<u64, DatabaseError>>;

    /// Writes rows, unless the writer's last write has that number or a greater one.
    ///
    /// # Errors
    /// [`DatabaseError`]; refused `Fenced` when another life is current, `Unknown`, `NoTable`, `OtherKind`, `BadName`,
    /// `BadRow`, `TooLarge` or `Full`.
    fn write<'a>(
        &'a self,
        write: &'a DatabaseWrite,
    ) -> BoxFuture<'a, Result<Written, DatabaseError>>;

    /// Rows of a table behind so many, at most `rows_max` and about
    /// [`ROWS_BYTES_MAX`](super::ROWS_BYTES_MAX) bytes, but one at least if there is one. They are in
    /// an order that stays while nothing is written; who reads several pages while it is written may miss rows.
    ///
    /// # Errors
    /// [`DatabaseError`]; refused `BadName` or `NoTable`.
    fn read<'a>(
        &'a self,
        table: &'a TableSpec,
        behind: u64,
        rows_max: u32,
    ) -> BoxFuture<'a, Result<Vec<DatabaseRow>, DatabaseError>>;
}

/// The calls again until the database answers; drop them to give up.
impl dyn Database {
    /// [`begin_writer`](Database::begin_writer) until the database answers.
    ///
    /// # Errors
    /// What the database refuses.
    pub async fn begin_writer_until_acknowledged(
        &self,
        by: &WriterId,
        table: &TableSpec,
    ) -> Result<u64, DatabaseRefusal> {
        until_acknowledged(self, || self.begin_writer(by, table)).await
    }

    /// [`write`](Database::write) until the database answers.
    ///
    /// # Errors
    /// What the database refuses.
    pub async fn write_until_acknowledged(
        &self,
        write: &DatabaseWrite,
    ) -> Result<Written, DatabaseRefusal> {
        until_acknowledged(self, || self.write(write)).await
    }

    /// All rows of a table; asks until the database answers.
    ///
    /// # Errors
    /// What the database refuses.
    pub async fn read_all_until_acknowledged(
        &self,
        table: &TableSpec,
    ) -> Result<Vec<DatabaseRow>, DatabaseRefusal> {
        let mut rows = Vec::new();
        loop {
            let behind = rows.len() as u64;
            let page = until_acknowledged(self, || self.read(table, behind, PAGE_ROWS)).await?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }
}

/// Why there is no way to a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database {url:?}: {why}")]
pub struct DatabaseUrlError {
    /// What was asked for, without its password.
    pub url: String,
    /// Why there is none.
    pub why: String,
}

/// Which databases the processes of a cluster can reach.
pub trait Databases: fmt::Debug + Send + Sync + 'static {
    /// The way of a process with this RPC service to a database. Whether it answers shows at the first call.
    ///
    /// # Errors
    /// [`DatabaseUrlError`]: what is no URL of a database, or of one that can't be reached from here.
    fn open(&self, service: &RpcService, url: &str) -> Result<Arc<dyn Database>, DatabaseUrlError>;
}

/// The databases of a process. Cheap to clone.
#[derive(Clone)]
pub struct DatabaseOpener {
    service: RpcService,
    databases: Arc<dyn Databases>,
}

impl DatabaseOpener {
    /// What a process with this RPC service reaches.
    pub fn new(service: &RpcService, databases: Arc<dyn Databases>) -> Self {
        DatabaseOpener { service: service.clone(), databases }
    }

    /// The way to a database.
    ///
    /// # Errors
    /// [`DatabaseUrlError`].
    pub fn open(&self, url: &str) -> Result<Arc<dyn Database>, DatabaseUrlError> {
        self.databases.open(&self.service, url)
    }
}
