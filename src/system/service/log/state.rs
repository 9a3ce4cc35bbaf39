//! The server's state as a function of its records, and what calls make of it.

use super::{
    LogEvent,
    command::{Command, Record},
    model::{
        GROUPS_MAX, GroupOffset, HeldOffset, LOG_BYTES_MAX, LogRead, LogRefusal, LogWrite, Outcome,
        PARTITIONS_MAX, ProducerId, Retention, STAGED_BYTES_MAX, TransactionId, check_name,
        check_size, size,
    },
    partition::{Look, Partition},
    producer::{Producer, Stage, Staged},
    segment::SegmentFile,
    topics::{Place, Topics},
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
/// Closed prefixes at one server.
const CLOSED_MAX: usize = 65_536;

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

/// Topics, producers and their transactions after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogState {
    pub topics: Topics,
    producers: BTreeMap<String, Producer>,
    closed: BTreeSet<String>,
    /// By group and topic, how far each partition was read.
    committed: BTreeMap<String, BTreeMap<String, BTreeMap<u32, u64>>>,
}

impl Durable for LogState {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::CreateTopic { topic, partitions }
            | Record::AddPartitions { topic, partitions } => self.topics.resize(topic, *partitions),
            Record::SetRetention { topic, retention } => {
                self.topics.set_retention(topic, *retention);
            }
            Record::CommitOffsets { group, topic, offsets } => {
                let of_group = self.committed.entry(group.clone()).or_default();
                of_group.entry(topic.clone()).or_default().extend(offsets.iter().copied());
            }
            Record::HoldOffsets { owner, topic, offsets } => {
                self.topics.hold(owner, topic, offsets);
            }
            Record::Append { producer, topic, partition, records, at } => {
                self.topics.append(topic, *partition, records, *at);
                let appended = (producer.as_str(), records.len() as u64);
                self.topics.note_producer((topic, *partition), appended, *at);
            }
            Record::SegmentBytes(bytes) => self.topics.set_segment_bytes(*bytes),
            Record::Store { place, file } => self.topics.store(place, *file),
            Record::Trim { place, start } => self.topics.trim(place, *start),
            Record::Init(ProducerId { producer, generation }) => {
                self.producer_mut(producer).generation = Some(*generation);
                for transaction in self.older_unended(producer, *generation) {
                    self.abort_staged(&transaction);
                }
            }
            Record::Write { transaction, topic, partition, records } => {
                self.topics.stage(topic, *partition, size(records) as u64);
                let producer = self.producer_mut(&transaction.producer);
                producer.write(transaction.epoch(), topic, *partition, records);
            }
            Record::Prepare(transaction) => {
                self.producer_mut(&transaction.producer).prepare(transaction.epoch());
            }
            Record::Commit { transaction, at } => {
                for ((topic, partition), records) in self.end(transaction, Outcome::Committed) {
                    self.topics.append(&topic, partition, &records, *at);
                }
            }
            Record::Abort(transaction) => self.abort_staged(transaction),
            Record::CloseProducers { prefix } => {
                for transaction in self.unended_under(prefix) {
                    self.abort_staged(&transaction);
                }
                self.topics.release(prefix);
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
    fn producer_mut(&mut self, producer: &str) -> &mut Producer {
        self.producers.entry(producer.to_string()).or_default()
    }

    /// Ends a transaction; what it had staged is nowhere then.
    fn end(&mut self, transaction: &TransactionId, outcome: Outcome) -> Staged {
        let staged = self.producer_mut(&transaction.producer).end(transaction.epoch(), outcome);
        for (place, records) in &staged {
            self.topics.unstage(place, size(records) as u64);
        }
        staged
    }

    fn abort_staged(&mut self, transaction: &TransactionId) {
        self.end(transaction, Outcome::Aborted);
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

    /// What is prepared of a transaction's producer behind it, if it has ended itself.
    pub fn prepared_after(&self, of: &TransactionId) -> Option<TransactionId> {
        let producer = self.producers.get(&of.producer)?;
        if !matches!(producer.stage(of.epoch()), Ok(Some(Stage::Ended(_)))) {
            return None;
        }
        let is_next = |later: &TransactionId| {
            later.epoch() > of.epoch()
                && matches!(producer.stage(later.epoch()), Ok(Some(Stage::Prepared(_))))
        };
        self.unended_of(&of.producer).into_iter().find(is_next)
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

    /// What is in memory: a topic, a partition, the first record's offset and the records each. What was not announced
    /// before a crash is among it.
    pub fn in_memory(&self) -> Vec<(String, u32, u64, Vec<Bytes>)> {
        let of_partition = |(topic, number, partition): (&str, u32, &Partition)| {
            let named = |(first, records): (u64, &[Bytes])| {
                (topic.to_string(), number, first, records.to_vec())
            };
            partition.in_memory().map(named).collect::<Vec<_>>()
        };
        self.topics.all().flat_map(of_partition).collect()
    }

    /// Each partition's topic, number, and what that is of it.
    pub fn offsets(&self, of: impl Fn(&Partition) -> u64) -> Vec<(String, u32, u64)> {
        let named = |(topic, number, partition): (&str, u32, &Partition)| {
            (topic.to_string(), number, of(partition))
        };
        self.topics.all().map(named).collect()
    }

    /// What is held.
    pub fn held(&self) -> Vec<HeldOffset> {
        let named = |(owner, (topic, partition), offset): (&str, &Place, u64)| {
            let (owner, topic) = (owner.to_string(), topic.clone());
            HeldOffset { owner, topic, partition: *partition, offset }
        };
        self.topics.holds().map(named).collect()
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
        self.topics.all_of(topic)?;
        let offsets = self.committed.get(group).and_then(|topics| topics.get(topic));
        Ok(offsets.into_iter().flatten().map(|(n, offset)| (*n, *offset)).collect())
    }

    /// Where an owner holds these partitions.
    pub fn held_by(&self, owner: &str, topic: &str, partitions: &[u32]) -> Vec<(u32, u64)> {
        let held = |partition: &u32| {
            let place = (topic.to_string(), *partition);
            Some((*partition, self.topics.held_by(owner, &place)?))
        };
        partitions.iter().filter_map(held).collect()
    }

    /// The first offset of each partition that is kept.
    pub fn start_offsets(&self, topic: &str) -> Result<Vec<u64>, LogRefusal> {
        Ok(self.topics.all_of(topic)?.iter().map(Partition::start).collect())
    }

    /// Each partition's end offset.
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<u64>, LogRefusal> {
        Ok(self.topics.all_of(topic)?.iter().map(Partition::end).collect())
    }

    /// What stands at an offset.
    pub fn read(&self, read: &LogRead) -> Result<Look, LogRefusal> {
        self.topics.get(&read.topic, read.partition)?.read(read.offset, read.records_max)
    }

    /// What a call comes to, without doing it, at a time of the server's wall clock in milliseconds.
    pub fn decide(&self, command: Command, at: u64) -> Result<Decision, LogRefusal> {
        match command {
            Command::CreateTopic { topic, partitions } => self.create_topic(topic, partitions),
            Command::AddPartitions { topic, partitions } => self.add_partitions(topic, partitions),
            Command::CommitOffsets { group, topic, offsets } => {
                self.commit_offsets(group, topic, offsets)
            }
            Command::SetRetention { topic, retention } => self.set_retention(topic, retention),
            Command::HoldOffsets { owner, topic, offsets } => {
                self.hold_offsets(owner, topic, offsets)
            }
            Command::Append { producer, write } => self.append(producer, write, at),
            Command::Store { place, file } => self.store(place, file),
            Command::Trim { place, start } => self.trim(place, start),
            Command::Init(id) => self.init_producer(id),
            Command::Write { transaction, write } => self.write(transaction, write),
            Command::Prepare(transaction) => self.prepare(transaction),
            Command::Commit(transaction) => self.commit(transaction, at),
            Command::Abort(transaction) => self.abort(transaction),
            Command::CloseProducers { prefix } => self.close_producers(prefix),
        }
    }

    fn create_topic(&self, topic: String, partitions: u32) -> Result<Decision, LogRefusal> {
        check_name(&topic)?;
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(LogRefusal::BadPartitions);
        }
        match self.topics.partitions_of(&topic) {
            Some(known) if known == partitions => Ok(Decision::default()),
            Some(partitions) => Err(LogRefusal::TopicExists { partitions }),
            None if self.topics.len() >= TOPICS_MAX => Err(LogRefusal::Full),
            None => {
                let event = LogEvent::TopicCreated { topic: topic.clone(), partitions };
                Ok(Decision::change(Record::CreateTopic { topic, partitions }, vec![event]))
            }
        }
    }

    fn add_partitions(&self, topic: String, partitions: u32) -> Result<Decision, LogRefusal> {
        let known = self.topics.partitions_of(&topic).ok_or(LogRefusal::NoPartition)?;
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

    fn set_retention(&self, topic: String, retention: Retention) -> Result<Decision, LogRefusal> {
        if self.topics.retention(&topic)? == retention {
            return Ok(Decision::default());
        }
        let event = LogEvent::RetentionSet { topic: topic.clone(), retention };
        Ok(Decision::change(Record::SetRetention { topic, retention }, vec![event]))
    }

    /// What lies before what is held is left as it is, too.
    fn hold_offsets(
        &self,
        owner: String,
        topic: String,
        offsets: Vec<(u32, u64)>,
    ) -> Result<Decision, LogRefusal> {
        self.check_open(&owner)?;
        let offsets = self.topics.new_holds(&owner, &topic, offsets)?;
        if offsets.is_empty() {
            return Ok(Decision::default());
        }
        let told = offsets.iter().map(|(partition, offset)| {
            let (owner, topic) = (owner.clone(), topic.clone());
            HeldOffset { owner, topic, partition: *partition, offset: *offset }
        });
        let event = LogEvent::OffsetsHeld { offsets: told.collect() };
        Ok(Decision::change(Record::HoldOffsets { owner, topic, offsets }, vec![event]))
    }

    /// Records of a segment are a file; no record when they are gone, and the file is garbage then.
    fn store(&self, place: Place, file: SegmentFile) -> Result<Decision, LogRefusal> {
        let (topic, partition) = (place.0.clone(), place.1);
        if !self.topics.get(&topic, partition)?.may_store(file) {
            return Ok(Decision::default());
        }
        let SegmentFile { first: offset, records, .. } = file;
        let event = LogEvent::SegmentStored { topic, partition, offset, records };
        Ok(Decision::change(Record::Store { place, file }, vec![event]))
    }

    fn trim(&self, place: Place, start: u64) -> Result<Decision, LogRefusal> {
        let (topic, partition) = (place.0.clone(), place.1);
        if self.topics.get(&topic, partition)?.start() >= start {
            return Ok(Decision::default());
        }
        let event = LogEvent::Trimmed { topic, partition, start };
        Ok(Decision::change(Record::Trim { place, start }, vec![event]))
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
            let end = self.topics.get(&topic, *partition)?.end();
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

    fn append(&self, producer: String, write: LogWrite, at: u64) -> Result<Decision, LogRefusal> {
        check_name(&producer)?;
        let LogWrite { topic, partition, first, records } = write;
        let place = self.topics.get(&topic, partition)?;
        let known = place.next_of(&producer);
        let records = self.fresh((&topic, partition), first, records, known.unwrap_or(0))?;
        let next = known.unwrap_or(0) + records.len() as u64;
        if records.is_empty() {
            return Ok(Decision { next, ..Decision::default() });
        }
        if known.is_none() && !place.has_room_for_producer(at) {
            return Err(LogRefusal::Full);
        }
        let event = LogEvent::Appended {
            topic: topic.clone(),
            partition,
            offset: place.end(),
            producer: producer.clone(),
            records: records.clone(),
        };
        let record = Record::Append { producer, topic, partition, records, at };
        Ok(Decision { next, record: Some(record), events: vec![event] })
    }

    /// Those of the records that are not known yet, when `next` is the next sequence number, if there is room for them.
    fn fresh(
        &self,
        (topic, partition): (&str, u32),
        first: u64,
        mut records: Vec<Bytes>,
        next: u64,
    ) -> Result<Vec<Bytes>, LogRefusal> {
        check_size(&records)?;
        let known = next.checked_sub(first).ok_or(LogRefusal::Gap { expected: next })?;
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(records.len());
        let fresh = records.split_off(known);
        let bytes = size(&fresh) as u64;
        let fits = fresh.is_empty()
            || self.topics.bytes() + bytes <= LOG_BYTES_MAX
                && self.topics.has_room(topic, partition, bytes)?;
        if fits { Ok(fresh) } else { Err(LogRefusal::Full) }
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
        self.topics.get(&write.topic, write.partition)?;
        let place = (write.topic, write.partition);
        let known = staged.and_then(|staged| staged.get(&place)).map_or(0, Vec::len) as u64;
        let records = self.fresh((&place.0, place.1), write.first, write.records, known)?;
        if self.topics.staged() + size(&records) as u64 > STAGED_BYTES_MAX {
            return Err(LogRefusal::Full);
        }
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

    fn commit(&self, transaction: TransactionId, at: u64) -> Result<Decision, LogRefusal> {
        let staged = match self.stage(&transaction)? {
            Some(Stage::Prepared(staged)) => staged,
            Some(Stage::Ended(Outcome::Committed)) => return Ok(Decision::default()),
            Some(Stage::Ended(outcome)) => return Err(LogRefusal::Ended { outcome: *outcome }),
            Some(Stage::Open(_)) => return Err(LogRefusal::NotPrepared),
            None => return Err(LogRefusal::Unknown),
        };
        let writes = self.placed(staged);
        let event = LogEvent::TransactionCommitted { transaction: transaction.clone(), writes };
        Ok(Decision::change(Record::Commit { transaction, at }, vec![event]))
    }

    /// Where staged records would be appended.
    fn placed(&self, staged: &Staged) -> Vec<(String, u32, u64, Vec<Bytes>)> {
        let filled = staged.iter().filter(|(_, records)| !records.is_empty());
        let placed = filled.map(|((topic, partition), records)| {
            let offset = self.topics.get(topic, *partition).map_or(0, Partition::end);
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
