//! Faults of processes, machines and services are what happens to the run.

use super::{
    faults::{JOB, JOURNAL, mistake, span},
    run, times,
};
use std::time::Duration;
use wavetank::harness::run::RunOutcome;

/// A run of that system with one fault.
fn struck(system: &str, fault: &str) -> RunOutcome {
    let outcome = run(&format!("{system}\n[[fault]]\n{fault}"));
    assert!(outcome.expected, "{}", outcome.verdict);
    outcome
}

/// When an event of the history with that word in it was first announced.
fn first(outcome: &RunOutcome, word: &str) -> Duration {
    let found = outcome.history.iter().find(|(_, known)| format!("{known:?}").contains(word));
    found.unwrap_or_else(|| panic!("no {word}")).0.time
}

/// How many entries of the trace say this.
fn traced(outcome: &RunOutcome, field: &str, text: &str) -> usize {
    outcome.trace.iter().filter(|line| line.says(field) == Some(text)).count()
}

#[test]
fn a_crash_loop_kills_after_each_boot_until_its_end() {
    let outcome = struck(
        JOB,
        "kind = \"crash-loop\"\ntarget = \"task-executor-1\"\nevery = \"1s\"\nat = \"2s\"\nduration = \"9s\"",
    );
    // Down for a second and up for a second, the last time at the end or right before.
    assert!((4..=5).contains(&times(&outcome, "process-restarted")));
}

#[test]
fn a_slow_node_is_late_and_its_slices_are_no_facts() {
    let slow = |more: &str| {
        struck(
            JOB,
            &format!(
                "kind = \"slow\"\ntarget = \"task-executors\"\nshare = \"99%\"\n{more}\nat = \"0s\"\nduration = \"25s\""
            ),
        )
    };
    let (plain, in_slices, in_long_ones) = (run(JOB), slow(""), slow("slice = \"1500ms\""));
    assert!(traced(&in_slices, "event", "Stalled(true)") > 100);
    assert_eq!(
        traced(&in_slices, "event", "Stalled(true)"),
        traced(&in_slices, "event", "Stalled(false)")
    );
    let paused = in_slices.history.iter().any(|(_, known)| format!("{known:?}").contains("Paused"));
    assert!(!paused);
    let begins = |outcome| first(outcome, "SnapshotTaken");
    assert!(begins(&in_slices) > begins(&plain), "{:?}", begins(&in_slices));
    assert!(begins(&in_long_ones) > begins(&plain) + Duration::from_secs(2));
}

#[test]
fn a_node_that_stops_slowly_takes_no_calls_and_works_on_until_it_ends() {
    let outcome = struck(
        JOB,
        "kind = \"slow-stop\"\ntarget = \"busy-task-executor\"\ntakes = \"4s\"\nat = \"5s\"\nduration = \"12s\"",
    );
    let cut = || outcome.fates.iter().filter(|fate| fate.fate == "cut");
    assert!(cut().count() > 0);
    assert!(cut().all(|fate| fate.kind.name().starts_with("TaskExecutorGateway.")));
    let ended = first(&outcome, "asked to stop");
    assert_eq!(ended.as_millis(), (span(&outcome, 0).0 + Duration::from_secs(4)).as_millis());
    assert_eq!(times(&outcome, "process-restarted"), 1);
}

#[test]
fn a_node_that_stops_slowly_is_answered_while_it_works_on() {
    let outcome = struck(
        JOB,
        "kind = \"slow-stop\"\ntarget = \"job-managers\"\ntakes = \"4s\"\nat = \"3s\"\nduration = \"10s\"",
    );
    let cut: Vec<_> = outcome.fates.iter().filter(|fate| fate.fate == "cut").collect();
    assert!(
        !cut.is_empty() && cut.iter().all(|fate| !fate.kind.name().ends_with(".reply")),
        "{cut:?}"
    );
}

#[test]
fn a_lost_machine_never_comes_back_and_a_new_one_takes_its_place() {
    // The second outlasts the faults' end.
    for duration in ["5s", "10m"] {
        let fault = format!(
            "kind = \"restart-as-new\"\ntarget = \"task-executor-2\"\nat = \"5s\"\nduration = \"{duration}\""
        );
        let outcome = struck(JOB, &fault);
        let new = outcome.nodes.iter().find(|(_, name)| *name == "task-executor-5");
        let (new, _) = new.expect("it is there");
        assert!(outcome.nodes.values().all(|name| name != "task-executor-6"));
        assert_eq!(times(&outcome, "process-restarted"), 0);
        assert!(outcome.history.iter().any(|(at, _)| at.process == (*new, 1)), "it does something");
    }
}

#[test]
fn the_machine_of_a_server_that_keeps_promises_comes_back() {
    let fault =
        "kind = \"restart-as-new\"\ntarget = \"coordination\"\nat = \"5s\"\nduration = \"2s\"";
    let outcome = struck(JOURNAL, fault);
    assert_eq!(times(&outcome, "process-restarted"), 1);
    assert!(outcome.nodes.values().all(|name| name != "coordination-2"));
}

#[test]
fn a_service_answers_errors_for_what_it_did_and_for_what_it_did_not_do() {
    let errors = |applied: &str| {
        let fault = format!(
            "kind = \"service-error\"\ntarget = \"coordination\"\nprobability = \"100%\"\napplied = \"{applied}\"\nat = \"0s\"\nduration = \"5s\""
        );
        struck(JOURNAL, &fault)
    };
    let (done, not_done) = (errors("yes"), errors("no"));
    let five = Duration::from_secs(5);
    assert!(first(&done, "SessionConnected") > five && first(&not_done, "SessionConnected") > five);
    assert!(first(&done, "LeaseGranted") < five && first(&not_done, "LeaseGranted") > five);
    assert!(traced(&done, "error", "Applied") > 5);
    assert_eq!(traced(&done, "error", "NotApplied"), 0);
    let both = errors("either");
    assert!(traced(&both, "error", "Applied") > 0);
    assert!(traced(&both, "error", "NotApplied") > 0);
}

#[test]
fn a_service_errs_in_one_kind_of_call_or_the_nth_of_them() {
    let errors = |which: &str| {
        let fault = format!(
            "kind = \"service-error\"\ntarget = \"coordination\"\nprobability = \"100%\"\napplied = \"no\"\nat = \"0s\"\nduration = \"20s\"\n{which}"
        );
        let outcome = struck(JOURNAL, &fault);
        (traced(&outcome, "error", "NotApplied"), outcome.executed[0].met)
    };
    // Everybody asks for a lease; nobody can have one until the fault ends.
    let (all, met) = errors("call = \"CoordinationGateway.grant_lease\"");
    assert!(all > 5, "{all}");
    assert_eq!(met, Some(all as u64));
    let (nth, met) = errors("call = \"CoordinationGateway.grant_lease\"\nnth = 2");
    assert_eq!((nth, met), (1, Some(1)));
    let (any, met) = errors("nth = 3");
    assert_eq!((any, met), (1, Some(1)));
    let told = mistake(
        "[[fault]]\nkind = \"service-error\"\ntarget = \"coordination\"\nprobability = \"1%\"\ncall = \"CoordinationGateway.grand\"\nat = \"1s\"\nduration = \"1s\"",
    );
    assert!(told.contains("begins with \"CoordinationGateway.grand\""), "{told}");
}

#[test]
fn only_servers_answer_errors() {
    let fault = "[[fault]]\nkind = \"service-error\"\ntarget = \"clients\"\nprobability = \"1%\"\nat = \"1s\"\nduration = \"1s\"";
    assert!(mistake(fault).contains("a server"));
}

#[test]
fn a_moment_is_counted_from_the_edge_of_another_fault() {
    let outcome = run(&format!(
        "{JOURNAL}
        [[fault]]
        name = \"first\"
        kind = \"pause\"
        target = \"client-1\"
        at = \"3s\"
        duration = \"1s\"
        [[fault]]
        kind = \"hold\"
        from = \"client-1\"
        to = \"client-2\"
        on = {{ milestone = \"journal-written\" }}
        with = {{ fault = \"first\", edge = \"end\" }}
        duration = \"1s\""
    ));
    let ((_, ended), (began, _)) = (span(&outcome, 0), span(&outcome, 1));
    assert!(ended < began && began < ended + Duration::from_secs(2), "{:?}", outcome.executed);
    assert_eq!(outcome.executed[1].met, Some(0), "clients don't speak to each other");
    assert_eq!(outcome.executed[0].met, None, "a pause is no fault of links");
}

#[test]
fn a_moment_of_leadership_says_of_which() {
    let moment = |of: &str| {
        let outcome = run(&format!(
            "{JOB}
            [[fault]]
            kind = \"lose-one\"
            on = {{ milestone = \"leader-granted\", of = \"{of}\" }}
            duration = \"1s\""
        ));
        span(&outcome, 0).0
    };
    assert!(moment("dispatcher") < moment("job"), "a job's master comes after the dispatcher");
    let outcome = mistake(
        "[[fault]]\nkind = \"hold\"\nduration = \"1s\"\n\
         on = { milestone = \"journal-written\", of = \"journal\" }\n",
    );
    assert!(outcome.contains("`journal-written` has no leadership"), "{outcome}");
}
