//! Follows the server by its own evidence and holds everything else against that.

use crate::service::Entry;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use wavetank::{
    host::sim::ProcessEnd,
    system::service::{
        ServiceError,
        log::{LogError, LogEvent, LogRefusal, Outcome, ProducerId, TransactionId},
    },
};

pub const TOPIC: &str = "t";
pub const PARTITIONS: u32 = 2;
pub const PRODUCERS: [&str; 2] = ["p0", "p1"];

#[derive(Clone, Debug)]
pub enum Call {
    Append { producer: String, partition: u32, first: u64, records: Vec<Bytes> },
    Init(ProducerId),
    Write { transaction: TransactionId, partition: u32, first: u64, records: Vec<Bytes> },
    Prepare(TransactionId),
    Commit(TransactionId),
    Abort(TransactionId),
    Close(String),
}

/// What a client notes.
#[derive(Clone, Debug)]
pub enum Note {
    /// Somebody is about to use this transaction.
    Begun(TransactionId),
    /// Records up to this sequence number are about to be written.
    Sent(TransactionId, u32, u64),
    Answered(Call, Result<u64, LogError>),
    Read {
        partition: u32,
        first: u64,
        records: Vec<Bytes>,
    },
}

/// What a record of a transaction says of itself.
pub fn transacted(transaction: &TransactionId, partition: u32, sequence: u64) -> Bytes {
    let TransactionId { producer, generation, number } = transaction;
    Bytes::from(format!("{producer} {generation} {number} {partition} {sequence}"))
}

/// What a plainly appended record says of itself.
pub fn appended(producer: &str, partition: u32, sequence: u64) -> Bytes {
    Bytes::from(format!("{producer} {partition} {sequence}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Absent,
    Open,
    Prepared,
    Committed,
    Aborted,
}

use Stage::{Aborted, Absent, Committed, Open, Prepared};

#[derive(Default)]
pub struct Checker {
    /// What was announced at each offset; `None` where a recovery showed that something is there.
    partitions: Vec<Vec<Option<Bytes>>>,
    /// Where each transaction may be.
    stages: BTreeMap<TransactionId, BTreeSet<Stage>>,
    /// The newest generation announced, and whether a newer one may be current.
    generations: BTreeMap<String, (u64, bool)>,
    closed: BTreeSet<String>,
    sent: BTreeMap<(TransactionId, u32), u64>,
    acknowledged: BTreeMap<(TransactionId, u32), u64>,
    appended: BTreeMap<(String, u32), u64>,
    read: Vec<(u32, u64, Vec<Bytes>)>,
    pub commits: u64,
    pub aborts: u64,
    pub fenced: u64,
    pub maybe: u64,
    pub unannounced: u64,
    pub stored: u64,
    recoveries: u64,
}

impl Checker {
    pub fn new() -> Self {
        let partitions = vec![Vec::new(); PARTITIONS as usize];
        let generations = PRODUCERS.map(|producer| (producer.to_string(), (0, false))).into();
        Checker { partitions, generations, ..Checker::default() }
    }

    pub fn take(&mut self, entry: Entry<LogEvent, Note>) {
        match entry {
            Entry::Server(event) => self.server(event),
            Entry::Ended(ProcessEnd::Panicked { message }) => panic!("{message}"),
            Entry::Ended(_) => {}
            Entry::Note(Note::Begun(transaction)) => {
                self.stages.insert(transaction, BTreeSet::from([Absent]));
            }
            Entry::Note(Note::Sent(transaction, partition, next)) => {
                let sent = self.sent.entry((transaction, partition)).or_default();
                *sent = next.max(*sent);
            }
            Entry::Note(Note::Answered(call, answer)) => self.answered(&call, &answer),
            Entry::Note(Note::Read { partition, first, records }) => {
                let end = self.partitions[partition as usize].len() as u64;
                assert!(first + records.len() as u64 <= end, "read before it was announced");
                self.read.push((partition, first, records));
            }
        }
    }

    fn stage(&self, transaction: &TransactionId) -> BTreeSet<Stage> {
        self.stages.get(transaction).cloned().unwrap_or_default()
    }

    fn goes(&mut self, transaction: TransactionId, from: &[Stage], to: Stage) {
        let before = self.stage(&transaction);
        let known = from.iter().any(|stage| before.contains(stage));
        assert!(known, "{transaction:?} goes from {before:?} to {to:?}");
        self.stages.insert(transaction, BTreeSet::from([to]));
    }

    /// The transaction's generation must be the current one, and its producer open.
    fn current(&mut self, transaction: &TransactionId) {
        let TransactionId { producer, generation, .. } = transaction;
        assert!(!self.closed.iter().any(|prefix| producer.starts_with(prefix)), "{transaction:?}");
        let (current, more) = self.generations.get(producer).copied().unwrap_or((0, false));
        let holds = *generation == current || (more && *generation > current);
        assert!(holds, "{transaction:?} while {current} is current");
        self.generations.insert(producer.clone(), (*generation, more));
    }

    fn put(&mut self, partition: u32, offset: u64, records: &[Bytes]) {
        let place = &mut self.partitions[partition as usize];
        assert_eq!(offset, place.len() as u64, "offsets without gaps");
        place.extend(records.iter().cloned().map(Some));
    }

    fn server(&mut self, event: LogEvent) {
        match event {
            LogEvent::Recovered { ends, unended, closed, .. } => {
                self.recovered(ends, unended, closed)
            }
            LogEvent::TopicCreated { .. }
            | LogEvent::RetentionSet { .. }
            | LogEvent::OffsetsHeld { .. }
            | LogEvent::SegmentRead { .. }
            | LogEvent::Trimmed { .. }
            | LogEvent::PartitionsAdded { .. }
            | LogEvent::OffsetsCommitted { .. } => {}
            LogEvent::Appended { partition, offset, records, .. } => {
                self.put(partition, offset, &records);
            }
            LogEvent::ProducerFenced { producer, generation } => {
                let before = self.generations.insert(producer, (generation, false));
                assert!(before.is_none_or(|(before, _)| generation > before));
                self.fenced += u64::from(before.is_some());
            }
            LogEvent::TransactionOpened { transaction } => {
                self.current(&transaction);
                self.goes(transaction, &[Absent], Open);
            }
            LogEvent::TransactionPrepared { transaction } => {
                self.current(&transaction);
                self.goes(transaction, &[Open], Prepared);
            }
            LogEvent::TransactionCommitted { transaction, writes } => {
                self.current(&transaction);
                for (_, partition, offset, records) in &writes {
                    self.put(*partition, *offset, records);
                }
                let found = writes.into_iter().map(|(_, partition, _, found)| (partition, found));
                self.whole(&transaction, &found.collect());
                self.goes(transaction, &[Prepared], Committed);
                self.commits += 1;
            }
            LogEvent::TransactionAborted { transaction } => {
                self.goes(transaction, &[Absent, Open, Prepared], Aborted);
                self.aborts += 1;
            }
            LogEvent::SegmentStored { partition, offset, records, .. } => {
                assert!(offset + records <= self.partitions[partition as usize].len() as u64);
                self.stored += 1;
            }
            LogEvent::ProducersClosed { prefix } => assert!(self.closed.insert(prefix)),
        }
    }

    /// These are all records of a transaction that was committed.
    fn whole(&self, transaction: &TransactionId, found: &BTreeMap<u32, Vec<Bytes>>) {
        for partition in 0..PARTITIONS {
            let found = found.get(&partition).cloned().unwrap_or_default();
            let place = (transaction.clone(), partition);
            let sent = self.sent.get(&place).copied().unwrap_or(0);
            let acknowledged = self.acknowledged.get(&place).copied().unwrap_or(0);
            let length = found.len() as u64;
            assert!((acknowledged..=sent).contains(&length), "{place:?}: {acknowledged} {found:?}");
            let expected = (0..length).map(|n| transacted(transaction, partition, n));
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    fn recovered(
        &mut self,
        ends: Vec<(String, u32, u64)>,
        unended: Vec<TransactionId>,
        closed: Vec<String>,
    ) {
        let mut grown = false;
        for (_, partition, end) in ends {
            let place = &mut self.partitions[partition as usize];
            assert!(end >= place.len() as u64, "records are lost");
            grown |= end > place.len() as u64;
            place.resize(usize::try_from(end).unwrap(), None);
        }
        self.unannounced += u64::from(grown);
        let unended: BTreeSet<TransactionId> = unended.into_iter().collect();
        for (transaction, stage) in &mut self.stages {
            let young = stage.contains(&Absent) || stage.contains(&Open);
            let alive = young || stage.contains(&Prepared);
            *stage = match (unended.contains(transaction), young, alive) {
                (true, true, _) => BTreeSet::from([Open, Prepared]),
                (true, false, true) => BTreeSet::from([Prepared]),
                (true, false, false) => panic!("{transaction:?} was {stage:?}"),
                (false, _, true) if stage.contains(&Absent) => {
                    BTreeSet::from([Absent, Committed, Aborted])
                }
                (false, _, true) => BTreeSet::from([Committed, Aborted]),
                (false, _, false) => continue,
            };
        }
        let closed: BTreeSet<String> = closed.into_iter().collect();
        assert!(closed.is_superset(&self.closed), "a closed prefix is lost");
        self.closed = closed;
        self.generations.values_mut().for_each(|(_, more)| *more = self.recoveries > 0);
        self.recoveries += 1;
    }

    fn answered(&mut self, call: &Call, answer: &Result<u64, LogError>) {
        let is = |transaction, stages: &[Stage]| {
            let now = self.stage(transaction);
            stages.iter().any(|stage| now.contains(stage))
        };
        let refusal = match answer {
            Ok(next) => return self.done(call, *next),
            Err(ServiceError::Refused(refusal)) => refusal,
            Err(_) => return self.maybe += 1,
        };
        let holds = match (call, refusal) {
            (Call::Init(id), LogRefusal::Fenced { current }) => *current > id.generation,
            (
                Call::Write { transaction, .. } | Call::Prepare(transaction),
                LogRefusal::Fenced { current },
            ) => *current > transaction.generation,
            (Call::Write { transaction, .. }, LogRefusal::Prepared) => {
                is(transaction, &[Prepared, Committed, Aborted])
            }
            (Call::Commit(transaction), LogRefusal::NotPrepared) => {
                is(transaction, &[Open, Prepared, Committed, Aborted])
            }
            // Nobody has written it, or the write is not announced yet.
            (Call::Commit(_), LogRefusal::Unknown) => true,
            (
                Call::Write { transaction, .. }
                | Call::Prepare(transaction)
                | Call::Commit(transaction)
                | Call::Abort(transaction),
                LogRefusal::Ended { outcome },
            ) => match outcome {
                Outcome::Committed => is(transaction, &[Committed]),
                Outcome::Aborted => is(transaction, &[Aborted]),
            },
            (
                Call::Init(ProducerId { producer, .. })
                | Call::Write { transaction: TransactionId { producer, .. }, .. }
                | Call::Prepare(TransactionId { producer, .. }),
                LogRefusal::Closed,
            ) => self.closed.iter().any(|prefix| producer.starts_with(prefix)),
            _ => false,
        };
        assert!(holds, "{call:?} is refused: {refusal:?}");
    }

    fn done(&mut self, call: &Call, next: u64) {
        let is = |transaction: &TransactionId, stages: &[Stage]| {
            let now = self.stage(transaction);
            let holds = stages.iter().any(|stage| now.contains(stage));
            assert!(holds, "{call:?} was answered while {now:?}");
        };
        match call {
            Call::Append { producer, partition, first, records } => {
                assert!(next >= first + records.len() as u64);
                let place = self.appended.entry((producer.clone(), *partition)).or_default();
                *place = next.max(*place);
            }
            Call::Init(ProducerId { producer, generation }) => {
                let known = self.generations.get(producer).copied();
                let holds = known.is_some_and(|(current, more)| current >= *generation || more);
                assert!(holds, "{call:?} was answered while {known:?}");
            }
            Call::Write { transaction, partition, first, records } => {
                assert!(next >= first + records.len() as u64);
                is(transaction, &[Open, Prepared, Committed, Aborted]);
                let place = (transaction.clone(), *partition);
                let known = self.acknowledged.entry(place).or_default();
                *known = next.max(*known);
            }
            Call::Prepare(transaction) => is(transaction, &[Prepared, Committed, Aborted]),
            // From here on it is one of the two for ever, whatever a recovery leaves open.
            Call::Commit(transaction) => {
                is(transaction, &[Committed]);
                self.stages.insert(transaction.clone(), BTreeSet::from([Committed]));
            }
            Call::Abort(transaction) => {
                is(transaction, &[Aborted]);
                self.stages.insert(transaction.clone(), BTreeSet::from([Aborted]));
            }
            Call::Close(prefix) => assert!(self.closed.contains(prefix)),
        }
    }

    /// Holds the whole content of the partitions, as it is in the end, against all that happened.
    pub fn close(&self, partitions: &[Vec<Bytes>]) {
        let mut found: BTreeMap<TransactionId, BTreeMap<u32, Vec<Bytes>>> = BTreeMap::new();
        let mut appends: BTreeMap<(String, u32), u64> = BTreeMap::new();
        for (partition, (announced, records)) in (0..).zip(self.partitions.iter().zip(partitions)) {
            assert_eq!(announced.len(), records.len());
            for (told, record) in announced.iter().zip(records) {
                assert!(told.as_ref().is_none_or(|told| told == record), "{told:?} {record:?}");
                let text = String::from_utf8(record.to_vec()).expect("a text");
                let parts: Vec<&str> = text.split(' ').collect();
                let number = |n: usize| parts[n].parse::<u64>().expect("a number");
                if parts.len() == 3 {
                    let next = appends.entry((parts[0].to_string(), partition)).or_default();
                    assert_eq!(*record, appended(parts[0], partition, *next), "order and once");
                    *next += 1;
                } else {
                    let producer = parts[0].to_string();
                    let (generation, number) = (number(1), number(2));
                    let transaction = TransactionId { producer, generation, number };
                    let of_it = found.entry(transaction).or_default();
                    of_it.entry(partition).or_default().push(record.clone());
                }
            }
        }
        for (place, acknowledged) in &self.appended {
            assert!(appends.get(place).unwrap_or(&0) >= acknowledged, "{place:?} is lost");
        }
        for (transaction, records) in &found {
            let stage = self.stage(transaction);
            assert!(stage.contains(&Committed), "{transaction:?} shows while {stage:?}");
            self.whole(transaction, records);
        }
        for (transaction, stage) in &self.stages {
            if *stage == BTreeSet::from([Committed]) {
                let records = found.get(transaction).cloned().unwrap_or_default();
                self.whole(transaction, &records);
            }
        }
        for (partition, first, records) in &self.read {
            let from = usize::try_from(*first).unwrap();
            let end = from + records.len();
            assert_eq!(partitions[*partition as usize][from..end], records[..], "was read");
        }
    }
}
