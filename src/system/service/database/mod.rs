//! Databases, to which sinks write their results: a trait, and the server that stands for one in simulation.
//!
//! Where a real one has SQL, a sink needs three calls: a life of a writer begins, rows are written, rows are read.
//! What matters is that a write is *one transaction* with the writer's own row, which keeps the generation of the
//! life that may write and the number of its last write: for exactly-once that is the checkpoint whose rows were
//! written. Whoever makes a call again after an indeterminate answer, or another life after a restore, finds the
//! number there; whoever comes late finds a newer generation.
//!
//! The server is one node with a disk, and holds its tables in memory. It has no other transactions, no columns but
//! two and no SQL: it is there for what a database and the way to it can do to a sink. It crashes and comes back with
//! all that it acknowledged, its answers are lost, and calls arrive late. The live world has SQLite and PostgreSQL in
//! its place (`adapters`), with the same calls in SQL.
//!
//! Deliberately absent: that the writers' rows of jobs are removed which have ended. A row is small, and without it a
//! late call of such a job would be taken for a first one.

mod api;
mod client;
mod model;
mod server;
mod state;

pub use api::{Database, DatabaseError, DatabaseOpener, DatabaseUrlError, Databases};
pub use client::{
    DatabaseClient, DatabaseConfig, EMBEDDED_DATABASE, EmbeddedDatabase, NoDatabases,
};
pub use model::{
    DATABASE_WRITE_BYTES_MAX, DatabaseRefusal, DatabaseRow, DatabaseWrite, ROW_BYTES_AROUND,
    ROW_BYTES_MAX, ROWS_BYTES_MAX, TABLE_NAME_BYTES_MAX, Table, TableKind, TableSpec,
    WRITER_BYTES_MAX, WriteNumber, WriterId, Written,
};
pub use server::{DATABASE_ENDPOINT, DatabaseGateway, DatabaseHandler, DatabaseServer};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event of the database server: what changes something is taken from its synced log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DatabaseEvent {
    /// The server is up with what its disk held.
    Recovered {
        /// Each writer, its generation and the number of its last write.
        writers: Vec<(String, u64, u64)>,
        /// The tables by their names.
        tables: BTreeMap<String, Table>,
    },
    /// A life of a writer is current; older ones change nothing any more. The table is there.
    WriterBegun {
        /// The life.
        by: WriterId,
        /// The table.
        table: TableSpec,
    },
    /// Rows were written.
    Written {
        /// By whom.
        by: WriterId,
        /// The number of the write.
        number: WriteNumber,
        /// The table.
        table: String,
        /// How many rows the table had before.
        first: u64,
        /// The rows.
        rows: Vec<DatabaseRow>,
    },
    /// A write was done before, and nothing was changed.
    WriteRepeated {
        /// Who made it again.
        by: WriterId,
        /// The number of the write.
        number: WriteNumber,
    },
    /// A write was refused.
    WriteRefused {
        /// Whose.
        by: WriterId,
        /// The number of the write.
        number: WriteNumber,
        /// Why.
        refusal: DatabaseRefusal,
    },
}

crate::event!(DatabaseEvent, |_| crate::host::Evidence::Service);
