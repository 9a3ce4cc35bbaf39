//! What the log server announced stands after every recovery: partitions keep their records, offsets
//! count without gaps, a transaction that was ended stays ended and one that was not stays open, closed
//! producers stay closed, what a group has committed never goes back, nor beyond what there is, and neither does what is
//! held; what retention has removed stays removed, and is nothing that is held. Judged on its synced log. What a call may
//! have done that was handled and not announced is not held against it.

use super::{Check, ClusterInvariant, unannounced::Unannounced};
use crate::{
    harness::event::Moment,
    host::sim::Hardware,
    system::{
        rpc::RpcEvent,
        service::log::{GroupOffset, HeldOffset, LogEvent, TransactionId},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Conflict = (String, String);

/// Replays the log that was announced.
#[derive(Default)]
pub struct LogDurable {
    ends: BTreeMap<(String, u32), u64>,
    /// The first record of each partition that is kept.
    starts: BTreeMap<(String, u32), u64>,
    /// By owner, topic and partition.
    held: BTreeMap<(String, String, u32), u64>,
    unended: BTreeSet<TransactionId>,
    ended: BTreeSet<TransactionId>,
    closed: BTreeSet<String>,
    /// By group, topic and partition.
    committed: BTreeMap<(String, String, u32), u64>,
    calls: Unannounced,
}

const CREATE: &str = "LogGateway.create_topic";
const ADD_PARTITIONS: &str = "LogGateway.add_partitions";
const HOLD_OFFSETS: &str = "LogGateway.hold_offsets";
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
        "every record, end of a transaction, closed producer, committed and held offset that was announced stays so; retention removes nothing that is held"
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
            EventRef::Log(LogEvent::Recovered {
                ends,
                starts,
                unended,
                closed,
                committed,
                held,
                ..
            }) => {
                let places = |of: &[(String, u32, u64)]| {
                    of.iter().map(|(topic, n, at)| ((topic.clone(), *n), *at)).collect()
                };
                let found = LogDurable {
                    ends: places(ends),
                    starts: places(starts),
                    held: held.iter().map(owner_and_offset).collect(),
                    unended: unended.iter().cloned().collect(),
                    closed: closed.iter().cloned().collect(),
                    committed: committed.iter().map(place_and_offset).collect(),
                    ..LogDurable::default()
                };
                self.recover(at, found)
            }
            // Of no batch.
            EventRef::Log(LogEvent::SegmentRead { .. }) => Check::Ignored,
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

fn owner_and_offset(of: &HeldOffset) -> ((String, String, u32), u64) {
    ((of.owner.clone(), of.topic.clone(), of.partition), of.offset)
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
            LogEvent::RetentionSet { topic, .. } => {
                let known = self.ends.contains_key(&(topic.clone(), 0));
                (!known).then(|| format!("there is no {topic}"))
            }
            LogEvent::OffsetsHeld { offsets } => {
                offsets.iter().fold(None, |before, of| before.or(self.hold(of)))
            }
            LogEvent::SegmentStored { topic, partition, offset, records } => {
                let end = self.ends.get(&(topic.clone(), *partition)).copied();
                let known = end.is_some_and(|end| offset + records <= end);
                (!known).then(|| format!("{topic}.{partition} ends at {end:?}"))
            }
            LogEvent::Trimmed { topic, partition, start } => self.trim(topic, *partition, *start),
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
                self.held.retain(|(owner, ..), _| !owner.starts_with(prefix));
                // Whatever comes back of them is refused by the closed prefix.
                self.ended.retain(|ended| !ended.producer.starts_with(prefix));
                let left = self.unended.iter().find(|left| left.producer.starts_with(prefix));
                left.map(|left| format!("{left:?} has not ended"))
            }
            LogEvent::ProducerFenced { producer, .. } => {
                self.is_closed(producer).then(|| "it is closed".to_string())
            }
            LogEvent::SegmentRead { .. } | LogEvent::Recovered { .. } => None,
        }
    }

    /// From there on everything is kept; what stands against it.
    fn hold(&mut self, of: &HeldOffset) -> Option<String> {
        let (place, offset) = owner_and_offset(of);
        let partition = (of.topic.clone(), of.partition);
        let end = self.ends.get(&partition).copied();
        let start = self.starts.get(&partition).copied().unwrap_or(0);
        let before = self.held.insert(place, offset);
        let closed = self.is_closed(&of.owner);
        let gone = before.is_none() && offset < start;
        if closed || gone || end.is_none_or(|end| offset > end) {
            let stands = format!("{start} to {end:?}");
            return Some(format!("{}.{} is {stands}, closed: {closed}", of.topic, of.partition));
        }
        let before = before.filter(|before| *before >= offset)?;
        Some(format!("{} held {before} of {}.{}", of.owner, of.topic, of.partition))
    }

    /// Nothing is kept before that; what stands against it.
    fn trim(&mut self, topic: &str, n: u32, start: u64) -> Option<String> {
        let place = (topic.to_string(), n);
        let end = self.ends.get(&place).copied();
        let before = self.starts.insert(place, start).unwrap_or(0);
        if end.is_none_or(|end| start > end) || start <= before {
            return Some(format!("{topic}.{n} is {before} to {end:?}"));
        }
        self.needed(topic, n, start)
    }

    /// Who holds what lies before an offset.
    fn needed(&self, topic: &str, n: u32, start: u64) -> Option<String> {
        let holds = |((_, of, number), held): &(&(String, String, u32), &u64)| {
            of == topic && *number == n && **held < start
        };
        let ((owner, ..), held) = self.held.iter().find(holds)?;
        Some(format!("{owner} holds {topic}.{n} from {held} on"))
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
        let conflict = self
            .judge_ends(&found.ends)
            .or_else(|| self.judge_starts(&found))
            .or_else(|| self.judge_held(&found.held));
        let LogDurable { ends, starts, held, unended, closed, committed, .. } = found;
        let conflict = conflict
            .or_else(|| self.judge_transactions(&unended))
            .or_else(|| self.judge_closed(&unended, &closed))
            .or_else(|| self.judge_committed(&committed));
        self.ended.extend(self.unended.difference(&unended).cloned());
        (self.ends, self.unended, self.closed) = (ends, unended, closed);
        (self.starts, self.held) = (starts, held);
        self.committed = committed;
        self.calls.recovered(at, conflict)
    }

    /// Retention may have removed more than was announced, but nothing that was held.
    fn judge_starts(&self, found: &LogDurable) -> Option<Conflict> {
        for ((topic, n), before) in &self.starts {
            let now = found.starts.get(&(topic.clone(), *n)).copied();
            if now.is_none_or(|now| now < *before) {
                let before = format!("{topic}.{n} began at {before}");
                return Some((before, format!("its begin at {now:?}")));
            }
        }
        for ((topic, n), now) in &found.starts {
            let end = found.ends.get(&(topic.clone(), *n)).copied();
            if end.is_none_or(|end| *now > end) {
                return Some((
                    format!("{topic}.{n} ends at {end:?}"),
                    format!("its begin at {now}"),
                ));
            }
            if let Some(needed) = found.needed(topic, *n, *now) {
                return Some((needed, format!("its begin at {now}")));
            }
        }
        None
    }

    fn judge_held(&self, found: &BTreeMap<(String, String, u32), u64>) -> Option<Conflict> {
        let may_have = self.calls.may_have(&[HOLD_OFFSETS]);
        for (place, offset) in &self.held {
            let now = found.get(place).copied();
            let closed = now.is_none() && self.calls.may_have(&[CLOSE]);
            if now != Some(*offset) && !(may_have && now > Some(*offset)) && !closed {
                return Some((format!("{place:?} was held at {offset}"), format!("it as {now:?}")));
            }
        }
        let new = found.keys().find(|place| !self.held.contains_key(*place));
        let new = new.filter(|_| !may_have);
        new.map(|new| ("nobody held it".to_string(), format!("{new:?}")))
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
mod tests;
