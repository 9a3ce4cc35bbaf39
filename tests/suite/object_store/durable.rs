//! What the server acknowledged or announced survives; corruption is never served.

use super::{Cell, Client, Objects, content, shown};
use crate::service::{ALWAYS, Entry, in_simulation, ms};
use std::{collections::BTreeSet, time::Duration};
use wavetank::{
    host::sim::{Delay, DiskEffect, DiskFault, DiskOp, ProcessEnd, WorldConfig},
    system::service::{
        ServiceError,
        object_store::{ObjectStoreEvent, ObjectStoreRefusal, ObjectSum},
    },
};

const FIRST_OBJECT: &str = "blobs/blob-00000000000000000000";

fn run(seed: u64, body: impl AsyncFnOnce(&Cell, Client) -> usize + Send + 'static) -> usize {
    in_simulation::<Objects, usize>(WorldConfig::new(seed), async |cell| {
        let objects = cell.objects("client").await;
        body(&cell, objects).await
    })
}

fn stored(event: ObjectStoreEvent) -> Vec<(String, u64, u32)> {
    let ObjectStoreEvent::Recovered { objects, .. } = event else { panic!("no recovery") };
    objects
}

/// The server must end at each boot and say why.
async fn must_not_serve(cell: &Cell, why: &str) {
    let served = cell.history.recoveries().len();
    for _ in 0..2 {
        let exits = cell.history.exit_reasons().len();
        cell.boot_server();
        cell.world.sleep(ms(500)).await;
        assert!(!cell.world.is_running(cell.server), "it must not serve");
        let reasons = cell.history.exit_reasons();
        assert_eq!(reasons.len(), exits + 1);
        assert!(reasons[exits].contains(why), "{reasons:?}");
    }
    assert_eq!(cell.history.recoveries().len(), served);
}

#[test]
fn a_power_cut_between_sync_and_answer_leaves_a_maybe_that_is_there() {
    run(1, async |cell, objects| {
        let server = cell.server;
        cell.history.on_event(move |world, event| {
            if matches!(event, ObjectStoreEvent::Stored { .. }) {
                world.end_process(server, ProcessEnd::PowerCut);
            }
        });
        let outcome = objects.put("a", content("1")).await;
        assert!(matches!(outcome, Err(ServiceError::Indeterminate(_))), "{outcome:?}");
        cell.history.on_event(|_, _| {});
        cell.boot_server();
        assert_eq!(stored(cell.recovered(2).await), [shown("a", &content("1"))]);
        assert_eq!(objects.get_until_acknowledged("a").await, Ok(content("1")));
        0
    });
}

#[test]
fn a_power_cut_at_any_moment_leaves_an_object_whole_or_absent() {
    let mut found = BTreeSet::new();
    for seed in 0..60 {
        found.insert(run(seed, async move |cell, objects| {
            objects.put("kept", content("1")).await.expect("a quiet server");
            let whole = content(&"x".repeat(5000));
            let write = objects.put("torn", whole.clone());
            let cut = cell.world.sleep(ms(2) + Duration::from_micros(seed * 150));
            futures::pin_mut!(write, cut);
            let ended = futures::future::select(write, cut).await;
            let done = matches!(ended, futures::future::Either::Left((Ok(()), _)));
            let found = stored(cell.after_power_cut().await);
            let (kept, torn) = (shown("kept", &content("1")), shown("torn", &whole));
            assert!(found == [kept.clone()] || found == [kept, torn], "{found:?}");
            assert!(!done || found.len() == 2);
            // Drafts are gone, so that a power cut can't fill the disk.
            let second = "blobs/blob-00000000000000000001";
            let draft = cell.world.read_file(cell.server, second).is_some();
            assert_eq!(draft, found.len() == 2);
            assert_eq!(objects.put_until_acknowledged("torn", whole.clone()).await, Ok(()));
            assert_eq!(objects.get_until_acknowledged("torn").await, Ok(whole));
            found.len()
        }));
    }
    assert_eq!(found, BTreeSet::from([1, 2]));
}

#[test]
fn a_power_cut_at_any_moment_leaves_an_object_under_one_of_its_two_names() {
    let mut found = BTreeSet::new();
    for seed in 0..60 {
        found.insert(run(seed, async move |cell, objects| {
            let whole = content("1");
            objects.put("old", whole.clone()).await.expect("a quiet server");
            let rename = objects.rename("old", "new", ObjectSum::of(&whole));
            let cut = cell.world.sleep(ms(2) + Duration::from_micros(seed * 100));
            futures::pin_mut!(rename, cut);
            let ended = futures::future::select(rename, cut).await;
            let done = matches!(ended, futures::future::Either::Left((Ok(()), _)));
            let there = stored(cell.after_power_cut().await);
            let (old, new) = (shown("old", &whole), shown("new", &whole));
            assert!(there == [old] || there == [new.clone()], "{there:?}");
            assert!(!done || there == [new.clone()]);
            let again = objects.rename_until_acknowledged("old", "new", ObjectSum::of(&whole));
            assert_eq!(again.await, Ok(()));
            assert_eq!(stored(cell.after_power_cut().await), std::slice::from_ref(&new));
            usize::from(there == [new])
        }));
    }
    assert_eq!(found, BTreeSet::from([0, 1]));
}

#[test]
fn a_damaged_object_stops_the_server_at_boot() {
    run(1, async |cell, objects| {
        objects.put("a", content("1234")).await.expect("a quiet server");
        cell.world.end_process(cell.server, ProcessEnd::Killed);
        assert!(cell.world.rot(cell.server, FIRST_OBJECT, 2, 1));
        must_not_serve(cell, "corrupt").await;
        0
    });
}

#[test]
fn a_missing_or_shortened_object_stops_the_server_at_boot() {
    for shortened in [false, true] {
        run(1, async move |cell, objects| {
            objects.put("a", content("1234")).await.expect("a quiet server");
            cell.world.end_process(cell.server, ProcessEnd::Killed);
            cell.meddle(async move |host| {
                let file = host.disk().open(FIRST_OBJECT, wavetank::host::OpenMode::Write).await;
                match shortened {
                    true => file.expect("it is there").truncate(3).await.expect("a good disk"),
                    false => host.disk().remove(FIRST_OBJECT).await.expect("it is there"),
                }
            })
            .await;
            must_not_serve(cell, "").await;
            0
        });
    }
}

#[test]
fn a_damaged_index_stops_the_server_at_boot() {
    run(1, async |cell, objects| {
        for name in ["a", "b", "c"] {
            objects.put(name, content(name)).await.expect("a quiet server");
        }
        cell.world.end_process(cell.server, ProcessEnd::Killed);
        let log = "blob-index/log-00000000000000000000";
        assert!(cell.world.rot(cell.server, log, 20, 1));
        must_not_serve(cell, "corrupt").await;
        0
    });
}

#[test]
fn a_object_that_rots_while_the_server_runs_is_not_served() {
    run(1, async |cell, objects| {
        objects.put("a", content("1234")).await.expect("a quiet server");
        assert!(cell.world.rot(cell.server, FIRST_OBJECT, 2, 1));
        let outcome = objects.get("a").await;
        assert!(!matches!(outcome, Ok(_) | Err(ServiceError::Refused(_))), "{outcome:?}");
        assert!(!cell.world.is_running(cell.server));
        must_not_serve(cell, "corrupt").await;
        0
    });
}

#[test]
fn after_a_failed_sync_nothing_announced_or_acknowledged_is_lost() {
    for seed in 0..30 {
        run(seed, async |cell, objects| {
            objects.put("done", content("1")).await.expect("a quiet server");
            cell.fail_syncs(ALWAYS);
            let outcome = objects.put("maybe", content("1")).await;
            assert!(matches!(outcome, Err(ServiceError::Indeterminate(_))), "{outcome:?}");
            assert!(!cell.world.is_running(cell.server), "a failed sync ends the process");
            cell.world.clear_disk_faults(cell.server);
            cell.boot_server();
            let announced = stored(cell.recovered(2).await);
            assert!(announced.contains(&shown("done", &content("1"))));
            objects.put_until_acknowledged("after", content("1")).await.expect("it is not refused");
            let kept = stored(cell.after_power_cut().await);
            assert!(announced.iter().all(|object| kept.contains(object)), "{announced:?} {kept:?}");
            assert!(kept.contains(&shown("after", &content("1"))));
            0
        });
    }
}

#[test]
fn surely_goes_on_through_an_outage_and_ends_when_dropped() {
    run(1, async |cell, objects| {
        cell.world.end_process(cell.server, ProcessEnd::PowerCut);
        let dropped = objects
            .host()
            .timeout(ms(700), objects.put_until_acknowledged("dropped", content("1")));
        assert!(dropped.await.is_err());
        let put = objects.put_until_acknowledged("a", content("1"));
        let boot = async {
            cell.world.sleep(Duration::from_secs(20)).await;
            cell.boot_server();
        };
        assert_eq!(futures::join!(put, boot).0, Ok(()));
        assert_eq!(objects.list("").await, Ok(vec!["a".to_string()]));
        0
    });
}

/// A copy of a put that comes after its prefix was sealed, to a later life of the server.
#[test]
fn a_late_put_leaves_nothing_under_a_sealed_prefix() {
    let latency = Delay::Uniform(ms(1), ms(600));
    in_simulation::<Objects, ()>(WorldConfig { latency, ..WorldConfig::new(1) }, async |cell| {
        let objects = cell.objects("client").await;
        cell.link(wavetank::host::sim::LinkEffect::Duplicate { per_million: ALWAYS });
        for number in 0..20 {
            let name = format!("job-{number}/a");
            let _ = objects.host().timeout(ms(300), objects.put(&name, content("1"))).await;
            let sealed = objects.seal_until_acknowledged(&format!("job-{number}")).await;
            assert_eq!(sealed, Ok(()));
        }
        cell.world.sleep(Duration::from_secs(3)).await;
        assert_eq!(stored(cell.after_power_cut().await), []);
        assert_eq!(
            objects.put_until_acknowledged("job-3/b", content("")).await,
            Err(ObjectStoreRefusal::Sealed)
        );
    });
}

#[test]
fn a_long_index_is_replaced_by_a_snapshot_and_both_are_recovered() {
    run(1, async |cell, objects| {
        let name = |n: usize| format!("{}/{n}", "long".repeat(120));
        let wave = async |from: usize| {
            let puts = (from..from + 100).map(|n| {
                let objects = objects.clone();
                async move {
                    objects.put_until_acknowledged(&name(n), content("1")).await.expect("a name")
                }
            });
            futures::future::join_all(puts).await;
            let names: Vec<String> = (from..from + 100).map(name).collect();
            objects.delete_until_acknowledged(&names).await.expect("names");
        };
        for from in (0..1500).step_by(100) {
            wave(from).await;
        }
        let log = "blob-index/log-00000000000000000000";
        assert_eq!(cell.world.read_file(cell.server, log), None, "the long log is gone");
        objects.put("last", content("1")).await.expect("a quiet server");
        assert_eq!(stored(cell.after_power_cut().await), [shown("last", &content("1"))]);
        assert!(
            cell.history
                .all()
                .iter()
                .all(|entry| !matches!(entry, Entry::Ended(ProcessEnd::Exited { .. })))
        );
        0
    });
}

#[test]
fn a_slow_disk_answers_nothing_before_it_is_durable() {
    run(1, async |cell, objects| {
        let effect = DiskEffect::Slow(Delay::Constant(ms(400)));
        cell.world.set_disk_fault(cell.server, DiskFault { on: DiskOp::Sync, effect });
        let other = cell.objects("other").await;
        let put = objects.put("a", content("1"));
        let look = async {
            cell.world.sleep(ms(100)).await;
            other.get("a").await
        };
        let before = cell.world.elapsed();
        let (put, look) = futures::join!(put, look);
        assert!(cell.world.elapsed() >= before + ms(1200), "three syncs");
        assert_eq!((put, look), (Ok(()), Ok(content("1"))), "a read waits for what it shows");
        0
    });
}
