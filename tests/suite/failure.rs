//! A run that fails is kept, runs again from its data, and becomes a regression.
#![expect(clippy::disallowed_methods, reason = "looks at what the tool wrote")]

use crate::clone::Clone;
use std::{
    fs,
    process::{Command, Output, Stdio},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");
/// Two faults that lead a stale token to the endpoint of a new term.
const HELD_CALLS: &str = "system = \"cluster\"
description = \"Calls to the only job manager are held back over a change of its term.\"

[cluster]
job-managers = 1
session-timeout = \"2s\"

[[job]]
lines = 100

[[fault]]
kind = \"hold\"
from = \"clients\"
to = \"job-manager-1\"
message = \"DispatcherGateway.\"
at = \"500ms\"
duration = \"6s\"

[[fault]]
kind = \"partition\"
shape = \"isolate\"
target = \"coordination\"
at = \"600ms\"
duration = \"2600ms\"
";

/// What fails.
const FAILING: &[&str] =
    &["run", "word-count/held-calls", "--seed", "0", "--sabotage", "stale-token-accepted"];

/// A clone of its own for a test.
struct Place(Clone);

impl Place {
    fn new(test: &str) -> Self {
        let place = Place(crate::clone::clone(&format!("failure-{test}")));
        place.write("scenarios/word-count/held-calls.toml", HELD_CALLS);
        place
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(BINARY).current_dir(&*self.0).args(arguments).output();
        let output: Output = output.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("panicked"), "{text}");
        (output.status.code().expect("it ended by itself"), text)
    }

    /// Provokes a failure and returns its folder.
    fn fail(&self) -> String {
        let (code, text) = self.run(FAILING);
        assert_eq!(code, 1, "{text}");
        let folder = "failures/L2-word-count-held-calls-0".to_string();
        assert!(text.contains(&format!("again   cargo run -- replay {folder}\n")), "{text}");
        folder
    }

    /// The names of what is kept, without what is being written.
    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("failures")).expect("something is kept");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name());
        let mut names: Vec<String> =
            names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.0.join(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
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
        "what led to it",
        "what led to the event before",
        "faults in force",
        "plan ",
        "again ",
    ];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{report}");
    assert!(report.lines().count() <= 46, "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
    let led = report.split("the last step first\n").nth(1).expect("the section");
    let led: Vec<&str> = led.lines().take_while(|line| !line.is_empty()).collect();
    // What goes on below another line is no step of its own.
    let led: Vec<&str> = led.into_iter().filter(|line| line.contains("s  ")).collect();
    assert!((3..=12).contains(&led.len()), "{led:?}");
    assert!(led[0].contains("job-manager-1: handler started"), "{led:?}");
    assert!(led[1].contains("client-1 -> job-manager-1: DispatcherGateway."), "{led:?}");
    for (file, told) in [("trace.jsonl", "job-manager-1"), ("fates.jsonl", "\"fate\":\"held\"")] {
        let lines = place.read(&format!("{folder}/{file}"));
        assert!(lines.contains(told), "{file}: {lines}");
        for line in lines.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
        }
    }
    assert!(place.read(&format!("{folder}/history.txt")).contains("granted"));
    let page = place.read(&format!("{folder}/report.html"));
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "it needs nothing from outside"
    );
    let data = page.split_once("type=\"application/json\">").expect("its data").1;
    let data = data.split_once("</script>").expect("its end").0;
    let data: serde_json::Value = serde_json::from_str(data).expect("it is JSON");
    let broke = data["broke"].as_u64().and_then(|place| usize::try_from(place).ok());
    let broke = broke.expect("the place at which it broke");
    let cause = data["entries"]["cause"][broke].as_u64().expect("something led to it");
    let text = &data["entries"]["text"][usize::try_from(cause).expect("a place")];
    let text = &data["strings"][usize::try_from(text.as_u64().expect("a text")).expect("a place")];
    assert!(text.as_str().expect("a text").starts_with("DispatcherGateway."), "{text}");
    assert!(data["bars"].as_array().is_some_and(|bars| bars.len() > 3), "{}", data["bars"]);
    assert!(data["faults"].as_array().is_some_and(|faults| faults.len() == 2));
    let plan = place.read(&format!("{folder}/plan.toml"));
    assert!(plan.contains("pick = ") && plan.contains("\n# "), "{plan}");
    // The same failure once more is the same folder.
    assert_eq!(place.fail(), folder);
    assert_eq!(place.kept(), [&folder["failures/".len()..]]);
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
    let (code, log) = place.run(&["replay", &folder, "--log", "wavetank=debug"]);
    assert_eq!(code, 1, "{log}");
    let (code, text) = place.run(&["replay", &folder, "--history"]);
    assert!(code == 1 && text.contains("job-manager-1: granted"), "{text}");
    // Every change of state is logged too, at the same time of the same node.
    let history = text.split("what led to it").next().expect("a text has a first part");
    let changes = history.lines().filter_map(|line| {
        let (time, rest) = line.trim_start().split_once("s  ")?;
        Some((time.parse::<f64>().ok()?, rest.split_once(": ")?.0.to_string()))
    });
    let changes: Vec<(f64, String)> = changes.collect();
    assert!(changes.len() > 15, "{text}");
    let events = log.lines().filter(|line| line.contains("DEBUG wavetank::event: "));
    let logged: Vec<(f64, &str)> = events
        .filter_map(|line| {
            let (time, rest) = line.trim_start().split_once("s ")?;
            Some((time.parse().ok()?, rest.split_once('/')?.0))
        })
        .collect();
    for (time, node) in changes {
        let same = |(at, who): &(f64, &str)| (at - time).abs() < 0.0006 && *who == node;
        assert!(logged.iter().any(same), "{time} {node} is not in the log:\n{log}");
    }
}

#[test]
fn a_run_that_is_judged_otherwise_is_told() {
    let place = Place::new("judged");
    let folder = place.fail();
    place.edit(&format!("{folder}/failure.json"), "\"violated:L2\"", "\"violated:L3\"");
    let (code, text) = place.run(&["replay", &folder]);
    assert_eq!(code, 1, "{text}");
    assert!(!text.contains("in a fresh process"), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "judged otherwise: violated:L3 when it was kept, violated:L2 now";
    assert!(words.contains(told), "{text}");
    let (code, text) = place.run(&["confirm", &folder, "elsewhere"]);
    assert!(code == 4 && text.contains("it is judged as violated:L2"), "{text}");
}

/// The same between two others: the first never comes, and the last has nothing to do with the failure.
fn four_faults() -> String {
    let (before, two) = HELD_CALLS.split_once("[[fault]]").expect("it has faults");
    format!(
        "{before}[[fault]]
kind = \"pause\"
target = \"client-1\"
on = {{ milestone = \"job-finished\", nth = 500 }}
duration = \"1s\"

[[fault]]{two}
[[fault]]
kind = \"pause\"
target = \"task-executor-1\"
at = \"100ms\"
duration = \"300ms\"
"
    )
}

/// The faults of a plan, each a text.
fn faults(plan: &str) -> Vec<String> {
    plan.split("[[fault]]").skip(1).map(|fault| format!("[[fault]]{fault}")).collect()
}

#[test]
fn a_plan_that_was_cut_down_by_hand_is_replayed_and_kept() {
    let place = Place::new("cut");
    place.write("scenarios/word-count/four.toml", four_faults());
    let switch = ["--sabotage", "stale-token-accepted"];
    let run = [&["run", "word-count/four"], &switch[..]].concat();
    let (code, text) = place.run(&run);
    assert_eq!(code, 1, "{text}");
    let folder = "failures/L2-word-count-four-0";
    let plan = place.read(&format!("{folder}/plan.toml"));
    let all = faults(&plan);
    assert!(all.len() == 4 && plan.contains("name = \"fault-4\""), "{plan}");
    // What never came, and what does not matter, is taken out.
    for cut in [0, 3] {
        place.edit(&format!("{folder}/plan.toml"), &all[cut], "");
    }
    let (code, text) = place.run(&["replay", folder]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("violated:L2              20 of 20, as it was kept"), "{text}");
    let (code, text) = place.run(&["add-regression", folder, "late-call"]);
    assert_eq!(code, 0, "{text}");
    let kept = place.read("scenarios/regressions/late-call.toml");
    assert_eq!(faults(&kept).len(), 2, "{kept}");
    assert!(kept.contains("name = \"fault-2\"") && kept.contains("name = \"fault-3\""), "{kept}");
    // It still leads to the bug.
    let again = [&["run", "regressions/late-call", "--json"], &switch[..]].concat();
    let (code, text) = place.run(&again);
    assert!(code == 1 && text.contains("\"violated:L2\""), "{text}");
}

#[test]
fn what_never_came_is_left_out_and_what_somebody_adds_stays() {
    let place = Place::new("added");
    place.write("scenarios/word-count/four.toml", four_faults());
    let (code, text) = place.run(&["run", "word-count/four", "--save"]);
    assert_eq!(code, 0, "{text}");
    let folder = "failures/passed-word-count-four-0";
    let plan = place.read(&format!("{folder}/plan.toml"));
    let mine = faults(&plan)[3].replace("fault-4", "mine");
    fs::write(place.0.join(format!("{folder}/plan.toml")), format!("{plan}\n{mine}")).unwrap();
    let (code, text) = place.run(&["add-regression", folder, "late-call"]);
    assert_eq!(code, 0, "{text}");
    let kept = place.read("scenarios/regressions/late-call.toml");
    assert_eq!(faults(&kept).len(), 4, "{kept}");
    assert!(kept.contains("\"mine\"") && !kept.contains("\"fault-1\""), "{kept}");
    // One that comes to nothing would make it stale from the first day.
    let never = faults(&plan)[0].replace("fault-1", "never");
    fs::write(place.0.join(format!("{folder}/plan.toml")), format!("{plan}\n{never}")).unwrap();
    let (code, text) = place.run(&["add-regression", folder, "old-call"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("job-finished is no longer reached 500 times"), "{text}");
    assert!(!place.0.join("scenarios/regressions/old-call.toml").exists());
}

#[test]
fn a_plan_that_still_fails_is_kept_and_told() {
    let place = Place::new("fails");
    let text = four_faults().replace("description", "expect = \"stuck\"\ndescription");
    place.write("scenarios/word-count/four.toml", text);
    let (code, text) = place.run(&["run", "word-count/four"]);
    assert_eq!(code, 1, "it passes, which it is not to do: {text}");
    let (code, text) =
        place.run(&["add-regression", "failures/passed-word-count-four-0", "late-call"]);
    assert!(code == 1 && text.contains("it still fails under 5 of 5 schedules"), "{text}");
    assert!(place.0.join("scenarios/regressions/late-call.toml").is_file());
    assert!(!place.0.join("snapshots/regressions__late-call.snap").exists());
}

#[test]
fn runs_that_are_kept_at_once_do_not_collide() {
    let place = Place::new("at-once");
    let keep = |schedule: &str| {
        let run = ["run", "word-count/quiet", "--save", "--schedule", schedule];
        let mut command = Command::new(BINARY);
        command.current_dir(&*place.0).args(run).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it runs")
    };
    // Four of one run, and two of others under the same name.
    let running: Vec<_> = ["1", "1", "1", "1", "2", "3"].map(keep).into_iter().collect();
    for child in running {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(
        place.kept(),
        ["passed-word-count-quiet-0", "passed-word-count-quiet-0-2", "passed-word-count-quiet-0-3"]
    );
    for folder in place.kept() {
        for file in ["plan.toml", "failure.json", "report.txt", "trace.jsonl"] {
            assert!(place.0.join("failures").join(&folder).join(file).is_file(), "{folder}/{file}");
        }
    }
}

#[test]
fn a_failure_is_kept_whatever_is_printed() {
    let place = Place::new("json");
    let (code, text) = place.run(&[FAILING, &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&text).expect("nothing else is said");
    let folder = report["folder"].as_str().expect("it is kept");
    assert_eq!((code, folder), (1, "failures/L2-word-count-held-calls-0"));
    assert!(place.0.join(folder).join("report.txt").is_file());
    let (code, text) = place.run(&["run", "word-count/quiet", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("nothing else is said");
    assert!(code == 0 && report["folder"].is_null());
}

#[test]
fn what_could_not_be_written_is_no_success() {
    let place = Place::new("unwritten");
    fs::write(place.0.join("failures"), "a file where the folder should be").unwrap();
    for more in [&[][..], &["--json"]] {
        let (code, text) = place.run(&[&["run", "word-count/quiet", "--save"], more].concat());
        assert_eq!(code, 2, "{text}");
    }
    // A disk on which nothing can be written; that it is so is found out too late to refuse it.
    for command in
        [&["run", "word-count/quiet"][..], &["explore", "word-count/quiet", "--seeds", "0..2"]]
    {
        let (code, text) = place.run(&[command, &["--json", "/dev/full"]].concat());
        assert!(code == 2 && text.contains("/dev/full: No space left on device"), "{text}");
    }
    let (code, text) = place.run(&["run", "word-count/quiet", "--output", "/dev/full"]);
    assert!(code == 2 && text.contains("/dev/full: No space left on device"), "{text}");
}

#[test]
fn after_a_change_of_the_code_a_plan_is_tried_under_many_schedules() {
    let place = Place::new("changed");
    let folder = place.fail();
    let record = format!("{folder}/failure.json");
    place.edit(&record, "\"digest\": \"", "\"digest\": \"0");
    let (code, text) = place.run(&["replay", &folder]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("another run now"), "{text}");
    assert!(text.contains("20 of 20, as it was kept"), "{text}");
    // It ran once, in this process.
    assert!(!text.contains("in a fresh process"), "{text}");
    assert!(text.contains("violated:L2") && text.contains("L2 fenced-mailbox at "), "{text}");
    let again = text.lines().find_map(|line| line.strip_prefix("again   cargo run -- "));
    let again: Vec<&str> = again.expect("a command").split(' ').collect();
    let (code, one) = place.run(&again);
    assert!(code == 1 && one.contains("L2 fenced-mailbox at "), "{one}");
    let (code, text) = place.run(&["replay", &folder, "--no-sabotage", "--schedules", "5"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("5 of 5\n"), "{text}");
    assert!(text.contains("violated:L2              0 of 5, as it was kept"), "{text}");
}

#[test]
fn a_plan_that_no_longer_leads_there_is_stale() {
    let place = Place::new("stale");
    let folder = place.fail();
    place.edit(
        &format!("{folder}/failure.json"),
        "\"milestones\": {",
        "\"milestones\": {\"job-canceled\": 1,",
    );
    let (code, text) = place.run(&["replay", &folder, "--no-sabotage"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("stale: in 20 runs job-canceled is no longer reached"), "{text}");
}

#[test]
fn a_failure_becomes_a_regression_with_its_snapshot() {
    let place = Place::new("keep");
    let folder = place.fail();
    let (code, text) =
        place.run(&["add-regression", &folder, "late-call", "--description", "A \"late\" one."]);
    assert_eq!(code, 0, "{text}");
    let plan = place.read("scenarios/regressions/late-call.toml");
    assert!(
        plan.starts_with("# violated:L2 in word-count/held-calls, seed 0 with --sabotage"),
        "{plan}"
    );
    assert!(plan.contains("reaches = [") && !plan.contains("sabotage ="), "{plan}");
    let snapshot = place.read("snapshots/regressions__late-call.snap");
    assert!(snapshot.contains("regressions/late-call seed 1, 5 schedules"), "{snapshot}");
    assert!(snapshot.contains("verdict: passed"), "{snapshot}");
    let (code, text) = place.run(&["explore", "regressions/late-call", "--seeds", "0..20"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) =
        place.run(&["add-regression", &folder, "coloured", "--description", "\u{1b}[31m"]);
    assert!(code == 2 && text.contains("without control characters"), "{text}");
    for (name, reason) in [("late-call", "is there already"), ("Late append", "lower-case")] {
        let (code, text) = place.run(&["add-regression", &folder, name]);
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
    fs::write(place.0.join(&record), half.replace("stale-token-accepted", "stale-token-acepted"))
        .unwrap();
    refused(
        &folder,
        "this build has no known bug \"stale-token-acepted\" to switch on; did you mean \
         \"stale-token-accepted\"?; see `cargo run -- list --sabotages`",
    );
    fs::remove_file(place.0.join(&record)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place.0.join(&record)).unwrap();
    refused(&folder, "failure.json: it is a device, a pipe or a socket; a file is expected");
    refused("nowhere", &format!("under failures/ there are {}", &folder["failures/".len()..]));
}

#[test]
fn a_failure_is_told_even_if_it_can_not_be_kept() {
    let place = Place::new("full");
    fs::write(place.0.join("failures"), "a file where the folder should be").unwrap();
    let (code, text) = place.run(FAILING);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("could not be kept: failures/.new") && text.contains("  before  "),
        "{text}"
    );
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

#[test]
fn a_run_that_is_stuck_is_told_by_its_code() {
    let place = Place::new("stuck");
    let text = "system = \"cluster\"\ndescription = \"Too few slots.\"\nheal-at = \"1s\"\n\
                [cluster]\ntask-executors = 1\nslots = 1\n[[job]]\nlines = 10\n\
                [converge]\nwithin = \"9s\"\n";
    fs::write(place.0.join("scenarios/word-count/stuck.toml"), text).unwrap();
    let folder = "failures/stuck-word-count-stuck-0";
    for command in [
        &["explore", "word-count/stuck", "--seeds", "0..1"][..],
        &["run", "word-count/stuck"],
        &["replay", folder],
        &["add-regression", folder, "late-call"],
    ] {
        let (code, text) = place.run(command);
        assert_eq!(code, 3, "{command:?}: {text}");
    }
}
