//! `serve`: a service on a cluster of processes.

use super::{
    Folder, live,
    session::{signal, until},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
};

/// A command that serves, until it is told to end.
struct Serving {
    child: Child,
    /// Whatever it says next.
    out: BufReader<ChildStdout>,
    data: String,
    /// Where its front ends are, as `HOST:PORT`.
    front_ends: Vec<String>,
}

impl Serving {
    fn start(data: &str, arguments: &[&str]) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command.args(["serve", "--port", "0", "--data", data]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let (data, front_ends) = (data.to_string(), Vec::new());
        let mut serving = Serving { child, out, data, front_ends };
        while !serving.read_line() {}
        serving
    }

    /// Reads what it says next; whether it serves now.
    fn read_line(&mut self) -> bool {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).expect("commands print text");
        assert!(read > 0, "it has ended");
        if let Some(at) = line.strip_prefix("http://") {
            self.front_ends.push(at.trim_end_matches(['/', '\n']).to_string());
        }
        line.contains("serves; Ctrl-C ends it")
    }

    /// The status and the body of the answer; nothing when the connection ends.
    fn post(&self, front_end: usize, path: &str, key: &str, body: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.front_ends[front_end]).ok()?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nidempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, serde_json::from_str(body).unwrap_or_default()))
    }

    /// Asks under one key until it is answered by the service.
    fn ask(&self, path: &str, key: &str, body: &str) -> (u16, Value) {
        let mut answer = None;
        let mut turns = (0..self.front_ends.len()).cycle();
        until(|| {
            let front_end = turns.next().expect("there is one");
            answer = self.post(front_end, path, key, body);
            matches!(&answer, Some((_, body)) if body["event_id"].is_string())
        });
        answer.expect("it was answered")
    }

    fn kill(&self, process: &str) {
        let told = std::fs::read_to_string(format!("{}/cluster.json", self.data));
        let told: Value = serde_json::from_str(&told.expect("it serves")).expect("it is whole");
        signal("-KILL", told["processes"][process].as_u64().expect("it runs"));
    }

    /// Ends it as a person does; what it says last.
    fn end(self) -> String {
        signal("-INT", self.child.id().into());
        self.ended(0)
    }

    /// Waits until it ends by itself; what it says last.
    fn ended(mut self, code: i32) -> String {
        let mut said = String::new();
        self.out.read_to_string(&mut said).expect("commands print text");
        assert_eq!(self.child.wait().expect("it is a child").code(), Some(code), "{said}");
        said
    }
}

impl Drop for Serving {
    /// A test that fails leaves nothing behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_under_way_when_a_service_is_told_to_end_is_answered() {
    let folder = Folder::new("serve-drains");
    let often = ["--delivery", "exactly-once", "--checkpoint-interval", "1s"];
    let serving = Serving::start(&folder.data(), &[&["--job", "account"][..], &often].concat());
    let body = json!({ "add": 5 }).to_string();
    // The first brings the job to the middle between two checkpoints at the earliest.
    serving.ask("/accounts/ada", "1", &body);
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| serving.post(0, "/accounts/ada", "2", &body));
        std::thread::sleep(std::time::Duration::from_millis(200));
        signal("-INT", serving.child.id().into());
        asked.join().expect("it was asked")
    });
    assert_eq!(
        answer.map(|(status, body)| (status, body["balance"].as_i64())),
        Some((200, Some(10)))
    );
    assert!(serving.ended(0).contains("account serves no longer: it was told to end"));
}

#[test]
fn a_service_answers_over_http_whoever_is_killed_and_goes_on_in_its_folder() {
    let folder = Folder::new("serve");
    let data = folder.data();
    let serving = Serving::start(&data, &["--job", "account", "--front-ends", "2"]);
    let book = |serving: &Serving, key: &str, add: i64| {
        let (status, body) = serving.ask("/accounts/ada", key, &json!({ "add": add }).to_string());
        (status, body["balance"].as_i64())
    };
    assert_eq!(book(&serving, "1", 5), (200, Some(5)));
    assert_eq!(book(&serving, "2", -7), (409, Some(5)));
    assert_eq!(book(&serving, "1", 5), (200, Some(5)), "it is done once");
    let told = live(&["jobs", "--data", &data]);
    told.ends_with(0, "account");
    for (number, process) in
        ["task-executor-1", "task-executor-2", "front-end-1", "log", "job-manager-1"]
            .into_iter()
            .enumerate()
    {
        serving.kill(process);
        let balance = 6 + i64::try_from(number).expect("few");
        assert_eq!(book(&serving, process, 1), (200, Some(balance)), "{process} was killed");
    }
    let (status, body) = serving.post(0, "/nowhere", "n", "{}").expect("the front end is there");
    assert_eq!((status, body["errors"].is_array()), (404, true), "{body}");
    assert!(serving.end().contains("account serves no longer: it was told to end"));

    live(&["serve", "--job", "echo-result", "--port", "0", "--data", &data])
        .ends_with(2, "serves account with --parallelism 1 --delivery at-least-once");
    let once = ["serve", "--job", "account", "--delivery", "exactly-once", "--port", "0"];
    live(&[&once[..], &["--data", &data]].concat()).ends_with(2, "choose another folder");
    let serving = Serving::start(&data, &["--job", "account", "--front-ends", "2"]);
    assert_eq!(book(&serving, "3", -10), (200, Some(0)), "what was booked is kept");
    let stopped = live(&["stop-cluster", "--data", &data]);
    stopped.ends_with(0, &format!("serve --job account --data {data}"));
}

#[test]
fn what_is_too_long_is_refused_and_harms_no_other_request() {
    let folder = Folder::new("serve-long");
    let serving = Serving::start(&folder.data(), &["--job", "echo-result"]);
    let long = |bytes: usize| json!({ "text": "a".repeat(bytes) }).to_string();
    let (status, _) = serving.post(0, "/", "1", &long(40_000)).expect("the front end is there");
    assert_eq!(status, 413);
    let (status, body) = serving.ask("/", "2", &format!("[{}1]", "1e15,".repeat(2_500)));
    assert!(status == 500 && body["errors"].is_array(), "its response would be too long");
    let (status, body) = serving.ask("/", "3", &long(14_000));
    assert_eq!((status, body["text"].as_str().map(str::len)), (200, Some(14_000)));
}

#[test]
fn who_ends_a_service_before_it_serves_is_told() {
    let folder = Folder::new("serve-ended");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
    command.args(["serve", "--job", "account", "--port", "0", "--data", &folder.data()]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("commands print text");
    signal("-INT", child.id().into());
    let mut said = String::new();
    out.read_to_string(&mut said).expect("commands print text");
    // A machine that is fast enough serves by then.
    let served = said.contains("serves; Ctrl-C ends it");
    let code = child.wait().expect("it is a child").code();
    assert_eq!(code, Some(if served { 0 } else { 130 }), "{said}");
}

#[test]
fn what_can_not_be_served_is_refused_in_words() {
    live(&["serve", "--job", "ehco"]).ends_with(2, "there are\n  echo-result");
    let exactly_once = ["serve", "--job", "account", "--delivery", "exactly-once"];
    let late = [&exactly_once[..], &["--timeout", "1s"]].concat();
    live(&late).ends_with(2, "a request waits 1s for it by --timeout");
    let soon = [&exactly_once[..], &["--timeout", "3s"]].concat();
    live(&soon).ends_with(2, "must be twice as long at least");
    let account = ["serve", "--job", "account"];
    for (option, value, told) in [
        ("--retention-bytes", "0", "--retention-bytes must be 1 MiB at least"),
        ("--retention", "1s", "--retention 10s"),
        ("--requests-max", "64MiB", "--requests-max must be 1 MiB more than --retention-bytes"),
    ] {
        live(&[&account[..], &[option, value]].concat()).ends_with(2, told);
    }
    live(&["serve", "--job", "account", "--port", "65535", "--front-ends", "2"])
        .ends_with(2, "there is no port 65536");
    live(&["serve", "--job", "echo-result", "--port", "0", "--parallelism", "16"])
        .ends_with(2, "needs 16 slots, and there are 8");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it listens").port().to_string();
    live(&["serve", "--job", "account", "--port", &port]).ends_with(2, "--port P names another");
    live(&["serve", "--help"]).ends_with(0, "Services of this binary:\n  echo-result");
}

#[test]
fn a_service_whose_job_is_canceled_ends() {
    let folder = Folder::new("serve-canceled");
    let data = folder.data();
    let serving = Serving::start(
        &data,
        &["--job", "fan-out", "--delivery", "exactly-once", "--checkpoint-interval", "100ms"],
    );
    let (status, body) = serving.ask("/", "k", &json!({ "text": "to be" }).to_string());
    let expected =
        json!({ "length": 5, "words": 2, "reversed": "eb ot", "event_id": body["event_id"] });
    assert_eq!((status, &body), (200, &expected));
    let jobs = live(&["jobs", "--data", &data]);
    let job = jobs.out.lines().nth(1).and_then(|line| line.split(' ').next()).expect("its job");
    live(&["cancel", job, "--data", &data]).ends_with(0, "is durable");
    let said = serving.ended(1);
    assert!(said.contains("fan-out serves no longer: its job is canceled"), "{said}");
}
