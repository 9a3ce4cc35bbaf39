//! Writes to a table of a database: at once by key, or exactly once.
//!
//! **Upserts** ([`DatabaseSink::upsert`]) are written in batches as records come, each row in the place of the one of
//! its key. After a failure rows come again, so a value may step back until the job has caught up; in the end the
//! table holds the last value of each key.
//!
//! **Exactly once** ([`DatabaseSink::exactly_once`]): the rows from barrier to barrier are part of the sink's own
//! snapshot, and nothing of them is in the database before the checkpoint that holds them is complete. Then they are
//! written in one transaction, which also sets the writer's row, of this job, operator and subtask, to the
//! checkpoint's id:
//!
//! - Several checkpoints may wait. They are written in their order, each in a transaction of its own; a checkpoint
//!   that never completes is covered by the next one that does, and a notification that comes late finds nothing.
//! - A transaction whose answer is lost is made again, by this attempt or by one that is restored from the checkpoint:
//!   it finds the checkpoint's id, or a greater one, in the writer's row and changes nothing.
//! - A new attempt first begins its generation, the attempt's epoch, in the writer's row, and then writes what its
//!   restored state holds. What older attempts still send is refused from then on, and their tasks fail.
//!
//! Both modes write as one writer, so a late batch of upserts is found to be done, or refused, just so.
//!
//! What waits, and the snapshot with it, is bounded by [`WAITING_BYTES_MAX`]: beyond it the task fails, and says that
//! checkpoints have to come more often. Rows in a table with a primary key take the places of earlier ones while they
//! wait, so there it is the number of different keys that counts.
//!
//! ```
//! use wavetank::system::{connector::DatabaseSink, service::database::DatabaseRow};
//!
//! let row = |(word, count): &(String, u64)| Ok(DatabaseRow::new(word, count.to_string()));
//! let sink = DatabaseSink::upsert("sqlite:/var/lib/shop/counts.db", "counts", row);
//! let sink = DatabaseSink::exactly_once("postgres://user@localhost/shop", "orders", row);
//! # let _: (DatabaseSink<(String, u64)>,) = (sink,);
//! ```

use crate::system::{
    connector::SinkEvent,
    dataflow::{Data, Failure, OperatorContext, Result, Sink, Timestamp, Waits, split_lists},
    ids::CheckpointId,
    sabotage,
    service::{
        ServiceError,
        database::{
            DATABASE_WRITE_BYTES_MAX, Database, DatabaseRefusal, DatabaseRow, DatabaseWrite, Table,
            TableKind, TableSpec, WriteNumber, WriterId,
        },
    },
};
use bytes::Bytes;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of rows that wait for checkpoints at most, with [`ROW_BYTES_AROUND`](crate::system::service::database::ROW_BYTES_AROUND)
/// for each row: a task's whole state has to fit into one object.
pub const WAITING_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// All rows of a checkpoint are written at once.
const _: () = assert!(WAITING_BYTES_MAX <= DATABASE_WRITE_BYTES_MAX as u64);

/// Rows that wait for a batch of upserts at most; also written at each barrier.
const BATCH_ROWS: u64 = 512;
/// Bytes of rows that wait for a batch of upserts at most, give or take one row.
const BATCH_BYTES: u64 = 512 * 1024;

/// Why a sink can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseSinkError {
    /// Nothing can be written yet.
    #[error("the sink is not open")]
    NotOpen,
    /// More than [`WAITING_BYTES_MAX`] waits for a checkpoint.
    #[error(
        "{bytes} bytes of rows wait for a checkpoint, and {WAITING_BYTES_MAX} may (WAITING_BYTES_MAX): take checkpoints \
         more often, or use more subtasks"
    )]
    TooMuchWaits {
        /// How much.
        bytes: u64,
    },
}

/// How a value becomes a row.
pub type ToRow<T> = fn(&T) -> Result<DatabaseRow>;

/// When rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// At once, and once more after a failure.
    AtLeastOnce,
    /// When their checkpoint is complete, once.
    ExactlyOnce,
}

/// What an open sink writes with.
#[derive(Clone)]
struct Writer {
    database: Arc<dyn Database>,
    by: WriterId,
    context: OperatorContext,
}

/// Rows of a checkpoint that is not complete yet, as far as the sink knows, and the writer that they are of: after a
/// change of the parallelism, or in a job that began from a savepoint, it may be another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    checkpoint: CheckpointId,
    by: WriterId,
    rows: Vec<DatabaseRow>,
}

/// The sink. All subtasks write to the same table, each as a writer of its own.
pub struct DatabaseSink<T> {
    url: String,
    table: TableSpec,
    delivery: Delivery,
    to_row: ToRow<T>,
    writer: Option<Writer>,
    /// The number of the last batch of upserts.
    number: u64,
    /// Rows of no checkpoint and no batch yet.
    gathered: Table,
    gathered_bytes: u64,
    /// Rows that wait for their checkpoints, oldest first.
    waiting: Vec<Waiting>,
    waiting_bytes: u64,
}

impl<T> Clone for DatabaseSink<T> {
    fn clone(&self) -> Self {
        DatabaseSink {
            url: self.url.clone(),
            table: self.table.clone(),
            delivery: self.delivery,
            to_row: self.to_row,
            writer: self.writer.clone(),
            number: self.number,
            gathered: self.gathered.clone(),
            gathered_bytes: self.gathered_bytes,
            waiting: self.waiting.clone(),
            waiting_bytes: self.waiting_bytes,
        }
    }
}

impl<T: Data> DatabaseSink<T> {
    /// One that writes each value at once, in the place of the row of its key. The table is made when it is not there:
    /// two columns of text, `key` and `value`, with `key` as the primary key.
    ///
    /// A URL is `sqlite:PATH`, `postgres://USER:PASSWORD@HOST/DATABASE`, or `embedded:`, which only simulations have. It
    /// is kept with the job, and its password with it.
    pub fn upsert(url: &str, table: &str, to_row: ToRow<T>) -> Self {
        DatabaseSink::new(url, table, TableKind::Keyed, Delivery::AtLeastOnce, to_row)
    }

    /// One that writes each value exactly once, when its checkpoint is complete, as one row more: the table has no
    /// primary key. URLs are those of [`upsert`](Self::upsert).
    pub fn exactly_once(url: &str, table: &str, to_row: ToRow<T>) -> Self {
        DatabaseSink::new(url, table, TableKind::Plain, Delivery::ExactlyOnce, to_row)
    }

    /// The same with a table whose primary key is `key`: a row takes the place of the one of its key.
    #[must_use]
    pub fn keyed(mut self) -> Self {
        self.table.kind = TableKind::Keyed;
        self.gathered = Table::new(TableKind::Keyed);
        self
    }

    fn new(url: &str, table: &str, kind: TableKind, delivery: Delivery, to_row: ToRow<T>) -> Self {
        DatabaseSink {
            url: url.to_string(),
            table: TableSpec { name: table.to_string(), kind },
            delivery,
            to_row,
            writer: None,
            number: 0,
            gathered: Table::new(kind),
            gathered_bytes: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    fn writer(&self) -> Result<Writer, DatabaseSinkError> {
        self.writer.clone().ok_or(DatabaseSinkError::NotOpen)
    }

    async fn begin(&mut self, context: &OperatorContext, restored: Option<Bytes>) -> Result<()> {
        let (attempt, uid, subtask) = (context.attempt, &context.uid, context.subtask);
        let writer = format!("{}/{uid}-{subtask}", attempt.job);
        let by = WriterId { writer, generation: attempt.epoch };
        let database = context.services.databases.open(&self.url)?;
        self.number = database.begin_writer_until_acknowledged(&by, &self.table).await?;
        self.writer = Some(Writer { database, by, context: context.clone() });
        if let (Delivery::ExactlyOnce, Some(kept)) = (self.delivery, restored) {
            self.waiting = postcard::from_bytes(&kept)?;
            self.waiting_bytes = self.waiting.iter().map(|waiting| bytes_of(&waiting.rows)).sum();
        }
        let own = self.writer()?.by;
        // This life goes on as the writer that it was.
        let same = |waiting: &&mut Waiting| waiting.by.writer == own.writer;
        self.waiting.iter_mut().filter(same).for_each(|waiting| waiting.by = own.clone());
        // The checkpoint is complete, or nothing would be restored from it.
        self.commit_through(CheckpointId(u64::MAX)).await
    }

    /// What was gathered, which is gathered no longer.
    fn take_gathered(&mut self) -> Vec<DatabaseRow> {
        let gathered = std::mem::replace(&mut self.gathered, Table::new(self.table.kind));
        self.gathered_bytes = 0;
        gathered.into_rows()
    }

    fn gather(&mut self, row: DatabaseRow) {
        let grown = self.gathered.insert(row);
        self.gathered_bytes = self.gathered_bytes.saturating_add_signed(grown);
    }

    async fn write_batch(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let Writer { database, by, .. } = self.writer()?;
        // One record may have led to more than a write takes.
        for rows in pieces(self.take_gathered()) {
            let (number, table) = (WriteNumber::Batch(self.number + 1), self.table.clone());
            let write = DatabaseWrite { by: by.clone(), number, table, rows };
            database.write_until_acknowledged(&write).await?;
            self.number += 1;
        }
        Ok(())
    }

    /// Lets what was gathered wait for the checkpoint.
    async fn prepare(&mut self, checkpoint: CheckpointId) -> Result<Bytes> {
        let Writer { by, context, .. } = self.writer()?;
        if !self.gathered.is_empty() {
            let rows = self.take_gathered();
            self.waiting_bytes += bytes_of(&rows);
            match self.waiting.last_mut() {
                Some(last) if context.host.sabotaged(sabotage::EPOCHS_NOT_KEPT_APART) => {
                    last.rows.extend(rows);
                }
                _ => self.waiting.push(Waiting { checkpoint, by: by.clone(), rows }),
            }
            let (attempt, writer) = (context.attempt, by.writer);
            context.host.announce(&SinkEvent::RowsWait { attempt, checkpoint, writer });
        }
        let kept = Bytes::from(postcard::to_allocvec(&self.waiting)?);
        if context.host.sabotaged(sabotage::DATABASE_ROWS_AT_BARRIER) {
            self.commit_through(checkpoint).await?;
        }
        Ok(kept)
    }

    /// Writes what checkpoints up to this one hold, in order. Writing it again is fine.
    async fn commit_through(&mut self, checkpoint: CheckpointId) -> Result<()> {
        while let Some(waiting) = self.waiting.first().filter(|of| of.checkpoint <= checkpoint) {
            let bytes = bytes_of(&waiting.rows);
            let is_done = self.commit(waiting.clone()).await?;
            let Waiting { rows, .. } = self.waiting.remove(0);
            self.waiting_bytes -= bytes;
            if !is_done {
                rows.into_iter().for_each(|row| self.gather(row));
            }
        }
        assert!(
            !self.waiting.is_empty() || self.waiting_bytes == 0,
            "what waits is counted row by row"
        );
        Ok(())
    }

    /// Writes the rows of a checkpoint; whether that is done.
    async fn commit(&self, waiting: Waiting) -> Result<bool> {
        let Writer { database, by: own, context } = self.writer()?;
        let Waiting { checkpoint, by, rows } = waiting;
        let is_own = by.writer == own.writer;
        let (number, table) = (WriteNumber::Checkpoint(checkpoint), self.table.clone());
        let mut write = DatabaseWrite { by, number, table, rows };
        loop {
            match database.write(&write).await {
                Ok(_) => return Ok(true),
                // A later life of that writer, which need not have come so far: whoever writes them first, they are
                // written once, by their number.
                Err(ServiceError::Refused(DatabaseRefusal::Fenced { current })) if !is_own => {
                    write.by.generation = current;
                }
                Err(ServiceError::Refused(refusal)) => return Err(refusal.into()),
                Err(ServiceError::Indeterminate(_))
                    if context.host.sabotaged(sabotage::INDETERMINATE_COMMIT_TAKEN_FOR_REFUSED) =>
                {
                    return Ok(false);
                }
                Err(ServiceError::NotDone(_) | ServiceError::Indeterminate(_)) => {
                    context.host.sleep(database.retry_delay()).await;
                }
            }
        }
    }
}

/// Rows in their order, as pieces of [`BATCH_BYTES`] at most, give or take one row.
fn pieces(rows: Vec<DatabaseRow>) -> Vec<Vec<DatabaseRow>> {
    let (mut pieces, mut bytes) = (vec![Vec::new()], 0);
    for row in rows {
        if bytes >= BATCH_BYTES {
            pieces.push(Vec::new());
            bytes = 0;
        }
        bytes += row.bytes() as u64;
        pieces.last_mut().expect("there is one").push(row);
    }
    pieces
}

fn bytes_of(rows: &[DatabaseRow]) -> u64 {
    rows.iter().map(|row| row.bytes() as u64).sum()
}

impl<T: Data> Sink<T> for DatabaseSink<T> {
    fn write(&mut self, value: T, _: Option<Timestamp>) -> Result<()> {
        let row = (self.to_row)(&value)?;
        // In a checkpoint that is complete it could be neither written nor left out.
        row.check()?;
        self.gather(row);
        let bytes = self.waiting_bytes + self.gathered_bytes;
        match self.delivery == Delivery::ExactlyOnce && bytes > WAITING_BYTES_MAX {
            true => Err(Failure::from(DatabaseSinkError::TooMuchWaits { bytes })),
            false => Ok(()),
        }
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        self.begin(context, restored).boxed()
    }

    fn is_full(&self) -> bool {
        let is_full = self.gathered.len() >= BATCH_ROWS || self.gathered_bytes >= BATCH_BYTES;
        self.delivery == Delivery::AtLeastOnce && is_full
    }

    fn flush(&mut self) -> Waits<'_, ()> {
        async {
            match self.delivery {
                Delivery::AtLeastOnce => self.write_batch().await,
                Delivery::ExactlyOnce => Ok(()),
            }
        }
        .boxed()
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, Bytes> {
        async move {
            match self.delivery {
                Delivery::AtLeastOnce => self.write_batch().await.map(|()| Bytes::new()),
                Delivery::ExactlyOnce => self.prepare(checkpoint).await,
            }
        }
        .boxed()
    }

    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        split_lists::<Waiting>(states, context)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.commit_through(checkpoint).boxed()
    }
}

#[cfg(test)]
mod tests;
