//! Savepoints of a cluster of processes, by the command line.

use super::session::{Cluster, PATIENCE, signal, until};

/// Records of each of two source subtasks, as many in a second, and words in all.
const RECORDS: u64 = 4_000;
const PER_SECOND: u64 = 1_000;
const WORDS: usize = 2 * 2 * RECORDS as usize;

/// Submits a word count of words that a generator makes; its id.
fn submit(cluster: &Cluster, own: &[&str], per_second: u64) -> String {
    let (records, per_second) = (RECORDS.to_string(), per_second.to_string());
    let input = ["--records", &records, "--per-second", &per_second];
    let settings = ["--checkpoint-interval", "300ms"];
    let told = cluster
        .on("submit", &[&["word-count"], own, &PATIENCE[..], &["--"], &input, &settings].concat());
    told.ends_with(0, "");
    told.out.lines().next().expect("the job's id").to_string()
}

fn counted(cluster: &Cluster, job: &str) -> usize {
    cluster.on("output", &[job]).out.lines().count()
}

fn printed(cluster: &Cluster, command: &str, arguments: &[&str]) -> String {
    let told = cluster.on(command, &[arguments, &PATIENCE[..]].concat());
    told.ends_with(0, "");
    told.out.trim_end().to_string()
}

#[test]
fn a_job_is_stopped_with_a_savepoint_and_goes_on_at_another_parallelism() {
    let cluster = Cluster::started("savepoints", &["--executors", "2", "--slots", "2"]);
    let disk = ["--state-backend", "disk", "--state-memory", "64KiB"];
    let job = submit(&cluster, &[&["--parallelism", "2"], &disk[..]].concat(), PER_SECOND);
    until(|| counted(&cluster, &job) > 1_000);
    let savepoint = printed(&cluster, "savepoint", &[&job, "mine"]);
    assert!(savepoint.starts_with("mine/savepoint-"), "{savepoint}");
    let info = printed(&cluster, "checkpoint-info", &[&savepoint]);
    assert!(info.contains("which went on") && info.contains("count "), "{info}");

    let stopped = printed(&cluster, "stop", &[&job, "--savepoint"]);
    assert!(stopped.starts_with("savepoints/savepoint-"), "{stopped}");
    let before = counted(&cluster, &job);
    assert!((1..WORDS).contains(&before), "it was stopped in mid-run: {before}");
    let late = cluster.on("savepoint", &[&[&job[..]], &PATIENCE[..]].concat());
    late.ends_with(2, "the job has ended");
    cluster.on("stop", &[&[&job[..]], &PATIENCE[..]].concat()).ends_with(2, "--savepoint");

    // On the heap, as it was on disk; another task executor may be the one that is killed.
    let own = ["--parallelism", "3", "--from-savepoint", &stopped];
    let next = submit(&cluster, &own, PER_SECOND);
    until(|| counted(&cluster, &next) > 500);
    signal("-KILL", cluster.process("task-executor-1").expect("it runs"));
    cluster.until_told("jobs", &[], &["finished"]);
    until(|| cluster.on("jobs", &PATIENCE).out.matches("finished").count() == 2);
    assert_eq!(counted(&cluster, &next) + before, WORDS, "each word is counted once");

    let none = ["word-count", "--from-savepoint", "mine/none"];
    let told = cluster.on("submit", &[&none, &PATIENCE[..], &["--", "--records", "1"]].concat());
    told.ends_with(2, "there is none: no object mine/none/_metadata");
    let nothing = cluster.on("checkpoint-info", &[&["mine/none"], &PATIENCE[..]].concat());
    nothing.ends_with(2, "there is none");
}

#[test]
fn a_savepoint_that_can_not_be_taken_leaves_the_job_as_it_is() {
    let cluster = Cluster::started("savepoints-not", &["--executors", "1", "--slots", "1"]);
    let job = submit(&cluster, &[], 10);
    until(|| counted(&cluster, &job) > 10);
    // What lies under a job's own name goes with it.
    let inside = cluster.on("savepoint", &[&[&job[..], &job[..]], &PATIENCE[..]].concat());
    inside.ends_with(1, "the job goes on");
    let no_name = format!("--savepoint={job}");
    cluster
        .on("stop", &[&[&job[..], &no_name], &PATIENCE[..]].concat())
        .ends_with(1, "not stopped");
    cluster.until_told("jobs", &[], &["running"]);
    let manager = cluster.process("job-manager-1").expect("it runs");
    signal("-STOP", manager);
    let soon = ["--within", "100ms", "--timeout", "100ms"];
    cluster.on("savepoint", &[&[&job[..]], &soon[..]].concat()).ends_with(3, "no answer");
    cluster.on("stop", &[&[&job[..], "--savepoint"], &soon[..]].concat()).ends_with(3, "no answer");
    signal("-CONT", manager);
    let blobs = cluster.process("blobs").expect("it runs");
    signal("-STOP", blobs);
    let info = cluster.on("checkpoint-info", &["mine/none", "--within", "100ms"]);
    info.ends_with(3, "the object store has given no answer");
    signal("-CONT", blobs);
    let drained = printed(&cluster, "stop", &[&job, "--savepoint", "--drain"]);
    let from = ["word-count", "--from-savepoint", &drained];
    let told = cluster.on("submit", &[&from, &PATIENCE[..], &["--", "--records", "1"]].concat());
    told.ends_with(2, "it was drained");
}
