//! `explore` and `sabotage` as a person or a program sees them.
#![cfg(madsim)]

use serde_json::Value;
use std::{
    io::Read,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

fn wavetank(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    wavetank(arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A sweep that goes on until it is interrupted; it has begun.
fn endless(arguments: &[&str]) -> Child {
    let mut command = wavetank(&["explore", "journal/flapping", "--seeds", "0..100000000"]);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    // It listens before it says what it is about to do.
    let mut first = [0];
    child.stderr.as_mut().expect("a pipe").read_exact(&mut first).expect("it tells the seeds");
    child
}

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("there is kill").success());
}

#[expect(clippy::disallowed_methods, reason = "a real process needs real time")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn a_pipe_gets_plain_text_that_fits_a_page() {
    let output = run(&["explore", "--seeds", "0..20"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (text, notes) = (stdout(&output), stderr(&output));
    for line in text.lines().chain(notes.lines()) {
        assert!(line.chars().count() <= 80 && !line.contains(char::is_control), "{line:?}");
    }
    let total = text.lines().find(|line| line.starts_with("total")).expect("a row of sums");
    assert_eq!(total.split_whitespace().collect::<Vec<_>>(), ["total", "20", "20", "0", "0"]);
    assert!(text.contains("--seeds 20..10020"), "it says how to go on: {text}");
    assert!(notes.contains("seeds 0..20 over"), "it says what is run: {notes}");
    assert_eq!(notes.lines().count(), 1, "a short sweep shows no progress: {notes}");
}

#[test]
fn the_sums_of_the_json_agree() {
    let output = run(&["explore", "--seeds", "5..35", "--json"]);
    let sweep = json(&output);
    let scenarios = sweep["scenarios"].as_array().expect("a list");
    let sum = |key: &str| scenarios.iter().map(|tally| number(&tally[key])).sum::<u64>();
    assert_eq!((number(&sweep["runs"]), sum("runs"), sum("held")), (30, 30, 30));
    assert_eq!((number(&sweep["seeds"]["from"]), number(&sweep["seeds"]["to"])), (5, 35));
    let simulated: f64 = scenarios.iter().filter_map(|t| t["simulated_seconds"].as_f64()).sum();
    assert!((simulated - sweep["simulated_seconds"].as_f64().expect("a number")).abs() < 1e-3);
    assert!(number(&sweep["invariants"]["L2"]) > 0 && sweep["failures"] == serde_json::json!([]));
    let reached = sweep["milestones"].as_object().expect("counts").len();
    let missed = sweep["milestones_never_reached"].as_array().expect("names").len();
    assert!(reached > 40, "{reached} reached, {missed} not");
    assert_eq!((&sweep["interrupted"], &sweep["sabotage"]), (&Value::Bool(false), &Value::Null));
}

#[test]
fn a_sweep_that_is_interrupted_tells_what_it_has() {
    let child = endless(&[]);
    wait(Duration::from_millis(300));
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let note = text.lines().find(|line| line.starts_with("interrupted: ")).expect("a note");
    assert!(note.ends_with(" of 100000000 runs"), "{note}");
    let runs = note.split_whitespace().nth(1).expect("how many");
    let total = text.lines().find(|line| line.starts_with("total")).expect("a row of sums");
    assert_eq!(total.split_whitespace().nth(1), Some(runs), "{text}");
}

#[test]
fn interrupts_that_go_on_end_it_at_once() {
    let mut child = endless(&["--jobs", "1"]);
    while child.try_wait().expect("it can be asked").is_none() {
        interrupt(&child);
    }
    // The only run under way may have ended before the second one came.
    let code = child.wait().expect("it has ended").code();
    assert!(code == Some(130) || code == Some(0), "{code:?}");
}

#[test]
fn a_time_limit_ends_a_sweep() {
    let output = run(&["explore", "--for", "1s", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sweep = json(&output);
    let seconds = sweep["wall_seconds"].as_f64().expect("a number");
    assert!((1.0..10.0).contains(&seconds), "{seconds}");
    assert!(sweep["seeds"]["to"].is_null() && number(&sweep["runs"]) > 0, "{sweep}");
    let both = run(&["explore", "--for", "1h", "--seeds", "3..5", "--json"]);
    assert_eq!(number(&json(&both)["runs"]), 2);
}

#[test]
fn the_first_failure_of_a_known_bug_is_told() {
    let arguments = ["--until-failure", "--sabotage", "stale-token-accepted", "--seeds", "0..3000"];
    let output = run(&[&["explore"], &arguments[..]].concat());
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().any(|line| line == "violated:L2"), "{text}");
    assert!(text.contains("L2 is to catch it"), "{text}");
    let output = run(&[&["explore"], &arguments[..], &["--json"]].concat());
    let sweep = json(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(sweep["failures"][0]["verdict"], "violated:L2");
    assert!(number(&sweep["sabotage"]["line_ran"]) > 0, "{sweep}");
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    for arguments in
        [&["explore", "--seeds", "0..2"][..], &["explore", "--seeds", "0..2", "--json"]]
    {
        let mut child = wavetank(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
}

#[test]
fn known_bugs_are_caught_and_the_control_is_clean() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("sabotage.json");
    let file = file.to_str().expect("a plain path");
    let switches = ["stale-token-accepted", "complete-before-stored"];
    let output = run(&["sabotage", switches[0], switches[1], "--json", file]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // A command is not broken, so that it can be copied.
    let prose = text.lines().filter(|line| !line.contains("cargo run -- "));
    assert!(prose.into_iter().all(|line| line.chars().count() <= 80), "{text}");
    let row = |name| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a row");
        line.split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(row(switches[0])[1..3], ["FLINK-7504", "L2"]);
    assert_eq!((row(switches[1])[1].as_str(), row(switches[1])[4].as_str()), ("generic", "5/5"));
    let control = text.lines().find_map(|line| line.strip_prefix("without a switch: "));
    let control =
        control.and_then(|line| line.strip_suffix(" runs, 0 failed")).expect("it is clean");
    let control: u64 = control.parse().expect("a number");
    assert!(control >= 200, "{text}");
    let hunt: Value = serde_json::from_str(&read(file)).expect("JSON");
    for (found, name) in hunt["switches"].as_array().expect("a list").iter().zip(switches) {
        assert_eq!((&found["switch"], &found["outcome"]), (&name.into(), &"caught".into()));
        assert_eq!(found["runs_to_find"].to_string(), row(name)[3]);
        assert_eq!(found["line_ran"].to_string(), row(name)[5]);
        let searches = found["searches"].as_array().expect("a list");
        for search in searches.iter().filter(|search| !search["seed"].is_null()) {
            let passed = number(&search["seed"]) - number(&search["start"]);
            assert_eq!(number(&search["runs"]), passed + 1, "{search}");
        }
    }
    assert_eq!(number(&hunt["control"]["runs"]), control);
    assert_eq!(hunt["control"]["failures"], serde_json::json!([]));
}

#[expect(clippy::disallowed_methods, reason = "what the command wrote")]
fn read(file: &str) -> String {
    std::fs::read_to_string(file).expect("it was written")
}
