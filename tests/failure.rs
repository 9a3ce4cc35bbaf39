//! A run that fails is kept, runs again from its data, and becomes a regression.
#![cfg(madsim)]
#![expect(clippy::disallowed_methods, reason = "looks at what the tool wrote")]

mod clone;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");
/// The seed of `journal/held-appends` under which a stale token is told at once.
const SEED: &str = "0";

/// A clone of its own for a test.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        Place(clone::clone(&format!("failure-{test}")))
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(BINARY).current_dir(&self.0).args(arguments).output();
        let output: Output = output.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("panicked"), "{text}");
        (output.status.code().expect("it ended by itself"), text)
    }

    /// Provokes a failure and returns its folder.
    fn fail(&self) -> String {
        let run =
            ["run", "journal/held-appends", "--seed", SEED, "--sabotage", "stale-token-accepted"];
        let (code, text) = self.run(&run);
        assert_eq!(code, 1, "{text}");
        let folder = format!("failures/L2-journal-held-appends-{SEED}");
        assert!(text.contains(&format!("again   cargo run -- replay {folder}\n")), "{text}");
        folder
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has {from:?}:\n{text}");
        fs::write(self.0.join(path), text.replace(from, to)).expect("it can be written");
    }
}

#[test]
fn a_failure_is_one_folder_that_says_everything() {
    let place = Place::new("folder");
    let folder = place.fail();
    let report = place.read(&format!("{folder}/report.txt"));
    let at = |what: &str| report.find(what).unwrap_or_else(|| panic!("{what}:\n{report}"));
    let order = [
        "L2 fenced-mailbox at ",
        "  before  ",
        "  now  ",
        "the last changes",
        "faults in force",
        "plan ",
        "again ",
    ];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{report}");
    assert!(report.lines().count() <= 32, "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
    for file in ["trace.jsonl", "fates.jsonl"] {
        let lines = place.read(&format!("{folder}/{file}"));
        assert!(lines.lines().count() > 10, "{file}");
        for line in lines.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
        }
    }
    assert!(place.read(&format!("{folder}/history.txt")).contains("granted"));
    let plan = place.read(&format!("{folder}/plan.toml"));
    assert!(plan.contains("pick = ") && plan.contains("\n# "), "{plan}");
    // The same failure once more is the same folder.
    assert_eq!(place.fail(), folder);
    assert_eq!(fs::read_dir(place.0.join("failures")).unwrap().count(), 1);
}

#[test]
fn a_failure_is_replayed_from_its_data() {
    let place = Place::new("replay");
    let folder = place.fail();
    let report = place.read(&format!("{folder}/report.txt"));
    // Neither the scenario nor its name is needed any more.
    fs::remove_dir_all(place.0.join("scenarios")).unwrap();
    let (code, text) = place.run(&["replay", &folder]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("the very same run") && text.ends_with(&report), "{text}");
    let (code, plan) = place.run(&["replay", &format!("{folder}/plan.toml")]);
    assert_eq!((code, plan), (1, text));
    let (code, text) = place.run(&["replay", &folder, "--log", "wavetank=debug"]);
    assert!(code == 1 && text.contains("s journal-1/1"), "{text}");
    let (code, text) = place.run(&["replay", &folder, "--history"]);
    assert!(code == 1 && text.contains("journal-1: granted"), "{text}");
}

#[test]
fn after_a_change_of_the_code_a_plan_is_tried_under_many_schedules() {
    let place = Place::new("changed");
    let folder = place.fail();
    let record = format!("{folder}/failure.json");
    place.edit(&record, "\"digest\": \"", "\"digest\": \"0");
    let (code, text) = place.run(&["replay", &folder]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("another run now") && text.contains(" of 20\n"), "{text}");
    assert!(text.contains("violated:L2") && text.contains("L2 fenced-mailbox at "), "{text}");
    let again = text.lines().find_map(|line| line.strip_prefix("again   cargo run -- "));
    let again: Vec<&str> = again.expect("a command").split(' ').collect();
    let (code, one) = place.run(&again);
    assert!(code == 1 && one.contains("L2 fenced-mailbox at "), "{one}");
    let (code, text) = place.run(&["replay", &folder, "--no-sabotage", "--schedules", "5"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("5 of 5"), "{text}");
}

#[test]
fn a_plan_that_no_longer_leads_there_is_stale() {
    let place = Place::new("stale");
    let folder = place.fail();
    place.edit(
        &format!("{folder}/failure.json"),
        "\"milestones\": {",
        "\"milestones\": {\"job-finished\": 1,",
    );
    let (code, text) = place.run(&["replay", &folder, "--no-sabotage"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("stale: in 20 runs job-finished is no longer reached"), "{text}");
}

#[test]
fn a_failure_becomes_a_regression_with_its_snapshot() {
    let place = Place::new("keep");
    let folder = place.fail();
    let (code, text) =
        place.run(&["keep", &folder, "late-append", "--description", "A \"late\" one."]);
    assert_eq!(code, 0, "{text}");
    let plan = place.read("scenarios/regressions/late-append.toml");
    assert!(
        plan.starts_with("# violated:L2 in journal/held-appends, seed 0 with --sabotage"),
        "{plan}"
    );
    assert!(plan.contains("reaches = [") && !plan.contains("sabotage ="), "{plan}");
    let snapshot = place.read("snapshots/regressions__late-append.snap");
    assert!(snapshot.contains("regressions/late-append seed 1, 5 schedules"), "{snapshot}");
    assert!(snapshot.contains("verdict: held"), "{snapshot}");
    let (code, text) = place.run(&["explore", "regressions/late-append", "--seeds", "0..20"]);
    assert_eq!(code, 0, "{text}");
    for (name, reason) in [("late-append", "is there already"), ("Late append", "lower-case")] {
        let (code, text) = place.run(&["keep", &folder, name]);
        assert!(code == 2 && text.contains(reason), "{text}");
    }
}

#[test]
fn a_damaged_folder_is_explained() {
    let place = Place::new("damaged");
    let folder = place.fail();
    let refused = |path: &str, reason: &str| {
        let (code, text) = place.run(&["replay", path]);
        assert!(code == 2 && text.contains(reason), "{text}");
    };
    let record = format!("{folder}/failure.json");
    place.edit(&record, "\"format\": 1", "\"format\": 7");
    refused(&folder, "has format 7, this build reads format 1: use a newer build");
    place.edit(&record, "\"format\": 7", "\"format\": 1");
    place.edit(&format!("{folder}/plan.toml"), "kind = ", "kynd = ");
    refused(&folder, "plan.toml:");
    fs::remove_file(place.0.join(format!("{folder}/plan.toml"))).unwrap();
    refused(&folder, "plan.toml is missing");
    let half = place.read(&record);
    fs::write(place.0.join(&record), &half[..half.len() / 2]).unwrap();
    refused(&folder, "damaged or cut short");
    refused("scenarios", "scenarios/failure.json is missing");
    refused("nowhere", &format!("under failures/ there are {}", &folder["failures/".len()..]));
}

#[test]
fn a_failure_is_told_even_if_it_can_not_be_kept() {
    let place = Place::new("full");
    fs::write(place.0.join("failures"), "a file where the folder should be").unwrap();
    let run = ["run", "journal/held-appends", "--seed", SEED, "--sabotage", "stale-token-accepted"];
    let (code, text) = place.run(&run);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("could not be kept") && text.contains("  before  "), "{text}");
}

#[test]
fn another_run_in_a_fresh_process_is_no_confirmation() {
    let place = Place::new("confirm");
    let folder = place.fail();
    place.edit(&format!("{folder}/failure.json"), "\"digest\": \"", "\"digest\": \"0");
    let (code, text) = place.run(&["confirm", &folder, "elsewhere"]);
    assert_eq!(code, 4, "{text}");
    assert_eq!(text.trim().len(), 32, "{text}");
}
