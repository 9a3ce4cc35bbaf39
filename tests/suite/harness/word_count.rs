//! What the settings of a word count say is what happens to it.

use super::{SYSTEMS, run as run_text, times};
use std::{path::Path, time::Duration};
use wavetank::harness::run::RunOutcome;

fn text(workload: &str) -> String {
    format!("system = \"cluster\"\ndescription = \"test\"\n[[job]]\nlines = 1000\n{workload}")
}

fn run(workload: &str) -> RunOutcome {
    let outcome = run_text(&text(workload));
    assert!(outcome.expected, "{}", outcome.verdict);
    outcome
}

#[test]
fn a_function_fails_in_so_many_attempts_and_no_process_ends() {
    for how in ["fail-at = 50", "panic-at = 50"] {
        let outcome = run(&format!("{how}\nfail-times = 3\nrestart-delay = \"100ms\""));
        assert_eq!(times(&outcome, "job-restarting"), 3, "{how}");
        assert_eq!(times(&outcome, "process-restarted"), 0, "{how}");
        assert_eq!(times(&outcome, "job-finished"), 1, "{how}");
    }
}

#[test]
fn a_job_fails_for_good_when_its_functions_fail_once_too_often() {
    let outcome = run("fail-at = 5\nfail-times = 3\nrestarts = 2");
    assert_eq!(times(&outcome, "job-finished"), 0);
    let outcome = run("poisoned = 900\nrestarts = 2");
    assert_eq!(times(&outcome, "job-restarting"), 2);
    assert_eq!(times(&outcome, "job-finished"), 0);
    assert!(!outcome.output.summary.starts_with("0 words"), "what went before was committed");
}

#[test]
fn a_slow_subtask_holds_up_the_job() {
    let (plain, slow) = (run(""), run("slow-subtask = \"200ms\""));
    assert!(slow.simulated > plain.simulated + Duration::from_secs(10));
}

#[test]
fn of_skewed_words_most_are_one_word() {
    let outcome = run("skew = \"90%\"");
    let count =
        |line: &String| line.trim().strip_suffix(" w0").and_then(|count| count.parse::<u64>().ok());
    let share = outcome.output.lines.iter().find_map(count).expect("it was counted");
    assert!((870..=930).contains(&share), "{share} of 1000");
}

/// A job of a word count with these keys.
fn job(keys: &str) -> String {
    format!("[[job]]\nlines = 300\nparallelism = 2\n{keys}\n")
}

#[test]
fn jobs_beside_each_other_are_each_counted_and_one_s_crash_loop_is_its_own() {
    let jobs = [job("fail-at = 20\nfail-times = 4\nrestart-delay = \"100ms\""), job(""), job("")];
    let cluster = "system = \"cluster\"\ndescription = \"test\"\n";
    let outcome = run_text(&format!("{cluster}{}", jobs.concat()));
    assert!(outcome.expected, "{}", outcome.verdict);
    assert_eq!(times(&outcome, "job-restarting"), 4, "of the first alone");
    assert_eq!(times(&outcome, "job-finished"), 3);
    for number in 1..=3 {
        let counted = format!("job {number}: 300 words counted");
        assert!(outcome.output.summary.contains(&counted), "{}", outcome.output.summary);
    }
    assert!(outcome.evaluations["J1 no-foreign-restart"] > 0);
    let lines = &outcome.output.lines;
    assert!(lines.iter().all(|line| !line.contains("job")), "the first one's alone: {lines:?}");
}

#[test]
fn the_first_job_is_always_there_and_says_so() {
    let read = |jobs: &[String]| {
        let text = format!("system = \"cluster\"\ndescription = \"test\"\n{}", jobs.concat());
        SYSTEMS.parse(&text, Path::new("a.toml")).map(drop).map_err(|error| error.to_string())
    };
    let chance = job("chance = \"50%\"");
    assert_eq!(read(&[job(""), chance.clone()]), Ok(()));
    let told = read(&[chance, job("")]).expect_err("a mistake");
    assert!(told.contains("the first job is always there"), "{told}");
}
