//! The life of transactions while nothing fails.

use super::{Cell, Client, Tested, generation, records, refused, transaction, whole};
use crate::service::in_simulation;
use wavetank::{
    host::sim::WorldConfig,
    system::service::log::{LogEvent, LogRefusal, Outcome},
};

const ABORTED: LogRefusal = LogRefusal::Ended { outcome: Outcome::Aborted };
const COMMITTED: LogRefusal = LogRefusal::Ended { outcome: Outcome::Committed };

/// With a topic of two partitions and generation 1 of producer `p`.
fn run(body: impl AsyncFnOnce(&Cell, &Client) + Send + 'static) {
    in_simulation::<Tested, ()>(WorldConfig::new(1), async |cell| {
        let log = cell.log("client").await;
        log.create_topic("t", 2).await.expect("a new topic");
        log.init_producer(&generation("p", 1)).await.expect("a new producer");
        body(&cell, &log).await;
    });
}

/// What was announced of transactions and producers since the set-up.
fn told(cell: &Cell) -> Vec<LogEvent> {
    cell.history.events()[3..].to_vec()
}

#[test]
fn a_transaction_shows_all_its_records_when_it_is_committed() {
    run(async |cell, log| {
        let t = transaction("p", 1, 7);
        let write = async |partition, first, texts: &[&str]| {
            log.write(&t, "t", partition, first, records(texts)).await
        };
        assert_eq!(write(0, 0, &["a", "b"]).await, Ok(2));
        assert_eq!(write(0, 1, &["b", "c"]).await, Ok(3), "known records are skipped");
        assert_eq!(write(0, 5, &["x"]).await, refused(LogRefusal::Gap { expected: 3 }));
        assert_eq!(write(1, 0, &["d"]).await, Ok(1));
        assert_eq!(write(2, 0, &["e"]).await, refused(LogRefusal::NoPartition));
        assert_eq!(log.commit(&t).await, refused(LogRefusal::NotPrepared));
        assert_eq!(log.append("t", 0, "q", 0, records(&["other"])).await, Ok(1));
        assert_eq!(log.prepare(&t).await, Ok(()));
        assert_eq!(log.prepare(&t).await, Ok(()), "again is fine");
        assert_eq!(write(0, 3, &["late"]).await, refused(LogRefusal::Prepared));
        assert_eq!(log.end_offsets("t").await, Ok(vec![1, 0]), "nothing shows yet");
        cell.after_power_cut().await;
        assert_eq!(log.commit_until_acknowledged(&t).await, Ok(()));
        assert_eq!(log.commit(&t).await, Ok(()), "again is fine");
        assert_eq!(log.abort(&t).await, refused(COMMITTED));
        assert_eq!(log.prepare(&t).await, refused(COMMITTED));
        assert_eq!(write(0, 0, &["a"]).await, refused(COMMITTED));
        assert_eq!(whole(log, "t", 0).await, records(&["other", "a", "b", "c"]));
        assert_eq!(whole(log, "t", 1).await, records(&["d"]));
        let writes = vec![
            ("t".to_string(), 0, 1, records(&["a", "b", "c"])),
            ("t".to_string(), 1, 0, records(&["d"])),
        ];
        let told = told(cell);
        assert_eq!(told.len(), 5);
        assert_eq!(told[0], LogEvent::TransactionOpened { transaction: t.clone() });
        assert_eq!(told[2], LogEvent::TransactionPrepared { transaction: t.clone() });
        let unended =
            matches!(&told[3], LogEvent::Recovered { unended, .. } if *unended == [t.clone()]);
        assert!(unended, "{told:?}");
        assert_eq!(told[4], LogEvent::TransactionCommitted { transaction: t.clone(), writes });
    });
}

#[test]
fn an_aborted_transaction_shows_nothing_and_stays_aborted() {
    run(async |cell, log| {
        let (open, prepared) = (transaction("p", 1, 1), transaction("p", 1, 2));
        let (unknown, empty) = (transaction("p", 1, 3), transaction("p", 1, 4));
        for t in [&open, &prepared] {
            assert_eq!(log.write(t, "t", 0, 0, records(&["a"])).await, Ok(1));
        }
        assert_eq!(log.prepare(&prepared).await, Ok(()));
        assert_eq!(log.commit(&unknown).await, refused(LogRefusal::Unknown));
        for t in [&open, &prepared, &unknown] {
            assert_eq!(log.abort(t).await, Ok(()));
            assert_eq!(log.abort(t).await, Ok(()), "again is fine");
            cell.after_power_cut().await;
            assert_eq!(log.commit_until_acknowledged(t).await, Err(ABORTED));
            assert_eq!(log.write(t, "t", 0, 0, records(&["late"])).await, refused(ABORTED));
            assert_eq!(log.prepare(t).await, refused(ABORTED));
        }
        assert_eq!(log.prepare(&empty).await, Ok(()), "one without writes is prepared empty");
        assert_eq!(log.commit(&empty).await, Ok(()));
        assert_eq!(whole(log, "t", 0).await, records(&[]));
        let aborted = told(cell).into_iter().filter_map(|event| match event {
            LogEvent::TransactionAborted { transaction } => Some(transaction),
            _ => None,
        });
        assert_eq!(aborted.collect::<Vec<_>>(), [open, prepared, unknown]);
    });
}

#[test]
fn a_newer_generation_fences_the_older_ones() {
    run(async |cell, log| {
        let (open, prepared) = (transaction("p", 1, 1), transaction("p", 1, 2));
        let kept = transaction("p", 1, 3);
        for t in [&open, &prepared, &kept] {
            assert_eq!(log.write(t, "t", 0, 0, records(&["a"])).await, Ok(1));
        }
        assert_eq!(log.prepare(&prepared).await, Ok(()));
        assert_eq!(log.prepare(&kept).await, Ok(()));
        assert_eq!(log.init_producer(&generation("p", 1)).await, Ok(()), "again is fine");
        // The next life commits what its state names, then fences.
        assert_eq!(log.commit(&kept).await, Ok(()));
        assert_eq!(log.init_producer(&generation("p", 4)).await, Ok(()));
        let fenced = || LogRefusal::Fenced { current: 4 };
        assert_eq!(log.init_producer(&generation("p", 3)).await, refused(fenced()));
        assert_eq!(log.commit(&prepared).await, refused(ABORTED));
        assert_eq!(log.commit(&kept).await, Ok(()), "it was committed before");
        for number in 1..5 {
            let t = transaction("p", 1, number);
            assert_eq!(log.write(&t, "t", 0, 0, records(&["z"])).await, refused(fenced()));
            assert_eq!(log.prepare(&t).await, refused(fenced()));
        }
        let future = transaction("p", 5, 1);
        assert_eq!(log.write(&future, "t", 0, 0, records(&["z"])).await, refused(fenced()));
        let stranger = transaction("stranger", 1, 1);
        let write = log.write(&stranger, "t", 0, 0, records(&["z"])).await;
        assert_eq!(write, refused(LogRefusal::Unknown));
        assert_eq!(log.prepare(&stranger).await, refused(LogRefusal::Unknown));
        let mine = transaction("p", 4, 1);
        assert_eq!(log.write(&mine, "t", 0, 0, records(&["b"])).await, Ok(1));
        cell.after_power_cut().await;
        assert_eq!(log.init_producer_until_acknowledged(&generation("p", 3)).await, Err(fenced()));
        assert_eq!(log.prepare(&mine).await, Ok(()));
        assert_eq!(log.commit(&mine).await, Ok(()));
        assert_eq!(whole(log, "t", 0).await, records(&["a", "b"]));
        let fence = LogEvent::ProducerFenced { producer: "p".to_string(), generation: 4 };
        let at = told(cell).into_iter().position(|event| event == fence).expect("it is told");
        let aborted =
            [open, prepared].map(|transaction| LogEvent::TransactionAborted { transaction });
        assert_eq!(told(cell)[at + 1..at + 3], aborted);
    });
}

#[test]
fn closed_producers_change_nothing_for_ever() {
    run(async |cell, log| {
        let names = ["job-1/a", "job-1/b", "job-2/a"];
        for name in names {
            log.init_producer(&generation(name, 1)).await.expect("a new producer");
            let written = log.write(&transaction(name, 1, 1), "t", 0, 0, records(&[name])).await;
            assert_eq!(written, Ok(1));
        }
        let done = transaction("job-1/a", 1, 2);
        assert_eq!(log.prepare(&done).await, Ok(()));
        assert_eq!(log.commit(&done).await, Ok(()));
        assert_eq!(log.prepare(&transaction("job-1/b", 1, 1)).await, Ok(()));
        assert_eq!(log.close_producers("job-1/").await, Ok(()));
        assert_eq!(log.close_producers("job-1/").await, Ok(()), "again is fine");
        let LogEvent::Recovered { closed, unended, .. } = cell.after_power_cut().await else {
            panic!("no recovery")
        };
        assert_eq!(closed, ["job-1/"]);
        assert_eq!(unended, [transaction("job-2/a", 1, 1)]);
        for name in ["job-1/a", "job-1/b", "job-1/new"] {
            let init = log.init_producer_until_acknowledged(&generation(name, 2)).await;
            assert_eq!(init, Err(LogRefusal::Closed));
            let t = transaction(name, 1, 5);
            assert_eq!(
                log.write(&t, "t", 0, 0, records(&["z"])).await,
                refused(LogRefusal::Closed)
            );
            assert_eq!(log.prepare(&t).await, refused(LogRefusal::Closed));
        }
        assert_eq!(log.commit(&done).await, Ok(()), "it was committed before");
        assert_eq!(log.commit(&transaction("job-1/b", 1, 1)).await, refused(ABORTED));
        let other = transaction("job-2/a", 1, 1);
        assert_eq!(log.prepare(&other).await, Ok(()));
        assert_eq!(log.commit(&other).await, Ok(()));
        assert_eq!(whole(log, "t", 0).await, records(&["job-2/a"]));
    });
}

#[test]
fn only_the_last_ends_of_a_producer_are_remembered_and_no_forgotten_one_opens() {
    run(async |cell, log| {
        let ended = |number| transaction("p", 1, number);
        for number in 0..1030 {
            assert_eq!(log.abort(&ended(number)).await, Ok(()));
        }
        assert_eq!(cell.history.exit_reasons().len(), 0);
        cell.after_power_cut().await;
        assert_eq!(log.abort_until_acknowledged(&ended(6)).await, Ok(()));
        for number in [0, 5] {
            let t = ended(number);
            assert_eq!(log.commit(&t).await, refused(LogRefusal::Unknown));
            assert_eq!(log.abort(&t).await, refused(LogRefusal::Unknown));
            assert_eq!(log.prepare(&t).await, refused(LogRefusal::Unknown));
            let write = log.write(&t, "t", 0, 0, records(&["z"])).await;
            assert_eq!(write, refused(LogRefusal::Unknown));
        }
    });
}

#[test]
fn a_producer_has_a_bounded_number_of_open_transactions() {
    run(async |_, log| {
        let write = async |number| {
            log.write(&transaction("p", 1, number), "t", 0, 0, records(&["a"])).await
        };
        for number in 0..256 {
            assert_eq!(write(number).await, Ok(1));
        }
        assert_eq!(write(256).await, refused(LogRefusal::Full));
        assert_eq!(log.abort(&transaction("p", 1, 0)).await, Ok(()));
        assert_eq!(write(256).await, Ok(1));
    });
}
