//! After the faults a cluster must converge within the bounds of its scenario; a run that does not
//! says for what it waits, and why that may be no bug.

use std::{sync::Arc, time::Duration};
use wavetank::{
    harness::{
        run::{RunConfig, RunOutcome, run_on_fresh_thread},
        scenario::{Keys, Scenario, ScenarioBuilder, fault, keys},
    },
    under_test::SYSTEMS,
};

fn counting(lines: u32) -> Keys {
    keys().set("lines", lines)
}

fn run(workload: Keys, more: impl Fn(ScenarioBuilder) -> ScenarioBuilder) -> RunOutcome {
    let plain = Scenario::builder("word-count/test", "A test.").system("cluster");
    let scenario = more(plain.job(workload)).build(SYSTEMS);
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    run_on_fresh_thread(&scenario, &RunConfig::new(1))
}

/// All job managers are down until the faults end.
fn down(bounds: &Keys) -> RunOutcome {
    let crash = fault("crash").target("job-managers").at("5s").duration("60s");
    run(counting(2000), |builder| {
        builder.heal_at("20s").converge(bounds.clone()).fault(crash.clone())
    })
}

#[test]
fn each_goal_has_its_own_bound() {
    for (key, bound, verdict) in [
        ("leaders", "0s", "waiting for a holder of the latch of dispatcher (`leaders` has 0s)"),
        ("tasks", "50ms", "the job's tasks to be deployed (`tasks` has 50ms)"),
        ("checkpoint", "1s", "waiting for a checkpoint that began after the faults to complete"),
        ("job", "1s", "waiting for the job to end, and its client to learn of it"),
    ] {
        let outcome = down(&keys().set(key, bound));
        let told = outcome.verdict.to_string();
        assert!(told.contains(verdict), "{key} {bound}: {told}");
        assert_eq!(outcome.reasons, Vec::<String>::new(), "nothing excuses it");
    }
    let outcome = down(&keys().set("leaders", "15s").set("tasks", "25s").set("checkpoint", "35s"));
    assert_eq!(outcome.verdict.to_string(), "passed");
}

#[test]
fn a_reason_that_is_no_bug_is_told() {
    let told = |outcome: RunOutcome| (outcome.verdict.name(), outcome.reasons.join("\n"));
    let few = keys().set("task-executors", 2).set("slots", 1);
    let few = run(counting(100).set("parallelism", 4), |builder| builder.cluster(few.clone()));
    let reason = "no bug: the jobs need 4 slots, and the cluster has 2".to_string();
    assert_eq!(told(few), ("stuck", reason));
    let slow = run(counting(1000).set("lines-per-second", 10), |builder| builder.heal_at("5s"));
    // The job's time counts from the end of its input.
    assert!(slow.simulated > Duration::from_secs(101), "{:?}", slow.simulated);
    assert_eq!(told(slow), ("passed", String::new()));
    let busy = run(counting(600), |builder| {
        let slow = keys().set("service-time", "1s");
        builder.cluster(slow).converge(keys().set("checkpoint", "10m"))
    });
    let reason = "no bug: to handle the words alone takes 150s; the run had 48s".to_string();
    assert_eq!(told(busy), ("stuck", reason));
}
