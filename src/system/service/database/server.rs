//! The database server of simulations: an endpoint in front of the state and its durable log.

use super::{
    DatabaseEvent,
    model::{
        DatabaseRefusal, DatabaseRow, DatabaseWrite, TableSpec, WriteNumber, WriterId, Written,
    },
    state::{DatabaseState, Decision, Record},
};
use crate::{
    gateway,
    host::Host,
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        sabotage,
        service::{
            batch::{self, BatchQueue, BatchServer},
            durable::{Durable, DurableLog},
        },
    },
};

/// The name of the server's endpoint.
pub const DATABASE_ENDPOINT: &str = "database";

/// Where the log is kept.
const FOLDER: &str = "database";

gateway! {
    /// Speaks to the database server.
    pub gateway DatabaseGateway serves DatabaseHandler {
        /// Makes a life of a writer the current one; answers the number of its last write.
        ask begin_writer(by: WriterId, table: TableSpec) -> Result<u64, DatabaseRefusal>;
        /// Writes rows and the writer's row in one transaction, unless that number is there.
        ask write(write: DatabaseWrite) -> Result<Written, DatabaseRefusal>;
        /// Rows of a table behind so many.
        ask read(table: TableSpec, behind: u64, rows_max: u32) -> Result<Vec<DatabaseRow>, DatabaseRefusal>;
    }
}

/// The server's state.
pub struct DatabaseServer {
    host: Host,
    state: DatabaseState,
    queue: BatchQueue<Self, DatabaseState>,
}

type Batch = batch::Batch<DatabaseServer, DatabaseState>;

impl RpcEndpoint for DatabaseServer {
    type Gateway = DatabaseGateway;
}

impl DatabaseServer {
    /// Recovers the server from its node's disk and starts it. When that is impossible the process
    /// exits.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt; the process has been told to exit then.
    pub async fn start(service: &RpcService) -> Result<RpcServer<DatabaseServer>, RpcError> {
        let host = service.host();
        let recovered = DurableLog::<DatabaseState>::recover(host.disk(), FOLDER).await;
        let (log, state) = match recovered {
            Ok(recovered) => recovered,
            Err(error) => {
                host.exit(&format!("database: {error}"));
                return Err(RpcError::Application(error.to_string()));
            }
        };
        let writers = state.writers();
        host.announce(&DatabaseEvent::Recovered {
            writers: writers
                .map(|(writer, row)| (writer.clone(), row.generation, row.number))
                .collect(),
            tables: state.tables().clone(),
        });
        let queue = BatchQueue::new(host, log);
        let server = DatabaseServer { host: host.clone(), state, queue };
        let server = service.start_server(DATABASE_ENDPOINT, server)?;
        server.start();
        Ok(server)
    }

    fn apply(&mut self, record: Record, batch: &mut Batch) {
        self.state.apply(&record);
        batch.records.push(record);
    }

    fn begin(
        &mut self,
        by: &WriterId,
        table: &TableSpec,
        batch: &mut Batch,
    ) -> Result<u64, DatabaseRefusal> {
        if let Some(record) = self.state.begin(by, table)? {
            self.apply(record, batch);
            batch.announce(DatabaseEvent::WriterBegun { by: by.clone(), table: table.clone() });
        }
        Ok(self.state.row(&by.writer).map_or(0, |row| row.number))
    }

    /// What a write comes to, and what is told of one that changes nothing.
    fn decide(
        &mut self,
        mut write: DatabaseWrite,
        batch: &mut Batch,
    ) -> (Result<Written, DatabaseRefusal>, Option<DatabaseEvent>) {
        let (by, number) = (write.by.clone(), write.number);
        if self.host.sabotaged(sabotage::DATABASE_WRITERS_NOT_FENCED)
            && let Some(row) = self.state.row(&by.writer)
        {
            write.by.generation = row.generation;
        }
        match self.state.write(write) {
            Ok(Decision::Write { first, record }) => {
                self.write(by, number, first, record, batch);
                (Ok(Written::Now), None)
            }
            Ok(Decision::Repeat) => {
                (Ok(Written::Before), Some(DatabaseEvent::WriteRepeated { by, number }))
            }
            Err(refusal) => {
                let event = DatabaseEvent::WriteRefused { by, number, refusal: refusal.clone() };
                (Err(refusal), Some(event))
            }
        }
    }

    fn write(
        &mut self,
        by: WriterId,
        number: WriteNumber,
        first: u64,
        record: Record,
        batch: &mut Batch,
    ) {
        let Record::Write { writer, number: row, table, rows } = record else {
            unreachable!("a write is recorded as one");
        };
        let row = match self.host.sabotaged(sabotage::DATABASE_ROW_LEFT_OUT) {
            true => self.state.row(&writer).map_or(0, |row| row.number),
            false => row,
        };
        let (to, written) = (table.clone(), rows.clone());
        self.apply(Record::Write { writer, number: row, table, rows }, batch);
        batch.announce(DatabaseEvent::Written { by, number, table: to, first, rows: written });
    }
}

impl BatchServer<DatabaseState> for DatabaseServer {
    const NAME: &'static str = "database";

    fn queue(&mut self) -> &mut BatchQueue<Self, DatabaseState> {
        &mut self.queue
    }

    fn state(&self) -> &DatabaseState {
        &self.state
    }
}

impl DatabaseHandler for DatabaseServer {
    fn begin_writer(
        &mut self,
        context: &mut Context<Self>,
        by: WriterId,
        table: TableSpec,
        reply: Reply<Result<u64, DatabaseRefusal>>,
    ) {
        let bytes = by.writer.len() + table.name.len();
        self.ask(context, bytes, reply, move |server, batch| server.begin(&by, &table, batch));
    }

    fn write(
        &mut self,
        context: &mut Context<Self>,
        write: DatabaseWrite,
        reply: Reply<Result<Written, DatabaseRefusal>>,
    ) {
        let bytes = write.bytes() + write.by.writer.len() + write.table.name.len();
        self.ask_by(context, bytes, reply, move |server, batch, reply| {
            let (answer, told) = server.decide(write, batch);
            batch.then(move |_, context| {
                if let Some(event) = told {
                    context.host().announce(&event);
                }
                reply.ok(answer);
            });
        });
    }

    fn read(
        &mut self,
        context: &mut Context<Self>,
        table: TableSpec,
        behind: u64,
        rows_max: u32,
        reply: Reply<Result<Vec<DatabaseRow>, DatabaseRefusal>>,
    ) {
        self.ask_by(context, table.name.len(), reply, move |_, batch, reply| {
            batch.then(move |server, _| {
                reply.ok(server.state.read(&table, behind, rows_max));
            });
        });
    }
}
