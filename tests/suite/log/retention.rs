//! Segments that are files, and what is kept for how long.

use super::{CellInFiles, Client, InFiles, generation, records, refused, transaction};
use crate::service::{in_simulation, ms};
use bytes::Bytes;
use std::{collections::BTreeSet, time::Duration};
use wavetank::{
    host::{
        Draws,
        sim::{ProcessEnd, WorldConfig},
    },
    system::service::log::{LogEvent, LogRefusal, Retention},
};

fn run<T: Send + 'static>(
    seed: u64,
    body: impl AsyncFnOnce(&CellInFiles, &Client) -> T + Send + 'static,
) -> T {
    in_simulation::<InFiles, T>(WorldConfig::new(seed), async |cell| {
        let log = cell.log("client").await;
        log.create_topic("t", 2).await.expect("a new topic");
        body(&cell, &log).await
    })
}

/// The record of an offset; 50 bytes by the log's measure, of which four fit into a segment.
fn record(offset: u64) -> Bytes {
    Bytes::from(format!("{offset:018}"))
}

/// Appends records from an offset of partition 0 on, one at a time.
async fn append(log: &Client, from: u64, count: u64) {
    for offset in from..from + count {
        let appended = log.append_until_acknowledged("t", 0, "p", offset, vec![record(offset)]);
        assert_eq!(appended.await, Ok(offset + 1));
    }
}

/// What partition 0 keeps, from its start.
async fn kept(log: &Client) -> (u64, Vec<Bytes>) {
    let start = log.start_offsets_until_acknowledged("t").await.expect("a topic")[0];
    (start, log.read_all_until_acknowledged("t").await.expect("a topic").remove(0))
}

/// That partition 0 keeps all records between these offsets.
async fn keeps(log: &Client, start: u64, end: u64) {
    assert_eq!(kept(log).await, (start, (start..end).map(record).collect()));
}

fn segments(cell: &CellInFiles) -> Vec<String> {
    let files = cell.world.files(cell.server).into_iter().map(|(path, _)| path);
    files.filter(|path| path.starts_with("log/segment-")).collect()
}

fn by_bytes(bytes: u64) -> Retention {
    Retention { bytes: Some(bytes), ..Retention::default() }
}

fn by_age(age: Duration) -> Retention {
    let age_ms = Some(u64::try_from(age.as_millis()).expect("short"));
    Retention { age_ms, ..Retention::default() }
}

#[test]
fn what_is_in_files_is_read_as_it_was_written_also_after_a_power_cut() {
    run(1, async |cell, log| {
        append(log, 0, 30).await;
        cell.world.sleep(ms(500)).await;
        assert_eq!(segments(cell).len(), 7, "the last two records are in memory");
        keeps(log, 0, 30).await;
        let LogEvent::Recovered { ends, starts, records, .. } = cell.after_power_cut().await else {
            panic!()
        };
        assert_eq!((ends[0].2, starts[0].2), (30, 0));
        assert_eq!(records, [("t".to_string(), 0, 28, vec![record(28), record(29)])]);
        keeps(log, 0, 30).await;
        for offset in [0, 3, 4, 27, 28] {
            let read = log.read("t", 0, offset, 3, Duration::ZERO).await.expect("it is there");
            assert_eq!((read.first, read.end), (offset, 30));
            assert_eq!(read.records[0], record(offset));
        }
        append(log, 30, 3).await;
        keeps(log, 0, 33).await;
        let events = cell.history.events().into_iter();
        let read = events.filter(|event| matches!(event, LogEvent::SegmentRead { .. })).count();
        assert!((7..40).contains(&read), "{read} files were read; a few stay in memory");
    });
}

/// A transaction's records of many partitions fill the memory, though no segment is full.
#[test]
fn short_segments_become_files_when_too_much_is_in_memory() {
    run(1, async |cell, log| {
        log.create_topic("u", 100).await.expect("a new topic");
        for partition in 0..100 {
            let appended = log.append("u", partition, "p", 0, vec![record(0)]).await;
            assert_eq!(appended, Ok(1));
        }
        cell.world.sleep(ms(500)).await;
        let LogEvent::Recovered { records, .. } = cell.after_power_cut().await else { panic!() };
        assert!(records.len() <= 20, "{} records in memory", records.len());
        let all = log.read_all_until_acknowledged("u").await.expect("a topic");
        assert!(all.iter().all(|of| *of == [record(0)]));
        assert_eq!(log.append("u", 7, "p", 0, vec![record(0), record(1)]).await, Ok(2));
    });
}

#[test]
fn the_oldest_segments_go_when_more_is_left_than_is_to_be_kept() {
    run(1, async |cell, log| {
        assert_eq!(log.set_retention("u", by_bytes(1)).await, refused(LogRefusal::NoPartition));
        assert_eq!(log.set_retention("t", by_bytes(400)).await, Ok(()));
        append(log, 0, 12).await;
        keeps(log, 4, 12).await;
        append(log, 12, 9).await;
        keeps(log, 12, 21).await;
        let told = refused(LogRefusal::Trimmed { start: 12 });
        assert_eq!(log.read("t", 0, 11, 1, ms(500)).await, told);
        assert_eq!(log.start_offsets("t").await, Ok(vec![12, 0]));
        cell.world.sleep(ms(500)).await;
        assert_eq!(segments(cell).len(), 2);
        cell.after_power_cut().await;
        keeps(log, 12, 21).await;
        assert_eq!(log.set_retention_until_acknowledged("t", by_bytes(0)).await, Ok(()));
        append(log, 21, 1).await;
        keeps(log, 22, 22).await;
        append(log, 22, 1).await;
        let events = cell.history.events().into_iter();
        let starts = events.filter_map(|event| match event {
            LogEvent::Trimmed { partition: 0, start, .. } => Some(start),
            _ => None,
        });
        assert!(starts.collect::<Vec<_>>().is_sorted_by(|a, b| a < b));
    });
}

#[test]
fn old_records_go_without_a_call() {
    run(1, async |cell, log| {
        assert_eq!(log.set_retention("t", by_age(ms(8000))).await, Ok(()));
        append(log, 0, 5).await;
        cell.world.sleep(ms(5000)).await;
        append(log, 5, 1).await;
        keeps(log, 0, 6).await;
        cell.world.sleep(ms(5000)).await;
        // A segment spans an eighth of the age at most, so that the later one stays.
        keeps(log, 5, 6).await;
        cell.world.sleep(ms(5000)).await;
        assert_eq!(segments(cell), Vec::<String>::new());
        keeps(log, 6, 6).await;
        append(log, 6, 1).await;
        keeps(log, 6, 7).await;
    });
}

#[test]
fn old_records_go_without_a_call_also_after_a_power_cut() {
    run(1, async |cell, log| {
        assert_eq!(log.set_retention("t", by_age(ms(8000))).await, Ok(()));
        append(log, 0, 5).await;
        cell.after_power_cut().await;
        cell.world.sleep(ms(10_000)).await;
        let trimmed = LogEvent::Trimmed { topic: "t".to_string(), partition: 0, start: 5 };
        assert_eq!(cell.history.events().last(), Some(&trimmed));
        assert_eq!(segments(cell), Vec::<String>::new());
    });
}

#[test]
fn what_is_held_stays_until_its_owner_goes_on_or_is_closed() {
    run(1, async |cell, log| {
        append(log, 0, 12).await;
        assert_eq!(
            log.hold_offsets("j/a", "t", vec![(0, 4), (1, 0)]).await,
            Ok(vec![(0, 4), (1, 0)])
        );
        assert_eq!(log.hold_offsets("j/b", "t", vec![(0, 9)]).await, Ok(vec![(0, 9)]));
        let beyond = LogRefusal::BeyondEnd { partition: 0, end: 12 };
        assert_eq!(log.hold_offsets("j/b", "t", vec![(0, 13)]).await, refused(beyond));
        let nowhere = log.hold_offsets("j/b", "t", vec![(0, 10), (2, 0)]).await;
        assert_eq!(nowhere, refused(LogRefusal::NoPartition));
        assert_eq!(log.hold_offsets("", "t", vec![]).await, refused(LogRefusal::BadName));
        assert_eq!(log.set_retention("t", by_bytes(0)).await, Ok(()));
        append(log, 12, 1).await;
        keeps(log, 4, 13).await;
        let LogEvent::Recovered { held, .. } = cell.after_power_cut().await else { panic!() };
        let held: Vec<_> = held.iter().map(|held| (&*held.owner, held.offset)).collect();
        assert_eq!(held, [("j/a", 4), ("j/a", 0), ("j/b", 9)]);
        let hold = async |owner, offset| {
            log.hold_offsets_until_acknowledged(owner, "t", vec![(0, offset)]).await
        };
        assert_eq!(hold("j/a", 2).await, Ok(vec![(0, 4)]), "a late word changes nothing");
        assert_eq!(hold("j/c", 3).await, Ok(vec![(0, 4)]), "nobody gets back what is gone");
        assert_eq!(hold("j/a", 11).await, Ok(vec![(0, 11)]));
        assert_eq!(hold("j/c", 12).await, Ok(vec![(0, 12)]));
        append(log, 13, 1).await;
        keeps(log, 8, 14).await;
        assert_eq!(log.close_producers_until_acknowledged("j/").await, Ok(()));
        assert_eq!(hold("j/a", 14).await, Err(LogRefusal::Closed));
        append(log, 14, 1).await;
        keeps(log, 15, 15).await;
    });
}

#[test]
fn what_waits_for_its_reader_stays_until_he_has_come() {
    run(1, async |_, log| {
        let retention = Retention { await_reader: true, ..by_bytes(0) };
        assert_eq!(log.set_retention("t", retention).await, Ok(()));
        append(log, 0, 8).await;
        keeps(log, 0, 8).await;
        assert_eq!(log.hold_offsets("j/a", "t", vec![(0, 5)]).await, Ok(vec![(0, 5)]));
        append(log, 8, 1).await;
        keeps(log, 4, 9).await;
        assert_eq!(log.close_producers("j/").await, Ok(()));
        append(log, 9, 3).await;
        keeps(log, 4, 12).await;
    });
}

#[test]
fn at_the_hard_limit_appends_are_refused_until_something_may_go() {
    run(1, async |_, log| {
        let retention = Retention { bytes_max: Some(500), ..by_bytes(200) };
        assert_eq!(log.hold_offsets("j/a", "t", vec![(0, 0)]).await, Ok(vec![(0, 0)]));
        assert_eq!(log.set_retention("t", retention).await, Ok(()));
        append(log, 0, 9).await;
        log.init_producer(&generation("q", 1)).await.expect("a new producer");
        let t = transaction("q", 1, 1);
        assert_eq!(log.write(&t, "t", 0, 0, vec![record(9)]).await, Ok(1));
        let full = log.append("t", 0, "p", 9, vec![record(10)]).await;
        assert_eq!(full, refused(LogRefusal::Full), "staged records count");
        assert_eq!(log.append("t", 0, "p", 8, vec![record(8)]).await, Ok(9), "it is known");
        assert_eq!(log.append("t", 1, "p", 0, records(&["other"])).await, Ok(1));
        assert_eq!(log.prepare(&t).await, Ok(()));
        assert_eq!(log.commit(&t).await, Ok(()), "what is prepared is never refused");
        assert_eq!(log.append("t", 0, "p", 9, vec![record(10)]).await, refused(LogRefusal::Full));
        assert_eq!(log.hold_offsets("j/a", "t", vec![(0, 5)]).await, Ok(vec![(0, 5)]));
        assert_eq!(log.append_until_acknowledged("t", 0, "p", 9, vec![record(10)]).await, Ok(10));
        keeps(log, 4, 11).await;
        log.write(&transaction("q", 1, 2), "t", 0, 0, vec![record(11)]).await.expect("room");
        assert_eq!(log.abort(&transaction("q", 1, 2)).await, Ok(()));
        append_until_full(log, 10).await;
    });
}

/// Appends until the partition is full: an aborted transaction took none of its room.
async fn append_until_full(log: &Client, first: u64) {
    let mut next = first;
    while let Ok(after) = log.append("t", 0, "p", next, vec![record(next + 1)]).await {
        next = after;
    }
    let (start, kept) = kept(log).await;
    assert_eq!((start, kept.len()), (4, 10));
}

/// What the server says of a first segment's file that was damaged while it did not run.
fn told(rots: bool) -> String {
    run(1, async move |cell, log| {
        append(log, 0, 30).await;
        cell.world.sleep(ms(500)).await;
        cell.world.end_process(cell.server, ProcessEnd::Killed);
        let path = segments(cell).remove(0);
        if rots {
            assert!(cell.world.rot(cell.server, &path, 20, 1));
        } else {
            cell.world.boot(cell.server, move |host| async move {
                host.disk().remove(&path).await.expect("it is there");
            });
            cell.world.sleep(ms(500)).await;
            cell.world.end_process(cell.server, ProcessEnd::Killed);
        }
        cell.boot_server();
        cell.world.sleep(ms(500)).await;
        assert_eq!(cell.world.is_running(cell.server), rots, "only what is read is looked at");
        if rots {
            let read = log.read("t", 0, 0, 1, ms(0)).await;
            assert!(read.is_err(), "{read:?}");
            assert!(!cell.world.is_running(cell.server));
        }
        cell.history.exit_reasons().remove(0)
    })
}

#[test]
fn damage_to_a_file_is_never_served() {
    let begins = "log: log/segment-00000000000000000000 is corrupt at byte 0: ";
    for (rots, what) in [(true, "what stands there is not"), (false, "the file is missing")] {
        let told = told(rots);
        assert!(told.starts_with(&format!("{begins}{what}")), "{told}");
    }
}

/// Files are written, named and removed meanwhile.
#[test]
fn power_cuts_at_any_moment_lose_nothing_and_leave_no_garbage() {
    let mut stored = BTreeSet::new();
    for seed in 0..40 {
        stored.insert(run(seed, async move |cell, log| {
            let mut draws = Draws::new(seed, "cuts", [0, 0]);
            log.set_retention("t", by_bytes(600)).await.expect("a topic");
            let (mut next, mut start) = (0, 0);
            for _ in 0..8 {
                let writes = async {
                    loop {
                        append(log, next, 1).await;
                        next += 1;
                    }
                };
                let _ = log.host().timeout(draws.duration(ms(0), ms(80)), writes).await;
                cell.after_power_cut().await;
                let (now, kept) = kept(log).await;
                let end = now + kept.len() as u64;
                assert!(now >= start, "what was removed is back");
                assert!(end == next || end == next + 1, "{end}, answered {next}");
                assert_eq!(kept, (now..end).map(record).collect::<Vec<_>>());
                (start, next) = (now, end);
            }
            cell.after_power_cut().await;
            cell.world.sleep(ms(500)).await;
            let events = cell.history.events();
            assert!(segments(cell).len() <= 4, "{:?}", segments(cell));
            events.iter().filter(|event| matches!(event, LogEvent::SegmentStored { .. })).count()
        }));
    }
    assert!(stored.last().is_some_and(|most| *most > 10), "{stored:?}");
}
