//! Racks and zones, windows of time, what must strike, quiet periods, old disks and other binaries.

use super::{SYSTEMS, faults::mistake};
use std::{path::Path, sync::Arc, time::Duration};
use wavetank::harness::{
    check::Verdict,
    run::{RunConfig, RunOutcome, run_on_fresh_thread},
    scenario::{FaultPlan, Scenario},
};

fn scenario(text: &str) -> Arc<Scenario> {
    let text = format!("description = \"A test.\"\nsystem = \"cluster\"\n{text}");
    let read = SYSTEMS.parse(&text, Path::new("a.toml"));
    Arc::new(read.unwrap_or_else(|mistake| panic!("{mistake}")))
}

const JOB: &str = "[[job]]\nname = \"word-count\"\nlines = 400\nlines-per-second = 80\n";

fn run(text: &str, seed: u64) -> RunOutcome {
    run_on_fresh_thread(&scenario(&format!("{text}\n{JOB}")), &RunConfig::new(seed))
}

/// The nodes that the fault of that place struck.
fn struck(outcome: &RunOutcome, index: usize) -> Vec<String> {
    let found = outcome.executed.iter().find(|executed| executed.index == index);
    let executed = found.unwrap_or_else(|| panic!("fault {index} came"));
    executed.resolved.iter().flat_map(|(_, nodes)| nodes.clone()).collect()
}

#[test]
fn a_zone_is_all_that_stands_in_it_and_no_node_stands_in_two() {
    let crash = |target: &str| {
        format!(
            "[[fault]]\nkind = \"crash\"\ntarget = \"{target}\"\nat = \"2s\"\nduration = \"1s\"\n"
        )
    };
    let text = format!(
        "[placement]\nracks = 4\nzones = 2\nlayout = 7\n{}{}{}",
        crash("zone-1"),
        crash("zone-2"),
        crash("random-rack")
    );
    let outcome = run(&text, 3);
    assert_eq!(outcome.verdict, Verdict::Passed, "{:?}", outcome.violations);
    let (one, other, rack) = (struck(&outcome, 0), struck(&outcome, 1), struck(&outcome, 2));
    assert!(!one.is_empty() && !other.is_empty() && !rack.is_empty());
    assert!(one.iter().all(|node| !other.contains(node)), "{one:?} {other:?}");
    assert_eq!(one.len() + other.len(), outcome.nodes.len(), "everybody stands somewhere");
    let within = |zone: &[String]| rack.iter().all(|node| zone.contains(node));
    assert!(within(&one) || within(&other), "a rack stands in one zone: {rack:?}");
}

#[test]
fn a_place_that_is_not_there_is_refused() {
    let of = |target: &str| {
        mistake(&format!(
            "[[fault]]\nkind = \"crash\"\ntarget = \"{target}\"\nat = \"1s\"\nduration = \"1s\""
        ))
    };
    assert!(of("random-zone").contains("`zones` of `[placement]` is 0"), "{}", of("random-zone"));
    assert!(of("rack-3").contains("`racks` of `[placement]` is 0"), "{}", of("rack-3"));
}

#[test]
fn a_milestone_that_never_comes_holds_no_fault_back_for_ever() {
    let text = "[[fault]]\nkind = \"crash\"\ntarget = \"log\"\nduration = \"1s\"\n\
                on = { milestone = \"savepoint-failed\", nth = 9 }\nno-later-than = \"3s\"\n";
    let outcome = run(text, 1);
    assert_eq!(outcome.executed[0].began.as_millis(), 3000);
    let text = "[[fault]]\nkind = \"crash\"\ntarget = \"log\"\nduration = \"1s\"\n\
                on = { milestone = \"checkpoint-completed\" }\nnot-before = \"4s\"\n";
    let outcome = run(text, 1);
    assert!(outcome.executed[0].began >= Duration::from_secs(4), "{:?}", outcome.executed);
}

#[test]
fn what_bounds_nothing_is_refused() {
    let of = |more: &str| {
        mistake(&format!(
            "[[fault]]\nkind = \"crash\"\ntarget = \"everyone\"\nduration = \"1s\"\n{more}"
        ))
    };
    let on = "on = { milestone = \"leader-granted\" }";
    let told = of("at = \"1s\"\nno-later-than = \"2s\"");
    assert!(told.contains("a fault that begins `at` a time is bounded by that"), "{told}");
    let told = of(&format!("{on}\nno-later-than = \"600s\""));
    assert!(told.contains("a time before `heal-at`"), "{told}");
    let told = of(&format!("{on}\nnot-before = \"9s\"\nno-later-than = \"2s\""));
    assert!(told.contains("`not-before` is after `no-later-than`"), "{told}");
    let told = of(&format!("{on}\nmust-strike = \"perhaps\""));
    assert!(told.contains("must-strike"), "{told}");
}

#[test]
fn what_must_strike_takes_another_node_or_another_link() {
    let text = "[cluster]\nrest-readers = \"0\"\n\
                [[fault]]\nkind = \"pause\"\ntarget = \"rest-readers\"\nat = \"2s\"\nduration = \"1s\"\n\
                must-strike = \"yes\"\n\
                [[fault]]\nkind = \"loss\"\nprobability = \"1%\"\nfrom = \"rest-readers\"\nto = \"log\"\n\
                at = \"2s\"\nduration = \"1s\"\nmust-strike = \"yes\"\n";
    let outcome = run(text, 5);
    assert_eq!(outcome.verdict, Verdict::Passed, "{:?}", outcome.violations);
    assert_eq!(struck(&outcome, 0).len(), 1, "one node stands in");
    assert!(outcome.executed.iter().all(|executed| executed.struck()), "{:?}", outcome.executed);
    let idle = run(&text.replace("must-strike = \"yes\"\n", ""), 5);
    assert!(!idle.executed.iter().any(|executed| executed.struck()), "{:?}", idle.executed);
}

#[test]
fn in_a_quiet_period_nothing_is_in_force() {
    let text = "[[fault]]\nkind = \"partition\"\nshape = \"mute\"\ntarget = \"random-task-executor\"\n\
                at = \"1s\"\nduration = \"9s\"\n\
                [[fault]]\nkind = \"quiet\"\nat = \"2s\"\nduration = \"3s\"\n\
                [[fault]]\nkind = \"partition\"\nshape = \"deaf\"\ntarget = \"log\"\nat = \"3s\"\nduration = \"1s\"\n";
    let outcome = run(text, 2);
    assert_eq!(outcome.verdict, Verdict::Passed, "{:?}", outcome.violations);
    let of = |index| outcome.executed.iter().find(|executed| executed.index == index);
    let ended = of(0).and_then(|executed| executed.ended);
    assert_eq!(ended.map(|time| time.as_millis()), Some(2000), "the quiet period ends it");
    let began = of(2).map(|executed| executed.began);
    assert_eq!(began.map(|time| time.as_millis()), Some(5000), "it begins behind the quiet period");
}

#[test]
fn a_disk_that_is_set_back_is_noticed_unless_it_is_spared() {
    let text = "[[fault]]\nkind = \"disk-set-back\"\ntarget = \"coordination\"\nage = \"2s\"\n\
                at = \"2s\"\nduration = \"6s\"\n";
    let spared = run(text, 4);
    assert_eq!(spared.verdict, Verdict::Passed, "{:?}", spared.violations);
    assert_eq!(spared.executed[0].met, Some(0));
    let harmed = run(&format!("{text}tolerates = \"nothing\"\n"), 4);
    assert_eq!(harmed.verdict, Verdict::Violated("coordination-durable".to_string()));
}

#[test]
fn nobody_speaks_with_a_binary_of_another_version() {
    let text = "[[fault]]\nkind = \"other-version\"\ntarget = \"task-executors\"\nat = \"2s\"\nduration = \"4s\"\n";
    let outcome = run(text, 6);
    assert_eq!(outcome.verdict, Verdict::Passed, "{:?}", outcome.violations);
    let all = outcome.nodes.values().filter(|name| name.starts_with("task-executor"));
    assert_eq!(struck(&outcome, 0).len(), all.count());
}

#[test]
fn generated_faults_begin_in_time_and_some_runs_start_or_rest_without_them() {
    let scenario = scenario("[swarm]\nlatest = \"8s..12s\"\n");
    let (mut late, mut quiet) = (0, 0);
    for seed in 0..100 {
        let plan = FaultPlan::draw(&scenario, seed);
        let ends = plan.faults.iter().filter(|fault| fault.when.other().is_some());
        assert!(ends.into_iter().all(|fault| fault.window.no_later_than.is_some()), "{seed}");
        let is_quiet = |kind: &str| kind == "quiet";
        quiet += u64::from(plan.faults.iter().any(|fault| is_quiet(fault.kind.name())));
        late += u64::from(plan.faults.iter().any(|fault| fault.window.not_before.is_some()));
    }
    assert!((10..70).contains(&quiet) && (5..40).contains(&late), "{quiet} quiet, {late} late");
}
