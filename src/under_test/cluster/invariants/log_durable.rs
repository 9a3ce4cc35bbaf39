//! What the log server announced stands after every recovery: partitions keep their records, offsets
//! count without gaps, a transaction that was ended stays ended and one that was not stays open, closed
//! producers stay closed, and what a group has committed never goes back, nor beyond what there is. Judged on its synced log. What a call may have done that was handled and not
//! announced is not held against it.

use super::{Check, ClusterInvariant, unannounced::Unannounced};
use crate::{
    harness::event::Moment,
    host::sim::Hardware,
    system::{
        rpc::RpcEvent,
        service::log::{GroupOffset, LogEvent, TransactionId},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Conflict = (String, String);

/// Replays the log that was announced.
#[derive(Default)]
pub struct LogDurable {
    ends: BTreeMap<(String, u32), u64>,
    unended: BTreeSet<TransactionId>,
    ended: BTreeSet<TransactionId>,
    closed: BTreeSet<String>,
    /// By group, topic and partition.
    committed: BTreeMap<(String, String, u32), u64>,
    calls: Unannounced,
}

const CREATE: &str = "LogGateway.create_topic";
const ADD_PARTITIONS: &str = "LogGateway.add_partitions";
const COMMIT_OFFSETS: &str = "LogGateway.commit_offsets";
const APPEND: &str = "LogGateway.append";
const INIT: &str = "LogGateway.init_producer";
const WRITE: &str = "LogGateway.write";
const PREPARE: &str = "LogGateway.prepare";
const COMMIT: &str = "LogGateway.commit";
const ABORT: &str = "LogGateway.abort";
const CLOSE: &str = "LogGateway.close_producers";

impl ClusterInvariant for LogDurable {
    fn title(&self) -> &'static str {
        "log-durable"
    }

    fn promise(&self) -> &'static str {
        "every record, end of a transaction, closed producer and committed offset that was announced stays so"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Log, EventKind::Rpc, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::HandlerStarted { kind, .. }) => {
                if kind.name().starts_with("LogGateway.") {
                    self.calls.handled(*kind);
                }
                Check::Ignored
            }
            EventRef::Hardware(Hardware::Ended(_)) => self.calls.ended(at),
            EventRef::Log(LogEvent::Recovered { ends, unended, closed, committed, .. }) => {
                let ends = ends.iter().map(|(topic, n, end)| ((topic.clone(), *n), *end));
                let found = LogDurable {
                    ends: ends.collect(),
                    unended: unended.iter().cloned().collect(),
                    closed: closed.iter().cloned().collect(),
                    committed: committed.iter().map(place_and_offset).collect(),
                    ..LogDurable::default()
                };
                self.recover(at, found)
            }
            EventRef::Log(event) => {
                self.calls.announced(at);
                match self.apply(event) {
                    None => Check::Passed,
                    Some(before) => Check::broken(before, format!("{at}: {}", brief(event))),
                }
            }
            _ => Check::Ignored,
        }
    }
}

fn place_and_offset(of: &GroupOffset) -> ((String, String, u32), u64) {
    ((of.group.clone(), of.topic.clone(), of.partition), of.offset)
}

/// An event without its records.
fn brief(event: &LogEvent) -> String {
    match event {
        LogEvent::Appended { topic, partition, offset, .. } => {
            format!("records are appended to {topic}.{partition} at {offset}")
        }
        LogEvent::TransactionCommitted { transaction, writes } => {
            let places =
                writes.iter().map(|(topic, n, first, _)| format!("{topic}.{n} at {first}"));
            format!("{transaction:?} is committed to {:?}", places.collect::<Vec<_>>())
        }
        event => format!("{event:?}"),
    }
}

impl LogDurable {
    fn is_closed(&self, producer: &str) -> bool {
        self.closed.iter().any(|prefix| producer.starts_with(prefix))
    }

    /// Takes an event in; what stands against it.
    fn apply(&mut self, event: &LogEvent) -> Option<String> {
        match event {
            LogEvent::TopicCreated { topic, partitions } => {
                let places = (0..*partitions).map(|n| ((topic.clone(), n), 0));
                let known = self.ends.contains_key(&(topic.clone(), 0));
                self.ends.extend(places);
                known.then(|| format!("{topic} is there"))
            }
            LogEvent::PartitionsAdded { topic, partitions } => {
                let known = self.ends.keys().filter(|(of, _)| of == topic).count();
                let added =
                    (known..*partitions as usize).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
                self.ends.extend(added.map(|n| ((topic.clone(), n), 0)));
                let sound = known > 0 && known < *partitions as usize;
                (!sound).then(|| format!("{topic} has {known} partitions"))
            }
            LogEvent::OffsetsCommitted { offsets } => {
                offsets.iter().fold(None, |before, of| before.or(self.commit_offset(of)))
            }
            LogEvent::Appended { topic, partition, offset, records, .. } => {
                self.append(topic, *partition, *offset, records.len())
            }
            LogEvent::TransactionOpened { transaction } => {
                let ended = self.ended.contains(transaction);
                let closed = self.is_closed(&transaction.producer);
                let open = !self.unended.insert(transaction.clone());
                (ended || closed || open).then(|| {
                    format!("it has ended: {ended}, it is closed: {closed}, it is open: {open}")
                })
            }
            LogEvent::TransactionPrepared { transaction } => {
                (!self.unended.contains(transaction)).then(|| "it is not open".to_string())
            }
            LogEvent::TransactionCommitted { transaction, writes } => {
                let open = self.unended.remove(transaction);
                self.ended.insert(transaction.clone());
                let mut against = (!open).then(|| "it is not open".to_string());
                for (topic, partition, first, records) in writes {
                    let gap = self.append(topic, *partition, *first, records.len());
                    against = against.or(gap);
                }
                against
            }
            // Also of one that nobody has heard of.
            LogEvent::TransactionAborted { transaction } => {
                self.unended.remove(transaction);
                let ended = !self.ended.insert(transaction.clone());
                ended.then(|| "it has ended".to_string())
            }
            LogEvent::ProducersClosed { prefix } => {
                self.closed.insert(prefix.clone());
                // Whatever comes back of them is refused by the closed prefix.
                self.ended.retain(|ended| !ended.producer.starts_with(prefix));
                let left = self.unended.iter().find(|left| left.producer.starts_with(prefix));
                left.map(|left| format!("{left:?} has not ended"))
            }
            LogEvent::ProducerFenced { producer, .. } => {
                self.is_closed(producer).then(|| "it is closed".to_string())
            }
            LogEvent::Recovered { .. } => None,
        }
    }

    fn append(&mut self, topic: &str, n: u32, offset: u64, records: usize) -> Option<String> {
        let Some(end) = self.ends.get_mut(&(topic.to_string(), n)) else {
            return Some(format!("there is no {topic}.{n}"));
        };
        let before = std::mem::replace(end, offset + records as u64);
        (before != offset).then(|| format!("{topic}.{n} ends at {before}"))
    }

    /// A group has read so far; what stands against it.
    fn commit_offset(&mut self, of: &GroupOffset) -> Option<String> {
        let (place, offset) = place_and_offset(of);
        let end = self.ends.get(&(of.topic.clone(), of.partition)).copied();
        let before = self.committed.insert(place, offset);
        if end.is_none_or(|end| offset > end) {
            return Some(format!("{}.{} ends at {end:?}", of.topic, of.partition));
        }
        let before = before.filter(|before| *before >= offset)?;
        Some(format!("{} had committed {before} of {}.{}", of.group, of.topic, of.partition))
    }

    /// Takes in what was `found` on the disk.
    fn recover(&mut self, at: Moment, found: LogDurable) -> Check {
        let LogDurable { ends, unended, closed, committed, .. } = found;
        let conflict = self
            .judge_ends(&ends)
            .or_else(|| self.judge_transactions(&unended))
            .or_else(|| self.judge_closed(&unended, &closed))
            .or_else(|| self.judge_committed(&committed));
        self.ended.extend(self.unended.difference(&unended).cloned());
        (self.ends, self.unended, self.closed) = (ends, unended, closed);
        self.committed = committed;
        self.calls.recovered(at, conflict)
    }

    fn judge_committed(&self, found: &BTreeMap<(String, String, u32), u64>) -> Option<Conflict> {
        let may_have = self.calls.may_have(&[COMMIT_OFFSETS]);
        for (place, offset) in &self.committed {
            let now = found.get(place).copied();
            if now != Some(*offset) && !(may_have && now > Some(*offset)) {
                return Some((format!("{place:?} was {offset}"), format!("it as {now:?}")));
            }
        }
        let new = found.keys().find(|place| !self.committed.contains_key(*place));
        let new = new.filter(|_| !may_have);
        new.map(|new| ("nobody committed it".to_string(), format!("{new:?}")))
    }

    fn judge_ends(&self, found: &BTreeMap<(String, u32), u64>) -> Option<Conflict> {
        for ((topic, n), end) in &self.ends {
            let now = found.get(&(topic.clone(), *n)).copied();
            let grown = now.is_some_and(|now| now > *end) && self.calls.may_have(&[APPEND, COMMIT]);
            if now != Some(*end) && !grown {
                return Some((
                    format!("{topic}.{n} ended at {end}"),
                    format!("its end at {now:?}"),
                ));
            }
        }
        let new = found.keys().find(|place| !self.ends.contains_key(*place));
        let new = new.filter(|_| !self.calls.may_have(&[CREATE, ADD_PARTITIONS]));
        new.map(|new| ("nobody made it".to_string(), format!("{new:?}")))
    }

    fn judge_transactions(&self, found: &BTreeSet<TransactionId>) -> Option<Conflict> {
        if let Some(back) = found.intersection(&self.ended).next() {
            return Some(("it has ended".to_string(), format!("{back:?} as open")));
        }
        let lost = self.unended.difference(found).next();
        if let Some(lost) = lost.filter(|_| !self.calls.may_have(&[COMMIT, ABORT, INIT, CLOSE])) {
            return Some((format!("{lost:?} was open"), "it as ended".to_string()));
        }
        let new = found.difference(&self.unended).next();
        let new = new.filter(|_| !self.calls.may_have(&[WRITE, PREPARE]));
        new.map(|new| ("nobody opened it".to_string(), format!("{new:?} as open")))
    }

    fn judge_closed(
        &self,
        unended: &BTreeSet<TransactionId>,
        found: &BTreeSet<String>,
    ) -> Option<Conflict> {
        if let Some(lost) = self.closed.difference(found).next() {
            return Some((format!("{lost} was closed"), "it as open".to_string()));
        }
        let new = found.difference(&self.closed).next();
        if let Some(new) = new.filter(|_| !self.calls.may_have(&[CLOSE])) {
            return Some(("nobody closed it".to_string(), format!("{new} as closed")));
        }
        let under = |open: &&TransactionId| found.iter().any(|c| open.producer.starts_with(c));
        let open = unended.iter().find(under);
        open.map(|open| ("its producer is closed".to_string(), format!("{open:?} as open")))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, *};
    use bytes::Bytes;

    fn found(end: u64, unended: &[u64], closed: &[&str]) -> LogEvent {
        LogEvent::Recovered {
            ends: vec![("t".to_string(), 0, end)],
            unended: unended.iter().map(|number| transaction(1, *number)).collect(),
            closed: closed.iter().map(ToString::to_string).collect(),
            records: vec![],
            committed: vec![],
        }
    }

    fn appended(offset: u64) -> LogEvent {
        let (topic, producer) = ("t".to_string(), "p".to_string());
        let records = vec![Bytes::from_static(b"r")];
        LogEvent::Appended { topic, partition: 0, offset, producer, records }
    }

    fn opened(number: u64) -> LogEvent {
        LogEvent::TransactionOpened { transaction: transaction(1, number) }
    }

    fn done(number: u64, first: u64) -> LogEvent {
        let writes = vec![("t".to_string(), 0, first, vec![Bytes::from_static(b"r")])];
        LogEvent::TransactionCommitted { transaction: transaction(1, number), writes }
    }

    fn undone(number: u64) -> LogEvent {
        LogEvent::TransactionAborted { transaction: transaction(1, number) }
    }

    fn closed(prefix: &str) -> LogEvent {
        LogEvent::ProducersClosed { prefix: prefix.to_string() }
    }

    /// Two records, transaction 1 committed, 2 aborted, 3 open, `q` closed.
    fn written() -> History<LogDurable> {
        let created = LogEvent::TopicCreated { topic: "t".to_string(), partitions: 1 };
        let nothing = LogEvent::Recovered {
            ends: vec![],
            unended: vec![],
            closed: vec![],
            records: vec![],
            committed: vec![],
        };
        let events = [nothing, created, appended(0), opened(1), opened(2), opened(3), done(1, 1)];
        let events = events.into_iter().chain([undone(2), closed("q")]);
        events.fold(History::new(), |history, event| history.holds(process(6, 1), event))
    }

    fn after(call: &'static str) -> History<LogDurable> {
        written().holds(process(6, 1), called(call))
    }

    #[test]
    fn all_that_was_announced_is_accepted() {
        written()
            .holds(process(6, 2), found(2, &[3], &["q"]))
            .holds(process(6, 2), appended(2))
            .holds(process(6, 2), done(3, 3));
    }

    #[test]
    fn what_a_call_may_have_done_is_accepted() {
        after(APPEND).holds(process(6, 2), found(3, &[3], &["q"]));
        after(COMMIT).holds(process(6, 2), found(3, &[], &["q"]));
        after(INIT).holds(process(6, 2), found(2, &[], &["q"]));
        after(WRITE).holds(process(6, 2), found(2, &[3, 4], &["q"]));
        after(CLOSE).holds(process(6, 2), found(2, &[], &["q", "r"]));
    }

    #[test]
    fn lost_or_unheard_of_records_are_refused() {
        after(APPEND).breaks(process(6, 2), found(1, &[3], &["q"]));
        written().breaks(process(6, 2), found(3, &[3], &["q"]));
        written().breaks(process(6, 1), appended(3));
        written().breaks(process(6, 1), appended(1));
        let lost = LogEvent::Recovered {
            ends: vec![],
            unended: vec![],
            closed: vec![],
            records: vec![],
            committed: vec![],
        };
        written().breaks(process(6, 2), lost);
    }

    #[test]
    fn a_transaction_lost_or_back_is_refused() {
        written().breaks(process(6, 2), found(2, &[], &["q"]));
        after(WRITE).breaks(process(6, 2), found(2, &[1, 3], &["q"]));
        written().breaks(process(6, 2), found(2, &[3, 4], &["q"]));
        written().breaks(process(6, 1), opened(2));
        written().breaks(process(6, 1), done(2, 2));
        written().breaks(process(6, 1), undone(1));
    }

    #[test]
    fn a_closed_producer_that_is_open_again_is_refused() {
        written().breaks(process(6, 2), found(2, &[3], &[]));
        let prefix = || format!("{JOB}/");
        let over =
            || written().holds(process(6, 1), undone(3)).holds(process(6, 1), closed(&prefix()));
        over().breaks(process(6, 1), opened(4));
        over()
            .holds(process(6, 1), called(WRITE))
            .breaks(process(6, 2), found(2, &[4], &["q", &prefix()]));
        written().breaks(process(6, 1), closed(&prefix()));
    }

    fn read(partition: u32, offset: u64) -> GroupOffset {
        let (group, topic) = ("g".to_string(), "t".to_string());
        GroupOffset { group, topic, partition, offset }
    }

    fn told(partition: u32, offset: u64) -> LogEvent {
        LogEvent::OffsetsCommitted { offsets: vec![read(partition, offset)] }
    }

    /// Topic `t` has three records, and `g` has read two of them.
    fn read_by_group() -> History<LogDurable> {
        History::new()
            .holds(process(6, 1), LogEvent::TopicCreated { topic: "t".to_string(), partitions: 1 })
            .holds(process(6, 1), appended(0))
            .holds(process(6, 1), appended(1))
            .holds(process(6, 1), appended(2))
            .holds(process(6, 1), told(0, 2))
    }

    #[test]
    fn what_a_group_has_committed_grows_within_what_there_is() {
        read_by_group().holds(process(6, 1), told(0, 3));
        read_by_group().breaks(process(6, 1), told(0, 1));
        read_by_group().breaks(process(6, 1), told(0, 4));
        read_by_group().breaks(process(6, 1), told(1, 0));
    }

    #[test]
    fn what_a_group_has_committed_is_found_again() {
        let found = |committed: Vec<GroupOffset>| LogEvent::Recovered {
            ends: vec![("t".to_string(), 0, 3)],
            unended: vec![],
            closed: vec![],
            records: vec![],
            committed,
        };
        read_by_group().holds(process(6, 2), found(vec![read(0, 2)]));
        read_by_group().breaks(process(6, 2), found(vec![]));
        read_by_group().breaks(process(6, 2), found(vec![read(0, 1)]));
        read_by_group().breaks(process(6, 2), found(vec![read(0, 3)]));
        read_by_group()
            .holds(process(6, 1), called("LogGateway.commit_offsets"))
            .holds(process(6, 2), found(vec![read(0, 3)]));
    }

    #[test]
    fn partitions_are_added_to_what_is_there_and_never_fewer() {
        let added = |partitions| LogEvent::PartitionsAdded { topic: "t".to_string(), partitions };
        read_by_group().holds(process(6, 1), added(3)).holds(process(6, 1), told(2, 0));
        read_by_group().breaks(process(6, 1), added(1));
        History::<LogDurable>::new().breaks(process(6, 1), added(2));
    }
}
