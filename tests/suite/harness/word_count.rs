//! What the settings of a word count say is what happens to it.

use super::{run as run_text, times};
use std::time::Duration;
use wavetank::harness::run::RunOutcome;

fn text(workload: &str) -> String {
    format!("system = \"word-count\"\ndescription = \"test\"\n[workload]\nlines = 1000\n{workload}")
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
