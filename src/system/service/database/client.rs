//! The client of the simulated database, and how a process comes to it.

use super::{
    api::{Database, DatabaseError, DatabaseUrlError, Databases},
    model::{DatabaseRow, DatabaseWrite, TableSpec, WriterId, Written},
    server::{DATABASE_ENDPOINT, DatabaseGateway},
};
use crate::{
    host::{Host, NodeAddress},
    system::{
        rpc::RpcService,
        service::{
            client::{ServiceClient, ServiceError},
            connection::{Connection, once_more},
        },
    },
};
use futures::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};

/// The URL of the database server beside the cluster.
pub const EMBEDDED_DATABASE: &str = "embedded:";

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The server's message socket.
    pub server: NodeAddress,
    /// How long a call waits for its answer; 2 s.
    pub ask_timeout: Duration,
    /// How long to wait after a failure before the next try; 200 ms.
    pub retry_delay: Duration,
}

impl DatabaseConfig {
    /// The defaults, for the server at that address.
    pub fn new(server: NodeAddress) -> Self {
        DatabaseConfig {
            server,
            ask_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
        }
    }
}

/// Speaks to the database server.
pub struct DatabaseClient {
    connection: Connection<DatabaseGateway>,
    retry_delay: Duration,
}

impl DatabaseClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: DatabaseConfig) -> Self {
        let DatabaseConfig { server, ask_timeout, retry_delay } = config;
        let connection = Connection::new(service, &server, DATABASE_ENDPOINT, ask_timeout);
        DatabaseClient { connection, retry_delay }
    }
}

impl ServiceClient for DatabaseClient {
    fn host(&self) -> &Host {
        self.connection.host()
    }

    fn retry_delay(&self) -> Duration {
        self.retry_delay
    }
}

impl Database for DatabaseClient {
    fn begin_writer<'a>(
        &'a self,
        by: &'a WriterId,
        table: &'a TableSpec,
    ) -> BoxFuture<'a, Result<u64, DatabaseError>> {
        self.connection.call(|gateway| gateway.begin_writer(by.clone(), table.clone())).boxed()
    }

    fn write<'a>(
        &'a self,
        write: &'a DatabaseWrite,
    ) -> BoxFuture<'a, Result<Written, DatabaseError>> {
        async move {
            // What is larger fits in no message, and the caller would be told nothing better than maybe.
            write.check().map_err(ServiceError::Refused)?;
            self.connection.call(|gateway| gateway.write(write.clone())).await
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        table: &'a TableSpec,
        behind: u64,
        rows_max: u32,
    ) -> BoxFuture<'a, Result<Vec<DatabaseRow>, DatabaseError>> {
        let read = move |gateway: DatabaseGateway| gateway.read(table.clone(), behind, rows_max);
        once_more(move || self.connection.call(read)).boxed()
    }
}

/// The one database server of a simulated cluster.
#[derive(Clone, Debug)]
pub struct EmbeddedDatabase(pub DatabaseConfig);

impl Databases for EmbeddedDatabase {
    fn open(&self, service: &RpcService, url: &str) -> Result<Arc<dyn Database>, DatabaseUrlError> {
        match url {
            EMBEDDED_DATABASE => Ok(Arc::new(DatabaseClient::new(service, self.0.clone()))),
            _ => Err(DatabaseUrlError {
                url: url.to_string(),
                why: format!("from here only {EMBEDDED_DATABASE:?} is reached"),
            }),
        }
    }
}

/// None at all.
#[derive(Clone, Copy, Debug)]
pub struct NoDatabases;

impl Databases for NoDatabases {
    fn open(&self, _: &RpcService, url: &str) -> Result<Arc<dyn Database>, DatabaseUrlError> {
        let why = "this cluster reaches no database".to_string();
        Err(DatabaseUrlError { url: url.to_string(), why })
    }
}
