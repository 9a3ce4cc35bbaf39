//! The store of state on a disk that fails: an error is told, and never a wrong value.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    host::{
        Event, Host, SyncDisk,
        sim::{
            DiskEffect, DiskFault, DiskOp, NodeId, Observer, Stamp, World, WorldConfig, simulate,
        },
    },
    system::{
        graph::KeyGroupRange,
        state::disk_store::{ChainFile, DiskStore, Options, StateError},
    },
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

struct Blind;

impl Observer for Blind {
    fn observe(&self, _: &World, _: Stamp, _: &dyn Event) {}
}

/// Runs this in a world with one machine, which is not booted.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
fn in_world<T: Send + 'static>(
    seed: u64,
    body: impl AsyncFnOnce(World, NodeId) -> T + Send + 'static,
) -> T {
    let run = move || {
        let body = async |world: World| {
            let node = world.add_node("a");
            body(world, node).await
        };
        simulate(WorldConfig::new(seed), Arc::new(Blind), body).0
    };
    std::thread::spawn(run).join().expect("the run does not panic")
}

/// Boots a process that does this with its disk; `None` if it dies before it is done.
async fn process<T: Send + 'static>(
    world: &World,
    node: NodeId,
    body: impl FnOnce(SyncDisk) -> T + Send + 'static,
) -> Option<T> {
    let told = Arc::new(Mutex::new(None));
    let tells = told.clone();
    world.boot(node, |host: Host| async move {
        let door = host.disk().synchronous();
        let done = body(door.clone());
        door.settle().await;
        *tells.lock().unwrap() = Some(done);
    });
    // The debt of many thousands of operations.
    for _ in 0..1000 {
        world.sleep(Duration::from_secs(1)).await;
        if told.lock().unwrap().is_some() || !world.is_running(node) {
            break;
        }
    }
    told.lock().unwrap().take()
}

fn options(owner: u64) -> Options {
    let memory = 16 << 10;
    let groups = KeyGroupRange { start: 0, end: 4 };
    Options { unit: 128, file: 1 << 10, ..Options::new(memory, groups, owner) }
}

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![0, (number * 7 % 4) as u8];
    key.extend_from_slice(format!("key-{number:04}").as_bytes());
    key
}

fn fill(
    store: &mut DiskStore,
    model: &mut Model,
    rounds: std::ops::Range<u64>,
) -> Result<(), StateError> {
    for round in rounds {
        let keys: Vec<_> = (0..20).map(|n| key((round * 13 + n * 17) % 300)).collect();
        store.make_resident(&keys)?;
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(
                store.get(key)?,
                model.get(key).map(|value| &**value),
                "never a wrong value"
            );
            if (round + n as u64).is_multiple_of(9) {
                store.delete(key)?;
                model.remove(key);
            } else {
                let value = round.to_le_bytes().repeat(1 + n % 3);
                store.put(key, &value)?;
                model.insert(key.clone(), value);
            }
        }
        store.work(4 << 10)?;
    }
    Ok(())
}

fn contents(store: &mut DiskStore) -> Result<Model, StateError> {
    let mut found = Model::new();
    let mut scan = store.scan(&[], None)?;
    while let Some((key, value)) = scan.next()? {
        found.insert(key.to_vec(), value.to_vec());
    }
    Ok(found)
}

/// Writes a snapshot to its end; its files and what is in them.
fn snapshot(store: &mut DiskStore, id: u64) -> Result<Vec<ChainFile>, StateError> {
    store.snapshot(id);
    while store.work(1 << 20)? {}
    Ok(store.written_snapshot().expect("it is written").files)
}

/// A life of a store: it is filled, makes snapshots, and a store is restored from the last one in its own folder.
fn life(door: SyncDisk) -> Result<(), StateError> {
    let mut model = Model::new();
    let mut store = DiskStore::create(door.clone(), "state", options(1))?;
    fill(&mut store, &mut model, 0..25)?;
    snapshot(&mut store, 1)?;
    fill(&mut store, &mut model, 25..35)?;
    let files = snapshot(&mut store, 2)?;
    assert_eq!(contents(&mut store)?, model);
    drop(store);
    let mut restored = DiskStore::restore(door, "state", options(2), &files)?;
    assert_eq!(contents(&mut restored)?, model);
    fill(&mut restored, &mut model, 35..40)?;
    assert_eq!(contents(&mut restored)?, model);
    Ok(())
}

#[test]
fn an_error_at_each_operation_is_told_and_nothing_wrong_is_answered() {
    let mut failed = 0;
    for nth in 1.. {
        let outcome = in_world(nth, async move |world, node| {
            let effect = DiskEffect::ErrorAt { nth, per_million: 1_000_000 };
            world.set_disk_fault(node, DiskFault { on: DiskOp::Any, effect });
            process(&world, node, life).await.expect("an error is no death")
        });
        match outcome {
            Err(StateError::Disk(error)) => assert_eq!(error.raw_os_error(), Some(5)),
            Err(other) => panic!("{other}"),
            Ok(()) => break,
        }
        failed += 1;
    }
    assert!(failed > 200, "{failed}");
}

#[test]
fn a_full_disk_is_told() {
    in_world(1, async move |world, node| {
        process(&world, node, |door| DiskStore::create(door, "state", options(1)).map(drop))
            .await
            .expect("it lives")
            .unwrap();
        world.end_process(node, wavetank::host::sim::ProcessEnd::Killed);
        world.set_disk_fault(node, DiskFault { on: DiskOp::Any, effect: DiskEffect::Full });
        let outcome = process(&world, node, life).await.expect("it lives");
        let Err(StateError::Disk(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    });
}

#[test]
fn a_process_that_dies_at_each_operation_leaves_a_folder_that_the_next_one_discards() {
    let mut died = 0;
    for nth in (1..).step_by(7) {
        let died_there = in_world(nth, async move |world, node| {
            let effect = DiskEffect::CrashAt { nth, power_cut: nth % 2 == 0 };
            let crash = world.set_disk_fault(node, DiskFault { on: DiskOp::Any, effect });
            let died = process(&world, node, |door| {
                // Whoever is dead gets errors.
                life(door).map_err(|error| matches!(error, StateError::Disk(_)))
            });
            let died = died.await.is_none();
            if !died {
                world.end_process(node, wavetank::host::sim::ProcessEnd::Killed);
            }
            world.clear_disk_fault(node, crash);
            process(&world, node, life).await.expect("it lives").unwrap();
            died
        });
        if !died_there {
            break;
        }
        died += 1;
    }
    assert!(died > 30, "{died}");
}

#[test]
fn rot_of_each_byte_is_refused_or_harmless() {
    in_world(1, async move |world, node| {
        let (files, model) = process(&world, node, |door| {
            let mut store = DiskStore::create(door, "state", options(1)).unwrap();
            let mut model = Model::new();
            fill(&mut store, &mut model, 0..6).unwrap();
            snapshot(&mut store, 1).unwrap();
            fill(&mut store, &mut model, 6..8).unwrap();
            (snapshot(&mut store, 2).unwrap(), model)
        })
        .await
        .expect("it lives");
        let whole: Vec<_> = files
            .iter()
            .map(|file| world.read_file(node, &format!("state/{}", file.name)).unwrap())
            .collect();
        world.end_process(node, wavetank::host::sim::ProcessEnd::Killed);
        let outcome =
            process(&world, node, move |door| try_each_byte(&door, &files, &whole, &model));
        let (refused, harmless) = outcome.await.expect("it lives");
        assert!(refused > 1000 && harmless < refused, "{refused} {harmless}");
    });
}

fn try_each_byte(
    door: &SyncDisk,
    files: &[ChainFile],
    whole: &[Vec<u8>],
    model: &Model,
) -> (usize, usize) {
    let (mut refused, mut harmless) = (0, 0);
    for (index, rotten) in whole.iter().enumerate() {
        for byte in 0..=rotten.len() {
            door.create_dir("other").unwrap();
            for (file, content) in files.iter().zip(whole) {
                let path = format!("other/{}", file.name);
                let to = door.open(&path, wavetank::host::OpenMode::Create).unwrap();
                to.write_at(0, content).unwrap();
                if file == &files[index] {
                    match rotten.get(byte) {
                        Some(is) => to.write_at(byte as u64, &[is ^ 0x10]).unwrap(),
                        // Once it is a byte short.
                        None => to.truncate(byte as u64 - 1).unwrap(),
                    }
                }
            }
            let restored = DiskStore::restore(door.clone(), "other", options(9), files);
            match restored.and_then(|mut store| contents(&mut store)) {
                Ok(found) => {
                    assert_eq!(&found, model, "byte {byte} of file {index}");
                    harmless += 1;
                }
                Err(StateError::Corrupt { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    (refused, harmless)
}

#[test]
fn a_file_in_the_place_of_another_is_refused() {
    in_world(1, async move |world, node| {
        let refused = process(&world, node, |door| {
            let mut store = DiskStore::create(door.clone(), "state", options(1)).unwrap();
            fill(&mut store, &mut Model::new(), 0..12).unwrap();
            let files = snapshot(&mut store, 1).unwrap();
            drop(store);
            let [one, other] = [&files[0], &files[1]];
            door.rename(&format!("state/{}", other.name), &format!("state/{}", one.name)).unwrap();
            let lie = ChainFile { length: other.length, crc: other.crc, ..one.clone() };
            DiskStore::restore(door, "state", options(2), &[lie]).map(drop)
        });
        let outcome = refused.await.expect("it lives");
        assert!(matches!(outcome, Err(StateError::Corrupt { .. })), "{outcome:?}");
    });
}
