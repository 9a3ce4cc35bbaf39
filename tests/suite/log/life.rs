//! Topics, plain appends and reads while nothing fails.

use super::{Cell, Client, Tested, records, refused, transaction, whole};
use crate::service::{in_simulation, ms};
use bytes::Bytes;
use std::time::Duration;
use wavetank::{
    host::sim::WorldConfig,
    system::service::log::{
        LOG_NAME_BYTES_MAX, LogBatch, LogEvent, LogRefusal, PARTITIONS_MAX, READ_BYTES_MAX,
        RECORD_BYTES_MAX,
    },
};

fn run(body: impl AsyncFnOnce(Cell, Client) + Send + 'static) {
    in_simulation::<Tested, ()>(WorldConfig::new(1), async |cell| {
        let log = cell.log("client").await;
        body(cell, log).await;
    });
}

#[test]
fn a_topic_is_created_once() {
    run(async |cell, log| {
        assert_eq!(log.end_offsets("t").await, refused(LogRefusal::NoPartition));
        assert_eq!(log.create_topic("t", 3).await, Ok(()));
        assert_eq!(log.create_topic("t", 3).await, Ok(()), "again is fine");
        let other = LogRefusal::TopicExists { partitions: 3 };
        assert_eq!(log.create_topic("t", 4).await, refused(other));
        for partitions in [0, PARTITIONS_MAX + 1] {
            let outcome = log.create_topic("u", partitions).await;
            assert_eq!(outcome, refused(LogRefusal::BadPartitions));
        }
        for name in [String::new(), "n".repeat(LOG_NAME_BYTES_MAX + 1)] {
            assert_eq!(log.create_topic(&name, 1).await, refused(LogRefusal::BadName));
            let outcome = log.append("t", 0, &name, 0, records(&["a"])).await;
            assert_eq!(outcome, refused(LogRefusal::BadName));
            assert_eq!(log.close_producers(&name).await, refused(LogRefusal::BadName));
            let abort = log.abort(&transaction(&name, 1, 1)).await;
            assert_eq!(abort, refused(LogRefusal::BadName));
        }
        assert_eq!(log.end_offsets("t").await, Ok(vec![0, 0, 0]));
        let created = LogEvent::TopicCreated { topic: "t".to_string(), partitions: 3 };
        assert_eq!(cell.history.events()[1..], [created]);
    });
}

#[test]
fn a_producers_records_are_appended_once_and_in_order() {
    run(async |cell, log| {
        log.create_topic("t", 2).await.expect("a new topic");
        let append = async |partition, producer, first, texts: &[&str]| {
            log.append("t", partition, producer, first, records(texts)).await
        };
        assert_eq!(append(1, "p", 0, &["a", "b"]).await, Ok(2));
        assert_eq!(append(1, "p", 0, &["a", "b"]).await, Ok(2), "known already");
        assert_eq!(append(1, "p", 1, &["b", "c"]).await, Ok(3), "half of it is known");
        assert_eq!(append(1, "p", 0, &["a"]).await, Ok(3), "long known");
        assert_eq!(append(1, "p", 3, &[]).await, Ok(3));
        assert_eq!(append(1, "p", 4, &["e"]).await, refused(LogRefusal::Gap { expected: 3 }));
        assert_eq!(append(1, "q", 1, &["x"]).await, refused(LogRefusal::Gap { expected: 0 }));
        assert_eq!(append(1, "q", 0, &["x"]).await, Ok(1));
        assert_eq!(append(0, "p", 0, &["y"]).await, Ok(1), "each partition counts by itself");
        assert_eq!(append(2, "p", 0, &["z"]).await, refused(LogRefusal::NoPartition));
        assert_eq!(whole(&log, "t", 1).await, records(&["a", "b", "c", "x"]));
        let appended = cell.history.events().into_iter().filter_map(|event| match event {
            LogEvent::Appended { partition: 1, offset, records, .. } => Some((offset, records)),
            _ => None,
        });
        let expected = [(0, records(&["a", "b"])), (2, records(&["c"])), (3, records(&["x"]))];
        assert_eq!(appended.collect::<Vec<_>>(), expected);
        cell.after_power_cut().await;
        assert_eq!(whole(&log, "t", 1).await, records(&["a", "b", "c", "x"]));
        assert_eq!(append(1, "p", 2, &["c", "d"]).await, Ok(4), "what is known is durable");
        assert_eq!(log.end_offsets_until_acknowledged("t").await, Ok(vec![1, 5]));
    });
}

#[test]
fn a_read_waits_for_records_and_is_bounded() {
    run(async |cell, log| {
        log.create_topic("t", 1).await.expect("a new topic");
        let read = async |offset, max, wait| log.read("t", 0, offset, max, wait).await;
        let before = cell.world.elapsed();
        assert_eq!(read(0, 10, ms(0)).await, Ok(LogBatch::default()));
        assert!(cell.world.elapsed() < before + ms(50));
        let empty = LogBatch { first: 7, records: Vec::new(), end: 0 };
        assert_eq!(read(7, 10, ms(5000)).await, Ok(empty), "longer than an ask may take");
        assert!(cell.world.elapsed() >= before + ms(5000));
        let other = cell.log("other").await;
        let append = async {
            cell.world.sleep(ms(700)).await;
            other.append("t", 0, "p", 0, records(&["a", "b", "c"])).await
        };
        let before = cell.world.elapsed();
        let (found, appended) = futures::join!(read(1, 1, ms(5000)), append);
        assert_eq!(appended, Ok(3));
        assert_eq!(found, Ok(LogBatch { first: 1, records: records(&["b"]), end: 3 }));
        assert!(cell.world.elapsed() < before + ms(800), "it is told at once");
        assert_eq!(read(0, 0, ms(0)).await.map(|batch| batch.records.len()), Ok(1));
        let lost = log.read("t", 1, 0, 1, Duration::MAX).await;
        assert_eq!(lost, refused(LogRefusal::NoPartition));
    });
}

#[test]
fn large_records_are_refused_or_answered_one_by_one() {
    run(async |_, log| {
        log.create_topic("t", 1).await.expect("a new topic");
        let record = |bytes: usize| Bytes::from(vec![7; bytes]);
        let too_large = vec![record(RECORD_BYTES_MAX + 1)];
        assert_eq!(log.append("t", 0, "p", 0, too_large).await, refused(LogRefusal::TooLarge));
        let too_many = vec![record(RECORD_BYTES_MAX); 4];
        assert_eq!(log.append("t", 0, "p", 0, too_many).await, refused(LogRefusal::TooLarge));
        let large = vec![record(RECORD_BYTES_MAX), record(READ_BYTES_MAX / 2), record(1)];
        assert_eq!(log.append("t", 0, "p", 0, large).await, Ok(3));
        let counts = async |offset| {
            log.read("t", 0, offset, 100, ms(0)).await.map(|batch| batch.records.len())
        };
        assert_eq!((counts(0).await, counts(1).await, counts(3).await), (Ok(1), Ok(2), Ok(0)));
    });
}

#[test]
fn the_server_is_full_of_open_transactions_at_its_bound_and_goes_on() {
    run(async |cell, log| {
        log.create_topic("t", 1).await.expect("a new topic");
        log.init_producer(&super::generation("p", 1)).await.expect("a new producer");
        let t = transaction("p", 1, 1);
        let record = || vec![Bytes::from(vec![7; RECORD_BYTES_MAX])];
        let mut first = 0;
        while let Ok(next) = log.write(&t, "t", 0, first, record()).await {
            first = next;
        }
        assert!((250..256).contains(&first), "{first} MiB");
        assert_eq!(log.write(&t, "t", 0, first, record()).await, refused(LogRefusal::Full));
        assert_eq!(log.write(&t, "t", 0, first, records(&["small"])).await, Ok(first + 1));
        assert_eq!(log.prepare(&t).await, Ok(()));
        assert_eq!(log.commit(&t).await, Ok(()));
        assert_eq!(log.end_offsets("t").await, Ok(vec![first + 1]));
        let again = transaction("p", 1, 2);
        assert_eq!(log.write(&again, "t", 0, 0, record()).await, Ok(1), "there is room again");
        assert!(cell.history.exit_reasons().is_empty());
    });
}

#[test]
fn calls_can_be_made_by_tasks() {
    run(async |_, log| {
        let host = log.host().clone();
        let (done, is_done) = futures::channel::oneshot::channel();
        host.spawn(async move {
            log.create_topic_until_acknowledged("t", 1).await.expect("a new topic");
            let appended = log.append_until_acknowledged("t", 0, "p", 0, records(&["a"])).await;
            assert_eq!(appended, Ok(1));
            let read = log.read_until_acknowledged("t", 0, 0, 1, ms(0)).await;
            assert_eq!(read.map(|batch| batch.end), Ok(1));
            assert_eq!(log.end_offsets_until_acknowledged("t").await, Ok(vec![1]));
            let t = transaction("p", 1, 1);
            let id = super::generation("p", 1);
            assert_eq!(log.init_producer_until_acknowledged(&id).await, Ok(()));
            assert_eq!(log.write_until_acknowledged(&t, "t", 0, 0, records(&["b"])).await, Ok(1));
            assert_eq!(log.prepare_until_acknowledged(&t).await, Ok(()));
            assert_eq!(log.commit_until_acknowledged(&t).await, Ok(()));
            assert_eq!(log.abort_until_acknowledged(&transaction("p", 1, 2)).await, Ok(()));
            assert_eq!(log.close_producers_until_acknowledged("p").await, Ok(()));
            let _ = done.send(());
        });
        is_done.await.expect("the task ends");
    });
}
