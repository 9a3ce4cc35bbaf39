//! The job on a live cluster, in the test's own process: `cargo test-live`.
#![cfg(not(madsim))]

use wavetank::{
    jobs::{Jobs, common::JobSettings},
    local::{LocalCluster, LocalClusterConfig},
};

#[tokio::test]
async fn every_word_is_counted_once() {
    let (job, text) = (word_count::job(), "to be or\nnot to be\n");
    let jobs = Jobs::from(job.clone());
    let cluster = LocalCluster::start(LocalClusterConfig::default(), jobs.programs()).await;
    let cluster = cluster.expect("it starts");
    let settings = JobSettings { parallelism: 2, ..JobSettings::default() };
    let mut counted = cluster.run_text(&job, text, &settings).await.expect("it finishes");
    counted.sort();
    assert_eq!(counted, ["be 1", "be 2", "not 1", "or 1", "to 1", "to 2"]);
    cluster.stop().await;
}
