//! Objects in a folder: what is promised of an object store, processes that race there, and a cluster that keeps its
//! checkpoints and savepoints there.

mod history;
mod races;

use super::{
    Folder,
    session::{Cluster, PATIENCE, signal, until},
    worded_lines,
};
use crate::object_contract::{self, content, names, refused};
use bytes::Bytes;
use futures::{FutureExt, future::join_all};
use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    thread,
};
use wavetank::{
    adapters::folder::{FolderObjectStore, ObjectStoreAddress},
    host::{
        Host,
        live::{ExitReason, LOOPBACK, Node, NodeConfig, run_node},
    },
    system::service::{
        ServiceClient, ServiceError,
        object_store::{ObjectStore, ObjectStoreRefusal, ObjectSum},
    },
};

/// A folder of objects, removed at its end.
struct Shared {
    folder: Folder,
    root: PathBuf,
}

impl Shared {
    fn new(test: &str) -> Shared {
        let folder = Folder::new(test);
        let root = folder.0.join("shared");
        fs::create_dir(&root).expect("a writable temporary folder");
        ObjectStoreAddress::Folder(root.clone()).prepare().expect("it is empty");
        Shared { folder, root }
    }

    fn url(&self) -> String {
        format!("file://{}", self.root.display())
    }

    fn node(&self, name: &str) -> NodeConfig {
        let (data, hostname) = (self.folder.0.join(name), LOOPBACK.to_string());
        NodeConfig { name: name.to_string(), hostname, data, members: Vec::new() }
    }

    /// A way to the objects, of a node of its own in this runtime.
    fn store(&self, name: &str) -> FolderObjectStore {
        let host = Node::start(self.node(name)).expect("a writable temporary folder");
        FolderObjectStore::new(&host, &self.root)
    }

    /// The files of a folder within and of those below it, in order.
    fn files(&self, top: &str) -> Vec<String> {
        let mut found = Vec::new();
        files(&self.root.join(top), &mut found);
        let name =
            |path: PathBuf| path.strip_prefix(&self.root).expect("within").display().to_string();
        let mut found: Vec<String> = found.into_iter().map(name).collect();
        found.sort();
        found
    }

    /// Runs clients at one time, each on a thread and in a runtime of its own, as if it were a process.
    fn race<F: Future<Output = ()>>(
        &self,
        clients: u64,
        client: impl Fn(u64, FolderObjectStore, Host) -> F + Sync,
    ) {
        thread::scope(|scope| {
            for number in 0..clients {
                let client = &client;
                scope.spawn(move || {
                    let node = self.node(&format!("client-{number}"));
                    let ended = run_node(node, async |host| {
                        client(number, FolderObjectStore::new(&host, &self.root), host).await;
                    });
                    let ended = ended.expect("a writable temporary folder");
                    assert!(matches!(ended, ExitReason::Returned), "{ended:?}");
                });
            }
        });
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("it can be listed").path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

#[tokio::test]
async fn a_folder_keeps_what_an_object_store_promises() {
    let shared = Shared::new("folder-once");
    object_contract::stores_once(&shared.store("client")).await;
    assert_eq!(shared.files("objects"), ["objects/a/b=", "objects/empty="]);

    let shared = Shared::new("folder-seals");
    object_contract::seals(&shared.store("client")).await;
    assert_eq!(shared.files("sealed"), ["sealed/job-1=", "sealed/unknown="]);
    assert_eq!(shared.files("objects"), ["objects/job-1-b=", "objects/job-10/a=", "objects/job="]);

    let shared = Shared::new("folder-renames");
    object_contract::renames(&shared.store("client")).await;
    assert_eq!(shared.files("objects"), ["objects/a="]);

    object_contract::bounds(&Shared::new("folder-bounds").store("client")).await;
    object_contract::lists(&Shared::new("folder-lists").store("client")).await;

    let shared = Shared::new("folder-many");
    object_contract::many_names(&shared.store("client")).await;
    let left = fs::read_dir(shared.root.join("objects")).expect("a folder").count();
    assert_eq!(left, 1, "empty folders go");
}

#[tokio::test]
async fn what_a_process_that_died_has_left_is_not_seen_and_goes_with_a_seal() {
    let shared = Shared::new("folder-left");
    let (objects, whole) = (shared.store("client"), content("whole"));
    assert_eq!(objects.put("job/a", whole.clone()).await, Ok(()));
    assert_eq!(objects.put("job/b", whole.clone()).await, Ok(()));
    let left = |name: &str| fs::copy(shared.root.join("objects/job/a="), shared.root.join(name));
    // Drafts of puts, and files of nobody's.
    for name in ["objects/job/c=#1", "objects/job/a=#1", "objects/job/foreign", "objects/.nfs1"] {
        left(name).expect("space");
    }
    assert_eq!(objects.list("").await, Ok(names(&["job/a", "job/b"])));
    assert_eq!(objects.get("job/c").await, refused(ObjectStoreRefusal::NotFound));
    assert_eq!(objects.put("job/c", content("other")).await, Ok(()));
    assert_eq!(objects.seal("job").await, Ok(()));
    assert_eq!(shared.files("objects"), ["objects/.nfs1"]);

    // A put that died before it looked for the mark.
    assert_eq!(objects.put("kept", whole.clone()).await, Ok(()));
    fs::create_dir(shared.root.join("objects/job")).expect("space");
    for name in ["objects/job/late=", "objects/job="] {
        fs::copy(shared.root.join("objects/kept="), shared.root.join(name)).expect("space");
    }
    for name in ["job/late", "job"] {
        assert_eq!(objects.get(name).await, refused(ObjectStoreRefusal::NotFound));
        let put = objects.put(name, whole.clone()).await;
        assert_eq!(put, refused(ObjectStoreRefusal::Sealed));
        let moved = objects.rename(name, "moved", ObjectSum::of(&whole)).await;
        assert_eq!(moved, refused(ObjectStoreRefusal::NotFound));
        let moved = objects.rename("kept", name, ObjectSum::of(&whole)).await;
        assert_eq!(moved, refused(ObjectStoreRefusal::Sealed));
        assert_eq!(objects.list(name).await, Ok(vec![]));
    }
    assert_eq!(objects.list("").await, Ok(names(&["kept"])));
    assert_eq!(objects.seal("job").await, Ok(()));
    assert_eq!(shared.files("objects"), ["objects/.nfs1", "objects/kept="]);

    // A rename that died before it removed the old name.
    fs::hard_link(shared.root.join("objects/kept="), shared.root.join("objects/new="))
        .expect("links");
    assert_eq!(objects.rename("kept", "new", ObjectSum::of(&whole)).await, Ok(()));
    assert_eq!(objects.list("").await, Ok(names(&["new"])));
    assert_eq!(objects.get("new").await, Ok(whole));
}

#[tokio::test]
async fn what_is_damaged_has_no_content_and_is_no_other() {
    let shared = Shared::new("folder-damaged");
    let (objects, put) = (shared.store("client"), content("content"));
    assert_eq!(objects.put("a", put.clone()).await, Ok(()));
    let path = shared.root.join("objects/a=");
    let whole = fs::read(&path).expect("it is there");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for damaged in [flipped(0), flipped(7), whole[1..].to_vec(), whole[..10].to_vec(), vec![]] {
        fs::write(&path, damaged).expect("space");
        let told = [
            objects.get("a").await.map(drop),
            objects.put("a", put.clone()).await,
            objects.rename("a", "b", ObjectSum::of(&put)).await,
        ];
        for told in told {
            let told = told.expect_err("it is damaged");
            assert!(matches!(&told, ServiceError::NotDone(_)), "{told:?}");
            assert!(told.to_string().contains("objects/a= of "), "{told}");
        }
    }
    fs::write(&path, whole).expect("space");
    assert_eq!(objects.get("a").await, Ok(put));
}

#[tokio::test]
async fn a_folder_that_fails_or_is_gone_is_told_and_nothing_is_done_elsewhere() {
    let shared = Shared::new("folder-gone");
    let objects = shared.store("client");
    assert_eq!(objects.put("a", content("1")).await, Ok(()));
    let (away, sum) = (shared.folder.0.join("away"), ObjectSum::of(b"1"));
    fs::rename(&shared.root, &away).expect("its own");
    // As if it were not mounted: once its folder is not there, once it is empty.
    for _ in 0..2 {
        let told = [
            objects.put("b", content("1")).await,
            objects.get("a").await.map(drop),
            objects.list("").await.map(drop),
            objects.rename("a", "b", sum).await,
            objects.delete(&names(&["a"])).await,
            objects.seal("a").await,
        ];
        for told in told {
            assert!(matches!(told, Err(ServiceError::NotDone(_))), "{told:?}");
        }
        let _ = fs::create_dir(&shared.root);
    }
    assert_eq!(fs::read_dir(&shared.root).expect("it is there").count(), 0);
    fs::remove_dir(&shared.root).expect("it is empty");
    fs::rename(&away, &shared.root).expect("its own");
    assert_eq!(objects.get("a").await, Ok(content("1")), "it is mounted again");

    // What can't be written: a file stands where a folder must be.
    fs::write(shared.root.join("objects/d"), "").expect("space");
    let put = objects.put("d/e", content("1")).await;
    assert!(
        matches!(put, Err(ServiceError::Indeterminate(_) | ServiceError::NotDone(_))),
        "{put:?}"
    );
    let moved = objects.rename("a", "d/e", sum).await;
    assert!(
        matches!(moved, Err(ServiceError::Indeterminate(_) | ServiceError::NotDone(_))),
        "{moved:?}"
    );
    fs::write(shared.root.join("sealed/s"), "").expect("space");
    let sealed = objects.seal("s/t").await;
    assert!(
        matches!(sealed, Err(ServiceError::Indeterminate(_) | ServiceError::NotDone(_))),
        "{sealed:?}"
    );
    assert_eq!(objects.get("a").await, Ok(content("1")));
    assert_eq!(objects.list("").await, Ok(names(&["a"])));
}

/// A small file system, where there is one to be had.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_keeps_what_it_has() {
    let shared = Folder::new("folder-full");
    let root = shared.0.join("small");
    fs::create_dir(&root).expect("space");
    let mut mount = std::process::Command::new("mount");
    let mount = mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&root).output();
    if !mount.is_ok_and(|mounted| mounted.status.success()) {
        eprintln!("skipped: nothing can be mounted here");
        return;
    }
    let small = SmallDisk(root.clone());
    ObjectStoreAddress::Folder(root.clone()).prepare().expect("it is empty");
    let (hostname, data) = (LOOPBACK.to_string(), shared.0.join("node"));
    let config = NodeConfig { name: "client".to_string(), hostname, data, members: Vec::new() };
    let objects = FolderObjectStore::new(&Node::start(config).expect("a node"), &root);
    let large = Bytes::from(vec![7; 300 * 1024]);
    assert_eq!(objects.put("a", content("1")).await, Ok(()));
    assert_eq!(objects.put("large", large).await, refused(ObjectStoreRefusal::Full));
    assert_eq!(objects.list("").await, Ok(names(&["a"])));
    let piece = Bytes::from(vec![7; 60 * 1024]);
    let mut stored = 0;
    while objects.put(&format!("p/{stored}"), piece.clone()).await == Ok(()) {
        stored += 1;
        assert!(stored < 5, "there is no room for it");
    }
    assert_eq!(objects.put("p/0", piece.clone()).await, Ok(()), "it is there");
    let other = Bytes::from(vec![8; 60 * 1024]);
    assert_eq!(objects.put("p/0", other).await, refused(ObjectStoreRefusal::Exists));
    assert_eq!(objects.get("p/0").await, Ok(piece));
    assert_eq!(objects.seal("p").await, Ok(()), "a mark takes next to nothing");
    assert_eq!(objects.put("b", content("1")).await, Ok(()));
    drop(small);
}

#[tokio::test]
async fn who_removes_or_seals_waits_for_who_does_too() {
    let shared = Shared::new("folder-locks");
    let (objects, other) = (shared.store("client"), shared.store("other"));
    for name in ["a", "b", "p/c"] {
        assert_eq!(objects.put(name, content("1")).await, Ok(()));
    }
    // Somebody holds all locks.
    let lock = |number: u32| {
        let file = fs::File::create(shared.root.join(format!("locks/{number}"))).expect("space");
        file.try_lock().expect("nobody has it");
        file
    };
    let held: Vec<fs::File> = (0..64).map(lock).collect();
    let deleted = names(&["a"]);
    let waiting = async {
        let (renamed, delete) = (ObjectSum::of(b"1"), objects.delete(&deleted));
        futures::join!(delete, objects.rename("b", "d", renamed), objects.seal("p"))
    };
    let mut waiting = std::pin::pin!(waiting);
    let soon = std::time::Duration::from_millis(300);
    assert!(objects.host().timeout(soon, waiting.as_mut()).await.is_err(), "they wait");
    assert_eq!(other.put("p/e", content("2")).await, Ok(()), "a put does not");
    assert_eq!(other.list("").await, Ok(names(&["a", "b", "p/c", "p/e"])));
    assert_eq!(shared.files("sealed"), [""; 0]);
    drop(held);
    assert_eq!(waiting.await, (Ok(()), Ok(()), Ok(())));
    assert_eq!(other.list("").await, Ok(names(&["d"])));
}

#[tokio::test]
async fn calls_that_are_dropped_are_done_to_their_end() {
    let shared = Shared::new("folder-dropped");
    let objects = shared.store("client");
    for number in 0..20 {
        let name = format!("{number}/a");
        let put = objects.put(&name, content("1"));
        // It has begun, and whoever waited has gone.
        drop(put.now_or_never());
    }
    let all = (0..20).map(|number| {
        let objects = objects.clone();
        async move {
            let name = format!("{number}/a");
            let store: &dyn ObjectStore = &objects;
            store.put_until_acknowledged(&name, content("1")).await
        }
    });
    assert!(join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(objects.list("").await.map(|names| names.len()), Ok(20));
    // Those that nobody waits for may take longer than those that found them done.
    let host = objects.host();
    let drafts = async {
        while shared.files("objects").iter().any(|file| file.contains('#')) {
            host.sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    host.timeout(std::time::Duration::from_secs(60), drafts).await.expect("no draft is left");
}

/// The records of a word count of a generator.
fn submit(cluster: &Cluster, own: &[&str]) -> String {
    let records = ["--", "--records", "100000000", "--per-second", "200"];
    let often = ["--checkpoint-interval", "200ms"];
    let all = [&["word-count"], own, &PATIENCE[..], &records, &often].concat();
    let told = cluster.on("submit", &all);
    told.ends_with(0, "");
    told.out.lines().next().expect("the job's id").to_string()
}

fn counted(cluster: &Cluster, job: &str) -> usize {
    cluster.on("output", &[job]).out.lines().count()
}

#[test]
fn a_cluster_keeps_checkpoints_and_savepoints_in_a_folder_and_another_goes_on_there() {
    let shared = Shared::new("folder-cluster");
    let url = shared.url();
    let elsewhere = ["--object-store", url.as_str(), "--executors", "2", "--slots", "2"];
    let cluster = Cluster::started("folder-one", &elsewhere);
    assert_eq!(cluster.file()["object-store"], url.as_str());
    assert_eq!(cluster.process("blobs"), None, "it has no server for objects");
    let disk = ["--parallelism", "2", "--state-backend", "disk", "--state-memory", "64KiB"];
    let job = submit(&cluster, &disk);
    until(|| counted(&cluster, &job) > 100);
    assert!(shared.files("objects").iter().any(|file| file.contains(&job)), "its checkpoints");

    // All of it goes on where it was: it has not to be told again.
    for process in ["task-executor-1", "job-manager-1"] {
        signal("-KILL", cluster.process(process).expect("it runs"));
    }
    let before = counted(&cluster, &job);
    until(|| counted(&cluster, &job) > before + 100);
    cluster.on("stop-cluster", &PATIENCE).ends_with(0, "");
    cluster.start(&["--object-store", "file:///tmp"]).ends_with(2, "the objects of the cluster in");
    cluster.start(&["--executors", "2", "--slots", "2"]).ends_with(0, "the cluster is ready");
    let before = counted(&cluster, &job);
    until(|| counted(&cluster, &job) > before + 100);

    let stopped = cluster.on("stop", &[&[&job[..], "--savepoint"], &PATIENCE[..]].concat());
    stopped.ends_with(0, "savepoints/savepoint-");
    let savepoint = stopped.out.trim_end();
    let info = cluster.on("checkpoint-info", &[&[savepoint], &PATIENCE[..]].concat());
    info.ends_with(0, "count ");
    until(|| !shared.files("objects").iter().any(|file| file.contains(&format!("objects/{job}"))));

    // A job's text and its files are there too, and another cluster knows the savepoint.
    let input = cluster.folder.file("moves", "a b 5\nb a 2\n".repeat(50));
    let files = ["--", "--input", &input, "--output", "statements"];
    let told =
        cluster.on("submit", &[&["bank-statements", "--wait"], &PATIENCE[..], &files].concat());
    told.ends_with(0, "the job is finished");
    assert!(cluster.on("output", &["statements"]).out.lines().count() >= 100);
    let other = Cluster::started("folder-other", &elsewhere);
    let next = submit(&other, &["--parallelism", "1", "--from-savepoint", savepoint]);
    until(|| counted(&other, &next) > 100);
}

#[test]
fn a_folder_that_can_not_be_used_is_refused_before_anything_starts() {
    let folder = Folder::new("folder-refused");
    let cluster = Cluster::new("folder-refused-cluster");
    let full = folder.file("letters", worded_lines(1));
    let full = Path::new(&full).parent().expect("a folder").display().to_string();
    for (url, why) in [
        ("/mnt".to_string(), "expected an absolute path, as in file:///mnt/shared"),
        ("file://mnt".to_string(), "expected an absolute path"),
        (format!("file://{full}/none"), "No such file"),
        (format!("file://{full}"), "it holds \"letters\""),
    ] {
        cluster.start(&["--object-store", &url]).ends_with(2, why);
    }
    let session = ["word-count", "--object-store", "file:///mnt", "--", "--records", "1"];
    cluster.on("submit", &session).ends_with(2, "--object-store");
}
