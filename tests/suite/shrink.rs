//! A failure's plan is made smaller, and still fails the same way.
#![expect(clippy::disallowed_methods, reason = "looks at what the tool wrote")]

use crate::{
    clone::{Clone, clone},
    explore::{endless, signal},
};
use std::{
    fs,
    process::{Command, Output},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

/// A known bug that a cluster of one job manager shows under one fault.
const FAILING: &[&str] =
    &["run", "word-count/late-offers", "--seed", "0", "--sabotage", "old-offer-round-applied"];
const FOLDER: &str = "failures/S4-word-count-late-offers-0";

fn wavetank(place: &Clone, arguments: &[&str]) -> (i32, String) {
    let output: Output =
        Command::new(BINARY).current_dir(&**place).args(arguments).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code().expect("it ended by itself"), text)
}

fn failed(test: &str) -> Clone {
    let place = clone(&format!("shrink-{test}"));
    let (code, text) = wavetank(&place, FAILING);
    assert_eq!(code, 1, "{text}");
    place
}

fn read(place: &Clone, path: &str) -> String {
    fs::read_to_string(place.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A line of what there is less of: before and after.
fn less(text: &str, what: &str) -> (u64, u64) {
    let line = text.lines().find(|line| line.trim_start().starts_with(what));
    let line = line.unwrap_or_else(|| panic!("{what}:\n{text}"));
    let numbers: Vec<u64> =
        line[what.len() + 2..].split_whitespace().filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1])
}

#[test]
fn a_failure_shrinks_to_what_it_needs_and_replays() {
    let place = failed("smaller");
    let (code, text) = wavetank(&place, &["shrink", FOLDER, "--schedules", "4"]);
    assert_eq!(code, 0, "{text}");
    let (faults, nodes, lines) =
        (less(&text, "faults"), less(&text, "nodes, by keys"), less(&text, "lines"));
    assert!(faults.0 == 7 && faults.1 <= 2, "{text}");
    assert!(nodes.1 < nodes.0 && nodes.1 <= 6 && lines.1 <= lines.0 / 4, "{text}");
    assert!(text.contains("fails under ") && text.contains(" of 4 schedules, the whole plan"));
    let shrunk = format!("{FOLDER}/shrunk");
    assert!(text.contains(&format!("\nagain   cargo run -- replay {shrunk}\n")), "{text}");
    let (code, told) = wavetank(&place, &["replay", &shrunk]);
    assert!(code == 1 && told.contains("the very same run"), "{told}");
    assert!(told.contains("S4 no-old-round at "), "{told}");
    assert!(read(&place, &format!("{shrunk}/report.txt")).contains("what led to it"));
    // What is as small as it can be stays, and takes the place of what was there.
    let (code, again) = wavetank(&place, &["shrink", &shrunk, "--schedules", "1"]);
    assert_eq!(code, 0, "{again}");
    let plan = |folder: &str| read(&place, &format!("{folder}/plan.toml"));
    let smallest = plan(&shrunk);
    assert_eq!(plan(&format!("{shrunk}/shrunk")), smallest);
    let (code, _) = wavetank(&place, &["shrink", FOLDER, "--candidates", "1", "--schedules", "1"]);
    assert!(code == 0 && plan(&shrunk) != smallest, "it is a new one");
}

#[test]
fn what_does_not_fail_any_more_is_not_shrunk() {
    let place = failed("mended");
    let record = format!("{FOLDER}/failure.json");
    let mended = read(&place, &record).replace("\"old-offer-round-applied\"", "null");
    fs::write(place.join(&record), mended).expect("it can be written");
    let (code, text) = wavetank(&place, &["shrink", FOLDER]);
    assert!(code == 1 && text.contains("it does not fail any more"), "{text}");
    assert!(!place.join(format!("{FOLDER}/shrunk")).exists());
}

#[test]
fn what_is_no_failure_is_refused() {
    let place = failed("refused");
    let (code, text) = wavetank(&place, &["shrink", "nowhere"]);
    assert!(code == 2 && text.contains("under failures/ there are S4-"), "{text}");
    fs::write(place.join(format!("{FOLDER}/plan.toml")), "system = ").expect("it can be written");
    let (code, text) = wavetank(&place, &["shrink", FOLDER]);
    assert!(code == 2 && text.contains("plan.toml"), "{text}");
    let (code, text) = wavetank(&place, &["shrink", FOLDER, "--candidates", "0"]);
    assert!(code == 2 && text.contains("--candidates"), "{text}");
}

#[test]
fn a_shrinking_that_a_signal_ends_keeps_the_smallest() {
    let place = failed("signal");
    let child = endless(&place, &["shrink", FOLDER]);
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("stopped before it was known"), "{text}");
    let (code, told) = wavetank(&place, &["replay", &format!("{FOLDER}/shrunk")]);
    assert!(code == 1 && told.contains("the very same run"), "{told}");
}

#[test]
fn when_it_was_lost_is_told_and_drawn() {
    let place = failed("lost");
    let shrink = ["shrink", FOLDER, "--for", "1ms", "--schedules", "1"];
    let (code, text) = wavetank(&place, &[&shrink[..], &["--ways", "3"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\nwhen it was lost: 3 other ways from each moment on\n"), "{text}");
    let shrunk = format!("{FOLDER}/shrunk");
    let page = read(&place, &format!("{shrunk}/report.html"));
    let data = |of: &str| {
        let (_, data) =
            page.split_once(&format!("id=\"{of}\" type=\"application/json\">")).expect(of);
        let data = data.split("</script>").next().expect("a first part");
        serde_json::from_str::<serde_json::Value>(data).expect("it is JSON")
    };
    let outlooks = data("data")["outlooks"].as_array().expect("a list").clone();
    assert!(outlooks.len() > 3 && outlooks[0]["what"] == "it begins", "{outlooks:?}");
    let shares = outlooks.iter().map(|one| one["share"].as_f64().expect("a number"));
    assert!(shares.clone().all(|share| (0.0..=1.0).contains(&share)), "{outlooks:?}");
    // The nearest run that passes stands in the page, and `diff` makes it again.
    let passing = data("passing");
    match text.split_once("nearest run that passes: seed 0@") {
        Some((_, rest)) => {
            let branch = rest.split(',').next().expect("a first part").split_whitespace();
            let branch = branch.collect::<String>();
            assert_eq!(passing["verdict"], "passed");
            assert!(passing["partsAt"].as_u64() == data("data")["partsAt"].as_u64(), "{branch}");
            let other = format!("{shrunk}@{branch}");
            let (code, text) = wavetank(&place, &["diff", &shrunk, &other]);
            assert!(code == 1 && text.contains("\nB  passed in "), "{text}");
        }
        None => assert!(passing.is_null(), "{text}"),
    }
    // Nobody asks for it: nothing is told.
    let (code, text) = wavetank(&place, &[&shrink[..], &["--ways", "0"]].concat());
    assert!(code == 0 && !text.contains("when it was lost"), "{text}");
}
