//! Ways to look at a failure and to share a sweep, as a person types them; bad input included.
#![expect(clippy::disallowed_methods, reason = "looks at what the tool wrote")]

use crate::clone::{Clone, clone};
use std::{fs, process::Command};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");
/// A known bug, and a run that it breaks.
const FAILING: &[&str] =
    &["run", "word-count/late-offers", "--seed", "0", "--sabotage", "old-offer-round-applied"];
const FOLDER: &str = "failures/S4-word-count-late-offers-0";

fn wavetank(place: &Clone, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(BINARY).current_dir(&**place).args(arguments).output();
    let output = output.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code().expect("it ended by itself"), text)
}

fn refused(place: &Clone, arguments: &[&str], why: &str) {
    let (code, text) = wavetank(place, arguments);
    assert!(code == 2 && text.contains(why), "{arguments:?} exits with {code}: {text}");
}

#[test]
fn two_runs_are_told_apart_from_the_first_event_that_differs() {
    let place = clone("explorer-diff");
    wavetank(&place, FAILING);
    let (code, text) = wavetank(&place, &["diff", FOLDER]);
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with("A  violated:S4 in word-count/late-offers, seed 0"), "{text}");
    assert!(text.contains("\nB  passed in word-count/late-offers"), "{text}");
    assert!(text.contains("the same for ") && text.contains("milestones of B alone"), "{text}");
    let (code, text) = wavetank(&place, &["diff", FOLDER, FOLDER]);
    assert!(code == 0 && text.starts_with("the very same run: digest "), "{text}");
    // A branch of a folder's run, and of a seed.
    let branch = format!("{FOLDER}@#40+3");
    let (code, text) = wavetank(&place, &["diff", FOLDER, &branch]);
    assert!(code == 1 && text.contains("seed 0@#40+3"), "{text}");
    let same: u64 = text
        .split_once("the same for ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .expect("a number");
    assert!(same >= 40, "{text}");
    let quiet = "word-count/quiet:7";
    let other = "word-count/quiet:7@leader-confirmed+1";
    assert_eq!(wavetank(&place, &["diff", quiet, other]).0, 1);
    refused(&place, &["diff", quiet], "there is no sabotage to leave off");
    refused(&place, &["diff", quiet, "word-count/quiet:x"], "expected a whole number");
    refused(&place, &["diff", quiet, "word-count/quiet:7@nonsense+1"], "no milestone \"nonsense\"");
    refused(&place, &["diff", quiet, "word-count/quiet:7@leader-confirmed"], "expected a branch");
    refused(
        &place,
        &["diff", quiet, "word-count/quiet:7@process-restarted+1"],
        "never comes to where",
    );
    refused(&place, &["diff", "failures/none"], "there is no failures/none");
}

#[test]
fn a_branched_run_is_one_of_its_recipe() {
    let place = clone("explorer-recipe");
    let digest = |seed: &str| {
        let (code, text) = wavetank(&place, &["run", "word-count/quiet", "--seed", seed]);
        assert_eq!(code, 0, "{text}");
        let line = text.lines().find(|line| line.starts_with("digest ")).expect("a digest");
        (line.to_string(), text)
    };
    let (plain, branched) = (digest("7").0, digest("7@leader-confirmed+3"));
    assert_ne!(plain, branched.0);
    assert!(branched.1.contains("seed 7@leader-confirmed+3"), "{}", branched.1);
    assert_eq!(digest("7@leader-confirmed+3").0, branched.0);
    assert_eq!(digest("7@leader-confirmed+0").0, plain, "0 is no other way");
    let (same, text) = digest("7@process-restarted+3");
    assert!(same == plain && text.contains("never came to where it was to branch"), "{text}");
    for (seed, why) in [
        ("7@", "expected a branch"),
        ("7@leader-confirmed", "expected a branch"),
        ("7@leader-confirmed+x", "expected a branch"),
        ("7@leader-confirmt+1", "no milestone \"leader-confirmt\""),
        ("x@leader-confirmed+1", "expected a whole number"),
    ] {
        refused(&place, &["run", "word-count/quiet", "--seed", seed], why);
    }
    // Kept, it is replayed by its recipe.
    let kept = ["run", "word-count/quiet", "--seed", "7@leader-confirmed+3", "--save"];
    let (_, text) = wavetank(&place, &kept);
    let folder = text.split("kept in ").nth(1).expect("it is kept").trim();
    let (code, text) = wavetank(&place, &["replay", folder]);
    assert!(code == 0 && text.contains(branched.0.trim_start_matches("digest ")), "{text}");
    let record = place.join(folder).join("failure.json");
    let tampered = fs::read_to_string(&record).expect("it is there");
    fs::write(&record, tampered.replace("leader-confirmed+3", "leader-confirmed"))
        .expect("written");
    refused(&place, &["replay", folder], "failure.json: expected a branch");
}

#[test]
fn where_a_node_stands_is_told_for_any_moment() {
    let place = clone("explorer-show");
    wavetank(&place, FAILING);
    let show = |more: &[&str]| wavetank(&place, &[&["replay", FOLDER], more].concat());
    let (code, text) = show(&["--until", "1.4s", "--show", "task-executor-1"]);
    assert_eq!(code, 1, "{text}");
    let told = text.split("\nthe very same run").next().expect("a first part");
    assert!(told.contains("task-executor-1 at 1.400s: process 1, booted since "), "{told}");
    assert!(told.contains("  last changes of its state\n"), "{told}");
    // An answer that comes later is on its way, and nothing that comes later has happened.
    assert!(told.contains("offer_slots.reply, sent at 0.400s, comes at 1.490s"), "{told}");
    assert!(!told.lines().any(|line| line.trim_start().starts_with("1.490s")), "{told}");
    // A role stands for all its nodes, and without a time it is the end.
    let (_, text) = show(&["--show", "task-executor"]);
    assert!(text.contains("task-executor-1 at ") && text.contains("task-executor-2 at "), "{text}");
    let (_, text) = show(&["--until", "500ms", "--history"]);
    let told = text.split("\nthe very same run").next().expect("a first part");
    assert!(told.contains("granted session-") && !told.contains("1.490s"), "{told}");
    refused(&place, &["replay", FOLDER, "--show", "node-9"], "there is no node or role \"node-9\"");
    refused(&place, &["replay", FOLDER, "--until", "soon"], "expected a duration");
}

#[test]
fn a_digest_that_somebody_has_changed_is_told() {
    let place = clone("explorer-tampered");
    wavetank(&place, FAILING);
    let record = place.join(FOLDER).join("failure.json");
    let text = fs::read_to_string(&record).expect("it is there");
    let (before, digest) = text.split_once("\"digest\": \"").expect("it has one");
    fs::write(&record, format!("{before}\"digest\": \"0000{}", &digest[4..])).expect("written");
    let (_, told) = wavetank(&place, &["replay", FOLDER, "--schedules", "2"]);
    assert!(told.contains("it is another run now"), "{told}");
}

#[test]
fn parts_of_a_sweep_are_all_of_it() {
    let place = clone("explorer-shards");
    let runs = |more: &[&str]| {
        let file = "sweep.json";
        let sweep = ["explore", "word-count/quiet", "--seeds", "0..5", "--json", file];
        let (code, text) = wavetank(&place, &[&sweep, more].concat());
        assert_eq!(code, 0, "{text}");
        let json = fs::read_to_string(place.join(file)).expect("it was written");
        let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
        json["runs"].as_u64().expect("a number")
    };
    assert_eq!([runs(&["--shard", "1/2"]), runs(&["--shard", "2/2"])], [2, 3]);
    for part in ["5/4", "0/4", "1", "1/0", "a/b", "-1/2"] {
        refused(&place, &["explore", "--seeds", "0..5", "--shard", part], "such as 1/4");
        refused(&place, &["campaign", "sums", "--shard", part], "such as 1/4");
    }
    refused(&place, &["explore", "--seeds", "0..2", "--shard", "1/9"], "fewer seeds than shards");
    let none = ["campaign", "all", "word-count/quiet", "--merge", "nowhere"];
    refused(&place, &none, "no folder of a campaign");
}

#[test]
fn what_a_ci_server_reads_names_each_failure() {
    let place = clone("explorer-junit");
    let sweep = ["explore", "word-count/late-offers", "word-count/quiet", "--seeds", "0..4"];
    let bug = ["--sabotage", "old-offer-round-applied", "--shrink-for", "0s", "--junit", "out.xml"];
    let (code, text) = wavetank(&place, &[&sweep[..], &bug[..]].concat());
    assert_eq!(code, 1, "{text}");
    let junit = fs::read_to_string(place.join("out.xml")).expect("it was written");
    assert!(
        junit.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>"),
        "{junit}"
    );
    assert!(junit.contains("classname=\"word-count/late-offers\" name=\"violated:S4\""), "{junit}");
    assert!(
        junit.contains("<failure message=\"violated:S4: ") && junit.contains("--seed "),
        "{junit}"
    );
    assert!(junit.contains("classname=\"word-count/quiet\" name=\"2 runs\""), "{junit}");
    let cases = junit.matches("<testcase").count();
    assert!(junit.contains(&format!("tests=\"{cases}\" failures=\"1\"")), "{junit}");
    assert!(text.contains(" failed, 1 cause: "), "{text}");
}

#[test]
fn a_guided_sweep_keeps_what_it_has_learned() {
    let place = clone("explorer-guided");
    let sweep = ["explore", "word-count/swarm", "--guided", "--seeds", "0..80"];
    let kept = ["--corpus", "corpus.json"];
    let (code, text) = wavetank(&place, &[&sweep[..], &kept].concat());
    assert!(code == 0 && text.contains("80 runs ended as expected"), "{text}");
    let corpus = fs::read_to_string(place.join("corpus.json")).expect("it was written");
    let corpus: serde_json::Value = serde_json::from_str(&corpus).expect("it is JSON");
    let rare = corpus.as_array().expect("a list");
    assert!(rare.iter().all(|one| one["scenario"] == "word-count/swarm"), "{corpus}");
    assert!(!rare.is_empty(), "{corpus}");
    // The next one begins with them: most of its runs are branches.
    let runs = ["--runs", "runs.jsonl"];
    assert_eq!(wavetank(&place, &[&sweep[..], &kept, &runs].concat()).0, 0);
    let runs = fs::read_to_string(place.join("runs.jsonl")).expect("it was written");
    let branches = runs.lines().filter(|line| line.contains("\"seed\":\"") && line.contains('@'));
    assert!(branches.count() >= 48, "{runs}");
    fs::write(place.join("corpus.json"), "[{]").expect("it can be written");
    refused(&place, &[&sweep[..], &kept].concat(), "no corpus of this build");
    refused(&place, &["explore", "--corpus", "corpus.json"], "--guided");
}

#[test]
fn runs_of_a_sweep_answer_what_was_before() {
    let place = clone("explorer-query");
    let sweep = ["explore", "word-count/late-offers", "--seeds", "0..24", "--shrink-for", "0s"];
    let bug = ["--sabotage", "old-offer-round-applied", "--runs", "runs.jsonl"];
    let (code, text) = wavetank(&place, &[&sweep[..], &bug[..]].concat());
    assert_eq!(code, 1, "{text}");
    let ask = |more: &[&str]| {
        let (code, text) = wavetank(&place, &[&["query", "S4", "--json"], more].concat());
        assert_eq!(code, 0, "{text}");
        serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON")
    };
    let all = ask(&[]);
    let number = |of: &serde_json::Value, key: &str| of[key].as_u64().expect("a number");
    let failed = number(&all, "with_it");
    assert!(number(&all, "runs") == 24 && failed > 0 && number(&all, "failed") == failed, "{all}");
    assert_eq!(number(&all, "without_a_fault"), 0, "the bug needs late messages");
    let [with, without] =
        [["--preceded-by", "loss"], ["--not-preceded-by", "loss"]].map(|more| ask(&more));
    assert_eq!(number(&with, "matching") + number(&without, "matching"), failed);
    let (code, text) = wavetank(&place, &["query", "S4"]);
    assert!(code == 0 && text.starts_with(&format!("S4: in {failed} of 24 runs\n")), "{text}");
    assert!(
        text.contains("100%") && text.contains("cargo run -- run word-count/late-offers --seed ")
    );
    refused(&place, &["query", "S3"], "in none of these runs was \"S3\"");
    refused(&place, &["query", "S99"], "no milestone, fault or invariant \"S99\"");
    refused(&place, &["query", "S4", "--followed-by", "pawer-cut"], "did you mean \"power-cut\"?");
    refused(&place, &["query", "S4", "--runs", "none.jsonl"], "explore --runs FILE");
    fs::write(place.join("cut.jsonl"), "{\"scenario\": \"a").expect("it can be written");
    refused(&place, &["query", "S4", "--runs", "cut.jsonl"], "cut.jsonl: line 1: ");
}

#[test]
fn what_is_no_coverage_is_refused() {
    let place = clone("explorer-coverage");
    refused(&place, &["coverage", "none.info"], "none.info");
    fs::write(place.join("lcov.info"), "SF:/elsewhere.rs\nDA:1,1\n").expect("it can be written");
    refused(&place, &["coverage", "lcov.info"], "it names no file below");
    let here = fs::canonicalize(&*place).expect("it is there");
    let text = format!("SF:{}/a.rs\nDA:1,0\nDA:2,5\n", here.display());
    fs::write(place.join("lcov.info"), text).expect("it can be written");
    let (code, text) = wavetank(&place, &["coverage", "lcov.info", "--page", "page.md"]);
    assert!(code == 0 && text.contains("50.0%      1 not reached  a.rs"), "{text}");
    assert!(fs::read_to_string(place.join("page.md")).expect("it was written").contains("## a.rs"));
}
