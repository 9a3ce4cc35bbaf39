//! The disk in a simulation: time, death, faults, digests.

use super::*;
use crate::host::{
    Host, OpenMode,
    sim::{
        Delay, NodeId, ProcessEnd, World,
        tests::{ms, run},
    },
};
use bytes::Bytes;
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Adds a node whose process does this and waits for ever afterwards.
pub(super) fn start<F>(world: &World, name: &str, main: impl FnOnce(Host) -> F) -> NodeId
where
    F: Future<Output = ()> + Send + 'static,
{
    let node = world.add_node(name);
    world.boot(node, main);
    node
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) fn fault(on: DiskOp, effect: DiskEffect) -> DiskFault {
    DiskFault { on, effect }
}

/// Appends to a log for ever; counts what was acknowledged.
async fn append_for_ever(host: Host, done: Arc<AtomicU64>) {
    let file = host.disk().open("log", OpenMode::Create).await.expect("a healthy disk");
    loop {
        file.append(bytes("x")).await.expect("a healthy disk");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn every_operation_takes_its_time() {
    run(1, async |world| {
        let took = Arc::new(Mutex::new(Vec::new()));
        let noted = took.clone();
        let clock = world.clone();
        start(&world, "a", |host| async move {
            let disk = host.disk();
            let mut last = clock.elapsed();
            let mut lap = |bounds: (u64, u64)| {
                let now = clock.elapsed();
                noted.lock().unwrap().push((now - last, bounds));
                last = now;
            };
            for round in 0..50_u64 {
                let file = disk.open("f", OpenMode::Create).await.unwrap();
                lap((50, 150));
                file.write_at(round, bytes("data")).await.unwrap();
                lap((20, 80));
                assert_eq!(file.read_at(round, 9).await.unwrap(), bytes("data"));
                lap((50, 150));
                file.sync().await.unwrap();
                lap((500, 3000));
                assert_eq!(file.len().await.unwrap(), round + 4);
                lap((50, 150));
            }
        });
        world.sleep(ms(1000)).await;
        let took = took.lock().unwrap();
        assert_eq!(took.len(), 250);
        for (time, (low, high)) in took.iter() {
            let high = Duration::from_micros(high + 1);
            assert!(Duration::from_micros(*low) <= *time && *time <= high, "{time:?}");
        }
    });
}

#[test]
fn a_kill_keeps_the_cache_and_applies_nothing_under_way() {
    for seed in 0..20 {
        run(seed, async move |world| {
            let done = Arc::new(AtomicU64::new(0));
            let node = start(&world, "a", |host| append_for_ever(host, done.clone()));
            world.sleep(ms(10) + Duration::from_micros(seed * 7)).await;
            world.end_process(node, ProcessEnd::Killed);
            let acknowledged = usize::try_from(done.load(Ordering::Relaxed)).unwrap();
            let written = world.read_file(node, "log").expect("the cache is kept").len();
            assert_eq!(written, acknowledged);
            assert!(written > 50, "{written}");
            world.sleep(ms(100)).await;
            assert_eq!(world.read_file(node, "log").unwrap().len(), written, "the dead are silent");

            let seen = Arc::new(AtomicU64::new(0));
            let found = seen.clone();
            world.boot(node, |host| async move {
                let file = host.disk().open("log", OpenMode::Read).await.unwrap();
                found.store(file.len().await.unwrap(), Ordering::Relaxed);
            });
            world.sleep(ms(100)).await;
            assert_eq!(seen.load(Ordering::Relaxed), written as u64);
        });
    }
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_not_always_the_rest() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..60 {
        run(seed, async |world| {
            let node = start(&world, "a", |host| async move {
                let disk = host.disk();
                let file = disk.open("f", OpenMode::CreateNew).await.unwrap();
                file.append(bytes("synced ")).await.unwrap();
                file.sync().await.unwrap();
                disk.sync_dir("").await.unwrap();
                file.append(bytes("not")).await.unwrap();
            });
            world.sleep(ms(50)).await;
            assert_eq!(world.read_file(node, "f").unwrap(), b"synced not");
            world.end_process(node, ProcessEnd::PowerCut);
            world.read_file(node, "f").expect("its name was synced")
        })
        .0
        .strip_prefix(b"synced ")
        .map(|rest| *if rest == b"not" { &mut kept } else { &mut lost } += 1)
        .expect("synced bytes survive");
    }
    assert!(lost > 10 && kept > 5, "{lost} {kept}");
}

#[test]
fn a_power_cut_strikes_a_machine_without_a_process_too() {
    let lost = (0..20).filter(|seed| {
        let cut = run(*seed, async |world| {
            let done = Arc::new(AtomicU64::new(0));
            let node = start(&world, "a", |host| append_for_ever(host, done));
            world.sleep(ms(10)).await;
            world.end_process(node, ProcessEnd::Killed);
            world.end_process(node, ProcessEnd::PowerCut);
            world.read_file(node, "log").is_none()
        });
        cut.0
    });
    assert!((3..20).contains(&lost.count()), "the name was never synced");
}

#[test]
fn input_output_errors_come_as_often_as_asked_and_shift_nothing() {
    let count = |per_million| {
        run(1, async move |world| {
            let failed = Arc::new(AtomicU64::new(0));
            let errors = failed.clone();
            let ended = Arc::new(Mutex::new(Duration::ZERO));
            let end = ended.clone();
            let clock = world.clone();
            let node = world.add_node("a");
            world.set_disk_fault(node, fault(DiskOp::Write, DiskEffect::Error { per_million }));
            world.boot(node, |host| async move {
                let file = host.disk().open("f", OpenMode::Create).await.unwrap();
                for _ in 0..1000 {
                    if let Err(error) = file.write_at(0, bytes("x")).await {
                        assert_eq!(error.raw_os_error(), Some(5));
                        errors.fetch_add(1, Ordering::Relaxed);
                    }
                }
                *end.lock().unwrap() = clock.elapsed();
            });
            world.sleep(ms(1000)).await;
            let ended = *ended.lock().unwrap();
            (failed.load(Ordering::Relaxed), ended)
        })
        .0
    };
    let (none, plain) = count(0);
    let (some, shifted) = count(300_000);
    let (all, _) = count(1_000_000);
    assert_eq!((none, all), (0, 1000));
    assert!((240..360).contains(&some), "{some}");
    assert!(plain > Duration::ZERO);
    assert_eq!(plain, shifted, "the latencies are the same with and without errors");
}

#[test]
fn one_chosen_operation_fails_and_no_other() {
    run(1, async |world| {
        let failed = Arc::new(Mutex::new(Vec::new()));
        let noted = failed.clone();
        let node = world.add_node("a");
        let third = DiskEffect::ErrorAt { nth: 3, per_million: 1_000_000 };
        world.set_disk_fault(node, fault(DiskOp::Sync, third));
        world.boot(node, |host| async move {
            let file = host.disk().open("f", OpenMode::Create).await.unwrap();
            for _ in 0..6 {
                file.append(bytes("x")).await.unwrap();
                let synced = file.sync().await;
                noted.lock().unwrap().push(synced.is_err());
            }
        });
        world.sleep(ms(1000)).await;
        assert_eq!(*failed.lock().unwrap(), [false, false, true, false, false, false]);
    });
}

#[test]
fn what_one_failed_sync_lost_stays_lost_though_later_ones_succeed() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..60 {
        let content = run(seed, async |world| {
            let node = world.add_node("a");
            let second = DiskEffect::ErrorAt { nth: 2, per_million: 1_000_000 };
            world.set_disk_fault(node, fault(DiskOp::Sync, second));
            world.boot(node, |host| async move {
                let disk = host.disk();
                let file = disk.open("f", OpenMode::Create).await.unwrap();
                disk.sync_dir("").await.unwrap();
                file.append(bytes("dirty")).await.unwrap();
                file.sync().await.expect_err("the second");
                file.sync().await.expect("nothing is dirty any more");
                file.write_at(5, bytes("clean")).await.unwrap();
                file.sync().await.expect("a healthy disk");
            });
            world.sleep(ms(100)).await;
            assert_eq!(world.read_file(node, "f").unwrap(), b"dirtyclean", "the cache shows it");
            world.cut_power(node, Unsynced::Kept);
            world.read_file(node, "f").expect("its name was synced")
        })
        .0;
        match &content[..] {
            b"dirtyclean" => kept += 1,
            b"\0\0\0\0\0clean" => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 10 && kept > 5, "{lost} {kept}");
}

#[test]
fn a_full_disk_refuses_what_needs_room() {
    run(1, async |world| {
        let ended = Arc::new(AtomicU64::new(0));
        let end = ended.clone();
        let hands = world.clone();
        start(&world, "a", |host| async move {
            let disk = host.disk();
            let file = disk.open("f", OpenMode::Create).await.unwrap();
            file.append(bytes("four")).await.unwrap();
            let node = hands.find("a").unwrap();
            hands.set_disk_fault(node, fault(DiskOp::Any, DiskEffect::Full));
            let full = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            full(file.append(bytes("x")).await.unwrap_err());
            full(disk.open("g", OpenMode::Create).await.map(drop).unwrap_err());
            full(disk.create_dir("d").await.unwrap_err());
            file.write_at(0, bytes("over")).await.unwrap();
            disk.open("f", OpenMode::Create).await.unwrap();
            hands.clear_disk_faults(node);
            file.append(bytes("x")).await.unwrap();
            end.store(1, Ordering::Relaxed);
        });
        world.sleep(ms(100)).await;
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_stalled_disk_goes_on_when_the_fault_is_lifted_and_a_slow_one_is_late() {
    run(1, async |world| {
        let done = Arc::new(AtomicU64::new(0));
        let node = start(&world, "a", |host| append_for_ever(host, done.clone()));
        world.sleep(ms(10)).await;
        world.set_disk_fault(node, fault(DiskOp::Sync, DiskEffect::Stalled));
        done.store(0, Ordering::Relaxed);
        world.sleep(ms(10)).await;
        assert!(done.swap(0, Ordering::Relaxed) > 50, "only syncs stand still");
        world.set_disk_fault(node, fault(DiskOp::Write, DiskEffect::Stalled));
        world.sleep(ms(1000)).await;
        assert_eq!(done.swap(0, Ordering::Relaxed), 0);
        world.clear_disk_faults(node);
        world.sleep(ms(10)).await;
        assert!(done.swap(0, Ordering::Relaxed) > 50);

        world.set_disk_fault(node, fault(DiskOp::Any, DiskEffect::Slow(Delay::Constant(ms(10)))));
        world.sleep(ms(1000)).await;
        let slow = done.swap(0, Ordering::Relaxed);
        assert!((95..=101).contains(&slow), "{slow}");
    });
}

#[test]
fn operations_that_stall_are_dropped_with_their_process() {
    let done = Arc::new(AtomicU64::new(0));
    let held = done.clone();
    run(1, async move |world| {
        let node = start(&world, "a", |host| append_for_ever(host, held.clone()));
        world.set_disk_fault(node, fault(DiskOp::Any, DiskEffect::Stalled));
        world.sleep(ms(10)).await;
        world.end_process(node, ProcessEnd::Killed);
        world.sleep(ms(10)).await;
        world.clear_disk_faults(node);
        world.sleep(ms(10)).await;
        assert_eq!(world.read_file(node, "log"), None, "it died before it could create the file");
    });
    assert_eq!(Arc::strong_count(&done), 1, "every future was dropped");
}

#[test]
fn a_handle_for_reading_does_not_write_and_outlives_its_name() {
    run(1, async |world| {
        let ended = Arc::new(AtomicU64::new(0));
        let end = ended.clone();
        start(&world, "a", |host| async move {
            let disk = host.disk();
            let file = disk.open("f", OpenMode::Create).await.unwrap();
            file.append(bytes("data")).await.unwrap();
            let reader = disk.open("f", OpenMode::Read).await.unwrap();
            drop(file);
            let denied = reader.truncate(0).await.unwrap_err();
            assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
            disk.remove("f").await.unwrap();
            disk.sync_dir("").await.unwrap();
            assert_eq!(reader.read_at(1, 2).await.unwrap(), bytes("at"));
            assert_eq!(reader.read_at(9, 2).await.unwrap(), Bytes::new());
            assert_eq!(disk.list("").await.unwrap(), Vec::<String>::new());
            end.store(1, Ordering::Relaxed);
        });
        world.sleep(ms(100)).await;
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn the_digest_tells_data_apart() {
    let digest = |text: &'static str| {
        run(1, async move |world| {
            start(&world, "a", |host| async move {
                let file = host.disk().open("f", OpenMode::Create).await.unwrap();
                file.append(bytes(text)).await.unwrap();
            });
            world.sleep(ms(100)).await;
        })
        .1
        .digest
    };
    assert_eq!(digest("one"), digest("one"));
    assert_ne!(digest("one"), digest("two"));
}
