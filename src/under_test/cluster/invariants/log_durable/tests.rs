//! Histories that the invariant accepts and such that it refuses.

use super::{super::testing_jobs::*, *};
use bytes::Bytes;

fn found(end: u64, unended: &[u64], closed: &[&str]) -> LogEvent {
    LogEvent::Recovered {
        ends: vec![("t".to_string(), 0, end)],
        unended: unended.iter().map(|number| transaction(1, *number)).collect(),
        closed: closed.iter().map(ToString::to_string).collect(),
        records: vec![],
        committed: vec![],
        starts: vec![],
        held: vec![],
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
        starts: vec![],
        held: vec![],
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
        starts: vec![],
        held: vec![],
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
    let over = || written().holds(process(6, 1), undone(3)).holds(process(6, 1), closed(&prefix()));
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
        starts: vec![],
        held: vec![],
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

fn held(owner: &str, offset: u64) -> HeldOffset {
    let (owner, topic) = (owner.to_string(), "t".to_string());
    HeldOffset { owner, topic, partition: 0, offset }
}

fn holds(owner: &str, offset: u64) -> LogEvent {
    LogEvent::OffsetsHeld { offsets: vec![held(owner, offset)] }
}

fn trimmed(start: u64) -> LogEvent {
    LogEvent::Trimmed { topic: "t".to_string(), partition: 0, start }
}

/// Three records, of which `o/` holds the last two.
fn held_by_owner() -> History<LogDurable> {
    read_by_group().holds(process(6, 1), holds("o/1", 1))
}

#[test]
fn retention_removes_what_nobody_holds() {
    held_by_owner().holds(process(6, 1), trimmed(1)).breaks(process(6, 1), trimmed(2));
    held_by_owner().breaks(process(6, 1), trimmed(2));
    held_by_owner().holds(process(6, 1), closed("o/")).holds(process(6, 1), trimmed(3));
    read_by_group().breaks(process(6, 1), trimmed(4));
    read_by_group().holds(process(6, 1), trimmed(2)).breaks(process(6, 1), trimmed(2));
    read_by_group().breaks(process(6, 1), trimmed(0));
}

#[test]
fn what_is_held_grows_within_what_is_kept() {
    held_by_owner().holds(process(6, 1), holds("o/1", 3));
    held_by_owner().breaks(process(6, 1), holds("o/1", 1));
    held_by_owner().breaks(process(6, 1), holds("o/1", 4));
    held_by_owner().holds(process(6, 1), trimmed(1)).breaks(process(6, 1), holds("o/2", 0));
    held_by_owner().holds(process(6, 1), closed("o/")).breaks(process(6, 1), holds("o/1", 2));
}

#[test]
fn what_is_held_and_what_is_kept_are_found_again() {
    let found = |start: u64, held: &[HeldOffset]| LogEvent::Recovered {
        ends: vec![("t".to_string(), 0, 3)],
        starts: vec![("t".to_string(), 0, start)],
        unended: vec![],
        closed: vec![],
        records: vec![],
        committed: vec![read(0, 2)],
        held: held.to_vec(),
    };
    let history = || held_by_owner().holds(process(6, 1), trimmed(1));
    history().holds(process(6, 2), found(1, &[held("o/1", 1)]));
    history().breaks(process(6, 2), found(0, &[held("o/1", 1)]));
    history().breaks(process(6, 2), found(2, &[held("o/1", 1)]));
    history().breaks(process(6, 2), found(1, &[]));
    history().breaks(process(6, 2), found(1, &[held("o/1", 2)]));
    let after = |call| history().holds(process(6, 1), called(call));
    after(HOLD_OFFSETS).holds(process(6, 2), found(2, &[held("o/1", 2)]));
    after(HOLD_OFFSETS).breaks(process(6, 2), found(4, &[held("o/1", 2)]));
    after(CLOSE).holds(process(6, 2), found(3, &[]));
}
