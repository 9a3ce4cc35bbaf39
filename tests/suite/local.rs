//! A whole cluster in one live process, as a user's own test has it.

use std::time::Duration;
use wavetank::{
    jobs::{
        common::JobSettings,
        shipped,
        word_count::{topics, word_count},
    },
    local::{LocalCluster, LocalClusterConfig},
    system::{
        connector::{GeneratorParameters, Input},
        graph::{CheckpointSettings, JobGraph, RestartStrategy},
        ids::JobId,
        protocol::JobStatus,
    },
};

const RECORDS: u64 = 500;

fn job(id: u128, records: u64, per_second: u64) -> JobGraph {
    let parameters = GeneratorParameters { records, per_second, words: 10, seed: 1 };
    let checkpoints = CheckpointSettings { interval_ms: 200, ..CheckpointSettings::default() };
    let restarts = RestartStrategy::FixedDelay { attempts: 3, delay_ms: 100 };
    let settings = JobSettings { parallelism: 2, checkpoints, restarts };
    let input = Input::Generator(parameters);
    word_count(JobId(id << 96), input, &topics(1).output, &settings).expect("sound")
}

async fn cluster(config: LocalClusterConfig) -> LocalCluster {
    let cluster = LocalCluster::start(config, shipped().programs()).await.expect("it starts");
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

#[tokio::test]
async fn in_a_folder_that_is_kept_a_job_goes_on() {
    let random = format!("wavetank-test-{}", std::process::id());
    let folder = std::env::temp_dir().join(random).join("kept");
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
    std::fs::remove_dir_all(folder.parent().expect("a folder of the test's own")).expect("its own");
}
