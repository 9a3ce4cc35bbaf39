//! The store of jobs on a real coordination service, call by call.

use super::bench::{Bench, bench};
use wavetank::system::{
    graph::{CheckpointSettings, JobGraph, OperatorSpec, ProgramRef, RestartStrategy, StreamGraph},
    ids::{CheckpointId, JobId},
    leadership::{LeaderSession, LeaderSessionId, latch_key},
    protocol::{ApplicationStatus, DISPATCHER, JobResult, JobStatus},
    service::coordination::{
        Change, KeyPattern, STEPS_MAX, STORE_BYTES_MAX, Transaction, VALUE_BYTES_MAX,
    },
    store::{
        Cancellation, JobStore, StoreError, StoredResult, checkpoint_prefix, graph_key,
        pointer_key, result_key,
    },
};

const JOB: JobId = JobId(7);

fn graph(id: JobId, bytes: usize) -> JobGraph {
    let mut graph = StreamGraph::new();
    let (uid, name) = ("a".to_string(), "a".to_string());
    graph.source(OperatorSpec { uid, name }, 1);
    let settings = CheckpointSettings::default();
    let job = graph.job_graph(id, "one", settings, RestartStrategy::None).expect("a sound graph");
    // Names have a bound of their own.
    let program = ProgramRef { arguments: "x".repeat(bytes), ..job.program };
    JobGraph { program, ..job }
}

fn result(status: JobStatus) -> JobResult {
    JobResult { status, cause: None }
}

/// A store whose writer leads.
async fn store_of(bench: &Bench, session: u128) -> JobStore {
    let session = LeaderSessionId(session);
    bench.put(latch_key(DISPATCHER), session.to_bytes()).await;
    JobStore::new(&bench.coordination, LeaderSession { component: DISPATCHER.to_string(), session })
}

fn tried(body: impl AsyncFnOnce(Bench, JobStore) + Send + 'static) {
    bench(async move |bench| {
        let store = store_of(&bench, 1).await;
        body(bench, store).await;
    });
}

async fn keys(bench: &Bench, keys: KeyPattern) -> Vec<String> {
    let range = bench.coordination.read(&keys).await.expect("it answers");
    range.keys.into_iter().map(|found| found.key).collect()
}

#[test]
fn a_graph_is_put_once_recovered_and_removed() {
    tried(async |_, store| {
        assert!(!store.knows(JOB).await);
        assert_eq!(store.put_graph(&graph(JOB, 1)).await, Ok(()));
        assert!(matches!(store.put_graph(&graph(JOB, 2)).await, Err(StoreError::Conflict(_))));
        assert!(store.knows(JOB).await);
        let stored = store.recover(None).await.expect("it is sound");
        assert_eq!((stored.graphs, stored.results.len()), (vec![graph(JOB, 1)], 0));
        store.create_dirty_result(JOB, result(JobStatus::Finished)).await.expect("the first");
        let stored = store.recover(None).await.expect("it is sound");
        assert_eq!(stored.graphs, [], "a job that has a result is not run");
        assert_eq!(store.remove_graph(JOB).await, Ok(()));
        assert_eq!(store.remove_graph(JOB).await, Ok(()), "it can be repeated");
        assert!(store.knows(JOB).await, "its result stays");
        assert!(matches!(store.put_graph(&graph(JOB, 1)).await, Err(StoreError::Conflict(_))));
    });
}

#[test]
fn a_result_is_kept_once_dirty_and_then_clean() {
    tried(async |_, store| {
        let (finished, failed) = (result(JobStatus::Finished), result(JobStatus::Failed));
        assert_eq!(store.result(JOB).await, Ok(None));
        assert!(matches!(store.mark_clean(JOB).await, Err(StoreError::Conflict(_))));
        assert_eq!(store.create_dirty_result(JOB, finished.clone()).await, Ok(finished.clone()));
        let kept = |dirty| Ok(Some(StoredResult { dirty, result: finished.clone() }));
        assert_eq!(store.result(JOB).await, kept(true));
        assert_eq!(store.create_dirty_result(JOB, finished.clone()).await, Ok(finished.clone()));
        let other = store.create_dirty_result(JOB, failed).await;
        assert!(matches!(other, Err(StoreError::Conflict(_))), "{other:?}");
        assert_eq!(store.mark_clean(JOB).await, Ok(()));
        assert_eq!(store.mark_clean(JOB).await, Ok(()), "twice is fine");
        assert_eq!(store.result(JOB).await, kept(false));
        let late = store.create_dirty_result(JOB, finished.clone()).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))), "it was cleaned: {late:?}");
        let recovered = store.recover(None).await.expect("it is sound").results;
        assert_eq!(recovered[&JOB], StoredResult { dirty: false, result: finished.clone() });
    });
}

#[test]
fn a_failure_that_crosses_a_cancellation_is_kept_as_canceled_and_no_cancellation_comes_after_an_end()
 {
    tried(async |_, store| {
        assert_eq!(store.request_cancellation(JOB).await, Ok(Cancellation::Recorded));
        assert_eq!(store.request_cancellation(JOB).await, Ok(Cancellation::Recorded));
        let kept = store.create_dirty_result(JOB, result(JobStatus::Failed)).await;
        assert_eq!(kept.map(|kept| kept.status), Ok(JobStatus::Canceled));
        let other = JobId(8);
        store.create_dirty_result(other, result(JobStatus::Failed)).await.expect("the first");
        assert_eq!(store.request_cancellation(other).await, Ok(Cancellation::TooLate));
    });
}

#[test]
fn whoever_leads_no_more_writes_nothing() {
    tried(async |bench, store| {
        store.put_graph(&graph(JOB, 1)).await.expect("it leads");
        store_of(&bench, 2).await;
        let finished = result(JobStatus::Finished);
        assert_eq!(store.put_graph(&graph(JobId(8), 1)).await, Err(StoreError::NotLeader));
        assert_eq!(store.create_dirty_result(JOB, finished).await, Err(StoreError::NotLeader));
        assert_eq!(store.request_cancellation(JOB).await, Err(StoreError::NotLeader));
        assert_eq!(store.remove_graph(JOB).await, Err(StoreError::NotLeader));
        assert_eq!(store.recover(None).await.expect("reading needs no term").graphs.len(), 1);
    });
}

#[test]
fn a_graph_that_is_too_large_is_refused_as_that_and_leaves_no_trace() {
    tried(async |bench, store| {
        let beside = graph(JOB, 0);
        let around = postcard::to_allocvec(&beside).expect("it can be encoded").len() + 8;
        for bytes in [VALUE_BYTES_MAX, VALUE_BYTES_MAX * 2, VALUE_BYTES_MAX * 4] {
            assert_eq!(store.put_graph(&graph(JOB, bytes)).await, Err(StoreError::TooLarge));
        }
        assert!(!store.knows(JOB).await);
        assert_eq!(store.put_graph(&graph(JOB, VALUE_BYTES_MAX - around)).await, Ok(()));
        assert_eq!(store.recover(None).await.expect("it is sound").graphs.len(), 1);
        assert_eq!(keys(&bench, KeyPattern::Exact(graph_key(JOB))).await.len(), 1);
    });
}

#[test]
fn a_graph_for_which_there_is_no_room_is_refused_as_that() {
    tried(async |bench, store| {
        let times = STORE_BYTES_MAX / VALUE_BYTES_MAX as u64;
        for number in 0..times {
            bench.put(format!("/filler/{number}"), vec![0; VALUE_BYTES_MAX - 1024]).await;
        }
        assert_eq!(store.put_graph(&graph(JOB, 100_000)).await, Err(StoreError::Full));
        assert!(!store.knows(JOB).await);
        let delete = |number: u64| Change::Delete { key: format!("/filler/{number}") };
        let remove = |numbers: std::ops::Range<u64>| {
            let room = numbers.map(delete).fold(Transaction::new(), Transaction::then);
            bench.coordination.transact(room)
        };
        remove(0..1).await.expect("a removal is never refused");
        bench.put("/more".to_string(), vec![0; 100_000]).await;
        let full = Err(StoreError::Full);
        assert_eq!(store.put_graph(&graph(JOB, 100_000)).await, full, "the rest is for others");
        remove(1..times / 4 + 1).await.expect("a removal is never refused");
        assert_eq!(store.put_graph(&graph(JOB, 100_000)).await, Ok(()));
    });
}

#[test]
fn however_many_pointers_a_job_has_they_are_read_and_removed() {
    tried(async |bench, store| {
        let pointers = 5_000;
        assert!(pointers > STEPS_MAX);
        for ids in (0..pointers as u64).collect::<Vec<_>>().chunks(1_000) {
            let key = |id: &u64| pointer_key(JOB, CheckpointId(*id));
            let put = ids.iter().fold(Transaction::new(), |put, id| put.put(key(id), vec![0; 500]));
            bench.coordination.transact(put).await.expect("no condition");
        }
        let all = || KeyPattern::Prefix(checkpoint_prefix(JOB));
        assert_eq!(keys(&bench, all()).await.len(), pointers, "in more than one page");
        assert_eq!(store.remove_checkpoints(JOB).await, Ok(()));
        assert_eq!(keys(&bench, all()).await, Vec::<String>::new());
        assert_eq!(store.remove_checkpoints(JOB).await, Ok(()), "of none too");
    });
}

#[test]
fn what_can_not_be_understood_is_an_error_and_not_skipped() {
    for key in [graph_key(JOB), result_key(JOB)] {
        tried(async move |bench, store| {
            store.put_graph(&graph(JobId(8), 1)).await.expect("a new one");
            bench.put(key.clone(), vec![0xff; 3]).await;
            let found = store.recover(None).await;
            assert!(matches!(&found, Err(StoreError::Corrupt { key: of, .. }) if *of == key));
        });
    }
}

#[test]
fn an_outcome_is_kept_by_whoever_leads_and_found_by_the_next() {
    bench(async |bench| {
        let store = store_of(&bench, 1).await;
        let outcome =
            async |store: &JobStore, own| store.recover(own).await.expect("it is sound").outcome;
        assert_eq!(outcome(&store, Some(JOB)).await, None);
        assert_eq!(store.put_outcome(JOB, ApplicationStatus::Failed).await, Ok(()));
        let next = store_of(&bench, 2).await;
        assert_eq!(outcome(&next, Some(JOB)).await, Some(ApplicationStatus::Failed));
        assert_eq!(outcome(&next, Some(JobId(8))).await, None, "of another cluster");
        assert_eq!(outcome(&next, None).await, None);
        let late = store.put_outcome(JOB, ApplicationStatus::Succeeded).await;
        assert_eq!(late, Err(StoreError::NotLeader));
        assert_eq!(outcome(&next, Some(JOB)).await, Some(ApplicationStatus::Failed));
    });
}
