//! The server's state as a function of its records, and what calls make of it.

use super::{
    LogEvent,
    model::{
        GROUPS_MAX, GroupOffset, LOG_BYTES_MAX, LogBatch, LogRead, LogRefusal, LogWrite, Outcome,
        PARTITIONS_MAX, ProducerId, READ_BYTES_MAX, RECORD_BYTES_AROUND, TransactionId, check_name,
        check_size, size,
    },
    producer::{Producer, Stage, Staged, staged_size},
};
use crate::system::service::durable::Durable;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// Topics at one server.
const TOPICS_MAX: usize = 1024;
/// Producers with transactions at one server.
const PRODUCERS_MAX: usize = 65_536;
/// Producers that append to one partition without transactions.
const SEQUENCES_MAX: usize = 4096;
/// Closed prefixes at one server.
const CLOSED_MAX: usize = 65_536;

/// A call that may change the state.
pub(super) enum Command {
    CreateTopic { topic: String, partitions: u32 },
    AddPartitions { topic: String, partitions: u32 },
    CommitOffsets { group: String, topic: String, offsets: Vec<(u32, u64)> },
    Append { producer: String, write: LogWrite },
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
            Command::CommitOffsets { group, topic, offsets } => {
                group.len() + topic.len() + size_of_val(&offsets[..])
            }
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
    CreateTopic { topic: String, partitions: u32 },
    AddPartitions { topic: String, partitions: u32 },
    CommitOffsets { group: String, topic: String, offsets: Vec<(u32, u64)> },
    Append { producer: String, topic: String, partition: u32, records: Vec<Bytes> },
    Init(ProducerId),
    Write { transaction: TransactionId, topic: String, partition: u32, records: Vec<Bytes> },
    Prepare(TransactionId),
    Commit(TransactionId),
    Abort(TransactionId),
    CloseProducers { prefix: String },
}

/// What a call comes to.
#[derive(Default)]
pub(super) struct Decision {
    /// The producer's next sequence number, for calls that carry records.
    pub next: u64,
    /// `None` when it is done already.
    pub record: Option<Record>,
    /// What the record makes true, in order.
    pub events: Vec<LogEvent>,
}

impl Decision {
    fn change(record: Record, events: Vec<LogEvent>) -> Self {
        Decision { next: 0, record: Some(record), events }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Partition {
    records: Vec<Bytes>,
    /// The next sequence number of each producer that appends without transactions.
    sequences: BTreeMap<String, u64>,
}

impl Partition {
    fn end(&self) -> u64 {
        self.records.len() as u64
    }
}

/// Topics, producers and their transactions after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogState {
    topics: BTreeMap<String, Vec<Partition>>,
    producers: BTreeMap<String, Producer>,
    closed: BTreeSet<String>,
    /// By group and topic, how far each partition was read.
    committed: BTreeMap<String, BTreeMap<String, BTreeMap<u32, u64>>>,
    /// What all records take, committed and staged.
    bytes: u64,
}

impl Durable for LogState {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::CreateTopic { topic, partitions } => {
                let partitions = (0..*partitions).map(|_| Partition::default()).collect();
                self.topics.insert(topic.clone(), partitions);
            }
            Record::AddPartitions { topic, partitions } => {
                if let Some(known) = self.topics.get_mut(topic) {
                    known.resize_with(*partitions as usize, Partition::default);
                }
            }
            Record::CommitOffsets { group, topic, offsets } => {
                let of_group = self.committed.entry(group.clone()).or_default();
                of_group.entry(topic.clone()).or_default().extend(offsets.iter().copied());
            }
            Record::Append { producer, topic, partition, records } => {
                self.bytes += size(records) as u64;
                if let Some(place) = self.partition_mut(topic, *partition) {
                    place.records.extend_from_slice(records);
                    *place.sequences.entry(producer.clone()).or_default() += records.len() as u64;
                }
            }
            Record::Init(ProducerId { producer, generation }) => {
                self.producer_mut(producer).generation = Some(*generation);
                for transaction in self.older_unended(producer, *generation) {
                    self.end(&transaction, Outcome::Aborted);
                }
            }
            Record::Write { transaction, topic, partition, records } => {
                self.bytes += size(records) as u64;
                let producer = self.producer_mut(&transaction.producer);
                producer.write(transaction.epoch(), topic, *partition, records);
            }
            Record::Prepare(transaction) => {
                self.producer_mut(&transaction.producer).prepare(transaction.epoch());
            }
            Record::Commit(transaction) => self.end(transaction, Outcome::Committed),
            Record::Abort(transaction) => self.end(transaction, Outcome::Aborted),
            Record::CloseProducers { prefix } => {
                for transaction in self.unended_under(prefix) {
                    self.end(&transaction, Outcome::Aborted);
                }
                self.closed.insert(prefix.clone());
            }
        }
    }
}

fn group_offsets(
    group: &str,
    topic: &str,
    offsets: impl Iterator<Item = (u32, u64)>,
) -> impl Iterator<Item = GroupOffset> {
    offsets.map(move |(partition, offset)| {
        let (group, topic) = (group.to_string(), topic.to_string());
        GroupOffset { group, topic, partition, offset }
    })
}

impl LogState {
    fn partition(&self, topic: &str, partition: u32) -> Result<&Partition, LogRefusal> {
        let partitions = self.topics.get(topic).ok_or(LogRefusal::NoPartition)?;
        partitions.get(partition as usize).ok_or(LogRefusal::NoPartition)
    }

    fn partition_mut(&mut self, topic: &str, partition: u32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.get_mut(partition as usize)
    }

    fn producer_mut(&mut self, producer: &str) -> &mut Producer {
        self.producers.entry(producer.to_string()).or_default()
    }

    fn end(&mut self, transaction: &TransactionId, outcome: Outcome) {
        let staged = self.producer_mut(&transaction.producer).end(transaction.epoch(), outcome);
        match outcome {
            Outcome::Aborted => self.bytes = self.bytes.saturating_sub(staged_size(&staged)),
            Outcome::Committed => {
                for ((topic, partition), records) in staged {
                    if let Some(place) = self.partition_mut(&topic, partition) {
                        place.records.extend(records);
                    }
                }
            }
        }
    }

    /// What is open or prepared of a producer, by generation and number.
    fn unended_of(&self, producer: &str) -> Vec<TransactionId> {
        let epochs = self.producers.get(producer).into_iter().flat_map(Producer::unended);
        let named = |(generation, number)| {
            let producer = producer.to_string();
            TransactionId { producer, generation, number }
        };
        epochs.map(named).collect()
    }

    fn older_unended(&self, producer: &str, generation: u64) -> Vec<TransactionId> {
        let mut unended = self.unended_of(producer);
        unended.retain(|transaction| transaction.generation < generation);
        unended
    }

    /// What is open or prepared of producers whose names begin with a prefix.
    pub fn unended_under(&self, prefix: &str) -> Vec<TransactionId> {
        let producers = self.producers.range(prefix.to_string()..);
        let producers = producers.take_while(|(name, _)| name.starts_with(prefix));
        producers.flat_map(|(name, _)| self.unended_of(name)).collect()
    }

    /// Each partition's topic, number and records.
    pub fn records(&self) -> Vec<(String, u32, Vec<Bytes>)> {
        let of_topic = |(topic, partitions): (&String, &Vec<Partition>)| {
            let held = |(n, place): (u32, &Partition)| (topic.clone(), n, place.records.clone());
            (0..).zip(partitions).map(held).collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(of_topic).collect()
    }

    /// Each partition's topic, number and end offset.
    pub fn ends(&self) -> Vec<(String, u32, u64)> {
        let of_topic = |(topic, partitions): (&String, &Vec<Partition>)| {
            let ends = (0..).zip(partitions).map(|(n, place)| (topic.clone(), n, place.end()));
            ends.collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(of_topic).collect()
    }

    /// The closed prefixes.
    pub fn closed(&self) -> Vec<String> {
        self.closed.iter().cloned().collect()
    }

    /// What groups have committed.
    pub fn committed(&self) -> Vec<GroupOffset> {
        let groups = self.committed.iter();
        let topics = groups.flat_map(|(group, of)| of.iter().map(move |of| (group, of)));
        let offsets = topics.flat_map(|(group, (topic, offsets))| {
            group_offsets(group, topic, offsets.iter().map(|(n, offset)| (*n, *offset)))
        });
        offsets.collect()
    }

    /// How far a group has read each partition of a topic; not those of which it has committed nothing.
    pub fn committed_offsets(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<(u32, u64)>, LogRefusal> {
        check_name(group)?;
        if !self.topics.contains_key(topic) {
            return Err(LogRefusal::NoPartition);
        }
        let offsets = self.committed.get(group).and_then(|topics| topics.get(topic));
        Ok(offsets.into_iter().flatten().map(|(n, offset)| (*n, *offset)).collect())
    }

    /// Each partition's end offset.
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<u64>, LogRefusal> {
        let partitions = self.topics.get(topic).ok_or(LogRefusal::NoPartition)?;
        Ok(partitions.iter().map(Partition::end).collect())
    }

    /// The records at an offset, at least one if there is any.
    pub fn read(&self, read: &LogRead) -> Result<LogBatch, LogRefusal> {
        let LogRead { topic, partition, offset, records_max, .. } = read;
        let place = self.partition(topic, *partition)?;
        let from = usize::try_from(*offset).unwrap_or(usize::MAX).min(place.records.len());
        let mut bytes = 0;
        let fits = |record: &&Bytes| {
            let first = bytes == 0;
            bytes += record.len() + RECORD_BYTES_AROUND;
            first || bytes <= READ_BYTES_MAX
        };
        let records = place.records[from..].iter().take((*records_max).max(1) as usize);
        let records = records.take_while(fits).cloned().collect();
        Ok(LogBatch { first: *offset, records, end: place.end() })
    }

    /// What a call comes to, without doing it.
    pub fn decide(&self, command: Command) -> Result<Decision, LogRefusal> {
        match command {
            Command::CreateTopic { topic, partitions } => self.create_topic(topic, partitions),
            Command::AddPartitions { topic, partitions } => self.add_partitions(topic, partitions),
            Command::CommitOffsets { group, topic, offsets } => {
                self.commit_offsets(group, topic, offsets)
            }
            Command::Append { producer, write } => self.append(producer, write),
            Command::Init(id) => self.init_producer(id),
            Command::Write { transaction, write } => self.write(transaction, write),
            Command::Prepare(transaction) => self.prepare(transaction),
            Command::Commit(transaction) => self.commit(transaction),
            Command::Abort(transaction) => self.abort(transaction),
            Command::CloseProducers { prefix } => self.close_producers(prefix),
        }
    }

    fn create_topic(&self, topic: String, partitions: u32) -> Result<Decision, LogRefusal> {
        check_name(&topic)?;
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(LogRefusal::BadPartitions);
        }
        match self.topics.get(&topic) {
            Some(known) if known.len() == partitions as usize => Ok(Decision::default()),
            Some(known) => {
                let partitions = u32::try_from(known.len()).unwrap_or(u32::MAX);
                Err(LogRefusal::TopicExists { partitions })
            }
            None if self.topics.len() >= TOPICS_MAX => Err(LogRefusal::Full),
            None => {
                let event = LogEvent::TopicCreated { topic: topic.clone(), partitions };
                Ok(Decision::change(Record::CreateTopic { topic, partitions }, vec![event]))
            }
        }
    }

    fn add_partitions(&self, topic: String, partitions: u32) -> Result<Decision, LogRefusal> {
        let known = self.topics.get(&topic).ok_or(LogRefusal::NoPartition)?;
        let known = u32::try_from(known.len()).unwrap_or(u32::MAX);
        if partitions > PARTITIONS_MAX {
            return Err(LogRefusal::BadPartitions);
        }
        match partitions.cmp(&known) {
            Ordering::Less => Err(LogRefusal::TooFewPartitions { partitions: known }),
            Ordering::Equal => Ok(Decision::default()),
            Ordering::Greater => {
                let event = LogEvent::PartitionsAdded { topic: topic.clone(), partitions };
                Ok(Decision::change(Record::AddPartitions { topic, partitions }, vec![event]))
            }
        }
    }

    /// What lies before what is committed is left as it is: it is the word of somebody who has been replaced, or late.
    fn commit_offsets(
        &self,
        group: String,
        topic: String,
        mut offsets: Vec<(u32, u64)>,
    ) -> Result<Decision, LogRefusal> {
        check_name(&group)?;
        for (partition, offset) in &offsets {
            let end = self.partition(&topic, *partition)?.end();
            if *offset > end {
                return Err(LogRefusal::BeyondEnd { partition: *partition, end });
            }
        }
        let known = self.committed.get(&group).and_then(|topics| topics.get(&topic));
        let all = self.committed.values().map(BTreeMap::len).sum::<usize>();
        if known.is_none() && all >= GROUPS_MAX {
            return Err(LogRefusal::Full);
        }
        offsets.retain(|(partition, offset)| {
            known.and_then(|known| known.get(partition)).is_none_or(|known| known < offset)
        });
        if offsets.is_empty() {
            return Ok(Decision::default());
        }
        let told = group_offsets(&group, &topic, offsets.iter().copied()).collect();
        let record = Record::CommitOffsets { group, topic, offsets };
        Ok(Decision::change(record, vec![LogEvent::OffsetsCommitted { offsets: told }]))
    }

    fn append(&self, producer: String, write: LogWrite) -> Result<Decision, LogRefusal> {
        check_name(&producer)?;
        let place = self.partition(&write.topic, write.partition)?;
        let known = place.sequences.get(&producer).copied();
        let records = self.fresh(write.first, write.records, known.unwrap_or(0))?;
        let next = known.unwrap_or(0) + records.len() as u64;
        if records.is_empty() {
            return Ok(Decision { next, ..Decision::default() });
        }
        if known.is_none() && place.sequences.len() >= SEQUENCES_MAX {
            return Err(LogRefusal::Full);
        }
        let (topic, partition) = (write.topic, write.partition);
        let event = LogEvent::Appended {
            topic: topic.clone(),
            partition,
            offset: place.end(),
            producer: producer.clone(),
            records: records.clone(),
        };
        let record = Record::Append { producer, topic, partition, records };
        Ok(Decision { next, record: Some(record), events: vec![event] })
    }

    /// Those of the records that are not known yet, when `next` is the next sequence number.
    fn fresh(
        &self,
        first: u64,
        mut records: Vec<Bytes>,
        next: u64,
    ) -> Result<Vec<Bytes>, LogRefusal> {
        check_size(&records)?;
        let known = next.checked_sub(first).ok_or(LogRefusal::Gap { expected: next })?;
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(records.len());
        let fresh = records.split_off(known);
        match self.bytes + size(&fresh) as u64 > LOG_BYTES_MAX {
            true => Err(LogRefusal::Full),
            false => Ok(fresh),
        }
    }

    fn check_open(&self, producer: &str) -> Result<(), LogRefusal> {
        check_name(producer)?;
        let ends = (1..=producer.len()).filter(|end| producer.is_char_boundary(*end));
        let mut prefixes = ends.map(|end| &producer[..end]);
        match prefixes.any(|prefix| self.closed.contains(prefix)) {
            true => Err(LogRefusal::Closed),
            false => Ok(()),
        }
    }

    /// Whether the producer may be remembered.
    fn check_room(&self, producer: &str) -> Result<(), LogRefusal> {
        match !self.producers.contains_key(producer) && self.producers.len() >= PRODUCERS_MAX {
            true => Err(LogRefusal::Full),
            false => Ok(()),
        }
    }

    fn init_producer(&self, id: ProducerId) -> Result<Decision, LogRefusal> {
        self.check_open(&id.producer)?;
        self.check_room(&id.producer)?;
        match self.producers.get(&id.producer).and_then(|producer| producer.generation) {
            Some(current) if id.generation < current => Err(LogRefusal::Fenced { current }),
            Some(current) if id.generation == current => Ok(Decision::default()),
            _ => {
                let ProducerId { producer, generation } = id.clone();
                let aborted = self.older_unended(&producer, generation);
                let mut events = vec![LogEvent::ProducerFenced { producer, generation }];
                events.extend(aborted.into_iter().map(aborted_event));
                Ok(Decision::change(Record::Init(id), events))
            }
        }
    }

    fn stage(&self, transaction: &TransactionId) -> Result<Option<&Stage>, LogRefusal> {
        match self.producers.get(&transaction.producer) {
            Some(producer) => producer.stage(transaction.epoch()),
            None => Ok(None),
        }
    }

    /// How far a transaction is that its own generation wants to go on with.
    fn own_stage(&self, transaction: &TransactionId) -> Result<Option<&Stage>, LogRefusal> {
        self.check_open(&transaction.producer)?;
        let producer = self.producers.get(&transaction.producer).ok_or(LogRefusal::Unknown)?;
        let current = producer.generation.ok_or(LogRefusal::Unknown)?;
        if transaction.generation != current {
            return Err(LogRefusal::Fenced { current });
        }
        let stage = producer.stage(transaction.epoch())?;
        match stage.is_none() && !producer.may_open() {
            true => Err(LogRefusal::Full),
            false => Ok(stage),
        }
    }

    fn write(&self, transaction: TransactionId, write: LogWrite) -> Result<Decision, LogRefusal> {
        let staged = match self.own_stage(&transaction)? {
            Some(Stage::Ended(outcome)) => return Err(LogRefusal::Ended { outcome: *outcome }),
            Some(Stage::Prepared(_)) => return Err(LogRefusal::Prepared),
            Some(Stage::Open(staged)) => Some(staged),
            None => None,
        };
        self.partition(&write.topic, write.partition)?;
        let place = (write.topic, write.partition);
        let known = staged.and_then(|staged| staged.get(&place)).map_or(0, Vec::len) as u64;
        let records = self.fresh(write.first, write.records, known)?;
        let next = known + records.len() as u64;
        if staged.is_some() && records.is_empty() {
            return Ok(Decision { next, ..Decision::default() });
        }
        let events = match staged {
            Some(_) => Vec::new(),
            None => vec![LogEvent::TransactionOpened { transaction: transaction.clone() }],
        };
        let (topic, partition) = place;
        let record = Record::Write { transaction, topic, partition, records };
        Ok(Decision { next, record: Some(record), events })
    }

    fn prepare(&self, transaction: TransactionId) -> Result<Decision, LogRefusal> {
        let mut events = match self.own_stage(&transaction)? {
            Some(Stage::Ended(outcome)) => return Err(LogRefusal::Ended { outcome: *outcome }),
            Some(Stage::Prepared(_)) => return Ok(Decision::default()),
            Some(Stage::Open(_)) => Vec::new(),
            None => vec![LogEvent::TransactionOpened { transaction: transaction.clone() }],
        };
        events.push(LogEvent::TransactionPrepared { transaction: transaction.clone() });
        Ok(Decision::change(Record::Prepare(transaction), events))
    }

    fn commit(&self, transaction: TransactionId) -> Result<Decision, LogRefusal> {
        let staged = match self.stage(&transaction)? {
            Some(Stage::Prepared(staged)) => staged,
            Some(Stage::Ended(Outcome::Committed)) => return Ok(Decision::default()),
            Some(Stage::Ended(outcome)) => return Err(LogRefusal::Ended { outcome: *outcome }),
            Some(Stage::Open(_)) => return Err(LogRefusal::NotPrepared),
            None => return Err(LogRefusal::Unknown),
        };
        let writes = self.placed(staged);
        let event = LogEvent::TransactionCommitted { transaction: transaction.clone(), writes };
        Ok(Decision::change(Record::Commit(transaction), vec![event]))
    }

    /// Where staged records would be appended.
    fn placed(&self, staged: &Staged) -> Vec<(String, u32, u64, Vec<Bytes>)> {
        let filled = staged.iter().filter(|(_, records)| !records.is_empty());
        let placed = filled.map(|((topic, partition), records)| {
            let offset = self.partition(topic, *partition).map_or(0, Partition::end);
            (topic.clone(), *partition, offset, records.clone())
        });
        placed.collect()
    }

    fn abort(&self, transaction: TransactionId) -> Result<Decision, LogRefusal> {
        check_name(&transaction.producer)?;
        self.check_room(&transaction.producer)?;
        match self.stage(&transaction)? {
            Some(Stage::Ended(Outcome::Aborted)) => Ok(Decision::default()),
            Some(Stage::Ended(outcome)) => Err(LogRefusal::Ended { outcome: *outcome }),
            // Also of one that nobody has heard of, so that a late write can't open it.
            Some(Stage::Open(_) | Stage::Prepared(_)) | None => {
                let event = aborted_event(transaction.clone());
                Ok(Decision::change(Record::Abort(transaction), vec![event]))
            }
        }
    }

    fn close_producers(&self, prefix: String) -> Result<Decision, LogRefusal> {
        match self.check_open(&prefix) {
            Err(LogRefusal::Closed) => return Ok(Decision::default()),
            checked => checked?,
        }
        if self.closed.len() >= CLOSED_MAX {
            return Err(LogRefusal::Full);
        }
        let aborted = self.unended_under(&prefix);
        let mut events: Vec<LogEvent> = aborted.into_iter().map(aborted_event).collect();
        events.push(LogEvent::ProducersClosed { prefix: prefix.clone() });
        Ok(Decision::change(Record::CloseProducers { prefix }, events))
    }
}

fn aborted_event(transaction: TransactionId) -> LogEvent {
    LogEvent::TransactionAborted { transaction }
}
