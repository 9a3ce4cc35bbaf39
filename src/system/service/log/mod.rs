//! The log service: topics of partitions, each a sequence of committed records, and transactions
//! that append to several of them at once.
//!
//! The server is one node with a disk. Offsets count from 0 without gaps. Every call may be lost,
//! repeated, delayed and overtaken: producers number their records, and a transaction is named by
//! its producer, the producer's generation and a number, so that a late call can't hit another one.
//! A transaction is written, prepared and then committed or aborted. A prepared one waits for
//! *commit* from whoever knows its name; a newer generation of its producer aborts it.
//!
//! A file that was changed by hand is refused. When the whole folder is set back in time, or gone, the
//! connectors refuse: a source that has read beyond a partition's end fails its job, and so does a
//! sink whose prepared transaction is unknown here.
//!
//! A group is a name under which it is kept how far somebody has read; who reads what is the readers' own affair.
//!
//! A partition's records stand in segments. The newest ones are in memory, and durable in the server's own log; a segment
//! that takes no more records becomes a file, from which it is read then. Retention removes the oldest segments of a
//! topic by size or age, but nothing that somebody holds: a job holds what its oldest checkpoint that could be restored
//! would read again, for as long as it lives. Who holds nothing and falls behind is told where the partition starts now.
//!
//! Deliberately absent: replication, and groups that deal partitions out to their members.

mod api;
mod client;
mod command;
mod config;
mod model;
mod partition;
mod producer;
mod segment;
mod server;
mod state;
mod topics;

pub use api::{Log, LogError};
pub use client::{LogClient, LogConfig};
pub use config::LogServerConfig;
pub use model::{
    GROUPS_MAX, GroupOffset, HOLDS_MAX, HeldOffset, LOG_BYTES_MAX, LOG_NAME_BYTES_MAX, LogBatch,
    LogRead, LogRefusal, LogWrite, Outcome, PARTITIONS_MAX, ProducerId, READ_BYTES_MAX,
    READ_WAIT_MAX, RECORD_BYTES_AROUND, RECORD_BYTES_MAX, Retention, STAGED_BYTES_MAX,
    TransactionId, WRITE_BYTES_MAX,
};
pub use server::{LOG_ENDPOINT, LogGateway, LogHandler, LogServer};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An event of the log service, taken from the server's synced log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogEvent {
    /// The server is up with what its disk held.
    Recovered {
        /// Each partition's topic, number and end offset.
        ends: Vec<(String, u32, u64)>,
        /// Each partition's topic, number and the offset of the first record that is kept.
        starts: Vec<(String, u32, u64)>,
        /// The records that are in no file of their own: a topic, a partition, the first record's offset and the records
        /// each. What was not announced before the server ended is among them.
        records: Vec<(String, u32, u64, Vec<Bytes>)>,
        /// The transactions that are open or prepared.
        unended: Vec<TransactionId>,
        /// The prefixes whose producers are closed.
        closed: Vec<String>,
        /// What groups have committed.
        committed: Vec<GroupOffset>,
        /// What is held.
        held: Vec<HeldOffset>,
    },
    /// A topic is there.
    TopicCreated {
        /// Its name.
        topic: String,
        /// How many partitions it has.
        partitions: u32,
    },
    /// A topic has more partitions than before.
    PartitionsAdded {
        /// Its name.
        topic: String,
        /// How many partitions it has from now on.
        partitions: u32,
    },
    /// A topic's records are kept so long from now on.
    RetentionSet {
        /// The topic.
        topic: String,
        /// How long.
        retention: Retention,
    },
    /// From these offsets on everything is kept, for as long as nothing else is held and the owner is not closed.
    OffsetsHeld {
        /// What was not held before, or lay further back.
        offsets: Vec<HeldOffset>,
    },
    /// A partition's records are a file, and no longer in memory.
    SegmentStored {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The first record's offset.
        offset: u64,
        /// How many records.
        records: u64,
    },
    /// A partition's records were read from their file.
    SegmentRead {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The first record's offset.
        offset: u64,
    },
    /// A partition keeps nothing before this offset any more.
    Trimmed {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset of the first record that is kept.
        start: u64,
    },
    /// A group has read so far.
    OffsetsCommitted {
        /// What was not known before, or lay further back.
        offsets: Vec<GroupOffset>,
    },
    /// Records were appended without a transaction.
    Appended {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The first record's offset.
        offset: u64,
        /// Who appended them.
        producer: String,
        /// The records.
        records: Vec<Bytes>,
    },
    /// A generation of a producer is current; older ones change nothing any more.
    ProducerFenced {
        /// The producer.
        producer: String,
        /// Its generation from now on.
        generation: u64,
    },
    /// A transaction takes writes.
    TransactionOpened {
        /// The transaction.
        transaction: TransactionId,
    },
    /// A transaction takes no more writes and waits for its end.
    TransactionPrepared {
        /// The transaction.
        transaction: TransactionId,
    },
    /// A transaction's records are visible.
    TransactionCommitted {
        /// The transaction.
        transaction: TransactionId,
        /// For each partition its topic, number, the first record's offset and the records.
        writes: Vec<(String, u32, u64, Vec<Bytes>)>,
    },
    /// A transaction's records are gone.
    TransactionAborted {
        /// The transaction.
        transaction: TransactionId,
    },
    /// Producers whose names begin with a prefix change nothing any more, for ever.
    ProducersClosed {
        /// The prefix.
        prefix: String,
    },
}

crate::event!(LogEvent, |_| crate::host::Evidence::Service);
