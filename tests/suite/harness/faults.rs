//! What the plan language says is what happens to the run.

use super::{SYSTEMS, run, times};
use std::{path::Path, sync::Arc, time::Duration};
use wavetank::harness::{
    run::{RunConfig, RunOutcome, run_on_fresh_thread},
    scenario::FaultPlan,
};

pub(super) const JOURNAL: &str = "description = \"test\"\n[workload]\nlines = 40\n";
pub(super) const JOB: &str =
    "system = \"cluster\"\ndescription = \"test\"\n[[job]]\nlines = 1000\n";

pub(super) fn mistake(faults: &str) -> String {
    let read = SYSTEMS.parse(&format!("{JOURNAL}{faults}"), Path::new("scenarios/test.toml"));
    read.expect_err("a mistake").to_string()
}

fn fates(outcome: &RunOutcome, wanted: &str) -> usize {
    outcome.fates.iter().filter(|fate| fate.fate == wanted).count()
}

/// When the fault at that place of the plan began and ended.
pub(super) fn span(outcome: &RunOutcome, index: usize) -> (Duration, Duration) {
    let executed = outcome.executed.iter().find(|executed| executed.index == index);
    let executed = executed.unwrap_or_else(|| panic!("fault {index} did not come to it"));
    (executed.began, executed.ended.expect("a run ends healed"))
}

#[test]
fn a_fault_begins_with_the_edge_of_another() {
    let outcome = run(&format!(
        "{JOURNAL}
        [[fault]]
        name = \"first\"
        kind = \"hold\"
        at = \"2s\"
        duration = \"3s\"
        [[fault]]
        kind = \"hold\"
        with = {{ fault = \"first\", after = \"1s\" }}
        duration = \"1s\"
        [[fault]]
        kind = \"hold\"
        with = {{ fault = \"first\", edge = \"end\" }}
        duration = \"1s\""
    ));
    let (began, ended) = span(&outcome, 0);
    let near = |one: Duration, other: Duration| one.abs_diff(other) < Duration::from_millis(2);
    assert!(near(span(&outcome, 1).0, began + Duration::from_secs(1)), "{:?}", outcome.executed);
    assert_eq!(span(&outcome, 2).0, ended);
}

#[test]
fn faults_of_one_instant_begin_in_the_order_of_the_plan() {
    let faults: String = (1..=12)
        .map(|node| {
            let target = ["coordination", "journal-1", "client-1"][node % 3];
            format!("[[fault]]\nkind = \"crash\"\ntarget = \"{target}\"\nat = \"2s\"\nduration = \"1s\"\n")
        })
        .collect();
    for seed in 1..4 {
        let scenario =
            SYSTEMS.parse(&format!("{JOURNAL}{faults}"), Path::new("scenarios/test.toml"));
        let scenario = Arc::new(scenario.expect("sound"));
        let outcome = run_on_fresh_thread(&scenario, &RunConfig::new(seed));
        let begun: Vec<usize> = outcome.executed.iter().map(|executed| executed.index).collect();
        assert_eq!(begun, (0..12).collect::<Vec<_>>());
    }
}

#[test]
fn a_fault_ends_at_a_moment_but_never_lasts_longer() {
    let outcome = run(&format!(
        "{JOURNAL}
        [[fault]]
        kind = \"pause\"
        target = \"leader\"
        on = {{ milestone = \"journal-serving\" }}
        duration = \"50s\"
        until = {{ milestone = \"leader-granted\", after = \"100ms\" }}
        [[fault]]
        kind = \"hold\"
        at = \"1s\"
        duration = \"1s\"
        until = {{ milestone = \"leader-granted\", nth = 50 }}"
    ));
    let (began, ended) = span(&outcome, 0);
    assert!(ended > began && ended < began + Duration::from_secs(30), "{:?}", outcome.executed);
    let (began, ended) = span(&outcome, 1);
    assert!(ended - began <= Duration::from_millis(1002), "{:?}", outcome.executed);
}

#[test]
fn a_moment_can_ask_how_many_checkpoints_are_in_flight() {
    let begun = |most: u32, asked: &str| {
        let outcome = run(&format!(
            "{JOB}
            checkpoint-interval = \"400ms\"
            concurrent-checkpoints = {most}
            [[fault]]
            kind = \"delay\"
            message = \"JobMasterGateway.acknowledge_checkpoint\"
            by = \"2s\"
            at = \"0s\"
            duration = \"30s\"
            [[fault]]
            kind = \"hold\"
            on = {asked}
            duration = \"10ms\""
        ));
        assert!(outcome.expected, "{}", outcome.verdict);
        outcome.executed.iter().any(|executed| executed.index == 1)
    };
    let on = |milestone: &str, most: u32, asked: &str| {
        begun(most, &format!("{{ milestone = \"checkpoint-{milestone}\", {asked} }}"))
    };
    assert!(on("triggered", 3, "in-flight = 1") && on("triggered", 3, "in-flight = 3"));
    assert!(!on("triggered", 3, "in-flight = 4"), "there are three at most");
    assert!(on("completed", 3, "newer = 1") || on("completed", 3, "newer = 2"));
    assert!(on("completed", 1, "newer = 0") && !on("completed", 1, "newer = 1"));
}

#[test]
fn a_moment_can_ask_for_a_checkpoint_and_a_node() {
    let outcome = run(&format!(
        "{JOB}
        [[fault]]
        kind = \"hold\"
        on = {{ milestone = \"checkpoint-triggered\", checkpoint = 3 }}
        duration = \"1s\"
        [[fault]]
        kind = \"hold\"
        on = {{ milestone = \"checkpoint-triggered\", nth = 2 }}
        duration = \"1s\"
        [[fault]]
        kind = \"hold\"
        on = {{ milestone = \"snapshot-taken\", node = \"task-executor-2\", nth = 2 }}
        duration = \"1s\"
        [[fault]]
        kind = \"hold\"
        on = {{ milestone = \"snapshot-taken\", node = \"blobs\" }}
        duration = \"1s\""
    ));
    // The first number of the job's counter was its first epoch.
    assert_eq!(span(&outcome, 0).0, span(&outcome, 1).0);
    assert!(span(&outcome, 2).0 > Duration::ZERO);
    assert!(outcome.executed.iter().all(|executed| executed.index != 3), "blobs takes no snapshot");
}

#[test]
fn one_chosen_frame_is_lost_and_no_other() {
    let outcome = run(&format!(
        "{JOURNAL}
        [[fault]]
        kind = \"lose-one\"
        message = \"JournalGateway.append.reply\"
        nth = 3
        at = \"0s\"
        duration = \"50s\""
    ));
    let lost: Vec<_> = outcome.fates.iter().filter(|fate| fate.fate == "loss").collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(format!("{:?}", lost[0].kind).trim_matches('"'), "JournalGateway.append.reply");
}

#[test]
fn halves_cut_every_link_between_them_and_no_bridge() {
    let halves = |more: &str| {
        run(&format!(
            "{JOB}
            [[fault]]
            kind = \"partition\"
            at = \"5s\"
            duration = \"10s\"
            {more}"
        ))
    };
    let touches = |outcome: &RunOutcome, name: &str| {
        let is = |node| outcome.nodes[&node] == name;
        let mut cut = outcome.fates.iter().filter(|fate| fate.fate == "cut");
        cut.any(|fate| is(fate.from) || is(fate.to))
    };
    let plain = halves("shape = \"halves\"");
    assert!(fates(&plain, "cut") > 50);
    assert!(touches(&plain, "coordination"));
    let bridged = halves("shape = \"bridge\"\ntarget = \"coordination\"");
    assert!(fates(&bridged, "cut") > 50);
    assert!(!touches(&bridged, "coordination"));
}

#[test]
fn a_cut_pair_reaches_everybody_else() {
    let outcome = run(&format!(
        "{JOB}
        [[fault]]
        kind = \"partition\"
        shape = \"pair\"
        from = \"job-managers\"
        to = \"blobs\"
        at = \"5s\"
        duration = \"10s\""
    ));
    let cut: Vec<_> = outcome.fates.iter().filter(|fate| fate.fate == "cut").collect();
    assert!(!cut.is_empty());
    for fate in cut {
        let names = [&outcome.nodes[&fate.from], &outcome.nodes[&fate.to]];
        assert!(names.iter().any(|name| *name == "blobs"), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("job-manager")), "{names:?}");
    }
}

#[test]
fn in_a_ring_every_node_reaches_two() {
    let outcome = run(&format!(
        "{JOB}
        [[fault]]
        kind = \"partition\"
        shape = \"ring\"
        at = \"5s\"
        duration = \"10s\""
    ));
    let cuts = traced(&outcome, "link-rule-added", "effect=Cut");
    // Each but the last three cuts itself off from all behind its neighbour, both ways.
    assert_eq!(cuts, 2 * (outcome.nodes.len() - 2));
    assert!(fates(&outcome, "cut") > 50);
    assert!(outcome.expected, "{}", outcome.verdict);
}

#[test]
fn a_swizzle_cuts_and_restores_and_leaves_nothing_behind() {
    let outcome = run(&format!(
        "{JOURNAL}
        [[fault]]
        kind = \"swizzle\"
        target = \"journals\"
        every = \"100ms\"
        at = \"2s\"
        duration = \"10s\""
    ));
    assert!(fates(&outcome, "cut") > 5);
    assert!(outcome.expected, "{}", outcome.verdict);
    let added = traced(&outcome, "link-rule-added", "");
    assert_eq!(added, traced(&outcome, "link-rule-lifted", ""));
    assert!(added > 12, "more than one round of one way each");
}

#[test]
fn a_rolling_restart_restarts_each_once() {
    let outcome = run(&format!(
        "{JOB}
        [[fault]]
        kind = \"rolling-restart\"
        target = \"task-executors\"
        every = \"2s\"
        at = \"3s\"
        duration = \"20s\""
    ));
    assert_eq!(times(&outcome, "process-restarted"), 4);
    assert!(outcome.expected, "{}", outcome.verdict);
}

#[test]
fn an_empty_disk_is_never_that_of_a_server_that_keeps_promises() {
    let replaced = |target: &str| {
        let outcome = run(&format!(
            "{JOB}
            [[fault]]
            kind = \"wipe-disk\"
            target = \"{target}\"
            at = \"8s\"
            duration = \"1s\""
        ));
        assert!(outcome.expected, "{}", outcome.verdict);
        traced(&outcome, "disk-replaced", "")
    };
    assert_eq!(replaced("task-executors"), 4);
    assert_eq!(replaced("coordination"), 0);
}

#[test]
fn two_pauses_of_one_process_end_with_the_later() {
    let outcome = run(&format!(
        "{JOURNAL}
        [[fault]]
        kind = \"pause\"
        target = \"journal-1\"
        at = \"2s\"
        duration = \"6s\"
        [[fault]]
        kind = \"pause\"
        target = \"journal-1\"
        at = \"3s\"
        duration = \"1s\""
    ));
    let resumed = wavetank::harness::report::state_changes(&outcome);
    let resumed: Vec<_> = resumed.iter().filter(|line| line.ends_with("resumed")).collect();
    assert_eq!(resumed.len(), 1, "{resumed:?}");
    assert!(resumed[0].trim_start().starts_with("8."), "{resumed:?}");
}

#[test]
fn names_of_faults_are_checked() {
    let fault = |more: &str| format!("[[fault]]\nkind = \"hold\"\nduration = \"1s\"\n{more}\n");
    let cut = fault("name = \"cut\"\nat = \"1s\"");
    assert!(mistake(&format!("{cut}{cut}")).contains("another fault of the name \"cut\""));
    let with = |name: &str| fault(&format!("with = {{ fault = \"{name}\" }}"));
    assert!(mistake(&format!("{cut}{}", with("cat"))).contains("no fault has the `name` \"cat\""));
    let own = fault("name = \"own\"\nwith = { fault = \"own\" }");
    assert!(mistake(&own).contains("can't refer to itself"));
    // No milestone of a journal has one, so it is no key there.
    let no_number = fault("on = { milestone = \"leader-granted\", checkpoint = 3 }");
    assert!(mistake(&no_number).contains("unknown key `fault 1.on.checkpoint`"));
}

#[test]
fn what_begins_with_a_fault_that_is_not_drawn_is_not_drawn() {
    let text = format!(
        "{JOURNAL}
        [[fault]]
        name = \"never\"
        kind = \"hold\"
        at = \"1s\"
        duration = \"1s\"
        chance = \"0%\"
        [[fault]]
        name = \"after\"
        kind = \"hold\"
        with = {{ fault = \"never\" }}
        duration = \"1s\"
        [[fault]]
        kind = \"hold\"
        with = {{ fault = \"after\" }}
        duration = \"1s\""
    );
    let scenario = SYSTEMS.parse(&text, Path::new("scenarios/test.toml")).unwrap();
    assert_eq!(FaultPlan::draw(&scenario, 1), FaultPlan::default());
}

/// How many entries of a kind speak of this.
fn traced(outcome: &RunOutcome, kind: &str, what: &str) -> usize {
    let told = outcome.trace.iter().filter(|line| line.kind == kind);
    told.filter(|line| line.to_string().contains(what)).count()
}

#[test]
fn a_reset_breaks_streams_once_and_loses_what_is_under_way() {
    let outcome = run(&format!(
        "{JOB}
        [[fault]]
        kind = \"delay\"
        by = \"300ms\"
        at = \"5s\"
        duration = \"4s\"
        [[fault]]
        kind = \"reset\"
        at = \"8s\"
        duration = \"5s\""
    ));
    assert!(outcome.expected, "{}", outcome.verdict);
    assert!(traced(&outcome, "stream-end-reset", "") > 1, "both ends of streams");
    let lost: Vec<_> = outcome.fates.iter().filter(|fate| fate.fate == "reset").collect();
    assert!(lost.len() > 2, "{lost:?}");
    assert!(lost.iter().all(|fate| fate.time == lost[0].time), "only at its begin: {lost:?}");
}

#[test]
fn a_slow_link_overflows_until_its_end() {
    let outcome = run(&format!(
        "{JOB}
        [[fault]]
        kind = \"slow-link\"
        from = \"task-executors\"
        rate = 500
        window = 1000
        at = \"5s\"
        duration = \"10s\""
    ));
    assert!(outcome.expected, "{}", outcome.verdict);
    let lost: Vec<_> = outcome.fates.iter().filter(|fate| fate.fate == "overflow").collect();
    assert!(lost.len() > 20, "{lost:?}");
    let from_executors = |from| outcome.nodes[from].starts_with("task-executor");
    assert!(lost.iter().all(|fate| from_executors(&fate.from)), "{lost:?}");
    assert!(lost.iter().all(|fate| (5_000_000_000..15_100_000_000).contains(&fate.time)));
}

#[test]
fn one_chosen_operation_of_a_disk_fails() {
    let outcome = run(&format!(
        "{JOURNAL}
        [[fault]]
        kind = \"disk-error\"
        target = \"coordination\"
        operation = \"sync\"
        probability = \"100%\"
        nth = 7
        at = \"1s\"
        duration = \"50s\""
    ));
    assert!(outcome.expected, "{}", outcome.verdict);
    assert_eq!(traced(&outcome, "disk-operation", "os error 5"), 1);
}

#[test]
fn rot_strikes_the_files_that_it_names_and_no_sole_copy_unless_told() {
    let rot = |more: &str| {
        run(&format!(
            "{JOURNAL}
            [[fault]]
            kind = \"bit-rot\"
            target = \"coordination\"
            bits = 40
            at = \"3s\"
            duration = \"1s\"
            {more}
            [[fault]]
            kind = \"crash\"
            target = \"coordination\"
            at = \"3100ms\"
            duration = \"1s\""
        ))
    };
    let spared = rot("");
    assert!(spared.expected, "{}", spared.verdict);
    assert_eq!(traced(&spared, "disk-rotted", ""), 0);
    let elsewhere = rot("tolerates = \"nothing\"\nfile = \"nothing/\"");
    assert!(elsewhere.expected, "{}", elsewhere.verdict);
    assert_eq!(traced(&elsewhere, "disk-rotted", ""), 0);
    let struck = rot("tolerates = \"nothing\"\nfile = \"coordination/log-\"");
    assert_eq!(traced(&struck, "disk-rotted", "path=coordination/log-"), 40);
    assert_eq!(struck.verdict.name(), "stuck", "{}", struck.verdict);
}

#[test]
fn a_power_cut_is_told_what_becomes_of_what_was_not_synced() {
    let cut = |more: &str| {
        run(&format!(
            "{JOURNAL}
            [[fault]]
            kind = \"power-cut\"
            target = \"coordination\"
            {more}
            on = {{ milestone = \"journal-written\", nth = 5 }}
            duration = \"1s\""
        ))
    };
    for word in ["lost", "torn", "kept", "drawn"] {
        let outcome = cut(&format!("unsynced = \"{word}\""));
        let unsynced = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
        assert!(outcome.expected, "{word}: {}", outcome.verdict);
        assert_eq!(traced(&outcome, "power-lost", &format!("unsynced={unsynced}")), 1);
    }
    assert_eq!(traced(&cut(""), "power-lost", ""), 0);
}
