//! The run modes: clusters that are made for one job, and one that runs in the command itself.

use super::{
    Folder, Told, live,
    session::{Cluster, ENDLESS, PATIENCE, signal, until},
    worded_lines,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
};

/// The two modes in which a cluster of processes is made for its job.
const OWN: [&str; 2] = ["per-job", "application"];

/// Submits to a cluster that is made for the job.
fn deploy(cluster: &Cluster, target: &str, arguments: &[&str]) -> Told {
    cluster.on("submit", &[&["word-count", "--target", target], &PATIENCE[..], arguments].concat())
}

/// The job's id: the first line.
fn job(told: &Told) -> String {
    let job = told.out.lines().next().unwrap_or_default();
    assert!(job.len() == 32, "{}{}", told.out, told.err);
    job.to_string()
}

/// What `result.json` says.
fn result(cluster: &Cluster) -> Value {
    let text = std::fs::read(format!("{}/result.json", cluster.data)).expect("it has ended");
    serde_json::from_slice(&text).expect("it is whole")
}

/// The process ids of all that runs, and of the supervisor.
fn processes(cluster: &Cluster) -> Vec<u64> {
    let file = cluster.file();
    let running = file["processes"].as_object().expect("it runs").values().chain([&file["pid"]]);
    running.map(|pid| pid.as_u64().expect("a number")).collect()
}

#[track_caller]
fn none_is_left(processes: &[u64]) {
    assert!(processes.len() > 5, "{processes:?}");
    until(|| !processes.iter().any(|pid| is_there(*pid)));
}

/// Whether a process has not ended; one that nobody waits for has.
fn is_there(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_cluster_of_its_own_runs_a_job_and_ends_with_it() {
    for target in OWN {
        let cluster = Cluster::new(&format!("mode-{target}"));
        let input = cluster.folder.file("text", worded_lines(200));
        let told =
            deploy(&cluster, target, &["--wait", "--parallelism", "2", "--", "--input", &input]);
        told.ends_with(0, "the job is finished");
        told.ends_with(0, "its cluster has ended as SUCCEEDED");
        let job = job(&told);
        told.ends_with(0, &format!("its output is committed to topic word-count-{job}"));
        let result = result(&cluster);
        assert_eq!((&result["status"], &result["job"]), (&"SUCCEEDED".into(), &job.into()));
        cluster.on("jobs", &[]).ends_with(2, "no cluster runs here (its job is finished)");
        cluster.on("stop-cluster", &[]).ends_with(0, "no cluster runs in");
        let graph = Path::new(&cluster.data).join("job.graph");
        assert_eq!(graph.exists(), target == "per-job", "a program makes its job on the cluster");
    }
}

#[test]
fn a_cluster_of_its_own_goes_on_when_its_processes_are_killed_and_ends_when_its_job_is_canceled() {
    for target in OWN {
        let cluster = Cluster::new(&format!("mode-kill-{target}"));
        let size = ["--executors", "2", "--slots", "1", "--parallelism", "2"];
        let told = deploy(&cluster, target, &[&size[..], &ENDLESS[..]].concat());
        told.ends_with(0, "its cluster runs in");
        let job = job(&told);
        cluster.until_told("info", &[&job], &["checkpoints  newest ", "status       running"]);
        for name in ["job-manager-1", "task-executor-1", "log"] {
            let killed = cluster.process(name).expect("it runs");
            signal("-9", killed);
            until(|| cluster.process(name).is_some_and(|now| now != killed));
            cluster.until_told("jobs", &[], &["running", "4/4"]);
        }
        let running = processes(&cluster);
        let told = cluster.on("cancel", &[&[&job[..8], "--wait"], &PATIENCE[..]].concat());
        told.ends_with(0, "the job is canceled");
        none_is_left(&running);
        assert_eq!(result(&cluster)["status"], "CANCELED");
    }
}

#[test]
fn a_cluster_of_its_own_that_was_stopped_or_killed_goes_on_with_its_job_and_ends_with_it() {
    for target in OWN {
        let cluster = Cluster::new(&format!("mode-again-{target}"));
        let job = job(&deploy(&cluster, target, &ENDLESS));
        cluster.until_told("info", &[&job], &["checkpoints  newest "]);
        cluster.on("stop-cluster", &PATIENCE).ends_with(0, "its jobs go on");
        cluster.start(&[]).ends_with(0, "the cluster is ready");
        cluster.until_told("info", &[&job], &["status       running", "restored from"]);
        signal("-9", cluster.file()["pid"].as_u64().expect("it runs"));
        until(|| cluster.on("jobs", &[]).code == Some(2));
        cluster.start(&[]).ends_with(0, "the cluster is ready");
        let running = processes(&cluster);
        cluster.on("cancel", &[&[&job[..], "--wait"], &PATIENCE[..]].concat()).ends_with(0, "");
        none_is_left(&running);
        // Its data are served again by a session cluster, which does not end.
        cluster.start(&[]).ends_with(0, "the cluster is ready");
        cluster.until_told("jobs", &[], &["canceled"]);
    }
}

#[test]
fn a_job_that_is_canceled_while_its_cluster_is_waited_for_has_not_finished() {
    let cluster = Cluster::new("mode-canceled");
    let size = ["--wait", "--job-managers", "3", "--executors", "1"];
    let target = ["word-count", "--target", "application"];
    let mut waiting = cluster.begin("submit", &[&target, &size[..], &ENDLESS[..]].concat());
    let out = BufReader::new(waiting.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("commands print text"));
    let job = lines.next().expect("the id comes first");
    let running = processes(&cluster);
    cluster.on("cancel", &[&[&job[..]], &PATIENCE[..]].concat()).ends_with(0, "is durable");
    assert!(lines.any(|line| line.contains("its cluster has ended as CANCELED")));
    assert_eq!(waiting.wait().expect("it is a child").code(), Some(1));
    none_is_left(&running);
}

#[test]
fn a_program_that_fails_says_why_and_its_cluster_ends() {
    let cluster = Cluster::new("mode-fails");
    let topic = "x".repeat(5_000);
    let records = ["--wait", "--", "--records", "1", "--output", &topic];
    let told = deploy(&cluster, "application", &records);
    told.ends_with(1, "it failed: its topic: ");
    told.ends_with(1, "its cluster has ended as FAILED");
    assert_eq!(result(&cluster)["status"], "FAILED");
    let cluster = Cluster::new("mode-fails-before");
    deploy(&cluster, "per-job", &records).ends_with(3, "the cluster did not come up: topic xxx");
}

#[test]
fn a_local_cluster_runs_a_job_in_the_command_itself() {
    let folder = Folder::new("mode-local");
    let input = folder.file("text", worded_lines(200));
    let local = ["submit", "pipelines", "--target", "local"];
    let told = live(&[&local[..], &PATIENCE[..], &["--", "--input", &input]].concat());
    told.ends_with(0, "the job is finished");
    told.ends_with(0, "the output with it; --data DIR keeps both");

    let cluster = Cluster::new("mode-local-kept");
    let target = ["word-count", "--target", "local"];
    let mut running = cluster.begin("submit", &[&target, &PATIENCE[..], &ENDLESS[..]].concat());
    let out = BufReader::new(running.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("commands print text"));
    let job = lines.next().expect("the id comes first");
    cluster.until_told("jobs", &[], &["2/2"]);
    cluster.on("cancel", &[&[&job[..]], &PATIENCE[..]].concat()).ends_with(0, "is durable");
    assert!(lines.any(|line| line.contains("the job is canceled")));
    assert_eq!(running.wait().expect("it is a child").code(), Some(1));
    cluster.on("jobs", &[]).ends_with(2, "no cluster runs here (its command has ended)");
}

#[test]
fn who_interrupts_a_local_cluster_ends_it() {
    let cluster = Cluster::new("mode-interrupted");
    let target = ["word-count", "--target", "local"];
    let mut running = cluster.begin("submit", &[&target, &PATIENCE[..], &ENDLESS[..]].concat());
    let out = BufReader::new(running.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("commands print text"));
    assert!(lines.any(|line| line.contains("the job is running")), "it ended before");
    signal("-INT", running.id().into());
    assert!(lines.any(|line| line.contains("interrupted; the cluster is ended")));
    assert_eq!(running.wait().expect("it is a child").code(), Some(130));
    cluster.on("jobs", &[]).ends_with(2, "no cluster runs here (its command was interrupted)");
}

#[test]
fn what_no_cluster_of_its_own_can_run_is_refused_before_one_is_made() {
    let cluster = Cluster::new("mode-refused");
    let records = ["--", "--records", "1"];
    for target in OWN {
        let small = ["--executors", "1", "--slots", "2", "--parallelism", "3"];
        deploy(&cluster, target, &[&small[..], &records].concat()).ends_with(2, "needs 3 slots");
    }
    assert!(!Path::new(&cluster.data).exists());
    let sized = [&["--executors", "1"], &records[..]].concat();
    deploy(&cluster, "session", &sized).ends_with(2, "--target per-job");
    std::fs::create_dir(&cluster.data).expect("a writable temporary folder");
    cluster.folder.file("data/other", "");
    deploy(&cluster, "per-job", &records).ends_with(2, "it is no cluster's");
    std::fs::remove_file(format!("{}/other", cluster.data)).expect("it is there");
    cluster.folder.file("data/cluster.json", r#"{"format":1,"state":"ended","why":"x"}"#);
    deploy(&cluster, "per-job", &records).ends_with(2, "there was a cluster here");
}
