//! The sink on an object store that loses answers when it is told to.

use super::*;
use crate::system::{dataflow::WorkingFolders, graph::StateBackend};
use crate::{
    host::{Host, run_two},
    system::{
        cluster::{ClusterConfig, bind},
        ids::{ExecutionAttemptId, ExecutionVertexId, JobId, JobVertexId},
        rpc::{RpcError, RpcService},
        service::{
            ServiceClient,
            object_store::{ObjectStoreError, ObjectStoreRefusal},
        },
    },
};
use futures::future::{BoxFuture, ready};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// What becomes of a rename.
#[derive(Clone, Copy)]
enum Fate {
    /// It is done, and the answer is lost.
    DoneUnanswered,
    /// It is lost.
    Lost,
}

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Bytes>,
    /// Of the renames to come, in order; the others are done and answered.
    fates: VecDeque<Fate>,
}

/// An object store without a disk.
#[derive(Clone)]
struct Fake {
    host: Host,
    held: Arc<Mutex<Held>>,
}

impl Fake {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no panic under this lock")
    }

    fn move_object(&self, from: &str, to: &str) -> Result<(), ObjectStoreError> {
        let mut held = self.held();
        let fate = held.fates.pop_front();
        let lost = || ServiceError::Indeterminate(RpcError::Timeout);
        if matches!(fate, Some(Fate::Lost)) {
            return Err(lost());
        }
        match held.objects.remove(from) {
            Some(content) => drop(held.objects.insert(to.to_string(), content)),
            None if held.objects.contains_key(to) => {}
            None => return Err(ServiceError::Refused(ObjectStoreRefusal::NotFound)),
        }
        match fate {
            Some(_) => Err(lost()),
            None => Ok(()),
        }
    }
}

impl ServiceClient for Fake {
    fn host(&self) -> &Host {
        &self.host
    }

    fn retry_delay(&self) -> Duration {
        Duration::from_millis(1)
    }
}

impl ObjectStore for Fake {
    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        let old = self.held().objects.insert(name.to_string(), bytes);
        assert_eq!(old, None, "{name} is put once");
        ready(Ok(())).boxed()
    }

    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Bytes, ObjectStoreError>> {
        unreachable!("no sink reads")
    }

    fn rename<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        _: ObjectSum,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        ready(self.move_object(from, to)).boxed()
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        let mut held = self.held();
        names.iter().for_each(|name| drop(held.objects.remove(name)));
        ready(Ok(())).boxed()
    }

    fn seal<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        unreachable!("no sink seals")
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, ObjectStoreError>> {
        let held = self.held();
        let names = held.objects.keys().filter(|name| name.starts_with(prefix)).cloned();
        ready(Ok(names.collect())).boxed()
    }
}

type TestedSink = FileSink<String>;

/// One that writes texts as they are.
fn of_texts(directory: &str) -> Result<TestedSink, FileSinkError> {
    FileSink::new(directory, |text: &String| Ok(Bytes::from(text.clone())))
}

/// One whose parts have two lines of one letter.
fn sink() -> TestedSink {
    of_texts("out").expect("sound").roll_at(4)
}

/// A task's node with an object store.
struct Bench {
    service: RpcService,
    fake: Fake,
}

impl Bench {
    fn context(&self, subtask: u32, epoch: u64) -> OperatorContext {
        let nowhere = || crate::host::NodeAddress::new("nowhere".to_string(), 1);
        let mut services =
            ClusterConfig::new(nowhere(), nowhere(), nowhere()).services(&self.service);
        services.objects = Arc::new(self.fake.clone());
        let vertex = ExecutionVertexId { vertex: JobVertexId(0), subtask };
        OperatorContext {
            host: self.service.host().clone(),
            services,
            attempt: ExecutionAttemptId { job: JobId(1), vertex, epoch },
            subtask,
            parallelism: 2,
            max_parallelism: 2,
            uid: "sink".to_string(),
            restored: None,
            savepoint: None,
            retained: 1,
            state_backend: StateBackend::default(),
            folders: WorkingFolders::default(),
        }
    }

    /// A sink of an attempt of that epoch.
    async fn open(&self, epoch: u64, restored: Option<Bytes>) -> TestedSink {
        let mut sink = sink();
        sink.open(&self.context(0, epoch), restored).await.expect("it may begin");
        sink
    }

    /// The objects under a prefix: what follows it in their names, and their lines.
    fn under(&self, prefix: &str) -> String {
        let held = self.fake.held();
        let shown = held.objects.iter().filter_map(|(name, content)| {
            let lines = String::from_utf8_lossy(content).replace('\n', "");
            Some(format!("{}={lines}", name.strip_prefix(prefix)?))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn files(&self) -> String {
        self.under(&format!("files/out/part-{}-sink-0-", JobId(1)))
    }

    fn pending(&self) -> String {
        self.under(&format!("{}/files/sink-0/", JobId(1)))
    }
}

/// Runs a test on a node.
fn on_bench<F: Future<Output = ()> + Send + 'static>(
    test: impl FnOnce(Bench) -> F + Send + 'static,
) {
    run_two(
        |_| std::future::pending(),
        async |host: Host| {
            let service = bind(&host, 0).await.expect("a free port");
            let fake = Fake { host, held: Arc::default() };
            test(Bench { service, fake }).await;
        },
    );
}

async fn write(sink: &mut TestedSink, lines: &str) {
    for line in lines.chars() {
        sink.write(line.to_string(), None).expect("it fits");
        if sink.wants_flush() {
            sink.flush().await.expect("it is put");
        }
    }
}

async fn snapshot(sink: &mut TestedSink, checkpoint: u64) -> Bytes {
    sink.snapshot(CheckpointId(checkpoint)).await.expect("it is kept")
}

async fn complete(sink: &mut TestedSink, checkpoint: u64) {
    sink.notify_checkpoint_complete(CheckpointId(checkpoint)).await.expect("it is renamed");
}

#[test]
fn parts_are_rolled_at_the_bound_and_at_barriers_and_seen_with_their_checkpoint() {
    on_bench(async |bench| {
        let mut sink = bench.open(1, None).await;
        write(&mut sink, "abcde").await;
        assert_eq!((bench.pending(), bench.files()), ("1-0=ab 1-1=cd".into(), String::new()));
        snapshot(&mut sink, 1).await;
        write(&mut sink, "f").await;
        snapshot(&mut sink, 2).await;
        write(&mut sink, "ghi").await;
        assert_eq!(bench.pending(), "1-0=ab 1-1=cd 1-2=e 1-3=f 1-4=gh");
        // Checkpoint 1 was given up, or its notification comes late.
        complete(&mut sink, 2).await;
        assert_eq!(
            (bench.pending(), bench.files()),
            ("1-4=gh".into(), "1-0=ab 1-1=cd 1-2=e 1-3=f".into())
        );
        complete(&mut sink, 1).await;
        let empty = snapshot(&mut sink, 3).await;
        assert!(!empty.is_empty(), "what is gathered waits for the next");
        complete(&mut sink, 3).await;
        assert_eq!(
            (bench.pending(), bench.files()),
            (String::new(), "1-0=ab 1-1=cd 1-2=e 1-3=f 1-4=gh 1-5=i".into())
        );
    });
}

#[test]
fn a_rename_without_an_answer_is_made_again() {
    on_bench(async |bench| {
        let mut sink = bench.open(1, None).await;
        write(&mut sink, "a").await;
        snapshot(&mut sink, 1).await;
        let fates = [Fate::Lost, Fate::DoneUnanswered, Fate::Lost, Fate::DoneUnanswered];
        bench.fake.held().fates.extend(fates);
        complete(&mut sink, 1).await;
        assert_eq!((bench.pending(), bench.files()), (String::new(), "1-0=a".into()));
        assert!(bench.fake.held().fates.is_empty(), "it asked until it was answered");
    });
}

#[test]
fn a_restore_renames_what_its_state_names_and_removes_what_else_is_older() {
    on_bench(async |bench| {
        let mut first = bench.open(1, None).await;
        write(&mut first, "a").await;
        snapshot(&mut first, 1).await;
        write(&mut first, "b").await;
        let kept = snapshot(&mut first, 2).await;
        complete(&mut first, 1).await;
        write(&mut first, "cde").await;
        let mut second = bench.open(2, Some(kept.clone())).await;
        assert_eq!((bench.pending(), bench.files()), (String::new(), "1-0=a 1-1=b".into()));
        write(&mut second, "cde").await;
        // The first does not know yet that it is over; what it puts is seen by nobody.
        write(&mut first, "f").await;
        snapshot(&mut first, 3).await;
        complete(&mut first, 2).await;
        assert_eq!(bench.pending(), "1-3=ef 2-0=cd");
        // An attempt between them is late: it leaves the parts of the newer one alone.
        let again = bench.open(1, Some(kept.clone())).await;
        assert!(again.waiting.is_empty());
        assert_eq!(bench.pending(), "1-3=ef 2-0=cd");
        let _ = bench.open(3, Some(kept)).await;
        assert_eq!((bench.pending(), bench.files()), (String::new(), "1-0=a 1-1=b".into()));
    });
}

#[test]
fn a_part_under_neither_of_its_names_fails_the_task() {
    on_bench(async |bench| {
        let mut first = bench.open(1, None).await;
        write(&mut first, "a").await;
        let kept = snapshot(&mut first, 1).await;
        complete(&mut first, 1).await;
        let taken = std::mem::take(&mut bench.fake.held().objects);
        let failed = sink().open(&bench.context(0, 2), Some(kept.clone())).await;
        let told = failed.expect_err("it is gone").0;
        assert!(told.contains("no such object") && told.contains("put it back"), "{told}");
        bench.fake.held().objects = taken;
        let _ = bench.open(3, Some(kept)).await;
    });
}

#[test]
fn what_fits_in_no_part_or_is_no_line_is_refused() {
    on_bench(async |bench| {
        let mut sink = bench.open(1, None).await;
        let refused = |sink: &mut TestedSink, line: String| {
            sink.write(line, None).expect_err("it does not fit").0
        };
        assert!(refused(&mut sink, "a\nb".to_string()).contains("line break"));
        let long = "x".repeat(OBJECT_BYTES_MAX);
        assert!(refused(&mut sink, long.clone()).contains("OBJECT_BYTES_MAX"));
        sink.write(long[1..].to_string(), None).expect("with its line break it has the size");
        write(&mut sink, "a").await;
        let longest = bench.fake.held().objects.values().map(Bytes::len).max();
        assert_eq!(longest, Some(OBJECT_BYTES_MAX));
    });
}

#[test]
fn parts_that_wait_are_bounded() {
    on_bench(async |bench| {
        let mut sink = bench.open(1, None).await;
        for number in 0..PENDING_PARTS_MAX {
            write(&mut sink, "a").await;
            snapshot(&mut sink, number as u64).await;
        }
        write(&mut sink, "bb").await;
        let refused = sink.write("b".to_string(), None).expect_err("enough wait").0;
        assert!(refused.contains("PENDING_PARTS_MAX"), "{refused}");
        let kept = postcard::to_allocvec(&sink.waiting).expect("it can be encoded");
        assert!(kept.len() < OBJECT_BYTES_MAX / 4, "{}", kept.len());
    });
}

#[test]
fn names_differ_by_attempt_subtask_and_number_and_are_names_of_objects() {
    on_bench(async |bench| {
        let mut names = std::collections::BTreeSet::new();
        for subtask in 0..12 {
            for epoch in 0..12 {
                let context = bench.context(subtask, epoch);
                let of = PartNames::new("a/b", &context, epoch).expect("sound");
                names.extend((0..12).map(|number| of.of(number)));
            }
        }
        let all: std::collections::BTreeSet<&String> =
            names.iter().flat_map(|(pending, file)| [pending, file]).collect();
        assert_eq!(all.len(), 2 * 12 * 12 * 12);
        let of = PartNames::new("out", &bench.context(1, 12), 12).expect("sound");
        let older = |name: &str| of.is_older(&format!("{}{name}", of.all_pending()));
        assert!(older("11-0") && older("9-700") && !older("12-0") && !older("13-0"));
        assert!(!older("x-1") && !older("7") && !of.is_older("7-0"), "none of a sink");
        for directory in ["", "/", "a/", "a//b", "..", "a b", &"x".repeat(201)] {
            let refused = of_texts(directory).err();
            let told = FileSinkError::BadDirectory { directory: directory.to_string() };
            assert_eq!(refused, Some(told));
        }
        let uid = OperatorContext { uid: "to files".to_string(), ..bench.context(0, 1) };
        let refused = sink().open(&uid, None).await.expect_err("no name").0;
        assert!(refused.contains("the uid \"to files\""), "{refused}");
    });
}
