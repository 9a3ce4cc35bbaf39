//! What the server acknowledged or announced survives; corruption is never served.

use super::history::Entry;
use super::{ALWAYS, Cell, Client, in_simulation, ms, usual};
use std::collections::BTreeSet;
use wavetank::{
    host::sim::{
        Delay, DiskEffect, DiskFault, DiskOp, LinkEffect, LinkRule, NodeSet, ProcessEnd,
        WorldConfig,
    },
    system::service::coordination::{CoordinationError, CoordinationEvent, Transaction},
};

const FIRST_LOG: &str = "coordination/log-00000000000000000000";

fn sync_takes(cell: &Cell, millis: u64) {
    let effect = DiskEffect::Slow(Delay::Constant(ms(millis)));
    cell.world.set_disk_fault(cell.server, DiskFault { on: DiskOp::Sync, effect });
}

/// The server's file, as a process would read it.
fn length(cell: &Cell, path: &str) -> Option<u64> {
    cell.world.read_file(cell.server, path).map(|bytes| bytes.len() as u64)
}

/// What the server's process said when it ended by itself.
fn exit_reasons(cell: &Cell) -> Vec<String> {
    let exits = cell.history.all().into_iter().filter_map(|(stamp, entry)| match entry {
        Entry::Ended(ProcessEnd::Exited { reason }) if stamp.node == cell.server => Some(reason),
        _ => None,
    });
    exits.collect()
}

#[test]
fn a_power_cut_between_sync_and_answer_leaves_a_maybe_that_is_there() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        client.put("before", b"1").await;
        let server = cell.server;
        cell.history.on_event(move |world, _, event| {
            if matches!(event, CoordinationEvent::Committed { .. }) {
                world.end_process(server, ProcessEnd::PowerCut);
            }
        });
        let write = Transaction::new().put("key", b"value".to_vec());
        let outcome = client.coordination.transact(write).await;
        assert!(matches!(outcome, Err(CoordinationError::Indeterminate(_))), "{outcome:?}");
        cell.history.on_event(|_, _, _| {});
        cell.boot_server();
        cell.recovered(2).await;
        assert_eq!(client.value("key").await.as_deref(), Some(&b"value"[..]));
        assert_eq!(client.value("before").await.as_deref(), Some(&b"1"[..]));
    });
}

#[test]
fn damage_to_what_was_synced_long_ago_stops_the_server_at_boot() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        for number in 0..5 {
            client.put("key", &[number]).await;
        }
        cell.world.end_process(cell.server, ProcessEnd::Killed);
        assert!(cell.world.rot(cell.server, FIRST_LOG, 20, 1));
        for _ in 0..2 {
            cell.boot_server();
            cell.world.sleep(ms(500)).await;
            assert!(!cell.world.is_running(cell.server), "it must not serve");
        }
        assert_eq!(cell.recoveries().len(), 1, "only the first life served");
        let reasons = exit_reasons(&cell);
        assert_eq!(reasons.len(), 2);
        assert!(reasons.iter().all(|reason| reason.contains("corrupt")), "{reasons:?}");
    });
}

#[test]
fn damage_to_the_snapshot_stops_the_server_at_boot() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        client.put("key", b"1").await;
        cell.restart_server(ProcessEnd::Killed);
        cell.recovered(2).await;
        cell.world.end_process(cell.server, ProcessEnd::Killed);
        assert!(cell.world.rot(cell.server, "coordination/snapshot-00000000000000000001", 9, 1));
        cell.boot_server();
        cell.world.sleep(ms(500)).await;
        assert!(!cell.world.is_running(cell.server), "it must not serve");
        assert_eq!(cell.recoveries().len(), 2);
    });
}

/// Leaves a batch on the disk that was written and not synced; returns how much had been synced.
async fn write_without_sync(cell: &Cell, client: &Client) -> u64 {
    client.put("kept", b"1").await;
    client.put("kept", b"2").await;
    let synced = length(cell, FIRST_LOG).expect("a log");
    sync_takes(cell, 1000);
    let write = client.coordination.transact(Transaction::new().put("torn", vec![7; 3000]));
    let cut = cell.world.sleep(ms(300));
    futures::pin_mut!(write, cut);
    let ended = futures::future::select(write, cut).await;
    assert!(matches!(ended, futures::future::Either::Right(_)), "it cannot be done yet");
    assert!(length(cell, FIRST_LOG).expect("a log") > synced, "it is written");
    synced
}

#[test]
fn a_flipped_bit_in_the_last_batch_is_no_torn_write_and_stops_the_server() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        let synced = write_without_sync(&cell, &client).await;
        cell.world.end_process(cell.server, ProcessEnd::Killed);
        cell.world.clear_disk_faults(cell.server);
        assert!(cell.world.rot(cell.server, FIRST_LOG, synced + 100, 1));
        cell.boot_server();
        cell.world.sleep(ms(500)).await;
        assert_eq!(cell.recoveries().len(), 1, "it may have been synced and answered");
        let reasons = exit_reasons(&cell);
        assert!(reasons.iter().all(|reason| reason.contains("corrupt")), "{reasons:?}");
        assert!(!reasons.is_empty() && !cell.world.is_running(cell.server));
    });
}

#[test]
fn a_batch_torn_by_a_power_cut_is_there_wholly_or_not_at_all() {
    let mut found = BTreeSet::new();
    for seed in 0..40 {
        let keys = in_simulation(WorldConfig::new(seed), async |cell| {
            let client = cell.client("client", usual()).await;
            write_without_sync(&cell, &client).await;
            cell.world.end_process(cell.server, ProcessEnd::PowerCut);
            cell.world.clear_disk_faults(cell.server);
            cell.boot_server();
            cell.recovered(2).await
        });
        assert_eq!(keys[0], ("kept".to_string(), b"2".to_vec()), "seed {seed}");
        assert!(keys.len() == 1 || keys[1] == ("torn".to_string(), vec![7; 3000]), "seed {seed}");
        found.insert(keys.len());
    }
    assert!(found.contains(&1), "some batch was torn");
}

#[test]
fn after_a_failed_sync_nothing_announced_or_acknowledged_is_lost() {
    let mut came_back = BTreeSet::new();
    for seed in 0..40 {
        came_back.insert(in_simulation(WorldConfig::new(seed), async |cell| {
            let client = cell.client("client", usual()).await;
            client.put("done", b"1").await;
            let effect = DiskEffect::Error { per_million: ALWAYS };
            cell.world.set_disk_fault(cell.server, DiskFault { on: DiskOp::Sync, effect });
            let write = Transaction::new().put("maybe", b"1".to_vec());
            let outcome = client.coordination.transact(write).await;
            assert!(matches!(outcome, Err(CoordinationError::Indeterminate(_))), "{outcome:?}");
            assert!(!cell.world.is_running(cell.server), "a failed sync ends the process");
            cell.world.clear_disk_faults(cell.server);
            cell.boot_server();
            let announced = cell.recovered(2).await;
            assert!(announced.contains(&("done".to_string(), b"1".to_vec())));
            client.put("after", b"1").await;
            cell.restart_server(ProcessEnd::PowerCut);
            let kept = cell.recovered(3).await;
            assert!(announced.iter().all(|key| kept.contains(key)), "{announced:?} {kept:?}");
            assert!(kept.contains(&("after".to_string(), b"1".to_vec())));
            announced.len()
        }));
    }
    assert!(came_back.contains(&2), "the page cache showed what was not synced");
}

#[test]
fn a_long_log_is_replaced_by_a_snapshot_and_both_are_recovered() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        let mut written = 0;
        for number in 0..45_u8 {
            client.put(&format!("key-{}", number % 8), &vec![number; 32 * 1024]).await;
            written += 32 * 1024;
        }
        assert!(written > 1024 * 1024);
        assert_eq!(length(&cell, FIRST_LOG), None, "the long log is gone");
        client.put("small", b"after the snapshot").await;
        let before = client.read().await;
        assert!(before.keys.iter().any(|found| found.version > 1));
        cell.restart_server(ProcessEnd::PowerCut);
        cell.recovered(2).await;
        assert_eq!(client.read().await, before, "values, versions and revisions");
        let same_version = Transaction::new().when(before.unchanged("small"));
        let next = client.coordination.transact(same_version).await.expect("it holds");
        assert!(next.revision > before.revision);
    });
}

/// The window that tells repeats dies with the server's process.
#[test]
fn a_copy_that_arrives_after_a_restart_is_not_done_again() {
    // A copy comes a second latency behind the call.
    let latency = Delay::Uniform(ms(1), ms(600));
    in_simulation(WorldConfig { latency, ..WorldConfig::new(1) }, async |cell| {
        let client = cell.client("client", usual()).await;
        client.put("key", b"0").await;
        let to_server = |effect| LinkRule {
            from: NodeSet::one(client.node),
            to: NodeSet::one(cell.server),
            kind: None,
            nth: None,
            effect,
        };
        cell.world.add_rule(to_server(LinkEffect::Duplicate { per_million: ALWAYS }));
        for number in 1..=30 {
            let write = Transaction::new().put("key", vec![number]);
            let _ = client.coordination.transact(write).await;
            cell.restart_server(ProcessEnd::Killed);
            cell.world.sleep(ms(1500)).await;
        }
        let commits = cell.history.events().into_iter().filter_map(|(_, event)| match event {
            CoordinationEvent::Committed { changes, .. } => Some(changes),
            _ => None,
        });
        let commits: Vec<_> = commits.collect();
        let once: BTreeSet<String> = commits.iter().map(|changes| format!("{changes:?}")).collect();
        assert_eq!(commits.len(), once.len(), "some write is done twice");
    });
}
