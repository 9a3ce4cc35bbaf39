//! The sink against a database that loses answers when it is told to.

use super::*;
use crate::system::{dataflow::WorkingFolders, graph::StateBackend};
use crate::{
    host::{Host, NodeAddress, run_two},
    system::{
        cluster::{ClusterConfig, bind},
        ids::{ExecutionAttemptId, ExecutionVertexId, JobId, JobVertexId},
        rpc::{RpcError, RpcService},
        service::{
            ServiceClient,
            database::{DatabaseError, DatabaseRefusal, DatabaseUrlError, Databases, Written},
        },
    },
};
use futures::future::BoxFuture;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// What becomes of a write.
#[derive(Clone, Copy)]
enum Fate {
    /// It is done, and the answer is lost.
    DoneUnanswered,
    /// It is lost.
    Lost,
}

#[derive(Default)]
struct Held {
    generation: u64,
    number: u64,
    rows: Vec<String>,
    /// Of the writes to come, in order; the others are done and answered.
    fates: VecDeque<Fate>,
}

/// A database with one writer.
#[derive(Clone)]
struct Fake {
    host: Host,
    held: Arc<Mutex<Held>>,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no panic under this lock")
    }

    fn rows(&self) -> String {
        self.held().rows.join(" ")
    }

    fn lose(&self, fates: &[Fate]) {
        self.held().fates.extend(fates);
    }

    fn take(&self, write: &DatabaseWrite) -> Result<Written, DatabaseError> {
        let mut held = self.held();
        let fate = held.fates.pop_front();
        let lost = || ServiceError::Indeterminate(RpcError::Timeout);
        if matches!(fate, Some(Fate::Lost)) {
            return Err(lost());
        }
        if held.generation != write.by.generation {
            let current = held.generation;
            return Err(ServiceError::Refused(DatabaseRefusal::Fenced { current }));
        }
        let written = match write.number.value() <= held.number {
            true => Written::Before,
            false => {
                held.number = write.number.value();
                held.rows.extend(write.rows.iter().map(|row| format!("{}{}", row.key, row.value)));
                Written::Now
            }
        };
        match fate {
            Some(_) => Err(lost()),
            None => Ok(written),
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

impl Database for Fake {
    fn begin_writer<'a>(
        &'a self,
        by: &'a WriterId,
        _: &'a TableSpec,
    ) -> BoxFuture<'a, Result<u64, DatabaseError>> {
        let mut held = self.held();
        held.generation = held.generation.max(by.generation);
        std::future::ready(Ok(held.number)).boxed()
    }

    fn write<'a>(
        &'a self,
        write: &'a DatabaseWrite,
    ) -> BoxFuture<'a, Result<Written, DatabaseError>> {
        std::future::ready(self.take(write)).boxed()
    }

    fn read<'a>(
        &'a self,
        _: &'a TableSpec,
        _: u64,
        _: u32,
    ) -> BoxFuture<'a, Result<Vec<DatabaseRow>, DatabaseError>> {
        unreachable!("no sink reads")
    }
}

impl Databases for Fake {
    fn open(&self, _: &RpcService, _: &str) -> Result<Arc<dyn Database>, DatabaseUrlError> {
        Ok(Arc::new(self.clone()))
    }
}

type TestedSink = DatabaseSink<(String, u64)>;

fn to_row((key, value): &(String, u64)) -> Result<DatabaseRow> {
    Ok(DatabaseRow::new(key, value.to_string()))
}

fn exactly_once() -> TestedSink {
    DatabaseSink::exactly_once("fake:", "t", to_row)
}

/// A task's node with a database.
struct Bench {
    service: RpcService,
    fake: Fake,
}

impl Bench {
    /// A sink of an attempt of that epoch.
    async fn open(&self, mut sink: TestedSink, epoch: u64, restored: Option<Bytes>) -> TestedSink {
        let nowhere = || NodeAddress::new("nowhere".to_string(), 1);
        let mut config = ClusterConfig::new(nowhere(), nowhere(), nowhere());
        config.databases = Arc::new(self.fake.clone());
        let vertex = ExecutionVertexId { vertex: JobVertexId(0), subtask: 0 };
        let context = OperatorContext {
            host: self.service.host().clone(),
            services: config.services(&self.service),
            attempt: ExecutionAttemptId { job: JobId(1), vertex, epoch },
            subtask: 0,
            parallelism: 1,
            max_parallelism: 1,
            uid: "sink".to_string(),
            restored: None,
            savepoint: None,
            retained: 1,
            state_backend: StateBackend::default(),
            folders: WorkingFolders::default(),
        };
        sink.open(&context, restored).await.expect("it may begin");
        sink
    }

    fn rows(&self) -> String {
        self.fake.rows()
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

fn put(sink: &mut TestedSink, keys: &[&str]) {
    for (key, value) in keys.iter().zip(1..) {
        sink.write(((*key).to_string(), value), None).expect("it fits");
    }
}

async fn snapshot(sink: &mut TestedSink, checkpoint: u64) -> Bytes {
    sink.snapshot(CheckpointId(checkpoint)).await.expect("it is kept")
}

async fn complete(sink: &mut TestedSink, checkpoint: u64) {
    sink.notify_checkpoint_complete(CheckpointId(checkpoint)).await.expect("it is written");
}

#[test]
fn rows_are_written_with_the_first_checkpoint_that_completes_and_in_order() {
    on_bench(async |bench| {
        let mut sink = bench.open(exactly_once(), 1, None).await;
        put(&mut sink, &["a", "b"]);
        snapshot(&mut sink, 1).await;
        put(&mut sink, &["c"]);
        snapshot(&mut sink, 2).await;
        put(&mut sink, &["d"]);
        assert_eq!(bench.rows(), "", "nothing is complete");
        // Checkpoint 1 was given up, or its notification comes late.
        complete(&mut sink, 2).await;
        assert_eq!(bench.rows(), "a1 b2 c1");
        complete(&mut sink, 1).await;
        assert_eq!(bench.rows(), "a1 b2 c1", "a notification that was overtaken");
        snapshot(&mut sink, 3).await;
        complete(&mut sink, 3).await;
        assert_eq!(bench.rows(), "a1 b2 c1 d1");
    });
}

#[test]
fn a_commit_without_an_answer_is_made_again_and_done_once() {
    on_bench(async |bench| {
        let mut sink = bench.open(exactly_once(), 1, None).await;
        put(&mut sink, &["a"]);
        snapshot(&mut sink, 1).await;
        bench.fake.lose(&[Fate::Lost, Fate::DoneUnanswered, Fate::Lost, Fate::DoneUnanswered]);
        complete(&mut sink, 1).await;
        assert_eq!(bench.rows(), "a1");
        assert!(bench.fake.held().fates.is_empty(), "it asked until it was answered");
    });
}

#[test]
fn a_restore_writes_what_its_checkpoint_holds_once_whether_that_was_written_or_not() {
    on_bench(async |bench| {
        let mut sink = bench.open(exactly_once(), 1, None).await;
        put(&mut sink, &["a"]);
        snapshot(&mut sink, 1).await;
        put(&mut sink, &["b"]);
        let kept = snapshot(&mut sink, 2).await;
        put(&mut sink, &["lost"]);
        // The first is written, the second is not.
        complete(&mut sink, 1).await;
        let mut restored = bench.open(exactly_once(), 2, Some(kept.clone())).await;
        assert_eq!(bench.rows(), "a1 b1");
        let _ = bench.open(exactly_once(), 3, Some(kept)).await;
        assert_eq!(bench.rows(), "a1 b1", "both were written");
        put(&mut restored, &["late"]);
        snapshot(&mut restored, 3).await;
        let fenced = restored.notify_checkpoint_complete(CheckpointId(3)).await;
        assert!(fenced.expect_err("it is older").0.contains("generation 3 of the writer"));
        assert_eq!(bench.rows(), "a1 b1");
    });
}

#[test]
fn too_much_that_waits_fails_the_task_by_name_and_what_is_written_makes_room() {
    on_bench(async |bench| {
        let mut sink = bench.open(exactly_once(), 1, None).await;
        let key = "k".repeat(1000);
        let fill = async |sink: &mut TestedSink, checkpoint| {
            let rows = WAITING_BYTES_MAX / 2 / 1100;
            (0..rows).for_each(|_| put(sink, &[&key]));
            snapshot(sink, checkpoint).await;
        };
        fill(&mut sink, 1).await;
        fill(&mut sink, 2).await;
        complete(&mut sink, 1).await;
        fill(&mut sink, 3).await;
        let mut write = || sink.write((key.clone(), 1), None);
        let failed = (0..WAITING_BYTES_MAX / 1000).find_map(|_| write().err()).expect("it is full");
        assert!(failed.0.contains("WAITING_BYTES_MAX"), "{failed}");
    });
}

#[test]
fn a_row_that_no_database_takes_fails_the_task_before_a_checkpoint_holds_it() {
    on_bench(async |bench| {
        let mut sink = bench.open(exactly_once(), 1, None).await;
        let failed = sink.write(("a\0".to_string(), 1), None).expect_err("it is no text there");
        assert!(failed.0.contains("NUL"), "{failed}");
        snapshot(&mut sink, 1).await;
        complete(&mut sink, 1).await;
        assert_eq!(bench.rows(), "");
    });
}

#[test]
fn a_table_with_a_primary_key_gets_the_last_row_of_each_key() {
    on_bench(async |bench| {
        let mut sink = bench.open(exactly_once().keyed(), 1, None).await;
        put(&mut sink, &["b", "a", "b"]);
        snapshot(&mut sink, 1).await;
        complete(&mut sink, 1).await;
        assert_eq!(bench.rows(), "a2 b3");
    });
}

#[test]
fn how_often_a_key_comes_is_no_matter_where_it_is_the_primary_key() {
    on_bench(async |bench| {
        let mut sink = bench.open(exactly_once().keyed(), 1, None).await;
        let key = "k".repeat(1000);
        for number in 0..WAITING_BYTES_MAX / 1000 * 20 {
            let value = if number % 2 == 0 { u64::MAX } else { 1 };
            sink.write((key.clone(), value), None).expect("one row waits");
        }
        assert_eq!(sink.gathered_bytes, bytes_of(&sink.gathered.rows().collect::<Vec<_>>()));
    });
}

#[test]
fn more_than_one_write_takes_is_written_in_pieces() {
    on_bench(async |bench| {
        let mut sink = bench.open(DatabaseSink::upsert("fake:", "t", to_row), 1, None).await;
        let keys: Vec<String> =
            (0..60).map(|number| format!("{number}{}", "k".repeat(100_000))).collect();
        put(&mut sink, &keys.iter().map(String::as_str).collect::<Vec<_>>());
        sink.flush().await.expect("each piece is taken");
        assert_eq!(bench.fake.held().rows.len(), 60);
        put(&mut sink, &["z"]);
        sink.flush().await.expect("numbers go on");
        assert_eq!(bench.fake.held().rows.len(), 61);
    });
}

#[test]
fn upserts_are_written_in_batches_and_at_barriers_and_a_batch_is_done_once() {
    on_bench(async |bench| {
        let sink = || DatabaseSink::upsert("fake:", "t", to_row);
        let mut first = bench.open(sink(), 1, None).await;
        put(&mut first, &["a", "a"]);
        assert!(!first.wants_flush());
        bench.fake.lose(&[Fate::DoneUnanswered, Fate::Lost]);
        let kept = snapshot(&mut first, 1).await;
        assert_eq!((bench.rows().as_str(), kept.len()), ("a2", 0));
        let many: Vec<String> = (0..BATCH_ROWS).map(|number| format!("k{number}-")).collect();
        put(&mut first, &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(first.wants_flush());
        first.flush().await.expect("it is written");
        assert_eq!(bench.fake.held().rows.len() as u64, 1 + BATCH_ROWS);
        // Another life goes on counting where the writer's row is.
        let mut second = bench.open(sink(), 2, Some(kept)).await;
        put(&mut second, &["z"]);
        second.flush().await.expect("it is written");
        assert!(bench.rows().ends_with(" z1"));
        put(&mut first, &["old"]);
        assert!(first.flush().await.is_err(), "another life has begun");
    });
}
