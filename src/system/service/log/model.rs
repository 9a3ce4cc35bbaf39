//! The words in which clients and the server of the log service speak.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest name of a topic or a producer, in bytes.
pub const LOG_NAME_BYTES_MAX: usize = 512;

/// The most groups at one server, each counted once for every topic that it reads.
pub const GROUPS_MAX: usize = 1024;

/// The most partitions of a topic.
pub const PARTITIONS_MAX: u32 = 1024;

/// The largest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes of records in one append or write.
pub const WRITE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most bytes of records at one server, committed and staged.
pub const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// The most bytes of records in transactions that have not ended; they are in memory.
pub const STAGED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most partitions that are held at one server, each counted once for every owner.
pub const HOLDS_MAX: usize = 65_536;

/// The most bytes of records in one answer to a read.
pub const READ_BYTES_MAX: usize = 1024 * 1024;

/// The longest that a read waits for its first record.
pub const READ_WAIT_MAX: Duration = Duration::from_secs(60);

/// What a record takes beside its bytes, for the bounds above.
pub const RECORD_BYTES_AROUND: usize = 32;

/// A life of a producer. Both parts are the caller's choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProducerId {
    /// The producer.
    pub producer: String,
    /// Grows with each life of the producer.
    pub generation: u64,
}

/// One transaction; never used twice. All parts are the caller's choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionId {
    /// The producer.
    pub producer: String,
    /// The life of the producer that writes it.
    pub generation: u64,
    /// Tells the transactions of a generation apart; must grow.
    pub number: u64,
}

impl TransactionId {
    /// What it takes while its call waits, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.producer.len()
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Its records are visible.
    Committed,
    /// Its records are gone.
    Aborted,
}

/// Records for a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogWrite {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first record's sequence number, from 0.
    pub first: u64,
    /// The records, in order.
    pub records: Vec<Bytes>,
}

/// What a read asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogRead {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first record's offset.
    pub offset: u64,
    /// The most records to answer; 0 means 1.
    pub records_max: u32,
    /// How long to wait for the first record, in milliseconds; [`READ_WAIT_MAX`] at
    /// most.
    pub wait_ms: u64,
}

/// Committed records of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogBatch {
    /// The first record's offset, as it was asked for.
    pub first: u64,
    /// The records, in order; none when nothing came in time.
    pub records: Vec<Bytes>,
    /// The partition's end offset: that of the next record to come.
    pub end: u64,
}

/// How long records of a topic are kept, for each of its partitions. Whole segments go, the oldest first, and never what
/// somebody [holds](super::Log::hold_offsets), nor what a transaction has staged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retention {
    /// The oldest go while so many bytes are left without them; `None`, the default: whatever there is.
    pub bytes: Option<u64>,
    /// Records go when they are so many milliseconds old, by the server's wall clock; `None`, the default: never.
    pub age_ms: Option<u64>,
    /// The hard limit, in bytes, staged records included: what is beyond is refused as [`LogRefusal::Full`]. Of a topic
    /// with a retention the oldest go, too, while less than two segments are left to it. `None`, the default: only the
    /// server's own, [`LOG_BYTES_MAX`].
    pub bytes_max: Option<u64>,
    /// Nothing goes of a partition that nobody holds: what was written before its reader has come waits for him. Not by
    /// default.
    pub await_reader: bool,
}

impl Retention {
    /// How many bytes are kept of a partition whose segments have so many each, beyond the one that is written: of the hard
    /// limit two segments stay free, or what nobody needs any more would make it refuse what comes.
    pub(super) fn bytes_kept(self, segment_bytes: u64) -> Option<u64> {
        let free = self.bytes_max.map(|max| max.saturating_sub(2 * segment_bytes));
        self.bytes.into_iter().chain(free).min()
    }

    /// Whether nothing ever goes.
    pub fn is_unlimited(&self) -> bool {
        self.bytes.is_none() && self.age_ms.is_none()
    }
}

/// An offset of a partition from which on everything is kept for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeldOffset {
    /// For whom.
    pub owner: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first record that is kept for him.
    pub offset: u64,
}

/// How far a group has read a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupOffset {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first record that it has not read.
    pub offset: u64,
}

/// Why the server did not do what it was asked; nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum LogRefusal {
    /// A name or prefix is empty or longer than [`LOG_NAME_BYTES_MAX`].
    #[error("not a name")]
    BadName,
    /// A topic has from 1 to [`PARTITIONS_MAX`] partitions.
    #[error("a topic can't have so many partitions")]
    BadPartitions,
    /// The topic is there with another number of partitions.
    #[error("the topic has {partitions} partitions")]
    TopicExists {
        /// How many it has.
        partitions: u32,
    },
    /// The topic has more partitions than that, and none is ever taken away.
    #[error("the topic has {partitions} partitions, and none can be taken away")]
    TooFewPartitions {
        /// How many it has.
        partitions: u32,
    },
    /// The partition has no such record yet.
    #[error("partition {partition} ends at {end}")]
    BeyondEnd {
        /// The partition.
        partition: u32,
        /// Where it ends.
        end: u64,
    },
    /// There is no such topic or partition.
    #[error("no such partition")]
    NoPartition,
    /// The records that are asked for were removed by retention.
    #[error("the records before offset {start} are no longer kept")]
    Trimmed {
        /// The offset of the first record that is kept.
        start: u64,
    },
    /// Records before these are missing.
    #[error("record {expected} of the producer comes next")]
    Gap {
        /// The sequence number that comes next.
        expected: u64,
    },
    /// Another generation of the producer is current.
    #[error("generation {current} of the producer is current")]
    Fenced {
        /// The current generation.
        current: u64,
    },
    /// The transaction has ended.
    #[error("the transaction has ended: {outcome:?}")]
    Ended {
        /// How.
        outcome: Outcome,
    },
    /// The transaction is prepared and takes no writes.
    #[error("the transaction is prepared")]
    Prepared,
    /// The transaction is not prepared yet.
    #[error("the transaction is not prepared")]
    NotPrepared,
    /// The producer or the transaction is not known, or no longer: the ends of a producer's last
    /// 1024 ended transactions are remembered.
    #[error("the producer or its transaction is not known")]
    Unknown,
    /// The producer is closed for ever.
    #[error("the producer is closed")]
    Closed,
    /// A record has more than [`RECORD_BYTES_MAX`] bytes, or a call more than [`WRITE_BYTES_MAX`].
    #[error("too large")]
    TooLarge,
    /// The server holds as much as it can, or the partition as much as its topic's [`Retention`] lets it.
    #[error("the server or the partition is full")]
    Full,
}

/// Whether it can name a topic, a producer or a prefix of producers.
pub(super) fn check_name(name: &str) -> Result<(), LogRefusal> {
    match (1..=LOG_NAME_BYTES_MAX).contains(&name.len()) {
        true => Ok(()),
        false => Err(LogRefusal::BadName),
    }
}

/// What records take of the bounds.
pub(super) fn size(records: &[Bytes]) -> usize {
    records.iter().map(|record| record.len() + RECORD_BYTES_AROUND).sum()
}

/// Whether one call may carry these records.
pub(super) fn check_size(records: &[Bytes]) -> Result<(), LogRefusal> {
    let large = records.iter().any(|record| record.len() > RECORD_BYTES_MAX);
    match large || size(records) > WRITE_BYTES_MAX {
        true => Err(LogRefusal::TooLarge),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hard_limit_two_segments_stay_free() {
        let kept = |bytes, bytes_max, segment_bytes| {
            Retention { bytes, bytes_max, ..Retention::default() }.bytes_kept(segment_bytes)
        };
        assert_eq!(kept(None, None, 10), None);
        assert_eq!(kept(Some(50), None, 10), Some(50));
        assert_eq!(kept(Some(50), Some(100), 10), Some(50));
        assert_eq!(kept(Some(90), Some(100), 10), Some(80));
        assert_eq!(kept(None, Some(100), 10), Some(80));
        assert_eq!(kept(Some(50), Some(10), 10), Some(0));
    }
}
