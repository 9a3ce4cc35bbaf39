//! What a disk holds after what, case by case.

use super::{super::stamp::NodeId, DiskState, Unsynced, inode::InodeId, model_tests::kind};
use crate::host::OpenMode;
use bytes::Bytes;
use std::io;

fn write_all(disk: &mut DiskState, path: &str, content: &[u8]) -> InodeId {
    let inode = disk.open(path, OpenMode::Create).unwrap();
    disk.write(inode, 0, Bytes::copy_from_slice(content)).unwrap();
    inode
}

fn sync_all(disk: &mut DiskState, inode: InodeId) {
    let (mark, journal) = (disk.mark(inode), disk.journal_mark());
    disk.sync(inode, mark).unwrap();
    disk.sync_dir("", journal).unwrap();
}

#[test]
fn a_replacing_rename_leaves_the_old_file_or_the_new_one() {
    let mut seen = [0, 0];
    for seed in 0..200 {
        let mut disk = DiskState::new(seed, NodeId(0));
        let old = write_all(&mut disk, "f", &[1; 3000]);
        sync_all(&mut disk, old);
        let new = write_all(&mut disk, "f.new", &[2; 3000]);
        let mark = disk.mark(new);
        disk.sync(new, mark).unwrap();
        disk.rename("f.new", "f").unwrap();
        drop(disk.power_cut(Unsynced::Drawn));
        let content = disk.contents("f").expect("never without a file");
        assert!(content == [1; 3000] || content == [2; 3000]);
        seen[usize::from(content[0] - 1)] += 1;
    }
    assert!(seen[0] > 20 && seen[1] > 20, "{seen:?}");
}

#[test]
fn unsynced_writes_are_lost_kept_and_torn() {
    let (mut lost, mut kept, mut torn, mut nameless) = (0, 0, 0, 0);
    for seed in 0..400 {
        let mut disk = DiskState::new(seed, NodeId(0));
        let file = write_all(&mut disk, "f", &[1; 4096]);
        if seed % 2 == 0 {
            sync_all(&mut disk, file);
        }
        disk.write(file, 100, Bytes::from(vec![2; 3000])).unwrap();
        drop(disk.power_cut(Unsynced::Drawn));
        let Some(content) = disk.contents("f") else {
            nameless += 1;
            continue;
        };
        match content.iter().filter(|byte| **byte == 2).count() {
            0 => lost += 1,
            3000 => kept += 1,
            part => {
                torn += 1;
                let edges = [412, 512, 512, 512, 512, 512, 28];
                let whole = (0..1 << edges.len()).any(|chosen: usize| {
                    let parts = edges.iter().enumerate();
                    parts.filter(|(i, _)| chosen >> i & 1 == 1).map(|(_, n)| n).sum::<usize>()
                        == part
                });
                assert!(whole, "{part} bytes are no set of sectors");
            }
        }
    }
    assert!(
        lost > 40 && kept > 40 && torn > 40 && nameless > 40,
        "{lost} {kept} {torn} {nameless}"
    );
}

#[test]
fn a_later_sync_does_not_bring_back_what_a_failed_one_lost() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..200 {
        let mut disk = DiskState::new(seed, NodeId(0));
        let file = write_all(&mut disk, "f", &[1; 512]);
        sync_all(&mut disk, file);
        disk.write(file, 0, Bytes::from(vec![2; 512])).unwrap();
        let mark = disk.mark(file);
        disk.fail_sync(file, mark);
        disk.append(file, Bytes::from(vec![3; 100])).unwrap();
        let mark = disk.mark(file);
        disk.sync(file, mark).unwrap();
        assert_eq!(disk.contents("f").unwrap()[0], 2, "the page cache still shows it");
        drop(disk.power_cut(Unsynced::Drawn));
        let content = disk.contents("f").unwrap();
        assert_eq!(content[512..], [3; 100], "written after the failure and synced");
        *if content[0] == 1 { &mut lost } else { &mut kept } += 1;
    }
    assert!(lost > 40 && kept > 40, "{lost} {kept}");
}

/// A disk with one name and one content synced, and with changes that are not.
fn half_synced(seed: u64) -> DiskState {
    let mut disk = DiskState::new(seed, NodeId(0));
    let old = write_all(&mut disk, "old", &[1; 3000]);
    sync_all(&mut disk, old);
    disk.write(old, 0, Bytes::from(vec![2; 3000])).unwrap();
    let draft = write_all(&mut disk, "draft", &[3; 600]);
    sync_all(&mut disk, draft);
    disk.rename("draft", "new").unwrap();
    write_all(&mut disk, "unnamed", &[4; 600]);
    disk
}

#[test]
fn a_power_cut_can_lose_all_that_was_not_synced_renames_included() {
    for seed in 0..50 {
        let mut disk = half_synced(seed);
        drop(disk.power_cut(Unsynced::Lost));
        assert_eq!(disk.list("").unwrap(), ["draft", "old"], "the folder was not synced");
        assert_eq!(disk.contents("old").unwrap(), [1; 3000]);
        assert_eq!(disk.contents("draft").unwrap(), [3; 600]);
    }
}

#[test]
fn a_power_cut_can_keep_all_that_was_not_synced() {
    for seed in 0..50 {
        let mut disk = half_synced(seed);
        drop(disk.power_cut(Unsynced::Kept));
        assert_eq!(disk.list("").unwrap(), ["new", "old", "unnamed"]);
        assert_eq!(disk.contents("old").unwrap(), [2; 3000]);
        assert_eq!(disk.contents("unnamed").unwrap(), [4; 600]);
    }
}

#[test]
fn a_power_cut_can_tear_the_last_write_of_each_file() {
    for seed in 0..200 {
        let mut disk = half_synced(seed);
        let old = disk.open("old", OpenMode::Write).unwrap();
        // Beyond the end, and then a write that no power cut can tear.
        disk.write(old, 2500, Bytes::from(vec![5; 2000])).unwrap();
        disk.write(old, 10, Bytes::from(vec![6; 10])).unwrap();
        drop(disk.power_cut(Unsynced::Torn));
        let content = disk.contents("old").unwrap();
        assert_eq!(content.len(), 4500);
        let sectors = [2500..2560, 2560..3072, 3072..3584, 3584..4096, 4096..4500];
        let kept = sectors.iter().filter(|sector| content[(*sector).clone()].contains(&5));
        assert!((1..5).contains(&kept.count()), "seed {seed}");
    }
}

#[test]
fn rot_strikes_cache_platter_and_what_is_between() {
    let mut disk = DiskState::new(1, NodeId(0));
    let file = write_all(&mut disk, "f", &[1; 600]);
    assert!(disk.rot("f", 10, 0x80) && !disk.rot("f", 600, 1) && !disk.rot("g", 0, 1));
    assert_eq!(disk.contents("f").unwrap()[9..12], [1, 0x81, 1]);
    sync_all(&mut disk, file);
    assert!(disk.rot("f", 11, 0x80));
    drop(disk.power_cut(Unsynced::Drawn));
    assert_eq!(disk.contents("f").unwrap()[9..12], [1, 0x81, 0x81]);
}

#[test]
fn paths_and_directories_meet_posix_errors() {
    let mut disk = DiskState::new(1, NodeId(0));
    disk.create_dir("d/e").unwrap();
    disk.open("f", OpenMode::CreateNew).unwrap();
    for path in ["", "/f", "f/", "a//b", ".", "../f"] {
        assert_eq!(kind(&disk.open(path, OpenMode::Create)), Some(io::ErrorKind::InvalidInput));
    }
    assert_eq!(kind(&disk.open("d", OpenMode::Create)), Some(io::ErrorKind::IsADirectory));
    assert_eq!(kind(&disk.open("f/x", OpenMode::Create)), Some(io::ErrorKind::NotADirectory));
    assert_eq!(kind(&disk.rename("d", "x")), Some(io::ErrorKind::IsADirectory));
    assert_eq!(kind(&disk.rename("f", "d")), Some(io::ErrorKind::IsADirectory));
    assert_eq!(kind(&disk.remove("d/e")), Some(io::ErrorKind::IsADirectory));
    assert_eq!(kind(&disk.create_dir("f")), Some(io::ErrorKind::AlreadyExists));
    assert_eq!(kind(&disk.create_dir("f/x")), Some(io::ErrorKind::NotADirectory));
    assert_eq!(kind(&disk.list("f")), Some(io::ErrorKind::NotADirectory));
    assert_eq!(kind(&disk.create_dir("")), None);
}

#[test]
fn caches_and_journal_stay_bounded_and_lose_nothing() {
    let mut disk = DiskState::new(1, NodeId(0));
    let file = write_all(&mut disk, "f", &[0]);
    for n in 0..10_000_u64 {
        disk.write(file, n, Bytes::from(vec![u8::try_from(n % 251).unwrap()])).unwrap();
        let temporary = disk.open("t", OpenMode::Create).unwrap();
        disk.close(temporary);
        disk.remove("t").unwrap();
    }
    assert!(disk.files_held() < 5000, "{}", disk.files_held());
    drop(disk.power_cut(Unsynced::Drawn));
    let content = disk.contents("f").expect("the older half of the journal was committed");
    assert!(content.len() > 5000);
    assert!(content[..5000].iter().zip(0_u64..).all(|(byte, n)| u64::from(*byte) == n % 251));
}

#[test]
fn a_new_disk_is_empty_and_open_files_fail() {
    let mut disk = DiskState::new(1, NodeId(0));
    let file = write_all(&mut disk, "f", &[1; 600]);
    sync_all(&mut disk, file);
    disk.wipe();
    assert_eq!(disk.contents("f"), None);
    assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
    assert!(disk.read(file, 0, 1).is_err());
    let again = disk.open("f", OpenMode::CreateNew).unwrap();
    assert_ne!(again, file);
}
