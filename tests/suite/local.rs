//! A whole cluster in one live process, as a user's own test has it.

use bytes::Bytes;
use std::{path::PathBuf, time::Duration};
use wavetank::{
    jobs::{
        Job,
        bank_transfers::Oracle,
        common::{JobArguments, JobOracle, JobSettings},
        shipped,
        word_count::{topics, word_count},
    },
    local::{LocalCluster, LocalClusterConfig},
    system::{
        connector::{
            DiscardingSink, GeneratorParameters, Input, file_folder, part_lines, read_files,
            upload_text,
        },
        dataflow::{Program, Programs},
        graph::{CheckpointSettings, JobGraph, RestartStrategy},
        ids::JobId,
        protocol::{JobDetails, JobStatus, Wait, WaitReason},
    },
};

const RECORDS: u64 = 500;

fn job(id: u128, records: u64, per_second: u64) -> JobGraph {
    let parameters = GeneratorParameters { records, per_second, words: 10, seed: 1 };
    let checkpoints = CheckpointSettings { interval_ms: 200, ..CheckpointSettings::default() };
    let restarts = RestartStrategy::FixedDelay { attempts: 3, delay_ms: 100 };
    let settings = JobSettings { parallelism: 2, checkpoints, restarts, ..JobSettings::default() };
    let input = Input::Generator(parameters);
    word_count(JobId(id << 96), input, &topics(1).output, &settings).expect("sound")
}

async fn cluster(config: LocalClusterConfig) -> LocalCluster {
    cluster_of(config, shipped().programs()).await
}

async fn cluster_of(config: LocalClusterConfig, programs: Programs) -> LocalCluster {
    let cluster = LocalCluster::start(config, programs).await.expect("it starts");
    let created =
        cluster.services().log.create_topic_until_acknowledged(&topics(1).output, 2).await;
    created.expect("a new topic, or the same");
    cluster
}

#[tokio::test]
async fn a_job_runs_to_its_end_in_the_process_that_asks() {
    let config = LocalClusterConfig { slots: 2, ..LocalClusterConfig::default() };
    let cluster = cluster(config).await;
    let result = cluster.run(&job(1, RECORDS, 0)).await.expect("it is taken");
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    let output = &cluster.services().log;
    let mut counted = 0;
    for partition in 0..2 {
        let topic = &topics(1).output;
        let read = output.read_until_acknowledged(topic, partition, 0, 100_000, Duration::ZERO);
        counted += read.await.expect("the topic is there").records.len() as u64;
    }
    assert!(counted >= RECORDS, "every record has a word at least, and {counted} were counted");
    cluster.stop().await;
}

#[tokio::test]
async fn totals_are_told_once_at_the_end_where_no_record_waits_in_a_buffer() {
    let buffer_timeout = Duration::ZERO;
    let config = LocalClusterConfig { slots: 2, buffer_timeout, ..LocalClusterConfig::default() };
    let cluster = LocalCluster::start(config, shipped().programs()).await.expect("it starts");
    let jobs = shipped();
    let job = jobs.get("word-totals").expect("it is shipped");
    let checkpoints = CheckpointSettings { interval_ms: 200, ..CheckpointSettings::default() };
    let settings = JobSettings { parallelism: 2, checkpoints, ..JobSettings::default() };
    let text = "a b, a\n\nb a\n";
    let mut totals = cluster.run_text(job, text, &settings).await.expect("it finishes");
    totals.sort();
    assert_eq!(totals, ["a 3", "b 2"]);
    cluster.stop().await;
}

#[tokio::test]
async fn two_clusters_stand_beside_each_other() {
    let small = || LocalClusterConfig { slots: 2, ..LocalClusterConfig::default() };
    let (one, other) = futures::join!(cluster(small()), cluster(small()));
    assert_ne!(one.web_monitor(), other.web_monitor());
    one.client().submit(&job(1, 1_000_000, 100)).await.expect("it is taken");
    assert_eq!(one.client().list().await.len(), 1);
    assert_eq!(other.client().list().await.len(), 0);
    drop(one);
    let result = other.run(&job(2, RECORDS, 0)).await.expect("it is taken");
    assert_eq!(result.status, JobStatus::Finished, "the end of one is not the other's");
    other.stop().await;
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("wavetank-test-{}-{name}", std::process::id()))
}

/// Waits until a job's details are so.
async fn until(cluster: &LocalCluster, job: JobId, are: impl Fn(&JobDetails) -> bool) {
    let looks = async {
        while !are(&cluster.client().details(job).await.expect("it is known")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(60), looks).await;
    assert!(came.is_ok(), "{:?}", cluster.client().details(job).await);
}

#[tokio::test]
async fn a_job_whose_program_is_another_one_waits_for_its_own() {
    let folder = folder("other-program");
    let kept = || LocalClusterConfig { folder: Some(folder.clone()), ..Default::default() };
    let first = cluster(kept()).await;
    let long = job(4, 1_000_000, 50);
    first.client().submit(&long).await.expect("it is taken");
    until(&first, long.id, |details| details.status == JobStatus::Running).await;
    first.stop().await;
    let other = Program::new("word-count", 2, |env, arguments: &JobArguments| {
        env.source("source", arguments.input.source()?).sink("sink", DiscardingSink);
        Ok(())
    });
    for (programs, says) in [
        (Programs::new().with(other), "made by version 1"),
        (Programs::new(), "no program is called"),
    ] {
        let waiting = cluster_of(kept(), programs).await;
        let for_program =
            |wait: &Wait| matches!(&wait.reason, WaitReason::Program { why } if why.contains(says));
        until(&waiting, long.id, |details| details.waits.iter().any(for_program)).await;
        let details = waiting.client().details(long.id).await.expect("it is known");
        assert_eq!((details.status, details.waits.len()), (JobStatus::Created, 1), "{details:?}");
        waiting.stop().await;
    }
    let own = cluster(kept()).await;
    until(&own, long.id, |details| details.status == JobStatus::Running).await;
    own.stop().await;
    let without = cluster_of(kept(), Programs::new()).await;
    without.client().cancel(long.id).await.expect("it waits");
    let result = without.client().result(long.id).await.expect("it is known");
    assert_eq!(result.status, JobStatus::Canceled, "nothing of it has to be run for that");
    without.stop().await;
    std::fs::remove_dir_all(folder).expect("its own");
}

#[tokio::test]
async fn in_a_folder_that_is_kept_a_job_goes_on() {
    let folder = folder("kept");
    let kept = || LocalClusterConfig {
        slots: 2,
        folder: Some(folder.clone()),
        ..LocalClusterConfig::default()
    };
    let first = cluster(kept()).await;
    let long = job(3, 1_000_000, 50);
    first.client().submit(&long).await.expect("it is taken");
    loop {
        let details = first.client().details(long.id).await.expect("it is known");
        if details.checkpoints.newest.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.stop().await;
    let second = cluster(kept()).await;
    loop {
        let details = second.client().details(long.id).await.expect("it is known");
        if details.status == JobStatus::Running {
            assert!(details.checkpoints.restored.is_some(), "it begins where it was");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    second.client().cancel(long.id).await.expect("it runs");
    assert_eq!(
        second.client().result(long.id).await.expect("it is known").status,
        JobStatus::Canceled
    );
    second.stop().await;
    std::fs::remove_dir_all(folder).expect("its own");
}

/// Transfers between a few accounts.
fn transfers(count: u64) -> String {
    let line = |n: u64| format!("a{} a{} {}\n", n * 7 % 11, n * n % 13, 1 + n % 50);
    (0..count).map(line).collect()
}

/// Holds lines of files against what was moved.
fn are_the_bookings<'a>(text: &str, lines: impl Iterator<Item = &'a [u8]>) {
    let mut oracle = Oracle::default();
    text.lines().for_each(|line| oracle.input(0, line.as_bytes()));
    lines.for_each(|line| assert_eq!(oracle.output(0, line), Ok(())));
    assert_eq!(oracle.missing(), None);
}

#[tokio::test]
async fn the_lines_of_a_text_come_out_in_files() {
    let config = LocalClusterConfig { slots: 2, ..LocalClusterConfig::default() };
    let cluster = cluster(config).await;
    let (text, jobs) = (transfers(500), shipped());
    let job = jobs.get("bank-statements").expect("it is shipped");
    let settings = JobSettings { parallelism: 2, ..JobSettings::default() };
    let lines = cluster.run_text(job, &text, &settings).await.expect("it finishes");
    are_the_bookings(&text, lines.iter().map(|line| line.as_bytes()));
    cluster.stop().await;
}

#[tokio::test]
async fn a_cluster_that_stops_while_files_are_written_leaves_each_line_once_and_nothing_else() {
    let folder = folder("files");
    let kept = || LocalClusterConfig {
        slots: 2,
        folder: Some(folder.clone()),
        ..LocalClusterConfig::default()
    };
    let (id, output, text) = (JobId(9 << 96), "statements", transfers(20_000));
    let first = cluster(kept()).await;
    let objects = first.services().objects.clone();
    let bytes = Bytes::from(text.clone());
    let input = upload_text(&*objects, &Job::text_name(id), &bytes).await.expect("it fits");
    let checkpoints = CheckpointSettings { interval_ms: 20, ..CheckpointSettings::default() };
    let restarts = RestartStrategy::FixedDelay { attempts: 30, delay_ms: 100 };
    let settings = JobSettings { parallelism: 2, checkpoints, restarts, ..JobSettings::default() };
    let jobs = shipped();
    let job = jobs.get("bank-statements").expect("it is shipped");
    let more = serde_json::Map::new();
    let graph = job.graph(id, &Input::Text(input), output, &more, &settings).expect("sound");
    first.client().submit(&graph).await.expect("it is taken");
    let mut clusters = first;
    for _ in 0..3 {
        let objects = clusters.services().objects.clone();
        let count = async || objects.list_until_acknowledged(&file_folder(output)).await;
        let before = count().await.expect("a prefix").len();
        let looks = async {
            while count().await.expect("a prefix").len() == before
                && !clusters
                    .client()
                    .details(id)
                    .await
                    .is_ok_and(|d| d.status.is_globally_terminal())
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), looks).await.expect("it goes on");
        clusters.stop().await;
        clusters = cluster(kept()).await;
    }
    let result = clusters.client().result(id).await.expect("it is known");
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    let objects = clusters.services().objects.clone();
    let files = read_files(&*objects, output).await.expect("all are there");
    are_the_bookings(&text, files.iter().flat_map(|(_, content)| part_lines(content)));
    let left = async {
        while !objects.list_until_acknowledged(&format!("{id}")).await.expect("a prefix").is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), left).await.expect("nothing else is left");
    clusters.stop().await;
    std::fs::remove_dir_all(folder).expect("its own");
}
