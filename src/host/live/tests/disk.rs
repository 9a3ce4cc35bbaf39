//! Files in a temporary folder.

use super::*;
use crate::host::{Disk, OpenMode};
use bytes::Bytes;
use std::io::ErrorKind;

async fn refusal(disk: &Disk, path: &str, mode: OpenMode) -> ErrorKind {
    soon(disk.open(path, mode)).await.err().expect("refused").kind()
}

#[tokio::test]
async fn what_is_written_is_read() {
    let folder = Folder::new();
    let disk = folder.start().disk();
    let file = disk.open("log", OpenMode::CreateNew).await.unwrap();
    assert!(file.is_empty().await.unwrap());
    assert_eq!(file.append(Bytes::from_static(b"abc")).await.unwrap(), 0);
    assert_eq!(file.append(Bytes::from_static(b"defg")).await.unwrap(), 3);
    file.write_at(1, Bytes::from_static(b"BC")).await.unwrap();
    file.sync().await.unwrap();
    assert_eq!(file.len().await.unwrap(), 7);
    assert_eq!(file.read_at(0, 100).await.unwrap(), "aBCdefg");
    assert_eq!(file.read_at(5, 1).await.unwrap(), "f");
    assert_eq!(file.read_at(7, 1).await.unwrap(), "");
    assert_eq!(file.read_at(u64::MAX, usize::MAX).await.unwrap(), "");
    file.truncate(2).await.unwrap();
    let again = disk.open("log", OpenMode::Read).await.unwrap();
    assert_eq!(again.read_at(0, usize::MAX).await.unwrap(), "aB");
    assert!(again.append(Bytes::from_static(b"x")).await.is_err());
}

#[tokio::test]
async fn the_modes_mind_what_exists() {
    let folder = Folder::new();
    let disk = folder.start().disk();
    assert_eq!(refusal(&disk, "a", OpenMode::Read).await, ErrorKind::NotFound);
    assert_eq!(refusal(&disk, "a", OpenMode::Write).await, ErrorKind::NotFound);
    let file = disk.open("a", OpenMode::Create).await.unwrap();
    file.append(Bytes::from_static(b"kept")).await.unwrap();
    assert_eq!(refusal(&disk, "a", OpenMode::CreateNew).await, ErrorKind::AlreadyExists);
    for mode in [OpenMode::Create, OpenMode::Write, OpenMode::Read] {
        let file = disk.open("a", mode).await.unwrap();
        assert_eq!(file.read_at(0, 10).await.unwrap(), "kept");
    }
}

#[tokio::test]
async fn names_are_listed_renamed_and_removed() {
    let folder = Folder::new();
    let disk = folder.start().disk();
    disk.create_dir("one/two").await.unwrap();
    disk.create_dir("one/two").await.unwrap();
    for name in ["one/b", "one/a", "one/c"] {
        let file = disk.open(name, OpenMode::CreateNew).await.unwrap();
        file.append(Bytes::copy_from_slice(name.as_bytes())).await.unwrap();
    }
    disk.rename("one/b", "one/a").await.unwrap();
    disk.remove("one/c").await.unwrap();
    disk.sync_dir("one").await.unwrap();
    disk.sync_dir("").await.unwrap();
    assert_eq!(disk.list("one").await.unwrap(), ["a"]);
    assert!(disk.list("").await.unwrap().is_empty(), "folders are no files");
    let file = disk.open("one/a", OpenMode::Read).await.unwrap();
    assert_eq!(file.read_at(0, 10).await.unwrap(), "one/b");
    assert_eq!(disk.list("none").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.sync_dir("none").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.remove("one/c").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.rename("x", "y").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn no_path_leaves_the_folder() {
    let folder = Folder::new();
    let disk = folder.start().disk();
    for path in ["/etc/passwd", "../x", "a/../../x", "./a", "", "/", "a\0b"] {
        assert_eq!(refusal(&disk, path, OpenMode::Create).await, ErrorKind::InvalidInput, "{path}");
    }
    let up = disk.rename("a", "../a").await;
    assert_eq!(up.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(disk.list("..").await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn appends_through_one_handle_never_overlap() {
    let folder = Folder::new();
    let host = folder.start();
    let file = host.disk().open("log", OpenMode::CreateNew).await.unwrap();
    let appends = (0..100_u8).map(|n| {
        let file = file.clone();
        async move { (n, file.append(Bytes::from(vec![n; 100])).await.unwrap()) }
    });
    for (n, offset) in soon(futures::future::join_all(appends)).await {
        assert_eq!(file.read_at(offset, 100).await.unwrap(), vec![n; 100]);
    }
    assert_eq!(file.len().await.unwrap(), 10_000);
}

#[tokio::test]
async fn files_outlive_their_node() {
    let folder = Folder::new();
    let host = folder.start();
    let file = host.disk().open("a", OpenMode::Create).await.unwrap();
    file.append(Bytes::from_static(b"kept")).await.unwrap();
    host.exit("killed");
    assert!(pends(file.append(Bytes::from_static(b"late"))).await);
    let file = folder.start().disk().open("a", OpenMode::Read).await.unwrap();
    assert_eq!(file.read_at(0, 100).await.unwrap(), "kept");
}

#[tokio::test]
async fn the_synchronous_door_reads_what_it_and_the_other_one_wrote() {
    let folder = Folder::new();
    let disk = folder.start().disk();
    let door = disk.synchronous();
    door.create_dir("one/two").unwrap();
    let file = door.open("one/log", OpenMode::CreateNew).unwrap();
    assert!(file.is_empty().unwrap());
    assert_eq!(file.append(b"abc").unwrap(), 0);
    assert_eq!(file.append(b"defg").unwrap(), 3);
    file.write_at(1, b"BC").unwrap();
    file.sync().unwrap();
    let mut buffer = [0; 100];
    assert_eq!(file.read_at(0, &mut buffer).unwrap(), 7);
    assert_eq!(&buffer[..7], b"aBCdefg");
    assert_eq!(file.read_at(7, &mut buffer).unwrap(), 0);
    assert_eq!(file.read_at(u64::MAX, &mut buffer).unwrap(), 0);
    file.truncate(2).unwrap();
    let other = disk.open("one/log", OpenMode::Write).await.unwrap();
    assert_eq!(other.read_at(0, 100).await.unwrap(), "aB");
    other.append(Bytes::from_static(b"!")).await.unwrap();
    assert_eq!(file.len().unwrap(), 3);
    door.rename("one/log", "one/name").unwrap();
    assert_eq!(door.list("one").unwrap(), ["name"]);
    door.remove("one/name").unwrap();
    let refused = |path| door.open(path, OpenMode::Create).map(drop).unwrap_err().kind();
    assert_eq!(refused("../x"), ErrorKind::InvalidInput);
    assert_eq!(refused(""), ErrorKind::InvalidInput);
    assert_eq!(refused("none/x"), ErrorKind::NotFound);
    door.settle().await;
}

#[tokio::test]
async fn the_synchronous_door_of_an_ended_node_does_nothing() {
    let folder = Folder::new();
    let host = folder.start();
    let door = host.disk().synchronous();
    let file = door.open("a", OpenMode::Create).unwrap();
    file.append(b"kept").unwrap();
    host.exit("killed");
    file.append(b"late").unwrap_err();
    file.write_at(0, b"late").unwrap_err();
    file.truncate(0).unwrap_err();
    file.read_at(0, &mut [0; 4]).unwrap_err();
    door.remove("a").unwrap_err();
    door.open("b", OpenMode::Create).map(drop).unwrap_err();
    let next = folder.start().disk().synchronous();
    assert_eq!(next.list("").unwrap(), ["a"]);
    assert_eq!(next.open("a", OpenMode::Read).unwrap().len().unwrap(), 4);
}
