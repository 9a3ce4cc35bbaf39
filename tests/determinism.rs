//! One seed is one run: in every process, and whatever else the machine does.
#![cfg(madsim)]

use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

fn wavetank(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn two_fresh_processes_agree_on_every_digest() {
    let output = wavetank(&["determinism", "--seeds", "0..50"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("50 seeds"), "{}", text(&output));
}

#[test]
fn processes_that_compete_for_the_machine_agree() {
    let digest = || {
        let mut command = wavetank(&["digest", "--seeds", "50..80"]);
        command.stdout(std::process::Stdio::piped()).spawn().expect("it runs")
    };
    let running: Vec<_> = (0..6).map(|_| digest()).collect();
    let digests: Vec<String> = running
        .into_iter()
        .map(|child| text(&child.wait_with_output().expect("it ends")))
        .collect();
    assert_eq!(digests[0].lines().count(), 30);
    assert!(digests.iter().all(|other| *other == digests[0]));
}

#[test]
fn a_difference_is_found_and_named_with_the_entries_before_it() {
    let output =
        wavetank(&["determinism", "--seeds", "0..2", "--disturb"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let report = text(&output);
    let parts = report.split("the runs part at entry ").nth(1).expect("it names the entry");
    let entry: usize = parts.split(':').next().and_then(|n| n.parse().ok()).expect("a number");
    let shown = parts.lines().filter(|line| line.starts_with("    ")).count();
    assert_eq!(shown, entry.min(10), "{report}");
    assert!(report.contains("\n  1 ") && report.contains("\n  2 "), "{report}");
}
