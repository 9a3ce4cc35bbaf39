//! `campaign` as a person sees it.
#![expect(clippy::disallowed_methods, reason = "reads and writes files of its own")]

use crate::{
    clone::{Clone, clone},
    explore::{endless, signal},
};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

fn sums(folder: &Clone) -> PathBuf {
    folder.join("sums")
}

fn campaign(folder: &Clone, more: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.current_dir(&**folder).args(["campaign", "sums", "word-count/quiet"]);
    command.args(more).output().expect("it runs")
}

const SEEDS: &[&str] = &["--seeds", "0..5", "--shard-seeds", "2", "--twice", "50"];

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What is in a file of the sums, without how long it took.
fn sum(folder: &Clone, name: &str) -> serde_json::Value {
    let text = fs::read(sums(folder).join(name)).expect("it is kept");
    let mut sum: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    sum["wall_seconds"] = 0.into();
    sum
}

#[test]
fn a_campaign_goes_on_where_it_was_ended() {
    let folder = clone("campaign");
    let whole = campaign(&folder, SEEDS);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    let told = stdout(&whole);
    assert!(told.starts_with("3 of 3 shards, 5 runs of 1 scenario, by 1 build\n"), "{told}");
    assert!(told.contains("3 seeds run twice: 0 differ"), "{told}");
    let first = sum(&folder, "0-2.json");
    fs::remove_file(sums(&folder).join("0-2.json")).expect("it is there");
    let fewer = stdout(&campaign(&folder, &[SEEDS, &["--sums"]].concat()));
    assert!(fewer.starts_with("2 of 3 shards, 3 runs"), "{fewer}");
    let again = campaign(&folder, SEEDS);
    let note = String::from_utf8_lossy(&again.stderr);
    assert!(note.contains("1 of 3 shards to run"), "{note}");
    assert_eq!(sum(&folder, "0-2.json"), first, "the same seeds come to the same");
    assert!(stdout(&again).starts_with("3 of 3 shards, 5 runs"), "{again:?}");
}

#[test]
fn a_folder_of_another_campaign_is_refused() {
    let folder = clone("campaign-other");
    assert_eq!(campaign(&folder, &["--seeds", "0..1"]).status.code(), Some(0));
    let other = campaign(&folder, &["--seeds", "0..2"]);
    assert_eq!(other.status.code(), Some(2));
    let told = String::from_utf8_lossy(&other.stderr);
    assert!(told.contains("its seeds are 0..1, these are 0..2"), "{told}");
}

#[test]
fn a_campaign_that_a_signal_ends_keeps_its_shards() {
    let folder = clone("campaign-signal");
    let arguments = ["campaign", "sums", "word-count/quiet", "--shard-seeds", "1", "--jobs", "1"];
    let mut child = endless(&folder, &arguments);
    let kept = sums(&folder).join("0-1.json");
    while !kept.exists() {
        assert!(child.try_wait().expect("it can be asked").is_none(), "it has ended");
        std::thread::yield_now();
    }
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(stdout(&output).contains("of 10000000 shards"), "{output:?}");
    assert!(kept.exists());
}
