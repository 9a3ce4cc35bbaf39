//! Savepoints in a whole simulated cluster: golden ones that are kept for ever, and what is refused.

use super::cluster::{JOB, Outside, cluster, generator, job};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use wavetank::{
    jobs::{
        common::JobSettings,
        word_count::{Counted, topics, word_count},
    },
    system::{
        graph::{JobGraph, SavepointSource},
        ids::JobId,
        protocol::{AfterSavepoint, JobStatus, SavepointRequest, SubmitRefusal},
    },
};

/// Records of each source subtask, of which there are two.
pub const RECORDS: u64 = 300;
pub const NEXT: JobId = JobId(0xdef << 96);

/// The word count of the golden savepoints.
fn original() -> JobGraph {
    job(JOB, generator(RECORDS, 100))
}

/// The same, from a savepoint, at another parallelism.
pub fn goes_on(id: JobId, path: &str, parallelism: u32) -> JobGraph {
    let settings = JobSettings { parallelism, ..JobSettings::default() };
    let graph = word_count(id, generator(RECORDS, 0), &topics(1).output, &settings);
    let savepoint = Some(SavepointSource { path: path.to_string(), may_leave_state: false });
    JobGraph { savepoint, ..graph.expect("a sound graph") }
}

/// Where a golden savepoint is kept: its objects by their names below its path, one after the other.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/savepoints").join(name)
}

type Objects = BTreeMap<String, Vec<u8>>;

async fn read_objects(outside: &Outside, path: &str) -> Objects {
    let objects = &outside.services.objects;
    let mut all = Objects::new();
    for name in objects.list_until_acknowledged(path).await.expect("a name") {
        let bytes = objects.get_until_acknowledged(&name).await.expect("it is listed");
        all.insert(name[path.len() + 1..].to_string(), bytes.to_vec());
    }
    all
}

async fn put_objects(outside: &Outside, path: &str, all: &Objects) {
    for (name, bytes) in all {
        let (name, bytes) = (format!("{path}/{name}"), bytes.clone().into());
        let put = outside.services.objects.put_until_acknowledged(&name, bytes).await;
        put.expect("there is room");
    }
}

/// The last count of each word, and how many there are in all.
pub async fn counts(outside: &Outside) -> (BTreeMap<String, u64>, u64) {
    let (log, output) = (&outside.services.log, topics(1).output);
    let (mut counts, mut all) = (BTreeMap::<String, u64>::new(), 0);
    let ends = log.end_offsets_until_acknowledged(&output).await.expect("the topic is there");
    for (partition, end) in (0..).zip(ends) {
        let mut next = 0;
        while next < end {
            let read = log.read_until_acknowledged(&output, partition, next, 1_000, Duration::ZERO);
            let batch = read.await.expect("the topic is there");
            next += batch.records.len() as u64;
            for record in batch.records {
                let counted: Counted = postcard::from_bytes(&record).expect("a count");
                let count = counts.entry(counted.word.to_string()).or_default();
                *count = counted.count.max(*count);
                all += 1;
            }
        }
    }
    (counts, all)
}

/// Stops the original in mid-run.
async fn stop(outside: &Outside, path: &str, then: AfterSavepoint) {
    outside.client.submit(&original()).await.expect("a new job");
    outside.service.host().sleep(Duration::from_millis(1_500)).await;
    let request = SavepointRequest { path: path.to_string(), then, checkpoint: None };
    outside.client.savepoint(JOB, &request).await.expect("nothing befalls it");
    let result = outside.client.result(JOB).await.expect("a known job");
    assert_eq!(result.status, JobStatus::Finished);
}

async fn finish(outside: &Outside, id: JobId, path: &str, parallelism: u32) {
    outside.client.submit(&goes_on(id, path, parallelism)).await.expect("it fits");
    let result = outside.client.result(id).await.expect("a known job");
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
}

#[test]
fn a_job_that_is_stopped_goes_on_at_any_parallelism_and_counts_each_word_once() {
    cluster(|outside| async move {
        stop(&outside, "savepoints/one", AfterSavepoint::Stop).await;
        let (_, before) = counts(&outside).await;
        assert!((1..4 * RECORDS).contains(&before), "it was stopped in mid-run: {before}");
        // The sink writes to the partition of its number, and there are two.
        finish(&outside, NEXT, "savepoints/one", 1).await;
        let (words, all) = counts(&outside).await;
        assert_eq!(all, 4 * RECORDS, "two words in each record of two subtasks");
        assert_eq!(words.values().sum::<u64>(), all, "each count is there once");
    });
}

#[test]
fn a_savepoint_that_was_moved_is_the_same() {
    cluster(|outside| async move {
        stop(&outside, "savepoints/one", AfterSavepoint::Stop).await;
        let moved = read_objects(&outside, "savepoints/one").await;
        put_objects(&outside, "elsewhere/two", &moved).await;
        finish(&outside, NEXT, "elsewhere/two", 2).await;
        assert_eq!(counts(&outside).await.1, 4 * RECORDS);
    });
}

/// A savepoint that a released version has written is read by every later one. `WAVETANK_WRITE_SAVEPOINTS=1` writes
/// those that are not there; one that is there is never written again.
#[test]
#[expect(clippy::disallowed_methods, reason = "golden savepoints are files of the repository")]
fn golden_savepoints_are_restored() {
    if std::env::var_os("WAVETANK_WRITE_SAVEPOINTS").is_some() && !golden("word-count-1").exists() {
        cluster(|outside| async move {
            stop(&outside, "savepoints/one", AfterSavepoint::Stop).await;
            let written = read_objects(&outside, "savepoints/one").await;
            let kept = (counts(&outside).await.1, written);
            let encoded = postcard::to_allocvec(&kept).expect("plain values");
            std::fs::write(golden("word-count-1"), encoded).expect("the repository is there");
        });
    }
    cluster(|outside| async move {
        let kept = std::fs::read(golden("word-count-1")).expect("it is kept");
        let (before, kept): (u64, Objects) = postcard::from_bytes(&kept).expect("it is one");
        for (parallelism, id) in [(1, JobId(1)), (2, JobId(2))] {
            let path = format!("golden/of-{parallelism}");
            put_objects(&outside, &path, &kept).await;
            let had = counts(&outside).await.1;
            finish(&outside, id, &path, parallelism).await;
            let (words, all) = counts(&outside).await;
            assert_eq!(
                all - had + before,
                4 * RECORDS,
                "at {parallelism}: it goes on where it was"
            );
            assert_eq!(words.values().sum::<u64>(), 4 * RECORDS, "with the counts that it had");
        }
    });
}

#[test]
fn what_can_t_be_begun_from_is_refused_with_what_to_do_and_nothing_is_lost() {
    cluster(|outside| async move {
        let refusal = async |graph: &JobGraph| match outside.client.submit(graph).await {
            Err(SubmitRefusal::Savepoint { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        let missing = refusal(&goes_on(NEXT, "savepoints/none", 2)).await;
        assert!(missing.contains("no object savepoints/none/_metadata"), "{missing}");

        stop(&outside, "savepoints/one", AfterSavepoint::Drain).await;
        let drained = refusal(&goes_on(NEXT, "savepoints/one", 2)).await;
        assert!(drained.contains("without --drain"), "{drained}");

        let good = read_objects(&outside, "savepoints/one").await;
        let damaged = |path: &'static str, damage: fn(&mut Objects)| {
            let mut damaged = good.clone();
            damage(&mut damaged);
            let outside = &outside;
            async move {
                put_objects(outside, path, &damaged).await;
                refusal(&goes_on(NEXT, path, 2)).await
            }
        };
        let corrupt = damaged("damaged/one", |all| {
            let metadata = all.get_mut("_metadata").expect("it is there");
            *metadata.last_mut().expect("it has bytes") ^= 1;
        });
        let corrupt = corrupt.await;
        assert!(corrupt.contains("checksum") && corrupt.contains("another savepoint"), "{corrupt}");
        let newer = damaged("damaged/two", |all| {
            all.get_mut("_metadata").expect("it is there")[8] = 200;
        });
        let newer = newer.await;
        assert!(newer.contains("200") && newer.contains("newer"), "{newer}");
        let cut = damaged("damaged/three", |all| {
            let part = all.keys().next_back().expect("it has parts").clone();
            assert!(part.starts_with("chk-"), "{part}");
            all.remove(&part);
        });
        let cut = cut.await;
        assert!(cut.contains("no such object"), "{cut}");
        assert!(outside.client.details(NEXT).await.is_err(), "no job was taken on");
    });
}
