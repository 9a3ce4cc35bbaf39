//! `milestones` as a person and the tests see it.
#![expect(clippy::disallowed_methods, reason = "reads and writes files of its own")]

use crate::{
    clone::clone,
    explore::{endless, signal},
};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

fn milestones(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).arg("milestones").args(arguments).output().expect("it runs")
}

#[test]
fn each_rare_milestone_is_reached_by_its_row() {
    let output = milestones(&clone("milestones"), &["--check"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let rows = told.split(' ').next().and_then(|count| count.parse::<u32>().ok());
    assert!(rows.is_some_and(|rows| rows > 20), "{told}");
}

#[test]
fn a_row_that_does_not_reach_its_milestone_is_told() {
    let folder = clone("milestones-lost");
    let table =
        "common = []\n[rare.process-restarted]\nscenario = \"word-count/quiet\"\nseed = 7\n";
    fs::write(folder.join("table.toml"), table).expect("it can be written");
    let output = milestones(&folder, &["--check", "--table", "table.toml"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("process-restarted: word-count/quiet, seed 7"), "{told}");
    fs::write(folder.join("table.toml"), "common = 3\n").expect("it can be written");
    let output = milestones(&folder, &["--check", "--table", "table.toml"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("table.toml"), "{told}");
}

#[test]
fn a_search_for_milestones_that_is_interrupted_writes_nothing() {
    let folder = clone("milestones-signal");
    let arguments = ["milestones", "--runs", "10000000", "--table", "table.toml"];
    let child = endless(&folder, &arguments);
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(!folder.join("table.toml").exists());
}
