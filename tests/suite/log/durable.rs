//! What the server acknowledged or announced survives; corruption is never served.

use super::{Cell, Client, Tested, generation, records, transaction, whole};
use crate::service::{ALWAYS, in_simulation, ms};
use bytes::Bytes;
use std::collections::BTreeSet;
use wavetank::{
    host::{
        Draws,
        sim::{Delay, DiskEffect, DiskFault, DiskOp, LinkEffect, ProcessEnd, WorldConfig},
    },
    system::service::{ServiceError, log::LogEvent},
};

const FIRST_LOG: &str = "log/log-00000000000000000000";

fn run<T: Send + 'static>(
    seed: u64,
    body: impl AsyncFnOnce(&Cell, &Client) -> T + Send + 'static,
) -> T {
    in_simulation::<Tested, T>(WorldConfig::new(seed), async |cell| {
        let log = cell.log("client").await;
        log.create_topic("t", 2).await.expect("a new topic");
        body(&cell, &log).await
    })
}

/// A prepared transaction that writes to both partitions.
async fn prepared(log: &Client) {
    log.init_producer(&generation("p", 1)).await.expect("a new producer");
    for partition in 0..2 {
        let some = vec![Bytes::from(vec![b'x'; 900]); 3];
        let written = log.write(&transaction("p", 1, 1), "t", partition, 0, some).await;
        assert_eq!(written, Ok(3));
    }
    log.prepare(&transaction("p", 1, 1)).await.expect("it is open");
}

#[test]
fn a_power_cut_at_any_moment_commits_wholly_or_not_at_all_and_never_twice() {
    let mut found = BTreeSet::new();
    for seed in 0..60_u64 {
        found.insert(run(seed, async move |cell, log| {
            prepared(log).await;
            let t = transaction("p", 1, 1);
            let commit = log.commit(&t);
            let cut = cell.world.sleep(std::time::Duration::from_micros(seed * 100));
            futures::pin_mut!(commit, cut);
            let ended = futures::future::select(commit, cut).await;
            let done = matches!(ended, futures::future::Either::Left((Ok(()), _)));
            cell.after_power_cut().await;
            let ends = log.end_offsets_until_acknowledged("t").await.expect("a topic");
            assert!(ends == [0, 0] || ends == [3, 3], "{ends:?}");
            assert!(!done || ends == [3, 3]);
            log.commit_until_acknowledged(&transaction("p", 1, 1)).await.expect("it is prepared");
            assert_eq!(log.end_offsets_until_acknowledged("t").await, Ok(vec![3, 3]));
            ends
        }));
    }
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_power_cut_between_sync_and_answer_leaves_a_maybe_that_is_there() {
    run(1, async |cell, log| {
        let server = cell.server;
        cell.history.on_event(move |world, event| {
            if matches!(event, LogEvent::Appended { .. }) {
                world.end_process(server, ProcessEnd::PowerCut);
            }
        });
        let outcome = log.append("t", 0, "p", 0, records(&["a"])).await;
        assert!(matches!(outcome, Err(ServiceError::Indeterminate(_))), "{outcome:?}");
        cell.history.on_event(|_, _| {});
        cell.boot_server();
        cell.recovered(2).await;
        assert_eq!(
            log.append_until_acknowledged("t", 0, "p", 0, records(&["a", "b"])).await,
            Ok(2)
        );
        assert_eq!(whole(log, "t", 0).await, records(&["a", "b"]));
    });
}

#[test]
fn damage_to_what_was_synced_stops_the_server_at_boot() {
    run(1, async |cell, log| {
        for n in 0..5 {
            assert_eq!(log.append("t", 0, "p", n, records(&["a"])).await, Ok(n + 1));
        }
        cell.world.end_process(cell.server, ProcessEnd::Killed);
        assert!(cell.world.rot(cell.server, FIRST_LOG, 20, 1));
        for boots in 1..3 {
            cell.boot_server();
            cell.world.sleep(ms(500)).await;
            assert!(!cell.world.is_running(cell.server), "it must not serve");
            let reasons = cell.history.exit_reasons();
            assert_eq!(reasons.len(), boots);
            assert!(reasons[boots - 1].contains("corrupt"), "{reasons:?}");
        }
        assert_eq!(cell.history.recoveries().len(), 1);
    });
}

#[test]
fn after_a_failed_sync_nothing_announced_or_acknowledged_is_lost() {
    for seed in 0..30 {
        run(seed, async |cell, log| {
            assert_eq!(log.append("t", 0, "p", 0, records(&["done"])).await, Ok(1));
            cell.fail_syncs(ALWAYS);
            let outcome = log.append("t", 0, "p", 1, records(&["maybe"])).await;
            assert!(matches!(outcome, Err(ServiceError::Indeterminate(_))), "{outcome:?}");
            assert!(!cell.world.is_running(cell.server), "a failed sync ends the process");
            cell.world.clear_disk_faults(cell.server);
            cell.boot_server();
            cell.recovered(2).await;
            let before = whole(log, "t", 0).await;
            assert_eq!(
                log.append_until_acknowledged("t", 0, "q", 0, records(&["after"])).await,
                Ok(1)
            );
            cell.after_power_cut().await;
            assert_eq!(whole(log, "t", 0).await, [before, records(&["after"])].concat());
        });
    }
}

/// What a failed sync lost is seen until the power goes, and stays named on the platter.
#[test]
fn boots_whose_syncs_fail_remove_nothing_that_the_platter_names() {
    for (first, second, seed) in (1..14).flat_map(|first| {
        (1..5_u64).flat_map(move |second| (0..6).map(move |seed| (first, second, seed)))
    }) {
        run(seed, async move |cell, log| {
            assert_eq!(log.append("t", 0, "p", 0, records(&["done"])).await, Ok(1));
            for nth in [first, second] {
                let effect = DiskEffect::ErrorAt { nth, per_million: ALWAYS };
                cell.world.set_disk_fault(cell.server, DiskFault { on: DiskOp::Sync, effect });
                cell.restart_server(ProcessEnd::Killed);
                cell.world.sleep(ms(60)).await;
                cell.world.clear_disk_faults(cell.server);
            }
            cell.after_power_cut().await;
            assert_eq!(
                log.end_offsets_until_acknowledged("t").await,
                Ok(vec![1, 0]),
                "{first}, {second}"
            );
        });
    }
}

#[test]
fn nothing_is_read_before_it_is_durable() {
    run(1, async |cell, log| {
        let other = cell.log("other").await;
        let effect = DiskEffect::Slow(Delay::Constant(ms(400)));
        cell.world.set_disk_fault(cell.server, DiskFault { on: DiskOp::Sync, effect });
        let append = log.append("t", 0, "p", 0, records(&["a"]));
        let look = async {
            cell.world.sleep(ms(100)).await;
            let ends = other.end_offsets("t").await;
            (ends, cell.world.elapsed())
        };
        let before = cell.world.elapsed();
        let (appended, (ends, at)) = futures::join!(append, look);
        assert_eq!((appended, ends), (Ok(1), Ok(vec![1, 0])));
        assert!(at >= before + ms(400), "it waits for what it shows");
    });
}

/// An open transaction's records are a part of the state.
#[test]
fn a_long_log_is_replaced_by_snapshots_that_grow_with_the_state() {
    run(1, async |cell, log| {
        log.init_producer(&generation("p", 1)).await.expect("a new producer");
        let (t, record) = (transaction("p", 1, 1), Bytes::from(vec![7; 64 * 1024]));
        let mut snapshots = BTreeSet::new();
        for n in 0..128 {
            assert_eq!(log.write(&t, "t", 0, n, vec![record.clone()]).await, Ok(n + 1));
            // Records before the first one: the size of segments, the topic and the producer.
            let base = (0..=n + 4).rev().find(|base| {
                let path = format!("log/snapshot-{base:020}");
                cell.world.read_file(cell.server, &path).is_some()
            });
            snapshots.extend(base);
        }
        assert_eq!(cell.world.read_file(cell.server, FIRST_LOG), None, "the long log is gone");
        assert!((3..6).contains(&snapshots.len()), "{snapshots:?}");
        cell.after_power_cut().await;
        let both = vec![record; 2];
        assert_eq!(log.write_until_acknowledged(&t, "t", 0, 127, both).await, Ok(129));
        assert_eq!(log.prepare(&t).await, Ok(()));
        assert_eq!(log.commit(&t).await, Ok(()));
        let LogEvent::Recovered { ends, .. } = cell.after_power_cut().await else { panic!() };
        assert_eq!(ends, [("t".to_string(), 0, 129), ("t".to_string(), 1, 0)]);
    });
}

#[test]
fn what_is_in_files_is_in_the_log_no_longer() {
    run(1, async |cell, log| {
        let record = Bytes::from(vec![7; 64 * 1024]);
        for n in 0..512 {
            assert_eq!(log.append("t", 0, "p", n, vec![record.clone()]).await, Ok(n + 1));
        }
        cell.world.sleep(ms(1000)).await;
        let files = cell.world.files(cell.server).into_iter();
        let (segments, of_log): (Vec<_>, Vec<_>) =
            files.partition(|(path, _)| path.starts_with("log/segment-"));
        let mib = |files: &[(String, u64)]| files.iter().map(|(_, bytes)| bytes >> 20).sum::<u64>();
        assert!((31..=32).contains(&segments.len()), "{segments:?}");
        assert!(mib(&of_log) <= 8, "{of_log:?}");
        cell.after_power_cut().await;
        assert_eq!(log.append_until_acknowledged("t", 0, "p", 511, vec![record; 2]).await, Ok(513));
    });
}

/// Segments and snapshots are begun and removed meanwhile.
#[test]
fn a_long_log_survives_power_cuts_at_any_moment() {
    let mut segments = BTreeSet::new();
    for seed in 0..3_u64 {
        segments.extend(run(seed, async move |cell, log| {
            let mut draws = Draws::new(seed, "cuts", [0, 0]);
            let record = Bytes::from(vec![7; 700 * 1024]);
            let mut next = 0;
            let mut segments = BTreeSet::new();
            for cut in 0..8 {
                let writes = async {
                    loop {
                        let many = vec![record.clone(); 3];
                        let appended = log.append("t", 0, "p", next, many).await;
                        next = appended.unwrap_or(next);
                        let files = cell.world.files(cell.server).into_iter();
                        let logs = files.filter(|(path, _)| path.starts_with("log/log-"));
                        segments.insert(logs.count());
                    }
                };
                let _ = log.host().timeout(draws.duration(ms(0), ms(40)), writes).await;
                let LogEvent::Recovered { ends, .. } = cell.after_power_cut().await else {
                    panic!("no recovery")
                };
                let end = ends[0].2;
                assert!(end == next || end == next + 3, "cut {cut}: {end}, answered {next}");
                next = end;
            }
            segments
        }));
    }
    assert!(segments.iter().any(|count| *count > 1), "some log had several: {segments:?}");
}

/// The windows that tell repeats die with the server's process.
#[test]
fn late_copies_of_calls_change_nothing() {
    let latency = Delay::Uniform(ms(1), ms(600));
    in_simulation::<Tested, ()>(WorldConfig { latency, ..WorldConfig::new(1) }, async |cell| {
        let log = cell.log("client").await;
        log.create_topic_until_acknowledged("t", 1).await.expect("a new topic");
        cell.link(LinkEffect::Duplicate { per_million: ALWAYS });
        let mut next = 0;
        for n in 0..20_u64 {
            let id = generation("p", n);
            let t = transaction("p", n, 1);
            log.init_producer_until_acknowledged(&id).await.expect("a new generation");
            let text = format!("record {n}");
            let early = log.host().timeout(ms(200), log.write(&t, "t", 0, 0, records(&[&text])));
            let _ = early.await;
            cell.restart_server(ProcessEnd::Killed);
            match n % 2 {
                0 => {
                    log.write_until_acknowledged(&t, "t", 0, 0, records(&[&text]))
                        .await
                        .expect("it is open");
                    log.prepare_until_acknowledged(&t).await.expect("it is open");
                    log.commit_until_acknowledged(&t).await.expect("it is prepared");
                    next += 1;
                }
                _ => log.abort_until_acknowledged(&t).await.expect("it is open"),
            }
            assert_eq!(log.end_offsets_until_acknowledged("t").await, Ok(vec![next]));
        }
        cell.world.sleep(ms(3000)).await;
        let expected: Vec<String> = (0..20).step_by(2).map(|n| format!("record {n}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_eq!(whole(&log, "t", 0).await, records(&expected));
    });
}
