//! `explore` and `sabotage` as a person or a program sees them.
use crate::clone::{Clone, clone};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

/// A command in a clone of its own.
fn wavetank(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    wavetank(&clone("explore"), arguments).output().expect("it runs")
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

/// Heeds signals, even if whoever runs the tests ignores them: a shell's background job does.
const HEEDING: &[&str] = &["--default-signal=HUP,INT,TERM"];

/// A command that goes on until it is interrupted; it has begun.
pub fn endless(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new("env");
    command.current_dir(folder).args(HEEDING).arg(BINARY).args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // It listens before it says what it is about to do.
    let mut first = [0];
    child.stderr.as_mut().expect("a pipe").read_exact(&mut first).expect("it tells the seeds");
    child
}

const SWEEP: &[&str] = &["explore", "word-count/crash-loop", "--seeds", "0..100000000"];

pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("there is kill").success());
}

/// The last row of the table of verdicts, without its name.
fn sums(text: &str) -> Vec<&str> {
    let rows = text.lines().skip_while(|line| !line.starts_with("scenario "));
    let last = rows.take_while(|line| !line.is_empty()).last().expect("a row of sums");
    let cells: Vec<&str> = last.split_whitespace().collect();
    cells[cells.len() - 4..].to_vec()
}

#[test]
fn a_pipe_gets_plain_text_that_fits_a_page() {
    let output = run(&["explore", "--seeds", "0..20"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (text, notes) = (stdout(&output), stderr(&output));
    for line in text.lines().chain(notes.lines()) {
        assert!(line.chars().count() <= 80 && !line.contains(char::is_control), "{line:?}");
    }
    assert_eq!(sums(&text), ["20", "20", "0", "0"]);
    assert!(text.contains("--seeds 20..10020"), "it says how to go on: {text}");
    let mut notes = notes.lines();
    let first = notes.next().expect("it says what is run");
    assert!(first.contains("seeds 0..20 over"), "{first}");
    // On a slow machine it says now and then how far it is.
    for note in notes {
        assert!(note.starts_with("wavetank: ") && note.contains("/20 runs"), "{note}");
    }
}

#[test]
fn the_sums_of_the_json_agree() {
    let output = run(&["explore", "--seeds", "5..35", "--json"]);
    let sweep = json(&output);
    let scenarios = sweep["scenarios"].as_array().expect("a list");
    let sum = |key: &str| scenarios.iter().map(|tally| number(&tally[key])).sum::<u64>();
    assert_eq!((number(&sweep["runs"]), sum("runs"), sum("passed")), (30, 30, 30));
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
fn a_sweep_that_a_signal_ends_tells_what_it_has() {
    let folder = clone("explore-signals");
    for name in ["-INT", "-TERM", "-HUP"] {
        let child = endless(&folder, SWEEP);
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(130), "{name}: {text}");
        let note = text.lines().find(|line| line.starts_with("interrupted: ")).expect("a note");
        assert!(note.ends_with(" of 100000000 runs"), "{note}");
        let runs = note.split_whitespace().nth(1).expect("how many");
        assert_eq!(sums(&text)[0], runs, "{text}");
    }
}

#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let folder = clone("explore-nohup");
    let mut command = Command::new("env");
    let ignoring = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\"", BINARY];
    command.current_dir(&*folder).args(HEEDING).args(ignoring);
    let child = command.args(SWEEP).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("it runs");
    let mut first = [0];
    child.stderr.as_mut().expect("a pipe").read_exact(&mut first).expect("it tells the seeds");
    signal(&child, "-HUP");
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    // A second signal that is heard would have ended it without a word.
    assert!(stdout(&output).contains("interrupted: "), "{output:?}");
}

#[test]
fn interrupts_that_go_on_end_it_at_once() {
    let folder = clone("explore-twice");
    let mut child = endless(&folder, &[SWEEP, &["--jobs", "1"]].concat());
    while child.try_wait().expect("it can be asked").is_none() {
        signal(&child, "-INT");
    }
    assert_eq!(child.wait().expect("it has ended").code(), Some(130));
}

#[test]
fn what_a_sweep_has_found_outlives_its_being_killed() {
    let folder = clone("explore-killed");
    let mut child = endless(
        &folder,
        &[
            "explore",
            "word-count/late-offers",
            "--sabotage",
            "old-offer-round-applied",
            "--seeds",
            "0..100000000",
            "--json",
        ],
    );
    let notes = BufReader::new(child.stderr.take().expect("a pipe"));
    let told =
        notes.lines().map_while(Result::ok).find(|line| line.contains("cargo run -- replay"));
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    let told = told.expect("a failure was told");
    let again: Vec<&str> = told.trim().split(' ').skip(3).collect();
    let replayed = wavetank(&folder, &again).output().expect("it runs");
    assert_eq!(replayed.status.code(), Some(1), "{}", stdout(&replayed));
    assert!(stdout(&replayed).contains("the very same run"), "{}", stdout(&replayed));
    let plans = whole_folders(&folder);
    let check = wavetank(
        &folder,
        &[&["check"], &plans.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat(),
    );
    let checked = { check }.output().expect("it runs");
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    // What was being written when it was killed is in nobody's way, and goes.
    let again =
        wavetank(&folder, &["run", "word-count/quiet", "--save"]).output().expect("it runs");
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(names(&folder.join("failures/.new")), Vec::<String>::new());
}

/// The plans of all failures that are kept; each has a whole record.
fn whole_folders(folder: &Path) -> Vec<String> {
    let kept = names(&folder.join("failures"));
    let kept: Vec<&String> = kept.iter().filter(|name| !name.starts_with('.')).collect();
    assert!(!kept.is_empty());
    for name in &kept {
        let record = read(&folder.join("failures").join(name).join("failure.json"));
        let record: Value = serde_json::from_str(&record).expect("it is whole");
        assert_eq!(record["verdict"], "violated:S4");
    }
    kept.iter().map(|name| format!("failures/{name}/plan.toml")).collect()
}

#[expect(clippy::disallowed_methods, reason = "what the command wrote")]
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it can be listed");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("it is there").file_name();
    entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect()
}

#[test]
fn every_failure_of_a_sweep_is_kept_and_named_in_the_json() {
    let folder = clone("explore-kept");
    let bug = "old-offer-round-applied";
    let sweep = ["explore", "word-count/late-offers", "--sabotage", bug, "--json"];
    let output = wavetank(&folder, &[&sweep[..], &["--seeds", "0..6"]].concat());
    let output = { output }.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let failures = json(&output)["failures"].as_array().expect("a list").clone();
    assert!(failures.len() > 1, "{failures:?}");
    for failure in &failures {
        let kept = failure["folder"].as_str().expect("each is kept");
        assert!(folder.join(kept).join("plan.toml").is_file(), "{kept}");
        let told =
            format!("failed  seed {} of word-count/late-offers: violated:S4", failure["seed"]);
        assert!(stderr(&output).contains(&told), "{told}: {}", stderr(&output));
    }
    // Of the first one a person gets everything.
    let first = failures[0]["folder"].as_str().expect("it is kept");
    assert!(
        folder.join(first).join("report.txt").is_file()
            && folder.join(first).join("trace.jsonl").is_file()
    );
}

#[test]
fn a_search_for_known_bugs_that_is_interrupted_has_caught_none_of_the_rest() {
    let folder = clone("sabotage-interrupted");
    let child = endless(&folder, &["sabotage", "stale-token-accepted", "barriers-dont-block"]);
    signal(&child, "-TERM");
    let output = child.wait_with_output().expect("it ends");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("interrupted: 0 of 2 searched for"), "{text}");
    assert!(text.contains("0 of 2 caught"), "{text}");
}

#[test]
fn a_time_limit_ends_a_sweep() {
    let output = run(&["explore", "--for", "1s", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sweep = json(&output);
    // When the runs under way have ended depends on the machine.
    let seconds = sweep["wall_seconds"].as_f64().expect("a number");
    assert!(seconds >= 1.0, "{seconds}");
    assert!(sweep["seeds"]["to"].is_null() && number(&sweep["runs"]) > 0, "{sweep}");
    let both = run(&["explore", "--for", "1h", "--seeds", "3..5", "--json"]);
    assert_eq!(number(&json(&both)["runs"]), 2);
}

#[test]
fn the_last_seeds_are_seeds_like_others() {
    let last = "18446744073709551613..18446744073709551615";
    let output = run(&["explore", "word-count/quiet", "--seeds", last]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    assert!(text.contains("2 runs ended as expected") && !text.contains("next:"), "{text}");
    let before = "18446744073709551600..18446744073709551602";
    let text = stdout(&run(&["explore", "word-count/quiet", "--seeds", before]));
    assert!(text.contains("--seeds 18446744073709551602..18446744073709551615"), "{text}");
    let output = run(&["run", "word-count/quiet", "--seed", "18446744073709551615"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_first_failure_of_a_known_bug_is_told() {
    let arguments = ["--until-failure", "--sabotage", "barriers-dont-block", "--seeds", "0..3000"];
    let output = run(&[&["explore"], &arguments[..]].concat());
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().any(|line| line == "violated:C7"), "{text}");
    assert!(text.contains("C7 is to catch it"), "{text}");
    let output = run(&[&["explore"], &arguments[..], &["--json"]].concat());
    let sweep = json(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(sweep["failures"][0]["verdict"], "violated:C7");
    assert!(number(&sweep["sabotage"]["line_ran"]) > 0, "{sweep}");
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let folder = clone("explore-reader");
    for arguments in
        [&["explore", "--seeds", "0..2"][..], &["explore", "--seeds", "0..2", "--json"]]
    {
        let mut child = wavetank(&folder, arguments)
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
    let folder: Clone = clone("sabotage");
    only_these(&folder, &["late-offers", "crash-loop"]);
    let switches = ["old-offer-round-applied", "complete-before-stored"];
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bugs.md"));
    put(&folder.join("bugs.md"), &page);
    let files = ["--json", "sabotage.json", "--page", "bugs.md"];
    let search = [&["sabotage", switches[0], switches[1]][..], &files[..]].concat();
    let output = wavetank(&folder, &search).output().expect("it runs");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // A command is not broken, so that it can be copied.
    let prose = text.lines().filter(|line| !line.contains("cargo run -- "));
    assert!(prose.into_iter().all(|line| line.chars().count() <= 80), "{text}");
    let row = |name| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a row");
        line.split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(row(switches[0])[1..3], ["FLINK-21859", "S4"]);
    assert_eq!((row(switches[1])[1].as_str(), row(switches[1])[4].as_str()), ("G-7", "5/5"));
    let control = text.lines().find_map(|line| line.strip_prefix("without a switch: "));
    let control =
        control.and_then(|line| line.strip_suffix(" runs, 0 failed")).expect("it is clean");
    let control: u64 = control.parse().expect("a number");
    assert!(control >= 200, "{text}");
    let hunt: Value = serde_json::from_str(&read(&folder.join("sabotage.json"))).expect("JSON");
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
    let written = read(&folder.join("bugs.md"));
    assert!(written.contains("Of 2 known bugs 2 are caught by each of 5 searches"), "{written}");
    for name in switches {
        let row = written.lines().find(|line| line.contains(&format!("`{name}`"))).expect("a row");
        let command = row.split('`').find_map(|part| part.strip_prefix("cargo run -- "));
        let run: Vec<&str> = command.expect("a command").split(' ').collect();
        let again = wavetank(&folder, &run).output().expect("it runs");
        assert_eq!(again.status.code(), Some(1), "{row}");
    }
    let around = |page: &str| {
        let (before, rest) = page.split_once("<!-- begin").expect("it begins");
        let (_, behind) = rest.split_once("<!-- end").expect("it ends");
        [before.to_string(), behind.to_string()]
    };
    assert_eq!(around(&written), around(&page), "what is around it stays");
}

/// Leaves of the scenarios some word counts, with little to count.
#[expect(clippy::disallowed_methods, reason = "the test's own files")]
fn only_these(folder: &Path, names: &[&str]) {
    let scenarios = folder.join("scenarios");
    let texts = names.iter().map(|name| {
        let text = read(&scenarios.join(format!("word-count/{name}.toml")));
        let few = "[[job]]\nlines = 100\n";
        let text = match text.contains("[[job]]") {
            true => text.replace("[[job]]\nname = \"word-count\"\n", few),
            false => text.replacen("[[fault]]", &format!("{few}\n[[fault]]"), 1),
        };
        (name, text)
    });
    let texts: Vec<_> = texts.collect();
    std::fs::remove_dir_all(&scenarios).expect("it is ours");
    std::fs::create_dir_all(scenarios.join("word-count")).expect("it is ours");
    for (name, text) in texts {
        std::fs::write(scenarios.join(format!("word-count/{name}.toml")), text)
            .expect("it is ours");
    }
}

#[expect(clippy::disallowed_methods, reason = "what the command wrote")]
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("it was written")
}

#[expect(clippy::disallowed_methods, reason = "what the command is to change")]
fn put(file: &Path, text: &str) {
    std::fs::write(file, text).expect("it is ours");
}
