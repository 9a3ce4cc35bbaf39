//! A session cluster: what a person types, what is killed, and what goes on.

use super::{Folder, Told, live, worded_lines};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A test that waits for longer hangs.
const HANGS_AFTER: Duration = Duration::from_secs(600);
/// For all that takes as long as it takes.
pub const PATIENCE: [&str; 2] = ["--within", "10min"];
/// A job that outlasts every test, with a checkpoint soon.
pub const ENDLESS: [&str; 7] =
    ["--", "--records", "1000000000", "--per-second", "20", "--checkpoint-interval", "200ms"];

/// A cluster in a folder of its own, stopped at the end.
pub struct Cluster {
    pub data: String,
    pub folder: Folder,
}

impl Cluster {
    pub fn new(test: &str) -> Cluster {
        let folder = Folder::new(test);
        Cluster { data: folder.data(), folder }
    }

    pub fn started(test: &str, size: &[&str]) -> Cluster {
        let cluster = Cluster::new(test);
        cluster.start(size).ends_with(0, "the cluster is ready after");
        cluster
    }

    pub fn start(&self, size: &[&str]) -> Told {
        self.on("start-cluster", &[&["--rest-port", "0"], &PATIENCE[..], size].concat())
    }

    /// A command on this cluster.
    pub fn on(&self, command: &str, arguments: &[&str]) -> Told {
        live(&[&[command, "--data", &self.data], arguments].concat())
    }

    /// A command that is not waited for.
    pub fn begin(&self, command: &str, arguments: &[&str]) -> Child {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        child.args([command, "--data", &self.data]).args(arguments).stdout(Stdio::piped());
        child.spawn().expect("the binary runs")
    }

    /// Submits a job that does not end; its id.
    fn submit_endless(&self, parallelism: &str) -> String {
        let arguments =
            [&["word-count", "--parallelism", parallelism], &PATIENCE[..], &ENDLESS[..]];
        let told = self.on("submit", &arguments.concat());
        told.ends_with(0, "");
        let job = told.out.trim_end();
        assert!(job.len() == 32 && job.bytes().all(|b| b.is_ascii_hexdigit()), "{job:?}");
        job.to_string()
    }

    /// What `cluster.json` says.
    pub fn file(&self) -> Value {
        let path = format!("{}/cluster.json", self.data);
        let text = std::fs::read(path).expect("a cluster was started");
        serde_json::from_slice(&text).expect("it is whole at any time")
    }

    /// The process id of a process that runs.
    pub fn process(&self, name: &str) -> Option<u64> {
        self.file()["processes"][name].as_u64()
    }

    /// Asks again and again until it is told.
    #[track_caller]
    pub fn until_told(&self, command: &str, arguments: &[&str], said: &[&str]) -> Told {
        let mut told = None;
        until(|| {
            let now = self.on(command, &[arguments, &PATIENCE[..]].concat());
            let is = said.iter().all(|said| now.out.contains(said));
            told = Some(now);
            is
        });
        told.expect("it was asked once at least")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.on("stop-cluster", &PATIENCE);
        // What can be seen of a test that failed.
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(format!("{}/supervisor.log", self.data))
        {
            eprintln!("{log}");
        }
    }
}

#[track_caller]
pub fn until(mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < HANGS_AFTER, "it never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn signal(signal: &str, pid: u64) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.expect("there is a kill").success(), "no process {pid}");
}

#[test]
fn a_cluster_takes_jobs_tells_of_them_and_ends_them() {
    let cluster = Cluster::new("session");
    let told = cluster.start(&["--executors", "2", "--slots", "2"]);
    told.ends_with(0, "the cluster is ready after");
    assert!(told.out.starts_with("http://127.0.0.1:"), "{}", told.out);
    cluster.on("jobs", &PATIENCE).ends_with(0, "no jobs yet");

    let input = cluster.folder.file("text", worded_lines(200));
    let text = ["--", "--input", &input];
    for program in ["word-count", "pipelines"] {
        let told = cluster.on("submit", &[&[program, "--wait"], &PATIENCE[..], &text].concat());
        told.ends_with(0, "the job is finished");
        let (job, _) = told.out.split_once('\n').expect("lines");
        told.ends_with(0, &format!("its output is committed to topic {program}-{job}"));
        let topic = cluster.on("output", &[&format!("{program}-{job}")]);
        let of_job = cluster.on("output", &[&job[..8]]);
        of_job.ends_with(0, "");
        assert!(of_job.out.lines().count() > 100, "{}", of_job.out);
        assert_eq!(topic.out, of_job.out, "the job names its topic");
    }
    let moved = cluster.folder.file("transfers", "a b 5\nb a 2\n".repeat(100));
    let files = ["--", "--input", &moved, "--output", "statements"];
    cluster
        .on("submit", &[&["bank-statements", "--wait"], &PATIENCE[..], &files].concat())
        .ends_with(
            0,
            "its output is committed to files of statements; `cargo live output statements",
        );
    let told = cluster.on("output", &["statements"]);
    told.ends_with(0, "");
    assert_eq!(told.out.lines().count(), 400, "two lines a transfer: {}", told.out);
    let nobody = cluster.on("output", &["no-such"]);
    nobody.ends_with(2, "there is no topic, no final file of a directory and no job \"no-such\"");

    let job = cluster.submit_endless("2");
    let (digits, _) = job.split_at(8);
    let told = cluster.until_told("jobs", &[], &["4/4"]);
    assert_eq!(told.count("finished"), 3, "{}", told.out);
    assert_eq!(told.count(digits), 1, "{}", told.out);
    let told = cluster.until_told("info", &[digits], &["checkpoints  newest "]);
    told.ends_with(0, "status       running");
    assert_eq!(
        told.count("on task-executor-") + told.count("  task-executor-"),
        told.count("task-executor-")
    );
    let told = cluster.on("info", &[&[&job[..], "--json"], &PATIENCE[..]].concat());
    let of_job: Value = serde_json::from_str(&told.out).expect("it is JSON");
    assert_eq!(of_job["job"]["state"], "RUNNING", "{of_job}");
    assert_eq!(of_job["vertices"][1]["subtasks"].as_array().map(Vec::len), Some(2), "{of_job}");
    assert!(of_job["checkpoints"]["counts"].is_object(), "{of_job}");
    let told = cluster.on("jobs", &[&["--json"], &PATIENCE[..]].concat());
    assert!(told.out.contains(&format!("\"jid\": \"{job}\"")), "{}", told.out);

    let told = cluster.on("cancel", &[&[digits, "--wait"], &PATIENCE[..]].concat());
    told.ends_with(0, "is durable");
    told.ends_with(0, "the job is canceled");
    cluster.on("cancel", &[&[digits], &PATIENCE[..]].concat()).ends_with(2, "the job has ended");
    cluster.on("stop-cluster", &PATIENCE).ends_with(0, "was stopped in");
    cluster.on("stop-cluster", &PATIENCE).ends_with(0, "no cluster runs in");
    cluster.on("jobs", &PATIENCE).ends_with(2, "it was stopped); `cargo live start-cluster");
}

#[test]
fn a_job_that_is_canceled_while_it_is_waited_for_has_not_finished() {
    let cluster = Cluster::started("session-canceled", &["--executors", "1"]);
    let mut waiting = cluster.begin("submit", &[&["word-count", "--wait"], &ENDLESS[..]].concat());
    let out = BufReader::new(waiting.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("commands print text"));
    let job = lines.next().expect("the id comes first");
    cluster.on("cancel", &[&[&job[..]], &PATIENCE[..]].concat()).ends_with(0, "is durable");
    assert!(lines.any(|line| line.contains("the job is canceled")));
    assert_eq!(waiting.wait().expect("it is a child").code(), Some(1));
}

#[test]
fn a_killed_task_executor_comes_back_and_the_job_runs_again() {
    let cluster = Cluster::started("session-kill", &["--executors", "2", "--slots", "1"]);
    let job = cluster.submit_endless("2");
    cluster.until_told("info", &[&job], &["checkpoints  newest ", "status       running"]);
    let killed = cluster.process("task-executor-1").expect("it runs");
    signal("-9", killed);
    // Every slot is needed, so it runs again only when the killed one is there again.
    cluster.until_told("info", &[&job], &["failures"]);
    until(|| cluster.process("task-executor-1").is_some_and(|now| now != killed));
    cluster.until_told("jobs", &[], &["running", "4/4"]);
}

#[test]
fn a_job_manager_that_is_told_to_end_hands_over_and_is_started_again() {
    let cluster = Cluster::started("session-term", &["--job-managers", "2", "--executors", "1"]);
    let job = cluster.submit_endless("2");
    cluster.until_told("info", &[&job], &["checkpoints  newest ", "status       running"]);
    // One of them leads, and then the other one.
    for name in ["job-manager-1", "job-manager-2"] {
        let told = cluster.process(name).expect("it runs");
        signal("-TERM", told);
        until(|| cluster.process(name).is_some_and(|now| now != told));
        cluster.until_told("info", &[&job], &["status       running"]);
        cluster.until_told("jobs", &[], &["4/4"]);
    }
    let log = std::fs::read_to_string(format!("{}/supervisor.log", cluster.data)).expect("a log");
    assert!(log.contains("told to end") && !log.contains("not ready in time"), "{log}");
}

#[test]
fn a_job_goes_on_in_the_folder_of_a_cluster_that_was_stopped_or_killed() {
    let cluster = Cluster::started("session-again", &[]);
    let job = cluster.submit_endless("1");
    cluster.until_told("info", &[&job], &["checkpoints  newest "]);
    cluster.on("stop-cluster", &PATIENCE).ends_with(0, "its jobs go on");
    cluster.start(&[]).ends_with(0, "the cluster is ready");
    cluster.until_told("info", &[&job], &["status       running", "restored from"]);

    signal("-9", cluster.file()["pid"].as_u64().expect("it runs"));
    until(|| cluster.on("jobs", &[]).code == Some(2));
    cluster.on("jobs", &PATIENCE).ends_with(2, "was killed); `cargo live start-cluster");
    cluster.start(&[]).ends_with(0, "the cluster is ready");
    cluster.until_told("info", &[&job], &["status       running", "restored from"]);
}

#[test]
fn where_nobody_answers_that_is_told() {
    let cluster = Cluster::started("session-silent", &["--executors", "1"]);
    let job = cluster.submit_endless("1");
    let manager = cluster.process("job-manager-1").expect("it runs");
    signal("-STOP", manager);
    let soon = ["--within", "100ms"];
    let said = "a job manager that leads has given no answer within 100ms";
    cluster.on("jobs", &soon).ends_with(3, said);
    cluster.on("info", &[&[&job[..]], &soon[..]].concat()).ends_with(3, said);
    cluster.on("cancel", &[&[&job[..]], &soon[..]].concat()).ends_with(3, said);
    cluster.on("output", &[&[&job[..]], &soon[..]].concat()).ends_with(3, said);
    let submit = [&["word-count"], &soon[..], &["--", "--records", "1"]].concat();
    let told = cluster.on("submit", &submit);
    told.ends_with(3, "`jobs` will tell");
    assert_eq!(told.out, "", "no id of a job that may not be there");
    let json = cluster.on("jobs", &[&["--json"], &soon[..]].concat());
    json.ends_with(3, "a web monitor that leads has given no answer");
    signal("-CONT", manager);
    cluster.until_told("jobs", &[], &["2/2"]);

    let supervisor = cluster.file()["pid"].as_u64().expect("it runs");
    signal("-STOP", supervisor);
    cluster.on("stop-cluster", &soon).ends_with(3, &format!("`kill -9 {supervisor}`"));
    signal("-CONT", supervisor);
}

#[test]
fn a_second_start_and_a_taken_port_and_a_folder_of_something_else_are_refused() {
    let cluster = Cluster::started("session-twice", &["--executors", "1"]);
    let url = cluster.file()["rest"][0].as_str().expect("it runs").to_string();
    cluster.start(&[]).ends_with(2, &format!(", {url}); `cargo live stop-cluster --data"));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it listens").port().to_string();
    let other = Cluster::new("session-port");
    other.on("start-cluster", &["--rest-port", &port]).ends_with(2, "--rest-port P names another");
    other.on("stop-cluster", &[]).ends_with(2, "there is no cluster");
    other.on("jobs", &[]).ends_with(2, "there is no cluster; `cargo live start-cluster");
    other.folder.file("mini.json", "{}");
    let own = other.folder.0.to_str().expect("a path that is text");
    live(&["start-cluster", "--data", own]).ends_with(2, "it is no cluster's");
    live(&["start-cluster", "--data", "/proc/none"]).ends_with(2, "choose another");
    live(&["start-cluster", "--executors", "0"]).ends_with(2, "--executors");
}

#[test]
fn a_cluster_that_does_not_come_up_says_why_and_is_ended() {
    let cluster = Cluster::new("session-down");
    // The folder of a task executor is none, so that it can't run.
    std::fs::create_dir(&cluster.data).expect("a writable temporary folder");
    cluster.folder.file("data/cluster.json", r#"{"format":1,"state":"ended","why":"x"}"#);
    cluster.folder.file("data/task-executor-1", "");
    let told = cluster.on("start-cluster", &["--rest-port", "0", "--within", "1ms"]);
    told.ends_with(3, "did not come up: within 1ms: ");
    told.ends_with(3, "the last lines of ");
    cluster.on("jobs", &[]).ends_with(2, "(it did not come up: within 1ms: ");

    let mut starting = cluster.begin("start-cluster", &["--rest-port", "0", "--within", "10min"]);
    let out = BufReader::new(starting.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("commands print text"));
    assert!(lines.any(|line| line.contains("1 of 2 task executors are registered")));
    signal("-INT", starting.id().into());
    assert!(lines.any(|line| line.contains("interrupted; every process is ended")));
    assert_eq!(starting.wait().expect("it is a child").code(), Some(130));
    cluster.on("jobs", &[]).ends_with(2, "no cluster runs here (its start was interrupted)");
}

#[test]
fn what_can_not_be_asked_is_refused_in_words() {
    let cluster = Cluster::new("session-wrong");
    cluster.on("submit", &["word-cuont"]).ends_with(2, "\n  word-count       Count words");
    cluster.on("submit", &["word-count"]).ends_with(2, "<--input <FILE>|--records <N>>");
    cluster.on("submit", &["word-count", "--", "--help"]).ends_with(0, "--per-second");
    let parallel = ["word-count", "--parallelism", "0", "--", "--records", "1"];
    cluster.on("submit", &parallel).ends_with(2, "the parallelism is 0");
    cluster.on("info", &["xyz"]).ends_with(2, "its first digits");
    std::fs::create_dir(&cluster.data).expect("a writable temporary folder");
    cluster.folder.file("data/cluster.json", "{\"format\":1,");
    cluster.on("jobs", &[]).ends_with(2, "cluster.json can't be read");
    cluster.on("start-cluster", &[]).ends_with(2, "cluster.json can't be read");
}
