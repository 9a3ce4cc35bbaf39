//! What changes the server's state, before it is decided and after.

use super::{
    model::{LogWrite, ProducerId, Retention, TransactionId, size},
    segment::SegmentFile,
    topics::Place,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A call that may change the state.
pub(super) enum Command {
    CreateTopic { topic: String, partitions: u32 },
    AddPartitions { topic: String, partitions: u32 },
    SetRetention { topic: String, retention: Retention },
    CommitOffsets { group: String, topic: String, offsets: Vec<(u32, u64)> },
    HoldOffsets { owner: String, topic: String, offsets: Vec<(u32, u64)> },
    Append { producer: String, write: LogWrite },
    Store { place: Place, file: SegmentFile },
    Trim { place: Place, start: u64 },
    Init(ProducerId),
    Write { transaction: TransactionId, write: LogWrite },
    Prepare(TransactionId),
    Commit(TransactionId),
    Abort(TransactionId),
    CloseProducers { prefix: String },
}

impl Command {
    /// What it takes while it waits, in bytes.
    pub fn bytes(&self) -> usize {
        let write = |write: &LogWrite| write.topic.len() + size(&write.records);
        match self {
            Command::CreateTopic { topic: name, .. }
            | Command::AddPartitions { topic: name, .. }
            | Command::CloseProducers { prefix: name } => name.len(),
            Command::SetRetention { topic, .. } => topic.len(),
            Command::CommitOffsets { group: name, topic, offsets }
            | Command::HoldOffsets { owner: name, topic, offsets } => {
                name.len() + topic.len() + size_of_val(&offsets[..])
            }
            // Its own.
            Command::Store { .. } | Command::Trim { .. } => 0,
            Command::Append { producer, write: batch } => producer.len() + write(batch),
            Command::Write { transaction, write: batch } => transaction.bytes() + write(batch),
            Command::Init(id) => id.producer.len(),
            Command::Prepare(id) | Command::Commit(id) | Command::Abort(id) => id.bytes(),
        }
    }
}

/// What the log holds. Records that were known already are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    CreateTopic {
        topic: String,
        partitions: u32,
    },
    AddPartitions {
        topic: String,
        partitions: u32,
    },
    SetRetention {
        topic: String,
        retention: Retention,
    },
    CommitOffsets {
        group: String,
        topic: String,
        offsets: Vec<(u32, u64)>,
    },
    HoldOffsets {
        owner: String,
        topic: String,
        offsets: Vec<(u32, u64)>,
    },
    /// `at` is when, by the server's wall clock, in milliseconds.
    Append {
        producer: String,
        topic: String,
        partition: u32,
        records: Vec<Bytes>,
        at: u64,
    },
    /// Segments that are begun from here on take no more records when they have so many bytes.
    SegmentBytes(u64),
    Store {
        place: Place,
        file: SegmentFile,
    },
    Trim {
        place: Place,
        start: u64,
    },
    Init(ProducerId),
    Write {
        transaction: TransactionId,
        topic: String,
        partition: u32,
        records: Vec<Bytes>,
    },
    Prepare(TransactionId),
    Commit {
        transaction: TransactionId,
        at: u64,
    },
    Abort(TransactionId),
    CloseProducers {
        prefix: String,
    },
}
