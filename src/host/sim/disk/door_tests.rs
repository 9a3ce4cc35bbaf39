//! The synchronous door: at once, with the same faults, and paid for later.

use super::{
    tests::{fault, start},
    *,
};
use crate::host::{
    OpenMode,
    sim::{
        Delay, ProcessEnd,
        tests::{ms, run},
    },
};
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[test]
fn a_call_takes_effect_at_once_and_its_time_is_slept_off_later() {
    run(1, async |world| {
        let took = Arc::new(Mutex::new(Vec::new()));
        let noted = took.clone();
        let clock = world.clone();
        start(&world, "a", |host| async move {
            let disk = host.disk().synchronous();
            for _ in 0..20 {
                let begin = clock.elapsed();
                let file = disk.open("d", OpenMode::Create).unwrap();
                file.write_at(0, b"data").unwrap();
                assert_eq!(file.append(b"more").unwrap(), 4);
                let mut buffer = [0; 16];
                assert_eq!(file.read_at(2, &mut buffer).unwrap(), 6);
                assert_eq!(&buffer[..6], b"tamore");
                assert_eq!(file.read_at(99, &mut buffer).unwrap(), 0);
                file.truncate(0).unwrap();
                assert!(file.is_empty().unwrap());
                file.sync().unwrap();
                assert_eq!(clock.elapsed(), begin, "no time passes in a call");
                disk.settle().await;
                noted.lock().unwrap().push(clock.elapsed() - begin);
                let paid = clock.elapsed();
                disk.settle().await;
                assert_eq!(clock.elapsed(), paid, "a debt is paid once");
            }
        });
        world.sleep(ms(1000)).await;
        let took = took.lock().unwrap();
        assert_eq!(took.len(), 20);
        let (low, high) = (50 + 3 * 20 + 2 * 50 + 50 + 500, 150 + 3 * 80 + 2 * 150 + 150 + 3000);
        for time in took.iter() {
            let bounds = Duration::from_micros(low)..Duration::from_micros(high + 8);
            assert!(bounds.contains(time), "{time:?}");
        }
    });
}

#[test]
fn names_are_made_listed_renamed_and_removed() {
    run(1, async |world| {
        let ended = Arc::new(AtomicU64::new(0));
        let end = ended.clone();
        start(&world, "a", |host| async move {
            let disk = host.disk().synchronous();
            let kind = |error: io::Error| error.kind();
            assert_eq!(
                disk.open("x/y", OpenMode::Create).map(drop).map_err(kind),
                Err(io::ErrorKind::NotFound)
            );
            disk.create_dir("x").unwrap();
            disk.open("x/y", OpenMode::CreateNew).unwrap();
            disk.rename("x/y", "x/z").unwrap();
            assert_eq!(disk.list("x").unwrap(), ["z"]);
            let reader = disk.open("x/z", OpenMode::Read).unwrap();
            assert_eq!(reader.append(b"no").map_err(kind), Err(io::ErrorKind::PermissionDenied));
            disk.remove("x/z").unwrap();
            assert!(disk.list("x").unwrap().is_empty());
            end.store(1, Ordering::Relaxed);
        });
        world.sleep(ms(10)).await;
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn errors_and_fullness_strike_as_they_do_elsewhere() {
    run(1, async |world| {
        let ended = Arc::new(AtomicU64::new(0));
        let end = ended.clone();
        let hands = world.clone();
        let node = start(&world, "a", |host| async move {
            let disk = host.disk().synchronous();
            let node = hands.find("a").unwrap();
            let file = disk.open("f", OpenMode::Create).unwrap();
            let third = DiskEffect::ErrorAt { nth: 3, per_million: 1_000_000 };
            hands.set_disk_fault(node, fault(DiskOp::Write, third));
            let failed: Vec<bool> = (0..5).map(|_| file.append(b"x").is_err()).collect();
            assert_eq!(failed, [false, false, true, false, false]);
            assert_eq!(file.len().unwrap(), 4, "what failed was not written");
            hands.set_disk_fault(node, fault(DiskOp::Any, DiskEffect::Full));
            let full = file.append(b"x").unwrap_err();
            assert_eq!(full.kind(), io::ErrorKind::StorageFull);
            file.write_at(0, b"over").unwrap();
            end.store(1, Ordering::Relaxed);
        });
        world.sleep(ms(10)).await;
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        assert_eq!(world.read_file(node, "f").unwrap(), b"over");
    });
}

#[test]
fn a_process_dies_at_the_nth_call_and_nothing_later_has_an_effect() {
    struct Last(crate::host::SyncFile, crate::host::SyncDisk, Arc<AtomicU64>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.append(b"late").unwrap_err();
            self.1.open("late", OpenMode::Create).map(drop).unwrap_err();
            self.2.fetch_add(1, Ordering::Relaxed);
        }
    }
    for nth in 1..20 {
        run(nth, async move |world| {
            let (calls, drops) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let (counted, dropped) = (calls.clone(), drops.clone());
            let hands = world.clone();
            let node = start(&world, "a", |host| async move {
                let disk = host.disk().synchronous();
                let file = disk.open("f", OpenMode::Create).unwrap();
                let last = Last(file, disk.clone(), dropped);
                let crash = DiskEffect::CrashAt { nth, power_cut: nth % 2 == 0 };
                hands.set_disk_fault(hands.find("a").unwrap(), fault(DiskOp::Write, crash));
                while last.0.append(b"x").is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                last.0.append(b"dead").unwrap_err();
                last.0.read_at(0, &mut [0; 4]).unwrap_err();
                disk.list("").unwrap_err();
                disk.settle().await;
                unreachable!("the dead don't go on");
            });
            world.sleep(ms(10)).await;
            assert_eq!(calls.load(Ordering::Relaxed), nth - 1);
            assert_eq!(drops.load(Ordering::Relaxed), 1, "its destructors ran");
            let left = world.read_file(node, "f").map_or(0, |content| content.len() as u64);
            if nth % 2 == 0 {
                assert!(left < nth, "a power cut keeps some");
            } else {
                assert_eq!(left, nth - 1, "the cache is kept");
            }
            assert_eq!(world.read_file(node, "late"), None);
        });
    }
}

#[test]
fn an_operation_that_waits_dies_at_its_count_too() {
    run(1, async |world| {
        let node = world.add_node("a");
        let crash = DiskEffect::CrashAt { nth: 3, power_cut: false };
        world.set_disk_fault(node, fault(DiskOp::Write, crash));
        world.boot(node, |host| async move {
            let file = host.disk().open("f", OpenMode::Create).await.unwrap();
            loop {
                file.append(bytes::Bytes::from_static(b"x")).await.unwrap();
            }
        });
        world.sleep(ms(10)).await;
        assert_eq!(world.read_file(node, "f").unwrap(), b"xx");
    });
}

#[test]
fn a_power_cut_tears_what_was_not_synced() {
    let (mut torn, mut whole) = (0, 0);
    for seed in 0..40 {
        let content = run(seed, async |world| {
            let node = start(&world, "a", |host| async move {
                let disk = host.disk().synchronous();
                let file = disk.open("f", OpenMode::Create).unwrap();
                file.append(&[1; 512]).unwrap();
                file.sync().unwrap();
                host.disk().sync_dir("").await.unwrap();
                file.append(&[2; 2048]).unwrap();
            });
            world.sleep(ms(20)).await;
            world.end_process(node, ProcessEnd::PowerCut);
            world.read_file(node, "f").expect("its name was synced")
        })
        .0;
        assert_eq!(content[..512], [1; 512]);
        *if content.len() == 2560 && content[512..] == [2; 2048] {
            &mut whole
        } else {
            &mut torn
        } += 1;
    }
    assert!(torn > 10 && whole > 5, "{torn} {whole}");
}

#[test]
fn a_stall_is_waited_for_when_the_debt_is_paid() {
    run(1, async |world| {
        let paid = Arc::new(AtomicU64::new(0));
        let done = paid.clone();
        let node = start(&world, "a", |host| async move {
            let disk = host.disk().synchronous();
            let file = disk.open("f", OpenMode::Create).unwrap();
            disk.settle().await;
            host.sleep(ms(10)).await;
            file.append(b"x").unwrap();
            disk.settle().await;
            done.fetch_add(1, Ordering::Relaxed);
            file.append(b"y").unwrap();
            disk.settle().await;
            done.fetch_add(1, Ordering::Relaxed);
        });
        world.sleep(ms(5)).await;
        world.set_disk_fault(node, fault(DiskOp::Write, DiskEffect::Stalled));
        world.sleep(ms(500)).await;
        assert_eq!(world.read_file(node, "f").unwrap(), b"x", "it took effect at once");
        assert_eq!(paid.load(Ordering::Relaxed), 0);
        world.clear_disk_faults(node);
        world.set_disk_fault(node, fault(DiskOp::Any, DiskEffect::Slow(Delay::Constant(ms(100)))));
        world.sleep(ms(50)).await;
        assert_eq!(paid.load(Ordering::Relaxed), 1, "the second one is slow");
        world.sleep(ms(100)).await;
        assert_eq!(paid.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn the_digest_tells_calls_apart_and_is_the_same_each_time() {
    let digest = |text: &'static [u8]| {
        run(1, async move |world| {
            start(&world, "a", |host| async move {
                let disk = host.disk().synchronous();
                let file = disk.open("f", OpenMode::Create).unwrap();
                file.append(text).unwrap();
                let mut buffer = [0; 8];
                file.read_at(0, &mut buffer).unwrap();
                disk.settle().await;
            });
            world.sleep(ms(100)).await;
        })
        .1
        .digest
    };
    assert_eq!(digest(b"one"), digest(b"one"));
    assert_ne!(digest(b"one"), digest(b"two"));
}
